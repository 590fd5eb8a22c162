"""Statistics of one column, and how their figures are written."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from operator import mul
from typing import Any

from backend.workers.jobs.data_job_fields import NUMERIC
from backend.workers.jobs.data_job_read import whole_characters

MAX_TEXT = 80
TOP = 5
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?")


def is_number(value: Any) -> bool:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def describe(name: str, column: Sequence[tuple[int, Any]], rows: int) -> dict[str, Any]:
    values = [value for _, value in column]
    out: dict[str, Any] = {
        "name": name,
        "type": _type(values),
        "count": len(values),
        "missing": rows - len({row for row, _ in column}),
        "distinct": len({(type(value) is bool, value) for value in values}),
    }
    if out["type"] == "number":
        out |= numbers_of(values)
    elif out["type"] == "date":
        out |= {"min": min(values), "max": max(values)}
    elif values:
        common = Counter(shown(value) for value in values).most_common(TOP)
        out["top"] = [{"value": value, "count": count} for value, count in common]
        if out["type"] == "mixed":
            numbers = [value for value in values if is_number(value)]
            out |= {"numbers": len(numbers)} | numbers_of(numbers)
    return out


def _type(values: list[Any]) -> str:
    """`mixed` when at least half are numbers: then those have their statistics too."""
    if not values:
        return "empty"
    numbers = sum(is_number(value) for value in values)
    if numbers == len(values):
        return "number"
    if all(isinstance(value, bool) for value in values):
        return "boolean"
    if all(isinstance(value, str) and _DATE.fullmatch(value) for value in values):
        return "date"
    return "mixed" if numbers * 2 >= len(values) else "text"


def numbers_of(values: list[Any]) -> dict[str, Any]:
    ordered = sorted(Decimal(value) for value in values)
    total = sum(ordered, Decimal(0))
    mean = total / len(ordered)
    spread = None
    if len(ordered) > 1:
        distances = [value - mean for value in ordered]
        spread = (sum(map(mul, distances, distances), Decimal(0)) / (len(ordered) - 1)).sqrt()
    found = (
        total,
        ordered[0],
        ordered[-1],
        mean,
        _quantile(ordered, 2),
        spread,
        _quantile(ordered, 1),
        _quantile(ordered, 3),
    )
    return {name: plain(value) for name, value in zip(NUMERIC, found, strict=True)}


def _quantile(ordered: list[Decimal], quarters: int) -> Decimal:
    """Linear between neighbours (the inclusive method)."""
    whole, part = divmod((len(ordered) - 1) * quarters, 4)
    if not part:
        return ordered[whole]
    return ordered[whole] + (ordered[whole + 1] - ordered[whole]) * part / 4


def plain(value: Decimal | None) -> int | float | None:
    """A JSON number: whole where it is whole, rounded to 15 significant digits otherwise."""
    if value is None:
        return None
    if value == value.to_integral_value() and abs(value) < 2**53:
        return int(value)
    return float(f"{value:.15g}")


def shown(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else whole_characters(str(value))
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def figure(value: Any) -> str:
    """A number to 10 significant digits."""
    return f"{value:.10g}" if isinstance(value, float) else str(value)
