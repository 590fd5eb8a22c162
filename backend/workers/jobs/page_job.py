"""The jobs behind a page that is shown as it looks: its picture, and where on it a passage stands."""

from __future__ import annotations

import base64
import ctypes
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from backend.workers.jobs.page_job_find import fold, stretches
from backend.workers.port import Refusal

PRELOAD = ("pypdfium2", "PIL.Image", "PIL.PngImagePlugin")

MAX_HEIGHT_RATIO = 5.0
"""Of the width; a longer page is shown in less detail."""
MAX_CHARACTERS = 60_000
"""Of a page that are looked at for a passage."""
MAX_PASSAGE = 20_000
MAX_RECTANGLES = 400
CLOSING = frozenset(".,;:!?)]\"'”’»")
_GRID = 1_000_000
"""Device units that a page's width and height are measured in; one is far less than a pixel."""
Box = tuple[float, float, float, float]


def render(path: str, page: int, width: int) -> dict[str, Any]:
    """{png, width, height}: page `page` (from 1) as a PNG in base64, `width` pixels wide.

    Raises Refusal.
    """
    with _open(path, page) as opened:
        across, down = opened.get_size()
        if across <= 0 or down <= 0:
            raise Refusal("This page has no size and cannot be shown.")
        scale = min(width, width * MAX_HEIGHT_RATIO * across / down) / across
        picture = opened.render(scale=scale).to_pil()
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=4)
    return {"png": base64.b64encode(out.getvalue()).decode(), "width": picture.width, "height": picture.height}


def find(path: str, page: int, passage: str) -> dict[str, Any]:
    """{found, rects: [[x0, y0, x1, y1]…]}: where the passage stands on page `page` (from 1), a rectangle a line.

    Raises Refusal.
    """
    import pypdfium2.raw as pdfium

    with _open(path, page) as opened:
        text = opened.get_textpage()
        count = min(text.count_chars(), MAX_CHARACTERS)
        characters = [_character(pdfium.FPDFText_GetUnicode(text, index)) for index in range(count)]
        letters = fold(characters)
        found = stretches(letters, fold(passage[:MAX_PASSAGE]))
        spans = [range(letters.places[begin], _closed(characters, letters.places[end - 1] + 1)) for begin, end in found]
        rects = [rect for span in spans for rect in _lines(opened, text, span)]
    return {"found": bool(rects), "rects": [[round(value, 5) for value in rect] for rect in rects[:MAX_RECTANGLES]]}


@contextmanager
def _open(path: str, number: int) -> Iterator[Any]:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise Refusal("The PDF is protected by a password: its pages cannot be shown.") from None
        raise Refusal("The PDF is damaged: its pages cannot be shown.") from None
    try:
        if not 1 <= number <= len(document):
            raise Refusal(f"The document has {len(document)} pages: there is no page {number}.")
        try:
            yield document[number - 1]
        except pypdfium2.PdfiumError:
            raise Refusal("This page is damaged and cannot be shown.") from None
    finally:
        document.close()


def _character(code: int) -> str:
    """What takes the place of a hyphen at the end of a line (U+0002, U+FFFE) is no letter either way."""
    return chr(code) if code <= 0x10FFFF and not 0xD800 <= code <= 0xDFFF else "\ufffd"


def _closed(characters: Sequence[str], end: int) -> int:
    """With the marks that end a sentence."""
    while end < len(characters) and characters[end] in CLOSING:
        end += 1
    return end


def _lines(page: Any, text: Any, span: range) -> Iterator[Box]:
    """One rectangle for each line (or cell of a line) of those characters."""
    current: Box | None = None
    for index in span:
        box = _box(text, index)
        if box is None:
            continue
        if current is not None and _is_same_line(current, box):
            current = (
                min(current[0], box[0]), min(current[1], box[1]), max(current[2], box[2]), max(current[3], box[3])
            )  # fmt: skip
        else:
            yield from _shares(page, current)
            current = box
    yield from _shares(page, current)


def _box(text: Any, index: int) -> Box | None:
    """A character's left, bottom, right and top in points, before the page is turned; None for one that is nowhere."""
    import pypdfium2.raw as pdfium

    rect = pdfium.FS_RECTF()
    if not pdfium.FPDFText_GetLooseCharBox(text, index, rect) or rect.right <= rect.left or rect.top <= rect.bottom:
        return None
    return rect.left, rect.bottom, rect.right, rect.top


def _is_same_line(line: Box, box: Box) -> bool:
    """Beside it, on its height, and no further away than a few letters are wide."""
    height = min(line[3] - line[1], box[3] - box[1])
    overlap = min(line[3], box[3]) - max(line[1], box[1])
    near = 3 * max(line[3] - line[1], box[3] - box[1])
    return overlap > 0.5 * height and box[0] - line[2] < near and line[0] - box[2] < near


def _shares(page: Any, line: Box | None) -> Iterator[Box]:
    """The line as shares of the page as it is shown, turned and cropped; nothing for one that is not seen."""
    if line is None:
        return
    corners = [_placed(page, line[0], line[1]), _placed(page, line[2], line[3])]
    x0, x1 = sorted(min(1.0, max(0.0, corner[0])) for corner in corners)
    y0, y1 = sorted(min(1.0, max(0.0, corner[1])) for corner in corners)
    if x1 > x0 and y1 > y0:
        yield x0, y0, x1, y1


def _placed(page: Any, x: float, y: float) -> tuple[float, float]:
    import pypdfium2.raw as pdfium

    across, down = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDF_PageToDevice(page, 0, 0, _GRID, _GRID, 0, x, y, across, down)
    return across.value / _GRID, down.value / _GRID
