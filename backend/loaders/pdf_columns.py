"""The reading order of a page: its columns, and what stands above, between and below them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import pairwise

from backend.loaders.pdf_lines import Fragment, rows_of
from backend.loaders.pdf_tables import Table

MAX_DEPTH = 6
MAX_FRAGMENTS = 3_000
"""A page in more pieces than this is no prose; it is taken from the top down."""
_LABEL = 4
"""Characters; nothing but bullets, numbers or the like is no column of its own."""
_GRID = 2.0
"""Points between the places where a gap between columns is looked for."""


Item = Fragment | Table
"""A piece of a line, or a table as a whole."""


def reading_order(items: Sequence[Item], depth: int = 0) -> list[list[Item]]:
    """The items in groups to be read one after the other; within a group from the top downwards."""
    if len(items) < 4 or len(items) > MAX_FRAGMENTS or depth >= MAX_DEPTH:
        return [list(items)] if items else []
    tried: list[float] = []
    for x in _gutters(items):
        if any(abs(x - other) < 8 for other in tried):
            continue
        tried.append(x)
        groups = _split_at(items, x, depth)
        if groups is not None:
            return groups
    return [list(items)]


def _gutters(items: Sequence[Item]) -> list[float]:
    """Places where many lines leave a gap and few do not, the best first, the middle before the margins."""
    boxes = sorted((item.top, item.bottom, item.x0, item.x1) for item in items)
    nearest = [float("inf")] * len(boxes)
    for index, (top, bottom, x0, x1) in enumerate(boxes):
        for other in range(index + 1, len(boxes)):
            other_top, other_bottom, other_x0, other_x1 = boxes[other]
            if other_top >= bottom:
                break
            if min(bottom, other_bottom) - other_top <= 0.3 * min(bottom - top, other_bottom - other_top):
                continue
            if other_x0 > x1:
                nearest[index] = min(nearest[index], other_x0)
            elif x0 > other_x1:
                nearest[other] = min(nearest[other], x0)
    gaps = [(box[3], x) for box, x in zip(boxes, nearest, strict=True) if x != float("inf") and x - box[3] >= 5]
    votes: dict[int, int] = {}
    for x0, x1 in gaps:
        for step in range(int(x0 // _GRID) + 1, int(x1 // _GRID) + 1):
            votes[step] = votes.get(step, 0) + 1
    if not votes:
        return []
    left, right = min(item.x0 for item in items), max(item.x1 for item in items)
    middle = (left + right) / 2
    crossed: dict[int, int] = {}
    for item in items:
        for step in range(int((item.x0 + 1) // _GRID) + 1, int((item.x1 - 1) // _GRID) + 1):
            if step in votes:
                crossed[step] = crossed.get(step, 0) + 1
    best = sorted(votes, key=lambda step: (crossed.get(step, 0) - votes[step], abs(step * _GRID - middle)))
    return [step * _GRID for step in best if votes[step] >= 2][:40]


def _split_at(items: Sequence[Item], x: float, depth: int) -> list[list[Item]] | None:
    """The groups if some band of the page is in columns left and right of x; None if none is."""
    ordered = sorted(items, key=lambda item: (item.top, item.x0))
    bands: list[tuple[list[Item], bool]] = []
    band: list[Item] = []
    for item in ordered:
        if item.x0 < x - 1 and item.x1 > x + 1:
            _close(bands, band, x)
            bands.append(([item], False))
            band = []
        else:
            band.append(item)
    _close(bands, band, x)
    if not any(in_columns for _, in_columns in bands):
        return None
    groups: list[list[Item]] = []
    flow: list[Item] = []
    for members, in_columns in bands:
        if not in_columns:
            flow += members
            continue
        groups += reading_order(flow, depth + 1)
        flow = []
        for side in _sides(members, x):
            groups += reading_order(side, depth + 1)
    return groups + reading_order(flow, depth + 1)


def _close(bands: list[tuple[list[Item], bool]], band: list[Item], x: float) -> None:
    if band:
        bands.append((band, _is_in_columns(*_sides(band, x))))


def _sides(members: Sequence[Item], x: float) -> tuple[list[Item], list[Item]]:
    left = [item for item in members if (item.x0 + item.x1) / 2 < x]
    return left, [item for item in members if (item.x0 + item.x1) / 2 >= x]


def _is_in_columns(left: list[Item], right: list[Item]) -> bool:
    """Columns of prose, or what the page draws one column after the other; not the columns of a table."""
    if not left or not right or not _are_beside(left, right):
        return False
    texts = [[item for item in side if isinstance(item, Fragment)] for side in (left, right)]
    if any(_is_beside_table(item, right) for item in left) or any(_is_beside_table(item, left) for item in right):
        return True
    if not all(texts):
        return False
    rows = [len(rows_of(text)) for text in texts]
    if min(rows) >= 2 and all(map(_is_prose, texts)):
        return True
    if any(max(len(each.text) for each in text) <= _LABEL for text in texts):
        return False
    return min(rows) >= 3 and _switches(*texts) <= max(1, min(rows) // 4)


def _is_beside_table(item: Item, side: Sequence[Item]) -> bool:
    """Whether the item is a whole table with something of the other side along most of its height."""
    if isinstance(item, Fragment):
        return False
    beside = [min(item.bottom, other.bottom) - max(item.top, other.top) for other in side]
    return sum(each for each in beside if each > 0) > 0.4 * (item.bottom - item.top)


def _are_beside(left: Sequence[Item], right: Sequence[Item]) -> bool:
    def extent(items: Sequence[Item]) -> tuple[float, float]:
        return min(item.top for item in items), max(item.bottom for item in items)

    (top, bottom), (other_top, other_bottom) = extent(left), extent(right)
    beside = min(bottom, other_bottom) - max(top, other_top)
    return beside > 0.3 * min(bottom - top, other_bottom - other_top)


def _is_prose(side: Sequence[Fragment]) -> bool:
    """Lines of several words that mostly fill the width of their column."""
    rows = rows_of(side)
    left, right = min(item.x0 for item in side), max(item.x1 for item in side)
    widths = [sum(each.x1 - each.x0 for each in row) for row in rows]
    lengths = [sum(len(each.text) for each in row) for row in rows]
    letters = sum(map(str.isalpha, "".join(each.text for each in side))) / max(1, sum(lengths))
    return statistics.median(lengths) >= 18 and statistics.median(widths) >= 0.6 * (right - left) and letters >= 0.55


def _switches(left: Sequence[Fragment], right: Sequence[Fragment]) -> int:
    """How often the order in which the page is drawn goes from one side to the other, less the one time it must."""
    sides = sorted([(each.order, 0) for each in left] + [(each.order, 1) for each in right])
    return sum(one[1] != other[1] for one, other in pairwise(sides)) - 1
