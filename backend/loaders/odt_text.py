"""Paragraphs, lists and tables of an OpenDocument text as blocks of Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from backend.loaders.decoding import TOO_LONG
from backend.loaders.docx_styles import spelled
from backend.loaders.markdown_text import (
    MAX_CHARS,
    Block,
    NotedBlocks,
    heading,
    item,
    link,
    one_line,
    paragraph,
    table_blocks,
)
from backend.loaders.office import attribute, child, local, number_of
from backend.loaders.port import LoadRefused

LEFT_OUT = frozenset({
    "annotation", "annotation-end", "tracked-changes", "change", "ruby-text", "note-citation", "sequence-decls",
    "soft-page-break", "hidden-text", "hidden-paragraph", "table-of-content", "alphabetical-index",
    "illustration-index", "table-index", "title", "desc", "list-style", "index-body", "binary-data", "script",
})  # fmt: skip
MAX_REPEATS = 64
"""Of a cell or a row that is written once and stands several times."""
MAX_BLANKS = 100
FORMATS = {"a": "lowerLetter", "A": "upperLetter", "i": "lowerRoman", "I": "upperRoman"}


@dataclass(frozen=True, slots=True)
class Level:
    """`form` is `1`, `a`, `A`, `i` or `I`; "" for a bullet."""

    form: str = ""
    before: str = ""
    after: str = ""
    start: int = 1


@dataclass(slots=True)
class Styles:
    lists: dict[str, dict[int, Level]] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)

    def add(self, element: Any) -> None:
        """A `style` or a `list-style`."""
        name = attribute(element, "name")
        if name is None:
            return
        if local(element) == "style":
            self.parents[name] = attribute(element, "parent-style-name") or ""
            return
        levels: dict[int, Level] = {}
        for each in element:
            at = number_of(attribute(each, "level"), 1, 10)
            if at is not None:
                form = (attribute(each, "num-format") or "") if local(each) == "list-level-style-number" else ""
                before, after = attribute(each, "num-prefix") or "", attribute(each, "num-suffix") or ""
                start = number_of(attribute(each, "start-value"))
                levels[at] = Level(form, before[:10], after[:10], 1 if start is None else start)
        self.lists[name] = levels

    def is_title(self, name: str | None) -> bool:
        for _ in range(12):
            if name == "Title":
                return True
            name = self.parents.get(name or "")
        return False


class Converter:
    """Takes the paragraphs, lists and rows of one document in order."""

    def __init__(self, styles: Styles) -> None:
        self._styles = styles
        self._out = NotedBlocks()
        self._rows: list[list[list[Block]]] = []
        self._row_chars = 0
        self._counts: dict[str, int] = {}

    def block(self, element: Any) -> None:
        for block in self._blocks_of(element):
            self._out.add(*block)

    def row(self, element: Any) -> None:
        for cells in self._row(element):
            self._row_chars += sum(len(text) + 3 for cell in cells for text, _ in cell or [("", False)])
            if self._row_chars > MAX_CHARS:
                raise LoadRefused(TOO_LONG)
            self._rows.append(cells)

    def end_table(self) -> None:
        rows, self._rows, self._row_chars = self._rows, [], 0
        for block in table_blocks(rows):
            self._out.add(*block)

    def text(self) -> str:
        return self._out.text()

    def _blocks_of(self, element: Any) -> Iterator[Block]:
        name = local(element)
        if name in ("p", "h"):
            boxes: list[Any] = []
            text = self._words(element, boxes)
            style = attribute(element, "style-name")
            if name == "h":
                yield heading(number_of(attribute(element, "outline-level"), 1, 10) or 1, text), False
            else:
                yield (heading(1, text) if self._styles.is_title(style) else paragraph(text)), False
            for box in boxes:
                yield from self._inside(box)
        elif name == "list":
            yield from self._list(element, 1, None)
        elif name == "table":
            yield from table_blocks([cells for row in element.iter("{*}table-row") for cells in self._row(row)])
        elif name not in LEFT_OUT:
            yield from self._inside(element)

    def _inside(self, element: Any) -> Iterator[Block]:
        for each in element:
            yield from self._blocks_of(each)

    def _list(self, element: Any, depth: int, style: str | None) -> Iterator[Block]:
        style = attribute(element, "style-name") or style or ""
        level = self._styles.lists.get(style, {}).get(depth, Level())
        goes_on = attribute(element, "continue-numbering") == "true" or attribute(element, "continue-list") is not None
        count = self._counts.get(f"{style}:{depth}", level.start - 1) if goes_on else level.start - 1
        for each in element:
            if local(each) not in ("list-item", "list-header"):
                continue
            is_first = local(each) == "list-item"
            for part in each:
                if local(part) == "list":
                    yield from self._list(part, depth + 1, style)
                    continue
                for text, is_item in self._blocks_of(part):
                    if not text or is_item or text.startswith(("#", "| ")):
                        yield text, is_item
                        continue
                    if not is_first:
                        yield item(depth - 1, "-", text), True
                        continue
                    is_first = False
                    start = number_of(attribute(each, "start-value"))
                    count = count + 1 if start is None else start
                    yield _item(level, count, depth - 1, text), True
        self._counts[f"{style}:{depth}"] = count

    def _words(self, element: Any, boxes: list[Any]) -> str:
        parts = [element.text or ""]
        for each in element:
            name = local(each)
            if name == "s":
                parts.append(" " * (number_of(attribute(each, "c"), 1, MAX_BLANKS) or 1))
            elif name == "tab":
                parts.append(" ")
            elif name == "line-break":
                parts.append("\n")
            elif name == "a":
                parts.append(link(self._words(each, boxes), attribute(each, "href") or ""))
            elif name == "note":
                parts.append(self._note(each))
            elif name in ("text-box", "table", "list"):
                boxes.append(each)
            elif name not in LEFT_OUT:
                parts.append(self._words(each, boxes))
            parts.append(each.tail or "")
        # Line ends of the file mean no more than a blank.
        return "".join(part if part == "\n" else part.replace("\n", " ") for part in parts)

    def _note(self, element: Any) -> str:
        body = child(element, "note-body")
        text = one_line(" ".join(text for text, _ in self._inside(body))) if body is not None else ""
        return self._out.note(text) if text else ""

    def _row(self, element: Any) -> list[list[list[Block]]]:
        cells: list[list[Block]] = []
        for each in element:
            if local(each) not in ("table-cell", "covered-table-cell"):
                continue
            blocks = list(self._inside(each)) if local(each) == "table-cell" else []
            blocks = [block for block in blocks if block[0]]
            times = number_of(attribute(each, "number-columns-repeated"), 1, MAX_REPEATS) or 1
            cells.extend(list(blocks) for _ in range(times))
        times = number_of(attribute(element, "number-rows-repeated"), 1, MAX_REPEATS) or 1
        return [cells] * (times if any(cells) else 1)


def _item(level: Level, count: int, depth: int, text: str) -> str:
    if level.form == "1" and level.before == "" and level.after in ("", ".", ")"):
        return item(depth, f"{count}.", text)
    if not level.form:
        return item(depth, "-", text)
    label = f"{level.before}{spelled(count, FORMATS.get(level.form, 'decimal'))}{level.after}"
    return item(depth, "-", f"{label} {text}")
