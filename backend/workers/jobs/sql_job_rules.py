"""What a statement may do: which functions and tables SQLite's authorizer lets through, and how errors are told."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Callable
from typing import Any

from backend.workers.port import Refusal

MAX_ROWS = 500
MAX_RESULT_BYTES = 1_000_000
MAX_SQL_CHARS = 20_000
MAX_VALUE_CHARS = 10_000
READ_ONLY = "Only reading is allowed here: one SELECT (or WITH … SELECT) statement."
_FUNCTIONS_TEXT = """
abs avg char coalesce count cume_dist current_date current_time current_timestamp date datetime dense_rank exp
first_value floor ceil ceiling glob group_concat hex ifnull iif instr json json_array json_array_length
json_each json_extract json_group_array json_group_object json_object json_quote json_tree json_type
json_valid julianday lag last_value lead length like ln log log10 log2 lower ltrim match max min mod nth_value
ntile nullif percent_rank pi pow power quote radians degrees random rank regexp replace round row_number rtrim
sign sin cos tan asin acos atan atan2 soundex sqrt strftime string_agg substr substring sum time timediff
total trim trunc typeof unicode unixepoch upper -> ->>
"""
FUNCTIONS = frozenset(_FUNCTIONS_TEXT.split())
"""Everything else is refused: what loads code, reads files, tells of the server, or can keep one step busy for ever."""
_TABLE_FUNCTIONS = frozenset({"json_each", "json_tree"})
_FIRST = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/|\()*(\w*)", re.DOTALL)
_TOKEN = re.compile(
    r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|/\*.*?(?:\*/|$)|\w+|.""", re.DOTALL
)


def check_statement(query: str) -> str:
    """The statement without its last semicolon. Raises Refusal for what is too long, empty, or begins otherwise."""
    if len(query) > MAX_SQL_CHARS:
        raise Refusal(f"The statement is longer than {MAX_SQL_CHARS:,} characters.")
    if "\x00" in query:
        raise Refusal("The statement holds a NUL character.")
    first = _FIRST.match(query)
    if first is None or first.group(1).lower() not in ("select", "with", "values"):
        raise Refusal(READ_ONLY)
    tokens = _TOKEN.findall(query)
    meant = [token for token in tokens if not token.isspace() and not token.startswith(("--", "/*"))]
    while meant and meant[-1] == ";":
        meant.pop()
    if ";" in meant:
        raise Refusal("Send one statement at a time, without a semicolon in it.")
    return query


def words_of(query: str) -> set[str]:
    """Every name in a statement, folded; what stands in single quotes and comments does not count."""
    names = set()
    for token in _TOKEN.findall(query):
        if token[0] in '"`[':
            names.add(token[1:-1].replace('""', '"').casefold())
        elif token[0] == "_" or token[0].isalnum():
            names.add(token.casefold())
    return names


def with_schema_table(query: str, name: str) -> str:
    """The statement with SQLite's schema table replaced by one that lists the user's tables."""
    return "".join(
        name if token.lower() in ("sqlite_master", "sqlite_schema") else token for token in _TOKEN.findall(query)
    )


def authorizer(
    readable: Callable[[str, str], bool], denied: list[str]
) -> Callable[[int, str | None, str | None, str | None, str | None], int]:
    """An authorizer that allows SELECT, READ, FUNCTION and RECURSIVE. `readable(database, table)` decides on tables.

    What it refuses is written into `denied`, as a sentence.
    """

    def decide(action: int, first: str | None, second: str | None, database: str | None, _: str | None) -> int:
        if action in (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE):
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_FUNCTION:
            if (second or "").lower() in FUNCTIONS:
                return sqlite3.SQLITE_OK
            denied.append(f"The function {(second or '')[:60]} is not allowed here.")
            return sqlite3.SQLITE_DENY
        if action == sqlite3.SQLITE_READ:
            table = (first or "").lower()
            if table in _TABLE_FUNCTIONS or readable(database or "", first or ""):
                return sqlite3.SQLITE_OK
            denied.append(f"There is no table {(first or '')[:60]} that may be read.")
            return sqlite3.SQLITE_DENY
        denied.append(READ_ONLY)
        return sqlite3.SQLITE_DENY

    return decide


def json_value(value: Any) -> Any:
    """A value of a row as JSON can hold it; long ones are cut."""
    if value is None or isinstance(value, (bool, int)):
        return value if not isinstance(value, int) or -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        raw = bytes(value)
        return f"x'{raw[:100].hex()}'" + ("…" if len(raw) > 100 else "")
    text = value if isinstance(value, str) else str(value)
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= MAX_VALUE_CHARS else text[:MAX_VALUE_CHARS] + "…"


class RowTaker:
    """Collects rows until there are 500 or they come to 1 MB; `truncated` says that there were more."""

    def __init__(self) -> None:
        self.rows: list[list[Any]] = []
        self.truncated = False
        self._bytes = 0

    def take(self, row: Any) -> bool:
        """Whether another row may come."""
        values = [json_value(value) for value in row]
        size = sum(len(value.encode()) + 4 if isinstance(value, str) else 24 for value in values)
        if len(self.rows) >= MAX_ROWS or self._bytes + size > MAX_RESULT_BYTES:
            self.truncated = True
            return False
        self._bytes += size
        self.rows.append(values)
        return True
