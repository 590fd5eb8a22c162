"""Calculations as they come up every day, and how text without any mathematics is told at a glance."""

from __future__ import annotations

import re

from backend.utils.math_phrases import END, NUMBER_WORDS

_N = r"-?\d(?:[\d.,]*\d)?"
_MONEY = r"[$€£]?\s?"
_CURRENCY = r"(?:\s?(?:euros?|dollars?|pounds?|bucks|francs?|[$€£]))?"
_ASK = r"(?:(?:what(?:'s| is|s)|how much is|calculate|compute|find|give me|work out|evaluate)\s+)?(?:the |an? )?"
_WITH_RADIUS = rf"(?:with |of )?(?:an? )?radius (?:of )?(?P<a>{_N})"
_PRICE = (
    r"(?=.*(?:cost|price|[$€£]|euro|dollar))"
    rf"[^\d]{{0,60}}?\b(?:costs?|is|was|for|of|at) {_MONEY}(?P<a>{_N}){_CURRENCY},? (?:and |is |was |then |it ){{0,3}}"
)
_CALC = r"[-+*/^().,\d\s]{1,80}"
EVERYDAY: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(r"^" + pattern + END, re.IGNORECASE), template)
    for pattern, template in (
        (rf"{_ASK}(?P<x>.+?) (?:to|with) (?P<n>\d{{1,3}}) (?:significant )?(?:digits|figures)", "N({x}, {n})"),
        (rf"round {_MONEY}(?P<x>{_N}) to (?P<n>\d{{1,2}}) (?:decimals?|digits?)(?: places?)?", "round({x}, {n})"),
        (rf"round {_MONEY}(?P<x>{_N}) to the nearest (?:integer|whole number|unit)", "round({x})"),
        (
            rf"{_ASK}(?P<x>.+?) (?:to|with) (?P<n>\d{{1,3}}) (?:decimals|decimal (?:places|digits))",
            "N(round({x}, {n}), {n}+20)",
        ),
        (
            rf"{_ASK}(?P<p>{_N})\s*% (?:tip|tax|vat|commission|interest) (?:on|of|for) {_MONEY}(?P<a>{_N}){_CURRENCY}",
            "{p}% of {a}",
        ),
        (
            rf"{_ASK}(?P<p>{_N})\s*% (?:off|discount on|discount off) (?:of )?{_MONEY}(?P<a>{_N}){_CURRENCY}",
            "{a} - {p}%",
        ),
        (
            rf"{_PRICE}(?:reduced|discounted|lowered|marked down|decreased) by (?P<p>{_N})\s*%(?:,[^\d]{{0,60}})?",
            "{a} - {p}%",
        ),
        (
            rf"{_PRICE}(?:increased|raised|marked up) by (?P<p>{_N})\s*%(?:,[^\d]{{0,60}})?",
            "{a} + {p}%",
        ),
        (
            rf"{_ASK}percent(?:age)? (?:change|increase|decrease|difference) from {_MONEY}(?P<a>{_N}){_CURRENCY}"
            rf" to {_MONEY}(?P<b>{_N}){_CURRENCY}",
            "({b} - {a})/{a}*100",
        ),
        (
            rf"{_ASK}sum (?:of )?(?:all |the )?(?:(?:whole |natural )?(?:numbers|integers) )?(?:from )?"
            r"(?P<a>-?\d+) (?:up )?(?:to|through) (?P<b>-?\d+)",
            "Sum(k, (k, {a}, {b}))",
        ),
        (rf"{_ASK}half (?:of )?{_MONEY}(?P<a>{_N})", "{a}/2"),
        (rf"{_ASK}(?:one )?third of {_MONEY}(?P<a>{_N})", "{a}/3"),
        (rf"{_ASK}(?:one )?quarter of {_MONEY}(?P<a>{_N})", "{a}/4"),
        (rf"{_ASK}(?:double|twice) (?:of )?{_MONEY}(?P<a>{_N})", "2*{a}"),
        (
            r"(?:what(?:'s| is|s)|find|determine) (?P<v>[a-z]) (?:if|when|given(?: that)?|where|such that)"
            r" (?P<x>[^=]+=[^=]+?)",
            "solve({x}, {v})",
        ),
        (rf"is (?P<x>{_CALC}(?:[<>]=?|=){_CALC})", "{x}"),
        (rf"is (?P<a>{_N}) (?:greater|larger|bigger|more) than (?P<b>{_N})", "{a} > {b}"),
        (rf"is (?P<a>{_N}) (?:less|smaller|lower) than (?P<b>{_N})", "{a} < {b}"),
        (
            rf"{_ASK}(?:convert )?(?P<x>0x[0-9a-f]{{1,200}}|0b[01]{{1,800}}|0o[0-7]{{1,300}})"
            r" (?:in|to|as|into) (?:an? )?(?:decimal|base 10)(?: number)?",
            "{x}",
        ),
        (rf"{_ASK}area of (?:an? |the )?circle {_WITH_RADIUS}", "pi*{a}^2"),
        (rf"{_ASK}(?:circumference|perimeter) of (?:an? |the )?circle {_WITH_RADIUS}", "2*pi*{a}"),
        (rf"{_ASK}volume of (?:an? |the )?(?:sphere|ball) {_WITH_RADIUS}", "4/3*pi*{a}^3"),
    )
)
"""Whole requests as they come up every day, with the question around them, and the expression that answers each."""
TIMES = re.compile(r"(?<=\d)\s+x\s+(?=\d)", re.IGNORECASE)
"""The letter x between two numbers."""
BASED = re.compile(r"0[xbo][0-9a-f]+", re.IGNORECASE)
_NUMBER = "|".join(NUMBER_WORDS)
HINT = re.compile(
    r"[\d=^∫√∛²³×÷½¼¾π]|\w\(|\b(?:(?:a|arc)?(?:sine?|sinus|seno|cosine|cos|[ck]osinus|coseno|tan|tangent[es]?|tangens|cot)\b"
    r"|(?:sqrt|cbrt|roots?|abs|exp|ln|log|logarithm|limit|lim|límite|limite|series|taylor|square|squared|cubed?|prime|d/d\w)\b"
    r"|(?:ableit|deriv|dériv|differentia|leite\b|integr|intègr|intégr|stammf|antider|grenzwert|solve|löse|résou|resuelv"
    r"|wurzel|quadratw|racine|raíz|raíces|nullst|zeroe?s\b|factor|faktor|fakult|expand|développ|desarr|simplif|vereinf"
    r"|kubik|determinant|déterm|eigen|geteilt|divided|minus|plus"
    r"|how many \w+ (?:are )?(?:there )?(?:in|make))"
    rf"|(?:{_NUMBER})\b)",
)
"""Something that mathematics may be made of; text without any holds none. For lower-case text: ignoring case costs."""
STATISTIC = re.compile(
    r"\b(?:mean|average|median|modes?|std(?:ev)?|(?:standard )?deviation|variance|min(?:imum)?|max(?:imum)?|sum|total"
    r"|range|quartiles?|percentiles?|statistics|mittelwert|durchschnitt|standardabweichung|varianz|summe|moyenne|médiane"
    r"|somme|promedio|media|mediana|suma)\b(?!\s*\()",
    re.IGNORECASE,
)
NUMBER_LIST = re.compile(rf"{_N}(?:\s*[,;]\s*(?:and\s+|und\s+|et\s+|y\s+)?{_N}|\s+(?:and|und|et|y)\s+{_N})")
"""Two numbers in a row, as in `3, 9, -2`."""
