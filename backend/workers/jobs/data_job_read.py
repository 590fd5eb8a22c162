"""From CSV or JSON text to a table of named columns."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from backend.workers.jobs.data_job_forms import decimal_comma, iso_dates
from backend.workers.port import Refusal

MAX_ROWS = 200_000
MAX_COLUMNS = 500
MAX_CELLS = 4_000_000
MAX_DEPTH = 64
MAX_CELL_CHARS = 100_000
DELIMITERS = ",;\t|"
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?")
_PLAIN = re.compile(r"-?(?:0|[1-9]\d{0,17})(?:\.\d{1,20})?")
"""Most numbers; they need no further look."""
_SPACE = "[ '’\u00a0\u202f]"
_GROUPED = re.compile(rf"[-+]?\d{{1,3}}(?:(?:,\d{{3}})+|(?:{_SPACE}\d{{3}})+)(?:\.\d+)?")
_EUROPEAN = re.compile(
    rf"[-+]?(?:\d{{1,3}}(?:(?:\.\d{{3}})+|(?:{_SPACE}\d{{3}})+)|\d+),\d+|[-+]?\d{{1,3}}(?:\.\d{{3}}){{2,}}"
)
_DOTTED = re.compile(r"[-+]?\d{1,3}(?:\.\d{3})+")
_NOT_DIGITS = re.compile(rf"{_SPACE}|,")
_NOT_COMMA_DIGITS = re.compile(rf"{_SPACE}|\.")
_MONEY = re.compile(r"^(?:[€$£¥]|EUR|USD|CHF|GBP)\s*|\s*(?:[€$£¥%]|EUR|USD|CHF|GBP)$")
_MISSING = frozenset(("", "na", "n/a", "nan", "null", "none", "-", "–", "?", "inf", "+inf", "-inf", "infinity"))
_MISSING |= {"+infinity", "-infinity", "#n/a", "#div/0!", "#value!", "#ref!", "#num!", "#name?", "#null!"}
MAX_POWER = 400
"""Numbers of ten to this power and more are kept as text: nothing can be reckoned with them."""
_LIST_COLUMN = "[]"
_SEPARATOR = re.compile(r"\"?sep=[,;\t|]\"?\r?\n", re.IGNORECASE)
"""A line that spreadsheets write before the table."""


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
        if isinstance(value, str) and len(value) > MAX_CELL_CHARS:
            raise Refusal(f"A value is longer than {MAX_CELL_CHARS:,} characters; the data cannot be read as a table.")
        if self.cells > MAX_CELLS:
            raise Refusal(f"The data has more than {MAX_CELLS:,} values; take a part of it.")
        column.append((row, value))

    def fill(self, name: str, cells: list[tuple[int, Any]]) -> None:
        """A whole column at once. Raises Refusal when the table grows too large."""
        self.add(name, 0, None)
        self.cells += len(cells)
        if self.cells > MAX_CELLS:
            raise Refusal(f"The data has more than {MAX_CELLS:,} values; take a part of it.")
        if any(isinstance(value, str) and len(value) > MAX_CELL_CHARS for _, value in cells):
            raise Refusal(f"A value is longer than {MAX_CELL_CHARS:,} characters; the data cannot be read as a table.")
        self.columns[name].extend(cells)

    def next_row(self) -> int:
        """The number of a new row. Raises Refusal after 200,000."""
        if self.rows >= MAX_ROWS:
            raise Refusal(f"The data has more than {MAX_ROWS:,} rows; take a part of it.")
        self.rows += 1
        return self.rows - 1


def read_table(text: str) -> Table:
    """JSON where the text begins like JSON, else CSV. Raises Refusal with what is wrong with it."""
    text = text.lstrip("\ufeff").strip()
    told = _SEPARATOR.match(text)
    text = text[told.end() :].strip() if told else text
    if not text:
        raise Refusal("There is no data: it is empty.")
    if "\x00" in text:
        raise Refusal("This is not text; give CSV or JSON.")
    table = _from_json(text) if text[0] in "[{" else _from_csv(text)
    if table.rows == 0 or not table.columns:
        raise Refusal("There are no rows in the data.")
    return with_dates(table)


def with_dates(table: Table) -> Table:
    """The table with dates of any usual form as ISO dates."""
    for name, column in table.columns.items():
        dates = iso_dates(column)
        if dates is not None:
            table.columns[name] = dates
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
    return json.loads(text, parse_float=_real, parse_int=_whole, parse_constant=lambda _: None)


def _whole(text: str) -> Any:
    return text[:MAX_CELL_CHARS] if len(text) > MAX_POWER else int(text)


def _real(text: str) -> Any:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    return number if abs(number.adjusted()) < MAX_POWER else text[:MAX_CELL_CHARS]


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
        header = header_of(value[0]) if all(isinstance(c, str) for c in value[0]) else None
        add_rows(table, header, value[1:] if header else value)
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
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


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
    header = header_of(rows[0]) if rows else None
    add_rows(table, header, rows[1:] if header else rows)
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


def header_of(row: list[Any]) -> list[str] | None:
    """The names in a first row; None when it holds data already."""
    texts = [cell for cell in row if isinstance(cell, str)]
    if len(texts) < len(row) or not any(text.strip() for text in texts):
        return None
    if any(not isinstance(parse_cell(cell), str) and cell.strip().lower() not in _MISSING for cell in texts):
        return None
    names: list[str] = []
    taken: set[str] = set()
    for number, cell in enumerate(texts, 1):
        name = " ".join(whole_characters(cell).split())[:100] or f"column {number}"
        names.append(name if name not in taken else f"{name} ({number})")
        taken.add(names[-1])
    return names


def add_rows(table: Table, header: list[str] | None, rows: list[list[Any]]) -> None:
    """Rows of cells in the order of the header. Raises Refusal when the table grows too large."""
    for name in header or ():
        table.add(name, 0, None)
    width = max((len(cells) for cells in rows), default=0)
    if width > MAX_COLUMNS:
        raise Refusal(f"The data has more than {MAX_COLUMNS} fields; keep only those you need.")
    names = [header[place] if header and place < len(header) else f"column {place + 1}" for place in range(width)]
    numbered = [(table.next_row(), cells) for cells in rows]
    for place, name in enumerate(names):
        column = [(row, cells[place]) for row, cells in numbered if place < len(cells)]
        comma = decimal_comma(cell for _, cell in column)
        table.fill(name, [(row, value) for row, cell in column if (value := _value(cell, comma)) is not None])


def _value(cell: Any, comma: bool) -> Any:
    if isinstance(cell, str):
        return parse_cell(cell, comma=comma)
    return str(cell)[:200] if isinstance(cell, (list, dict)) else cell


def parse_cell(text: str, *, comma: bool = False) -> Any:
    """A CSV cell: None when missing, bool, int or Decimal when it is one, else the text itself.

    With `comma`, `1,234` is a little more than one and `1.234` a thousand and more.
    """
    text = text.strip()
    if not comma and _PLAIN.fullmatch(text):
        return Decimal(text)
    if text.lower() in _MISSING:
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    number = _MONEY.sub("", text) if len(text) <= 40 else ""
    if comma and (_EUROPEAN.fullmatch(number) or _DOTTED.fullmatch(number)):
        return Decimal(_NOT_COMMA_DIGITS.sub("", number).replace(",", "."))
    if _NUMBER.fullmatch(number):
        is_code = number.isdigit() and len(number) > 1 and number[0] == "0"
        return (
            text
            if is_code or ("e" in number.lower() and abs(Decimal(number).adjusted()) >= MAX_POWER)
            else Decimal(number)
        )
    if _GROUPED.fullmatch(number):
        return Decimal(_NOT_DIGITS.sub("", number))
    if _EUROPEAN.fullmatch(number):
        return Decimal(_NOT_COMMA_DIGITS.sub("", number).replace(",", "."))
    return text
