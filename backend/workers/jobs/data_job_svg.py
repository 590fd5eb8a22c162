"""Drawing a chart as SVG: shapes and text alone, no script, no reference to anything outside."""

from __future__ import annotations

import datetime as dt
import math
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

WIDTH, HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 616, 60, 316
MAX_LABEL = 18
MAX_TITLE = 70
MAX_LEGEND = 22
_COLOURS = (
    "#3b6fd4",
    "#d9722b",
    "#2f9a68",
    "#a04fc0",
    "#c23b55",
    "#2a93a8",
    "#8a7a1f",
    "#7a5c48",
    "#5b6ee0",
    "#777f8a",
)
_STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#333a44}.title{font-size:15px;font-weight:600}.small{font-size:10px}"
    ".soft{fill:#5a6472}"
    ".back{fill:#fff}.grid{stroke:#e2e6eb}.axis{stroke:#8a94a1}"
    "@media(prefers-color-scheme:dark){text{fill:#dfe4ea}.soft{fill:#a9b3bf}.back{fill:#181b20}.grid{stroke:#2e343c}"
    ".axis{stroke:#6d7785}}"
)


@dataclass(slots=True)
class Chart:
    """What to draw.

    `bar` and `pie` use `labels` and series of as many values; `histogram` uses `x` as edges, one more than values;
    `line` and `scatter` use `x` with series of as many values. None is a gap.
    With `x_dates`, `x` counts days, 1 being 0001-01-01.
    """

    kind: str
    title: str
    x_label: str = ""
    y_label: str = ""
    labels: list[str] = field(default_factory=list)
    x: list[float] = field(default_factory=list)
    x_dates: bool = False
    series: list[tuple[str, list[float | None]]] = field(default_factory=list)


def draw(chart: Chart) -> str:
    """The chart as an SVG document of 640 by 400, readable on light and dark pages."""
    body = "".join(_pie(chart) if chart.kind == "pie" else _plot(chart))
    title = clean(chart.title, MAX_TITLE)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{title}" font-family="system-ui,sans-serif" font-size="12">'
        f"<title>{title}</title><style>{_STYLE}</style>"
        f'<rect class="back" fill="#fff" width="{WIDTH}" height="{HEIGHT}" rx="8"/>'
        f'<text class="title" x="{WIDTH / 2:g}" y="26" text-anchor="middle">{title}</text>{body}</svg>'
    )


def clean(text: str, most: int) -> str:
    """Text for XML: escaped, without control characters, not longer than `most` characters."""
    text = " ".join("".join(char if unicodedata.category(char)[0] != "C" else " " for char in text[:1000]).split())
    text = text if len(text) <= most else f"{text[: most - 1]}…"
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        text = text.replace(char, entity)
    return text


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers from at or below `low` to at or above `high`, at most a few more than `most`."""
    if high <= low:
        pad = abs(low) * 0.5 or 1.0
        low, high = (low - pad, high + pad)
    raw = (high - low) / most
    if raw <= 0 or low + raw == low or high + raw == high:
        return [low, high]
    size = 10.0 ** math.floor(math.log10(raw))
    if size == 0.0:
        return [low, high]
    step = next((factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= raw), 10 * size)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [number * step for number in range(first, min(last, first + 3 * most) + 1)]


def _number(value: float) -> str:
    """A tick's text: short, without the noise of binary fractions."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1e15 or size < 1e-4:
        return f"{value:.3g}"
    for least, mark in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if size >= least:
            return f"{value / least:.6g}{mark}"
    return f"{value:,.6g}" if size < 1e4 else f"{value:,.0f}"


def _plot(chart: Chart) -> Iterator[str]:
    values = [value for _, series in chart.series for value in series if value is not None]
    from_zero = chart.kind in ("bar", "histogram")
    low, high = min(values), max(values)
    low, high = (min(low, 0.0), max(high, 0.0)) if from_zero else (low, high)
    marks = ticks(low, high)
    bottom, top = marks[0], marks[-1]

    def y(value: float) -> float:
        return _BOTTOM - (value - bottom) / (top - bottom) * (_BOTTOM - _TOP)

    for mark in marks:
        yield f'<line class="grid" stroke="#e2e6eb" x1="{_LEFT}" x2="{_RIGHT}" y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>'
        yield f'<text x="{_LEFT - 8}" y="{y(mark) + 4:.1f}" text-anchor="end">{clean(_number(mark), 14)}</text>'
    if chart.kind == "bar":
        yield from _bars(chart, y)
    else:
        yield from _along(chart, y)
    zero = y(min(max(0.0, bottom), top)) if from_zero else _BOTTOM
    yield f'<line class="axis" stroke="#8a94a1" x1="{_LEFT}" x2="{_RIGHT}" y1="{zero:.1f}" y2="{zero:.1f}"/>'
    middle = (_LEFT + _RIGHT) / 2
    yield f'<text class="soft" x="{middle:g}" y="{HEIGHT - 12}" text-anchor="middle">{clean(chart.x_label, 60)}</text>'
    yield (
        f'<text class="soft" x="16" y="{(_TOP + _BOTTOM) / 2:g}" text-anchor="middle" '
        f'transform="rotate(-90 16 {(_TOP + _BOTTOM) / 2:g})">{clean(chart.y_label, 40)}</text>'
    )
    if len(chart.series) > 1:
        yield from _legend([name for name, _ in chart.series])


def _legend(names: list[str]) -> Iterator[str]:
    step = (_RIGHT - _LEFT) / len(names)
    for place, name in enumerate(names):
        x = _LEFT + place * step
        room = min(MAX_LEGEND, max(4, int(step / 7.5) - 2))
        yield f'<rect x="{x:.1f}" y="36" width="10" height="10" rx="2" fill="{_colour(place)}"/>'
        yield f'<text x="{x + 14:.1f}" y="45">{clean(name, room)}</text>'


def _colour(place: int) -> str:
    return _COLOURS[place % len(_COLOURS)]


def _bars(chart: Chart, y: Callable[[float], float]) -> Iterator[str]:
    slot = (_RIGHT - _LEFT) / len(chart.labels)
    width = slot * 0.76 / len(chart.series)
    for place, (name, values) in enumerate(chart.series):
        for number, value in enumerate(values):
            if value is not None:
                x = _LEFT + number * slot + slot * 0.12 + place * width
                said = f"{chart.labels[number]}: {value:.10g}" if len(chart.series) == 1 else f"{name}: {value:.10g}"
                yield _rectangle(x, width, y(0.0), y(value), _colour(place), said)
    tilted = slot < 64 and max(map(len, chart.labels)) * 7 > slot
    every = math.ceil(len(chart.labels) / 40)
    for number, label in enumerate(chart.labels):
        if number % every == 0:
            yield _under(_LEFT + (number + 0.5) * slot, clean(label, 13 if tilted else MAX_LABEL), tilted)


def _rectangle(x: float, width: float, one: float, two: float, colour: str, said: str) -> str:
    top, height = min(one, two), abs(one - two)
    return (
        f'<rect x="{x:.1f}" y="{top:.1f}" width="{max(width, 0.5):.1f}" height="{height:.1f}" fill="{colour}">'
        f"<title>{clean(said, 100)}</title></rect>"
    )


def _under(x: float, text: str, tilted: bool) -> str:
    """A label under the horizontal axis; `text` is clean already."""
    if tilted:
        turn = f'transform="rotate(-40 {x:.1f} 330)"'
        return f'<text class="small" font-size="10" x="{x:.1f}" y="330" text-anchor="end" {turn}>{text}</text>'
    if x + len(text) * 3.5 > WIDTH - 6:
        return f'<text x="{WIDTH - 6}" y="340" text-anchor="end">{text}</text>'
    return f'<text x="{x:.1f}" y="340" text-anchor="middle">{text}</text>'


def _along(chart: Chart, y: Callable[[float], float]) -> Iterator[str]:
    """Lines, points and histograms: a numeric axis below, or one of labels where there is no number."""
    low, high = min(chart.x), max(chart.x)
    marks = _x_ticks(chart, low, high)
    if chart.kind == "scatter":
        low, high = min(low, marks[0]), max(high, marks[-1])
    span = (high - low) or 1.0

    def x(value: float) -> float:
        return _LEFT + ((value - low) / span if high > low else 0.5) * (_RIGHT - _LEFT)

    if chart.kind == "histogram":
        for number, value in enumerate(chart.series[0][1]):
            left, right = x(chart.x[number]), x(chart.x[number + 1])
            said = f"{_number(chart.x[number])} to {_number(chart.x[number + 1])}: {value:g}"
            yield _rectangle(left + 0.5, right - left - 1, y(0.0), y(value or 0.0), _colour(0), said)
    for place, (_, values) in enumerate(chart.series if chart.kind != "histogram" else ()):
        points = [(x(at), y(value)) if value is not None else None for at, value in zip(chart.x, values, strict=True)]
        if chart.kind == "scatter":
            yield f'<g fill="{_colour(place)}" fill-opacity="0.65">'
            yield from (f'<circle cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="3"/>' for point in points if point)
            yield "</g>"
        else:
            yield from _line(points, _colour(place))
    for mark in marks:
        if low <= mark <= high:
            yield _under(x(mark), clean(_x_text(chart, mark), MAX_LABEL), tilted=False)


def _line(points: list[tuple[float, float] | None], colour: str) -> Iterator[str]:
    """A line with gaps where values are missing, and dots where there are few or a point stands alone."""
    path, pen = [], "M"
    for point in points:
        if point is None:
            pen = "M"
            continue
        path.append(f"{pen}{point[0]:.1f} {point[1]:.1f}")
        pen = "L"
    yield f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="2" stroke-linejoin="round"/>'
    there = [point for point in points if point is not None]
    for number, point in enumerate(points):
        lonely = point is not None and not any(points[max(number - 1, 0) : number] + points[number + 1 : number + 2])
        if point is not None and (lonely or len(there) <= 40):
            yield f'<circle cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="2.5" fill="{colour}"/>'


def _x_ticks(chart: Chart, low: float, high: float) -> list[float]:
    if chart.labels:
        every = math.ceil(len(chart.labels) / 7)
        return [float(number) for number in range(0, len(chart.labels), every)]
    if chart.x_dates:
        days = round(high - low)
        count = min(5, max(days, 1))
        return [low + round(days * number / count) for number in range(count + 1)] if days else [low]
    return ticks(low, high)


def _x_text(chart: Chart, mark: float) -> str:
    if chart.labels:
        return chart.labels[int(mark)][:12]
    return dt.date.fromordinal(int(mark)).isoformat() if chart.x_dates else _number(mark)


def _pie(chart: Chart) -> Iterator[str]:
    values = [value or 0.0 for value in chart.series[0][1]]
    total = math.fsum(values)
    x, y, radius = 200.0, 214.0, 140.0
    start = -math.pi / 2
    for place, value in enumerate(values):
        share = value / total
        said = clean(f"{chart.labels[place]}: {value:.10g} ({share:.1%})", 100)
        end = start + share * 2 * math.pi
        if share > 0.9999:
            shape = f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{_colour(place)}">'
            yield f"{shape}<title>{said}</title></circle>"
        elif share > 0:
            far = int(share > 0.5)
            yield (
                f'<path d="M{x:g} {y:g}L{x + radius * math.cos(start):.1f} {y + radius * math.sin(start):.1f}'
                f"A{radius:g} {radius:g} 0 {far} 1 {x + radius * math.cos(end):.1f} {y + radius * math.sin(end):.1f}Z"
                f'" fill="{_colour(place)}" stroke="#fff"><title>{said}</title></path>'
            )
        start = end
        yield f'<rect x="380" y="{76 + place * 27}" width="12" height="12" rx="2" fill="{_colour(place)}"/>'
        label = clean(f"{chart.labels[place][:22]} {_number(value)} ({share:.0%})", 40)
        yield f'<text x="400" y="{87 + place * 27}">{label}</text>'
