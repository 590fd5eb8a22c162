"""Workbooks: each sheet's name, columns and first rows as text; the whole of it is asked in SQL."""

from __future__ import annotations

import datetime as dt
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.loaders.office import refuse_unsafe
from backend.loaders.port import LoadRefused
from backend.models.documents import PageText

MAX_SHEETS = 50
MAX_ROWS = 2000
MAX_COLUMNS = 200
MAX_CHARS = 2 * 1_048_576
"""Characters of text that go into the index whole, over all sheets; of more only the beginning does."""
KEPT_CHARS = 65_536
MAX_CELL_CHARS = 2000
DAMAGED = "The workbook is damaged and cannot be read: save it again as .xlsx and upload the new file."


class XlsxLoader:
    name = "xlsx"
    extensions = (".xlsx",)
    content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

    def accepts(self, head: bytes, extension: str) -> bool:
        return extension in self.extensions and head.startswith(b"PK\x03\x04")

    def page_count(self, path: Path) -> int | None:
        return None

    def load(self, path: Path) -> Iterator[PageText]:
        """One text: every sheet as `column: value` lines, its first 2,000 rows."""
        refuse_unsafe(path, "xl/workbook.xml", "an Excel workbook")
        import openpyxl
        from openpyxl.utils.exceptions import InvalidFileException

        try:
            # Opened by us: the library goes by the name of a file, and stored files have no extension.
            with path.open("rb") as file:
                book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
                text = "\n\n".join(_sheet(sheet) for sheet in book.worksheets[:MAX_SHEETS])
        except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, TypeError, IndexError):
            raise LoadRefused(DAMAGED) from None
        if len(text) > MAX_CHARS:
            text = f"{text[:KEPT_CHARS]}\n(The text is cut here; SQL reaches every row.)"
        yield PageText(None, text)


def _sheet(sheet: Any) -> str:
    sheet.reset_dimensions()  # what the file says of its own extent may be wrong
    lines = [f"Sheet {sheet.title}"]
    header: list[str] = []
    count = 0
    for row in sheet.iter_rows(values_only=True, max_col=MAX_COLUMNS):
        cells = [_cell(value) for value in row]
        if not any(cells):
            continue
        if not header:
            header = [cell or f"column_{number}" for number, cell in enumerate(cells, 1)]
            lines.append("Columns: " + ", ".join(header))
            continue
        count += 1
        if count > MAX_ROWS:
            lines.append(f"(Only the first {MAX_ROWS:,} rows are shown here; SQL reaches all of them.)")
            break
        named = zip(header + [f"column_{n}" for n in range(len(header) + 1, len(cells) + 1)], cells, strict=False)
        lines.append("; ".join(f"{name}: {cell}" for name, cell in named if cell))
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dt.datetime) and value.time() == dt.time():
        value = value.date()
    return " ".join(str(value)[:MAX_CELL_CHARS].split())


LOADER = XlsxLoader()
