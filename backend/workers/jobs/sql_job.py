"""The job that answers one SELECT over SQLite databases, reading only."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from pathlib import Path
from typing import Any

from backend.workers.jobs.sql_job_rules import (
    MAX_SQL_CHARS,
    RowTaker,
    authorizer,
    check_statement,
    with_schema_table,
)
from backend.workers.port import Refusal

HEAP_BYTES = 256 * 1_048_576
STEPS = 1000
MAX_ATTACHED = 10
SCHEMA_TABLE = "schema_of_tables"
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 1_048_576,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: MAX_SQL_CHARS,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 20,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 100,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_COLUMN: 200,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 0,
}


def query(sql: str, files: list[dict[str, Any]], schema: list[dict[str, str]], seconds: float) -> dict[str, Any]:
    """Answer a SELECT over the tables of `files`.

    Args:
        files: `{"path", "tables": [{"name", "stored"}]}`, at most 10, paths server-made.
        schema: `{"name", "sql"}` of every table the user has, for the schema table.
        seconds: after so long the statement is interrupted.

    Returns:
        `{"columns", "rows", "truncated", "seconds"}`, or `{"error": a sentence}`.
    """
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        _prepare(connection)
        names = set()
        # Files come first and the limit on them after: none can be attached once it is 0.
        for number, file in enumerate(files[:MAX_ATTACHED]):
            connection.execute(f"ATTACH ? AS f{number}", [_uri(file["path"])])
            for table in file["tables"]:
                names.add(table["name"].casefold())
                connection.execute(
                    f"CREATE TEMP VIEW {_quoted(table['name'])} AS SELECT * FROM f{number}.{_quoted(table['stored'])}"
                )
        connection.execute(f"CREATE TABLE {SCHEMA_TABLE} (type, name, tbl_name, sql)")
        connection.executemany(
            f"INSERT INTO {SCHEMA_TABLE} VALUES ('table', ?, ?, ?)",
            [(each["name"], each["name"], each["sql"]) for each in schema],
        )

        def readable(database: str, table: str) -> bool:
            if not database:  # a name made by WITH, or a table none of whose columns is read
                return not table.lower().startswith(("sqlite_", "pragma_"))
            if database == "temp":
                return table.casefold() in names
            if re.fullmatch(r"f\d", database):
                return not table.lower().startswith("sqlite_")
            return database == "main" and table == SCHEMA_TABLE

        return _answer(connection, with_schema_table(sql, SCHEMA_TABLE), readable, seconds)


def query_file(sql: str, path: str, seconds: float) -> dict[str, Any]:
    """The same over one SQLite database that an administrator named: every table of it, but nothing of SQLite's."""
    return _over_file(path, lambda connection: _answer(connection, sql, _own, seconds))


def describe_file(path: str, samples: int) -> dict[str, Any]:
    """`{"tables": [{"name", "columns": [{"name", "type"}], "sample": [[…]]}]}` of such a database."""

    def look(connection: sqlite3.Connection) -> dict[str, Any]:
        tables = []
        named = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite%' LIMIT 100"
        ).fetchall()
        for (name,) in named:
            columns = [
                {"name": row[1], "type": (row[2] or "text").lower()}
                for row in connection.execute(f"PRAGMA table_info({_quoted(name)})")
            ]
            taker = RowTaker()
            for row in connection.execute(f"SELECT * FROM {_quoted(name)} LIMIT {int(samples)}"):
                taker.take(row)
            tables.append({"name": name, "columns": columns, "sample": taker.rows})
        return {"tables": tables}

    return _over_file(path, look)


def _over_file(path: str, work: Any) -> dict[str, Any]:
    try:
        uri = f"{Path(path).resolve(strict=True).as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            _prepare(connection)
            found: dict[str, Any] = work(connection)
            return found
    except (OSError, sqlite3.Error):
        return {"error": "The database cannot be opened: tell the administrator."}


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    for pragma in ("trusted_schema=0", f"hard_heap_limit={HEAP_BYTES}", "cell_size_check=1", "mmap_size=0"):
        connection.execute(f"PRAGMA {pragma}")
    # Tables that are functions are set up at first use, which the authorizer would refuse.
    for name in ("json_each", "json_tree"):
        connection.execute(f"SELECT * FROM {name}('[]')")


def _answer(connection: sqlite3.Connection, sql: str, readable: Any, seconds: float) -> dict[str, Any]:
    try:
        check_statement(sql)
    except Refusal as refusal:
        return {"error": str(refusal)}
    denied: list[str] = []
    connection.execute("PRAGMA query_only=1")
    for which, limit in _LIMITS.items():
        connection.setlimit(which, limit)
    connection.set_authorizer(authorizer(readable, denied))
    began = time.monotonic()
    late: list[bool] = []

    def tick() -> int:
        if time.monotonic() - began > seconds:
            late.append(True)
        return len(late)

    connection.set_progress_handler(tick, STEPS)
    taker = RowTaker()
    try:
        cursor = connection.execute(sql)
        columns = [column[0] for column in cursor.description or ()]
        for row in cursor:
            if not taker.take(row):
                break
    except (sqlite3.Error, sqlite3.Warning, MemoryError, OverflowError) as error:
        return {"error": _sentence(error, denied, bool(late), seconds)}
    took = time.monotonic() - began
    return {"columns": columns, "rows": taker.rows, "truncated": taker.truncated, "seconds": round(took, 4)}


def _sentence(error: BaseException, denied: list[str], late: bool, seconds: float) -> str:
    """What went wrong, for a person; the statement's own words only as SQLite quotes them."""
    if late:
        return f"The statement took longer than {seconds:g} seconds and was stopped: ask for less, or add a condition."
    if isinstance(error, MemoryError) or "out of memory" in str(error):
        return "The statement needed too much memory and was stopped: ask for less."
    if denied:
        return denied[0]
    text = str(error)
    if "one statement" in text:
        return "Send one statement at a time, without a semicolon in it."
    if "too big" in text:
        return "A value of the result is larger than 1 MiB: ask for a part of it."
    return f"{text[:300].strip().rstrip('.')}."


def _own(database: str, table: str) -> bool:
    return database in ("main", "") and (
        not table.lower().startswith(("sqlite_", "pragma_")) or table.lower() in ("sqlite_master", "sqlite_schema")
    )


def _uri(path: str) -> str:
    return f"{Path(path).resolve().as_uri()}?mode=ro&immutable=1"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
