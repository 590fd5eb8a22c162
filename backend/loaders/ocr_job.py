"""The job that reads one scanned page: PDFium draws it, the `tesseract` command reads the picture."""

from __future__ import annotations

import math
import os
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.loaders.pdf_blocks import markdown
from backend.loaders.pdf_columns import reading_order
from backend.loaders.pdf_lines import fragments_of
from backend.loaders.pdf_style import Style
from backend.loaders.pdf_words import Word, clean_text
from backend.utils.ocr_tool import are_languages, tesseract_path
from backend.workers.port import Refusal

PRELOAD = ("pypdfium2",)
DPI = 300
MAX_PIXELS = 20_000_000
"""An A4 page at 300 dpi has 8.7 million."""
MAX_SECONDS = 28.0
"""Less than the job itself gets, so that what went wrong can still be told."""
MIN_CONFIDENCE = 30.0
"""Of 100; below it tesseract guesses at specks and drawings."""
_LARGER = 1.45
"""The height of a line in a scan varies with its letters; only from here on it is meant."""
_DESCENDING = frozenset("gjpqyQ,;()[]{}|/ç")
_PASSED_ON = ("PATH", "TESSDATA_PREFIX", "LD_LIBRARY_PATH", "LANG", "HOME")


@dataclass(frozen=True, slots=True)
class _Picture:
    """A drawn page, one byte of grey per pixel."""

    width: int
    height: int
    dpi: int
    pixels: bytes


def read_page(path: str, page: int, languages: str) -> dict[str, Any]:
    """Read one page of a PDF that has no text of its own.

    Args:
        path: a server-made path. page: its number, from 1. languages: as tesseract names them, joined with `+`.

    Returns:
        `{"number": int, "text": str}`, the text as Markdown; "" where nothing can be read.

    Raises:
        Refusal: a sentence for the user.
    """
    program = tesseract_path()
    if program is None:
        raise Refusal("Scanned pages cannot be read because tesseract is not installed on the server.")
    if not are_languages(languages):
        raise Refusal("The languages for reading scanned pages are to be given as tesseract names them: eng+deu.")
    picture = _draw(Path(path), page)
    table = _recognise(program, picture, languages)
    return {"number": page, "text": _markdown(_words(table, 72 / picture.dpi))}


def _draw(path: Path, number: int) -> _Picture:
    from pypdfium2 import PdfDocument, PdfiumError

    try:
        document = PdfDocument(path)
        page = document[number - 1]
        width, height = page.get_size()
        scale = min(DPI / 72, math.sqrt(MAX_PIXELS / max(1.0, width * height)))
        bitmap = page.render(scale=scale, grayscale=True, may_draw_forms=False)
    except (PdfiumError, OSError, IndexError):
        raise Refusal(f"Page {number} of the PDF is damaged and cannot be drawn.") from None
    rows = memoryview(bitmap.buffer)
    pixels = b"".join(bytes(rows[y * bitmap.stride : y * bitmap.stride + bitmap.width]) for y in range(bitmap.height))
    return _Picture(bitmap.width, bitmap.height, round(scale * 72), pixels)


def _recognise(program: str, picture: _Picture, languages: str) -> str:
    """What tesseract tells of each word, as lines with tabs. The picture goes through a pipe: no file is written."""
    command = [program, "stdin", "stdout", "-l", languages, "--dpi", str(picture.dpi), "--psm", "1", "tsv"]
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    # More threads than the one allowed core make it many times slower, not faster.
    environment["OMP_THREAD_LIMIT"] = "1"
    image = b"P5 %d %d 255\n" % (picture.width, picture.height) + picture.pixels
    try:
        done = subprocess.run(
            command, input=image, capture_output=True, timeout=MAX_SECONDS, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        raise Refusal("Reading the scanned page took too long: scan it at 300 dpi and upload it again.") from None
    except OSError:
        raise Refusal("Scanned pages cannot be read because tesseract could not be started on the server.") from None
    if done.returncode != 0:
        if b"loading" in done.stderr and b"languages" in done.stderr:
            raise Refusal(f"Scanned pages cannot be read: tesseract has no data for the languages {languages}.")
        raise Refusal("The scanned page could not be read by tesseract.")
    return done.stdout.decode("utf-8", "replace")


def _words(table: str, scale: float) -> list[Word]:
    """The words with their places in points, `scale` points to the pixel.

    The columns are level, page, block, paragraph, line, word, left, top, width, height, confidence, text.
    """
    lines: dict[tuple[str, ...], list[tuple[str, float, float, float, float]]] = {}
    for row in table.splitlines()[1:]:
        cells = row.split("\t", 11)
        if len(cells) == 12 and cells[0] == "5" and float(cells[10]) >= MIN_CONFIDENCE and cells[11].strip():
            left, top, width, height = (float(cell) * scale for cell in cells[6:10])
            text = clean_text(cells[11].strip())
            lines.setdefault(tuple(cells[2:5]), []).append((text, left, left + width, top + height, height))
    heights = {where: _height(members) for where, members in lines.items()}
    usual = statistics.median(heights[where] for where, members in lines.items() for _ in members) if lines else 0.0
    out: list[Word] = []
    for where, members in lines.items():
        size = heights[where] if heights[where] >= _LARGER * usual else usual
        flat = [bottom for text, _, _, bottom, _ in members if text and not set(text) & _DESCENDING]
        y = statistics.median(flat or [bottom - 0.2 * size for _, _, _, bottom, _ in members])
        out += [
            Word(text, left, right, y, size, False, False, len(out) + index)
            for index, (text, left, right, _, _) in enumerate(members)
            if text
        ]
    return out


def _height(members: Sequence[tuple[str, float, float, float, float]]) -> float:
    """Of a line with capitals and descenders: about the size of its letters in points."""
    return max(height for _, _, _, _, height in members)


def _markdown(words: Sequence[Word]) -> str:
    """The words laid out as those of a page with text of its own."""
    sizes = [word.size for word in words]
    body = statistics.median(sizes) if sizes else 10.0
    larger = sorted({round(2 * size) / 2 for size in sizes if size >= _LARGER * body}, reverse=True)
    return markdown(reading_order(fragments_of(words)), Style(body, tuple(larger)), set())
