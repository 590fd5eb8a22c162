"""Which agent suits an agentic query: independent pieces go side by side, everything else step by step.

Pure functions over the query, the tools that are offered and the names of the user's documents.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from backend.core import routing_cues as cues
from backend.core import routing_files as files
from backend.core import routing_plain as plain
from backend.core.routing_proposals import PLAUSIBLE, SURE, best_proposal
from backend.core.routing_text import clip, fold
from backend.models.tools import ToolSpec
from backend.utils.patterns import LazyPattern
from backend.utils.query_text import compared, has_inline_data, is_request, refers_back, split_parts

REACT = "react"
PLAN = "plan_execute"
SIDE_BY_SIDE = "it has several pieces that can be worked on side by side"
MAX_PIECES = 24
_SAME = {"fresh": "web", "sql": "data"}
"""Kinds of cue that one call serves."""

_DEPENDENT = LazyPattern(
    r"\b(?:then|after(?:wards| that)|based on (?:that|this|it|the (?:result|answer|outcome))|depending on|"
    r"use (?:that|the (?:result|answer))|"
    r"the result|what (?:that|it) is|how (?:many|much)(?: \w+)? (?:that|it) (?:is|makes)|"
    r"danach|anschliessend|je nachdem|abhangig von|darauf basierend|rechne? (?:sie|es|das|ihn)|das ergebnis|"
    r"ensuite|puis|en fonction d[eu]|selon le resultat|luego|despues|dependiendo|segun el resultado|"
    r"poi|dopodiche|in base al risultato|a seconda|depois|em seguida|dependendo|daarna|potem|nastepnie)\b|"
    r"\b(?:und|,) dann\b|\bdann (?:vom|das|mit|durch|auf|noch)\b",
    r"(?:^\W*|,\s*|\b(?:and|und|et|y|e) )(?:if|wenn|falls|si|se)\b.{3,200}?\b(?:then|dann|alors|entonces|allora|"
    r"entao|otherwise|sonst|"
    r"sinon|si no|altrimenti|senao|tell|what|find|search|calculate|suggest|recommend|sag\w*|empfiehl|schlag\w*|"
    r"propose|sugiere|suggerisci)\b",
    flags=0,
)
_COMPARING = LazyPattern(
    r"\b(?:compare|contrast|vergleich\w*|compare[rz]?|compara\w*|confronta\w*|vergelijk|porownaj)\b|"
    r"\b(?:does|do|stimmt|stimmen)\b.{1,80}?\b(?:match|agree with|uberein)\b",
    flags=0,
)
_WARMER = LazyPattern(
    r"\b(?:warmer|colder|hotter|cooler|sunnier|rainier|warmest|coldest|warmer|kalter|plus (?:chaud|froid)|"
    r"mas (?:calor|frio|calido)|"
    r"piu (?:caldo|freddo)|mais (?:quente|frio))\b.{0,60}?\b(?:or|oder|ou|o|than|als|que|di)\b|\b(?:or|"
    r"oder) (?:in )?\w+ (?:\w+ )?(?:warmer|colder|hotter|kalter)\b",
    flags=0,
)
_ALL_OF_THEM = LazyPattern(
    r"\b(?:both|beide\w*|les deux|ambos|ambas|entrambi|os dois|as duas) (?:\w+ )?(?:documents?|files?|pdfs?|"
    r"contracts?|reports?|"
    r"dokument\w*|datei\w*|vertrage?|fichiers?|contrats?|documentos?|archivos?|contratos?|documenti|contratti|"
    r"arquivos?)\b|"
    r"\b(?:summari[sz]e|sum up|fasse?|resum\w+|riassum\w+)\b.{0,30}?\b(?:all|every|alle\w*|tous|toutes|todos|todas|"
    r"tutti|tutte)\b|"
    r"\b(?:report|overview|summary|bericht|ubersicht|rapport|informe|rapporto|relatorio|resumen)\b.{0,40}?\b(?:all|"
    r"every|alle\w*|tous|"
    r"todos|tutti)\b|\bgo through (?:all|every)|\beverything in (?:them|my|all)\b|\b(?:two|three|four|"
    r"several) things\b|"
    r"\b(?:zwei|drei|mehrere) (?:dinge|sachen)\b",
    flags=0,
)
_BREAK = re.compile(
    r"\s*(?:[;\n]|[,?!](?=\s)|\.(?=\s))\s*(?:(?:and|und|et|y|e|also|plus)\s+)?(?:(?:also|auch|noch|aussi|tambien|"
    r"anche|tambem)\s+)?|"
    r"(?<=[\w%?)\]\"'])\s+(?:and also|as well as|and|&|und|sowie|et|y|e|oraz|or|oder|plus(?!\s*\d)|vs\.?|versus|"
    r"dazu noch|dazu|in parallel|tambien|aussi|auch)\s+(?![=+*/^])|\s+(?=\(?[a-h1-9]\)\s)"
)
_PROTECTED = re.compile(r"\[[^\[\]]{0,500}\]|\{[^{}]{0,500}\}|\([^()]{0,500}\)|\"[^\"]{0,300}\"|`[^`]{0,300}`")
_TIME_OR_QUALITY = LazyPattern(
    r"^\W*(?:today|tomorrow|tonight|now|then|heute|morgen|ubermorgen|demain|aujourd'hui|manana|hoy|domani|oggi|"
    r"amanha|hoje|"
    r"next (?:week|weekend|days)|the (?:day|days|week|weekend) (?:after|ahead)|\w+day|sun\w*|rain\w*|snow\w*|cold\w*|"
    r"warm\w*|hot\w*|wind\w*|dry|mild|nice|not\b|nicht\b|"
    r"sonnig|warm|kalt|trocken|humidity|wind|rain|snow|thanks?|please|bitte|which|welche\w*|what|who|where|when|how|"
    r"is|are|if)\b",
    flags=0,
)
_TOGETHER = LazyPattern(
    r"\b(?:sum|product|difference|ratio|gcd|lcm|summe|produkt|somme|suma|somma|soma) (?:of|von|de|di)\b", flags=0
)
_SEVERAL_ARTICLES = LazyPattern(
    r"\b(?:summaries|articles|pages|entries|zusammenfassungen|artikel|resumes|resumenes|articoli|artigos)\b", flags=0
)
_PLACES = frozenset({"weather", "web", "wikipedia"})


def choose_agent(query: str, specs: Sequence[ToolSpec], documents: Sequence[str] = ()) -> tuple[str, str]:
    """The agent for an agentic query, `react` or `plan_execute`, and why."""
    folded = fold(clip(query))
    inline = has_inline_data(query)
    parts = split_parts(query)
    if cues.COMPREHENSIVE.search(folded) and not _DEPENDENT.search(folded):
        return PLAN, SIDE_BY_SIDE
    if not inline and _depends(folded, [part.text for part in parts]):
        return REACT, "its steps depend on each other"
    if cues.COMPREHENSIVE.search(folded) or (_ALL_OF_THEM.search(folded) and not inline):
        return PLAN, SIDE_BY_SIDE
    if not inline and (compared(clip(query)) or _COMPARING.search(folded) or _WARMER.search(folded)):
        return PLAN, "the things to compare can be looked up side by side"
    if len(parts) > 1 and not (inline and best_proposal(query, specs)[1] >= SURE):
        served = [part for part in parts if best_proposal(part.text, specs)[1] >= PLAUSIBLE or needs(fold(part.text))]
        if len(served) > 1:
            return PLAN, f"its {len(served)} parts are independent"
        if sum(is_request(part.text) for part in parts) > 2:
            return PLAN, f"it lists {len(parts)} separate tasks"
    if not inline and _independent(folded, documents):
        return PLAN, SIDE_BY_SIDE
    return REACT, "one tool, step by step, is enough"


def needs(folded: str) -> frozenset[str]:
    """The kinds of tools that a piece of a query asks for."""
    return frozenset(_SAME.get(cue.kind, cue.kind) for cue in cues.TOOL_CUES if cue.found_in(folded))


def pieces(folded: str) -> list[str]:
    """The query cut finely, at every comma and "and" outside brackets and quotes."""
    masked = _PROTECTED.sub(lambda found: "_" * len(found.group()), folded)
    out: list[str] = []
    at = 0
    for found in _BREAK.finditer(masked):
        out.append(folded[at : found.start()])
        at = found.end()
    out.append(folded[at:])
    return [piece.strip(" ,;.?!") for piece in out if any(c.isalnum() for c in piece)][:MAX_PIECES]


def _depends(folded: str, parts: Sequence[str]) -> bool:
    if _DEPENDENT.search(folded):
        return True
    return any(refers_back(part.replace("dazu", "")) for part in parts[1:])


def _independent(folded: str, documents: Sequence[str]) -> bool:
    """Whether at least two pieces need something, each something of its own."""
    cut = pieces(folded)
    if len(cut) < 2:
        return False
    running = "code" in needs(folded)
    ignored = frozenset({"math", "data"}) if running else frozenset()
    wanted = [_wants(piece, documents) - ignored for piece in cut]
    having = [each for each in wanted if each]
    if any(not (one & other) for index, one in enumerate(having) for other in having[index + 1 :]):
        return True
    if sum("math" in each for each in having) > 1 and not _TOGETHER.search(folded):
        return not all("=" in piece for piece, each in zip(cut, wanted, strict=True) if "math" in each)
    if sum("web" in each for each in having) > 1:
        return True
    if running or not any(c.isalpha() for piece in cut[1:] for c in piece):
        return False
    return _lists_places(folded, cut, wanted) or (bool(having or documents) and _lists_things(cut, having, documents))


def _wants(piece: str, documents: Sequence[str]) -> frozenset[str]:
    wanted = needs(piece)
    named = files.named(piece, documents)
    if named or files.asks_of_tables(piece, documents):
        own = frozenset(f"file {name}" for name in named) or frozenset({"data"})
        # "the total in sales.csv" is one need, however many words ask for it.
        return own | (wanted & {"math", "weather", "wikipedia"} if not named else frozenset())
    return wanted


def _lists_places(folded: str, cut: Sequence[str], wanted: Sequence[frozenset[str]]) -> bool:
    """ "weather in Paris, London and Rome": one need, then names."""
    first = next((index for index, each in enumerate(wanted) if each), len(cut))
    kind = wanted[first] & _PLACES if first < len(cut) else frozenset()
    names = [
        piece
        for piece in cut[first + 1 :]
        if piece[:1].isalpha() and len(piece.split()) <= 4 and not _TIME_OR_QUALITY.match(piece)
    ]
    if "weather" in kind:
        return bool(names)
    return len(names) > 1 or bool(names and "wikipedia" in kind and _SEVERAL_ARTICLES.search(folded))


def _lists_things(cut: Sequence[str], having: Sequence[frozenset[str]], documents: Sequence[str]) -> bool:
    """Three or more things of several words, of which at least one needs a tool."""
    told = [piece for piece in cut if 2 <= len(piece.split()) <= 10 and not _TIME_OR_QUALITY.match(piece)]
    if documents and not having and len(cut) > 2 and all(len(piece.split()) <= 6 for piece in cut):
        return True
    if (
        not any("data" in each for each in having)
        and sum(bool(plain.OWN.search(piece)) for piece in cut) > 1 < len(cut) - 1
    ):
        return True
    return len(told) > 2 and "math" not in frozenset().union(*having)
