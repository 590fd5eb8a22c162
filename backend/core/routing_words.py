"""Vocabulary the router's patterns are built from, for text folded by `routing_text.fold`.

Each is the source of a regular expression without anchors; languages in the order en, de, fr, es, it, pt, nl, pl.
"""

from __future__ import annotations

START = (
    r"(?:^\W*|[.!?;:,\n]\s*|\b(?:please|pls|plz|can you|could you|would you|want you to|i(?:'d like| want| need) to|"
    r"and|then|also|just|actually|bitte|mal|und|dann|"
    r"dazu|et|puis|y|luego|e|poi|depois) )(?:do an? |do some )?(?:quick |deep |in-depth |thorough )?"
)
"""Where an instruction begins."""

SEARCH_VERB = (
    r"search|google|look up|look for|research|browse|gather info(?:rmation)?|"
    r"such|suche|recherchiere?|googel?|schlag\w* nach|"
    r"cherche[rz]?|recherche[rz]|recherche(?= (?:les?|la|des|du|un|une)\b)|fais une recherche|trouve[- ]moi|"
    r"busca(?:me)?|investiga|googlea|"
    r"cerca(?:mi)?|fai una ricerca|ricerca|"
    r"procur[ae]|pesquis[ae]|busque|"
    r"zoek|wyszukaj|poszukaj|znajdz"
)

MY = (
    r"(?:my|our|the|these|those|this|uploaded|attached|mein\w*|unser\w*|de[nmr]|das|die|diese\w*|hochgeladen\w*|mes|"
    r"mon|ma|"
    r"nos|notre|les?|la|l'|ces?|cet|mis?|el|nuestr[oa]s?|los|las|est[eo]s?|i miei|miei|il mio|la mia|il|nostri|nei|"
    r"meus?|minhas?|"
    r"nossos?|os?|het|mijn|onze)"
)
PAPERS = (
    r"(?:documents?|files?|pdfs?|docs?|uploads?|attachments?|scans?|handbooks?|handbok|manuals?|contracts?|reports?|"
    r"polic(?:y|ies)|notes|"
    r"papers?|lease|agreement|invoices?|thesis|spreadsheets?|"
    r"\w*dokument\w*|\w*datei(?:en)?|\w*unterlagen|\w*handbuch\w*|\w*vertr[a]g\w*|\w*bericht\w*|\w*richtlinien?|"
    r"\w*rechnung(?:en)?|"
    r"fichiers?|manuel|contrats?|rapport|reglement|factures?|bail|"
    r"documentos?|archivos?|ficheros?|contratos?|informes?|facturas?|documenti|documento|contratt[oi]|rapporto|"
    r"relazione|manuale|"
    r"regolamento|fattur[ae]|arquivos?|relatorios?|manual|bestand(?:en)?|contract|umowa|umowie|dokumen\w+)"
)

NOW = (
    r"(?:right now|now|currently|current|at the moment|today'?s?|tonight|tomorrow|yesterday|this (?:morning|week|"
    r"weekend|month|"
    r"year|season)|last (?:night|week|weekend)|next (?:week|weekend)|these days|latest|newest|most recent|"
    r"recent(?:ly)?|upcoming|up[- ]to[- ]date|"
    r"live score|the year before|newer|quest'anno|questa settimana|dit jaar|deze week|w tym roku|as of today|"
    r"trending|this evening|ce soir|stasera|esta tarde|vanavond|"
    r"aktuell\w*|derzeit\w*|momentan|gerade|heute|heutige\w*|gestern|jetzt|neueste\w*|neuste\w*|letzte\w*|"
    r"diese (?:woche|saison)|"
    r"dieses (?:jahr|wochenende)|"
    r"actuel\w*|aujourd'hui|hier|demain|maintenant|derniere?s?|cette (?:semaine|annee)|en ce moment|"
    r"hoy|ayer|manana|ahora|actual\w*|ultim[oa]s?|recientes?|esta semana|este ano|"
    r"oggi|ieri|domani|adesso|ora|attual\w*|ultim[ei]|recenti|"
    r"hoje|ontem|amanha|agora|atual\w*|recentes|"
    r"obecnie|op dit moment|momenteel|vandaag|gisteren|nu|laatste|actuele|nieuwste|dzis\w*|wczoraj|teraz|aktualn\w*|"
    r"najnowsz\w*|ostatni\w*)"
)
_NEWS = (
    r"(?:news|headlines?|nachrichten|neuigkeiten|schlagzeilen|nouvelles|actualites?|infos|noticias|novedades|notizie|"
    r"novita|"
    r"novidades|nieuws|wiadomosci|aktualnosci)"
)
_PRICE = (
    r"(?:prices?|cost|costs|worth|\w*preise?|\w*kurs|kostet|kosten|prix|cours|coute|precios?|cuesta|cotizacion|"
    r"prezz[oi]|costa|quotazione|"
    r"precos?|custa|cotacao|prijs|kost|koers|ceny?|kosztuje|stock|stocks|shares?|aktien?|borse\w*|bourse|bolsa|borsa|"
    r"azioni|acoes|"
    r"exchange rate|interest rates?|mortgage rates?|inflation(?:srate| rate)?|wechselkurs|zins(?:en|satz)?|"
    r"taux de change|"
    r"tipo de cambio|tasso di cambio|taxa de cambio|wisselkoers)"
)
_TRADED = (
    r"(?:bitcoin|btc|ethereum|eth|crypto\w*|krypto\w*|gold|silver|oil|gas|dollar|dolar|euro|eur|usd|pound|yen|nasdaq|"
    r"dax|dow jones|"
    r"apple|tesla|nvidia|microsoft|amazon|google)"
)
_SPORT = (
    r"(?:scores?|match|matches|game|fixtures|standings|results?|bundesliga|premier league|champions league|"
    r"europa league|serie a|"
    r"la liga|ligue 1|nba|nfl|formula 1|formel 1|f1|world cup|olympic\w*|spiel|tabelle|ergebnis\w*|matchs?|"
    r"resultats?|partido|partita|"
    r"resultado\w*|risultat\w*|jogo|wedstrijd|mecz|wynik\w*)"
)
_OFFICE = (
    r"(?:president|prime minister|chancellor|ceo|mayor|pope|king|queen|head coach|champion|record holder|\w*kanzler\w*|"
    r"\w*prasident\w*|premierminister\w*|burgermeister\w*|papst|premier ministre|maire|pape|presidente?|"
    r"primer ministro|alcalde|"
    r"papa|primo ministro|sindaco|primeiro[- ]ministro|prefeito|premier|prezydent\w*)"
)
_HAPPENING = (
    r"(?:strikes?|streiks?|greves?|huelgas?|sciopero|elections?|\w*wahl(?:en)?|elecciones|elezioni|eleicoes|traffic|"
    r"stau|delays?|"
    r"versions?|releases?|update|updates|models?|law changes|figures|zahlen|population|unemployment|articles?|"
    r"research|trends?|events?)"
)
FRESH_TOPIC = (
    rf"\b{_NEWS} (?:about|on|from|of|in|regarding|uber|zu[rm]?|aus|von|sur|d[eu]s?|sobre|d[aeo]l?|su|sul|sulla|over|"
    rf"van|uit|z)\b"
    rf"|\b{NOW}\b.{{0,30}}?\b{_NEWS}\b|\b{_NEWS}\b.{{0,30}}?\b{NOW}\b"
    r"|\b(?:lottery numbers|lottozahlen|numeros du loto|latest polls|petrol prices|gas prices|spritpreise|"
    r"benzinpreise?)\b"
    r"|\b(?:results?|ergebnis\w*|resultats?|resultados?|risultat[oi]|uitslagen?|wyniki?|scores?) (?:of|in|from|vom|"
    r"von|de[rls]?|du|della?|do|da|van) (?:the |la |le |el )?"
    r"(?:\w+ ){0,2}(?:game|match|draw|race|election|league|cup|bundesliga|wahl\w*|spiel\w*|loto|match|ligue|election|"
    r"partido|sorteo|liga|eleccion\w*|"
    r"partita|serie a|jogo|brasileirao|eredivisie|ekstraklasy)\b"
    r"|\b(?:strike|streik|greve|huelga|sciopero|staking|strajk)\b.{0,40}?\b(?:over|end(?:ed)?|vorbei|zu ende|finie?|"
    r"terminee?|termino|terminado|finito|acabou|"
    r"voorbij|today|tomorrow|domani|demain|manana|amanha|morgen|still|noch)\b|\b(?:termino|finito|acabou|is|ist|"
    r"est) (?:the |der |die |la |lo |a |de )?(?:strike|streik|greve|"
    r"huelga|sciopero|staking)\b"
    rf"|\b(?:open|closed|offen|geoffnet|geschlossen|ouverte?s?|fermee?s?|abiert[oa]s?|cerrad[oa]s?|apert[oaie]|"
    rf"chius[oaie]|abert[oa]s?|fechad[oa]s?)\b.{{0,30}}?\b(?:{NOW}|"
    rf"morgen|tomorrow|demain)\b|\b(?:{NOW}|morgen|tomorrow|demain)\b.{{0,30}}?\b(?:open|closed|offen|geoffnet|"
    rf"geschlossen|ouverte?s?|fermee?s?|abiert[oa]s?|cerrad[oa]s?)\b"
    rf"|\b(?:finde?|encuentra|trouve|trova|encontre|zoek|check|read)\b.{{0,20}}?\b(?:reviews?|studien|testberichte|"
    rf"bewertungen|avis|etudes|opiniones|estudios|opinioni|recensioni|"
    r"opinioes|estudos)\b|\brecent (?:studies|research|papers|developments|findings|events)\b"
    r"|\b(?:what|was|que|qu'est-ce qui|cosa|o que|wat|co) .{0,20}?\b(?:today|yesterday|heute|gestern|aujourd'hui|hoy|"
    r"ayer|oggi|ieri|hoje|ontem|vandaag|gisteren|dzis|wczoraj)\b"
    r".{0,25}?\b(?:happened|happening|passiert|passe|paso|pasado|successo|aconteceu|gebeurd|wydarzylo)\b"
    r"|^\W*(?:is|are) (?:the )?.{2,30}? (?:down|open|closed|delayed|cancell?ed|back up|sold out)\W*$|\b(?:top|"
    r"today's|the) headlines\b"
    r"|\b(?:near me|in der nahe|in meiner nahe|pres de (?:chez moi|moi)|cerca de mi|vicino a me|perto de mim)\b"
    r"|\bwhat(?:'s| is) (?:going on|happening|up) (?:with|in|at)\b|\bwas ist los (?:mit|in|bei)\b|"
    r"\bque se passe-t-il (?:a|en|avec)\b|\bque pasa (?:en|con)\b"
    r"|\breviews? (?:like )?(?:of|for|about)\b|\b(?:won|win|gewonnen|gagne|gano|vinto|ganhou|"
    r"wygral)\b.{0,40}?\b(?:elections?|wahl\w*|elecciones|elezioni|eleicoes|verkiezingen|wybory)\b"
    r"|\b(?:elections?|wahl\w*|elecciones|elezioni|eleicoes|verkiezingen|wybory)\b.{0,40}?\b(?:won|gewonnen|gagne|"
    r"gano|vinto|ganhou|wygral)\b"
    r"|\b(?:got|was|were|been|wurde|a ete|fue|e stato|foi) (?:just |newly )?(?:elected|gewahlt|elue?|elegid[oa]|"
    r"elett[oa]|eleit[oa])\b|\bbecame the new\b|\bthe new (?:coach|ceo|president|mayor)\b"
    rf"|\b{_TRADED} (?:to|in|zu|vs|against|a|en) {_TRADED}\b|\btrending\b"
    r"|\b(?:the )?(?:latest|newest|most recent)\b(?! (?:you|i|we|time)\b)|\bbreaking news\b|\bwhat(?:'?s|"
    r" is) new (?:in|with|on|at)\b"
    r"|\b(?:was|irgendwas) (?:gibt'?s|gibt es|ist) neues\b|\bgibt'?s (?:was |etwas )?neues\b|\bwas ist los\b|"
    r"\bquoi de neuf (?:sur|dans|a)\b"
    rf"|\b(?:{_PRICE}|{_SPORT}|{_OFFICE}|{_HAPPENING})\b.{{0,40}}?\b{NOW}\b|\b{NOW}\b.{{0,40}}?\b(?:{_PRICE}|"
    rf"{_SPORT}|{_OFFICE}|{_HAPPENING})\b"
    rf"|\b{_PRICE}\b.{{0,25}}?\b{_TRADED}\b|\b{_TRADED}\b.{{0,25}}?\b{_PRICE}\b|\bgoldpreis|\bolpreis|\bbitcoin-?kurs"
    rf"|\b(?:won|win|winner|scored|gewonnen|gewann|gagne|gano|ganado|vinto|ganhou|venceu|gewonnen|"
    rf"wygral)\b.{{0,60}}?\b(?:{NOW}|anoche|sera|soir)\b"
    rf"|\b(?:yesterday|last night|gestern|hier(?: soir)?|anoche|ayer|ieri(?: sera)?|ontem|gisteren|wczoraj)\b.{{0,40}}?"
    r"\b(?:won|win|gewonnen|gagne|gano|vinto|ganhou|gewonnen|wygral|happened|passiert|passe|paso|successo|aconteceu)\b"
    rf"|\bwho(?:'s| is) (?:leading|winning|top|ahead|first) (?:in |of |at )?(?:the )?{_SPORT}"
    r"|\b(?:what|was|que|cosa|o que|wat|co) (?:has |is |ist |s'est |ha |sie )?(?:happened|happening|happens|passiert|"
    r"passe|paso|pasado|successo|aconteceu|gebeurd|wydarzylo)"
    r"\b.{0,40}?\b(?:today|yesterday|this week|right now|at the moment|heute|gestern|aujourd'hui|hier|hoy|ayer|oggi|"
    r"ieri|hoje|ontem)\b"
    r"|\bup[- ]to[- ]date (?:info\w*|data|news|figures|prices)\b|\b(?:is|are) [\w ]{2,30} (?:down|closed|open|"
    r"delayed|sold out) "
    r"(?:right now|at the moment|today|now|currently)\b|\bhow (?:is|are|'s) .{2,30}\b(?:stocks?|shares|doing today)\b"
    r"|\b(?:when|wann|quand|cuando|quando) (?:does|do|is|spielt|spielen|joue|juega|gioca|joga)\b.{0,40}?\b(?:next|"
    r"nachste\w*|prochain\w*|proximo|prossim\w+)\b"
    r"|\bwhen (?:does|is|do|will)\b.{1,60}?\b(?:come out|coming out|be released|released|release|start airing|air|"
    r"premiere|launch)\b"
    r"|\bwann (?:kommt|erscheint|startet)\b.{1,60}?\b(?:raus|staffel|film|album|spiel)\b|\bquand sort\b|"
    r"\bcuando sale\b|\bquando esce\b"
    r"|\b(?:release date|opening (?:hours|times)|phone number of|offnungszeiten|horaires d'ouverture|horarios? (?:de|"
    r"del|do|da)|"
    r"orari (?:di|del|degli|della)|horario de funcionamento|openingstijden|godziny otwarcia)\b"
    r"|\b(?:cheap )?flights? (?:to|from)\b|\bfluge? nach\b|\bvols? pour\b|\bvuelos? a\b|\bvoli per\b|\bvoos? para\b"
    r"|\bis there (?:a|an|any) .{0,30}?\b(?:strike|outage|delay|traffic|concert|event)s?\b"
    r"|\b(?:what are people saying|what do people say|reviews? of|customer reviews|test(?:bericht)?e? (?:zum|zur))\b"
)

WEATHER_WORD = (
    r"(?:weather|forecast|temperatures?|wetter\w*|temperatur(?:en)?|vorhersage|meteo|temps|temperature|previsions|"
    r"tiempo|clima|pronostico|"
    r"temperatura|tempo|previsioni|previsao(?: do tempo)?|weer|weersverwachting|pogod[aey]|prognoza)"
)
WEATHER_OF = (
    r"\b(?:weather|wetter|meteo|weer|pogoda|previsioni(?: del tempo)?|previsao do tempo) (?:of|von|de|di|d'|a|do|da|"
    r"em|van|dla) ?[a-z]{3,}"
)
PLACE_OR_TIME = (
    r"(?:in|for|at|near|around|today|tonight|tomorrow|now|this week(?:end)?|next week|on (?:mon|tues|wednes|thurs|"
    r"fri|satur|sun)day|"
    r"fur|heute|morgen|jetzt|am wochenende|nachste woche|auf|a|au|aux|de|pour|demain|aujourd'hui|en|manana|hoy|ahora|"
    r"para|domani|oggi|"
    r"adesso|per|em|no|na|hoje|amanha|agora|vandaag|w|we|dzis|dzisiaj|jutro)"
)
WEATHER_ASKED = (
    r"\b(?:how'?s it|how is it|what'?s it|what is it|is it|how does it look|hows it) .{0,25}?\boutside\b|"
    r"\boutside in [a-z]{3,}|"
    r"\b(?:will|is|does) it (?:gonna |going to |be |still )*(?:rain|snow|raining|snowing|sunny|cloudy|windy|storm\w*|"
    r"freez\w*|warm|cold|hot|"
    r"warmer|colder|hotter)\b(?!.{0,20}\b(?:on mars|on venus|in space))|\b(?:is|are) it (?:raining|snowing)\b|"
    r"\bhow (?:cold|warm|hot|windy|humid|sunny) (?:will|is|was) it\b|\b(?:do i|should i|will i) (?:need|bring|take|"
    r"wear|pack) "
    r"(?:an? |my |the )?(?:umbrella|raincoat|jacket|coat|sunscreen|sunglasses|boots)\b|"
    r"\b(?:regnet|schneit)(?: es|'s|s)\b(?!.{0,15}eigentlich)|\b(?:wird es|wirds|wird's|gibt es|gibts) (?:regnen|"
    r"schneien|sonnig|warm|kalt|heiss|wolkig|mild)\b|"
    r"\bwie (?:warm|kalt|heiss) (?:(?:ist|wird|war) es|wirds|wird's|ists|ist's)\b|\b(?:brauch\w*|"
    r"muss) ich .{0,40}?\b(?:schirm|regenschirm|jacke|mantel|regenjacke)\b|"
    r"\b(?:va-t-il|il va|va t il|est-ce qu'il va) (?:pleuvoir|neiger|faire)\b|\b(?:pleut-il|il pleut|neige-t-il|"
    r"(?:fait-il|il fait) (?:plus )?(?:chaud|froid|beau))\b|"
    r"\b(?:quel|quelle) (?:temps|temperature|meteo)\b|\bil fera (?:combien|beau|chaud|froid|quel)\b|\bchances? (?:of|"
    r"for) (?:rain|snow|showers|sun)|\b(?:besoin d'un|prendre (?:un|mon)) parapluie\b|"
    r"\bva a (?:llover|nevar|hacer)\b|\b(?:llovera|nevara|llueve|esta lloviendo)\b|\bhace (?:mas )?(?:frio|calor|sol|"
    r"viento)\b|\btiempo (?:hace|hara)\b|"
    r"\b(?:necesito|llevo|hace falta) (?:un )?paraguas\b|\b(?:piovera|nevichera|nevica|sta piovendo|"
    r"fa (?:piu )?(?:freddo|caldo))\b|\bche (?:tempo|temperatura)\b|"
    r"\bserve l'ombrello\b|\b(?:faz|esta) (?:mais )?(?:frio|calor|sol) (?:em|no|na)\b|\b(?:vai|ira) (?:chover|nevar|"
    r"fazer (?:sol|frio|calor))\b|\b(?:esta chovendo|como (?:esta|vai estar|fica) o tempo)\b|"
    r"\b(?:preciso de|levo) guarda-chuva\b|\bque temperatura\b|\b(?:gaat het|wordt het) (?:morgen |"
    r"vandaag )?(?:regenen|sneeuwen|mooi|warm|koud|weer)\b|"
    r"\bregent het\b|\bbedzie (?:padac|cieplo|zimno|slonecznie)\b|\bczy (?:pada|bedzie padac)\b|\bjaka (?:jest |"
    r"bedzie )?pogoda\b"
)

WEATHER_SIGN = (
    r"(?:rain\w*|pour(?:ing)?|snow\w*|umbrella|raincoat|thunderstorms?|storms?|drizzle|hail|frost|freez\w+|foggy|"
    r"sunny|sunshine|cloudy|windy|humid\w*|"
    r"uv index|heatwave|pollen|jacket|coat|sunscreen|jacke|mantel|winterstiefel|manteau|veste|abrigo|chaqueta|giacca|"
    r"cappotto|casaco|jas|kurtk\w+|regen\w*|regnet\w*|schnee|schneit\w*|gewitter\w*|schirm|regenschirm|frost|nebel|"
    r"neblig|sonnig|sonne|"
    r"badewetter|hitzewelle|pluie|pleu\w+|neige\w*|parapluie|orages?|brouillard|soleil|gel|geler|canicule|"
    r"lluvia|llov\w+|llueve|llover|nieve|nevar|paraguas|tormentas?|niebla|sol|heladas?|"
    r"pioggia|piov\w+|neve|nevic\w*|ombrello|temporal[ei]|nebbia|sole|gelo|"
    r"chuva|chov\w+|nevar|guarda-chuva|temporal|nevoeiro|regent|sneeuw\w*|paraplu|onweer|mist|zon|deszcz\w*|padac|"
    r"snieg|parasol\w*|burza)"
)
WEATHER_WHEN = (
    r"(?:today|tonight|tomorrow|tmrw|tmr|now|yet|this (?:week|weekend|afternoon|evening|morning)|next (?:week|"
    r"weekend)|on \w+day|coming|"
    r"heute|morgen|jetzt|gerade|am \w+tag|am wochenende|nachste woche|schon|aujourd'hui|demain|ce (?:soir|week-end|"
    r"matin)|cette (?:nuit|semaine)|"
    r"en ce moment|hoy|manana|ahora|este (?:fin|finde)|esta (?:noche|semana|tarde)|oggi|domani|adesso|stasera|"
    r"stanotte|nel weekend|"
    r"hoje|amanha|agora|no fim de semana|vandaag|nu|vanavond|dzis\w*|jutro|teraz)"
)

AGGREGATE = (
    r"(?:mean|average|avg|median|std|standard deviation|std dev|sum|total|minimum|maximum|min|max|statistics|stats|"
    r"distribution|outliers?|"
    r"count|how many|number of|rows|missing values|highest|lowest|largest|smallest|biggest|top \d+|top|most|least|"
    r"best|worst|duplicates?|"
    r"per|by|group(?:ed)? by|nach|gruppiert|agrupad\w+|raggruppat\w+|groupes? par|breakdown|"
    r"mittelwert|\w*durchschnitt\w*|summe|statistik|\w*gesamt\w*|anzahl|wie ?viele|hochste[nrms]?|niedrigste[nrms]?|"
    r"am \w+sten|meisten?|wenigsten|"
    r"zeilen|fehlen\w*|"
    r"pro|moyenne|mediane|somme|ecart[- ]type|statistiques|nombre de|combien de|lignes|plus (?:grosses?|eleve\w*|"
    r"vendu\w*)|le mieux|"
    r"par|media|mediana|promedio|desviacion(?: estandar)?|estadisticas?|suma|cuant[oa]s|filas|mayor|menor|menos|mas|"
    r"mas vendid[oa]s?|"
    r"por|deviazione|statistiche|somma|totale|quant[ie]|righe|maggior\w*|piu vendut[oi]|decrescente|"
    r"desvio|estatisticas?|soma|quant[oa]s|linhas|maior|mais vendid[oa]s?|vendeu mais|gemiddelde|totaal|hoeveel|"
    r"srednia|suma)"
)
BUSINESS = (
    r"(?:revenue|sales?|sold|orders?|ordered|customers?|clients?|products?|amount|price|prices|invoices?|regions?|"
    r"months?|sellers?|rows?|columns?|"
    r"values?|fields?|items?|survey|answers|respondents|csv|table|"
    r"\w*umsatz\w*|verkauf\w*|kunden?|bestellungen?|produkte?|monat\w*|filialen?|regionen?|spalten?|zeilen?|werte?|"
    r"tabelle|"
    r"ventes?|vend|vendu|produits?|commandes?|clients?|colonnes?|"
    r"ventas?|productos?|pedidos?|clientes?|importes?|columnas?|meses|"
    r"vendit[ae]|prodott[oi]|ordini|clienti|colonn[ae]|vendut[oi]|"
    r"vendas?|vendedor(?:es)?|vendeu|vendido|produtos?|colunas?)"
)
"""What tables of a business are about."""

_CALCULATE = (
    r"(?:calculate|compute|work out|solve|evaluate|integrate|integral|derivative|differentiate|factori[sz]e|factor|"
    r"simplify|limit|"
    r"square root|cube root|sqrt|squared|cubed|determinant|eigenvalues?|eigenvectors?|factorial|gcd|lcm|logarithm|"
    r"log base|prime factors|probability of|percentage|area of|volume of|circumference|hypotenuse|convert|round|"
    r"berechne|rechne|umrechnen|lose (?:die|nach|folgende|mir)|lose(?= [\dx(])|ableitung|leite|integriere|wurzel|"
    r"quadratmeter|wie ?viel (?:ist|sind|ergibt)|"
    r"calcule[rz]?|resou[sd]\w*|derivee|integrale|racine|combien (?:font|fait)|convertis|convertir|"
    r"calcula\w*|resuelve|derivada|raiz|cuanto (?:es|son)|convierte|calcola|risolvi|derivata|radice|quanto fa|"
    r"converti|converta|resolv[ae]|quanto e|"
    r"bereken|hoeveel is|oblicz|ile to|ile jest|pierwiastek)"
)
_TIME_UNIT = (
    r"(?:seconds?|minutes?|hours?|days?|weeks?|months?|sekunden?|minuten?|stunden?|tage?|secondes?|heures?|jours?|"
    r"segundos?|minutos?|horas?|dias?|secondi|minuti|ore|giorni|seconden|uren|dagen|sekund|minut|godzin|dni)"
)
UNITS_IN_UNIT = (
    r"\b(?:probability|odds|chances?) of (?:getting|rolling|drawing|throwing|tossing|picking)\b|"
    rf"\b(?:how many|wie ?viele?|combien de|cuant[oa]s|quant[ie]|quant[oa]s|hoeveel|ile) {_TIME_UNIT} (?:are |is |"
    rf"there )*(?:in|has|hat|sind|dans|tiene|ha|tem|heeft|ma)\b"
)
"""How many of one unit of time another has: a calculation without a number."""
_UNIT = (
    r"(?:miles?|km|kilomet(?:er|re)s?|met(?:er|re)s?|feet|ft|inch(?:es)?|yards?|kg|kilos?|pounds?|lbs?|ounces?|oz|"
    r"grams?|lit(?:er|re)s?|gallons?|"
    r"fahrenheit|celsius|hours?|minutes?|seconds?|days?|weeks?|meilen|stunden|minuten|sekunden|millas|miglia|milhas|"
    r"mijl)"
)
ARITHMETIC = (
    rf"\b{_CALCULATE}\b",
    r"^\W*(?:what(?:'?s| is)|how much is|was (?:ist|sind)|quanto fa|combien font|cuanto es|"
    r"quanto e)?\s*[\d(][\d\s.,()]*"
    r"(?:[-+*/×÷^%]|\*\*|mod|times|plus|minus|mal|fois|por|per|vezes|entre|diviso|divided by|"
    r"x)\s*[\d(][\d\s+\-*/×÷^%().,=]*\??$",
    r"\b\d+(?:[.,]\d+)*\s?(?:%|percent|prozent|pour ?cent|por ciento|per cento|por cento|procent) (?:of|off|tip|von|"
    r"de|des|di|van|z) ",
    r"\d\s*(?:[-+*/×÷^]|\*\*)\s*\d+(?:[.,]\d+)*\s*(?:$|[?,.;!])",
    r"\bwhat (?:do|will|would) (?:i|we|he|she|they) (?:earn|pay|get|have|owe)\b.{0,40}?\d",
    rf"\bhow many {_UNIT}\b.{{0,30}}?\d|\d\s*{_UNIT} (?:in|to|into|en|em|nach) (?:an? )?{_UNIT}\b|"
    rf"\bwie ?viele? {_UNIT} (?:sind|hat)\b.{{0,20}}?\d",
    r"\b(?:mal|divided by|multiplied by|geteilt durch|divise par|dividido (?:por|entre)|diviso|fois|vezes) \d",
)
"""Alternatives of a calculation."""
HOW_MUCH = r"\b(?:how (?:much|many|long|far|fast)|wie ?viele?|wie lange|combien|cuant[oa]s?|quant[oaie]s?)\b(?! should)"
TWO_NUMBERS = r"\d\D{1,120}\d"
"""Together the sign of a problem in words: "3 kilos cost 7.20, how much are 5"."""

OWN_MATTER = (
    r"(?:rent|deposit|landlord|tenants?|sublet|lease|notice period|notice|probation|salary|pay ?day|bonus|overtime|"
    r"vacation|holidays? (?:do|are)|sick (?:leave|note|days?)|"
    r"leave|benefits|pension|contract|clauses?|section|article \d+|paragraph|annex|appendix|chapter|page \d+|page|"
    r"warranty|guarantee|fees?|penalty|penalties|liab\w+|"
    r"payments?|payment terms|invoices?|refund\w*|returns|reimburs\w+|expenses?|per diem|allowance|mileage|"
    r"hotel (?:rate|limit)|deliver\w*|supplier|purchase price|"
    r"the (?:meeting|minutes|form|sample|device|program(?:me)?)|which (?:form|program(?:me)?|setting|mode)|agenda|"
    r"action items?|attendees|deadline|budget|approved?|approves?|signed|submit|request|policy|procedure|dress code|"
    r"working hours|"
    r"filter|battery|device|machine|display|error code|red light|lamp|manual|settings?|descale|serial number|"
    r"in the box|"
    r"the study|participants|the authors?|findings|diagnosis|medication|prescribed|patient|dose|"
    r"allowed|permitted|entitled|mandatory|required|included|covered|excluded|"
    r"miete|kaution|vermieter|mieter|untervermiet\w*|kundigungsfrist|probezeit|gehalt|uberstunden|urlaub\w*|"
    r"krankmeld\w*|vertrag|paragraf|klausel|garantie|gebuhr\w*|"
    r"strafe|verzug|haftet|haftung|mangel\w*|rechnung|erstatt\w*|spesen|lieferung|geliefert|lieferant|protokoll|"
    r"sitzung|frist|budget|genehmig\w*|freigeben|unterschrieben|"
    r"formular|antrag|gerat|maschine|anzeige|fehler \w?\d+|fehlercode\w*|krankheit|lampe|wasche|programm|entkalk\w*|"
    r"versicherung|inbegriffen|erlaubt|haustiere|dienstwagen|dienstauto|seite \d+|"
    r"loyer|caution|proprietaire|locataire|preavis|periode d'essai|salaire|conges?|arret maladie|contrat|clause|"
    r"article \d+|garantie|frais|penalite|retard|facture|rembours\w+|"
    r"livraison|fournisseur|reunion|budget|signe|formulaire|appareil|voyant|pile|filtre|inclus|autorises?|droit (?:a|"
    r"de)|"
    r"alquiler|fianza|casero|inquilino|preaviso|periodo de prueba|sueldo|vacaciones|baja|contrato|clausula|garantia|"
    r"gastos|penalizacion|retraso|factura|reembols\w+|"
    r"entrega|proveedor|reunion|presupuesto|firmo|formulario|aparato|luz roja|pila|filtro|incluido|permiten?|"
    r"affitto|cauzione|inquilino|preavviso|stipendio|ferie|malattia|contratto|clausola|garanzia|spese|penale|ritardo|"
    r"fattur[ae]|rimbors\w+|consegna|fornitore|riunione|"
    r"firmato|modulo|dispositivo|apparecchio|spia|batteri[ae]|incluso|inclusa|ammessi|"
    r"aluguel|caucao|inquilino|aviso previo|salario|folga|ferias|clausula|garantia|despesas|multa|atraso|fatura|"
    r"reembols\w+|fornecedor|reuniao|assinou|formulario|aparelho|"
    r"pilha|incluido|permitidos?|huur|borg|opzegtermijn|vakantiedagen|salaris|facturen|vergoed\w*|czynsz|kaucja|"
    r"urlopu|wypowiedzen\w*|faktur[ye]|umow\w+)"
)
"""What contracts, policies, manuals, minutes and papers are about."""
MAY_I = (
    r"(?:(?:am|are|may|must|can|could|do|does|is|was|will|should) (?:i|we|the|my|our|there|guests|visitors|employees|"
    r"contractors|tenants|it|they|taxis?|taxi rides|meals|overtime)\b|"
    r"(?:darf|muss|kann|brauche|bekomme|habe|steht|gibt|wird|werden|sind|ist) (?:ich|wir|es|da|das|der|die)\b|"
    r"wer (?:muss|darf|zahlt|haftet|genehmigt)|"
    r"(?:puis-je|ai-je|dois-je|a-t-on|faut-il|est-ce que je|peut-on)\b|(?:puedo|debo|tengo|se (?:puede|permite\w*|"
    r"reembols\w+))\b|"
    r"(?:posso|devo|ho diritto)\b|(?:mag|moet|kan|heb) ik\b|czy moge\b)"
)
"""A question for what one may, must or gets."""
