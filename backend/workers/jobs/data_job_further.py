"""What an analysis holds beside the statistics of every field: conditions, groups, correlations, a chart."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from backend.utils.statistics_words import DESCRIBE, statistics_named
from backend.workers.jobs.data_job_chart import MAX_BARS, Wish, chart_of
from backend.workers.jobs.data_job_extremes import PER
from backend.workers.jobs.data_job_fields import named_field
from backend.workers.jobs.data_job_groups import by_group, correlations, group_field
from backend.workers.jobs.data_job_read import Table
from backend.workers.jobs.data_job_rows import given_conditions, rows_that, spoken_conditions
from backend.workers.jobs.data_job_statistics import describe, figure
from backend.workers.port import Refusal

MAX_PAIRS = 5
_CORRELATION = re.compile(
    r"(?<!\w)(?:corr?[eé]l(?:at|ac|aç|az)\w*|korrel\w*|zusammenhang\w*|zusammenhäng\w*|related)(?!\w)", re.IGNORECASE
)


@dataclass(slots=True)
class Request:
    """What a call asks for beside its question; every part may be missing. `chart` may be `auto`."""

    group_by: str | None = None
    where: str | None = None
    chart: str | None = None
    chart_fields: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Narrowed:
    """The rows that count, and the questions without the conditions that chose them."""

    table: Table
    fields: list[dict[str, Any]]
    questions: list[str]
    where: str = ""
    nothing: str | None = None
    """Where no row meets the conditions of the question: that sentence, and the table is the whole one."""


def narrowed(table: Table, fields: list[dict[str, Any]], request: Request, questions: list[str]) -> Narrowed:
    """Raises Refusal where the given filter makes no sense or leaves no row."""
    given = given_conditions(request.where, fields) if request.where else []
    spoken, rest = spoken_conditions(questions[0], fields)
    conditions = [*given, *spoken]
    if not conditions:
        return Narrowed(table, fields, questions)
    text = " and ".join(map(str, conditions))
    smaller = rows_that(table, conditions)
    if smaller is None and not spoken:
        raise Refusal(f"No row has {text}.")
    if smaller is None:
        return Narrowed(table, fields, questions, nothing=f"No row has {text}.")
    described = [describe(name, column, smaller.rows) for name, column in smaller.columns.items()]
    return Narrowed(smaller, described, [rest] if spoken else questions, text)


def with_group(questions: list[str], request: Request, fields: list[dict[str, Any]]) -> list[str]:
    """The questions, asking per group where that was given beside them. Raises Refusal for a field there is not."""
    if request.group_by is None:
        return questions
    by = group_field(request.group_by, "", fields)
    return [each if not each.strip() or PER.search(each) else f"{each.rstrip(' ?.!')} per {by}" for each in questions]


def further(rows: Narrowed, request: Request, question: str, groups: list[dict[str, Any]] | None) -> dict[str, Any]:
    """`by_group`, `correlations`, `related` (a sentence where the question asks for them), `chart` and `chart_note`."""
    table, fields = rows.table, rows.fields
    by = group_field(request.group_by, question, fields)
    grouped = by is not None and (request.group_by is not None or (not groups and DESCRIBE.search(question)))
    found = correlations(table, fields)
    out: dict[str, Any] = {
        "by_group": by_group(table, fields, by) if by is not None and grouped else None,
        "correlations": found,
        "related": _related(question, found),
        "chart": None,
        "chart_note": None,
    }
    if request.chart:
        try:
            chart = chart_of(table, fields, _wish(request, question, by, fields))
            out |= {"chart": chart, "chart_note": chart.pop("note")}
        except Refusal as refusal:
            out["chart_note"] = f"There is no chart: {refusal}"
    return out


def _wish(request: Request, question: str, by: str | None, fields: list[dict[str, Any]]) -> Wish:
    kind = request.chart or "auto"
    field = next((each for each in fields if each["name"] == by), None)
    many = field is not None and field["type"] == "number" and field["distinct"] > MAX_BARS
    if kind == "auto" and many and request.group_by is None:
        kind = "scatter"
    asked = statistics_named(question, [each["name"] for each in fields])
    return Wish(
        kind,
        question,
        asked[-1].statistic if asked else None,
        None if kind in ("scatter", "histogram") else by,
        tuple(request.chart_fields),
    )


def _related(question: str, found: dict[str, Any] | None) -> str | None:
    """The correlation of the two fields that the question names, else the strongest ones."""
    if found is None or not _CORRELATION.search(question):
        return None
    names = found["fields"]
    first = named_field(question, [{"name": name} for name in names])
    second = named_field(question, [{"name": name} for name in names if first and name != first["name"]])
    if first and second:
        one, two = sorted((names.index(first["name"]), names.index(second["name"])))
        r = found["matrix"][one][two]
        if r is None:
            return f"{names[one]} and {names[two]} have no correlation that could be worked out."
        return f"The correlation (Pearson) of {names[one]} and {names[two]} is {figure(round(r, 6))}."
    pairs = strongest(found, first["name"] if first else None)
    said = ", ".join(f"{one} and {two} {figure(round(r, 6))}" for one, two, r in pairs[:MAX_PAIRS])
    return f"The strongest correlations (Pearson): {said}." if said else None


def strongest(found: dict[str, Any], name: str | None = None) -> list[tuple[str, str, float]]:
    """Pairs of fields with their r, the closest first; only those with a certain field if it is given."""
    names, matrix = found["fields"], found["matrix"]
    pairs = [
        (names[one], names[two], matrix[one][two])
        for one in range(len(names))
        for two in range(one + 1, len(names))
        if matrix[one][two] is not None and name in (None, names[one], names[two])
    ]
    return sorted(pairs, key=lambda pair: -abs(pair[2]))
