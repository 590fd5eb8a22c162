"""Follow-ups: queries that only make sense after an earlier turn, and how to read them whole. Pure functions."""

from __future__ import annotations

import re

from backend.utils.language import content_words
from backend.utils.patterns import LazyPattern
from backend.utils.query_text import NUMBER, is_question, is_request, refers_back

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
_ABOUT = LazyPattern(r"^(?:what|how|was|wie|que|qué|quoi|che|come) (?:about|of|ist mit|sieht es mit)\b")
_PREPOSITIONAL = LazyPattern(rf"^({_PREPOSITION})\s+(.+)$")
_ARTICLES = r"(?:the|der|die|das|den|le|la|les|el|los|las|il|lo|gli|o|os)"
_QUANTITY = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)?\s*[^\W\d_]+")
_INTO = ("in", "into", "to", "en", "em", "nach")
_GOES_ON = LazyPattern(
    r"^\W*(?:(?:and|then|now|und|dann|et|puis|y|luego|e|poi|depois)\s+)*"
    r"(?:plus|minus|times|divided by|multiplied by|to the power of|mal|durch|geteilt durch|hoch|fois|divisé par|moins|"
    r"más|menos|por|"
    r"dividido (?:por|entre|per)|multiplicado por|diviso(?: per)?|moltiplicato per|più|meno|vezes|mais|entre|"
    r"[-+*/×÷^])\s*"
    r"(?=[\d(])(?!\d+(?:[.,]\d+)?\s*(?:°|[^\W\d_]{4,}))"
)
"""A calculation that goes on from the value before: "minus 56", "e diviso 4"."""
_CODE = re.compile(r"(?<!\w)[A-Za-z]{1,4}-?\d{1,6}[A-Za-z]?(?!\w)")
_NAME = re.compile(r"(?<=[^\W_.?!:,] )[A-ZÀ-Þ][\w'’-]+(?: [A-ZÀ-Þ][\w'’-]+)*")
_LEAD_WORD = LazyPattern(r"^\W*(?:and|und|et|y|e|but|aber|mais|pero|ma|mas|so|ok(?:ay)?)\b[\s,]*")
MAX_FOLLOW_WORDS = 9
MAX_FOLLOW_CHARS = 400


def is_follow_up(text: str) -> bool:
    """Whether the text only makes sense after an earlier turn: "and the second one?", "what about Berlin?"."""
    bare = text.strip()
    if len(bare) > MAX_FOLLOW_CHARS:
        return False
    count = len(bare.split())
    if not bare or count > MAX_FOLLOW_WORDS or "\n" in bare:
        return False
    if _FOLLOW_LEAD.match(bare) or _GOES_ON.match(bare):
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
    goes_on = operation_on(fragment)
    if goes_on:
        return [f"{before} {goes_on}", f"{before}. {text.strip()}"]
    phrase = _PREPOSITIONAL.match(fragment)
    like = _in_place_of_its_like(before, phrase[2] if phrase else fragment)
    if like:
        out.append(like)
    if phrase:
        same = list(
            re.finditer(rf"\b({re.escape(phrase[1])})\s+(?!.*\b{re.escape(phrase[1])}\b).+$", before, re.IGNORECASE)
        )
        quantities = list(_QUANTITY.finditer(before)) if phrase[1].lower() in _INTO and not same else []
        out += [f"{found.group()} {fragment}" for found in quantities[-1:]]
        rest = _next_phrase(before, same[0].end(1)) if same else ""
        out += [f"{before[: same[0].start()]}{fragment}{rest}"] if rest else []
        out.append(f"{before[: same[0].start()]}{fragment}" if same else f"{before} {fragment}")
    elif NUMBER.fullmatch(fragment):
        numbers = list(NUMBER.finditer(before))
        numbers = [each for each in numbers if each.group().endswith("%") == fragment.endswith("%")] or numbers
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
        nouns = list(re.finditer(rf"\b{_ARTICLES}\s+\S", before, re.IGNORECASE))
        if nouns and re.match(rf"{_ARTICLES}\s", fragment, re.IGNORECASE):
            out.append(before[: nouns[-1].start()] + fragment)
    out.append(f"{before}. {text.strip()}")
    return out


def operation_on(text: str) -> str:
    """The text without "and" where it only goes on with the value before ("and minus 56"), else nothing."""
    if not _GOES_ON.match(text):
        return ""
    return _LEAD_WORD.sub("", text.strip()).strip(" ?!.")


def stands_alone(text: str) -> str:
    """The question in a text that begins with "and" but needs no turn before it: "And how high is the deposit?".

    Empty where it has a reference, or nothing but a number or measure of its own.
    """
    bare = _LEAD_WORD.sub("", text.strip(), count=1)
    if bare == text.strip() or not is_question(bare.rstrip("?! .")) or _FOLLOW_WORD.search(bare) or refers_back(bare):
        return ""
    if _ABOUT.match(bare) or len([word for word in content_words(bare) if not word[0].isdigit()]) < 1:
        return ""
    return bare


def _in_place_of_its_like(before: str, fragment: str) -> str:
    """The question before with its code or name replaced by another one: "error E1" and "E7", "Lyon" and "Turin"."""
    bare = re.sub(r"^(?:the|der|die|das|le|la|les|el|il|o|a)\s+", "", fragment, flags=re.IGNORECASE)
    if _CODE.fullmatch(bare):
        shape = re.sub(r"\d+", "#", bare).lower()
        alike = [each for each in _CODE.finditer(before) if re.sub(r"\d+", "#", each.group()).lower() == shape]
    elif re.fullmatch(r"[A-ZÀ-Þ][\w'’-]+(?: [A-ZÀ-Þ][\w'’-]+)*", bare):
        alike = list(_NAME.finditer(before))
    else:
        return ""
    return f"{before[: alike[-1].start()]}{bare}{before[alike[-1].end() :]}" if len(alike) == 1 else ""


def _next_phrase(before: str, start: int) -> str:
    """From the next preposition after this place on, with the space before it; empty when there is none."""
    found = re.search(rf"\s(?:{_PREPOSITION})\s+\S", before[start:], re.IGNORECASE)
    return before[start + found.start() :] if found else ""
