"""Uploaded tables become databases that can be asked in SQL."""

from __future__ import annotations

import importlib.util
import logging
import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from backend.config.settings import Settings
from backend.models.documents import Document
from backend.models.errors import WorkerFailed
from backend.models.run import Owner
from backend.models.tables import TableColumn, UserTable
from backend.storage.table_store import TablePlaces, TableStore
from backend.workers.port import Limits, Worker

log = logging.getLogger("hearth.tables")

BUILD_JOB = "backend.workers.jobs.table_job:build"
COLUMNAR_JOB = "backend.workers.jobs.table_job_columnar:copy"
COLUMNAR_ROWS = 200_000
"""From so many rows on, a table gets a columnar copy as well."""
KINDS = {
    ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".xlsx": "xlsx",
    ".sqlite": "sqlite", ".sqlite3": "sqlite", ".db": "sqlite",
}  # fmt: skip
"""Kind of table by the extension of the file."""
BUILD_SHARE = 0.8
"""Of the progress; the columnar copy is the rest."""
MAX_NAME = 48
_RESERVED_TEXT = """
all alter and any as asc attach between by case cast check column commit constraint create cross current
database default delete desc distinct drop else end escape except exists explain filter for foreign from full
group having if in index inner insert intersect into is join left like limit main natural no not null offset
on or order outer over partition pragma primary references replace right rollback row rows select set table
temp then to transaction union unique update user using values view virtual when where window with
"""
_RESERVED = frozenset(_RESERVED_TEXT.split())


class TableImport:
    """Makes the tables of a document, and removes them with it."""

    def __init__(self, settings: Settings, tables: TableStore, worker: Worker) -> None:
        self._engine: Literal["auto", "sqlite", "duckdb"] = settings.sql_engine
        self._tables = tables
        self._worker = worker

    def kind_of(self, document: Document) -> str | None:
        """What kind of table file a document is; None when it is none."""
        return KINDS.get(PurePosixPath(document.filename).suffix.lower())

    async def take_in(
        self, owner: Owner, document: Document, path: Path, on_progress: Callable[[float], None]
    ) -> str | None:
        """Make the document's tables anew. The note for the document: what was left out, or why it became no table.

        `on_progress` hears how much is done, in [0, 1]. Raises StorageFull.
        """
        kind = self.kind_of(document)
        if kind is None:
            return None
        places = await self._tables.places(owner)
        limits = _limits(document.size)

        def first(done: float) -> None:
            on_progress(BUILD_SHARE * done)

        def second(done: float) -> None:
            on_progress(BUILD_SHARE + (1 - BUILD_SHARE) * done)

        try:
            # The worker reads a stored file, which has no extension: the kind tells what it is.
            payload = {"path": str(path), "kind": kind, "target": str(places.database)}
            built = await self._worker.run(BUILD_JOB, payload, limits=limits, on_progress=first)
            tables = _named(document.filename, built["tables"])
            if not tables:
                await self._tables.delete(owner, document.file_id)
                return None
            if self._wants_columnar(tables):
                await self._copy(places, tables, limits, second)
            await self._tables.keep(owner, document.file_id, document.filename, places, tables, built["note"])
            note: str | None = built["note"]
            return note
        except WorkerFailed as error:
            log.warning("no tables were made of %s: %s", document.file_id, error.message)
            return f"The file cannot be asked in SQL. {error.message}"
        finally:
            await self._tables.discard(places)

    async def delete(self, owner: Owner, file_id: str) -> None:
        """Remove the tables of a document, if it has any."""
        await self._tables.delete(owner, file_id)

    def _wants_columnar(self, tables: list[UserTable]) -> bool:
        if self._engine == "sqlite" or importlib.util.find_spec("duckdb") is None:
            return False
        return self._engine == "duckdb" or sum(table.rows for table in tables) >= COLUMNAR_ROWS

    async def _copy(
        self, places: TablePlaces, tables: list[UserTable], limits: Limits, on_progress: Callable[[float], None]
    ) -> None:
        try:
            payload = columnar_payload(places.database, places, tables)
            await self._worker.run(COLUMNAR_JOB, payload, limits=limits, on_progress=on_progress)
        except WorkerFailed as error:
            # SQLite answers then, only slower.
            log.warning("no columnar copy was made: %s", error.message)
            await self._tables.discard(replace(places, database=places.spool))


def columnar_payload(database: Path, places: TablePlaces, tables: list[UserTable]) -> dict[str, Any]:
    """What the job that copies tables into a columnar database is given."""
    described = [
        {"stored": table.stored, "columns": [{"name": each.name, "type": each.type} for each in table.columns]}
        for table in tables
    ]
    return {
        "source": str(database),
        "target": str(places.columnar),
        "spool": str(places.spool),
        "tables": described,
    }


def _limits(size: int) -> Limits:
    """Time and room by the size of the file: a minute and 8 s more for every MiB (usually a fifth of it is needed)."""
    mib = size / 1_048_576
    return Limits(seconds=60.0 + 8.0 * mib, memory_mb=1024, file_mb=64 + int(8 * mib))


def _named(filename: str, built: list[dict[str, Any]]) -> list[UserTable]:
    stem = table_name(PurePosixPath(filename).stem)
    named: list[UserTable] = []
    for each in built:
        title = str(each["title"])
        name = stem
        if title:
            is_database = KINDS.get(PurePosixPath(filename).suffix.lower()) == "sqlite"
            name = table_name(title) if is_database else table_name(f"{stem}_{title}")
        columns = tuple(TableColumn(column["name"], column["type"]) for column in each["columns"])
        named.append(UserTable(name, each["stored"], columns, each["rows"]))
    return named


def table_name(text: str) -> str:
    """A name that SQL takes without quotes: lower case letters, digits and underscores, never a keyword."""
    name = re.sub(r"\W+", "_", unicodedata.normalize("NFC", text).casefold()).strip("_")[:MAX_NAME].strip("_")
    if not name or name in _RESERVED or name.startswith(("sqlite_", "pragma_", "schema_of_tables")):
        name = f"{name}_table".strip("_")
    return f"t_{name}" if name[0].isdigit() else name
