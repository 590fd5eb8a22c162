"""Numbers and dates as people write them, judged over a whole column: is `1,234` a thousand, is `03/04` in March?"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

_COMMA_DECIMAL = re.compile(r"\D{0,4}(?:\d+,(?:\d{1,2}|\d{4,})|0,\d+|\d{1,3}(?:[. '\u00a0\u202f]\d{3})+,\d+)\D{0,4}")
_POINT_DECIMAL = re.compile(
    r"\D{0,4}(?:\d+\.(?:\d{1,2}|\d{4,})|0\.\d+|\d{1,3}(?:,\d{3}){2,}|\d{1,3}(?:,\d{3})+\.\d+)\D{0,4}"
)
_THREE = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})")
_SLASHED = re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})")
_MAX = 40


def decimal_comma(cells: Iterable[Any]) -> bool:
    """Whether a column writes `1,5` for one and a half: some cell must, and none may be written the other way."""
    comma = False
    for cell in cells:
        if not isinstance(cell, str) or ("," not in cell and "." not in cell) or len(cell) > _MAX:
            continue
        text = cell.strip()
        if _POINT_DECIMAL.fullmatch(text):
            return False
        comma = comma or _COMMA_DECIMAL.fullmatch(text) is not None
    return comma


def iso_dates(column: Sequence[tuple[int, Any]]) -> list[tuple[int, Any]] | None:
    """The column with ISO dates, where every cell is a date written with its year last or with slashes.

    Day and month are told apart by a number above 12 anywhere in the column; without one, dots mean day first, and
    a column with slashes or dashes stays what it is: text. None where nothing changes.
    """
    first = column[0][1] if column else None
    if not isinstance(first, str):
        return None
    if _SLASHED.fullmatch(first):
        return _converted(column, _SLASHED, lambda found: (found[1], found[2], found[3]))
    start = _THREE.fullmatch(first)
    if start is None:
        return None
    days, months = 0, 0
    for _, value in column:
        found = _THREE.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            return None
        days, months = max(days, int(found[1])), max(months, int(found[3]))
    if days > 12 or (start[2] == "." and months <= 12):
        return _converted(column, _THREE, lambda found: (found[4], found[3], found[1]))
    if months > 12:
        return _converted(column, _THREE, lambda found: (found[4], found[1], found[3]))
    return None


def _converted(
    column: Sequence[tuple[int, Any]], form: re.Pattern[str], parts: Callable[[re.Match[str]], tuple[str, str, str]]
) -> list[tuple[int, Any]] | None:
    out: list[tuple[int, Any]] = []
    for row, value in column:
        found = form.fullmatch(value) if isinstance(value, str) else None
        if found is None:
            return None
        year, month, day = parts(found)
        try:
            out.append((row, dt.date(int(year), int(month), int(day)).isoformat()))
        except ValueError:
            return None
    return out
