"""Short requests that are no formula: `5 ft^2 in m^2`, `255 in hex`, `what percent is 30 of 120`.

Whole patterns only; what comes out is text for the walker, built from checked numbers and known unit names.
"""

from __future__ import annotations

import re

from backend.utils.math_notation import NotationError, to_python
from backend.workers.jobs.math_job_bases import number_of_roman
from backend.workers.jobs.math_job_units import TEMPERATURES, unit_named

MAX_CHARS = 200
_ASK = re.compile(
    r"^(?:(?:what(?:'s| is)|how much is|convert|express|write|calculate|compute|give me|berechne|wie ?viel ist"
    r"|wandle|combien font|convertir|cuánto es)\s+)+",
    re.IGNORECASE,
)
_NUMBER = r"[-+−]?(?:\d[\d.,]*(?:[eE][-+]?\d{1,3})?(?:/\d+)?|\.\d+)"
_CONVERSION = re.compile(r"^(?P<from>.{1,120}?)\s+(?:in|to|into|as|nach|en)\s+(?P<to>\S.{0,60})$", re.IGNORECASE)
_TERM = re.compile(rf"\s*(?P<joint>\+|-|and\b)?\s*(?P<number>{_NUMBER})\s*(?P<unit>[^\d\s+.,-][^+,]*?(?:\^-?\d)?)\s*"
                   rf"(?=$|[+]|\s-\s|\band\s|\s{_NUMBER}\s*[a-z])", re.IGNORECASE)  # fmt: skip
_UNIT_TOKEN = re.compile(r"\s*([A-Za-zµμ°Ωω'\"]+[23]?|\*\*|\^|[*/·]|-?\d{1,3}|[²³])")
_SPELLED = (
    (r"\bsquare\s+([a-z]+)", r"\1^2"),
    (r"\b(?:cubic)\s+([a-z]+)", r"\1^3"),
    (r"\bsq\.?\s*([a-z]+)", r"\1^2"),
    (r"\bcu\.?\s+([a-z]+)", r"\1^3"),
    (r"\bmiles?\s+per\s+hour\b", "mph"),
    (r"\bmiles?\s+per\s+gallon\b", "mpg"),
    (r"\blight[\s-]years?\b", "lightyear"),
    (r"\bnautical\s+miles?\b", "nmi"),
    (r"\b(?:us\s+)?fl(?:uid)?\.?\s*(?:oz|ounces?)\b", "floz"),
    (r"\b(?:metric\s+)?tons?\b", "tonne"),
    (r"\bdegrees?\s+(?=(?:celsius|fahrenheit|kelvin|c|f)\b)|°\s*(?=[cf]\b)", ""),
    (r"°|\bdegrees?\b", "deg"),
    (r"\s+per\s+", "/"),
    (r"(?<=[a-z])²", "^2"),
    (r"(?<=[a-z])³", "^3"),
    (r"\b(m|cm|mm|km|ft)([23])\b", r"\1^\2"),
    (r"\bin\b", "inch"),
)
_SPELLING = tuple((re.compile(pattern, re.IGNORECASE), text) for pattern, text in _SPELLED)
_BASES = {
    "hex": "hex",
    "hexadecimal": "hex",
    "base 16": "hex",
    "binary": "bin",
    "bin": "bin",
    "base 2": "bin",
    "octal": "oct",
    "oct": "oct",
    "base 8": "oct",
    "roman": "roman",
    "roman numerals": "roman",
    "roman numeral": "roman",
}
_BASE = re.compile(
    r"^(?P<x>(?:0x[0-9a-f]{1,200}|0b[01]{1,400}|[-+*/^()\d ]){1,120}?)\s+(?:in|to|into|as)\s+(?:a |an )?"
    r"(?P<base>hex(?:adecimal)?|bin(?:ary)?|oct(?:al)?|base (?:16|2|8)|roman(?: numerals?)?)(?: numbers?)?$",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"^(?P<x>[0-9a-f]{1,200}) (?:in |from )?(?P<base>hex(?:adecimal)?|binary|octal)"
                     r"(?: (?:in|to|as) decimal)?$", re.IGNORECASE)  # fmt: skip
_ROMAN = re.compile(r"^(?P<x>[MDCLXVI]{1,15})(?: (?:in|to|as) (?:arabic|decimal|a number|numbers?|arabic numerals))$")
_PERCENT = tuple(
    (re.compile(pattern, re.IGNORECASE), template)
    for pattern, template in (
        (
            rf"^(?:what|which) percent(?:age)? (?:is|are) (?P<a>{_NUMBER}) (?:of|out of) (?P<b>{_NUMBER})$",
            "{a}/{b}*100",
        ),
        (rf"^(?:what|which) percent(?:age)? of (?P<b>{_NUMBER}) (?:is|are) (?P<a>{_NUMBER})$", "{a}/{b}*100"),
        (rf"^(?P<a>{_NUMBER}) (?:out )?of (?P<b>{_NUMBER}) (?:as|in) (?:a )?(?:percent(?:age)?|%)$", "{a}/{b}*100"),
        (rf"^(?P<a>{_NUMBER}) (?:as|in|to) (?:a )?(?:percent(?:age)?|%)$", "{a}*100"),
        (rf"^add (?P<p>{_NUMBER})\s*(?:%|percent) to (?P<a>{_NUMBER})$", "{a}*(1+{p}/100)"),
        (rf"^(?:subtract|take) (?P<p>{_NUMBER})\s*(?:%|percent) (?:from|off) (?P<a>{_NUMBER})$", "{a}*(1-{p}/100)"),
        (rf"^(?:increase|raise) (?P<a>{_NUMBER}) by (?P<p>{_NUMBER})\s*(?:%|percent)$", "{a}*(1+{p}/100)"),
        (rf"^(?:decrease|reduce|lower) (?P<a>{_NUMBER}) by (?P<p>{_NUMBER})\s*(?:%|percent)$", "{a}*(1-{p}/100)"),
        (rf"^(?P<a>{_NUMBER}) is (?P<p>{_NUMBER})\s*(?:%|percent) of what(?: number)?$", "{a}/({p}/100)"),
    )
)


def everyday(text: str) -> str | None:
    """The source for a request of this kind; None for every other text."""
    if len(text) > MAX_CHARS:
        return None
    text = _ASK.sub("", " ".join(text.split()).rstrip("?!. ").replace("−", "-"))
    return _percent(text) or _base(text) or _conversion(text)


def _number(text: str) -> str | None:
    """The number as Python writes it, in brackets."""
    try:
        return f"({to_python(text)})"
    except NotationError:
        return None


def _percent(text: str) -> str | None:
    for pattern, template in _PERCENT:
        if found := pattern.match(text):
            numbers = {name: _number(value) for name, value in found.groupdict().items()}
            return template.format(**numbers) if all(numbers.values()) else None
    return None


def _base(text: str) -> str | None:
    if found := _ROMAN.match(text):
        number = number_of_roman(found["x"])
        return None if number is None else str(number)
    if found := _BASE.match(text):
        inner = _number(found["x"])
        return inner and f"{_BASES[found['base'].lower()]}{inner}"
    if found := _DIGITS.match(text):
        radix = {"h": 16, "b": 2, "o": 8}[found["base"][0].lower()]
        try:
            return str(int(found["x"], radix))
        except ValueError:
            return None
    return None


def _conversion(text: str) -> str | None:
    found = _CONVERSION.match(text)
    if not found:
        return None
    target = unit_expression(found["to"])
    quantity = target and _quantity(found["from"])
    return f"convert_to({quantity}, {target})" if quantity else None


def _quantity(text: str) -> str | None:
    """`6 feet 2 inches`, `10 km + 500 m`, `2.5 m/s`: a sum of numbers with units."""
    made, at = "", 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None or found.end() == at:
            return None
        number, unit = _number(found["number"]), unit_expression(found["unit"])
        if not number or not unit:
            return None
        joint = "-" if found["joint"] == "-" else "+"
        made += (joint if made or joint == "-" else "") + f"{number}*({unit})"
        at = found.end()
    return made or None


def unit_expression(text: str) -> str | None:
    """Units joined by / and *, with powers, in Python's syntax; None when a word is no unit."""
    for pattern, spelled in _SPELLING:
        text = pattern.sub(spelled, text)
    out: list[str] = []
    at, text = 0, text.strip()
    while at < len(text):
        found = _UNIT_TOKEN.match(text, at)
        if found is None:
            return None
        at = found.end()
        token = found.group(1)
        if token in ("^", "**"):
            out.append("**")
        elif token in ("*", "·", "/"):
            out.append("/" if token == "/" else "*")
        elif token.lstrip("-").isdigit():
            if not out or out[-1] not in ("**", "/"):
                return None
            out.append(f"({token})" if token.startswith("-") else token if out[-1] == "**" else f"{token}*")
        else:
            name = _unit(token)
            if name is None or (out and (out[-1].isidentifier() or out[-1] == ")")):
                return None
            out.append(name)
    if not out or out[-1] in ("**", "*", "/") or not any(part.isidentifier() for part in out):
        return None
    return _grouped("".join(out))


def _grouped(text: str) -> str:
    """`L/100*km` means L/(100*km)."""
    return re.sub(r"/(\d+\*\w+)", r"/(\1)", text)


def _unit(word: str) -> str | None:
    word = word.replace("µ", "u").replace("μ", "u").replace("Ω", "ohm").replace("ω", "ohm")
    for name in (word, word.lower()):
        if name.isidentifier() and (name in TEMPERATURES or unit_named(name) is not None):
            return name
    return None
