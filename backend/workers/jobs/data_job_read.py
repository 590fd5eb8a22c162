"""From CSV or JSON text to a table of named columns."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from backend.workers.port import Refusal

MAX_ROWS = 200_000
MAX_COLUMNS = 500
MAX_CELLS = 4_000_000
MAX_DEPTH = 64
MAX_CELL_CHARS = 100_000
DELIMITERS = ",;\t|"
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?")
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_EUROPEAN = re.compile(r"[-+]?(?:\d{1,3}(?:\.\d{3})+|\d+),\d+")
_MONEY = re.compile(r"^(?:[€$£¥]|EUR|USD|CHF|GBP)\s*|\s*(?:[€$£¥%]|EUR|USD|CHF|GBP)$")
_MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "-", "–", "?"))
_LIST_COLUMN = "[]"


@dataclass(slots=True)
class Table:
    """Columns by name; a column is its non-missing cells with their row numbers, in order of the rows."""

    rows: int = 0
    columns: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    cells: int = 0

    def add(self, name: str, row: int, value: Any) -> None:
        """Raises Refusal when the table grows too large."""
        column = self.columns.get(name)
        if column is None:
            if len(self.columns) >= MAX_COLUMNS:
                raise Refusal(f"The data has more than {MAX_COLUMNS} fields; keep only those you need.")
            column = self.columns[name] = []
        if value is None:
            return
        self.cells += 1
        if self.cells > MAX_CELLS:
            raise Refusal(f"The data has more than {MAX_CELLS:,} values; take a part of it.")
        column.append((row, value))

    def next_row(self) -> int:
        """The number of a new row. Raises Refusal after 200,000."""
        if self.rows >= MAX_ROWS:
            raise Refusal(f"The data has more than {MAX_ROWS:,} rows; take a part of it.")
        self.rows += 1
        return self.rows - 1


def read_table(text: str) -> Table:
    """JSON where the text begins like JSON, else CSV. Raises Refusal with what is wrong with it."""
    text = text.lstrip("\ufeff").strip()
    if not text:
        raise Refusal("There is no data: it is empty.")
    if "\x00" in text:
        raise Refusal("This is not text; give CSV or JSON.")
    table = _from_json(text) if text[0] in "[{" else _from_csv(text)
    if table.rows == 0 or not table.columns:
        raise Refusal("There are no rows in the data.")
    return table


def _from_json(text: str) -> Table:
    _check_depth(text)
    try:
        return _tabulate(_decode(text))
    except json.JSONDecodeError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if text[0] == "{" and len(lines) > 1:
            return _tabulate(list(_json_lines(lines)))
        place = f"line {error.lineno}, column {error.colno}"
        raise Refusal(f"The data begins like JSON but is not valid JSON ({place}: {error.msg.lower()}).") from None


def _decode(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=_whole, parse_constant=lambda _: None)


def _whole(text: str) -> Any:
    return Decimal(text) if len(text) > 4000 else int(text)


def _json_lines(lines: list[str]) -> Iterator[Any]:
    for number, line in enumerate(lines, 1):
        try:
            yield _decode(line)
        except json.JSONDecodeError as error:
            raise Refusal(f"Line {number} is not valid JSON ({error.msg.lower()}).") from None


def _check_depth(text: str) -> None:
    depth = 0
    for found in _BRACKETS.finditer(text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found.group(), 0)
        if depth > MAX_DEPTH:
            raise Refusal(f"The JSON is nested more than {MAX_DEPTH} levels deep.")


def _tabulate(value: Any) -> Table:
    """Records, columns, lists of lists, plain lists, or one object."""
    table = Table()
    if isinstance(value, dict):
        value = _records_inside(value)
    if isinstance(value, list) and value and all(isinstance(row, list) for row in value):
        header = _header([str(cell) for cell in value[0]]) if all(isinstance(c, str) for c in value[0]) else None
        _add_rows(table, header, value[1:] if header else value)
        return table
    for item in value if isinstance(value, list) else [value]:
        row = table.next_row()
        if isinstance(item, dict):
            _flatten(table, row, "", item)
        elif isinstance(item, list):
            _flatten_list(table, row, "value", item)
        else:
            table.add("value", row, _cell(item))
    return table


def _records_inside(value: dict[str, Any]) -> Any:
    """The records of an object: its one list of objects, its columns, its entries, or itself."""
    parts = list(value.values())
    if not parts:
        raise Refusal("There are no rows in the data.")
    lists = [part for part in parts if isinstance(part, list) and part and isinstance(part[0], dict)]
    if len(lists) == 1 and not any(isinstance(part, dict) for part in parts):
        return lists[0]
    if all(isinstance(part, list) and not _nested(part) for part in parts):
        length = max(len(part) for part in parts)
        return [{k: part[i] if i < len(part) else None for k, part in value.items()} for i in range(length)]
    if len(parts) > 1 and all(isinstance(part, dict) for part in parts):
        return [{"key": key, **part} for key, part in value.items()]
    if len(parts) > 1 and all(isinstance(part, (int, Decimal)) and not isinstance(part, bool) for part in parts):
        return [{"key": key, "value": part} for key, part in value.items()]
    return value


def _nested(part: list[Any]) -> bool:
    return any(isinstance(cell, (list, dict)) for cell in part)


def _flatten(table: Table, row: int, prefix: str, value: dict[str, Any]) -> None:
    """Nested objects as dotted names, lists as `name[]` with a value for each item."""
    for key, inner in value.items():
        name = f"{prefix}{whole_characters(str(key)[:100])}"
        if isinstance(inner, dict):
            _flatten(table, row, f"{name}.", inner)
        elif isinstance(inner, list):
            _flatten_list(table, row, name, inner)
        else:
            table.add(name, row, _cell(inner))


def whole_characters(text: str) -> str:
    """The text with lone surrogates, which no JSON can carry, replaced."""
    return text.encode("utf-8", "replace").decode()


def _flatten_list(table: Table, row: int, name: str, items: list[Any]) -> None:
    for item in items:
        if isinstance(item, dict):
            _flatten(table, row, f"{name}{_LIST_COLUMN}.", item)
        elif isinstance(item, list):
            _flatten_list(table, row, name + _LIST_COLUMN, item)
        else:
            table.add(name + _LIST_COLUMN, row, _cell(item))


def _cell(value: Any) -> Any:
    """A JSON scalar; text that holds a number stays text unless it looks like nothing else."""
    if isinstance(value, str):
        return parse_cell(value)
    return value


def _from_csv(text: str) -> Table:
    csv.field_size_limit(MAX_CELL_CHARS)
    reader = csv.reader(io.StringIO(text), delimiter=_delimiter(text), skipinitialspace=True)
    table = Table()
    try:
        rows = [row for row in _limited(reader) if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise Refusal(f"The CSV cannot be read (near line {reader.line_num}: {error}).") from None
    header = _header(rows[0]) if rows else None
    _add_rows(table, header, rows[1:] if header else rows)
    return table


def _limited(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    for number, row in enumerate(reader):
        if number > MAX_ROWS:
            raise Refusal(f"The data has more than {MAX_ROWS:,} rows; take a part of it.")
        yield row


def _delimiter(text: str) -> str:
    """The delimiter that cuts the first lines into the same number of parts, and into most of them."""
    lines = [line for line in text[:65_536].splitlines() if line.strip()][:20]
    best, most = ",", 0
    for delimiter in DELIMITERS:
        counts = [len(row) for row in csv.reader(lines, delimiter=delimiter)]
        width = counts[0] if counts else 1
        regular = sum(count == width for count in counts)
        score = width * regular if width > 1 else 0
        if score > most:
            best, most = delimiter, score
    return best


def _header(row: list[str]) -> list[str] | None:
    """The names in a first row; None when it holds data already."""
    if any(not isinstance(parse_cell(cell), str) and cell.strip().lower() not in _MISSING for cell in row):
        return None
    names: list[str] = []
    for number, cell in enumerate(row, 1):
        name = cell.strip()[:100] or f"column {number}"
        names.append(name if name not in names else f"{name} ({number})")
    return names


def _add_rows(table: Table, header: list[str] | None, rows: list[list[Any]]) -> None:
    for name in header or ():
        table.add(name, 0, None)
    for cells in rows:
        row = table.next_row()
        for place, cell in enumerate(cells):
            name = header[place] if header and place < len(header) else f"column {place + 1}"
            table.add(name, row, _cell(cell) if not isinstance(cell, (list, dict)) else str(cell)[:200])


def parse_cell(text: str) -> Any:
    """A CSV cell: None when missing, bool, int or Decimal when it is one, else the text itself."""
    text = text.strip()
    if text.lower() in _MISSING:
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    number = _MONEY.sub("", text) if len(text) <= 40 else ""
    if _NUMBER.fullmatch(number):
        is_code = number.isdigit() and len(number) > 1 and number[0] == "0"
        return text if is_code else Decimal(number)
    if _GROUPED.fullmatch(number):
        return Decimal(number.replace(",", ""))
    if _EUROPEAN.fullmatch(number):
        return Decimal(number.replace(".", "").replace(",", "."))
    return text
