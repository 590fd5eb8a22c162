"""Words that ask for a kind of tool, and those that say how big the work is.

All patterns read text folded by `routing_text.fold` (lower case, no accents) in English, German, French, Spanish,
Italian, Portuguese, and for the commonest things Dutch and Polish.
"""

from __future__ import annotations

from dataclasses import dataclass

from backend.core.routing_words import (
    AGGREGATE,
    ARITHMETIC,
    FRESH_TOPIC,
    HOW_MUCH,
    MY,
    NOW,
    PAPERS,
    PLACE_OR_TIME,
    SEARCH_VERB,
    START,
    TWO_NUMBERS,
    UNITS_IN_UNIT,
    WEATHER_ASKED,
    WEATHER_OF,
    WEATHER_SIGN,
    WEATHER_WHEN,
    WEATHER_WORD,
)
from backend.utils.patterns import LazyPattern


@dataclass(frozen=True, slots=True)
class ToolCue:
    """A way of speaking that asks for a kind of tool.

    `tools` matches the name or description of tools of that kind. An `instruction` ("search the web", "in my
    documents") outweighs signs of a plain chat; a mere subject ("weather in …") does not.
    """

    kind: str
    says: str
    pattern: LazyPattern
    tools: LazyPattern
    instruction: bool = False
    sure: bool = True
    """Whether it decides by itself; otherwise it leans, and likeness to examples has its say."""
    requires: LazyPattern | None = None
    """Must be found too."""
    unless: LazyPattern | None = None
    """Must not be found."""

    def found_in(self, folded: str) -> bool:
        return (
            bool(self.pattern.search(folded))
            and (self.requires is None or bool(self.requires.search(folded)))
            and (self.unless is None or not self.unless.search(folded))
        )


WEB_TOOLS = LazyPattern(r"\bweb\b|web_|internet")
PAPER_TOOLS = LazyPattern(r"document|retriev|\brag")
NUMBER_TOOLS = LazyPattern(r"math|calculat|statistic|data_|python")
DATA_TOOLS = LazyPattern(r"statistic|\bdata\b|data_|\bsql|database")

_ABOUT_WIKIPEDIA = LazyPattern(
    r"\bwho (?:founded|made|owns|runs|started)\b|\bwhat is wikipedia\W*$|\bhow (?:does|do|is|can|to)\b.{0,30}wikipedia|"
    r"\bis wikipedia\b|\b(?:people|students|anyone|school|schools|teachers)\b.{0,30}wikipedia|"
    r"wikipedia\b.{0,30}\b(?:school|essays?|citations?)\W*$|\bwikipedia (?:reliable|trustworthy|free)\b|\b(?:was ist|"
    r"qu'est-ce que|que es|cos'e|o que e) "
    r"(?:la |die |a )?wikipedia\W*$",
    flags=0,
)
_MATH_SIGN = LazyPattern(r"[\d=√∫^]|\b(?:x|y|sin|cos|tan|pi|ln|log|exp)\b", flags=0)
_CODE_SHOWN = LazyPattern(
    r"\bprint ?\(|\bimport \w|\bdef \w|\bfor \w+ in\b|```|\w+\([^)\n]{0,80}\)|;\s|\bcode\b|\bskript\b|\bscript\b|"
    r"\bpython\b|"
    r"\bcodigo\b|\bcodice\b|\bprogram\w*\b",
    flags=0,
)
_HOW_TO = LazyPattern(
    r"^\W*(?:how|wie|comment|como|come|hoe|jak) (?:do|can|to|would|kann|zeichne|mach\w*|faire|on|je|hago|"
    r"puedo|se|faccio|si|posso|faco)\b",
    flags=0,
)

TOOL_CUES: tuple[ToolCue, ...] = (
    ToolCue(
        "web",
        "a search of the web",
        LazyPattern(
            r"\b(?:search|look(?:ing)?|browse|google|check|find|see|people saying)\b.{1,60}?\b(?:(?:the )?web|"
            r"internet|online|google)\b"
            r"(?! (?:store|shop|course|sheets|docs|drive|maps))|\bweb search\b|\bon the (?:web|internet)\b",
            rf"{START}(?:{SEARCH_VERB})\b(?! (?:engine|function|algorithm|paper|question|sheets|docs|drive|called|"
            rf"is)\b)",
            r"\b(?:find|get|give|show)(?: me)? (?:(?:some|three|two|five|\d+) )?(?:the )?(?:recent|latest|newest|"
            r"current) "
            r"(?:\w+ ){0,2}(?:articles?|reviews?|news|studies|papers|sources|information|info|figures|numbers)\b",
            r"\bfind (?:me |us )?(?:an? |some )(?!(?:synonym|rhyme|word|bug|way|name|title|"
            r"idea))\w[\w ]{1,40}? (?:near|in|close to|around)\b",
            r"\bfind (?:me )?(?:articles|reviews|news|flights|hotels|restaurants|tickets|information|info|"
            r"out) (?:about|on|of|for|to|"
            r"in|who|what|when|where|which|how)\b",
            r"\b(?:such\w*|recherchier\w*|schau\w*|find\w*|guck\w*|aktuelle\w*)\b.{0,60}?\b(?:im |das )?(?:web|"
            r"internet|netz|online)\b",
            r"\b(?:cherche\w*|recherche\w*|trouve\w*|regarde\w*)\b.{0,60}?\b(?:sur (?:internet|le web|le net|google)|"
            r"en ligne)\b|"
            r"\bsur (?:internet|le web)\b",
            r"\b(?:busc\w*|investig\w*)\b.{0,60}?\b(?:internet|la web|en linea|google)\b|\ben (?:internet|la web)\b",
            r"\b(?:cerc\w*|trova)\b.{0,60}?\b(?:internet|rete|web|google|online)\b|\bsu internet\b",
            r"\b(?:pesquis\w*|procur\w*|busc\w*)\b.{0,60}?\b(?:internet|web|google|online)\b|\bna (?:internet|web)\b",
            flags=0,
        ),
        WEB_TOOLS,
        instruction=True,
        unless=LazyPattern(
            r"^\W*(?:how|wie|comment|como|come|hoe|jak) (?:do|does|can|to|would|kann|suche|faire|on|je|puedo|se|si|"
            r"posso|faco)\b|"
            r"\b(?:find|search|look|such|suche|busca|cherche|cerca|procura)\w* (?:\w+ ){0,2}(?:synonym|bug|error|"
            r"mistake|rhyme|"
            r"word|typo)\w*|\b(?:how does|how do|what is) (?:a |the )?(?:search engine|internet|web)\b|"
            r"\bwrite\b.{0,40}\bthat (?:search|look)",
            flags=0,
        ),
    ),
    ToolCue(
        "documents",
        "the user's documents",
        LazyPattern(
            rf"\b(?:in|from|of|through|across|according to|within|based on|using|about|search|read|check|"
            rf"summari[sz]e|sum up|"
            rf"what do(?:es)?|what's in|whats in) {MY} (?:\w+ )?{PAPERS}\b",
            rf"\b(?:my|our|uploaded|attached|both|all(?: of)? (?:my|the|our|these)) (?:\w+ )?{PAPERS}\b|"
            rf"\b(?:i|we) (?:have )?(?:just )?uploaded\b|\bthe (?:pdf|attachment|handbook|scan)\b",
            rf"\b(?:does|did|do|is|are|was) (?:there (?:anything|something) )?(?:in )?{MY} (?:\w+ )?{PAPERS} "
            rf"(?:say|mention|state|contain|allow|cover|list|include)",
            rf"\b(?:que dit|que dice|was sagt|was steht|cosa dice|o que diz|o que fala|de quoi parle|de que trata|"
            rf"de que fala|"
            rf"worum geht es|wat staat er)\b.{{0,12}}\b{PAPERS}\b",
            rf"\b(?:in|aus|laut|gemass|nach|durchsuche?|uber|zu) {MY} (?:\w+ )?{PAPERS}\b|"
            rf"\b(?:mein\w*|unser\w*|hochgeladen\w*|beide\w*|alle\w*(?: meine\w*)?) {PAPERS}\b|\b(?:im|vom|"
            rf"zum) {PAPERS}\b",
            rf"\b(?:laut|gemass|selon|segun|secondo|segundo|volgens|wedlug) (?:\w+ )?{PAPERS}\b",
            rf"\b(?:dans|selon|d'apres|de|sur|resume[rz]?) {MY} {PAPERS}\b|\b(?:mes|nos|ces|tous (?:mes|"
            rf"les)) {PAPERS}\b",
            rf"\b(?:en|segun|de|resume|sobre) {MY} {PAPERS}\b|\b(?:mis|nuestros|todos (?:mis|los)) {PAPERS}\b",
            rf"\b(?:nei|nel|secondo|dai|dal|riassumi) (?:\w+ )?{PAPERS}\b|\b(?:miei|nostri) {PAPERS}\b|"
            rf"\bsui miei {PAPERS}\b",
            rf"\b(?:nos?|segundo|de acordo com|resum[ae]) (?:\w+ )?{PAPERS}\b|\b(?:meus|minhas|nossos|"
            rf"todos os(?: meus)?) {PAPERS}\b",
            r"\b(?:que (?:subi|he subido|enviei)|que j'ai (?:envoye|charge|televerse)|die ich hochgeladen habe|"
            r"che ho caricato)\b",
            flags=0,
        ),
        PAPER_TOOLS,
        instruction=True,
    ),
    ToolCue(
        "code",
        "running code",
        LazyPattern(
            rf"{START}(?:just |actually |now )?(?:run|execute|eval|fuhr\w*|executer?|execute[rz]?|lance|ejecuta\w*|"
            rf"corre|esegui\w*|"
            rf"executa|rode|roda|rodar|uruchom|wykonaj|voer)\b",
            r"\b(?:run|execute) (?:this|that|the|it|some|my|a) ?(?:following )?(?:\w+ )?(?:code|script|program|"
            r"python|snippet)?\b",
            r"\bwhat (?:does|is|will) (?:this|that|the) (?:\w+ )?(?:output|print|return)\b.{0,30}\brun\b|"
            r"\bwhen (?:you|i) run\b",
            r"\blass\w* (?:diesen|den|das) (?:code|skript|programm)\b|\btest (?:this|the) (?:function|code|script)\b",
            r"\b(?:code|skript|programm)\b.{0,20}\b(?:ausfuhren|laufen lassen)\b",
            flags=0,
        ),
        LazyPattern(r"\bcode\b|python|sandbox"),
        instruction=True,
        requires=_CODE_SHOWN,
        unless=_HOW_TO,
    ),
    ToolCue(
        "code",
        "running code",
        LazyPattern(
            r"\b(?:use|using|with|mit|avec|con|com) python\b.{0,60}\b(?:to|and|um|pour|para|per)\b",
            rf"{START}(?:plot|graph|draw|chart|simulate|visuali[sz]e|zeichne\w*|plotte|simulier\w*|trace[rz]?|"
            rf"dessine|simule[rz]?|"
            rf"dibuja|grafica|simula|disegna|traccia|desenh[ae]|plot[ae]|teken|narysuj)\b.{{0,60}}"
            rf"\b(?:curves?|charts?|graphs?|histograms?|rolls?|tosses|flips|distribution|samples|times|steps?|walk|"
            rf"game|pi|function|"
            rf"y ?=|f\(x\)|sin|cos|x ?\^|x\*\*|kurve|diagramm|funktion|problem|dice|coins?|munzwurfe?|\w*wurfe?|"
            rf"courbe|graphique|fonction|lancers|"
            rf"grafico|grafica|funcion|funzione|lanci|lanzamientos?|dados?|it|that|funcao|lancamentos|seno|coseno|"
            rf"wykres)",
            r"\b(?:make|create|show|draw|give|mach\w*|erstell\w*|fais|fai|haz|faz|crea|cria|monte carlo)\b(?: me|"
            r" mir| moi| um| un| une|"
            r" ein| einen| eine| uma| a)*\s(?:\w+ )?(?:bar |pie |line )?(?:chart|plot|histogram|graph|diagramm|"
            r"histogramm|graphique|"
            r"histogramme|grafico|grafica|histograma|istogramma|simulation)\b.{0,20}\b(?:of|from|for|von|aus|de|"
            r"del|della|do|da|di)\b",
            r"\b(?:generate|create) \d+ random\b|\bmonte[- ]carlo (?:estimate|simulation)\b",
            flags=0,
        ),
        LazyPattern(r"\bcode\b|python|sandbox"),
        instruction=True,
        unless=_HOW_TO,
    ),
    ToolCue(
        "wikipedia",
        "Wikipedia",
        LazyPattern(
            r"\bwikip[ei]{1,2}d[ií]a\b|\bwiki (?:page|article|entry|artikel|summary|lookup|search|seite)\b|"
            r"\bwikipedi[ei]\b|\b(?:does|did) wiki say\b|\b(?:on|in|from|check) wiki\b",
            flags=0,
        ),
        LazyPattern("wikipedia"),
        instruction=True,
        unless=_ABOUT_WIKIPEDIA,
    ),
    ToolCue(
        "sql",
        "a database",
        LazyPattern(
            r"\bselect\b.{1,200}?\bfrom\b|\b(?:query|search|ask|look in) (?:\w+ ){0,3}(?:database|tables?)\b|"
            r"\bsql query (?:against|on|over)\b|\brun .{0,20}\bsql\b",
            r"\b(?:in|aus) der datenbank\b|\bbase de donnees\b|\bbase de datos\b|\bbanco de dados\b|"
            r"\bin (?:my|our|the) (?:\w+ )?(?:database|tables?)\b|\baccording to the (?:\w+ )?table\b|"
            r"\b(?:laut|in der|aus der) tabelle\b|\bdans la table\b|\ben la tabla\b|\bnella tabella\b|\bna tabela\b",
            flags=0,
        ),
        LazyPattern(r"\bsql|database"),
        instruction=True,
        unless=LazyPattern(
            r"^\W*(?:explain|what does|write|how)\b|\bsql query (?:that|which|to)\b(?<!run a sql query that)", flags=0
        ),
    ),
    ToolCue("weather", "the weather", LazyPattern(WEATHER_ASKED, flags=0), LazyPattern("weather")),
    ToolCue(
        "weather",
        "the weather",
        LazyPattern(
            WEATHER_OF,
            rf"\b{WEATHER_SIGN}\b.{{0,60}}?\b{WEATHER_WHEN}\b|\b{WEATHER_WHEN}\b.{{0,60}}?\b{WEATHER_SIGN}\b|"
            rf"^\W*(?:is|are|will|any|do|can|gibt|ist|kann|y a-t-il|hay|hace|c'e|ci|esta|ta|tem|vai|is er|"
            rf"schijnt)\b.{{0,40}}?\b{WEATHER_SIGN}\b.{{0,20}}?"
            r"\b(?:in|at|near|auf|im|am|a|au|en|de|em|no|na|w) [a-z]{3,}",
            rf"\b{WEATHER_WORD}\b.{{0,40}}?\b{PLACE_OR_TIME}\b|\b(?:today's|tomorrow's|current|heutige\w*|"
            rf"aktuelle\w*) {WEATHER_WORD}\b",
            rf"^\W*(?:and |und |et |y |e )?(?:the |das |la |il |o |el )?{WEATHER_WORD} [a-z' -]{{3,40}}\W*$",
            rf"\b(?:what(?:'?s| is) the|how(?:'?s| is) the|wie (?:ist|wird) das|quelle?|quel est le|que|che|wat voor|"
            rf"jaka) {WEATHER_WORD}\b",
            flags=0,
        ),
        LazyPattern("weather"),
        sure=False,
        unless=LazyPattern(
            r"\b(?:app|satellites?|balloons?|vane|station|meteorologists?|climate change|klimawandel|icons?|api|"
            r"widget|difference|(?:good|ideal|right|best) temperature|century|"
            r"combien de temps|unterschied|in general|usually|normally|typically|generally)\b|\btiempo (?:libre|real|"
            r"parcial|completo)\b|"
            r"\btempo (?:libero|reale|real|livre|parcial|pieno|integral)\b",
            flags=0,
        ),
    ),
    ToolCue(
        "fresh", "something that changes from day to day", LazyPattern(FRESH_TOPIC, flags=0), WEB_TOOLS, sure=False
    ),
    ToolCue(
        "math",
        "a calculation",
        LazyPattern(*ARITHMETIC, flags=0),
        LazyPattern(r"math|calculat|arithmetic"),
        sure=False,
        requires=_MATH_SIGN,
    ),
    ToolCue(
        "math",
        "a calculation",
        LazyPattern(HOW_MUCH, flags=0),
        LazyPattern(r"math|calculat|arithmetic"),
        sure=False,
        requires=LazyPattern(TWO_NUMBERS, flags=0),
    ),
    ToolCue(
        "math",
        "a calculation",
        LazyPattern(UNITS_IN_UNIT, flags=0),
        LazyPattern(r"math|calculat|arithmetic"),
    ),
    ToolCue(
        "data",
        "an analysis of data",
        LazyPattern(
            rf"\b{AGGREGATE}\b.{{0,120}}?(?:\[|\{{|\.csv\b|\.json\b|\.xlsx\b|\bcsv\b|\bcolumns?\b|\bspalten?\b|"
            rf"\bcolonnes?\b|\bcolumnas?\b|"
            rf"\bcolonn[ae]\b|\bcolunas?\b|\bdata ?set\b|\bspreadsheet\b)",
            r"\b[\w-]+(?:\.csv|\.json|\.xlsx|\.tsv)\b",
            r"\b(?:analy[sz]e|analysiere|analyse[rz]?|analiza|analizza|analise) (?:this|these|the|diese|ces|estos|"
            r"questi|estes|os)?\W{0,3}"
            r"(?:data|numbers|csv|table|daten|zahlen|donnees|datos|dati|dados|\[)",
            rf"\b{AGGREGATE}\b.{{0,30}}?(?:-?\d+(?:[.,]\d+)?(?:\s*,\s*|\s+(?:and|und|et|y|e)\s+|\s+)){{2,40}}-?\d",
            flags=0,
        ),
        LazyPattern(r"statistic|\bdata\b|data_"),
        sure=False,
        unless=LazyPattern(r"^\W*(?:what is|was ist|qu'est|que es|cos'e|o que e) (?:a|an|eine?|une?|uma?) ", flags=0),
    ),
)

FRESHNESS = LazyPattern(rf"\b{NOW}\b", flags=0)
COMPREHENSIVE = LazyPattern(
    r"\b(?:comprehensive|in-depth|in depth|deep|thorough|exhaustive|detailed|structured|complete|full|"
    r"extensive)\b.{0,40}?\b(?:reports?|analys[ei]s|briefing|"
    r"overview|research|review|study|comparison|summary|investigation|dive)\b",
    r"\b(?:market|industry) (?:overview|analysis|research)\b",
    r"\b(?:research|investigate)\b.{0,120}?\b(?:reports?|and (?:compare|summari[sz]e|write))\b",
    r"\b(?:umfassend|ausfuhrlich|detailliert|grundlich|vollstandig|komplett)\w*\b.{0,40}?\b(?:bericht|analyse|"
    r"ubersicht|"
    r"recherche|recherchier\w*|vergleich|zusammenfassung)\b|\brecherchier\w* (?:mal |bitte )?(?:ausfuhrlich|"
    r"grundlich|umfassend)|"
    r"\brecherchier\w*\b.{0,120}?\bbericht\b|\bwerte?\b.{0,60}?\b(?:komplett|vollstandig) aus\b",
    r"\b(?:rapport|analyse|etude|synthese|recherche)\b.{0,30}?\b(?:complete?t?|detaillee?|approfondie?|exhausti(?:f|"
    r"ve))\b",
    r"\b(?:informe|analisis|estudio|investigacion)\b.{0,30}?\b(?:complet[oa]|detallad[oa]|exhaustiv[oa]|profund[oa])\b|"
    r"\binvestig\w+ a fondo\b",
    r"\b(?:rapporto|relazione|analisi|studio|ricerca)\b.{0,30}?\b(?:complet[oa]|dettagliat[oa]|approfondit[oa])\b",
    r"\b(?:relatorio|analise|estudo|pesquisa)\b.{0,30}?\b(?:complet[oa]|detalhad[oa]|aprofundad[oa])\b|"
    r"\bpesquis\w+ a fundo\b",
    r"\b(?:volledig|uitgebreid|grondig)\w*\b.{0,30}?\b(?:rapport|analyse|onderzoek|overzicht)\b|\b(?:szczegolowy|"
    r"pelny) raport\b",
    flags=0,
)
NUMERIC = LazyPattern(
    rf"{TWO_NUMBERS}|\b(?:convert|square|cube|half|double|percent|prozent)\b.{{0,30}}\d|\d.{{0,30}}\b(?:miles|km|kg|"
    r"euros?|"
    r"dollars?|percent|times)\b",
    flags=0,
)
DATA = LazyPattern(
    r"\b(?:my|the|this|these|our) (?:\w+ )?(?:table|data|dataset|spreadsheet|numbers|rows|columns)\b|"
    r"\bdiese\w* (?:daten|zahlen|tabelle)\b|\bdie (?:tabelle|daten)\b|\b(?:ces|les) (?:donnees|chiffres)\b|"
    r"\b(?:estos|los) datos\b|\b(?:questi|i) dati\b|\b(?:estes|os) dados\b",
    flags=0,
)
