"""HTML as Markdown: what a reader would see, without scripts, styles, navigation and hidden parts.

The parser is fed piece by piece and builds no tree, so that a page of any size needs no more memory than its text.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.loaders.decoding import TOO_LONG, decode
from backend.loaders.markdown_text import (
    MAX_CHARS,
    Blocks,
    fence,
    heading,
    indented,
    one_line,
    paragraph,
    quote,
    table,
)
from backend.loaders.port import LoadRefused

PIECE = 65_536
MAX_DEPTH = 200
"""Lists, tables and quotations inside one another; what lies deeper is read as if it stood there."""
MAX_ELEMENTS = 1_000_000
"""So many take some ten seconds."""
MAX_SPAN = 50
MAX_CELL_CHARS = 2000
"""A cell with more text than this, or with a heading, belongs to a table that only arranges the page."""
HIDDEN = frozenset({
    "script", "style", "noscript", "template", "nav", "aside", "head", "svg", "math", "iframe", "object", "embed",
    "canvas", "audio", "video", "map", "select", "datalist", "textarea", "dialog", "rt", "rp",
})  # fmt: skip
INLINE = frozenset({
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "button", "cite", "code", "data", "del", "dfn", "em", "font",
    "i", "img", "input", "ins", "kbd", "label", "mark", "meter", "nobr", "output", "picture", "progress", "q",
    "ruby", "rb", "rtc", "s", "samp", "small", "source", "span", "strike", "strong", "sub", "sup", "time", "track",
    "tt", "u", "var", "wbr",
})  # fmt: skip
NOTES = frozenset({"footnote", "endnote", "rearnote", "footnotes", "endnotes", "note"})
"""Kinds of `aside` in a book that hold its notes."""
HEADINGS = {f"h{level}": level for level in range(1, 7)}
ASIDE_ROLES = frozenset({"navigation", "complementary", "search", "menu", "menubar", "toolbar", "dialog"})
ENCODING_NAMES = {
    "iso8859-1": "cp1252", "ascii": "cp1252", "iso8859-9": "cp1254", "gb2312": "gb18030", "gbk": "gb18030",
    "shift_jis": "cp932", "euc_kr": "cp949", "big5": "big5hkscs", "tis-620": "cp874",
}  # fmt: skip
"""What browsers take for the encodings that pages name (Encoding Standard, section 4.2)."""
_CHARSET = re.compile(rb"""<(?:meta|\?xml)\b[^>]{0,500}?(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]{1,40})""", re.I)
_EMPTY = re.compile(
    r"<(title|script|style|textarea|iframe|noscript|div|section|p|li|ul|ol|table|t[dhr]|h[1-6]|pre|code)\b([^<>]{0,2000})/>"
)
"""Elements without content as XML writes them, which to HTML are never closed."""
_SPACE = re.compile(r"\s+")
_HEADING = re.compile(r"^#{1,6} ", re.MULTILINE)
_UNSEEN = re.compile(r"(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.I)
_LANGUAGE = re.compile(r"(?:^|\s)(?:language|lang|brush|highlight-source)[-:]\s?([\w+#-]{1,20})")


def decode_html(raw: bytes) -> str:
    """Text of a page, by its byte-order mark, as UTF-8, by what its head says, or by its looks. Raises LoadRefused."""
    found = _CHARSET.search(raw[:4096])
    declared = None
    if found:
        try:
            declared = codecs.lookup(found[1].decode("ascii")).name
        except (LookupError, UnicodeDecodeError):
            declared = None
        if declared is not None and declared.startswith(("utf", "idna", "punycode", "unicode", "raw", "base", "hex")):
            declared = None
    return decode(raw, ENCODING_NAMES.get(declared, declared) if declared else None)


def to_markdown(text: str) -> tuple[str, str]:
    """The text of a page as Markdown, and its title ("" when it has none).

    Raises LoadRefused for more text than a document may hold.
    """
    from lxml import etree

    page = _Page()
    parser = etree.HTMLParser(target=page, remove_comments=True, remove_pis=True, huge_tree=True, no_network=True)
    text = text.replace("\x00", " ")
    if "http://www.w3.org/1999/xhtml" in text[:2000]:
        text = _EMPTY.sub(r"<\1\2></\1>", text)
    try:
        for start in range(0, len(text), PIECE):
            parser.feed(text[start : start + PIECE].encode("utf-8", "replace").decode())
        if text.strip():
            parser.close()
    except etree.LxmlError:
        raise LoadRefused("The page is too badly damaged to be read: save it again and upload it.") from None
    return page.finish(), page.title


@dataclass(slots=True)
class _Box:
    """An element that gathers blocks: the page, an item, a quotation, a cell."""

    tag: str
    blocks: Blocks = field(default_factory=Blocks)
    marker: str = ""
    is_ordered: bool = False
    next_number: int = 1
    span: int = 1
    rows_below: int = 1


@dataclass(slots=True)
class _Table:
    rows: list[list[str]] = field(default_factory=list)
    hanging: dict[int, int] = field(default_factory=dict)
    """Columns that a cell from above reaches into, and for how many rows more."""
    is_layout: bool = False
    """Whether it only arranges parts of the page: then it is no table to a reader."""
    width: int = 0
    boxes: int = 1
    """How many boxes were open around it."""


class _Page:
    """What the parser calls for each tag and text."""

    def __init__(self) -> None:
        self.title = ""
        self._boxes = [_Box("body")]
        self._tables: list[_Table] = []
        self._words: list[str] = []
        self._level = 0
        self._hidden = 0
        self._elements = 0
        self._in_title = self._has_main_heading = False
        self._preformatted: list[str] | None = None
        self._language = ""
        self._size = 0

    # -- what lxml calls

    def start(self, tag: Any, attributes: Mapping[str, str]) -> None:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise LoadRefused("The page holds more elements than can be read: split it.")
        if self._hidden:
            self._hidden += 1
            self._in_title = self._in_title or (tag == "title" and not self.title)
        elif _is_hidden(tag, attributes):
            self._hidden = 1
        elif tag == "title":
            self._in_title, self._hidden = not self.title, 1
        elif self._preformatted is not None:
            if tag == "br":
                self._preformatted.append("\n")
            self._language = self._language or _language_of(attributes)
        elif tag == "br":
            self._words.append("\n")
        elif tag == "code":
            self._words.append("`")
        elif tag not in INLINE:
            self._open(tag, attributes)

    def end(self, tag: Any) -> None:
        if self._hidden:
            self._hidden -= 1
            self._in_title = self._in_title and tag != "title"
        elif self._preformatted is not None:
            if tag == "pre":
                self._add(fence("".join(self._preformatted), self._language))
                self._preformatted = None
        elif tag == "code":
            self._words.append("`")
        elif tag not in INLINE and tag != "br":
            self._close(tag)

    def data(self, text: str) -> None:
        if self._in_title:
            self.title = one_line(f"{self.title} {text}")[:300]
        if self._hidden:
            return
        self._size += len(text)
        if self._size > MAX_CHARS:
            raise LoadRefused(TOO_LONG)
        if self._preformatted is not None:
            self._preformatted.append(text)
        else:
            self._words.append(_SPACE.sub(" ", text))

    def close(self) -> None:
        return None

    # -- what becomes of it

    def finish(self) -> str:
        """Close what is still open; the whole text, headed by the title where it has no main heading itself."""
        if self._preformatted is not None:
            self._add(fence("".join(self._preformatted), self._language))
            self._preformatted = None
        self._flush()
        while len(self._boxes) > 1:
            self._close(self._boxes[-1].tag)
        while self._tables:
            self._end_table()
        whole = self._boxes[0].blocks
        if self.title and whole and not self._has_main_heading:
            whole.first(heading(1, self.title))
        return whole.text()

    def _open(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._flush()
        if tag in HEADINGS:
            self._level = HEADINGS[tag]
        elif tag == "pre":
            self._preformatted, self._language = [], _language_of(attributes)
        elif len(self._boxes) + len(self._tables) > MAX_DEPTH:
            return
        elif tag in ("ul", "ol", "menu", "dir"):
            first = attributes.get("start") or "1"
            number = int(first) if first.isascii() and first.isdigit() and len(first) < 7 else 1
            self._boxes.append(_Box("list", is_ordered=tag == "ol", next_number=number))
        elif tag == "li":
            self._boxes.append(_Box("li", marker=self._marker()))
        elif tag == "blockquote":
            self._boxes.append(_Box("blockquote"))
        elif tag == "table":
            if self._tables:
                self._tables[-1].is_layout = True
            is_layout = (attributes.get("role") or "") in ("presentation", "none")
            self._tables.append(_Table(is_layout=is_layout, boxes=len(self._boxes)))
        elif tag == "tr" and self._tables:
            self._tables[-1].rows.append([])
        elif tag in ("td", "th") and self._tables:
            self._boxes.append(_cell(attributes))

    def _close(self, tag: str) -> None:
        self._flush()
        if tag in HEADINGS:
            self._level = 0
        elif tag in ("ul", "ol", "menu", "dir", "list") and self._boxes[-1].tag == "list":
            box = self._boxes.pop()
            self._add(box.blocks.text())
        elif tag == "li" and self._boxes[-1].tag == "li":
            self._end_item(self._boxes.pop())
        elif tag == "blockquote" and self._boxes[-1].tag == "blockquote":
            self._add(quote(self._boxes.pop().blocks.text()))
        elif tag in ("td", "th", "cell") and self._boxes[-1].tag == "cell":
            self._end_cell(self._boxes.pop())
        elif tag == "table" and self._tables:
            while len(self._boxes) > self._tables[-1].boxes:
                self._close(self._boxes[-1].tag)
            self._end_table()

    def _flush(self) -> None:
        """End the paragraph or heading that is being written."""
        text = "".join(self._words).replace("``", "")
        self._words.clear()
        if not text.strip():
            return
        if self._level:
            self._has_main_heading = self._has_main_heading or self._level == 1
            self._add(heading(self._level, text))
        else:
            self._add(paragraph(text))

    def _add(self, block: str) -> None:
        self._boxes[-1].blocks.add(block)

    def _marker(self) -> str:
        above = next((box for box in reversed(self._boxes) if box.tag == "list"), None)
        if above is None or not above.is_ordered:
            return "-"
        above.next_number += 1
        return f"{above.next_number - 1}."

    def _end_item(self, box: _Box) -> None:
        text = box.blocks.text()
        # A list right below the first line of its item needs no blank line between.
        first, gap, rest = text.partition("\n\n")
        if gap and re.match(r"(?:-|\d+\.) ", rest):
            text = f"{first}\n{rest}"
        self._boxes[-1].blocks.add(
            f"{box.marker} {indented(text, len(box.marker) + 1)}" if text.strip() else "", is_item=True
        )

    def _end_cell(self, box: _Box) -> None:
        if not self._tables:
            self._add(box.blocks.text())
            return
        now = self._tables[-1]
        if not now.rows:
            now.rows.append([])
        row = now.rows[-1]
        _fill_from_above(now, row)
        for column in range(len(row), len(row) + box.span):
            if box.rows_below > 1:
                now.hanging[column] = box.rows_below
        text = box.blocks.text()
        now.is_layout = now.is_layout or len(text) > MAX_CELL_CHARS or bool(_HEADING.search(text))
        now.width = max(now.width, len(row) + 1)
        row.extend([text, *[""] * (box.span - 1)])
        self._size += 3 * box.span
        if self._size > MAX_CHARS:
            raise LoadRefused(TOO_LONG)

    def _end_table(self) -> None:
        ended = self._tables.pop()
        if not ended.is_layout and ended.width > 1:
            self._add(table(ended.rows))
            return
        for row in ended.rows:
            for cell in row:
                self._add(cell)


def _fill_from_above(now: _Table, row: list[str]) -> None:
    while now.hanging.get(len(row), 0) > 0 and len(now.rows) > 1 and len(row) < MAX_SPAN * 4:
        column = len(row)
        now.hanging[column] -= 1
        if now.hanging[column] <= 0:
            break
        row.append("")


def _cell(attributes: Mapping[str, str]) -> _Box:
    return _Box("cell", span=_span(attributes.get("colspan")), rows_below=_span(attributes.get("rowspan")))


def _span(value: str | None) -> int:
    return min(max(int(value), 1), MAX_SPAN) if value and value.isascii() and value.isdigit() and len(value) < 6 else 1


def _is_hidden(tag: Any, attributes: Mapping[str, str]) -> bool:
    if tag in HIDDEN:
        kinds = (attributes.get("epub:type") or attributes.get("role") or "").replace("doc-", "").split()
        return not (tag == "aside" and NOTES.intersection(kinds))
    return bool(attributes) and (
        "hidden" in attributes
        or attributes.get("aria-hidden") == "true"
        or (attributes.get("role") or "") in ASIDE_ROLES
        or bool(_UNSEEN.search(attributes.get("style") or ""))
    )


def _language_of(attributes: Mapping[str, str]) -> str:
    found = _LANGUAGE.search(attributes.get("class") or "")
    return found[1].lower() if found else ""
