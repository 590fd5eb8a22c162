"""Statistics per group, and how numeric fields go together."""

from __future__ import annotations

import math
from operator import mul
from typing import Any

from backend.workers.jobs.data_job_extremes import PER
from backend.workers.jobs.data_job_fields import named_field
from backend.workers.jobs.data_job_read import Table
from backend.workers.jobs.data_job_statistics import is_number, numbers_of, shown
from backend.workers.port import Refusal

MAX_GROUPS = 50
MAX_MEASURES = 10
MAX_CORRELATED = 20
MIN_PAIRS = 3
"""Rows that a correlation needs: two always lie on a line."""
LARGEST = 1e300
"""Numbers beyond this have no float to reckon with."""
_MEASURES = ("sum", "min", "max", "mean", "median", "stdev")


def group_field(given: str | None, question: str, fields: list[dict[str, Any]]) -> str | None:
    """The field that groups are made by: as given, else the one after `per` or `by` in the question.

    Raises Refusal when the given one does not exist.
    """
    if given is not None:
        wanted = given.strip().casefold()
        exact = next((each for each in fields if each["name"].casefold() == wanted), None)
        field = exact or named_field(given, fields)
        if field is None:
            names = ", ".join(each["name"] for each in fields[:20])
            raise Refusal(f"There is no field {given[:100]!r} to group by; there are: {names}.")
        return str(field["name"])
    per = PER.search(question)
    field = named_field(per["rest"], fields) if per else None
    return str(field["name"]) if field else None


def groups_of(table: Table, by: str) -> dict[str, set[int]]:
    """Rows by the value they have in a field, in order of appearance; a row with a list stands in several."""
    values: dict[Any, set[int]] = {}
    for row, value in table.columns[by]:
        values.setdefault((type(value) is bool, value), set()).add(row)
    groups: dict[str, set[int]] = {}
    for (_, value), rows in values.items():
        groups.setdefault(shown(value), set()).update(rows)
    return groups


def by_group(table: Table, fields: list[dict[str, Any]], by: str) -> dict[str, Any]:
    """Every group's number of rows and the statistics of its numeric fields; the largest groups first.

    `{by, total, without, fields, groups: [{group, count, fields: {name: {count, sum, min, max, ...}}}]}`
    where `total` is how many groups there are and `without` how many rows stand in none.
    """
    every = groups_of(table, by)
    groups = dict(sorted(every.items(), key=lambda each: (-len(each[1]), each[0]))[:MAX_GROUPS])
    measures = [each["name"] for each in fields if each["type"] == "number" and each["name"] != by][:MAX_MEASURES]
    keys: dict[int, list[str]] = {}
    for key, rows in groups.items():
        for row in rows:
            keys.setdefault(row, []).append(key)
    found: dict[str, dict[str, Any]] = {key: {} for key in groups}
    for name in measures:
        parts: dict[str, list[Any]] = {}
        for row, value in table.columns[name]:
            for key in keys.get(row, ()):
                parts.setdefault(key, []).append(value)
        for key, values in parts.items():
            statistics = numbers_of(values)
            found[key][name] = {"count": len(values)} | {each: statistics[each] for each in _MEASURES}
    return {
        "by": by,
        "total": len(every),
        "without": table.rows - len({row for row, _ in table.columns[by]}),
        "fields": measures,
        "groups": [{"group": key, "count": len(rows), "fields": found[key]} for key, rows in groups.items()],
    }


def correlations(table: Table, fields: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Pearson's r of every two of the first 20 numeric fields, over the rows that have both.

    `{fields, matrix}`; an entry is null with fewer than 3 such rows or where one side never changes. None with fewer
    than two fields.
    """
    columns: dict[str, dict[int, float]] = {}
    for field in fields:
        if field["type"] == "number" and len(columns) < MAX_CORRELATED:
            column = floats(table, field["name"])
            if column is not None and len(column) == field["count"]:
                columns[field["name"]] = column
    if len(columns) < 2:
        return None
    names = list(columns)
    rows = [list(column) for column in columns.values()]
    if all(each == rows[0] for each in rows) and len(rows[0]) >= MIN_PAIRS:
        return {"fields": names, "matrix": _matrix([_unit(list(column.values())) for column in columns.values()])}
    matrix: list[list[float | None]] = [[None] * len(names) for _ in names]
    for one, first in enumerate(names):
        for two in range(one, len(names)):
            matrix[one][two] = matrix[two][one] = pearson(columns[first], columns[names[two]])
    return {"fields": names, "matrix": matrix}


def _matrix(units: list[list[float] | None]) -> list[list[float | None]]:
    """Every r of columns of length 1, which have the same rows."""
    matrix: list[list[float | None]] = [[None] * len(units) for _ in units]
    for one, first in enumerate(units):
        for two in range(one, len(units)):
            second = units[two]
            if first is not None and second is not None:
                matrix[one][two] = matrix[two][one] = _rounded(math.fsum(map(mul, first, second)))
    return matrix


def floats(table: Table, name: str) -> dict[int, float] | None:
    """The numbers of a column by row; None where one is beyond the range of floats."""
    out: dict[int, float] = {}
    for row, value in table.columns[name]:
        if is_number(value):
            try:
                number = float(value)
            except OverflowError:
                return None
            if abs(number) > LARGEST:
                return None
            out[row] = number
    return out


def pearson(one: dict[int, float], two: dict[int, float]) -> float | None:
    """Pearson's r in [-1, 1] over the rows that both have; None where there is none."""
    if one.keys() == two.keys() and list(one) == list(two):
        first, second = list(one.values()), list(two.values())
    else:
        rows = [row for row in one if row in two]
        first, second = [one[row] for row in rows], [two[row] for row in rows]
    if len(first) < MIN_PAIRS:
        return None
    left, right = _unit(first), _unit(second)
    return _rounded(math.fsum(map(mul, left, right))) if left is not None and right is not None else None


def _rounded(r: float) -> float:
    return round(max(-1.0, min(1.0, r)), 12)


def _unit(values: list[float]) -> list[float] | None:
    """Distances from the mean as a vector of length 1; None where nothing changes. No square leaves the range."""
    if min(values) == max(values):
        return None
    scale = max(map(abs, values))
    scaled = [value / scale for value in values]
    mean = math.fsum(scaled) / len(scaled)
    distances = [value - mean for value in scaled]
    largest = max(map(abs, distances))
    if largest == 0:
        return None
    distances = [each / largest for each in distances]
    length = math.sqrt(math.fsum(map(mul, distances, distances)))
    return [each / length for each in distances]
