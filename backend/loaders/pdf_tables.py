"""Tables of a PDF page: those with ruled lines, and those told by how their cells stand below each other."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from backend.loaders.pdf_drawing import Drawing
from backend.loaders.pdf_lines import LEADER, Fragment, join_words, rows_of
from backend.loaders.pdf_words import Word, is_rtl

TOLERANCE = 3.0
"""Points by which lines that are meant to meet may miss each other."""
MAX_MERGED = 400
MAX_COLUMNS = 40
MAX_CELL_WORDS = 150
"""A frame around more than this per cell lays out a page: it is no table."""
_MARKER = re.compile(r"[•◦▪●■‣⁃–—*·o➢✓❖-]|\(?[0-9]{1,3}[.)]|\(?[A-Za-z][.)]|\(?[ivxl]{1,5}[.)]|\[[0-9]{1,3}\]|§+")

Line = tuple[float, float, float]


@dataclass(slots=True)
class Table:
    """`rows` of cells, each the words in it in reading order."""

    rows: list[list[list[Word]]]
    x0: float
    x1: float
    top: float
    bottom: float

    def markdown(self, known: set[str]) -> str:
        """As a pipe table. Its first row is the head, and empty columns are left out."""
        texts = [[join_words(cell, known).replace("|", "\\|") for cell in row] for row in self.rows]
        texts = [row for row in texts if any(row)]
        kept = [column for column in range(len(texts[0])) if any(row[column] for row in texts)] if texts else []
        if is_rtl(" ".join(text for row in texts for text in row)):
            kept.reverse()
        lines = ["| " + " | ".join(row[column] for column in kept) + " |" for row in texts]
        return "\n".join([*lines[:1], "|" + " --- |" * len(kept), *lines[1:]])


def ruled_tables(words: Sequence[Word], drawing: Drawing, width: float, height: float) -> list[tuple[Table, set[int]]]:
    """Tables whose cells are separated by lines, with the `order` of the words in them."""
    across = _merged([line for line in drawing.across if line[2] - line[1] < 0.99 * width or 0 < line[0] < height])
    down = _merged([line for line in drawing.down if line[2] - line[1] < 0.99 * height or 0 < line[0] < width])
    if not across or not down or len(across) > MAX_MERGED or len(down) > MAX_MERGED:
        return []
    tables = [_ruled(words, rows, columns) for rows, columns in _grids(across, down)]
    found = [table for table in tables if table is not None]
    return _outermost(found)


def _merged(lines: list[Line]) -> list[Line]:
    """Pieces of the same line put together."""
    out: list[Line] = []
    for place, start, end in sorted((round(line[0]), line[1], line[2]) for line in lines):
        last = out[-1] if out else None
        if last is not None and place - last[0] <= 1 and start <= last[2] + TOLERANCE:
            out[-1] = (last[0], last[1], max(last[2], end))
        else:
            out.append((place, start, end))
    return [line for line in out if line[2] - line[1] >= 6]


def _grids(across: list[Line], down: list[Line]) -> list[tuple[list[Line], list[Line]]]:
    """The lines in groups that touch each other."""
    parent = list(range(len(across) + len(down)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for i, (y, x0, x1) in enumerate(across):
        for j, (x, y0, y1) in enumerate(down):
            if x0 - TOLERANCE <= x <= x1 + TOLERANCE and y0 - TOLERANCE <= y <= y1 + TOLERANCE:
                parent[root(i)] = root(len(across) + j)
    groups: dict[int, tuple[list[Line], list[Line]]] = {}
    for index in range(len(parent)):
        rows, columns = groups.setdefault(root(index), ([], []))
        if index < len(across):
            rows.append(across[index])
        else:
            columns.append(down[index - len(across)])
    return [group for group in groups.values() if len(group[0]) >= 2 and group[1]]


def _places(values: list[float]) -> list[float]:
    """Distinct places, those closer than a cell can be taken as one."""
    out: list[float] = []
    for value in sorted(values):
        if not out or value - out[-1] > 2 * TOLERANCE:
            out.append(value)
    return out


def _ruled(words: Sequence[Word], across: list[Line], down: list[Line]) -> tuple[Table, set[int]] | None:
    ys = _places([line[0] for line in across] + [min(line[1] for line in down), max(line[2] for line in down)])
    xs = _places([line[0] for line in down] + [min(line[1] for line in across), max(line[2] for line in across)])
    if len(xs) < 3 or len(ys) < 3:
        return None
    inside = [
        word
        for word in words
        if xs[0] - 1 <= (word.x0 + word.x1) / 2 <= xs[-1] + 1 and ys[0] - 1 <= _middle(word) <= ys[-1] + 1
    ]
    cells: list[list[list[Word]]] = [[[] for _ in xs[1:]] for _ in ys[1:]]
    for word in inside:
        row = min(max(0, bisect_right(ys, _middle(word)) - 1), len(ys) - 2)
        column = min(max(0, bisect_right(xs, (word.x0 + word.x1) / 2) - 1), len(xs) - 2)
        while column > 0 and not _has_line(down, xs[column], (ys[row] + ys[row + 1]) / 2):
            column -= 1
        while row > 0 and not _has_line(across, ys[row], (word.x0 + word.x1) / 2):
            row -= 1
        cells[row][column].append(word)
    if not _is_table(cells):
        return None
    return Table(cells, xs[0], xs[-1], ys[0], ys[-1]), {word.order for word in inside}


def _middle(word: Word) -> float:
    return word.y - 0.3 * word.size


def _has_line(lines: list[Line], place: float, at: float) -> bool:
    return any(
        abs(line[0] - place) <= 2 * TOLERANCE and line[1] - TOLERANCE <= at <= line[2] + TOLERANCE for line in lines
    )


def _is_table(cells: list[list[list[Word]]]) -> bool:
    """At least two rows and two columns with text, and cells rather than the frames of a page."""
    filled = [cell for row in cells for cell in row if cell]
    columns = sum(any(row[column] for row in cells) for column in range(len(cells[0])))
    rows = sum(any(row) for row in cells)
    share = len(filled) / max(1, rows * columns)
    return rows >= 2 and columns >= 2 and share >= 0.4 and max(map(len, filled)) <= MAX_CELL_WORDS


def _outermost(found: list[tuple[Table, set[int]]]) -> list[tuple[Table, set[int]]]:
    """Without those that stand within another."""
    out: list[tuple[Table, set[int]]] = []
    for table, orders in sorted(found, key=lambda each: -len(each[1])):
        if not any(orders & others for _, others in out):
            out.append((table, orders))
    return out


def aligned_tables(fragments: Sequence[Fragment]) -> list[tuple[Table, list[Fragment]]]:
    """Tables without lines: rows that follow each other and whose pieces stand in the same columns."""
    rows = rows_of(fragments)
    out: list[tuple[Table, list[Fragment]]] = []
    index = 0
    while index < len(rows):
        run = _grow(rows, index)
        if _is_aligned_table(run):
            table = _aligned(run)
            out.append((table, [each for row in run for each in row]))
            index += len(run)
        else:
            index += 1
    return out


def _grow(rows: list[list[Fragment]], start: int) -> list[list[Fragment]]:
    """As many rows from there on as can be those of one table."""
    if not 2 <= len(rows[start]) <= MAX_COLUMNS:
        return []
    columns = [(each.x0, each.x1) for each in rows[start]]
    run, last_full = [rows[start]], 1
    step = 0.0
    for row in rows[start + 1 :]:
        size = max(each.size for each in row)
        gap = row[0].y - run[-1][0].y
        if gap > max(3.2 * size, 1.6 * step) or abs(size - run[-1][0].size) > 0.35 * size:
            break
        placed = _fit(columns, row)
        if placed is None or (len(row) == 1 and len(run) > 1 and gap > 1.5 * size and gap > 1.2 * step):
            break
        columns, step = placed, max(step, gap)
        run.append(row)
        if len(row) >= 2:
            last_full = len(run)
    while last_full < len(run) and _continues(run[last_full - 1], run[last_full]):
        last_full += 1
    return run[:last_full]


def _fit(columns: list[tuple[float, float]], row: list[Fragment]) -> list[tuple[float, float]] | None:
    """The columns widened by this row; None if a piece of it spans several of them."""
    out = list(columns)
    used: set[int] = set()
    for each in row:
        hit = [i for i, (x0, x1) in enumerate(out) if min(x1, each.x1) - max(x0, each.x0) > -2]
        if len(hit) > 1 or (hit and hit[0] in used):
            return None
        if hit:
            i = hit[0]
            used.add(i)
            out[i] = (min(out[i][0], each.x0), max(out[i][1], each.x1))
        else:
            out.append((each.x0, each.x1))
            out.sort()
            used = {i + (out[i] > (each.x0, each.x1)) for i in used} | {out.index((each.x0, each.x1))}
    clear = all(one[1] + 3 <= other[0] for one, other in pairwise(out))
    return out if clear else None


def _continues(one: list[Fragment], other: list[Fragment]) -> bool:
    """Whether the single piece of a row goes on with a cell that is not the first of the row above."""
    return (
        len(other) == 1
        and other[0].x0 > one[0].x1
        and other[0].y - one[0].y <= 1.45 * other[0].size
        and any(abs(other[0].x0 - each.x0) < 2 for each in one[1:])
    )


def _is_aligned_table(run: list[list[Fragment]]) -> bool:
    full = [row for row in run if len(row) >= 2]
    if len(full) < 2 or (len(full) < 3 and max(map(len, full)) < 3) or 2 * len(full) < len(run):
        return False
    if max(map(len, run)) > MAX_COLUMNS:
        return False
    if all(each.mono for row in run for each in row) or any(
        word.text == LEADER for row in run for each in row for word in each.words
    ):
        return False
    if sum(_is_list_like(row) for row in full) > 0.5 * len(full):
        return False
    starts = sorted(each.x0 for row in full for each in row[1:])
    ends = sorted(each.x1 for row in full for each in row[1:])
    middles = sorted((each.x0 + each.x1) / 2 for row in full for each in row[1:])
    return any(_are_aligned(places) for places in (starts, ends, middles))


def _is_list_like(row: Sequence[Fragment]) -> bool:
    """Whether all but the last piece are bullets or numbers."""
    return all(_MARKER.fullmatch(each.text) for each in row[:-1])


def _are_aligned(places: list[float]) -> bool:
    """Whether most of the places have another one within a few points."""
    near = sum(
        (i > 0 and value - places[i - 1] < 2.5) or (i + 1 < len(places) and places[i + 1] - value < 2.5)
        for i, value in enumerate(places)
    )
    return near >= 0.6 * len(places)


def _aligned(run: list[list[Fragment]]) -> Table:
    columns: list[tuple[float, float]] = [(each.x0, each.x1) for each in run[0]]
    for row in run[1:]:
        columns = _fit(columns, row) or columns
    tight = min((b[0].y - a[0].y for a, b in pairwise(run)), default=0.0)
    cells: list[list[list[Word]]] = []
    last_y = 0.0
    for row in run:
        line: list[list[Word]] = [[] for _ in columns]
        for each in row:
            middle = (each.x0 + each.x1) / 2
            place = min(range(len(columns)), key=lambda i: abs((columns[i][0] + columns[i][1]) / 2 - middle))
            inside = [i for i, (x0, x1) in enumerate(columns) if x0 - 1 <= middle <= x1 + 1]
            line[inside[0] if inside else place] += each.words
        goes_on = cells and not line[0] and len(row) < len(columns) and row[0].y - last_y <= 1.1 * max(tight, 1.0)
        if goes_on and row[0].y - last_y <= 1.45 * row[0].size:
            for cell, more in zip(cells[-1], line, strict=True):
                cell += more
        else:
            cells.append(line)
        last_y = row[0].y
    pieces = [each for row in run for each in row]
    return Table(
        cells,
        columns[0][0],
        columns[-1][1],
        min(each.top for each in pieces),
        max(each.bottom for each in pieces),
    )
