"""Paragraphs and tables of a Word document as blocks of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from backend.loaders.decoding import TOO_LONG
from backend.loaders.docx_styles import LEVELS, Numbering, Styles
from backend.loaders.markdown_text import (
    MAX_CHARS,
    Block,
    NotedBlocks,
    fence,
    heading,
    item,
    link,
    paragraph,
    table_blocks,
)
from backend.loaders.office import attribute, child, local, number_of, value_of
from backend.loaders.port import LoadRefused

LEFT_OUT = frozenset({
    "pPr", "rPr", "sdtPr", "sdtEndPr", "tblPr", "tblGrid", "trPr", "tcPr", "sectPr", "del", "moveFrom", "delText",
    "instrText", "delInstrText", "rt", "commentReference", "annotationRef", "footnoteRef", "endnoteRef", "ctrlPr",
    "docPr", "cNvPr",
})  # fmt: skip
"""Properties, what was deleted while changes were tracked, codes of fields, and marks of comments."""
BREAKS = {"tab": " ", "ptab": " ", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
MAX_SPAN = 64
_PLAIN_NUMBER = re.compile(r"(\d{1,9})[.)]?")


class Converter:
    """Takes the paragraphs and rows of one document in order.

    `notes` holds the texts of the notes by kind and id, e.g. `footnote:2`; `links` the addresses by relation.
    """

    def __init__(
        self, styles: Styles, numbering: Numbering, notes: Mapping[str, str], links: Mapping[str, str]
    ) -> None:
        self._styles = styles
        self._numbering = numbering
        self._notes = notes
        self._links = links
        self._numbers: dict[str, str] = {}
        self._out = NotedBlocks()
        self._code: list[str] = []
        self._rows: list[list[list[Block]]] = []
        self._row_chars = 0

    def paragraph(self, element: Any) -> None:
        properties = child(element, "pPr")
        style = value_of(properties, "pStyle")
        if self._styles.is_code(style) and self._styles.heading_level(style) is None:
            self._code.append(self._words(element, []).strip("\n"))
            return
        self._end_code()
        for block in self._paragraph(element):
            self._out.add(*block)

    def row(self, element: Any) -> None:
        """A row of the table that is being read."""
        cells = self._cells(element)
        self._row_chars += sum(len(text) + 3 for cell in cells for text, _ in cell or [("", False)])
        if self._row_chars > MAX_CHARS:
            raise LoadRefused(TOO_LONG)
        self._rows.append(cells)

    def end_table(self) -> None:
        self._end_code()
        rows, self._rows, self._row_chars = self._rows, [], 0
        for block in table_blocks(rows):
            self._out.add(*block)

    def text(self) -> str:
        self._end_code()
        return self._out.text()

    def _end_code(self) -> None:
        code, self._code = self._code, []
        if code:
            self._out.add(fence("\n".join(code)))

    def _paragraph(self, element: Any) -> Iterator[Block]:
        """The paragraph itself, and after it what stands in its text boxes."""
        boxes: list[Any] = []
        text = self._words(element, boxes)
        properties = child(element, "pPr")
        style = value_of(properties, "pStyle")
        if text.strip() and not self._styles.in_contents(style):
            yield self._block(text, properties, style)
        for box in boxes:
            yield from self.blocks(box)

    def _block(self, text: str, properties: Any | None, style: str | None) -> Block:
        outline = number_of(value_of(properties, "outlineLvl"), 0, LEVELS)
        level = self._styles.heading_level(style) if outline is None else outline + 1
        label, depth = self._label(properties, style)
        if level is not None and level <= LEVELS:
            return heading(level, f"{label} {text}" if label not in ("", "•") else text), False
        if label == "":
            return paragraph(text), False
        plain = _PLAIN_NUMBER.fullmatch(label)
        if plain:
            return item(depth, f"{plain[1]}.", text), True
        return item(depth, "-", text if label == "•" else f"{label} {text}"), True

    def _label(self, properties: Any | None, style: str | None) -> tuple[str, int]:
        """The label of an item and how deep it stands in its list; "" for what is no item."""
        numbering = child(properties, "numPr") if properties is not None else None
        from_style, style_level = self._styles.list_of(style)
        list_id = value_of(numbering, "numId") or from_style
        level = number_of(value_of(numbering, "ilvl"), 0, LEVELS - 1)
        depth = level if level is not None else style_level or 0
        if list_id is None or list_id == "0":
            return "", 0
        return self._numbering.label(list_id, depth) or "", depth

    def _words(self, element: Any, boxes: list[Any]) -> str:
        """The text in an element; text boxes inside are put into `boxes`."""
        parts: list[str] = []
        self._gather(element, parts, boxes)
        return "".join(parts)

    def _gather(self, element: Any, parts: list[str], boxes: list[Any]) -> None:
        for each in element:
            name = local(each)
            if name == "t":
                parts.append(each.text or "")
            elif name in BREAKS:
                parts.append(BREAKS[name])
            elif name in LEFT_OUT or (name == "r" and _is_hidden(each)):
                continue
            elif name == "txbxContent":
                boxes.append(each)
            elif name == "hyperlink":
                parts.append(link(self._words(each, boxes), self._links.get(attribute(each, "id") or "", "")))
            elif name in ("footnoteReference", "endnoteReference"):
                parts.append(self._note(name.removesuffix("Reference"), attribute(each, "id")))
            elif name == "AlternateContent":
                # The same content in several forms for programs of different age: the first is the newest.
                if len(each):
                    self._gather(each[0], parts, boxes)
            else:
                self._gather(each, parts, boxes)

    def _note(self, kind: str, key: str | None) -> str:
        text = self._notes.get(f"{kind}:{key}", "")
        if not text:
            return ""
        key = f"{kind}:{key}"
        if key not in self._numbers:
            self._numbers[key] = self._out.note(text)
        return self._numbers[key]

    def blocks(self, container: Any) -> Iterator[Block]:
        """What stands in a cell or a text box."""
        for each in container:
            name = local(each)
            if name == "p":
                yield from self._paragraph(each)
            elif name == "tbl":
                yield from table_blocks([self._cells(row) for row in _rows_in(each)])
            elif name not in LEFT_OUT:
                yield from self.blocks(each)

    def _cells(self, row: Any) -> list[list[Block]]:
        """The blocks of each cell of the grid; a merged cell stands once, at its beginning."""
        properties = child(row, "trPr")
        before = number_of(value_of(properties, "gridBefore"), 0, MAX_SPAN) or 0
        cells: list[list[Block]] = [[] for _ in range(before)]
        if properties is not None and child(properties, "del") is not None:
            return []
        for each in _cells_in(row):
            about = child(each, "tcPr")
            merged = child(about, "vMerge") if about is not None else None
            goes_on = merged is not None and attribute(merged, "val") != "restart"
            cells.append([] if goes_on else list(self.blocks(each)))
            span = number_of(value_of(about, "gridSpan"), 1, MAX_SPAN) or 1
            cells.extend([] for _ in range(span - 1))
        return cells


def _rows_in(table_element: Any) -> Iterator[Any]:
    for each in table_element:
        if local(each) == "tr":
            yield each
        elif local(each) in ("sdt", "sdtContent", "customXml", "ins"):
            yield from _rows_in(each)


def _cells_in(row: Any) -> Iterator[Any]:
    for each in row:
        if local(each) == "tc":
            yield each
        elif local(each) in ("sdt", "sdtContent", "customXml"):
            yield from _cells_in(each)


def _is_hidden(run: Any) -> bool:
    properties = child(run, "rPr")
    hidden = child(properties, "vanish") if properties is not None else None
    return hidden is not None and attribute(hidden, "val") not in ("0", "false", "off")
