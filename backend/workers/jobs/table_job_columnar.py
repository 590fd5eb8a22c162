"""The job that copies a file's tables into a columnar database, for large ones."""

from __future__ import annotations

import contextlib
import csv
import os
import sqlite3
from collections.abc import Generator
from pathlib import Path
from typing import Any

from backend.workers.jobs.table_job_read import quoted

PRELOAD = ("duckdb",)
BATCH = 20_000
_TYPES = {"integer": "BIGINT", "real": "DOUBLE", "boolean": "BIGINT"}
"""Dates stay ISO text and truth values 0 and 1, so that one statement means the same in both engines."""


def copy(source: str, target: str, spool: str, tables: list[dict[str, Any]]) -> Generator[float, None, dict[str, int]]:
    """Write the tables of the SQLite database `source` to a new DuckDB file `target`, by way of `spool`.

    All are server-made paths; `tables` are `{"stored", "columns": [{"name", "type"}]}`. Yields how much is done.

    Returns:
        `{"bytes": size of the new file}`.
    """
    import duckdb

    uri = f"{Path(source).resolve().as_uri()}?mode=ro&immutable=1"
    settings: dict[str, Any] = {"threads": "1", "memory_limit": "512MB", "autoinstall_known_extensions": "false"}
    with (
        contextlib.closing(sqlite3.connect(uri, uri=True)) as rows,
        contextlib.closing(duckdb.connect(target, config=settings)) as columnar,
    ):
        for number, table in enumerate(tables):
            name = quoted(table["stored"])
            (total,) = rows.execute(f"SELECT count(*) FROM {name}").fetchone()
            cursor, read = rows.execute(f"SELECT * FROM {name}"), 0
            with open(spool, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123
                writer = csv.writer(file, lineterminator="\n")
                while batch := cursor.fetchmany(BATCH):
                    writer.writerows(batch)
                    read += len(batch)
                    yield round((number + 0.7 * read / total) / len(tables), 3)
            types = {column["name"]: _TYPES.get(column["type"], "VARCHAR") for column in table["columns"]}
            declared = ", ".join(f"{quoted(column)} {kind}" for column, kind in types.items())
            columnar.execute(f"CREATE TABLE {name} ({declared})")
            if len(types) == 1:
                # A line that is empty counts as no row for a reader of CSV; a table of one column may hold those.
                _insert_single(columnar, rows, name)
                continue
            columnar.execute(
                f"INSERT INTO {name} SELECT * FROM read_csv(?, columns=?, header=false, auto_detect=false, delim=',',"
                " quote='\"', escape='\"', nullstr='', new_line='\\n', max_line_size=20971520, parallel=false)",
                [spool, types],
            )
    os.chmod(target, 0o600)  # noqa: PTH101
    return {"bytes": Path(target).stat().st_size}


def _insert_single(columnar: Any, rows: sqlite3.Connection, name: str) -> None:
    cursor = rows.execute(f"SELECT * FROM {name}")
    while batch := cursor.fetchmany(BATCH):
        columnar.execute(f"INSERT INTO {name} SELECT unnest(?)", [[row[0] for row in batch]])
