"""SQLite databases: each table's name, columns and first rows as text; the whole of it is asked in SQL."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from backend.loaders.port import LoadRefused
from backend.models.documents import PageText

MAX_TABLES = 50
MAX_COLUMNS = 200
SAMPLE_ROWS = 20
MAX_CELL_CHARS = 500
DAMAGED = "The SQLite database is damaged or encrypted and cannot be read."


class SqliteLoader:
    name = "sqlite"
    extensions = (".sqlite", ".sqlite3", ".db")
    content_type = "application/vnd.sqlite3"

    def accepts(self, head: bytes, extension: str) -> bool:
        return extension in self.extensions and head.startswith(b"SQLite format 3\x00")

    def page_count(self, path: Path) -> int | None:
        return None

    def load(self, path: Path) -> Iterator[PageText]:
        """One text. Only plain tables are looked at: what else a stranger's schema holds is never run."""
        uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        try:
            with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
                connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
                for pragma in ("query_only=1", "trusted_schema=0", "cell_size_check=1", "mmap_size=0"):
                    connection.execute(f"PRAGMA {pragma}")
                tables = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'").fetchall()
                plain = [n for n, sql in tables if re.match(r"\s*CREATE\s+TABLE\b", sql or "", re.IGNORECASE)]
                text = "\n\n".join(_table(connection, n) for n in plain[:MAX_TABLES] if not n.startswith("sqlite_"))
        except sqlite3.Error:
            raise LoadRefused(DAMAGED) from None
        if not text:
            raise LoadRefused("The SQLite database holds no tables.")
        yield PageText(None, text)


def _table(connection: sqlite3.Connection, name: str) -> str:
    quoted = '"' + name.replace('"', '""') + '"'
    columns = [row[1] for row in connection.execute(f"PRAGMA table_info({quoted})")][:MAX_COLUMNS]
    lines = [f"Table {name}", "Columns: " + ", ".join(columns)]
    wanted = ", ".join('"' + column.replace('"', '""') + '"' for column in columns)
    for row in connection.execute(f"SELECT {wanted} FROM {quoted} LIMIT {SAMPLE_ROWS}"):
        cells = zip(columns, row, strict=True)
        lines.append("; ".join(f"{column}: {_cell(value)}" for column, value in cells if value is not None))
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    return " ".join(str(value)[:MAX_CELL_CHARS].split())


LOADER = SqliteLoader()
