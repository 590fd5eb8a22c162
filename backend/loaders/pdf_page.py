"""One page of a PDF: read with PDFium, then set as Markdown."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.loaders.pdf_blocks import markdown
from backend.loaders.pdf_columns import reading_order
from backend.loaders.pdf_drawing import Bounds, Drawing, DrawingReader
from backend.loaders.pdf_lines import Fragment, fragments_of
from backend.loaders.pdf_repeats import Margin, margins_of
from backend.loaders.pdf_style import Style
from backend.loaders.pdf_tables import Table, ruled_tables
from backend.loaders.pdf_words import PageWords, Word, WordReader, clean_text

MAX_LINKS = 2_000
MAX_OUTLINE = 5_000
MAX_OUTLINE_DEPTH = 20
SCANNED_CHARS = 80
"""A page with fewer characters than this that is mainly a picture is a scan."""
SCANNED_SHARE = 0.5
STAMP_WORDS = 4
"""So few words written obliquely are a stamp across the page."""
_LETTER = (0.0, 0.0, 612.0, 792.0)
_SAFE_URL = re.compile(r"(?:https?://|mailto:)[^\s<>\"\\^`{|}]+", re.IGNORECASE)


class Unreadable(Exception):
    """The page is damaged."""


@dataclass(slots=True)
class RawPage:
    """What stands on a page and where. `width` and `height` as it is read."""

    words: PageWords
    drawing: Drawing
    width: float
    height: float
    fragments: list[Fragment] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    margins: list[Margin] = field(default_factory=list)

    @property
    def is_scanned(self) -> bool:
        """Mainly a picture with next to no text, or text that has no meaning without its looks."""
        found = self.words
        readable = found.characters - found.unread
        if found.characters > 20 and readable < 0.4 * found.characters:
            return True
        return readable < SCANNED_CHARS and self.drawing.picture_share(self.width, self.height) >= SCANNED_SHARE


class PageReader:
    """Reads pages of an open document. `raw` is pypdfium2's raw module, `document` a handle of it."""

    def __init__(self, raw: Any, document: Any) -> None:
        self._raw = raw
        self._document = document
        self._words = WordReader(raw)
        self._drawings = DrawingReader(raw)

    def count(self) -> int:
        return max(0, int(self._raw.FPDF_GetPageCount(self._document)))

    def read(self, index: int) -> RawPage:
        """The page with this index from 0. Raises Unreadable."""
        raw = self._raw
        page = raw.FPDF_LoadPage(self._document, index)
        if not page:
            raise Unreadable
        try:
            text_page = raw.FPDFText_LoadPage(page)
            if not text_page:
                raise Unreadable
            try:
                return self._read(page, text_page)
            finally:
                raw.FPDFText_ClosePage(text_page)
        finally:
            raw.FPDF_ClosePage(page)

    def _read(self, page: Any, text_page: Any) -> RawPage:
        box = self._box(page)
        page_turn = -self._raw.FPDFPage_GetRotation(page) % 4
        words = self._words.read(text_page, box, page_turn)
        drawing = self._drawings.read(page, box, words.turn)
        width, height = box[2] - box[0], box[3] - box[1]
        if words.turn % 2:
            width, height = height, width
        self._mark_links(page, box, words)
        return RawPage(words, drawing, width, height)

    def _box(self, page: Any) -> Bounds:
        """Left, bottom, right, top."""
        rect = self._raw.FS_RECTF()
        if not self._raw.FPDF_GetPageBoundingBox(page, rect) or rect.right <= rect.left or rect.top <= rect.bottom:
            return _LETTER
        return rect.left, rect.bottom, rect.right, rect.top

    def _mark_links(self, page: Any, box: Bounds, words: PageWords) -> None:
        for (x0, y0, x1, y1), address in self._links(page, box, words.turn):
            for word in words.words:
                middle, height = (word.x0 + word.x1) / 2, word.y - 0.3 * word.size
                if x0 <= middle <= x1 and y0 <= height <= y1:
                    word.link = address

    def _links(self, page: Any, box: Bounds, turn: int) -> Iterator[tuple[Bounds, str]]:
        """Places of links to the web or a mailbox, on the axes of the text."""
        from backend.loaders.pdf_words import axes

        raw = self._raw
        a, b, c, d, e, f = axes(turn, box)
        position, link, rect = ctypes.c_int(0), raw.FPDF_LINK(), raw.FS_RECTF()
        for _ in range(MAX_LINKS):
            if not raw.FPDFLink_Enumerate(page, position, link):
                return
            address = self._address(link)
            if address and raw.FPDFLink_GetAnnotRect(link, rect):
                xs = sorted(a * x + b * y + c for x, y in ((rect.left, rect.bottom), (rect.right, rect.top)))
                ys = sorted(d * x + e * y + f for x, y in ((rect.left, rect.bottom), (rect.right, rect.top)))
                yield (xs[0], ys[0], xs[1], ys[1]), address

    def _address(self, link: Any) -> str:
        raw = self._raw
        action = raw.FPDFLink_GetAction(link)
        if not action or raw.FPDFAction_GetType(action) != raw.PDFACTION_URI:
            return ""
        length = raw.FPDFAction_GetURIPath(self._document, action, None, 0)
        if not 0 < length <= 2_000:
            return ""
        buffer = ctypes.create_string_buffer(length)
        raw.FPDFAction_GetURIPath(self._document, action, buffer, length)
        address = clean_text(buffer.value.decode("utf-8", "replace")).strip()
        if not _SAFE_URL.fullmatch(address):
            return ""
        return address.replace("(", "%28").replace(")", "%29")

    def outline(self) -> list[tuple[str, int]]:
        """Titles of the document's outline with their depth from 0; a chain that comes back to itself ends."""
        raw = self._raw
        out: list[tuple[str, int]] = []
        seen: set[int] = set()
        stack = [(raw.FPDFBookmark_GetFirstChild(self._document, None), 0)]
        while stack and len(seen) < MAX_OUTLINE:
            mark, depth = stack.pop()
            key = ctypes.cast(mark, ctypes.c_void_p).value
            if not key or key in seen:
                continue
            seen.add(key)
            out.append((self._title(mark), depth))
            stack.append((raw.FPDFBookmark_GetNextSibling(self._document, mark), depth))
            if depth < MAX_OUTLINE_DEPTH:
                stack.append((raw.FPDFBookmark_GetFirstChild(self._document, mark), depth + 1))
        return out

    def _title(self, mark: Any) -> str:
        raw = self._raw
        length = raw.FPDFBookmark_GetTitle(mark, None, 0)
        if not 0 < length <= 2_000:
            return ""
        buffer = ctypes.create_string_buffer(length)
        raw.FPDFBookmark_GetTitle(mark, buffer, length)
        return clean_text(buffer.raw.decode("utf-16-le", "ignore").rstrip("\x00"))


def arrange(page: RawPage, style: Style) -> None:
    """Find the page's ruled tables, the pieces of its lines, and what of them stands in the margins."""
    found = ruled_tables(page.words.words, page.drawing, page.width, page.height)
    page.tables = [table for table, _ in found]
    taken = {order for _, orders in found for order in orders}
    page.fragments = fragments_of(word for word in page.words.words if word.order not in taken)
    page.margins = margins_of(page.fragments, page.height, style.body)


def text_of(page: RawPage, style: Style, dropped: set[int], known: set[str]) -> str:
    """The page as Markdown without the words whose `order` is dropped."""
    fragments = [each for each in page.fragments if not any(word.order in dropped for word in each.words)]
    groups = [*reading_order([*page.tables, *fragments])]
    for words in page.words.others:
        if words[0].turn < 0 and len(words) <= STAMP_WORDS:
            continue
        groups += reading_order(fragments_of(words))
    return markdown(groups, style, known)


def remember(words: Sequence[Word], known: set[str], most: int = 50_000) -> None:
    """Add the page's words to those by which hyphens are judged."""
    if len(known) >= most:
        return
    for word in words:
        if len(word.text) > 3 and not word.hyphen:
            known.add(word.text.strip(".,;:()[]\"'“”„!?").lower())
