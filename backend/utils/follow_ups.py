"""Follow-ups: queries that only make sense after an earlier turn, and how to read them whole. Pure functions."""

from __future__ import annotations

import re

from backend.utils.patterns import LazyPattern
from backend.utils.query_text import NUMBER, is_request, refers_back

_FOLLOW_LEAD = LazyPattern(
    r"^\W*(?:(?:and|but|ok(?:ay)?|now|so|und|aber|jetzt|et|mais|maintenant|y|pero|ahora|e|ma|ora|mas|agora|"
    r"en)\b[\s,]*)*"
    r"(?:(?:what|how) about|what of|same (?:for|with)|wie (?:ist|wäre|sieht) es mit|was ist mit|wie steht es um|"
    r"qu['’]en est-il d[eu]|"
    r"et pour|qué tal|qué hay de|y para|che ne dici di|e per|que tal|e para|now for|(?:and|und|et|y|e|ma|mas|but|"
    r"pero)\b)[\s,]*"
)
_FOLLOW_WORD = LazyPattern(
    r"\b(?:the (?:second|third|first|last|next|other|previous|former|latter|same)(?: (?:one|two|ones))?|the others|"
    r"another one|"
    r"(?:den|die|das|der) (?:zweite|dritte|erste|letzte|nächste|andere)[nrs]?|(?:le|la|les) (?:deuxième|second|"
    r"seconde|troisième|"
    r"premier|première|dernier|dernière|autre|autres)|(?:el|la|los) (?:segund[oa]|tercer[oa]?|primer[oa]?|últim[oa]|"
    r"otr[oa]s?)|"
    r"(?:il|la) (?:second[oa]|terz[oa]|prim[oa]|ultim[oa])|(?:o|a) (?:segund[oa]|terceir[oa]|primeir[oa]|últim[oa])|"
    r"it|that|they|them|those|there|these|this|davon|dafür|dort|dazu|cela|ça|eso|allí|quello|isso|lá)\b"
)
_PREPOSITION = (
    r"in|into|to|for|at|of|on|from|with|by|as|about|über|sur|sobre|für|nach|von|mit|auf|zu|bei|en|à|pour|de|dans|"
    r"avec|para|por|con|per|da|di|"
    r"a|em|no|na|im|als"
)
_PREPOSITIONAL = LazyPattern(rf"^({_PREPOSITION})\s+(.+)$")
_QUANTITY = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)?\s*[^\W\d_]+")
_INTO = ("in", "into", "to", "en", "em", "nach")
MAX_FOLLOW_WORDS = 9


def is_follow_up(text: str) -> bool:
    """Whether the text only makes sense after an earlier turn: "and the second one?", "what about Berlin?"."""
    bare = text.strip()
    count = len(bare.split())
    if not bare or count > MAX_FOLLOW_WORDS or "\n" in bare:
        return False
    if _FOLLOW_LEAD.match(bare):
        return True
    return bool(_FOLLOW_WORD.search(bare)) and (is_request(bare) or refers_back(bare) or count <= 4)


def complete_follow_up(previous: str, text: str) -> list[str]:
    """Ways to read a follow-up as a whole query, likeliest first; the last is both turns in one.

    "weather in Paris" + "and in Rome?" gives "weather in Rome"; "square root of 16" + "and of 25?" gives
    "square root of 25"; "How many metres are 5 miles?" + "and in km?" gives "5 miles in km"; numbers replace
    the last number, a bare name the last prepositional phrase.
    """
    before = previous.strip().rstrip("?!. ")
    fragment = _FOLLOW_LEAD.sub("", text.strip(), count=1).rstrip("?!. ")
    out: list[str] = []
    if not fragment or not before:
        return [f"{before} {text.strip()}".strip()]
    phrase = _PREPOSITIONAL.match(fragment)
    if phrase:
        same = list(
            re.finditer(rf"\b{re.escape(phrase[1])}\s+(?!.*\b{re.escape(phrase[1])}\b).+$", before, re.IGNORECASE)
        )
        quantities = list(_QUANTITY.finditer(before)) if phrase[1].lower() in _INTO and not same else []
        out += [f"{found.group()} {fragment}" for found in quantities[-1:]]
        out.append(f"{before[: same[0].start()]}{fragment}" if same else f"{before} {fragment}")
    elif NUMBER.fullmatch(fragment):
        numbers = list(NUMBER.finditer(before))
        if numbers:
            out.append(before[: numbers[-1].start()] + fragment + before[numbers[-1].end() :])
    elif len(fragment.split()) <= 4 and not is_request(fragment):
        last = list(re.finditer(rf"\b(?:{_PREPOSITION})\s+(?=\S)", before, re.IGNORECASE))
        if last:
            article = re.match(
                r"(?:the|a|an|der|die|das|dem|den|le|la|les|el|los|il|o)\s+", before[last[-1].end() :], re.IGNORECASE
            )
            keep = (
                article.end()
                if article and not fragment.lower().startswith(("the ", "der ", "die ", "das ", "le ", "la ", "el "))
                else 0
            )
            out.append(before[: last[-1].end() + keep] + fragment)
    out.append(f"{before}. {text.strip()}")
    return out
