"""An owner's uploaded tables, made by the real jobs in real processes, for the tests of `sql_query`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backend.config.settings import Settings
from backend.models.documents import Document
from backend.models.run import Owner, RunContext
from backend.models.tools import ToolResult
from backend.tasks.table_import import TableImport
from backend.tools.sql_query_tool import Arguments, SqlQuery
from backend.workers.port import Worker
from tests.fakes.tables import FakeTables

ALICE, BOB = Owner("default", "user-" + "a" * 32), Owner("default", "user-" + "b" * 32)
SALES = (
    "id,date,city,product,amount,units,active\n"
    "1,2023-01-05,Paris,Apple,10.5,3,true\n"
    "2,2023-02-07,Paris,Pear,4.25,1,false\n"
    "3,2024-02-09,Köln,Apple,20,10,true\n"
    "4,2024-03-11,Rome,Plum,,2,true\n"
    "5,2024-03-12,Rome,Apple,7.75,4,false\n"
)
CITIES = "city;country;people\nParis;France;2100000\nKöln;Germany;1087000\nRome;Italy;2873000\n"


class Desk:
    """The tool and its owner's files."""

    def __init__(self, folder: Path, worker: Worker, engine: str = "auto") -> None:
        self.folder = folder
        self.worker = worker
        self.tables = FakeTables(folder / "tables")
        self.importer = TableImport(Settings(_env_file=None, sql_engine=engine), self.tables, worker)
        self.tool = SqlQuery(worker, self.tables, engine=engine)
        self.progress: list[float] = []

    async def put(self, filename: str, content: bytes | str, owner: Owner = ALICE) -> str | None:
        """Take a file in; the note on it."""
        raw = content.encode() if isinstance(content, str) else content
        count = sum(1 for _ in self.folder.iterdir())
        path = self.folder / f"file-{count}"
        path.write_bytes(raw)
        document = Document(f"file-{count}", filename, "text/csv", len(raw), "", 0.0, "processing")
        return await self.importer.take_in(owner, document, path, self.progress.append)

    async def ask(self, query: str, owner: Owner = ALICE, database: str | None = None) -> ToolResult:
        context = RunContext(owner, "run", None, "request")
        return await self.tool.run(Arguments(query=query, database=database), context)

    async def rows(self, query: str, owner: Owner = ALICE) -> Sequence[Sequence[object]]:
        result = await self.ask(query, owner)
        assert result.error is None, result.error
        found: Sequence[Sequence[object]] = result.data["rows"]
        return found
