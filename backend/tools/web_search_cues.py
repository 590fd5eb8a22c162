"""How people ask for a search of the web, in eight languages, and which questions go stale."""

from __future__ import annotations

from dataclasses import dataclass

from backend.utils.patterns import LazyPattern

MAX_ASKED_CHARS = 500
EXPLICIT = 0.95
NEWS = 0.9
PLAIN_SEARCH = 0.7
FRESH = 0.6

_WEB = (
    r"(?:(?:the )?(?:web|internet|world wide web)|google|bing|duckduckgo|online|(?:im|in dem|das) (?:web|internet|"
    r"netz)|"
    r"(?:internet|le web|le net)|(?:la )?(?:web|red)|(?:línea|linea)|rete|internecie|het (?:web|internet))"
)
_IN = r"(?:on|in|from|through|using|via|across|sur|en|su|sul|nel|nella|na|no|pela|op|w)"
_VERB = (
    r"(?:search|browse|look(?: up| for)?|find(?: out)?|check|google|research|such(?:e|en)?|recherchiere?n?|schaue?|"
    r"finde?|"
    r"gucke?|goog(?:le|ele?)|cherche[rz]?|recherche[rz]?|trouve[rz]?|regarde[rz]?|busca(?:me|r)?|busque|investiga|"
    r"encuentra|"
    r"cerca(?:mi|re)?|trova(?:mi)?|ricerca|pesquis(?:a|e|ar)|procur[ae]r?|zoek|wyszukaj|poszukaj|znajdź|sprawdź)"
)
_FILL = r"(?:(?:me|mir|mal|bitte|please|moi|mi|doch|nach|for|up|do|an?|the)[ -])*"
_TOWARDS = (
    r"(?:(?:for|about|on|to (?:find|see)|out|nach|zu[mr]?|über|was|une?|des informations sur|à propos de|sobre|"
    r"información sobre|"
    r"acerca de|per|informazioni su|por|informações sobre|naar|o) )?"
)
_ASKS = LazyPattern(
    rf"\b{_VERB}[ -]{_FILL}(?:{_IN} )?{_WEB}[\s:,]+{_TOWARDS}(?P<a>.{{2,300}})",
    rf"\b{_VERB}[ -]{_FILL}{_TOWARDS}(?P<b>.{{2,200}}?) (?:{_IN} )?{_WEB}(?=\W*$|[\s,.;:?!]+(?:and|und|et|y|e|en|i|"
    rf"please|bitte)\b)",
    r"\bweb[ -]?(?:search|suche)(?: for| about| on| nach|:)? (?P<c>.{2,300})",
    r"^\W*(?:please |can you |could you |bitte )?goog(?:le|ele?) (?:mal |bitte |nach |for )*(?P<d>.{2,300})",
)
_NEWS = LazyPattern(
    r"(?:\b(?:latest|recent|newest|current|today's|breaking|any|neueste\w*|aktuelle\w*|letzte\w*|dernières|últimas|"
    r"ultime|"
    r"laatste|najnowsze) )?"
    r"\b(?:news|headlines|nachrichten|neuigkeiten|schlagzeilen|nouvelles|actualités|noticias|notizie|notícias|"
    r"nieuws|wiadomości)\s+"
    r"(?:about|on|from|regarding|concerning|über|zu[mr]?|aus|von|sur|d[eu]|des|à propos de|sobre|del?|acerca de|"
    r"s(?:u|ul|ulla|ui)|"
    r"di|da|do|over|van|uit|o) (?P<q>.{2,200})"
)
_HEADLINES = LazyPattern(
    r"\b(?:latest|today'?s?|breaking|current|neuest\w+|aktuell\w+|dernières|últimas|ultime|laatste|najnowsze) "
    r"(?:\w+ )?(?:news|headlines|nachrichten|neuigkeiten|nouvelles|actualités|noticias|notizie|notícias|nieuws|"
    r"wiadomości)\b|"
    r"\bwhat(?:'s| is) (?:in|on) the news\b|\bwhat happened (?:in the (?:world|news) )?(?:today|yesterday)\b|"
    r"\bwas ist heute passiert\b"
)
_SEARCHES = LazyPattern(
    rf"^\W*(?:please |can you |could you |bitte |kannst du )?(?:search(?: for)?|look up|look online for|"
    rf"do some research on|"
    rf"suche? (?:mal )?nach|recherchiere?|fais une recherche sur|pesquis[ae]|wyszukaj|"
    rf"zoek)\s+{_FILL}(?P<q>.{{2,300}})"
)
_NOW = LazyPattern(
    r"\b(?:right now|currently|current|today|tonight|yesterday|last (?:night|week|weekend)|this (?:week|weekend|"
    r"season|year|"
    r"morning)|latest|newest|most recent|up[- ]to[- ]date|these days|aktuell\w*|derzeit\w*|momentan|heute|gestern|"
    r"neueste[nrs]?|"
    r"actuel\w*|aujourd'hui|hier|en ce moment|dernière?|hoy|ayer|actual(?:es|mente)?|últim[oa]s?|oggi|ieri|"
    r"attual[ei]|"
    r"attualmente|ultim[ao]|hoje|ontem|atual(?:mente)?|vandaag|gisteren|huidige|dzisiaj|dziś|wczoraj|aktualn\w+)\b"
)
_STALE = LazyPattern(
    r"\b(?:price|cost|stock|share|exchange rate|interest rate|inflation|bitcoin|ethereum|crypto|score|match|game|"
    r"won|wins|"
    r"election|president|prime minister|chancellor|ceo|champion|release|version|standings|population|strike|"
    r"preis|kurs|kostet|aktie\w*|gewonnen|spiel|wahl|präsident\w*|kanzler\w*|"
    r"prix|cours|coûte|gagné|élections?|président\w*|premier ministre|match|"
    r"precio|cuesta|cotización|ganó|partido|elecciones|presidente|"
    r"prezzo|costa|quotazione|vinto|partita|elezioni|preço|custa|cotação|ganhou|venceu|jogo|eleições|"
    r"prijs|koers|gewonnen|verkiezingen|cena|kurs|wygrał|wybory|prezydent\w*)\b"
)
_NOT_MEANT = LazyPattern(
    r"\b(?:(?:my|our|the|these|uploaded|meine[nm]?|unsere[nm]?|mes|nos|mis|nuestros|i miei|"
    r"meus) (?:\w+ )?(?:documents?|files?|"
    r"pdfs?|notes|uploads?|dokumente?n?|dateie?n?|fichiers?|documentos?|archivos?|documenti|file|arquivos?)|"
    r"wikip[eé]dia|search (?:engine|function|algorithm|bar|tree|query|and replace)|binary search|google (?:docs|"
    r"sheets|drive|"
    r"maps|translate|cloud|chrome)|regex|write (?:me )?(?:a|an|some)|schreibe?|écris|escribe|scrivi|escreva|"
    r"weather|forecast|wetter|météo|clima|previsioni|"
    r"how (?:do|does|can|would|to)\b.{0,30}\b(?:search|google)|wie (?:suche|kann|googelt)|comment (?:chercher|"
    r"faire))\b"
)
_AFTERWARDS = LazyPattern(
    r"[,;.]?\s+(?:and|then|und|dann|et|puis|y|luego|e|poi|depois|en|i)\s+(?:then |dann |puis |luego |"
    r"poi )?(?:me )?(?:tell|give|"
    r"summari[sz]e|write|explain|list|compare|show|make|calculate|sag|gib|fass|schreib|erklär|zeig|dis|donne|résume|"
    r"écris|"
    r"explique|dime|resume|escribe|dimmi|riassumi|scrivi|diga|resuma|escreva|vertel|vat|powiedz)\w*\b.*$"
)
_EDGES = " \t\n\"'“”«»„.,;:?!¿¡()"


@dataclass(frozen=True, slots=True)
class Search:
    """What would be searched for; `confidence` in [0, 1]."""

    query: str
    confidence: float
    reason: str
    recency: str | None = None


def find_searches(text: str) -> list[Search]:
    """The search a text asks for, or one that would answer it; empty when neither. At most one."""
    asked = " ".join(text[:MAX_ASKED_CHARS].split())
    if not asked or len(text) > 4 * MAX_ASKED_CHARS or _NOT_MEANT.search(asked):
        return []
    explicit = _ASKS.search(asked)
    if explicit:
        return _one(next(found for found in explicit.groups() if found), EXPLICIT, "a search of the web is asked for")
    news = _NEWS.search(asked)
    if news:
        return _one(news.group(), NEWS, "news are asked for", "month")
    if _HEADLINES.search(asked):
        return _one(asked, NEWS, "news are asked for", "week")
    plain = _SEARCHES.search(asked)
    if plain:
        return _one(plain["q"], PLAIN_SEARCH, "a search is asked for")
    if _NOW.search(asked) and _STALE.search(asked):
        return _one(asked, FRESH, "the answer changes with time")
    return []


def _one(query: str, confidence: float, reason: str, recency: str | None = None) -> list[Search]:
    query = _AFTERWARDS.sub("", query).strip(_EDGES)
    return [Search(query, confidence, reason, recency)] if len(query) > 1 else []
