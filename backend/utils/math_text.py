"""Finding mathematics in what people write: whole phrases, bare expressions, expressions inside a sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass

from backend.utils import math_everyday as everyday
from backend.utils import math_phrases as phrases
from backend.utils.math_notation import CONSTANTS, FUNCTIONS, MAX_LENGTH, NotationError, to_python

MAX_QUERY = 4000
MAX_FOUND = 4
MAX_PHRASE = 300
"""Longer pieces of text are not looked at for phrases, which keeps the patterns fast."""
STATISTIC_CONFIDENCE = 0.4
"""Low enough for a tool that describes data to come first."""
_DEPTH = 3

_NAME = re.compile(r"[^\W\d]\w*")
_SYMBOL = re.compile(r"[A-Za-zα-ω][0-9]?")
_OPERATOR = re.compile(
    r"[-+*/^%=<>×÷·√²³]|[\d)]!|\b(?:" + "|".join(sorted(FUNCTIONS, key=len, reverse=True)) + r")\b\s*\("
)
_SENTENCE_END = re.compile(r"(?<=[?;\n])\s*|(?<=[^\d)]!)\s+|(?<=[\w)\]])\.(?=\s|$)\s*")
_CONJUNCTION = re.compile(
    r"\s*(?:,\s*(?:and then|then|and|und dann|und|dann|et puis|et|puis|y luego|y|luego)"
    r"|\band then\b|\band also\b|\band\b"
    r"|\bthen\b|\bund\b|\bdann\b|\bet\b|\bpuis\b|\by\b|\bluego\b|,)\s+",
    re.IGNORECASE,
)
_EMBEDDED = re.compile(
    r"(?<![\w.,:/@#+-])(?:[-(√] ?){0,4}\d(?:[\d.,]*\d)?[!%)]{0,4}"
    r"(?: {0,3}(?:\*\*|[-+*/^×÷·−]) {0,3}(?:[-(√] ?){0,4}\d(?:[\d.,]*\d)?[!%)²³]{0,4})+(?![\w:/@-])(?!\.\d)"
)
_EQUATION_JOINT = re.compile(r"\s+(?:and|und|et)\s+|;|,|(?<![-+*/=(])\s+y\s+(?=[\w(][^=]*=)")
"""Between the equations of a system; the Spanish "y" is told from the unknown by what stands around it."""
_NOT_MATH = re.compile(
    r"^\s*(?:"
    r"\d{4}\s*[-/.–]\s*\d{1,2}\s*[-/.–]\s*\d{1,2}|\d{1,2}\s*[-/.–]\s*\d{1,2}\s*[-/.–]\s*\d{2,4}"  # dates
    r"|(?:19|20)\d\d\s*[-/–]\s*(?:(?:19|20)?\d\d)"  # years
    r"|24\s*/\s*7|24/7/365|50\s*/\s*50|9\s*/\s*11|20/20"  # figures of speech
    r"|\+?\(?\d{1,4}\)?(?:[-\s./]\(?\d{2,}\)?){2,}"  # telephone numbers, ISBN
    r"|\d{3}-\d{4}|\+\d[\d\s()-]{6,}|\d{5}-\d{4}"
    r")\s*$"
)
_BARE_PAIR = re.compile(r"^\s*\d+(?:[-–/]\d+)+\s*$")


@dataclass(frozen=True, slots=True)
class FoundExpression:
    """`expression` in the calculator's notation; `confidence` in [0, 1]."""

    expression: str
    confidence: float


def find_expressions(query: str) -> list[FoundExpression]:
    """What a calculator could work out for a query, in order, at most four; empty for ordinary text.

    Dates, versions, telephone and page numbers, years, ranges and figures of speech are not mathematics.
    """
    if len(query) > MAX_QUERY or not everyday.HINT.search(query.lower()):
        return []
    found: list[FoundExpression] = []
    for sentence in _SENTENCE_END.split(query):
        found += _in_sentence(sentence)
    return found[:MAX_FOUND]


def to_expression(text: str) -> str:
    """A phrase such as `derivative of x^2` in the calculator's notation; anything else as it came."""
    if len(text) > MAX_PHRASE:
        return text
    if (request := _everyday(text)) is not None:
        return request
    stripped, _ = _strip(text)
    return _phrase(stripped, _DEPTH) or _conversion(stripped) or everyday.TIMES.sub(" * ", _in_words(stripped))


def _everyday(text: str) -> str | None:
    """The expression for a whole request such as `half of 90` or `pi to 50 digits`; None for anything else."""
    if not re.search(r"\d", text):
        return None
    text = _percent_words(_strip_leads(text.strip(' \t\r\n¿¡"“”`')))
    for pattern, template in everyday.EVERYDAY:
        found = pattern.match(text)
        if not found:
            continue
        groups = {name: value.strip() for name, value in found.groupdict().items() if value}
        if "x" in groups:
            groups["x"] = _phrase(groups["x"], _DEPTH - 1) or _in_words(groups["x"])
        made = template.format(**groups)
        if is_mathematics(made) or everyday.BASED.fullmatch(made):
            return made
    return None


def _in_sentence(sentence: str) -> list[FoundExpression]:
    if not sentence.strip():
        return []
    whole = _whole(sentence) if len(sentence) <= MAX_PHRASE else None
    if everyday.STATISTIC.search(sentence) and everyday.NUMBER_LIST.search(sentence):
        # A list of numbers is for the analysis of data; cut at its commas it would be nonsense.
        return [FoundExpression(whole.expression, STATISTIC_CONFIDENCE)] if whole else _embedded(sentence)
    if whole is not None:
        return [whole]
    pieces = [piece for piece in _CONJUNCTION.split(sentence) if len(piece) <= MAX_PHRASE]
    found = [each for piece in pieces if (each := _whole(piece)) is not None] if len(pieces) > 1 else []
    return found or _embedded(sentence)


def _whole(text: str) -> FoundExpression | None:
    """The text as one request."""
    if (request := _everyday(text)) is not None:
        return FoundExpression(request, 0.95)
    stripped, cue = _strip(text)
    if not stripped or _NOT_MATH.match(stripped):
        return None
    made = _phrase(stripped, _DEPTH)
    if made is not None:
        return FoundExpression(made, 0.95) if is_mathematics(made) else None
    converted = _conversion(stripped)
    if converted is not None:
        return FoundExpression(converted, 0.95)
    expression = everyday.TIMES.sub(" * ", _in_words(stripped)) if cue else _in_words(stripped)
    if not is_mathematics(expression) or (not cue and _BARE_PAIR.match(expression)):
        return None
    if "=" not in expression and re.search(r"\s(?:and|und|et|y)\s", expression):
        return None  # two questions, not a system of equations
    has_digit = any(char.isdigit() for char in expression)
    if not has_digit and not (cue and "(" in expression):
        return None
    return FoundExpression(expression, 0.95 if cue else 0.9)


def _embedded(sentence: str) -> list[FoundExpression]:
    """Pure arithmetic inside other words."""
    found = []
    for match in _EMBEDDED.finditer(_in_words(sentence)):
        expression = match.group().strip()
        if _NOT_MATH.match(expression) or _BARE_PAIR.match(expression) or not is_mathematics(expression):
            continue
        spaced = re.search(r"\d\s+[-–/]\s+\d", expression)
        sure = re.search(r"[*^×÷·+]", expression)
        if sure or spaced:
            found.append(FoundExpression(expression, 0.85 if _asks(sentence) else 0.6))
    return found


def _asks(sentence: str) -> bool:
    return bool(phrases.CUES.match(_strip_leads(sentence.strip(" ¿¡"))))


def is_mathematics(expression: str) -> bool:
    """Whether this is an expression of numbers, single letters and known functions, with something to work out."""
    if len(expression) > MAX_LENGTH or not _OPERATOR.search(expression):
        return False
    try:
        source = to_python(expression)
    except NotationError:
        return False
    source = re.sub(r"\d[eE][+-]?\d", "1", source)
    return _compiles(source) and all(_is_known(found, source) for found in _NAME.finditer(source))


def _is_known(found: re.Match[str], source: str) -> bool:
    name = found.group()
    if name in CONSTANTS or _SYMBOL.fullmatch(name) or ("convert_to(" in source and name in phrases.UNITS):
        return True
    return name in FUNCTIONS and source[found.end() : found.end() + 1] == "("


def _compiles(source: str) -> bool:
    """Whether brackets and signs are complete, judged by shape alone: nothing is parsed or run here."""
    if source.count("(") != source.count(")") or source.count("[") != source.count("]"):
        return False
    return not re.search(r"[-+*/%=<>,(]$|^[*/%=<>,)]|[-+*/%(][*/%=<>,)](?<!\*\*)(?<!//)|\(\)", source)


def _strip(text: str) -> tuple[str, bool]:
    """Without polite words and the question around it; whether it asked for a value."""
    text = _strip_leads(text.strip(' \t\r\n¿¡"“”`'))
    for pattern, _ in phrases.PHRASES[:10]:
        if pattern.match(text):
            return text, True
    if any(pattern.match(text) for pattern in phrases.CONVERSIONS):
        return text, True
    asked = phrases.CUES.match(text)
    if asked:
        text = text[asked.end() :].strip()
    for _ in range(4):
        shorter = phrases.TAILS.sub("", text).strip()
        if shorter == text:
            break
        text = shorter
    return text, bool(asked)


def _strip_leads(text: str) -> str:
    for _ in range(4):
        shorter = phrases.LEADS.sub("", text, count=1).strip()
        if shorter == text:
            break
        text = shorter
    return text


def _in_words(text: str) -> str:
    """Number words and operator words as digits and signs."""
    if not re.search(r"[^\W\d_]{3}", text):
        return text
    replaced = phrases.NUMBER_WORD.sub(lambda found: phrases.NUMBER_WORDS[found.group().lower()], text)
    replaced = _percent_words(replaced)
    for pattern, sign in phrases.SUFFIXES:
        replaced = pattern.sub(sign, replaced)
    for pattern, sign in phrases.OPERATORS:
        replaced = pattern.sub(f" {sign} ", replaced)
    return replaced.strip()


def _phrase(text: str, depth: int) -> str | None:
    if depth == 0 or len(text) > MAX_PHRASE:
        return None
    text = _percent_words(text)
    for pattern, meaning in phrases.PHRASES:
        found = pattern.match(text)
        if found:
            groups = {name: value.strip() for name, value in found.groupdict().items() if value}
            if "x2" in groups:
                groups["x"] = groups["x2"]
            if "x" in groups:
                groups["x"] = _phrase(groups["x"], depth - 1) or _in_words(groups["x"])
            return _build(meaning, groups)
    return None


def _percent_words(text: str) -> str:
    return phrases.PERCENT.sub("%", text)


def _build(meaning: str, groups: dict[str, str]) -> str:
    x, v = groups.get("x", ""), groups.get("v", "")
    a = phrases.INFINITY.sub("oo", groups.get("a", ""))
    b = phrases.INFINITY.sub("oo", groups.get("b", ""))
    match meaning:
        case "diff":
            order = 2 if "n2" in groups else 3 if "n3" in groups else 1
            return f"diff({x}{', ' + v if v else ''}{f', {order}' if order > 1 else ''})"
        case "integrate":
            return f"integrate({x}, {a}, {b})" if a else f"integrate({x})"
        case "limit":
            return f"limit({x}, {v}, {a})"
        case "series":
            return f"series({x}, x, {a})" if a else f"series({x})"
        case "solve":
            return _solve(x, v)
        case "trig":
            name = groups["f"].lower()
            return f"{phrases.TRIGONOMETRY.get(name, name)}({x})"
        case "matrix":
            name = groups["f"].lower()
            return f"{phrases.MATRIX_FUNCTIONS.get(name, name)}({x})"
        case "statistics":
            name = groups["f"].lower()
            return f"{phrases.STATISTICS.get(name, name)}({_listed(groups['list'])})"
        case _:
            if "list" in groups:
                groups["list"] = _listed(groups["list"])
            return meaning.format(**{**groups, "x": x, "a": a, "b": b})


def _listed(text: str) -> str:
    parts = [part.strip() for part in phrases.LIST_AND.split(text) if part.strip()]
    return ", ".join(parts)


def _solve(text: str, symbol: str) -> str:
    wanted = re.search(r"\s+(?:for|nach|pour|para)\s+([a-zA-Z](?:\s*(?:,|and|und|et|y)\s*[a-zA-Z])*)(?:\s+auf)?$", text)
    if wanted:
        text, symbol = text[: wanted.start()], _listed(wanted.group(1))
    equations = [part.strip() for part in re.split(_EQUATION_JOINT, text) if part.strip()]
    if len(equations) == 1:
        if symbol:
            return f"solve({equations[0]}, {symbol})"
        return equations[0] if re.search(r"[=<>≤≥]", equations[0]) else f"solve({equations[0]})"
    return f"solve([{', '.join(equations)}]{f', [{symbol}]' if symbol else ''})"


def _conversion(text: str) -> str | None:
    if len(text) > MAX_PHRASE:
        return None
    if found := phrases.TWO_UNITS.match(text):
        first, second, wanted = _unit(found["u"]), _unit(found["w"]), _unit(found["to"])
        if first and second and wanted:
            return f"convert_to({found['a']}*{first} + {found['b']}*{second}, {wanted})"
    for pattern in phrases.CONVERSIONS:
        found = pattern.match(text)
        if not found:
            continue
        start, end = found["from"], found["to"]
        heat = phrases.TEMPERATURE_NAMES.get(start.lower()), phrases.TEMPERATURE_NAMES.get(end.lower())
        if heat in phrases.TEMPERATURES:
            return phrases.TEMPERATURES[(heat[0] or "", heat[1] or "")].format(x=found["x"])
        units = _unit(start), _unit(end)
        if units[0] and units[1]:
            amount = _with_point(found["x"]) if found["x"][-1].isdigit() else "1"
            return f"convert_to({amount}*{units[0]}, {units[1]})"
    return None


def _with_point(amount: str) -> str:
    """A number as it may stand among arguments: `2,5` would be two of them."""
    if re.fullmatch(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?", amount):
        return amount.replace(",", "")
    return amount.replace(",", ".") if amount.count(",") == 1 and "." not in amount else amount


def _unit(word: str) -> str | None:
    return phrases.UNITS.get(word) or phrases.UNITS.get(word.lower())
