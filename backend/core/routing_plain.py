"""Signs that the model's own words are wanted: talk, writing, code, advice, general knowledge.

All patterns read text folded by `routing_text.fold` (lower case, no accents) in English, German, French, Spanish,
Italian, Portuguese, Dutch and Polish.
"""

from __future__ import annotations

from backend.core.routing_words import MAY_I, OWN_MATTER
from backend.utils.patterns import LazyPattern

_POLITE = (
    r"^\W*(?:(?:please|pls|plz|hey|hi|hello|ok|okay|now|so|and|can|could|would|will|you|u|kindly|help me|i want you to|"
    r"i need you to|i'd like you to|bitte|kannst|konntest|du|mir|mal|jetzt|nun|hallo|und|peux|pourrais|tu|peux-tu|"
    r"pourrais-tu|vous|s'il te plait|stp|svp|maintenant|et|puedes|podrias|por favor|me|ahora|y|puoi|potresti|"
    r"per favore|adesso|e|pode|poderia|voce|agora|kun|je|kunt|u|alsjeblieft|nu|prosze|czy|mozesz|teraz)\b[\s,!]*)*"
)
"""What people put before an instruction."""

SMALL_TALK = LazyPattern(
    r"\b(?:how are (?:you|u|things)|how(?:'s| is) (?:it going|life|your day)|how do you do|how you doin|wh?at'?s up|"
    r"who (?:are|r) (?:you|u)|what are you\b|what(?:'s| is) your name|what (?:can|do) (?:you|u) do|"
    r"how can you help|are you (?:a |an )?(?:human|robot|ai|bot|real|sentient|alive)|who made you|"
    r"do you (?:like|love|feel|dream|have feelings)|tell me (?:a|another|some) (?:\w+ )?(?:joke|story|riddle|fun fact)|"
    r"wie geht(?:'?s| es)|wer bist du|was bist du|wie heisst du|was kannst du|"
    r"erzahle? (?:mir )?(?:mal )?(?:noch )?einen?|"
    r"ca va\b|comment (?:vas-tu|allez-vous|tu t'appelles)|qui es[- ]tu|que (?:sais|peux)[- ]tu faire|"
    r"raconte(?:[- ]moi)? une|como estas|que tal\b|quien eres|como te llamas|que (?:puedes|sabes) hacer|cuentame un|"
    r"come stai|come va\b|chi sei|come ti chiami|cosa (?:puoi|sai) fare|raccontami una|"
    r"como (?:vai(?! estar| ficar| ser)|esta voce)|tudo bem|quem e voce|o que voce (?:pode|sabe) fazer|me conta uma|"
    r"me conte uma|conta-me uma|"
    r"hoe gaat het|wie ben je|wat kun je|vertel (?:me )?een|co slychac|jak sie masz|kim jestes|opowiedz)",
    flags=0,
)

_MAKE = (
    r"(?:write|compose|draft|create|make|make up|invent|tell|generate|give|suggest|brainstorm|come up with|need|want|"
    r"schreib\w*|verfass\w*|dicht\w*|erfind\w*|formulier\w*|entwirf|"
    r"ecri[str]\w*|ecrivez|compose|redige\w*|invente\w*|propose|fais|escrib\w+|redact\w+|invent\w+|compon\w*|"
    r"haz(?:me)?|"
    r"scriv\w+|inventa\w*|componi|escrev\w+|cri[ea]\w*|faz|redija|schrijf|verzin|maak|napisz|wymysl|uloz)"
)
_WORK_OF_WORDS = (
    r"(?:poem|haiku|limerick|sonnet|story|tale|song|lyrics|rap|essay|e-?mail|mail|letter|speech|toast|slogans?|"
    r"taglines?|tweet|caption|blog|post|novel|screenplay|dialogue|monologue|joke|riddle|bio|invitation|birthday|"
    r"birthday card|card|names? for|ideas? for|outline|cv|resume|announcement|introduction|conclusion|abstract|"
    r"paragraph|sentence|metaphor|analogy|reply|message|"
    r"satz|gedicht\w*|geschichte|marchen|lied|aufsatz|brief|rede|witz|einladung|kundigung|karte|\w+karte|bewerbung|"
    r"nachricht|antwort|poeme|histoire|conte|chanson|lettre|discours|courriel|blague|message|discours|poema|historia|"
    r"cuento|cancion|carta|correo|discurso|chiste|mensaje|poesia|storia|racconto|canzone|lettera|discorso|"
    r"barzelletta|filastrocca|messaggio|conto|cancao|piada|mensagem|gedichtje|verhaal|brief|wiersz\w*|opowiadanie|list)"
)
CREATIVE = LazyPattern(
    rf"\b{_MAKE}\b.{{0,50}}?\b{_WORK_OF_WORDS}\b",
    rf"{_POLITE}(?:brainstorm|pick|choose|guess|think of|role ?play|act as|pretend|imagine|let's (?:play|role|"
    rf"pretend|imagine)|you are (?:a|an|my) |"
    r"you're (?:a|an|my) |from now on|stell dir vor|spiel|tu so|du bist (?:ein|mein)|imagine que|joue|imagina|"
    r"actua como|"
    r"immagina|fai finta|finge|finja|aja como)\b",
    rf"^\W*(?:(?:i|we) (?:need|want)|give me|gib mir|donne-moi|dame|dammi) (?:\w+ ){{0,3}}{_WORK_OF_WORDS}\b",
    flags=0,
)

REWRITE = LazyPattern(
    _POLITE
    + r"(?:(?:das|dies|diesen \w+|ce|cette|esto?|questo|isso) )?(?:translate|rewrite|rephrase|paraphrase|reword|"
    r"tl;?dr|proofread|improve|shorten|polish|spellcheck|"
    r"correct (?:this|the|my|that)|(?:fix|correct|check) (?:the |my )?(?:grammar|spelling|typos|punctuation)|"
    r"turn (?:this|that|it|the following|(?:my|these|the) .{1,30}? into)|make (?:it|that|this)\b|put (?:this|that|"
    r"it) (?:in|into)\b|"
    r"(?:say|explain|repeat|phrase|write) (?:it|that|this)\b|convert (?:this|that) (?:text|sentence|paragraph|list)|"
    r"ubersetz\w*|umformulier\w*|formulier\w* (?:das|dies|es|den|diesen)|korrigier\w*|kurz\w{1,2} (?:das|den|diesen)|"
    r"verbesser\w*|schreib\w* (?:das|es|diesen \w+) um|mach\w* (?:das|es)\b|"
    r"tradui[st]\w*|reformule\w*|corrige\w*|raccourci\w*|ameliore\w*|traduc\w*|reescrib\w*|reformula\w*|acorta|mejora|"
    r"traduci\w*|riscriv\w*|correggi\w*|accorcia|migliora|traduz\w*|reescrev\w*|corrij\w*|encurta\w*|melhora|melhore|"
    r"vertaal|herschrijf|verbeter|verkort|przetlumacz\w*|popraw|skroc|przeredaguj)\b"
    r"(?!.{0,30}\b(?:uploaded|hochgeladen\w*)\b)",
    _POLITE + r"(?:summari[sz]e|sum up|explain|fasse?|resum\w*|riassumi|samenvat|stresc)\b.{0,20}"
    r"\b(?:this|the following|following|below|diesen|folgenden|ce|le texte suivant|este|el siguiente|questo|"
    r"il seguente|o seguinte)\b"
    r"(?!.{0,20}\b(?:documents?|files?|pdf|dokument\w*|datei\w*|fichiers?|documentos?|archivos?|documenti|arquivos?|"
    r"report|handbook|contract|manual)\b)",
    _POLITE + r"(?:summari[sz]e|sum up|shorten|extract|fasse?|kurze?|resum\w*|raccourci\w*|riassumi|acorta|"
    r"stresc)\b[^:\n]{0,60}:\s+[^\s\d\[{].{20}",
    r"^\W*(?:how (?:do|would|can) (?:you|u|i|we) say|what(?:'s| is) .{1,60} in (?:english|german|french|spanish|"
    r"italian|"
    r"portuguese|dutch|polish|japanese|chinese|latin)\b|wie sagt man|wie heisst|was heisst|comment (?:dit-on|on dit)|"
    r"como se dice|come si dice|como se diz|hoe zeg je|jak (?:sie mowi|powiedziec))\b",
    r"^\W*(?:(?:a bit |a little |much |even |and )*(?:shorter|longer|simpler|funnier|more (?:formal|casual|polite|"
    r"detailed|"
    r"detail|friendly)|less \w+)(?: please| pls)?\W*$|"
    r"(?:why|how so|really|warum|wieso|pourquoi|por que|perche|waarom|dlaczego)\W*$|"
    r"(?:go on|continue|keep going|weiter|mach weiter|continue[rz]?|continua)\W*$|"
    r"(?:kurzer|plus court|mas corto|piu corto|mais curto|korter|krocej)\b)",
    flags=0,
)

_PROGRAM = (
    r"(?:functions?|class|script|program|regex|regular expression|code|snippet|component|unit tests?|tests?|decorator|"
    r"algorithm|query|api|cli|loop|dockerfile|makefile|html|css|webpage|website|app|bug|"
    r"funktion|klasse|skript|programm|schleife|abfrage|fonction|classe|programme|boucle|requete|funcion|clase|programa|"
    r"bucle|consulta|funzione|programma|ciclo|funcao|codigo|codice|laco|functie|klasse|funkcj\w+|skrypt|program)"
)
_LANGUAGE = (
    r"(?:python|javascript|js|typescript|ts|java|rust|golang|go|kotlin|swift|ruby|php|perl|bash|shell|powershell|c\+\+|"
    r"c#|haskell|scala|sql|html|css|react|vue|node|django|flask|fastapi|pandas|numpy|matplotlib|git|docker|excel|"
    r"latex|r)"
)
CODE_WRITING = LazyPattern(
    rf"\b(?:write|give me|create|implement|build|fix|debug|refactor|review|optimi[sz]e|generate|make|convert|"
    rf"schreib\w*|"
    rf"erstell\w*|implementier\w*|ecri[str]\w*|cree\w*|escrib\w+|crea\w*|implementa\w*|scriv\w+|escrev\w+|"
    rf"cri[ea]\w*|schrijf|maak|napisz|stworz)\b.{{0,40}}?\b{_PROGRAM}\b",
    r"\b(?:explain|what does|what's wrong with|whats wrong with|understand|erklar\w*|explique\w*|explica\w*|"
    r"spiega\w*)\b"
    r".{0,30}\b(?<!error )(?:code|function|snippet|script|regex|query|python|javascript|sql)\b",
    rf"^\W*(?:how (?:do|can|to|would)|what(?:'s| is| does)(?! new)|was ist|wie|comment|como|come|hoe|jak)\b.{{0,80}}"
    rf"\b(?:in|en|em|with|mit|avec|con|com|w) {_LANGUAGE}\b",
    r"\b(?:convert|translate|port|rewrite) (?:this|that|it|the (?:code|function)) (?:code |function )?(?:to|"
    r"into) [\w+#]+\W|\bspot the bug\b|\bsee the (?:bug|error|mistake)\b",
    r"\b(?:typeerror|valueerror|keyerror|syntaxerror|nullpointerexception|traceback|segfault|stack ?trace|"
    r"undefined is not"
    r"|error:)",
    r"^\W*(?:what does|was macht|que fait|que hace|cosa fa|o que faz) `[^`]{1,200}`",
    r"^\W*(?:excel|google sheets|spreadsheet) (?:formula|formel|function|macro)\b|\bone[- ]liner\b|\bformule excel\b|"
    r"\bformula (?:de|di) excel\b",
    r"^\W*(?:regex|regexp|regular expression|css|html|bash|sql|python|javascript|js) (?:for|to|that|which|code|"
    r"snippet|"
    r"function|script|one-?liner)\b",
    flags=0,
)

EXPLAIN = LazyPattern(
    r"^\W*(?:but |and |so |hey |ok |okay |aber |und |mais |et |pero |y |ma |e |mas )*"
    r"(?:why|how come|warum|wieso|weshalb|pourquoi|por que|porque|perche|waarom|dlaczego)\b(?! (?:not )?(?:search|"
    r"check))",
    _POLITE + r"(?:explain|describe|define|prove|show that|beweise?|demontre\w*|demuestra|dimostra|"
    r"erklar\w*|beschreib\w*|definier\w*|expliqu\w*|decri[st]\w*|defini[st]\w*|"
    r"explic\w*|describ\w*|define\w*|spieg\w*|descriv\w*|definisci|expliqu\w*|descrev\w*|leg uit|beschrijf|"
    r"wyjasnij|wytlumacz|opisz)\b",
    r"\bhow (?:does|do|is|are|did) (?:an? |the )?[\w' -]{2,40}?\b(?:works?|made|used|formed|calculated|predict\w*|"
    r"rank\w*)\b",
    r"^\W*wie (?:funktioniert|entsteht|entstehen|werden)\b|^\W*comment (?:fonctionne|marche)|^\W*como funciona|"
    r"^\W*come funziona|^\W*hoe werkt|^\W*jak dziala",
    r"\b(?:what (?:causes|happens|would happen)|was passiert|wodurch|que se passe|que pasa|cosa succede|"
    r"o que acontece)\b",
    r"\b(?:difference|unterschied\w*|difference|diferencia|differenza|diferenca|verschil|roznica)s?\b.{0,12}"
    r"\b(?:between|zwischen|entre|tra|fra|tussen|miedzy)\b|^\W*(?:the )?differences? between\b|"
    r"\bche differenza\b|^\W*(?:and )?(?:qual )?a diferenca\b",
    r"\bwhat (?:does|do|is|are)\b.{1,40}\b(?:mean|stand for|used for|good for|about)\W*$|"
    r"\bwhat (?:does|do) .{1,40}\b(?:mean)\b|\bmeaning of\b|\bdefinition of\b|\borigin of the word\b|"
    r"\bwas (?:bedeutet|heisst|versteht man)\b|\bwozu (?:braucht|dient)\b|\bque (?:signifie|veut dire|significa)\b|"
    r"\ba quoi ser[tv]\b|\b(?:para que|a cosa|para que) serve?\b|\bpara que sirve\b|\bcosa significa\b|"
    r"\bo que significa\b|"
    r"\bwat betekent\b|\bco (?:to )?znaczy\b",
    r"\bin (?:general|theory|principle|simple terms)\b|\bgenerally\b|\bim allgemeinen\b|\ben general\b|\bin generale\b|"
    r"\bem geral\b|\blike i'?m (?:five|5)\b|\bto a (?:child|kid|beginner|\d+[- ]year)",
    flags=0,
)
"""Something is to be explained, not looked up or computed."""

ADVICE = LazyPattern(
    r"^\W*(?:how (?:do|can|could|should|would|to)|wie (?:kann|konnte|soll|sollte|muss|mache|schreib\w*|lern\w*|koch\w*|"
    r"back\w*|geht|bekomm\w*|werd\w*)|"
    r"comment (?:faire|puis-je|je|on|rediger|ecrire|apprendre|peut-on|faut-il|\w+er)|"
    r"como (?:puedo|se|hago|hacer|faco|fazer|posso|aprend\w*|escrib\w*|escrev\w*)|"
    r"come (?:posso|si|faccio|fare|\w+are|\w+ere)|hoe (?:kan|moet|maak|leer|schrijf)|jak (?:moge|zrobic|napisac|"
    r"nauczyc))\b",
    r"\b(?:should (?:i|we)|would you|do you think|your (?:opinion|favou?rite)|what do you think|recommend|best way|"
    r"tips\b|advice|pros and cons|advantages|disadvantages|pick one|(?:good|nice|funny|better|great) (?:name|book|idea|"
    r"gift|question|film|movie|novel|recipe|way)s?\b|any (?:\w+ )?ideas|i feel|i'm feeling|"
    r"feeling (?:a bit )?(?:down|sad)|"
    r"what (?:should|shall) (?:i|we)|is it (?:normal|ok|okay|too late|better|worth|safe)|etiquette|"
    r"recipes?\b(?!.{0,60}\d)|synonyms?|"
    r"hast du .{0,30}(?:tipps|ideen)|tipps|rat(?:schlag\w*)?|empfiehl\w*|empfehl\w*|was haltst du|was meinst du|"
    r"ideen?\b|"
    r"vor- und nachteile|vorteile|nachteile|rezept\w*\b(?!.{0,60}\d)|"
    r"conseils?|recommande\w*|que penses-tu|idees?|avantages|inconvenients|recette|"
    r"consejos?|recomienda\w*|recomiendame|que opinas|que piensas|ventajas|desventajas|receta|"
    r"consigli\w*|cosa ne pensi|vantaggi|svantaggi|ricetta|"
    r"conselhos?|dicas?|recomend\w*|o que (?:voce )?acha|ideias?|vantagens|desvantagens|receita|"
    r"advies|aanbevel\w*|voordelen|nadelen|recept|porady|polec|pomysly?)\b",
    r"\b(?:what|how) (?:should|does|do|would|must|makes?) (?:a|an) (?:good|fair|typical|proper|great)\b|"
    r"\bwhat makes a\b|\bein(?:e[nmr]?)? gute[nrsm]?\b|\bun bon(?:ne)?\b|\bun buen[oa]?\b|\bun buon[oa]?\b|\bum bom\b|"
    r"\bma boa\b|\been goed\w*\b",
    flags=0,
)
"""Advice, ideas or an opinion is wanted."""

FAMOUS = LazyPattern(
    r"^\W*who (?:first )?(?:wrote|painted|invented|composed|discovered|founded|directed|built|created|was|were) "
    r"(?!(?:the|this|that|our|my|it|these|those) (?:report|contract|document|file|email|letter|policy|handbook|"
    r"manual|paper|"
    r"thesis|scan|lease|notes?|invoice|agreement|draft|study|meeting)|it\b)",
    r"^\W*wer (?:hat .{2,60}(?:geschrieben|gemalt|erfunden|entdeckt|komponiert|gegrundet)|malte|schrieb|erfand|"
    r"entdeckte|war)\b(?!.{0,20}\b(?:bericht|vertrag|dokument|handbuch))",
    r"^\W*qui (?:a (?:ecrit|peint|invente|decouvert|compose|fonde|realise)|etait)\b(?!.{0,10}\b(?:rapport|contrat|"
    r"document))",
    r"^\W*quien (?:escribio|pinto|invento|descubrio|compuso|fundo|fue|era)\b(?!.{0,10}\b(?:informe|contrato|"
    r"documento))",
    r"^\W*chi (?:ha (?:scritto|dipinto|inventato|scoperto|composto|fondato)|era|fu|scrisse)\b"
    r"(?!.{0,10}\b(?:rapporto|contratto|documento))",
    r"^\W*quem (?:escreveu|pintou|inventou|descobriu|compos|fundou|foi|era)\b(?!.{0,10}\b(?:relatorio|contrato|"
    r"documento))",
    r"^\W*(?:wie (?:schreef|schilderde|was)|kto (?:napisal|namalowal|wynalazl|odkryl))\b",
    r"\b(?:capital (?:city )?of|capitale d|capital d[aeo]|hauptstadt|hoofdstad|stolica|boiling point|melting point|"
    r"planets?|planetas?|planetes?|planeten|pianeti|solar system|sistema solar|sonnensystem|continents?|world war|"
    r"weltkrieg|guerre mondiale|guerra mundial|guerra mondiale|revolution|revolucion|rivoluzione|revolucao|"
    r"speed of light|mount everest|roman empire|first person on the moon|moon landing|the (?:earth|moon|universe))\b",
    r"^\W*(?:capital|hauptstadt|capitale) (?:of|von|de|di)\b",
    r"\b(?:history|plot|theory|rules|concept|meaning|inventor|author) of\b",
    flags=0,
)
"""General knowledge: any encyclopedia has it and it does not change."""

WHAT_IS = LazyPattern(
    r"^\W*(?:hey |ok |and |so )*(?:what(?:'?s| is| are| r)|who(?:'s| is)) (?!the\b|that\b|this\b|these\b|those\b|"
    r"my\b|our\b|"
    r"your\b|in\b|on\b|it\b|new\b|there\b)(?:an? )?(?:[a-z-]+ ?){1,4}\W*$",
    r"^\W*(?:what(?:'?s| is) an? )",
    r"^\W*was (?:ist|sind|macht) ein\w*\b|^\W*was (?:ist|sind) [a-z-]+\W*$|"
    r"^\W*(?:qu'est[- ]ce qu|c'est quoi)|^\W*que es\b|^\W*(?:che )?cos'e\b|^\W*che cosa\b|^\W*o que e\b|"
    r"^\W*wat is een\b|"
    r"^\W*co to jest\b",
    flags=0,
)
"""A definition is wanted: "what is a lease", not "what is the rent"."""

AFTERWARDS = LazyPattern(
    _POLITE
    + r"(?:add|insert|include|mention|remove|delete|drop|leave out|change|replace|swap|use|say|make|keep|start|end|"
    r"fuge|lass|anderes?|andere|ersetze|ajoute|enleve|supprime|change|remplace|anade|agrega|quita|cambia|aggiungi|"
    r"togli|"
    r"cambia|adiciona|acrescenta|tira|muda|voeg|verwijder|dodaj|usun|zmien)\b",
    r"^\W*(?:and |ok |now |und |et |y |e |noch )?(?:another|one more|again|noch ein\w*|encore|un autre|une autre|"
    r"otro|otra|"
    r"un altro|un'altra|outro|outra|nog een|jeszcze)\b",
    r"^\W*(?:more|tell me more|go deeper|elaborate|mehr|plus de details|mas|di piu|mais|meer|wiecej)\b",
    r"\bexample|beispiel|exemple|ejemplo|esempio|exemplo|voorbeeld|przyklad",
    flags=0,
)
"""Said after a text that was written: change it."""

ONWARD = LazyPattern(
    r"^\W*(?:now|only|just|same|instead|again|without|with|in|for|sorted|jetzt|nur|ohne|mit|nochmal|maintenant|"
    r"seulement|sans|"
    r"ahora|solo|sin|adesso|soltanto|senza|agora|so|apenas|sem)\b",
    flags=0,
)
"""A short query that begins so goes on from the last one: "now in red", "only for March"."""

OWN = LazyPattern(rf"\b{OWN_MATTER}\b", flags=0)
"""What people's own papers are about."""
RULE = LazyPattern(rf"^\W*{MAY_I}", flags=0)
GENERIC = LazyPattern(
    r"\b(?:a|an|any|ein|eine|einen|einem|eines|un|une|una|uno|um|uma|een) (?:\w+ )?(?:good |fair |guten? )?"
    rf"{OWN_MATTER}\b|\b(?:companies|people|one|man|firms|employers)\b|\bin general\b",
    flags=0,
)
"""Any such thing, not the user's own."""

STATEMENT = LazyPattern(
    r"^\W*(?:so |and |ok |today |yesterday )*(?:i|i'm|im|i've|we|we've|we're|my|our|ich|wir|mein\w*|je|j'ai|nous|mon|"
    r"ma|estoy|tengo|mi|sono|ho|mio|mia|to|estou|tenho|meu|minha)\b"
    r"(?! (?:need|want|would like|wanna|brauche|mochte|will|voudrais|veux|besoin|quiero|necesito|vorrei|voglio|quero|"
    r"preciso))(?!.{0,200}\b(?:what's|what is|how much|how many|find|get|check|calculate|convert|show|tell|search|"
    r"look|such|zeig|"
    r"berechne|cherche|calcule|busca|calcula|cerca|calcola|procura)\b)[^?:]*$",
    flags=0,
)
"""Somebody tells of themselves and asks nothing: "we won our match today"."""

DEFINITE_OWN = LazyPattern(
    r"\b(?:the|my|our|this|that|der|die|das|dem|den|mein\w*|unser\w*|le|la|les|mon|ma|mes|notre|el|los|las|mi|mis|il|"
    r"lo|i|gli|mio|mia|o|a|os|as|meu|minha|het|de) "
    rf"(?:\w+ )?{OWN_MATTER}\b|\bl'{OWN_MATTER}\b|\bthe (?:authors?|study|meeting|minutes|form|sample|device|"
    rf"machine)\b|"
    r"\b(?:page|section|clause|paragraph|chapter|article|paragraf|seite|fehler|fehlercode|error|error code|"
    r"code) \w?\d+\b",
    flags=0,
)
SHORT_DEFINITE = LazyPattern(
    r"^\W*(?:and )?(?:what(?:'?s| is| are| was)|was (?:ist|sind)|wie (?:ist|hoch ist|lautet)|quel(?:le)?s? (?:est|"
    r"sont)|cual(?:es)? (?:es|son)|qual(?:i)? (?:e|sono)|qua(?:l|is) (?:e|sao)|wat is) "
    r"(?:the|our|my|der|die|das|le|la|les|l'|el|los|las|il|lo|i|gli|o|a|os|as|de|het) ?\w+(?: \w+){0,3}\W*$",
    flags=0,
)
"""One thing, spoken of as known: "what is the excess", as one asks of a paper at hand."""
WRITING_LEAD = LazyPattern(
    _POLITE + r"(?:write|compose|draft|invent|make up|schreib\w*|verfass\w*|erfind\w*|ecri[st]\w*|redige\w*|"
    r"invente\w*|escrib\w+|redact\w+|inventa\w*|scriv\w+|escrev\w+|schrijf|napisz)\b",
    flags=0,
)
WORLD = LazyPattern(
    r"\b(?:human (?:body|being)|mensch\w*|corps humain|cuerpo humano|corpo (?:umano|humano)|animals?|tiere?|animaux|"
    r"animales|animali|animais|cats?|katzen?|gatos?|gatt[oi]|dogs?|"
    r"hunde?|chiens?|perros?|cane|cani|cachorros?|birds?|vogel|fish|horses?|insects?|spiders?|whales?|mountains?|"
    r"berge?|montagnes?|montanas?|montagn[ae]|montanhas?|rivers?|flusse?|"
    r"fleuves?|rios?|fium[ei]|lakes?|oceans?|meer|islands?|insel\w*|deserts?|country|countries|lander|pays|pais|"
    r"paises|paesi|continent\w*|currency|wahrung|monnaie|moneda|moneta|moeda|"
    r"africa|afrika|afrique|europ[ea]|asia|asien|asie|america|amerika|amerique|australi\w+|antarctic\w*|castle|"
    r"cathedral|\w*dom|tower|pyramids?|colosseum|colosseo|coliseo|coliseu|"
    r"potato(?:es)?|kartoffeln|pommes de terre|patatas|patate|batatas|rice|pasta|eggs?|kings?|konig\w*|queens?|"
    r"emperors?|kaiser|century|jahrhunderts?|siecle|siglo|secolo|seculo|ancient|"
    r"medieval|middle ages|mittelalter|dinosaurs?|vikings?|romans?|philosoph\w*|theorem|hypothesis|symptoms?|"
    r"symptome|symptomes|sintomas|sintomi|vitamins?|photography|invent\w*|erfind\w*|erfund\w*)\b",
    flags=0,
)
"""What the world at large knows, unlike the papers of one person."""
