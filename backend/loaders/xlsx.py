"""Workbooks, sheet by sheet: the columns and the first rows as text; the whole of it is asked in SQL."""

from __future__ import annotations

import datetime as dt
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.loaders.office import OLE, ZIP, refuse_old
from backend.loaders.port import LoadRefused
from backend.models.documents import PageText
from backend.utils.archives import UnsafeArchive, check_archive

MAX_SHEETS = 50
MAX_ROWS = 2000
MAX_COLUMNS = 200
MAX_CHARS = 2 * 1_048_576
"""Characters of text that go into the index whole, over all sheets; of more only the beginning of each does."""
KEPT_CHARS = 65_536
MAX_CELL_CHARS = 2000
MAX_ROW_BYTES = 4 * 1_048_576
"""XML of one row, which is read as a tree of some forty times its size."""
MAX_MARKS = {"xl/worksheets/": 100 * 1_048_576, "xl/sharedStrings.xml": 5_000_000}
"""Of `<` and `=` in parts that are read piece by piece; the others are read whole."""
MAX_MARKS_WHOLE = 1_000_000
DAMAGED = "The workbook is damaged and cannot be read: save it again as .xlsx and upload the new file."
CUT = "(The text is cut here; SQL reaches every row.)"
_ROW_END = re.compile(rb"</(?:\w{1,20}:)?row\b|<(?:\w{1,20}:)?row\b[^<>]{0,300}/>")


class XlsxLoader:
    name = "xlsx"
    extensions = (".xlsx",)
    content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

    def accepts(self, head: bytes, extension: str) -> bool:
        return extension in self.extensions and head.startswith((ZIP, OLE))

    def page_count(self, path: Path) -> int | None:
        return None

    def load(self, path: Path) -> Iterator[PageText]:
        """One text a sheet that holds anything: `column: value` lines, its first 2,000 rows."""
        refuse_old(path, "a workbook", ".xlsx")
        try:
            check_archive(path, "xl/workbook.xml", "an Excel workbook", watch=_Gauge().see)
        except UnsafeArchive as error:
            raise LoadRefused(str(error)) from None
        sheets = _sheets(path)
        if sum(len(text) for _, _, text in sheets) > MAX_CHARS:
            share = KEPT_CHARS // len(sheets)
            sheets = [(n, title, _beginning(text, share)) for n, title, text in sheets]
        for number, title, text in sheets:
            yield PageText(number, text, "sheet", title)


class _Gauge:
    """Sees every part of a workbook while it is counted, and refuses what could not be held in memory."""

    def __init__(self) -> None:
        self._name = ""
        self._marks = self._since_row = 0

    def see(self, name: str, piece: bytes) -> None:
        """Raises UnsafeArchive."""
        if name != self._name:
            self._name, self._marks, self._since_row = name, 0, 0
        if not name.endswith((".xml", ".rels")):
            return
        self._marks += piece.count(b"<") + piece.count(b"=")
        most = next((most for start, most in MAX_MARKS.items() if name.startswith(start)), MAX_MARKS_WHOLE)
        ends = [found.end() for found in _ROW_END.finditer(piece)] if name.startswith("xl/worksheets/") else []
        self._since_row = len(piece) - ends[-1] if ends else self._since_row + len(piece)
        is_rows = name.startswith("xl/worksheets/") and name.count("/") == 2
        if self._marks > most or (is_rows and self._since_row > MAX_ROW_BYTES and not ends):
            raise UnsafeArchive("The workbook holds a row or part that is far too large and is refused.")


def _sheets(path: Path) -> list[tuple[int, str, str]]:
    """Number, name and text of each sheet with values."""
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException, ReadOnlyWorkbookException

    found: list[tuple[int, str, str]] = []
    characters = 0
    try:
        # Opened by us: the library goes by the name of a file, and stored files have no extension.
        with path.open("rb") as file:
            book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            for number, sheet in enumerate(book.worksheets[:MAX_SHEETS], 1):
                text = _sheet(sheet, max(MAX_CHARS - characters, KEPT_CHARS))
                if text:
                    found.append((number, " ".join(str(sheet.title).split())[:100], text))
                    characters += len(text)
    except (InvalidFileException, ReadOnlyWorkbookException, zipfile.BadZipFile, zlib.error, EOFError):
        raise LoadRefused(DAMAGED) from None
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, SyntaxError, OverflowError, RecursionError):
        # What openpyxl raises for parts that contradict each other; an XML error is a SyntaxError.
        raise LoadRefused(DAMAGED) from None
    return found


def _sheet(sheet: Any, most: int) -> str:
    """The lines of a sheet, until they come to more than `most` characters; nothing for an empty one."""
    sheet.reset_dimensions()  # what the file says of its own extent may be wrong
    lines = [f"Sheet {' '.join(str(sheet.title).split())}"]
    header: list[str] = []
    count = characters = 0
    for row in sheet.iter_rows(values_only=True, max_col=MAX_COLUMNS):
        cells = [_cell(value) for value in row]
        if not any(cells):
            continue
        if not header:
            while not cells[-1]:
                cells.pop()
            header = [cell or f"column_{number}" for number, cell in enumerate(cells, 1)]
            lines.append("Columns: " + ", ".join(header))
            continue
        count += 1
        if count > MAX_ROWS or characters > most:
            lines.append(f"(Only the first {count - 1:,} rows are shown here; SQL reaches all of them.)")
            break
        named = zip(header + [f"column_{n}" for n in range(len(header) + 1, len(cells) + 1)], cells, strict=False)
        lines.append("; ".join(f"{name}: {cell}" for name, cell in named if cell))
        characters += len(lines[-1]) + 1
    return "\n".join(lines) if header else ""


def _beginning(text: str, characters: int) -> str:
    """Whole lines of a text, with a sentence that there are more."""
    if len(text) <= characters:
        return text
    return f"{text[:characters].rpartition(chr(10))[0] or text[:characters]}\n{CUT}"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        value = value.date()
    return " ".join(str(value)[:MAX_CELL_CHARS].split())


LOADER = XlsxLoader()
