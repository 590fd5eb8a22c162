"""Calculations put in everyday words, rewritten so that the calculator's own phrases find them. Pure functions.

Six languages: number words, fractions and multiples ("die Hälfte von 98"), operators, units, money and taxes, shares,
rates over time, and days between two dates. What comes out is only used where it turns out to be mathematics.
"""

from __future__ import annotations

import re
from functools import partial

from backend.tools import math_cue_words as say
from backend.tools.math_dates import days_between
from backend.tools.math_temperatures import temperature_of
from backend.utils.language import detect_language
from backend.utils.math_text import FoundExpression, find_expressions
from backend.utils.number_words import with_digits
from backend.utils.patterns import LazyPattern

MAX_QUERY = 600
"""Longer queries are no everyday questions; this also bounds the time of the patterns."""
SURE = 0.95
EVERYDAY = 0.9
"""Confidence from which a reading counts as the whole of what is asked."""
_N = say.N
_POINT_GROUPS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:\.\d{3})+(?!\d|\.\d)")
_POINT_LANGUAGES = ("de", "es", "it", "pt")
_TAX = r"(?:sales tax|tax(?:es)?|vat|gst|tip|interest|mwst|mehrwertsteuer|steuer|trinkgeld|zinsen|tva|taxe|iva|imposto)"
_TAX_AFTER = LazyPattern(rf"(?<=%)\s+(?:de |di |d['’])?{_TAX}\b")
_MONEY = r"(?:€|\$|£|(?:euros?|dollars?|dólares|dollari|francs?|pesos?|reais|usd|eur)\b)"
_MONEY_AFTER = LazyPattern(rf"(?<=\d)\s?{_MONEY}")
_MONEY_BEFORE = re.compile(r"[€$£]\s?(?=\d)")
_ARTICLE = LazyPattern(rf"\b(?:the|el|il|lo|la|le|l['’]|o|os|die|das)\s+(?={_N}\s*%)")
_PERCENT_OF = LazyPattern(rf"({_N}\s*%)\s+(?:de|di|do|da|del|dei|von|auf|sur|su)\s+(?:l['’])?(?={_N})")

_EACH = r"(?:between|among|amongst|by|into|across|auf|unter|entre|tra|fra|per|por)"
_SHARED = LazyPattern(
    rf"^(?P<before>\D{{0,60}}?)(?P<a>{_N})\b(?P<between>[^\d.?!]{{0,60}}?)\b{_EACH}\s+(?P<n>\d{{1,6}})\b(?!\s*%)\D{{0,"
    rf"80}}$"
)
_SHARING = LazyPattern(
    r"\b(?:split|shared?|divided?|distribut\w+|teile?|verteile?|partag\w+|repart\w+|dividi\w*|divid\w+|spart\w+)\b"
)
_PERIOD = "|".join(sorted(say.PERIODS, key=len, reverse=True))
_RATE = LazyPattern(
    rf"(?P<a>{_N})\s+(?:\w{{1,20}}\s+)?(?:a|an|per|each|every|pro|im|je|par|por|al|ao|all['’]|à l['’]|"
    rf"am)\s*(?P<u>{_PERIOD})\b(?P<rest>.*)$"
)
_DURATION = LazyPattern(
    rf"\b(?:in|after|over|for|within|nach|für|en|pendant|durante|dopo|em|por|per)\s+(?P<n>\d{{1,4}}|an?|one|einem|un|"
    rf"uno|um)\s+(?P<w>{_PERIOD})\b"
)
_TOTAL_FOR = LazyPattern(
    rf"^\D{{0,60}}?(?P<a>{_N})\s*(?:{_MONEY}|[^\W\d_]{{1,12}})?\s+(?:for|in|over|für|pour|por|"
    rf"per)\s+(?P<n>{_N})\s+(?P<u>[^\W\d_]+)\b\D{{0,60}}?\b"
    r"(?:per|an?|each|pro|je|par|por|all['’])\s*(?P<w>[^\W\d_]+)\W*$"
)
_DISCOUNT = LazyPattern(
    rf"^(?P<what>\D{{0,60}}?)(?P<a>{_N})\b\D{{1,40}}?\b(?P<way>reduced|discounted|lowered|off|cheaper|discount|"
    rf"reduziert|gesenkt|rabatt|"
    rf"réduit|remise|rebajad\w+|descuento|scontat\w+|sconto|desconto|increased|raised|erhöht|augmenté|"
    rf"aumentad\w+)\D{{0,20}}?(?P<p>{_N})\s*%(?P<rest>.{{0,80}})$",
    flags=re.IGNORECASE | re.DOTALL,
)
_PERCENT_FIRST = LazyPattern(
    rf"^\D{{0,60}}?(?P<a>{_N})\b\D{{1,40}}?(?P<p>{_N})\s*%\s*(?:off|cheaper|discount|rabatt|de remise|de descuento|di "
    rf"sconto|de desconto|reduction)\b\D{{0,80}}$"
)
_RAISED = LazyPattern(r"increased|raised|erhöht|augmenté|aumentad")


def expressions(query: str) -> list[FoundExpression]:
    """What a calculator could work out for a query: what stands there as mathematics, else what its words mean."""
    if len(query) > MAX_QUERY:
        return find_expressions(query)
    language = detect_language(query)
    text = with_digits(query, language)
    if language in _POINT_LANGUAGES:
        text = _POINT_GROUPS.sub(lambda found: found.group().replace(".", ""), text)
    temperature = temperature_of(text, decimal_comma=language != "en")
    if temperature is not None:
        return [FoundExpression(temperature, SURE)]
    plain = find_expressions(query) if _same_numbers(text, query) else []
    if max((each.confidence for each in plain), default=0.0) >= EVERYDAY or not re.search(r"\d", text):
        return plain
    return _everyday(query, text, language) or plain


def _same_numbers(text: str, query: str) -> bool:
    """Whether the number groups of a text were left as they are: `1.250` is no decimal in German."""
    return _POINT_GROUPS.search(query) is None or text == query


def _everyday(query: str, text: str, language: str) -> list[FoundExpression]:
    days = days_between(query)
    if days is not None:
        return [FoundExpression(days, SURE)]
    normalised = _normalised(text, language)
    told = _told(normalised)
    if told is not None:
        return [FoundExpression(told, SURE)]
    found = find_expressions(normalised) if normalised != query else []
    return found if max((each.confidence for each in found), default=0.0) >= EVERYDAY else []


def _normalised(text: str, language: str) -> str:
    """English words or signs for what other languages say."""
    converted = _conversion(text)
    if converted:
        return converted
    for pattern, replacement in say.REPLACED:
        text = pattern.sub(replacement, text)
    if language in ("it", "en"):
        text = say.TIMES_IN_ITALIAN.sub(" * ", text)
    for pattern, sign in say.OPERATORS:
        text = pattern.sub(f" {sign} ", text)
    text = _MONEY_BEFORE.sub("", _ARTICLE.sub("", text))
    text = _PERCENT_OF.sub(r"\1 of ", text)
    text = _TAX_AFTER.sub("", text)
    text = _shares(text)
    return _MONEY_AFTER.sub("", say.ASKING.sub("What is ", text, count=1))


def _shares(text: str) -> str:
    """ "three quarters of 96" as `(3/4*96)`, "the double of 4" as `(2*4)`."""
    for pattern, whole in say.PARTS:
        text = pattern.sub(partial(_part, whole), text)
    for pattern, factor in say.MULTIPLES:
        text = pattern.sub(rf"({factor}*\g<a>)", text)
    return text


def _part(whole: int, found: re.Match[str]) -> str:
    return f"({found['n'] or 1}/{whole}*{found['a']})"


def _conversion(text: str) -> str | None:
    for pattern in say.CONVERSIONS:
        found = pattern.match(text)
        if found:
            names = [say.UNITS.get(found[key].lower()) for key in ("f", "t")]
            if all(names) and names[0] != names[1]:
                return f"convert {found['x']} {names[0]} to {names[1]}"
    return None


def _told(text: str) -> str | None:
    """A little story with two or three numbers, as what is to be computed."""
    flat = " ".join(text.split())
    found = _SHARED.match(flat)
    if found and _SHARING.search(f"{found['before']} {found['between']}"):
        return f"{found['a']} / {found['n']}"
    found = _PERCENT_FIRST.match(flat) or _DISCOUNT.match(flat)
    if found and not re.search(r"\d", found.groupdict().get("rest") or ""):
        sign = "+" if _RAISED.search(found.groupdict().get("way") or "") else "-"
        return f"{found['a']} {sign} {found['p']}%"
    found = _TOTAL_FOR.match(flat)
    if found and _same_word(found["u"], found["w"]):
        return f"{found['a']} / {found['n']}"
    return _over_time(flat)


def _over_time(text: str) -> str | None:
    """ "350 a month … in 2 years" as `350 * 12 * 2`."""
    found = _RATE.search(text)
    span = _DURATION.search(found["rest"]) if found else None
    if found is None or span is None or re.search(r"\d", found["rest"].replace(span.group(), "")):
        return None
    rate, whole = say.PERIODS[found["u"].lower()], say.PERIODS[span["w"].lower()]
    count = span["n"] if span["n"].isdigit() else "1"
    if rate == whole:
        return f"{found['a']} * {count}"
    factor = say.PER_LONGER.get((rate, whole))
    return f"{found['a']} * {factor} * {count}" if factor else None


def _same_word(one: str, other: str) -> bool:
    return one.lower().rstrip("sen") == other.lower().rstrip("sen")
