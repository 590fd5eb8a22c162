"""Which fields of a table a chart shows, and how they are put together for it."""

from __future__ import annotations

import datetime as dt
import math
import re
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backend.workers.jobs.data_job_fields import named_field
from backend.workers.jobs.data_job_groups import LARGEST, floats, groups_of
from backend.workers.jobs.data_job_read import Table
from backend.workers.jobs.data_job_statistics import numbers_of
from backend.workers.jobs.data_job_svg import Chart, draw
from backend.workers.port import Refusal

MAX_BARS, MAX_SLICES, MAX_SERIES, MAX_POINTS, MAX_BINS = 30, 9, 5, 1000, 40
FEW_ROWS = 30
OTHER = "other"
_AGAINST = re.compile(r"(?<!\w)(?:by|against|versus|vs|over|gegen|nach|contre|contra|par|por)(?!\w)", re.IGNORECASE)
"""`y against x`: the field named last lies along the axis."""
_ADDED = ("sum", "count")
"""Statistics of the rest that stand for the rest as a whole."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for: `kind` may be `auto`; `fields` were given by name, first the one along the axis."""

    kind: str
    question: str = ""
    statistic: str | None = None
    group: str | None = None
    fields: tuple[str, ...] = ()


def chart_of(table: Table, fields: list[dict[str, Any]], wish: Wish) -> dict[str, Any]:
    """`{kind, title, svg, note}`; `note` says what was left out or drawn otherwise, or is None.

    Raises Refusal where the data has nothing that such a chart could show.
    """
    plan = _Plan(table, fields, wish)
    kind = plan.kind()
    chart, note = {
        "bar": plan.bar,
        "pie": plan.pie,
        "line": plan.line,
        "histogram": plan.histogram,
        "scatter": plan.scatter,
    }[kind]()
    return {"kind": chart.kind, "title": chart.title, "svg": draw(chart), "note": note}


class _Plan:
    """The fields that a question names, split into measures (numbers) and categories."""

    def __init__(self, table: Table, fields: list[dict[str, Any]], wish: Wish) -> None:
        self._table = table
        self._wish = wish
        self._fields = fields
        named = [_by_name(name, fields) for name in wish.fields] or _named_in(wish.question, fields)
        self._named = list(dict.fromkeys(each["name"] for each in named))
        self._numeric = [each["name"] for each in fields if each["type"] == "number" and each["name"] != wish.group]
        self._dates = [each["name"] for each in fields if each["type"] == "date"]
        self._texts = [
            each["name"] for each in fields if each["type"] in ("text", "boolean", "mixed") and each["count"]
        ]
        self._measures = [name for name in self._named if name in self._numeric]
        others = [name for name in self._named if name not in self._measures]
        self._category = wish.group or next(iter(others), None)

    def kind(self) -> str:
        if self._wish.kind != "auto":
            return self._wish.kind
        if self._category in self._dates or (self._category is None and self._dates and self._numeric):
            return "line"
        if self._category is not None:
            return "bar"
        if len(self._measures) == 2:
            return "scatter"
        if len(self._measures) == 1 and self._table.rows > FEW_ROWS:
            return "histogram"
        return "bar" if self._texts or self._table.rows <= FEW_ROWS else "histogram"

    # ---- categories -----------------------------------------------------------------------------

    def bar(self) -> tuple[Chart, str | None]:
        if self._category is None and not self._texts and not self._dates and self._measures_or_all():
            return self._bars_of_rows(self._measures_or_all()[0])
        category = self._category or (self._texts or self._dates or [""])[0]
        names = self._measures[:MAX_SERIES] or self._measures_or_all()[:1]
        labels, series, said = self._grouped(category, names)
        note = None
        if len(labels) > MAX_BARS:
            total = len(labels)
            labels, series, rest = _largest(labels, series, MAX_BARS, with_rest=said in _ADDED)
            note = (
                f"Of {total:,} groups the largest {MAX_BARS - rest} are drawn{', the rest together' if rest else ''}."
            )
        what = " and ".join(name for name, _ in series)
        chart = Chart("bar", f"{_titled(said, what)} per {category}", category, _titled(said, what), labels)
        chart.series = series
        return chart, note

    def _bars_of_rows(self, name: str) -> tuple[Chart, str | None]:
        column = self._floats(name)
        rows = list(column.items())[:MAX_BARS]
        chart = Chart("bar", name, "row", name, [str(row + 1) for row, _ in rows])
        chart.series = [(name, [value for _, value in rows])]
        note = f"The first {MAX_BARS} of {len(column):,} values are drawn." if len(column) > MAX_BARS else None
        return chart, note

    def pie(self) -> tuple[Chart, str | None]:
        chart, note = self.bar()
        chart.series = chart.series[:1]
        values = [value or 0.0 for value in chart.series[0][1]]
        if min(values) < 0 or math.fsum(values) <= 0:
            return chart, "Shares need values above zero: bars are drawn instead of a pie."
        if len(values) > MAX_SLICES + 1:
            total = len(values)
            chart.labels, chart.series, _ = _largest(chart.labels, chart.series, MAX_SLICES + 1, with_rest=True)
            note = f"The largest {MAX_SLICES} of {total:,} parts are drawn, the rest together."
        chart.kind = "pie"
        return chart, note

    def _grouped(
        self, category: str, names: Sequence[str]
    ) -> tuple[list[str], list[tuple[str, list[float | None]]], str]:
        """Labels, a series a measure, and the statistic; rows are counted where there is no measure."""
        groups = groups_of(self._table, category) if category in self._table.columns else {}
        if not groups:
            raise Refusal("There is nothing in the data that a chart could show.")
        if category in self._dates:
            groups = dict(sorted(groups.items()))
        asked = self._wish.statistic
        if not names or asked == "count":
            return list(groups), [("rows", [float(len(rows)) for rows in groups.values()])], "count"
        statistic = asked if asked in ("sum", "mean", "median", "min", "max", "stdev") else "sum"
        of = _statistic(statistic)
        series: list[tuple[str, list[float | None]]] = []
        for name in names:
            column = self._floats(name)
            parts = ([column[row] for row in sorted(rows) if row in column] for rows in groups.values())
            series.append((name, [of(part) if part else None for part in parts]))
        if all(value is None for _, values in series for value in values):
            raise Refusal("There is nothing in the data that a chart could show.")
        single = asked is None and all(len(rows) == 1 for rows in groups.values())
        return list(groups), series, "" if single else statistic

    # ---- numeric axes ---------------------------------------------------------------------------

    def line(self) -> tuple[Chart, str | None]:
        along = self._category or (self._dates or self._texts or [None])[0]
        names = self._measures[:MAX_SERIES] or self._measures_or_all()[:MAX_SERIES]
        if self._category is None and len(self._measures) > 1 and not self._dates and self._wish.fields:
            along, names = self._measures[0], self._measures[1:]
        if along is None:
            self._need(names, "a line")
            rows = sorted({row for name in names for row in self._floats(name)})
            columns = [self._floats(name) for name in names]
            series = [(name, [column.get(row) for row in rows]) for name, column in zip(names, columns, strict=True)]
            chart = Chart("line", ", ".join(names), "row", names[0] if len(names) == 1 else "")
            chart.x, chart.series = [float(row + 1) for row in rows], series
            return _thinned(chart)
        if along in self._numeric:
            names = [name for name in names if name != along]
        labels, series, said = self._grouped(along, names)
        what = " and ".join(name for name, _ in series)
        chart = Chart(
            "line", f"{_titled(said, what)} by {along}", along, _titled(said, what) if len(series) == 1 else ""
        )
        chart.series = series
        if along in self._dates:
            chart.x, chart.x_dates = [_day(label) for label in labels], True
        elif along in self._numeric:
            chart.x = [float(label) for label in labels]
        else:
            chart.labels, chart.x = labels, [float(number) for number in range(len(labels))]
        return _thinned(_in_order(chart))

    def histogram(self) -> tuple[Chart, str | None]:
        names = self._measures_or_all()
        self._need(names, "a histogram")
        values = sorted(self._floats(names[0]).values())
        edges = _edges(values)
        counts = [0.0] * (len(edges) - 1)
        width = (edges[-1] - edges[0]) / len(counts)
        for value in values:
            counts[min(int((value - edges[0]) / width), len(counts) - 1)] += 1
        chart = Chart("histogram", f"Distribution of {names[0]}", names[0], "count", x=edges)
        chart.series = [(names[0], list(counts))]
        return chart, None

    def scatter(self) -> tuple[Chart, str | None]:
        names = list(dict.fromkeys([*self._measures, *self._numeric]))
        if len(names) < 2:
            raise Refusal("A scatter chart needs two numeric fields.")
        if not self._wish.fields and len(self._measures) > 1 and _AGAINST.search(self._wish.question):
            names[:2] = names[1], names[0]
        one, two = self._floats(names[0]), self._floats(names[1])
        rows = [row for row in one if row in two]
        if not rows:
            raise Refusal(f"No row has both {names[0]} and {names[1]}, so there is nothing to draw.")
        every = math.ceil(len(rows) / MAX_POINTS)
        drawn = rows[::every]
        chart = Chart("scatter", f"{names[1]} by {names[0]}", names[0], names[1], x=[one[row] for row in drawn])
        chart.series = [(names[1], [two[row] for row in drawn])]
        return chart, f"{len(drawn):,} of {len(rows):,} points are drawn." if every > 1 else None

    # ---- fields ---------------------------------------------------------------------------------

    def _measures_or_all(self) -> list[str]:
        return self._measures or self._numeric

    def _need(self, names: Sequence[str], what: str) -> None:
        if not names:
            raise Refusal(f"There is no numeric field for {what}.")

    def _floats(self, name: str) -> dict[int, float]:
        column = floats(self._table, name)
        if not column:
            raise Refusal(f"{name} has values that are too large to be drawn.")
        return column


def _by_name(name: str, fields: list[dict[str, Any]]) -> dict[str, Any]:
    exact = next((each for each in fields if each["name"].casefold() == name.strip().casefold()), None)
    field = exact or named_field(name, fields)
    if field is None:
        names = ", ".join(each["name"] for each in fields[:20])
        raise Refusal(f"There is no field {name[:100]!r} to draw; there are: {names}.")
    return field


def _named_in(question: str, fields: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Fields that the question names, each as surely as it can be told: the best is taken away and sought again."""
    left, named = list(fields), list[dict[str, Any]]()
    while len(named) < MAX_SERIES + 1 and (field := named_field(question, left)) is not None:
        named.append(field)
        left = [each for each in left if each is not field]
    return sorted(named, key=lambda each: _place(question, each["name"]))


def _place(question: str, name: str) -> int:
    at = question.casefold().find(name.casefold())
    return at if at >= 0 else len(question)


def _titled(said: str, what: str) -> str:
    return "Number of rows" if said == "count" else f"{said} of {what}" if said else what


def _statistic(name: str) -> Callable[[list[float]], float | None]:
    def of(values: list[float]) -> float | None:
        value = numbers_of([repr(value) for value in values])[name]
        return None if value is None or abs(value) > LARGEST else float(value)

    return of


def _largest(
    labels: list[str], series: list[tuple[str, list[float | None]]], most: int, *, with_rest: bool
) -> tuple[list[str], list[tuple[str, list[float | None]]], int]:
    """The `most` places with the largest values of the first series, the last one for all the rest if wanted."""
    first = [abs(value or 0.0) for value in series[0][1]]
    order = sorted(range(len(labels)), key=lambda place: -first[place])
    keep = order[: most - int(with_rest)]
    rest = set(order) - set(keep)
    out = []
    for name, values in series:
        kept = [values[place] for place in keep]
        out.append((name, [*kept, math.fsum(values[place] or 0.0 for place in rest)] if with_rest else kept))
    return [labels[place] for place in keep] + ([OTHER] if with_rest else []), out, int(with_rest)


def _day(text: str) -> float:
    """Days, 1 being 0001-01-01, with the time of day as a fraction."""
    moment = dt.datetime.fromisoformat(text.replace(" ", "T", 1))
    return moment.toordinal() + (moment.hour * 3600 + moment.minute * 60 + moment.second) / 86_400


def _in_order(chart: Chart) -> Chart:
    order = sorted(range(len(chart.x)), key=chart.x.__getitem__)
    chart.x = [chart.x[place] for place in order]
    chart.series = [(name, [values[place] for place in order]) for name, values in chart.series]
    return chart


def _thinned(chart: Chart) -> tuple[Chart, str | None]:
    """At most 1,000 points a line: beyond that, the mean of so many neighbours."""
    count = len(chart.x)
    size = math.ceil(count / MAX_POINTS)
    if size <= 1:
        return chart, None

    def means(values: Sequence[float | None]) -> list[float | None]:
        parts = ([each for each in values[at : at + size] if each is not None] for at in range(0, count, size))
        return [statistics.fmean(part) if part else None for part in parts]

    chart.labels = []
    chart.x = [statistics.fmean(chart.x[at : at + size]) for at in range(0, count, size)]
    chart.series = [(name, means(values)) for name, values in chart.series]
    return chart, f"Each point is the mean of {size:,} neighbours."


def _edges(ordered: list[float]) -> list[float]:
    """Edges of equal bins: as wide as Freedman and Diaconis say, 1 to 40 of them."""
    low, high = ordered[0], ordered[-1]
    if low == high:
        pad = abs(low) * 0.05 or 0.5
        return [low - pad, high + pad]
    quarter = ordered[(len(ordered) * 3) // 4] - ordered[len(ordered) // 4]
    width = 2 * quarter / len(ordered) ** (1 / 3)
    fewest = math.ceil(math.log2(len(ordered))) + 1
    bins = max(fewest, math.ceil((high - low) / width)) if width > 0 and (high - low) / width < MAX_BINS else fewest
    bins = min(bins, MAX_BINS)
    return [low + (high - low) * number / bins for number in range(bins + 1)]
