"""PDF, page by page: pypdf checks the file, PDFium tells what stands where, and the layout becomes Markdown."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.loaders.pdf_page import PageReader, RawPage, Unreadable, arrange, remember, text_of
from backend.loaders.pdf_repeats import repeated
from backend.loaders.pdf_style import Style, learn_style
from backend.loaders.port import LoadRefused
from backend.models.documents import PageText

MAX_PAGES = 1000
MAX_UNPACKED_MB = 32
"""What one stream of a page may unpack to; a page of prose has some ten KiB."""
SAMPLE = 8
"""Pages looked at for the size of ordinary text before the first one is set."""
AROUND = 4
"""Pages before and after one in which its running head is looked for."""

MAX_DRAWING_MB = 8
"""A page that is drawn with more than this is a map or a plan: its text is that of a picture."""
MAX_FORMS = 50_000
"""Of pieces put in by reference, which may hold others: with few bytes they can ask for billions."""
MAX_DEPTH = 12
"""Of forms within forms."""
MAX_PARTS = 10_000
"""Streams that make up one page."""
_UNPACKED = MAX_UNPACKED_MB * 1_048_576
_LIMITS: Mapping[str, Any] = {
    "zlib_maximum_output_length": _UNPACKED,
    "lzw_maximum_output_length": _UNPACKED,
    "run_length_maximum_output_length": _UNPACKED,
    "jbig2_maximum_output_length": _UNPACKED,
    "brotli_maximum_output_length": _UNPACKED,
    "array_based_stream_maximum_output_length": _UNPACKED,
    "maximum_declared_stream_length": _UNPACKED,
    "image_maximum_buffer_size": _UNPACKED,
    "page_tree_maximum_depth": 100,
    "page_tree_maximum_entries": 20_000,
    "jbig2dec_binary": None,
}
"""Set explicitly: pypdf's own are more than twice as large, and it would start a program for JBIG2 pictures."""

_DAMAGED = "The PDF is damaged and cannot be read: export it again and upload the new file."
_EMPTY = "The PDF has no pages: export it again and upload the new file."
_PROTECTED = "The PDF is protected by a password: save a copy without one and upload that."


class PdfLoader:
    name = "pdf"
    extensions = (".pdf",)
    content_type = "application/pdf"

    def accepts(self, head: bytes, extension: str) -> bool:
        """The marker may stand anywhere in the first KiB (ISO 32000-1, Annex H, note 13)."""
        return extension in self.extensions and b"%PDF-" in head[:1024]

    def page_count(self, path: Path) -> int | None:
        with _open(path) as reader:
            return reader.count()

    def load(self, path: Path) -> Iterator[PageText]:
        with _open(path) as reader:
            yield from _pages(_Document(reader, _Streams(path), reader.count()))


@dataclass(slots=True)
class _Document:
    """What is known of a document while its pages are read."""

    reader: PageReader
    streams: _Streams
    count: int
    style: Style = field(default_factory=Style)
    known: set[str] = field(default_factory=set)
    """Its words, by which hyphens are judged."""
    sample: dict[int, RawPage] = field(default_factory=dict)
    """Pages read ahead of their turn, by index."""

    def look(self) -> None:
        """Learn from some pages out of all of the document what its ordinary text is."""
        for index in sorted({place * self.count // SAMPLE for place in range(SAMPLE)}):
            page = self._raw(index)
            if isinstance(page, RawPage):
                self.sample[index] = page
        self.style = learn_style([page.words.words for page in self.sample.values()], self.reader.outline())

    def read(self, index: int) -> RawPage | _Unread:
        """The page with this index, its lines and tables found."""
        page = self.sample.pop(index, None) or self._raw(index)
        if isinstance(page, RawPage):
            arrange(page, self.style)
        return page

    def _raw(self, index: int) -> RawPage | _Unread:
        if self.streams.is_drawing(index):
            return _Unread(is_picture=True)
        try:
            page = self.reader.read(index)
        except Unreadable:
            return _Unread(is_picture=False)
        remember(page.words.words, self.known)
        return page

    def set(self, page: RawPage | _Unread, index: int, around: Sequence[tuple[int, RawPage | _Unread]]) -> PageText:
        """The page as Markdown; `around` holds pages with how many further on they are."""
        if isinstance(page, _Unread):
            return PageText(index + 1, "", form="markdown", scanned=page.is_picture)
        margins = [(by, other.margins) for by, other in around if isinstance(other, RawPage)]
        dropped = repeated(page.margins, margins, index == 0)
        text = text_of(page, self.style, dropped, self.known)
        return PageText(index + 1, text, form="markdown", scanned=page.is_scanned)


@dataclass(frozen=True, slots=True)
class _Unread:
    """A page that is damaged, or drawn with so much that only its looks can be read."""

    is_picture: bool


def _pages(document: _Document) -> Iterator[PageText]:
    """Each page once those after it that tell its running head are read, which are `AROUND` at most."""
    document.look()
    before: deque[RawPage | _Unread] = deque(maxlen=AROUND)
    ahead: deque[RawPage | _Unread] = deque()
    following = damaged = 0
    for index in range(document.count):
        while following < document.count and len(ahead) <= AROUND:
            ahead.append(document.read(following))
            following += 1
        page = ahead.popleft()
        damaged += isinstance(page, _Unread) and not page.is_picture
        around = [(by - len(before), other) for by, other in enumerate(before)]
        around += [(by, other) for by, other in enumerate(ahead, start=1)]
        yield document.set(page, index, around)
        before.append(page)
    if damaged == document.count:
        raise LoadRefused(_DAMAGED)


@contextmanager
def _open(path: Path) -> Iterator[PageReader]:
    """The document, opened with PDFium.

    Raises LoadRefused: it needs a password, has too many pages or none, or is no PDF that can be read.
    """
    import pypdfium2.raw as raw
    from pypdfium2 import PdfDocument, PdfiumError

    try:
        document = PdfDocument(path)
    except PdfiumError as error:
        is_protected = getattr(error, "err_code", None) in (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY)
        raise LoadRefused(_PROTECTED if is_protected else _damage(path)) from None
    except OSError:
        raise LoadRefused(_DAMAGED) from None
    try:
        reader = PageReader(raw, document.raw)
        pages = reader.count()
        if pages > MAX_PAGES:
            raise LoadRefused(f"The PDF has {pages:,} pages and at most {MAX_PAGES:,} are allowed: split it.")
        if pages == 0:
            raise LoadRefused(_EMPTY)
        yield reader
    finally:
        document.close()


def _damage(path: Path) -> str:
    """Why PDFium cannot open the file, as far as can be told."""
    import pypdf

    with path.open("rb") as file:
        end = file.read()[-2048:]
    if b"%%EOF" not in end:
        return "The PDF is not complete or damaged: upload the whole file again."
    with pypdf.apply_configuration(**_LIMITS), suppress(*_unreadable()):
        if len(pypdf.PdfReader(path, strict=False).pages) == 0:
            return _EMPTY
    return _DAMAGED


class _Streams:
    """Unpacks, under limits, what PDFium will read of a page, before PDFium does.

    What pypdf cannot read at all is left to PDFium, which has limits of its own.
    """

    def __init__(self, path: Path) -> None:
        import pypdf

        self._limits = pypdf.Configuration(**_LIMITS)
        self._fonts: set[int] = set()
        self._forms: dict[int, tuple[int, int]] = {}
        self._pages: Any = ()
        with pypdf.apply_configuration(self._limits), suppress(*_unreadable()):
            reader = pypdf.PdfReader(path, strict=False)
            # Many PDFs are encrypted with an empty user password: anyone may read them.
            if not reader.is_encrypted or reader.decrypt(""):
                self._pages = list(reader.pages)

    def is_drawing(self, index: int) -> bool:
        """Whether the page with this index is drawn with so much that it is a picture rather than text.

        Raises LoadRefused: one of its streams unpacks to more than any page needs.
        """
        import pypdf
        from pypdf.errors import LimitReachedError

        if index >= len(self._pages):
            return False
        with pypdf.apply_configuration(self._limits), suppress(*_unreadable()):
            try:
                page = self._pages[index]
                drawn = _unpacked(page.get("/Contents"))
                size, forms = self._drawn(drawn, page.get("/Resources"), 0)
                return size > MAX_DRAWING_MB * 1_048_576 or forms > MAX_FORMS
            except LimitReachedError:
                raise LoadRefused(
                    f"Page {index + 1} of the PDF unpacks to more than {MAX_UNPACKED_MB} MiB:"
                    " print it to a new PDF and upload that."
                ) from None
        return False

    def _drawn(self, content: bytes, resources: Any, depth: int) -> tuple[int, int]:
        """Bytes that are drawn and forms that are put in, those within forms counted each time; an upper bound."""
        from pypdf.generic import DictionaryObject

        resources = _direct(resources)
        if not isinstance(resources, DictionaryObject):
            return len(content), 0
        self._unpack_fonts(_direct(resources.get("/Font")))
        inside = [self._form(form, depth) for form in dict(_direct(resources.get("/XObject")) or {}).values()]
        calls = content.count(b"Do") if inside else 0
        most = max(inside, default=(0, 0))
        return len(content) + calls * most[0], calls * (1 + max((forms for _, forms in inside), default=0))

    def _form(self, reference: Any, depth: int) -> tuple[int, int]:
        """What is drawn by one form; a picture draws nothing, and one that holds itself is without end."""
        number = getattr(reference, "idnum", 0)
        if number and number in self._forms:
            return self._forms[number]
        form = _direct(reference)
        if form is None or form.get("/Subtype") != "/Form":
            return 0, 0
        if depth >= MAX_DEPTH:
            return 0, MAX_FORMS + 1
        self._forms[number] = (0, MAX_FORMS + 1)
        found = self._drawn(_unpacked(form), form.get("/Resources"), depth + 1)
        self._forms[number] = found
        return found

    def _unpack_fonts(self, fonts: Any) -> None:
        """The tables that tell what the characters of a font mean."""
        for reference in dict(fonts or {}).values():
            number = getattr(reference, "idnum", 0)
            if number and number in self._fonts:
                continue
            self._fonts.add(number)
            font = _direct(reference)
            for name in ("/ToUnicode", "/Encoding"):
                _unpacked(font.get(name))


def _direct(value: Any) -> Any:
    """The object itself where there is a reference to it."""
    return None if value is None else value.get_object()


def _unpacked(value: Any, depth: int = 0) -> bytes:
    """The content of a stream, or of several; b"" for anything else. Unlike pypdf's own way it keeps nothing."""
    from pypdf.filters import decode_stream_data
    from pypdf.generic import ArrayObject, StreamObject

    value = _direct(value)
    if isinstance(value, ArrayObject) and depth == 0:
        return b" ".join(_unpacked(part, depth + 1) for part in value[:MAX_PARTS])
    if not isinstance(value, StreamObject):
        return b""
    return decode_stream_data(value) if "/Filter" in value else value.get_data()


def _unreadable() -> tuple[type[BaseException], ...]:
    """What pypdf raises for files that it cannot read: many kinds, not only its own."""
    from pypdf.errors import PyPdfError

    return (
        PyPdfError, ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError, OSError,
        RecursionError, TypeError, ValueError, zlib.error,
    )  # fmt: skip


LOADER = PdfLoader()
