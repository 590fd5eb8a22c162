"""The job that turns one uploaded file into a SQLite database of typed tables."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import sqlite3
import time
import unicodedata
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from backend.workers.jobs.table_job_read import MAX_COLUMNS, MAX_ROWS, Source, quoted, read
from backend.workers.jobs.table_job_types import SQL_TYPES, Guess, Settled
from backend.workers.port import Refusal

BATCH = 5_000
MAX_NAME = 64
PROGRESS_S = 0.25
_LOOKING, _STORING = 0.4, 0.6
"""Shares of the work: finding out the types, and writing."""


def build(path: str, kind: str, target: str) -> Generator[float, None, dict[str, Any]]:
    """Read the file at `path` and write its tables to a new database at `target`; both are server-made paths.

    Yields how much is done, in [0, 1].

    Returns:
        `{"tables": [{"title", "stored", "columns": [{"name", "type"}], "rows"}], "note": str | None}`; no tables,
        and no database, where the file holds none.

    Raises:
        Refusal: a sentence for the user.
    """
    made: list[dict[str, Any]] = []
    notes: list[str] = []
    sources = read(Path(path), kind)
    if not sources:
        return {"tables": [], "note": None}
    with contextlib.closing(_new(target)) as database:
        for number, source in enumerate(sources, 1):
            done = (number - 1) / len(sources)
            steps = _add(database, f"t{number}", source, notes)
            while True:
                try:
                    yield round(done + next(steps) / len(sources), 4)
                except StopIteration as stop:
                    if stop.value is not None:
                        made.append(stop.value)
                    break
        database.commit()
    os.chmod(target, 0o600)  # noqa: PTH101
    return {"tables": made, "note": " ".join(dict.fromkeys(notes)) or None}


def _new(target: str) -> sqlite3.Connection:
    database = sqlite3.connect(target, isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "temp_store=MEMORY", "locking_mode=EXCLUSIVE"):
        database.execute(f"PRAGMA {pragma}")
    database.execute("BEGIN")
    return database


def _add(
    database: sqlite3.Connection, stored: str, source: Source, notes: list[str]
) -> Generator[float, None, dict[str, Any] | None]:
    """One table: its types by a first look at every row, its content by a second. None when it has no rows."""
    guesses: list[Guess] = [Guess(source.typed) for _ in source.header or ()][:MAX_COLUMNS]
    rows, widest = 0, len(source.header or ())
    said = time.monotonic()
    for batch in _batches(source.rows()):
        rows += len(batch)
        if rows > MAX_ROWS:
            raise Refusal(f"The table has more than {MAX_ROWS:,} rows: split the file.")
        widest = max(widest, max(map(len, batch)))
        while len(guesses) < min(widest, MAX_COLUMNS):
            guesses.append(Guess(source.typed))
        for guess, values in zip(guesses, itertools.zip_longest(*batch), strict=False):
            guess.see(values)
        if time.monotonic() - said > PROGRESS_S:
            said = time.monotonic()
            yield _LOOKING * min(0.99, rows / (rows + 200_000))
    if rows == 0 or not guesses:
        return None
    if widest > MAX_COLUMNS:
        notes.append(f"Only the first {MAX_COLUMNS} columns became part of the table.")
    names = column_names(source.header or [], len(guesses))
    columns = [guess.column() for guess in guesses]
    yield _LOOKING
    yield from _write(database, stored, names, columns, source, rows)
    described = [{"name": name, "type": column.type} for name, column in zip(names, columns, strict=True)]
    return {"title": source.title, "stored": stored, "columns": described, "rows": rows}


def _write(
    database: sqlite3.Connection, stored: str, names: list[str], columns: list[Settled], source: Source, rows: int
) -> Iterator[float]:
    declared = ", ".join(
        f"{quoted(name)} {SQL_TYPES[column.type]}" for name, column in zip(names, columns, strict=True)
    )
    database.execute(f"CREATE TABLE {quoted(stored)} ({declared})")
    statement = f"INSERT INTO {quoted(stored)} VALUES ({', '.join('?' * len(names))})"
    width, written = len(names), 0
    said = time.monotonic()
    for batch in _batches(source.rows()):
        by_column = list(itertools.zip_longest(*batch))[:width]
        by_column += [(None,) * len(batch)] * (width - len(by_column))
        stored_columns = [column.stored_all(values) for column, values in zip(columns, by_column, strict=True)]
        database.executemany(statement, zip(*stored_columns, strict=True))
        written += len(batch)
        if time.monotonic() - said > PROGRESS_S:
            said = time.monotonic()
            yield _LOOKING + _STORING * min(written / rows, 1.0)


def _batches(rows: Iterator[list[Any]]) -> Iterator[list[list[Any]]]:
    while batch := list(itertools.islice(rows, BATCH)):
        yield batch


def column_names(header: list[str], width: int) -> list[str]:
    """Names for `width` columns: as the header has them, on one line, unique whatever the case, 64 characters."""
    names: list[str] = []
    taken: set[str] = set()
    for number in range(1, width + 1):
        name = _clean(header[number - 1]) if number <= len(header) else ""
        name = name or f"column_{number}"
        unique, count = name, 1
        while unique.casefold() in taken:
            count += 1
            unique = f"{name}_{count}"
        taken.add(unique.casefold())
        names.append(unique)
    return names


def _clean(name: str) -> str:
    """Without control and format characters and double quotes, which only make trouble in SQL."""
    text = "".join(
        " " if unicodedata.category(c)[0] == "C" or c in '"`' else c for c in unicodedata.normalize("NFC", name)
    )
    return re.sub(r"\s+", " ", text).strip()[:MAX_NAME].strip()
