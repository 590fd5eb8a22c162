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
_HIDES = re.compile(r"\\(?:v|deleted)(?![a-z0])")
_TOKEN = re.compile(r"\\([a-z]{1,32})(-?\d{1,10})? ?|\\'..|\\.|[{}]|[^\\{}]+|\\", re.IGNORECASE | re.DOTALL)
_SAYS = frozenset({
    "u", "line", "tab", "emdash", "endash", "emspace", "enspace", "qmspace", "bullet", "lquote", "rquote", "ldblquote",
    "rdblquote",
})  # fmt: skip
"""Control words that stand for text."""


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


def _shown(text: str) -> str:
    """Without the text that is formatted as hidden or deleted; groups, paragraphs and cells stay."""
    if _HIDES.search(text) is None:
        return text
    kept: list[str] = []
    groups: list[frozenset[str]] = []
    hidden: frozenset[str] = frozenset()
    for token in _TOKEN.finditer(text):
        word, all_of_it = token[1], token[0]
        if word in ("v", "deleted"):
            hidden = hidden - {word} if token[2] == "0" else hidden | {word}
        elif word == "plain":
            hidden = frozenset()
        elif all_of_it == "{":
            groups.append(hidden)
        elif all_of_it == "}" and groups:
            hidden = groups.pop()
        if not hidden or (word is not None and word not in _SAYS) or all_of_it in ("{", "}", "\\*"):
            kept.append(all_of_it)
    return "".join(kept)


def _to_markdown(raw: bytes) -> str:
    from striprtf.striprtf import rtf_to_text

    try:
        text = rtf_to_text(_shown(raw.decode("latin-1")), errors="replace")
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
