"""From an XLSX workbook to a table: the values of one sheet, formulas as they were last worked out."""

from __future__ import annotations

import datetime as dt
import zipfile
import zlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from backend.utils.archives import UnsafeArchive, check_archive
from backend.workers.jobs.data_job_read import MAX_COLUMNS, MAX_ROWS, Table, add_rows, header_of
from backend.workers.port import Refusal

SIGNATURE = b"PK\x03\x04"
MAX_SHEETS = 200
MAX_EMPTY_ROWS = 100_000
"""Empty rows in a row after which the rest of a sheet is taken as empty."""
_DAMAGED = "The workbook is damaged and cannot be read: save it again as .xlsx and upload the new file."


def read_workbook(path: Path, wanted: str | None) -> tuple[Table, str, list[str]]:
    """The table in a sheet, the sheet's name, and the names of all.

    Args:
        path: The file.
        wanted: A sheet's name; None for the first one with values.

    Raises:
        Refusal: no workbook, an archive that unpacks to too much, no such sheet, no values, or too many.
    """
    try:
        check_archive(path, "xl/workbook.xml", "an Excel workbook")
    except UnsafeArchive as error:
        raise Refusal(str(error)) from None
    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException, ReadOnlyWorkbookException

    try:
        with path.open("rb") as file:  # a stored file has no ending, and by its path it would be refused for that
            book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
            return _table(book.worksheets[:MAX_SHEETS], wanted)
    except (InvalidFileException, ReadOnlyWorkbookException, zipfile.BadZipFile, zlib.error):
        raise Refusal(_DAMAGED) from None
    except (KeyError, ValueError, TypeError, IndexError, AttributeError, SyntaxError, OverflowError, EOFError):
        # What openpyxl raises for parts that contradict each other; an XML error is a SyntaxError.
        raise Refusal(_DAMAGED) from None


def _table(sheets: list[Any], wanted: str | None) -> tuple[Table, str, list[str]]:
    titles = [str(sheet.title)[:100] for sheet in sheets]
    if wanted is not None:
        folded = wanted.strip().casefold()
        chosen = [sheet for sheet, title in zip(sheets, titles, strict=True) if title.casefold() == folded]
        if not chosen:
            raise Refusal(f"The workbook has no sheet {wanted[:100]!r}; it has: {', '.join(titles[:20])}.")
        sheets = chosen
    for sheet in sheets:
        rows = list(_rows(sheet))
        if not rows:
            continue
        header = header_of(["" if cell is None else cell for cell in rows[0]])
        table = Table()
        add_rows(table, header, rows[1:] if header else rows)
        if table.rows:
            return table, str(sheet.title)[:100], titles
    raise Refusal("There are no rows in the workbook.")


def _rows(sheet: Any) -> Iterator[list[Any]]:
    """Rows that hold something, without the empty cells at their ends."""
    sheet.reset_dimensions()  # what the file says of its own extent may be wrong
    kept = empty = 0
    for row in sheet.iter_rows(values_only=True, max_col=MAX_COLUMNS + 1):
        cells = [_cell(value) for value in row]
        while cells and cells[-1] is None:
            cells.pop()
        if not cells:
            empty += 1
            if empty > MAX_EMPTY_ROWS:
                return
            continue
        kept, empty = kept + 1, 0
        if kept > MAX_ROWS + 1:
            raise Refusal(f"The sheet has more than {MAX_ROWS:,} rows; take a part of it.")
        if len(cells) > MAX_COLUMNS:
            raise Refusal(f"The sheet has more than {MAX_COLUMNS} fields; keep only those you need.")
        yield cells


def _cell(value: Any) -> Any:
    """None, bool, int, Decimal or text; moments as ISO text, errors such as #DIV/0! as missing."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        number = Decimal(repr(value))
        return number if number.is_finite() else None
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ", "seconds")
    if isinstance(value, dt.date):
        return value.isoformat()
    text = str(value)
    return text if text.strip() else None
