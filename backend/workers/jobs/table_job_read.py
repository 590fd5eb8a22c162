"""The tables inside a file, as rows that can be gone through more than once."""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.utils.archives import UnsafeArchive, check_archive
from backend.workers.jobs.table_job_types import FORMS
from backend.workers.port import Refusal

Rows = Iterator[list[Any]]

MAX_COLUMNS = 200
MAX_ROWS = 5_000_000
MAX_TABLES = 50
MAX_CELL_CHARS = 1_048_576
MAX_JSON_BYTES = 64 * 1_048_576
"""A larger JSON file is read only when it is JSON lines, which need not be held whole."""
MAX_DEPTH = 64
HEAD_BYTES = 65_536
DELIMITERS = ",;\t|"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_YEAR = re.compile(r"(?:1[89]|20)\d\d")


@dataclass(frozen=True, slots=True)
class Source:
    """One table of a file. `title` is empty where the file is the table; `header` None: the columns have no names.

    `rows` starts anew at each call; `size` is how many units `rows` reports as done in its last element, if it does.
    """

    title: str
    header: list[str] | None
    rows: Callable[[], Rows]
    typed: bool
    """Whether the values have types of their own, so that text is text."""


def read(path: Path, kind: str) -> list[Source]:
    """Tables of a `csv`, `json`, `xlsx` or `sqlite` file; none where the file holds no table. Raises Refusal."""
    return _READERS[kind](path)


# ---- CSV ----------------------------------------------------------------------------------------


def _csv(path: Path) -> list[Source]:
    csv.field_size_limit(MAX_CELL_CHARS)
    encoding = encoding_of(path)
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        head = file.read(HEAD_BYTES)
    delimiter = delimiter_of(head)
    skipped = 1 if re.match(r"\ufeff?\"?sep=", head, re.IGNORECASE) else 0

    def rows() -> Rows:
        try:
            with path.open(encoding=encoding, errors="replace", newline="") as file:
                for _ in range(skipped):
                    file.readline()
                for row in csv.reader(file, delimiter=delimiter, skipinitialspace=True):
                    if row and (row[0] or any(cell.strip() for cell in row)):
                        yield row
        except csv.Error as error:
            raise Refusal(f"The table cannot be read ({error}).") from None

    first = next(rows(), None)
    if first is None:
        return []
    header = first if _names_columns(first) else None

    def body() -> Rows:
        found = rows()
        if header is not None:
            next(found, None)
        return found

    return [Source("", header, body, typed=False)]


def encoding_of(path: Path) -> str:
    """By byte-order mark, else UTF-8 if all of it is, else UTF-16 without a mark, else Windows-1252."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        for mark, encoding in _BOMS:
            if head.startswith(mark):
                return encoding
        if b"\x00" in head:
            return "utf-16-be" if head[0::2].count(0) > head[1::2].count(0) else "utf-16-le"
        decoder = codecs.getincrementaldecoder("utf-8")()
        file.seek(0)
        try:
            while piece := file.read(1_048_576):
                decoder.decode(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"


def delimiter_of(head: str) -> str:
    """The delimiter that cuts the first lines into the same number of parts, and into most of them."""
    told = re.match(r"\ufeff?\"?sep=([,;\t|])", head, re.IGNORECASE)
    if told:
        return told.group(1)
    lines = [line for line in head.splitlines(keepends=True) if line.strip()][:20]
    best, most = ",", 0
    for delimiter in DELIMITERS:
        counts = [len(row) for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True)]
        width = counts[0] if counts else 1
        score = width * sum(count == width for count in counts) if width > 1 else 0
        if score > most:
            best, most = delimiter, score
    return best


def _names_columns(row: list[Any]) -> bool:
    """Whether a first row holds names. A row with a number in it is data, unless the numbers are years."""
    cells = [cell.strip() if isinstance(cell, str) else cell for cell in row if cell not in (None, "")]
    values = [cell for cell in cells if not isinstance(cell, str) or _is_value(cell)]
    if not values:
        return bool(cells)
    years = all(_YEAR.fullmatch(str(cell)) for cell in values)
    return years and len(values) < len(cells) and len(set(values)) == len(values)


def _is_value(text: str) -> bool:
    return len(text) <= 40 and any(form.pattern.fullmatch(text) for form in FORMS)


# ---- JSON ---------------------------------------------------------------------------------------


def _json(path: Path) -> list[Source]:
    encoding = encoding_of(path)
    with path.open(encoding=encoding, errors="replace") as file:
        start = next((line for line in file if line.strip()), "").lstrip("\ufeff \t\r\n")
        follows = next((line for line in file if line.strip()), "")
    if start.startswith("{") and follows and _is_object(start) and _is_object(follows):
        return [_json_lines(path, encoding)]
    if path.stat().st_size > MAX_JSON_BYTES:
        raise Refusal("A JSON file above 64 MiB becomes a table only when each record stands on a line of its own.")
    text = path.read_text(encoding=encoding, errors="replace").lstrip("\ufeff")
    _check_depth(text)
    try:
        records = _records(json.loads(text, parse_constant=lambda _: None))
    except ValueError:
        return []
    if not records:
        return []
    header = _keys(records)
    return [Source("", header, lambda: ([flat.get(key) for key in header] for flat in map(flatten, records)), True)]


def _json_lines(path: Path, encoding: str) -> Source:
    def records() -> Iterator[dict[str, Any]]:
        with path.open(encoding=encoding, errors="replace") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                _check_depth(line)
                try:
                    record = json.loads(line.lstrip("\ufeff"), parse_constant=lambda _: None)
                except ValueError:
                    raise Refusal(f"Line {number} is not valid JSON, so the file became no table.") from None
                yield flatten(record if isinstance(record, dict) else {"value": record})

    header: dict[str, None] = {}
    for flat in records():
        header.update(dict.fromkeys(flat))
        if len(header) > MAX_COLUMNS:
            break
    names = list(header)[:MAX_COLUMNS]
    return Source("", names, lambda: ([flat.get(name) for name in names] for flat in records()), True)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _check_depth(text: str) -> None:
    depth = 0
    for found in _BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found.group(), 0)
        if depth > MAX_DEPTH:
            raise Refusal(f"The JSON is nested more than {MAX_DEPTH} levels deep.")


def _records(value: Any) -> list[dict[str, Any]]:
    """The records of a JSON value: a list of objects, the one such list inside an object, or columns."""
    if isinstance(value, dict):
        inner = [part for part in value.values() if isinstance(part, list)]
        records = [part for part in inner if part and all(isinstance(item, dict) for item in part)]
        if len(records) == 1:
            return records[0]
        if inner and len(inner) == len(value) and len({len(part) for part in inner}) == 1:
            return [dict(zip(value, row, strict=True)) for row in zip(*inner, strict=True)]
        return []
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return value
    if isinstance(value, list) and len(value) > 1 and all(isinstance(item, list) for item in value):
        head, *rest = value
        if _names_columns(head) and all(isinstance(cell, str) for cell in head):
            return [dict(zip(head, row, strict=False)) for row in rest]
    return []


def _keys(records: list[dict[str, Any]]) -> list[str]:
    keys: dict[str, None] = {}
    for record in records:
        keys.update(dict.fromkeys(flatten(record)))
        if len(keys) > MAX_COLUMNS:
            break
    return list(keys)[:MAX_COLUMNS]


def flatten(record: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects become `outer_inner`; lists stay, and are stored as JSON text."""
    flat: dict[str, Any] = {}
    for key, value in record.items():
        name = f"{prefix}{str(key)[:100]}"
        if isinstance(value, dict):
            flat.update(flatten(value, f"{name}_"))
        else:
            flat[name] = value
    return flat


# ---- workbooks ----------------------------------------------------------------------------------


def _xlsx(path: Path) -> list[Source]:
    try:
        check_archive(path, "xl/workbook.xml", "an Excel workbook")
    except UnsafeArchive as error:
        raise Refusal(str(error)) from None
    import zipfile

    import openpyxl
    from openpyxl.utils.exceptions import InvalidFileException

    def rows_of(sheet: str) -> Rows:
        # Opened by us: the library goes by the name of a file, and stored files have no extension.
        file = path.open("rb")
        book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
        try:
            found = book[sheet]
            found.reset_dimensions()  # what the file says of its own extent may be wrong
            for row in found.iter_rows(values_only=True, max_col=MAX_COLUMNS):
                cells = [_xlsx_cell(cell) for cell in row]
                if any(cell is not None and cell != "" for cell in cells):
                    yield cells
        finally:
            book.close()
            file.close()

    try:
        with path.open("rb") as workbook:
            book = openpyxl.load_workbook(workbook, read_only=True, data_only=True, keep_links=False)
            titles = [sheet.title for sheet in book.worksheets][:MAX_TABLES]
            book.close()
        sources = []
        for title in titles:
            first = next(rows_of(title), None)
            if first is not None:
                sources.append(_sheet(title if len(titles) > 1 else "", first, rows_of, title))
    except (InvalidFileException, zipfile.BadZipFile, KeyError, ValueError, TypeError, IndexError):
        raise Refusal("The workbook is damaged and cannot be read: save it again as .xlsx.") from None
    return sources


def _sheet(shown: str, first: list[Any], rows_of: Callable[[str], Rows], title: str) -> Source:
    header = ["" if cell is None else str(cell) for cell in first] if _names_columns(first) else None

    def body() -> Rows:
        found = rows_of(title)
        if header is not None:
            next(found, None)
        return found

    return Source(shown, header, body, typed=True)


def _xlsx_cell(value: Any) -> Any:
    """Times of day and spans as text, midnight as a date, numbers as they are."""
    if isinstance(value, dt.datetime):
        return value.date() if value.time() == dt.time() else value
    if isinstance(value, (dt.time, dt.timedelta)):
        return str(value)
    return value


# ---- SQLite -------------------------------------------------------------------------------------


def _sqlite(path: Path) -> list[Source]:
    """Plain tables of somebody else's database; views, virtual tables and triggers are never touched."""
    try:
        with _foreign(path) as connection:
            named = connection.execute(
                "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
                " ORDER BY rowid"
            ).fetchall()
            plain = [name for name, sql in named if re.match(r"\s*CREATE\s+TABLE\b", sql or "", re.IGNORECASE)]
            virtual = [name for name, sql in named if name not in plain]
            plain = [name for name in plain if not any(name.startswith(f"{each}_") for each in virtual)]
            return [_table(path, name, _columns(connection, name)) for name in plain[:MAX_TABLES]]
    except sqlite3.Error:
        raise Refusal("The SQLite database is damaged or encrypted and cannot be read.") from None


def _foreign(path: Path) -> Any:
    import contextlib

    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    for pragma in ("query_only=1", "trusted_schema=0", "cell_size_check=1", "mmap_size=0"):
        connection.execute(f"PRAGMA {pragma}")
    return contextlib.closing(connection)


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({quoted(table)})")][:MAX_COLUMNS]


def _table(path: Path, name: str, columns: list[str]) -> Source:
    def rows() -> Rows:
        wanted = ", ".join(quoted(column) for column in columns)
        try:
            with _foreign(path) as connection:
                for row in connection.execute(f"SELECT {wanted} FROM {quoted(name)}"):
                    yield list(row)
        except sqlite3.Error:
            raise Refusal("The SQLite database is damaged or encrypted and cannot be read.") from None

    return Source(name, columns, rows, typed=True)


def quoted(name: str) -> str:
    """A name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


_READERS: dict[str, Callable[[Path], list[Source]]] = {"csv": _csv, "json": _json, "xlsx": _xlsx, "sqlite": _sqlite}
