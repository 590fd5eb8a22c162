"""Which rows count: simple conditions, given as such or standing in the question."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from backend.workers.jobs.data_job_fields import named_field, only_rows
from backend.workers.jobs.data_job_read import Table, parse_cell
from backend.workers.jobs.data_job_statistics import is_number, shown
from backend.workers.port import Refusal

MAX_CONDITIONS = 5
_AND = re.compile(r"\s+and\s+|\s*(?:&&|;)\s*", re.IGNORECASE)
_CONDITION = re.compile(
    r"(?P<field>[^<>=!~]{1,100}?)\s*(?P<op><=|>=|!=|<>|==|=|<|>|\bcontains\b)\s*(?P<value>.{1,200})", re.I
)
_WORDS: tuple[tuple[str, str], ...] = (
    (">=", "at least|no less than|mindestens|au moins|al menos|por lo menos|almeno|pelo menos"),
    ("<=", "at most|up to|no more than|höchstens|maximal|au plus|como máximo|al massimo|no máximo"),
    (
        ">",
        "(?:is |are )?(?:over|above|more than|greater than|higher than|larger than|after)|über|mehr als|größer als|"
        "höher als|nach|plus de|plus grande? que|supérieure? à|más de|mayor que|superior a|più di|maggiore di|mais de|"
        "maior que|acima de",
    ),
    (
        "<",
        "(?:is |are )?(?:under|below|less than|lower than|smaller than|fewer than|before)|unter|weniger als|"
        "kleiner als|niedriger als|vor|moins de|inférieure? à|menos de|menor que|inferior a|meno di|minore di|"
        "abaixo de",
    ),
    ("=", "is exactly|equals|equal to|gleich|égale? à|igual a|uguale a"),
)
_SPOKEN = re.compile(
    r"(?<!\w)(?:where|with|whose|having|mit|wo|deren|dessen|avec|où|dont|con|donde|cuy[oa]s?|com|onde|dove|cui)\s+"
    r"(?P<field>[^\n,;?!<>=]{1,60}?)\s*"
    rf"(?P<op><=|>=|!=|<>|==|=|<|>|(?<!\w)(?:{'|'.join(words for _, words in _WORDS)})(?=\s))\s*"
    r"(?P<value>[€$£]?-?\d[\d.,]*\d(?!\w)|[€$£]?-?\d(?!\w)|\d{4}-\d\d-\d\d)",
    re.IGNORECASE,
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True, slots=True)
class Condition:
    field: str
    op: str
    value: Any

    def __str__(self) -> str:
        return f"{self.field} {self.op} {shown(self.value)}"


def given_conditions(text: str, fields: list[dict[str, Any]]) -> list[Condition]:
    """What a filter such as `price > 10 and city = Paris` says. Raises Refusal for anything else."""
    parts: list[str] = []
    for piece in _AND.split(text):
        if parts and parts[-1].count('"') % 2:  # the word stood inside a quoted value
            parts[-1] += f" and {piece}"
        elif piece.strip():
            parts.append(piece)
    if len(parts) > MAX_CONDITIONS:
        raise Refusal(f"The filter has more than {MAX_CONDITIONS} conditions; give fewer.")
    return [_given(part, fields) for part in parts]


def _given(part: str, fields: list[dict[str, Any]]) -> Condition:
    found = _CONDITION.fullmatch(part.strip())
    if found is None:
        raise Refusal(
            f"The filter {part.strip()[:100]!r} is not understood; write conditions like price > 10 and city = Paris."
        )
    field = _exactly(found["field"], fields)
    if field is None:
        names = ", ".join(each["name"] for each in fields[:20])
        raise Refusal(f"There is no field {found['field'].strip()[:100]!r} to filter by; there are: {names}.")
    op = {"==": "=", "<>": "!="}.get(found["op"].lower(), found["op"].lower())
    return Condition(field["name"], op, _value(found["value"]))


def _exactly(name: str, fields: list[dict[str, Any]]) -> dict[str, Any] | None:
    wanted = name.strip().strip("\"'`[]").casefold()
    return next((each for each in fields if each["name"].casefold() == wanted), None) or named_field(name, fields)


def _value(text: str) -> Any:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    value = parse_cell(text)
    return text if value is None else value


def spoken_conditions(question: str, fields: list[dict[str, Any]]) -> tuple[list[Condition], str]:
    """Conditions in the question ("where age is over 30"), and the question without them."""
    conditions: list[Condition] = []
    for found in list(_SPOKEN.finditer(question))[:MAX_CONDITIONS]:
        comparable = [each for each in fields if each["type"] in ("number", "mixed", "date")]
        field = named_field(found["field"], comparable)
        if field is None:
            continue
        conditions.append(Condition(field["name"], _operator(found["op"]), _value(found["value"].rstrip(".,"))))
        question = question.replace(found.group(), " ", 1)
    return conditions, question


def _operator(text: str) -> str:
    text = {"==": "=", "<>": "!="}.get(text, text).lower()
    if text in _COMPARE:
        return text
    return next(op for op, words in _WORDS if re.fullmatch(words, text, re.IGNORECASE))


def rows_that(table: Table, conditions: list[Condition]) -> Table | None:
    """The table with the rows that meet every condition; None when there are none."""
    rows: set[int] | None = None
    for condition in conditions:
        column = table.columns[condition.field]
        meeting = {row for row, cell in column if _meets(cell, condition)}
        if condition.op == "!=":  # a missing value is not equal to anything, but is no answer either
            meeting -= {row for row, cell in column if not _meets(cell, condition)}
        rows = meeting if rows is None else rows & meeting
    return only_rows(table, rows) if rows else None


def _meets(cell: Any, condition: Condition) -> bool:
    value = condition.value
    if condition.op == "contains":
        return shown(value).casefold() in str(cell).casefold()
    if is_number(cell) and is_number(value):
        return _COMPARE[condition.op](Decimal(cell), Decimal(value))
    if is_number(cell) != is_number(value) and condition.op not in ("=", "!="):
        return isinstance(cell, str) and _COMPARE[condition.op](cell, str(value))
    return _COMPARE[condition.op](str(cell).casefold().strip(), str(value).casefold().strip())
