"""Telling whether a query is about whole documents (summarise, compare, list every …, translate), and about which.

Pure functions over the query and the names of the user's documents, newest first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from backend.core import routing_files as files
from backend.core.routing_pieces import needs, pieces
from backend.core.routing_text import clip, fold
from backend.core.routing_words import MY, PAPERS
from backend.utils.language import FUNCTION_WORDS, detect_language, stem, words
from backend.utils.patterns import LazyPattern

Kind = Literal["summary", "list", "compare", "translate", "ask"]
READER = "document_text"
"""The tool that whole documents are read with."""
AGENT = "documents"
MAX_FILES = 10
MAX_QUERY_CHARS = 600
"""Longer queries bring their own text to work on."""

_SUMMARY = LazyPattern(
    r"\b(?:summari[sz]e|summari[sz]ing|sum(?:s|med)? up|summary|summaries|overview|key (?:points|findings|takeaways)|"
    r"main (?:points|ideas|findings)|gist|outline|tl;?dr|digest|recap|abstract of|"
    r"fass\w*\b.{0,80}\bzusammen|zusammenfass\w*|uberblick|kernaussagen|hauptpunkte|inhaltsangabe|"
    r"resume[rz]?|apercu|points (?:cles|principaux)|synthese|synthetise[rz]?|"
    r"resumen|resumir|resumeme|resumelo|puntos (?:clave|principales)|sintesis|"
    r"riassum\w*|riassunto|sintesi|punti (?:chiave|principali)|resum[aoi]\w*|pontos (?:chave|principais)|"
    r"sintese|samenvat\w*|samenvatting|hoofdpunten)\b|"
    r"\bwhat(?:'s| is| are)\b.{0,60}\babout\W*$|\bworum geht(?: es|'s)\b|\bde quoi (?:parle|traite)\b|"
    r"\bde que (?:trata|habla|fala)\b|\bdi cosa (?:parla|tratta)\b|\bwaar gaat\b.{0,60}\bover\W*$",
    flags=0,
)
_WHAT_IS_IN = LazyPattern(
    r"\bwhat(?:'s| is| stands| does it say) (?:in|inside)\b|\bwas (?:ist|steht) in\b|\bqu'y a-t-il dans\b|"
    r"\bque hay en\b|\b(?:che )?cosa c'e in\b",
    flags=0,
)
"""The same of a document that is named in full; "what is in the air" asks for something else."""
_EVERY = (
    r"(?:every(?: single)?|all(?: of)?(?: the)?|each(?: of the)?|any|alle[nrs]?|samtliche[nrs]?|jede[nrs]?|"
    r"tou(?:s|tes) les|chaque|tod[oa]s(?: l[oa]s| os| as)?|cada|tutt[ei] (?:i|le|gli)|ogni|elke?)"
)
_GATHER = (
    r"(?:list|extract|collect|find|show|give|name|enumerate|pull out|get|what are|which are|"
    r"liste?|nenne|zeige?|finde|sammle|suche?|extrahiere|gib|welche|was sind|stell\w*|"
    r"listez?|extrais|extraire|trouve[rz]?|donne[rz]?|montre[rz]?|releve[rz]?|quels? sont|quelles sont|"
    r"lista|listar|extrae|encuentra|muestra|dame|enumera|cuales son|"
    r"elenca|estrai|trova|mostra|dammi|quali sono|extraia|encontre|mostre|liste|quais sao|"
    r"som|noem|toon|geef|welke)"
)
_LIST = LazyPattern(
    rf"\b{_GATHER}\b.{{0,40}}?\b{_EVERY} (?:\w+ ){{0,3}}?[\w-]{{3,}}|"
    rf"^\W*(?:please |bitte )?{_EVERY} (?:\w+ ){{0,3}}?[\w-]{{3,}}",
    flags=0,
)
_COMPARE = LazyPattern(
    r"\b(?:compare|comparison|contrast|differences?|differs?|differ|what(?:'s| has| is)? changed|"
    r"changes? between|versus|vs|vergleich\w*|unterschied\w*|unterscheid\w*|geandert|"
    r"compare[rz]?|comparaison|differences?|comparar?|compara|diferencias?|confronta\w*|differenze|diferencas?|"
    r"vergelijk|verschil\w*)\b",
    flags=0,
)
_TRANSLATE = LazyPattern(
    r"^\W*(?:please |bitte |can you |could you )?(?:translate|translation of|ubersetz\w*|tradui\w*|traduc\w*|"
    r"traduz\w*|vertaal)\b",
    flags=0,
)
_THING = (
    r"(?:documents?|docs?|files?|pdfs?|uploads?|attachments?|papers?|reports?|scans?|slides|presentations?|"
    r"dokument\w*|datei(?:en)?|anhang|bericht\w*|fichiers?|pieces? jointes?|rapports?|documentos?|archivos?|"
    r"adjuntos?|informes?|documenti|allegat[oi]|rapport[oi]|arquivos?|anexos?|relatorios?|bestand(?:en)?|bijlagen?)"
)
_THIS = LazyPattern(
    rf"\b(?:this|the|my|our|that|attached|uploaded|latest|newest|last|diese[nrsm]?|die|das|de[rnm]|mein\w*|unser\w*|"
    rf"hochgeladen\w*|ce|cet|cette|le|la|l|mon|notre|est[ea]|el|mi|nuestro|questo|il|lo|mio|este|o|meu|dit|deze|het|"
    rf"mijn)(?:['’]| )(?:(?:whole|entire|attached|uploaded|latest|newest|last|long|ganze[nrs]?|gesamte[nrs]?|"
    rf"hochgeladene[nrs]?|letzte[nrs]?|neueste[nrs]?) ){{0,2}}{_THING}\b|"
    rf"\b{_THING} (?:i|we) (?:have |just )*(?:uploaded|attached|sent)\b|\bhochgeladen\w*|\bque j'ai (?:envoye|charge)|"
    rf"\bque (?:subi|he subido|enviei)\b|\bche ho caricato\b",
    flags=0,
)
_THING_SAID = LazyPattern(rf"\b{_THING}\b", flags=0)
_PAPER = LazyPattern(rf"\b{MY} (?:\w+ )?{PAPERS}\b", flags=0)
_SAYING = LazyPattern(
    r"\b(?:says?|mentions?|states?|sagt|sagen|steht|dit|disent|dice|dicen|dicono|diz|dizem)\b.{0,20}\b(?:about|on|"
    r"uber|zu|"
    r"sur|de|sobre|su)\b",
    flags=0,
)
_BOTH = LazyPattern(
    rf"\b(?:both|the two|these two|those two|my two|two|beide[nr]?|die zwei|diese zwei|les deux|ces deux|"
    rf"(?:los|estos) dos|ambos|i due|questi due|entrambi|os dois|beide)\b(?:\W+(?:\w+ )?(?:{_THING}|{PAPERS})\b|\W*$)",
    flags=0,
)
_ALL = LazyPattern(
    rf"\b(?:all(?: of)?(?: (?:my|our|the|these))?|every|each(?: of (?:my|our|the))?|alle(?: (?:meine|unsere|die))?|"
    rf"tous (?:mes|nos|les)|tod[oa]s (?:mis|los|as|os|meus)|tutti i(?: miei)?) "
    rf"(?:uploaded |hochgeladenen )?{_THING}\b",
    flags=0,
)
_COMMANDS = {
    "de": LazyPattern(r"\bfass\w*\b.*\bzusammen\b|\bzusammenfass\w*|\b(?:vergleich|ubersetz)\w*|\b(?:nenne|zeige?) "),
    "fr": LazyPattern(r"\bresume[rz]?\b.*\b(?:le|la|les|ce|cette)\b|\b(?:traduis\w*|synthetise\w*|listez)\b"),
    "es": LazyPattern(r"\b(?:resumeme|resumir|traduce|compara)\b"),
    "it": LazyPattern(r"\b(?:riassumi\w*|riassunto|traduci|confronta|elenca)\b"),
    "pt": LazyPattern(r"\b(?:resuma|traduza)\b"),
}
"""What alone shows the language of an order that has no other word but a file's name."""
_FORM = frozenset(
    stem(word)
    for word in """short brief briefly long detailed detail concise bullet bullets point points sentence sentences
    paragraph paragraphs words word plain simple english german french spanish italian please kindly quick quickly main
    key most important content contents text page pages whole entire full complete completely executive summary give
    write make create need want kurz knapp ausfuhrlich stichpunkt stichpunkte satz satze deutsch englisch bitte inhalt
    wichtigste wichtigsten ganze gesamte breve court phrases lignes anglais francais contenu corto frases espanol
    contenido riga righe italiano contenuto one two three four five six seven eight nine ten line lines into
    attached uploaded latest newest hochgeladene dutch portuguese""".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Whole:
    """What is to be done with which documents; `files` are their names, in the order in which they are to be read."""

    kind: Kind
    files: tuple[str, ...]


def whole_document_task(query: str, documents: Sequence[str]) -> Whole | None:
    """What a query asks of whole documents; None when it asks something else, or of no document in particular.

    A subject that a search finds better is something else: "summarise the rules for overtime in the handbook". So is
    anything beside it that other tools are for.
    """
    folded = fold(clip(query))
    if not documents or len(query) > MAX_QUERY_CHARS or _needs_more(folded):
        return None
    meant = _meant(folded, documents)
    kind = _kind(folded, meant)
    if kind is None or not meant or any(files.has_tables((name,)) for name in meant):
        return None
    if kind in ("summary", "compare") and _has_a_subject(folded, meant):
        return None
    if kind == "compare" and len(meant) < 2:
        return None
    return Whole(kind, meant)


def asks_for_whole(query: str, names: Sequence[str]) -> bool:
    """Whether the whole of these documents is asked about, which were sent with the query: "please summarise"."""
    folded = fold(clip(query))
    if not names or len(query) > MAX_QUERY_CHARS or files.has_tables(names) or _needs_more(folded):
        return False
    kind = _kind(folded, names)
    return kind is not None and (kind not in ("summary", "compare") or not _has_a_subject(folded, names))


def forced_task(query: str, documents: Sequence[str], earlier: Sequence[str] = (), *, limited: bool = False) -> Whole:
    """The same when whole documents are to be read in any case. Without a name, here or in earlier turns, the newest
    is meant; with `limited` all there are, since the request has chosen them."""
    folded = fold(clip(query))
    meant = _meant(folded, documents)
    kind = _kind(folded, meant) or "ask"
    if not meant and limited:
        meant = tuple(documents[:MAX_FILES])
    for turn in reversed(earlier):
        meant = meant or files.named(fold(clip(turn)), documents)
    if not meant:
        meant = tuple(documents[: 2 if kind == "compare" else 1])
    return Whole(kind, meant[:MAX_FILES])


def language_of(query: str) -> str:
    """The language of a query, as a two-letter code, also where it is only a verb and the name of a file."""
    found = detect_language(query)
    if found != "en":
        return found
    folded = fold(clip(query))
    return next((code for code, command in _COMMANDS.items() if command.search(folded)), found)


def _kind(folded: str, meant: Sequence[str]) -> Kind | None:
    if _TRANSLATE.search(folded):
        return "translate" if ":" not in folded else None
    several = sum(bool(cue.search(folded)) for cue in (_SUMMARY, _LIST, _COMPARE))
    if _COMPARE.search(folded) and len(meant) > 1:
        return "compare" if several == 1 else "ask"
    if _SUMMARY.search(folded) or (_WHAT_IS_IN.search(folded) and any(fold(name) in folded for name in meant)):
        return "summary" if not _LIST.search(_without_all(folded)) else "ask"
    if _LIST.search(_without_all(folded)) and not _SAYING.search(folded):
        return "list"
    return None


def _without_all(folded: str) -> str:
    """Without "all my documents", which lists nothing."""
    return _ALL.sub(" ", folded)


def _meant(folded: str, documents: Sequence[str]) -> tuple[str, ...]:
    """The documents that a query speaks of: by name in the order of their names in it, or as all, both, this one."""
    named = files.named(folded, documents)
    if named:
        whole = [name for name in named if fold(name) in folded]
        chosen = whole or list(named)
        return tuple(sorted(chosen, key=lambda name: _place(folded, name)))[:MAX_FILES]
    if _ALL.search(folded):
        return tuple(documents[:MAX_FILES])
    if _BOTH.search(folded):
        # "both contracts" of many documents may be any two of them.
        return tuple(documents[:2]) if len(documents) == 2 or (documents[2:] and _THING_SAID.search(folded)) else ()
    if len(documents) == 1 and _PAPER.search(folded):
        return (documents[0],)
    return tuple(documents[:1]) if _THIS.search(folded) else ()


def _place(folded: str, name: str) -> int:
    at = folded.find(fold(name))
    if at < 0:
        at = min(
            (found for word in re.findall(r"[a-z]{4,}", fold(name)) if (found := folded.find(word)) >= 0), default=0
        )
    return at


def _has_a_subject(folded: str, meant: Sequence[str]) -> bool:
    """Whether a query names what in the documents it is about."""
    rest = folded
    for name in meant:
        rest = rest.replace(fold(name), " ")
    rest = _THIS.sub(" ", _BOTH.sub(" ", _ALL.sub(" ", rest)))
    for pattern in (_SUMMARY, _WHAT_IS_IN, _COMPARE):
        rest = pattern.sub(" ", rest)
    rest = re.sub(rf"\b(?:{MY} )?{PAPERS}\b", " ", rest)
    ignored = {word for name in meant for word in re.findall(r"[a-z]{3,}", files.plainer(fold(name)))}
    left = [
        word
        for word in words(rest)
        if not word.isdigit()
        and word not in _function_words()
        and stem(word) not in _FORM
        and not any(word in (own, own + "s") or own.endswith(word) for own in ignored)
    ]
    return len(left) > 0


@lru_cache(maxsize=1)
def _function_words() -> frozenset[str]:
    """Of every language, without accents."""
    return frozenset(fold(word) for listed in FUNCTION_WORDS.values() for word in listed)


def _needs_more(folded: str) -> bool:
    """Whether a piece of the query needs something other than the documents."""
    return any(needs(piece) - {"documents"} for piece in pieces(folded))
