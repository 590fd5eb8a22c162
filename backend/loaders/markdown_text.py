"""Structure written as Markdown: headings, lists, tables, notes and code, from whatever format they come.

The words themselves stay as they are, without emphasis and escapes, so that a quote is found in the text; only what
would be read as structure at the beginning of a line, and a bar inside a table, is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from backend.loaders.decoding import TOO_LONG
from backend.loaders.port import LoadRefused

MAX_CHARS = 6 * 1_048_576
"""More than a document may hold, so that nobody goes on writing."""
MAX_COLUMNS = 200
INDENT = "   "
"""Deep enough for what stands below `1. ` and not so deep that it would be code."""
_STRUCTURE = re.compile(r"^( {0,3})(#{1,6}(?=[ \t]|$)|```|~~~|\|)", re.MULTILINE)
_SETEXT = re.compile(r"^( {0,3})(=+|-+)[ \t]*$", re.MULTILINE)
_BLANKS = re.compile(r"[^\S\n]+")
_LINK = re.compile(r"(?:https?|mailto):[^\s<>()\x00-\x1f]{1,2000}", re.IGNORECASE)


Block = tuple[str, bool]
"""A block of Markdown, and whether it is an item of a list."""


class Blocks:
    """Takes the blocks of a text in order. Blank lines stand between them, except between items of one list."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._was_item = False
        self._size = 0

    def add(self, text: str, *, is_item: bool = False) -> None:
        """Raises LoadRefused for more text than a document may hold."""
        if not text.strip():
            return
        if self._parts:
            self._parts.append("\n" if is_item and self._was_item else "\n\n")
        self._parts.append(text)
        self._was_item = is_item
        self._size += len(text) + 2
        if self._size > MAX_CHARS:
            raise LoadRefused(TOO_LONG)

    def first(self, text: str) -> None:
        """Put a block before all others."""
        self._parts[:0] = [text, "\n\n"] if self._parts else [text]

    def __bool__(self) -> bool:
        return bool(self._parts)

    def text(self) -> str:
        return "".join(self._parts)


class NotedBlocks:
    """Blocks with footnotes: the text of a note stands below the block that refers to it; below the whole of a list or
    table, which it would cut."""

    def __init__(self) -> None:
        self._blocks = Blocks()
        self._waiting: list[str] = []
        self._count = 0
        self._in_list = False

    def note(self, text: str) -> str:
        """The mark of a new note, for the place that refers to it."""
        self._count += 1
        self._waiting.append(f"[^{self._count}]: {one_line(text)}")
        return f"[^{self._count}]"

    def add(self, text: str, is_item: bool = False) -> None:
        if not text.strip():
            return
        if is_item:
            self._blocks.add(text, is_item=True)
            self._in_list = True
            return
        waiting, self._waiting = self._waiting, []
        if self._in_list:
            # The newest notes may be of this block; those of the list stand before it all the same.
            self._in_list = False
            marks = [note for note in waiting if note[: note.index("]") + 1] in text]
            self._write([note for note in waiting if note not in marks])
            waiting = marks
        self._blocks.add(text)
        self._write(waiting)

    def text(self) -> str:
        waiting, self._waiting = self._waiting, []
        self._write(waiting)
        return self._blocks.text()

    def _write(self, notes: list[str]) -> None:
        for note in notes:
            self._blocks.add(note)


def one_line(text: str) -> str:
    return " ".join(text.split())


def paragraph(text: str) -> str:
    """The lines of a paragraph, each with single blanks."""
    lines = (_BLANKS.sub(" ", line).strip() for line in text.split("\n"))
    escaped = _STRUCTURE.sub(r"\1\\\2", "\n".join(line for line in lines if line))
    return _SETEXT.sub(r"\1\\\2", escaped) if "\n" in escaped else escaped


def heading(level: int, text: str) -> str:
    """Levels beyond 1 to 6 are brought to the nearest."""
    line = one_line(text)
    return f"{'#' * min(max(level, 1), 6)} {line}" if line else ""


def item(depth: int, marker: str, text: str) -> str:
    """An item of a list, `depth` from 0; `marker` is `-` or e.g. `3.`."""
    indent = INDENT * min(depth, 8)
    body = paragraph(text)
    inner = indent + " " * (len(marker) + 1)
    return f"{indent}{marker} {body}".replace("\n", f"\n{inner}") if body else ""


def table(rows: Iterable[Sequence[str]]) -> str:
    """A pipe table; the first row is its head. Rows are made equally long, and those that are empty are left out."""
    cells = [[_cell(cell) for cell in row[:MAX_COLUMNS]] for row in rows]
    cells = [row for row in cells if any(row)]
    if not cells:
        return ""
    width = max(max((n for n, cell in enumerate(row, 1) if cell), default=0) for row in cells)
    lines = ["| " + " | ".join((row + [""] * (width - len(row)))[:width]) + " |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def _cell(text: str) -> str:
    return one_line(text).replace("|", "\\|") if text else ""


def table_blocks(rows: list[list[list[Block]]]) -> Iterator[Block]:
    """A table of cells that hold blocks; what stands in it one after the other where it is only there to arrange."""
    width = max((len(row) for row in rows), default=0)
    has_heading = any(text.startswith("#") for row in rows for cell in row for text, _ in cell)
    holds_table = any(text.startswith("| ") for row in rows for cell in row for text, _ in cell)
    if width == 1 or has_heading or (len(rows) == 1 and holds_table):
        for row in rows:
            for cell in row:
                yield from cell
        return
    yield table([[_cell_text(cell) for cell in row] for row in rows]), False


def _cell_text(cell: list[Block]) -> str:
    """On one line; the rows of a table within are parted by semicolons."""
    parts: list[str] = []
    for text, _ in cell:
        if text.startswith("| "):
            rows = [line.strip("| ") for line in text.split("\n") if not re.fullmatch(r"[| -]+", line)]
            text = "; ".join(re.sub(r"(?<!\\) \| ", ", ", row) for row in rows).replace("\\|", "|")
        parts.append(text)
    return one_line(" ".join(parts))


def fence(code: str, language: str = "") -> str:
    """Code between fences longer than any inside it."""
    longest = max((len(run) for run in re.findall(r"^\s*(`{3,})", code, re.MULTILINE)), default=2)
    marks = "`" * (longest + 1)
    body = code.strip("\n")
    return f"{marks}{language}\n{body}\n{marks}" if body.strip() else ""


def quote(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n")) if text.strip() else ""


def link(text: str, address: str) -> str:
    """Only addresses of the web and of mail are kept, and only where they say more than the text."""
    if not text.strip() or not _LINK.fullmatch(address) or address.removeprefix("mailto:") in text:
        return text
    if "[" in text or "]" in text or "\n" in text:
        return f"{text} ({address})"
    before, after = " " * text[:1].isspace(), " " * text[-1:].isspace()
    return f"{before}[{text.strip()}]({address}){after}"


def indented(text: str, width: int) -> str:
    """Every line but the first moved to the right."""
    return re.sub(r"\n(?=[^\n])", "\n" + " " * width, text)
