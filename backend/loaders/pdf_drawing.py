"""The straight lines and pictures drawn on a PDF page, which tell tables and scans."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from backend.loaders.pdf_words import axes

MAX_OBJECTS = 20_000
MAX_LINES = 3_000
MAX_SEGMENTS = 400
"""Of one path; what has more is a picture, no grid."""
MAX_DEPTH = 3
_THIN = 3.0
"""Points; a rectangle thinner than this is drawn as a line."""

Bounds = tuple[float, float, float, float]
Matrix = tuple[float, float, float, float, float, float]


@dataclass(slots=True)
class Drawing:
    """Lines as (place across, from, to): `across` lines have a y and go from x to x, `down` lines the reverse."""

    across: list[tuple[float, float, float]] = field(default_factory=list)
    down: list[tuple[float, float, float]] = field(default_factory=list)
    pictures: list[Bounds] = field(default_factory=list)

    def picture_share(self, width: float, height: float) -> float:
        """Share of the page in [0, 1] that is under pictures, by the largest and the strips of its width."""
        area = sum(max(0.0, x1 - x0) * max(0.0, y1 - y0) for x0, y0, x1, y1 in self.pictures)
        return min(1.0, area / max(1.0, width * height))


class DrawingReader:
    """Reads what is drawn on a page; `raw` is pypdfium2's raw module."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._left_count = 0

    def read(self, page: Any, box: Bounds, turn: int) -> Drawing:
        """`box`: left, bottom, right, top of the page. `turn`: the direction in which its text is read."""
        drawing = Drawing()
        self._left_count = MAX_OBJECTS
        to_page = axes(turn, box)
        raw = self._raw
        count = raw.FPDFPage_CountObjects(page)
        objects = (raw.FPDFPage_GetObject(page, index) for index in range(count))
        self._walk(objects, drawing, to_page, 0)
        return drawing

    def _walk(self, objects: Iterator[Any], drawing: Drawing, to_page: Matrix, depth: int) -> None:
        raw = self._raw
        for handle in objects:
            self._left_count -= 1
            if self._left_count < 0 or len(drawing.across) + len(drawing.down) > MAX_LINES:
                return
            kind = raw.FPDFPageObj_GetType(handle)
            if kind == raw.FPDF_PAGEOBJ_PATH:
                self._path(handle, drawing, to_page)
            elif kind == raw.FPDF_PAGEOBJ_IMAGE:
                bounds = self._bounds(handle, to_page)
                if bounds is not None:
                    drawing.pictures.append(bounds)
            elif kind == raw.FPDF_PAGEOBJ_FORM and depth < MAX_DEPTH:
                matrix = raw.FS_MATRIX()
                if raw.FPDFPageObj_GetMatrix(handle, matrix):
                    inner = _after(_values(matrix), to_page)
                    count = raw.FPDFFormObj_CountObjects(handle)
                    parts = (raw.FPDFFormObj_GetObject(handle, index) for index in range(max(0, count)))
                    self._walk(parts, drawing, inner, depth + 1)

    def _path(self, handle: Any, drawing: Drawing, to_page: Matrix) -> None:
        raw = self._raw
        mode, stroked = ctypes.c_int(), ctypes.c_int()
        raw.FPDFPath_GetDrawMode(handle, mode, stroked)
        if not mode.value and not stroked.value:
            return
        count = raw.FPDFPath_CountSegments(handle)
        if count <= 6:
            bounds = self._bounds(handle, to_page)
            if bounds is not None:
                _add_box(drawing, bounds)
        elif count <= MAX_SEGMENTS:
            self._segments(handle, count, drawing, to_page)

    def _segments(self, handle: Any, count: int, drawing: Drawing, to_page: Matrix) -> None:
        """The straight parts of a longer path: some programs draw a whole grid as one."""
        raw = self._raw
        matrix = raw.FS_MATRIX()
        if not raw.FPDFPageObj_GetMatrix(handle, matrix):
            return
        to_page = _after(_values(matrix), to_page)
        x, y = ctypes.c_float(), ctypes.c_float()
        last: tuple[float, float] | None = None
        for index in range(count):
            segment = raw.FPDFPath_GetPathSegment(handle, index)
            kind = raw.FPDFPathSegment_GetType(segment)
            if kind == raw.FPDF_SEGMENT_BEZIERTO or not raw.FPDFPathSegment_GetPoint(segment, x, y):
                return
            point = _apply(to_page, x.value, y.value)
            if kind == raw.FPDF_SEGMENT_LINETO and last is not None:
                _add_line(drawing, *sorted((last, point)))
            last = point

    def _bounds(self, handle: Any, to_page: Matrix) -> Bounds | None:
        left, bottom, right, top = (ctypes.c_float() for _ in range(4))
        if not self._raw.FPDFPageObj_GetBounds(handle, left, bottom, right, top):
            return None
        one, other = _apply(to_page, left.value, bottom.value), _apply(to_page, right.value, top.value)
        return min(one[0], other[0]), min(one[1], other[1]), max(one[0], other[0]), max(one[1], other[1])


def _values(matrix: Any) -> Matrix:
    """In the order of `axes`: x' = a x + b y + c, y' = d x + e y + f."""
    return matrix.a, matrix.c, matrix.e, matrix.b, matrix.d, matrix.f


def _after(inner: Matrix, outer: Matrix) -> Matrix:
    """The two one after the other, `inner` first."""
    a, b, c, d, e, f = outer
    g, h, i, j, k, m = inner
    return a * g + b * j, a * h + b * k, a * i + b * m + c, d * g + e * j, d * h + e * k, d * i + e * m + f


def _apply(matrix: Matrix, x: float, y: float) -> tuple[float, float]:
    a, b, c, d, e, f = matrix
    return a * x + b * y + c, d * x + e * y + f


def _add_box(drawing: Drawing, bounds: Bounds) -> None:
    """A line as one, anything with an area as its four sides."""
    x0, y0, x1, y1 = bounds
    width, height = x1 - x0, y1 - y0
    if height <= _THIN < width or width <= _THIN < height:
        _add_line(drawing, (x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2)) if width > height else _add_line(
            drawing, ((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1)
        )
    elif width > _THIN and height > _THIN:
        drawing.across += [(y0, x0, x1), (y1, x0, x1)]
        drawing.down += [(x0, y0, y1), (x1, y0, y1)]


def _add_line(drawing: Drawing, one: tuple[float, float], other: tuple[float, float]) -> None:
    (x0, y0), (x1, y1) = one, other
    if abs(y1 - y0) <= 1.0 < abs(x1 - x0):
        drawing.across.append(((y0 + y1) / 2, min(x0, x1), max(x0, x1)))
    elif abs(x1 - x0) <= 1.0 < abs(y1 - y0):
        drawing.down.append(((x0 + x1) / 2, min(y0, y1), max(y0, y1)))
