"""Rich text: paragraphs and tables; pictures, headers and footers are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from backend.loaders.decoding import TOO_LONG
from backend.loaders.markdown_text import Blocks, paragraph, table
from backend.loaders.port import LoadRefused
from backend.models.documents import PageText

START = b"{\\rtf"
MAX_BYTES = 64 * 1_048_576
MAX_MARKUP = 16 * 1_048_576
"""Bytes of text and control words, pictures aside."""
MAX_DEPTH = 1000
DAMAGED = "The rich text is damaged and cannot be read: save it again as .rtf and upload the new file."
_BINARY = re.compile(rb"\\bin(\d{1,9}) ?")
_PICTURE = re.compile(rb"[0-9a-fA-F\r\n]{512,}")
_HIDDEN = re.compile(r"\{(?:\\\*)?\\(?:deleted|v)(?![a-z0-9])[^{}]{0,100000}\}")


class RtfLoader:
    name = "rtf"
    extensions = (".rtf",)
    content_type = "application/rtf"

    def accepts(self, head: bytes, extension: str) -> bool:
        return extension in self.extensions and head.lstrip(b"\xef\xbb\xbf \r\n").startswith(START)

    def page_count(self, path: Path) -> int | None:
        return None

    def load(self, path: Path) -> Iterator[PageText]:
        """One text without page number: rich text has pages only once it is laid out."""
        if path.stat().st_size > MAX_BYTES:
            raise LoadRefused(TOO_LONG)
        raw = _PICTURE.sub(b"", _without_binary(path.read_bytes()))
        if len(raw) > MAX_MARKUP:
            raise LoadRefused(TOO_LONG)
        if _depth(raw) > MAX_DEPTH:
            raise LoadRefused(DAMAGED)
        yield PageText(None, _to_markdown(raw), form="markdown")


def _without_binary(raw: bytes) -> bytes:
    """Pictures may stand in the text as so many raw bytes."""
    kept = bytearray()
    at = 0
    for found in _BINARY.finditer(raw):
        if found.start() >= at:
            kept += raw[at : found.start()]
            at = found.end() + int(found[1])
    return bytes(kept + raw[at:])


def _depth(raw: bytes) -> int:
    deepest = depth = 0
    for brace in raw.replace(b"\\{", b"").replace(b"\\}", b"").translate(None, bytes(set(range(256)) - set(b"{}"))):
        depth += 1 if brace == 0x7B else -1
        deepest = max(deepest, depth)
    return deepest


def _to_markdown(raw: bytes) -> str:
    from striprtf.striprtf import rtf_to_text

    try:
        text = rtf_to_text(_HIDDEN.sub("", raw.decode("latin-1")), errors="replace")
    except (ValueError, LookupError, IndexError, KeyError, TypeError, AttributeError, UnicodeError):
        raise LoadRefused(DAMAGED) from None
    blocks = Blocks()
    rows: list[list[str]] = []
    for line in text.split("\n"):
        if line.endswith("|"):
            rows.append(line[:-1].split("|"))
            continue
        blocks.add(table(rows))
        rows = []
        blocks.add(paragraph(line))
    blocks.add(table(rows))
    return blocks.text()


LOADER = RtfLoader()
