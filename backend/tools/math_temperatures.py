"""Temperatures to be converted, put in words: "100 °F in °C", "wie viel Grad Celsius sind 100 Fahrenheit". Pure."""

from __future__ import annotations

import re

from backend.utils.math_phrases import TEMPERATURES
from backend.utils.patterns import LazyPattern

_DEGREES = r"(?:[°º]|degrees?\b|deg\b|grad(?:en?|o|os|i|us?)?\b|graus?\b|degrés?\b)"
_SCALE = rf"(?P<{{0}}>(?:{_DEGREES}\s*)?(?:celsius|centigrades?|centígrados?|fahrenheit|kelvins?|[cfk]))(?!\w)"
_AMOUNT = r"(?P<x>(?:[-−–]\s?|(?:minus|negative|moins|menos|meno)\s+)?\d{1,9}(?:[.,]\d{1,9})*)\s*"
_LEAD = (
    r"(?:(?:please|can you|could you|bitte)\s+)?"
    r"(?:(?:convert|change|translate|turn|what(?:'s|’s| is| are| would be)?|how (?:much|hot|warm|cold) (?:is|are)|"
    r"konvertiere?|rechne|wandle|wie ?viel (?:ist|sind)|was (?:ist|sind)|converti[rs]?|convertissez|"
    r"combien (?:font|fait)|convierte|cu[aá]nto (?:es|son)|quanto (?:è|sono|é|são)|converta|converter)\s+)?"
)
_MANY = (
    r"(?:how many|what(?: is| are)?(?: the)?|wie ?viele?|combien (?:de )?|(?:a )?cu[aá]nt[oa]s|quant[ie]|quantos)\s*"
    r"(?:temperature in\s+)?"
)
_ARE = (
    r"(?:is|are|are in|equals?|makes?|sind|ist|ergeben|entsprechen|font|fait|son|es|equivalen|sono|são|equivalem|in|"
    r"dans|en|em)\s+"
)
_INTO = r"(?:in|to|into|as|en|a|à|em|nach|zu|para)\s+"
_END = r"(?:\s+(?:um(?:rechnen|wandeln)?|please|bitte|por favor))?[\s.?!]*$"


def _shape(*parts: str) -> LazyPattern:
    text = "".join(parts).replace("<X>", _AMOUNT).replace("<F>", _SCALE.format("f")).replace("<T>", _SCALE.format("t"))
    return LazyPattern(rf"^[\s¿¡\"']*{text}{_END}", flags=re.IGNORECASE)


_SHAPES = (
    _shape(_LEAD, r"<X><F>\s+", _INTO, r"<T>"),
    _shape(_MANY, r"<T>\s+", _ARE, r"<X><F>"),
    _shape(r"<X><F>\s+", _ARE, _MANY, r"<T>"),
)
_THOUSANDS = re.compile(r",(?=\d{3}(?!\d))")


def temperature_of(query: str, *, decimal_comma: bool) -> str | None:
    """What to compute, e.g. `(100 - 32)*5/9`; None when the query is about anything else.

    `decimal_comma` tells how `1,234` is read in the language of the query.
    """
    for shape in _SHAPES:
        found = shape.match(query)
        if found is None:
            continue
        start, end = _letter(found["f"]), _letter(found["t"])
        # A bare K means thousands as often as kelvin: the other scale must be told from a letter then.
        if start == end or ("k" in (found["f"].lower(), found["t"].lower()) and len(found["f"] + found["t"]) == 2):
            return None
        return TEMPERATURES[start, end].format(x=_number(found["x"], decimal_comma))
    return None


def _letter(scale: str) -> str:
    return scale.lower().split()[-1].lstrip("°º")[0] if scale else ""


def _number(text: str, decimal_comma: bool) -> str:
    digits = text.lstrip("-−–").lstrip()
    negative = digits != text or not text[0].isdigit()
    digits = re.sub(r"^\D+", "", digits)
    digits = digits.replace(",", ".") if decimal_comma else _THOUSANDS.sub("", digits).replace(",", ".")
    return f"-{digits}" if negative else digits
