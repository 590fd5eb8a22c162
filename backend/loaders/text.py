"""Plain text and Markdown in any common encoding."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

from backend.loaders.port import LoadRefused
from backend.models.documents import PageText

BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
BINARY_MARKS = (
    b"%PDF-",
    b"PK\x03\x04",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"MZ",
    b"\x7fELF",
    b"\x1f\x8b",
    b"SQLite",
)


def decode(raw: bytes) -> str:
    """Text out of bytes: by byte-order mark, else UTF-8, else UTF-16 without a mark, else Windows-1252.

    Raises LoadRefused for what is no text.
    """
    for mark, encoding in BOMS:
        if raw.startswith(mark):
            return raw.decode(encoding, "replace")
    if b"\x00" in raw:
        even, odd = raw[0::2].count(0), raw[1::2].count(0)
        if max(even, odd) > len(raw) // 5 and min(even, odd) < len(raw) // 50 + 1:
            return raw.decode("utf-16-be" if even > odd else "utf-16-le", "replace")
        raise LoadRefused("The file is not text: it holds binary data.")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("cp1252", "replace")


def looks_like_text(head: bytes) -> bool:
    """Whether the first bytes can be text; a known binary format or scattered NULs cannot."""
    if head.startswith(BINARY_MARKS):
        return False
    try:
        text = decode(head)
    except LoadRefused:
        return False
    controls = sum(1 for c in text if ord(c) < 32 and c not in "\t\n\r\f\x1b")
    return controls <= len(text) // 50


class TextLoader:
    name = "text"
    extensions = (".txt", ".text", ".log", ".md", ".markdown", ".rst")
    content_type = "text/plain"

    def accepts(self, head: bytes, extension: str) -> bool:
        return extension in self.extensions and looks_like_text(head)

    def page_count(self, path: Path) -> int | None:
        return None

    def load(self, path: Path) -> Iterator[PageText]:
        yield PageText(None, decode(path.read_bytes()))


LOADER = TextLoader()
