"""Words that give a query's kind away, in English, German, French, Spanish, Italian and Portuguese."""

from __future__ import annotations

from dataclasses import dataclass

from backend.utils.patterns import LazyPattern

# ---- for a plain completion ---------------------------------------------------------------------

SMALL_TALK = LazyPattern(
    r"\b(?:how are you|how(?:'s| is) it going|how do you do|what'?s up|who are you|what are you\b|what(?:'s|"
    r" is) your name|"
    r"what can you do|what do you do|how can you help|are you (?:a |an )?(?:human|robot|ai|bot|real|sentient|alive)|"
    r"who made you|"
    r"do you (?:like|love|feel|dream|think|have feelings)|tell me (?:a|another) (?:joke|story|riddle|fun fact)|"
    r"wie geht(?:['’]?s| es)|wer bist du|was bist du|wie heißt du|was kannst du|erzähl(?:e)? (?:mir )?(?:einen|"
    r"noch einen|eine)|"
    r"ça va\b|comment (?:vas-tu|allez-vous|tu t['’]appelles)|qui es[- ]tu|que (?:sais|peux)[- ]tu faire|"
    r"raconte(?:-moi)? une|"
    r"cómo estás|qué tal|quién eres|cómo te llamas|qué (?:puedes|sabes) hacer|cuéntame un|"
    r"come stai|come va\b|chi sei|come ti chiami|cosa (?:puoi|sai) fare|raccontami una|"
    r"como (?:vai|estás|está você)|quem é você|o que você (?:pode|sabe) fazer|me conte uma|conta-me uma)"
)
_MAKE = (
    r"(?:write|compose|draft|create|make up|invent|tell|generate|give me|suggest|brainstorm|schreib\w*|verfass\w*|"
    r"dicht\w*|erfind\w*|"
    r"écri[str]\w*|écrivez|compose|rédige\w*|invente\w*|propose|escrib\w+|redact\w+|invent\w+|compon\w*|scriv\w+|"
    r"inventa\w*|escrev\w+|cri[ea]\w*)"
)
_WORK_OF_WORDS = (
    r"(?:poem|haiku|limerick|sonnet|story|tale|song|lyrics|rap|essay|e-?mail|letter|speech|toast|slogan|tagline|"
    r"tweet|caption|blog|"
    r"novel|screenplay|dialogue|monologue|joke|riddle|bio|invitation|birthday|names? for|ideas? for|gedicht|"
    r"geschichte|märchen|lied|"
    r"aufsatz|brief|rede|witz|einladung|poème|histoire|conte|chanson|lettre|discours|courriel|blague|poema|historia|"
    r"cuento|canción|"
    r"carta|correo|discurso|chiste|poesia|storia|racconto|canzone|lettera|discorso|barzelletta|filastrocca|história|"
    r"conto|canção|piada)"
)
CREATIVE = LazyPattern(rf"\b{_MAKE}\b.{{0,60}}?\b{_WORK_OF_WORDS}")
REWRITE = LazyPattern(
    r"^\W*(?:(?:please|can you|could you|kannst du|bitte|peux-tu|puedes|puoi|pode[s]?|por favor|per favore)\W+)*"
    r"(?:translate|rewrite|rephrase|paraphrase|reword|proofread|correct|improve|shorten|polish|"
    r"fix (?:the )?(?:grammar|spelling)|"
    r"übersetz\w*|formuliere?|umformulier\w*|korrigier\w*|kürze?|verbessere?|traduis\w*|tradui[st]\w*|reformule\w*|"
    r"corrige\w*|raccourci\w*|"
    r"traduce\w*|reescrib\w*|reformula\w*|traduci\w*|riscriv\w*|correggi\w*|traduz\w*|reescrev\w*|corrij\w*)\b",
    r"^\W*(?:please )?(?:summari[sz]e|explain|fasse?|résume[rz]?|resume|riassumi|resuma)\b.{0,20}"
    r"\b(?:this|the following|following|below|diesen|folgenden|ce|le texte suivant|este|el siguiente|questo|"
    r"il seguente|o seguinte)\b"
    r"(?!.{0,20}\b(?:document|file|pdf|dokument|datei|fichier|documento|archivo|file|arquivo))",
    r"^\W*(?:how do (?:you|i) say|wie sagt man|comment dit-on|cómo se dice|come si dice|como se diz)\b",
    r"^\W*(?:make (?:it|that|this)|(?:a bit |much )?(?:shorter|longer|simpler|funnier)|say (?:it|that) (?:again|"
    r"differently)|"
    r"explain (?:that|it|this)(?: again| more simply| in simpler (?:words|terms))?\W*$|why\W*$|warum\W*$|"
    r"pourquoi\W*$|por qué\W*$|perché\W*$|por quê\W*$|"
    r"(?:go on|continue|weiter|mach weiter|continue[rz]?|continúa|continua)\W*$|(?:kürzer|plus court|más corto|"
    r"più corto|mais curto)\b)",
)
_PROGRAM = (
    r"(?:function|class|script|program|regex|regular expression|code|snippet|component|unit tests?|decorator|"
    r"algorithm|query|api|cli|"
    r"dockerfile|makefile|html|css|webpage|funktion|klasse|skript|programm|fonction|classe|programme|función|clase|"
    r"programa|"
    r"funzione|programma|função|código|codice)"
)
_PROGRAMMING_LANGUAGE = (
    r"(?:python|javascript|typescript|java|rust|golang|go|kotlin|swift|ruby|php|perl|bash|shell|powershell|c\+\+|c#|"
    r"haskell|scala|sql|html|"
    r"css|react|vue|node|django|flask|fastapi)"
)
CODE_WRITING = LazyPattern(
    rf"\b(?:write|create|implement|build|fix|debug|refactor|review|explain|optimi[sz]e|generate|schreib\w*|"
    rf"erstell\w*|implementier\w*|"
    rf"écri[str]\w*|crée\w*|escrib\w+|crea\w*|implementa\w*|scriv\w+|escrev\w+|"
    rf"cri[ea]\w*)\b.{{0,40}}?\b{_PROGRAM}\b.{{0,60}}",
    rf"^\W*how (?:do|can|to|would)\b.{{0,80}}\bin {_PROGRAMMING_LANGUAGE}\b",
    rf"^\W*(?:was ist|wie)\b.{{0,80}}\bin {_PROGRAMMING_LANGUAGE}\b",
)

# ---- for tools ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ToolCue:
    """A way of speaking that asks for a kind of tool.

    `tools` matches the name or description of tools of that kind. An `instruction` ("search the web", "in my
    documents") outweighs signs of a plain chat; a mere subject ("weather in …") does not.
    """

    says: str
    pattern: LazyPattern
    tools: LazyPattern
    instruction: bool
    needs_documents: bool = False
    requires: LazyPattern | None = None
    """Must be found too."""

    def found_in(self, text: str) -> bool:
        return bool(self.pattern.search(text)) and (self.requires is None or bool(self.requires.search(text)))


_MY = (
    r"(?:my|our|the|these|those|this|uploaded|attached|mein\w*|unser\w*|de[nmr]|diese\w*|hochgeladen\w*|mes|mon|ma|"
    r"nos|notre|les|ces|mis|mi|nuestr[oa]s?|los|las|el|i miei|miei|il mio|la mia|nostri|nei|meus|minhas|nossos|os)"
)
_PAPERS = (
    r"(?:documents?|files?|pdfs?|docs?|uploads?|attachments?|handbook|manual|contract|report|policy|policies|notes|"
    r"paper|spreadsheet|"
    r"dokument\w*|dateie?n?|unterlagen|handbuch\w*|vertrag\w*|bericht\w*|richtlinie\w*|fichiers?|manuel|contrat|"
    r"rapport|documentos?|archivos?|contrato|"
    r"informe|documenti|contratto|rapporto|manuale|arquivos?|relatório)"
)
_MATH_SIGN = LazyPattern(r"[\d=√∫^]|\b(?:x|y|sin|cos|pi)\b")

TOOL_CUES: tuple[ToolCue, ...] = (
    ToolCue(
        "a search of the web",
        LazyPattern(
            r"\b(?:search|look (?:it |this |that |them )?up|browse|google|check|find)\b.{0,40}\b(?:web|internet|"
            r"online|google)\b|^\W*google\b|"
            r"\bweb search\b|\bon the (?:web|internet)\b",
            r"\bsuch\w*\b.{0,40}\b(?:web|internet|netz|online)\b|\bim (?:internet|web|netz)\b|\bgoogle (?:mal|nach)\b",
            r"\b(?:cherche\w*|recherche\w*|trouve\w*)\b.{0,40}\b(?:sur (?:internet|le web|google)|en ligne)\b|"
            r"\bsur (?:internet|le web)\b",
            r"\bbusc\w*\b.{0,40}\b(?:internet|la web|en línea|google)\b|\ben (?:internet|la web)\b",
            r"\b(?:cerc\w*|trova)\b.{0,40}\b(?:internet|rete|web|google|online)\b|\bsu internet\b",
            r"\b(?:pesquis\w*|procur\w*|busc\w*)\b.{0,40}\b(?:internet|web|google|online)\b|\bna (?:internet|web)\b",
        ),
        LazyPattern(r"\bweb\b|web_|internet"),
        instruction=True,
    ),
    ToolCue(
        "the user's documents",
        LazyPattern(
            rf"\b(?:in|from|of|through|across|according to|within|based on|using|about|search|read|check|"
            rf"what do(?:es)?) {_MY} (?:\w+ )?{_PAPERS}\b",
            rf"\b(?:my|our|uploaded|attached) (?:\w+ )?{_PAPERS}\b|\b(?:i|we) (?:have )?(?:just )?uploaded\b|"
            rf"\bthe (?:pdf|attachment|handbook)\b",
            rf"\b(?:que dit|qué dice|was sagt|cosa dice|o que diz) (?:\w+ )?{_PAPERS}\b",
            rf"\b(?:in|aus|laut|gemäß|nach|durchsuche?|über) {_MY} (?:\w+ )?{_PAPERS}\b|\b(?:mein\w*|unser\w*|"
            rf"hochgeladen\w*) {_PAPERS}\b|\bim (?:handbuch|dokument|vertrag|bericht|pdf)\b",
            rf"\b(?:laut|gemäß|selon|según|secondo|segundo) {_PAPERS}\b",
            rf"\b(?:dans|selon|d['’]après|de) {_MY} {_PAPERS}\b|\b(?:mes|nos) {_PAPERS}\b",
            rf"\b(?:en|según|de) {_MY} {_PAPERS}\b|\b(?:mis|nuestros) {_PAPERS}\b",
            rf"\b(?:nei|secondo|dai) (?:\w+ )?{_PAPERS}\b|\bmiei {_PAPERS}\b",
            rf"\b(?:nos|segundo|de acordo com) (?:\w+ )?{_PAPERS}\b|\b(?:meus|nossos) {_PAPERS}\b",
        ),
        LazyPattern(r"document|retriev|\brag"),
        instruction=True,
        needs_documents=True,
    ),
    ToolCue(
        "running code",
        LazyPattern(
            rf"\b(?:run|execute|führe?|exécute\w*|lance|ejecuta\w*|corre|esegui\w*|"
            rf"execute)\b.{{0,40}}\b(?:{_PROGRAM}|python|this)\b",
            r"\b(?:plot|simulate|simuliere|zeichne)\b.{0,60}\b(?:curve|chart|graph|histogram|rolls|distribution|"
            r"samples|times|kurve|diagramm)\b",
            r"\b(?:code|skript|programm)\b.{0,20}\b(?:ausführen|laufen lassen)\b|\b(?:use|using|with|mit|avec|con|"
            r"com) python\b.{0,60}\b(?:to|and|um|pour|para|per)\b",
        ),
        LazyPattern(r"\bcode\b|python|sandbox"),
        instruction=True,
    ),
    ToolCue("Wikipedia", LazyPattern(r"\bwikip[eéè]dia\b"), LazyPattern("wikipedia"), instruction=True),
    ToolCue(
        "a database",
        LazyPattern(
            r"\bselect\b.{1,200}\bfrom\b|\b(?:query|search|ask|look in) (?:\w+ ){0,3}(?:database|tables?)\b|"
            r"\bsql query (?:against|on|over)\b|\brun .{0,20}\bsql\b",
            r"\b(?:in|aus) der datenbank\b|\bbase de données\b|\bbase de datos\b|\bbanco de dados\b|\bin (?:my|our|"
            r"the) (?:database|sales table)\b",
        ),
        LazyPattern(r"\bsql|database"),
        instruction=True,
    ),
    ToolCue(
        "a calculation",
        LazyPattern(
            r"\b(?:calculate|compute|solve|evaluate|integrate|derivative|differentiate|factori[sz]e|factor|simplify|"
            r"square root|determinant|eigenvalues?|factorial|gcd|lcm|logarithm|"
            r"berechne|rechne|löse|ableitung|integriere|wurzel|wie ?viel (?:ist|sind|ergibt)|calcule[rz]?|"
            r"résou[sd]\w*|dérivée|racine|combien (?:font|fait)|"
            r"calcula\w*|resuelve|derivada|raíz|cuánto (?:es|son)|calcola|risolvi|derivata|radice|quanto fa|resolva|"
            r"raiz|quanto é)\b",
            r"^\W*(?:what(?:'s| is)|how much is|was ist|quanto fa|combien font)?\s*[\d(][\d\s.,()]*(?:[-+*/×÷^%]|"
            r"\*\*|mod|times|plus|minus|mal|divided by)\s*[\d(][\d\s+\-*/×÷^%().,=]*\??$",
            r"\b\d+(?:[.,]\d+)?\s?(?:%|percent|prozent|pour ?cent|por ciento|per cento|por cento) (?:of|von|de|di) ",
        ),
        LazyPattern(r"math|calculat|arithmetic"),
        instruction=False,
        requires=_MATH_SIGN,
    ),
    ToolCue(
        "an analysis of data",
        LazyPattern(
            r"\b(?:mean|average|median|standard deviation|sum|total|minimum|maximum|statistics|distribution|"
            r"outliers?|analy[sz]e|"
            r"mittelwert|durchschnitt\w*|median|summe|statistik|analysiere|moyenne|médiane|écart[- ]type|"
            r"statistiques|media|mediana|promedio|"
            r"desviación|estadísticas?|deviazione|statistiche|média|desvio|estatísticas?|analiza|analizza|"
            r"analise)\b.{0,120}(?:\[|\{|\.csv\b|\.json\b|\bcsv\b|\bcolumns?\b|\bspalte\b|\bcolonne\b|\bcolumna\b|"
            r"\bcolonna\b|\bcoluna\b|\bdata ?set\b)",
            r"(?:\.csv|\.json)\b",
        ),
        LazyPattern(r"statistic|\bdata\b|data_"),
        instruction=False,
    ),
    ToolCue(
        "the weather",
        LazyPattern(
            r"\bhow (?:cold|warm|hot) (?:will|is) it\b|\b(?:weather|forecast|temperature)\b.{0,30}\b(?:in|for|at|"
            r"today|tomorrow|tonight|this week|next)\b|"
            r"\b(?:will|is) it (?:going to )?(?:rain|snow)|\bis it raining\b",
            r"\b(?:wetter|temperatur|vorhersage)\b.{0,30}\b(?:in|für|heute|morgen)\b|\bregnet es\b|"
            r"\bmétéo\b.{0,30}\b(?:à|de|demain|pour)|\bquel temps\b",
            r"\b(?:tiempo hace|clima|pronóstico)\b.{0,30}\b(?:en|para|mañana|hoy)\b|\bche tempo\b|\bprevisioni\b|"
            r"\bprevisão do tempo\b|\bcomo está o tempo\b",
        ),
        LazyPattern(r"weather"),
        instruction=False,
    ),
)

FRESHNESS = LazyPattern(
    r"\b(?:latest|newest|current(?:ly)?|right now|today'?s?|yesterday|this (?:week|month|year)|breaking|news|"
    r"stock price|exchange rate|price of|"
    r"aktuell\w*|neueste\w*|nachrichten|heute|gestern|börsenkurs|actualités?|dernières? nouvelles|aujourd['’]hui|"
    r"hier|prix actuel|"
    r"últimas noticias|noticias|actual(?:mente)?|hoy|ayer|notizie|oggi|ieri|attuale|notícias|hoje|ontem|atual)\b"
)
COMPREHENSIVE = LazyPattern(
    r"\b(?:comprehensive|in-depth|thorough|exhaustive|detailed)\b.{0,40}\b(?:report|analysis|overview|research|"
    r"review|study|comparison|summary|investigation)\b",
    r"\b(?:research|investigate)\b.{0,80}\b(?:report|and (?:compare|summari[sz]e|write))\b|\bfull (?:report|"
    r"analysis)\b",
    r"\b(?:umfassend|ausführlich|detailliert|gründlich|vollständig)\w*\b.{0,40}\b(?:bericht|analyse|übersicht|"
    r"recherche|vergleich|zusammenfassung)\b",
    r"\b(?:rapport|analyse|étude|synthèse)\b.{0,30}\b(?:compl(?:et|ète)|détaillée?|approfondie?|exhausti(?:f|ve))\b",
    r"\b(?:informe|análisis|estudio)\b.{0,30}\b(?:complet[oa]|detallad[oa]|exhaustiv[oa]|profund[oa])\b",
    r"\b(?:rapporto|relazione|analisi|studio)\b.{0,30}\b(?:complet[oa]|dettagliat[oa]|approfondit[oa])\b",
    r"\b(?:relatório|análise|estudo)\b.{0,30}\b(?:complet[oa]|detalhad[oa]|aprofundad[oa])\b",
)
SEVERAL = LazyPattern(r"\b(?:compare|contrast|pros and cons|vergleiche?|compare[rz]?|compara|comparar|confronta)\b")
NUMERIC = LazyPattern(
    r"\d.*?\D\d|\b(?:convert|square|cube|half|double|percent|prozent)\b.{0,30}\d|\d.{0,30}\b(?:miles|km|kg|euros?|"
    r"dollars?|percent|times)\b"
)
DATA = LazyPattern(
    r"\b(?:my|the|this|these|our) (?:\w+ )?(?:table|data|dataset|spreadsheet|numbers|rows|columns)\b|"
    r"\bdiese\w* (?:daten|zahlen|tabelle)\b|"
    r"\bdie (?:tabelle|daten)\b|\b(?:ces|les) (?:données|chiffres)\b|\b(?:estos|los) datos\b|\b(?:questi|i) dati\b|"
    r"\b(?:estes|os) dados\b"
)
DEPENDENT = LazyPattern(
    r"\b(?:then|after(?:wards| that)|based on (?:that|this|the (?:result|answer|outcome))|depending on|use (?:that|"
    r"the (?:result|answer))|"
    r"dann|danach|anschließend|je nachdem|abhängig von|darauf basierend|ensuite|puis|en fonction d[eu]|"
    r"selon le résultat|"
    r"luego|después|dependiendo|según el resultado|poi|dopodiché|in base al risultato|a seconda|depois|em seguida|"
    r"dependendo)\b",
    r"^\W*(?:if|wenn|falls|si|se)\b.{3,200}\b(?:then|dann|alors|entonces|allora|então|otherwise|sonst|sinon|si no|"
    r"altrimenti|senão|tell|what|find|search|calculate)\b",
)
EXPLORATORY = LazyPattern(
    r"\b(?:step by step|schritt für schritt|étape par étape|paso a paso|passo (?:dopo|a) passo|figure out|find out)\b"
)
