"""`sql_query`: reading the user's own tables, and databases an administrator named, in SQL."""

from __future__ import annotations

import asyncio
import importlib.util
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar
from urllib.parse import urlsplit

from pydantic import BaseModel, Field

from backend.config.databases import NamedDatabase
from backend.models.errors import InvalidRequest, NotFound
from backend.models.run import Owner, RunContext
from backend.models.tables import TableFile, UserTable
from backend.models.tools import Proposal, ToolResult
from backend.storage.table_store import TableStore
from backend.storage.user_store import UserStore
from backend.tools.port import BaseTool, ToolServices, Unavailable
from backend.tools.sql_proposals import proposals
from backend.tools.sql_text import (
    answer_text,
    create_statement,
    foreign_schema_text,
    helped,
    schema_data,
    schema_text,
)
from backend.tools.sql_words import draft, matched, name_of
from backend.workers.port import Limits, Worker

DEADLINE_S = 2.0
"""After so long a statement is interrupted; at twice that its process is killed."""
DATABASE_DEADLINE_S = 10.0
LIMITS = Limits(seconds=2 * DEADLINE_S, memory_mb=512, output_bytes=4 * 1_048_576)
DUCKDB_LIMITS = Limits(seconds=2 * DEADLINE_S, memory_mb=2048, output_bytes=4 * 1_048_576)
DATABASE_LIMITS = Limits(seconds=2 * DATABASE_DEADLINE_S, memory_mb=512, output_bytes=4 * 1_048_576)
COPY_LIMITS = Limits(seconds=30.0, memory_mb=1024, file_mb=1024)
QUERY_JOB = "backend.workers.jobs.sql_job:query"
FILE_JOB = "backend.workers.jobs.sql_job:query_file"
FILE_SCHEMA_JOB = "backend.workers.jobs.sql_job:describe_file"
DUCKDB_JOB = "backend.workers.jobs.sql_job_duckdb:query"
DATABASE_JOB = "backend.workers.jobs.sql_job_database:query"
DATABASE_SCHEMA_JOB = "backend.workers.jobs.sql_job_database:describe"
COLUMNAR_JOB = "backend.workers.jobs.table_job_columnar:copy"
COLUMNAR_ROWS = 200_000
MAX_FILES = 10
"""Files one statement may draw on: as many as SQLite joins to a connection."""
SAMPLE_ROWS = 3
MAX_SAMPLED_FILES = 10
_SQL = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/|\()*(?:select|with|values|insert|update|delete|drop|create|alter|attach|detach|pragma|vacuum"
    r"|replace|explain|copy|install|load|set|begin|commit|call|export|import|truncate|grant|reindex|analyze)\b",
    re.IGNORECASE | re.DOTALL,
)
_SCHEMA = re.compile(
    r"\s*(?:schema|\.?tables|\.schema|show\s+(?:tables|schema)|describe(?:\s+\w+)?|desc\s+\w+)?\s*;?\s*", re.I
)


def create(services: ToolServices) -> SqlQuery | Unavailable:
    if services.tables is None:
        return Unavailable(SqlQuery.name, SqlQuery.description, "this storage engine keeps no tables")
    return SqlQuery(
        services.worker, services.tables, services.users, services.settings.databases, services.settings.sql_engine
    )


class Arguments(BaseModel):
    query: str = Field(
        default="",
        max_length=20_000,
        description="One SQLite SELECT over the tables; or `schema` (or nothing) for all tables, their columns and"
        " first rows. A question in plain words is tried as well.",
    )
    database: str | None = Field(
        default=None,
        max_length=64,
        description="Only for a database the administrator named; leave out for the user's files.",
    )


class SqlQuery(BaseTool):
    name = "sql_query"
    description = (
        "Answers one read-only SQL SELECT over the user's uploaded tables (CSV, JSON, XLSX and SQLite files; joins"
        " work). "
        "Ask for the schema first (query `schema`), then write SQLite SQL with exactly those names. Use it to count, "
        "filter, group, rank or join rows; not for changing data."
    )
    Args: ClassVar[type[BaseModel]] = Arguments
    timeout_s = 60.0
    untrusted = True

    def __init__(
        self,
        worker: Worker,
        tables: TableStore,
        users: UserStore | None = None,
        databases: Sequence[NamedDatabase] = (),
        engine: str = "auto",
    ) -> None:
        self._worker = worker
        self._tables = tables
        self._users = users
        self._databases = {each.name.casefold(): each for each in databases}
        self._engine = engine
        self._turns: dict[Owner, tuple[asyncio.Lock, list[int]]] = {}

    async def run(self, arguments: Arguments, context: RunContext) -> ToolResult:
        """`data`: {columns, rows, row_count, truncated, engine, seconds, sql}, or {tables} for the schema.

        Raises InvalidRequest, NotFound, WorkerFailed.
        """
        async with self._turn(context.owner):
            if arguments.database:
                return await self._ask_database(context.owner, arguments.database, arguments.query)
            files = await self._tables.list_tables(context.owner)
            if _SCHEMA.fullmatch(arguments.query):
                return await self._schema(context.owner, files)
            if _SQL.match(arguments.query):
                return await self._ask(context.owner, files, arguments.query)
            return await self._ask_in_words(context.owner, files, arguments.query)

    def propose(self, query: str, context: RunContext) -> Sequence[Proposal]:
        return proposals(query, context.documents)

    # ---- the user's tables -----------------------------------------------------------------------

    async def _ask(self, owner: Owner, files: Sequence[TableFile], sql: str) -> ToolResult:
        wanted = _mentioned(files, sql)
        tables = [table for file in files for table in file.tables]
        mentioned = [table for _, some in wanted for table in some]
        if len(wanted) > MAX_FILES:
            raise InvalidRequest(f"One statement can draw on {MAX_FILES} files at most.", param="arguments.query")
        found, engine = await self._answer(owner, wanted, tables, sql)
        if "error" in found:
            return ToolResult("", error=helped(found["error"], mentioned, tables))
        return _result(found, sql, engine)

    async def _answer(
        self, owner: Owner, wanted: Sequence[tuple[TableFile, list[UserTable]]], tables: Sequence[UserTable], sql: str
    ) -> tuple[dict[str, Any], str]:
        """What the job says, and the engine that said it: DuckDB for large tables, else and otherwise SQLite."""
        if self._is_for_duckdb(wanted):
            files = await self._columnar(owner, wanted)
            if files is not None:
                payload = {"sql": sql, "files": files, "seconds": DEADLINE_S}
                found: dict[str, Any] = await self._worker.run(DUCKDB_JOB, payload, limits=DUCKDB_LIMITS)
                if "other" not in found:
                    return found, "duckdb"
        files = [
            {"path": str(await self._tables.database(owner, file.file_id)), "tables": _names(some)}
            for file, some in wanted
        ]
        schema = [{"name": table.name, "sql": create_statement(table)} for table in tables]
        payload = {"sql": sql, "files": files, "schema": schema, "seconds": DEADLINE_S}
        found = await self._worker.run(QUERY_JOB, payload, limits=LIMITS)
        return found, "sqlite"

    def _is_for_duckdb(self, wanted: Sequence[tuple[TableFile, list[UserTable]]]) -> bool:
        if self._engine == "sqlite" or not wanted or importlib.util.find_spec("duckdb") is None:
            return False
        return self._engine == "duckdb" or any(table.rows >= COLUMNAR_ROWS for _, some in wanted for table in some)

    async def _columnar(
        self, owner: Owner, wanted: Sequence[tuple[TableFile, list[UserTable]]]
    ) -> list[dict[str, Any]] | None:
        """Columnar copies of all files that are wanted; a small one without is copied now. None when that cannot be."""
        files: list[dict[str, Any]] = []
        for file, some in wanted:
            if not file.columnar:
                if any(table.rows >= COLUMNAR_ROWS for table in file.tables):
                    return None  # it was tried when the file came in
                await self._copy(owner, file)
            path = await self._tables.columnar(owner, file.file_id)
            files.append({"path": str(path), "tables": _names(some)})
        return files

    async def _copy(self, owner: Owner, file: TableFile) -> None:
        places = await self._tables.places(owner)
        try:
            payload = {
                "source": str(await self._tables.database(owner, file.file_id)),
                "target": str(places.columnar),
                "spool": str(places.spool),
                "tables": [
                    {"stored": t.stored, "columns": [{"name": c.name, "type": c.type} for c in t.columns]}
                    for t in file.tables
                ],
            }
            await self._worker.run(COLUMNAR_JOB, payload, limits=COPY_LIMITS)
            await self._tables.keep_columnar(owner, file.file_id, places)
        finally:
            await self._tables.discard(places)

    async def _schema(self, owner: Owner, files: Sequence[TableFile], said: str = "") -> ToolResult:
        samples: dict[str, Any] = {}
        for file in files[:MAX_SAMPLED_FILES]:
            for table in file.tables[:SAMPLE_ROWS]:
                sql = f"SELECT * FROM {name_of(table.name)} LIMIT {SAMPLE_ROWS}"
                found, _ = await self._sample(owner, file, table, sql)
                samples[table.name] = found.get("rows", [])
        text = schema_text(files, samples)
        return ToolResult(f"{said}\n\n{text}" if said else text, schema_data(files, samples))

    async def _sample(self, owner: Owner, file: TableFile, table: UserTable, sql: str) -> tuple[dict[str, Any], str]:
        path = str(await self._tables.database(owner, file.file_id))
        payload = {
            "sql": sql,
            "files": [{"path": path, "tables": _names([table])}],
            "schema": [],
            "seconds": DEADLINE_S,
        }
        return await self._worker.run(QUERY_JOB, payload, limits=LIMITS), "sqlite"

    async def _ask_in_words(self, owner: Owner, files: Sequence[TableFile], question: str) -> ToolResult:
        tables = [table for file in files for table in file.tables]
        made = draft(question, tables)
        if made is None:
            said = "This is no SQL, and no table and columns can be told from it: write a SELECT over these tables."
            return await self._schema(owner, files, said if tables else "")
        values: dict[str, tuple[str, str]] = {}
        probing = made.probe_sql()
        if probing is not None:
            found, _ = await self._answer(owner, _mentioned(files, made.table.name), tables, probing)
            values = matched(made.probes, found.get("rows", []))
        return await self._ask(owner, files, made.sql(values))

    # ---- named databases -------------------------------------------------------------------------

    async def _ask_database(self, owner: Owner, name: str, sql: str) -> ToolResult:
        database = self._databases.get(name.strip().casefold())
        if database is None or not await self._may(owner, database):
            allowed = [each.name for each in self._databases.values() if await self._may(owner, each)]
            there = (
                f"There are: {', '.join(allowed)}." if allowed else "Leave database out to ask the user's own tables."
            )
            raise NotFound(f"There is no database named {name[:64]!r}. {there}")
        url = database.url.get_secret_value()
        is_file = url.startswith("sqlite:")
        where = {"path": urlsplit(url).path.removeprefix("/")} if is_file else {"url": url}
        if _SCHEMA.fullmatch(sql):
            job = FILE_SCHEMA_JOB if is_file else DATABASE_SCHEMA_JOB
            payload = {**where, "samples": SAMPLE_ROWS, **({} if is_file else {"seconds": DATABASE_DEADLINE_S})}
            found = await self._worker.run(job, payload, limits=DATABASE_LIMITS)
            if "error" in found:
                return ToolResult("", error=found["error"])
            return ToolResult(foreign_schema_text(database.name, found["tables"]), found)
        seconds = DEADLINE_S if is_file else DATABASE_DEADLINE_S
        payload = {"sql": sql, **where, "seconds": seconds}
        job, limits = (FILE_JOB, LIMITS) if is_file else (DATABASE_JOB, DATABASE_LIMITS)
        found = await self._worker.run(job, payload, limits=limits)
        if "error" in found:
            return ToolResult("", error=f"{found['error']} Ask with query `schema` for the tables of {database.name}.")
        return _result(found, sql, "sqlite" if is_file else "database")

    async def _may(self, owner: Owner, database: NamedDatabase) -> bool:
        """Whether the caller's account has the role that the database is for."""
        if database.role is None:
            return True
        if self._users is None:
            return False
        try:
            user = await self._users.get_user(owner, owner.user)
        except NotFound:
            return False
        return user.role in (database.role, "admin")

    # ---- turns -----------------------------------------------------------------------------------

    @asynccontextmanager
    async def _turn(self, owner: Owner) -> AsyncIterator[None]:
        """One statement of an owner at a time, so that nobody's fifty keep another waiting."""
        lock, waiting = self._turns.setdefault(owner, (asyncio.Lock(), [0]))
        waiting[0] += 1
        try:
            async with lock:
                yield
        finally:
            waiting[0] -= 1
            if waiting[0] == 0:
                self._turns.pop(owner, None)


def _mentioned(files: Sequence[TableFile], sql: str) -> list[tuple[TableFile, list[UserTable]]]:
    """The files whose tables' names stand in a statement, with those tables."""
    words = set(re.findall(r"\w+", sql.casefold()))
    found = [(file, [table for table in file.tables if table.name.casefold() in words]) for file in files]
    return [(file, some) for file, some in found if some]


def _names(tables: Sequence[UserTable]) -> list[dict[str, str]]:
    return [{"name": table.name, "stored": table.stored} for table in tables]


def _result(found: dict[str, Any], sql: str, engine: str) -> ToolResult:
    data = {
        "columns": found["columns"],
        "rows": found["rows"],
        "row_count": len(found["rows"]),
        "truncated": found["truncated"],
        "engine": engine,
        "seconds": found["seconds"],
        "sql": sql,
    }
    return ToolResult(answer_text(found["columns"], found["rows"], found["truncated"]), data)
