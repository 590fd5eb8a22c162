"""How long a CSV of a million rows takes to become a table, and to be asked: `python -m benchmarks.tools_sql`."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from backend.config.settings import Settings
from backend.models.documents import Document
from backend.models.run import Owner, RunContext
from backend.storage import json_files
from backend.tasks.table_import import TableImport
from backend.tools.sql_query_tool import Arguments, SqlQuery
from backend.workers.process import ProcessWorker

OWNER = Owner("default", "benchmark")
CITIES = ("Berlin", "Paris", "Rome", "Madrid", "Lisbon")
QUERIES = (
    "SELECT city, count(*), sum(amount) FROM big GROUP BY city",
    "SELECT substr(date, 1, 7) AS month, avg(amount) FROM big WHERE active GROUP BY 1 ORDER BY 1",
    "SELECT product, sum(units) FROM big WHERE city LIKE 'p%' GROUP BY product ORDER BY 2 DESC LIMIT 5",
)


def write_csv(path: Path, rows: int) -> None:
    with path.open("w") as file:
        file.write("id,date,city,product,amount,units,active\n")
        for n in range(rows):
            day = f"{2020 + n % 5}-{1 + n % 12:02d}-{1 + n % 28:02d}"
            amount = n * 37 % 100_000 / 100
            file.write(
                f"{n},{day},{CITIES[n % 5]},prod {n % 97},{amount:.2f},{n % 50},{'true' if n % 3 else 'false'}\n"
            )


async def measure(rows: int, folder: Path) -> None:
    settings = Settings(_env_file=None, data_dir=folder / "data")
    stores = json_files.create(settings)
    worker = ProcessWorker()
    tool = SqlQuery(worker, stores.tables)
    importer = TableImport(settings, stores.tables, worker)
    context = RunContext(OWNER, "run", None, "request")
    folder.mkdir(exist_ok=True)
    path = folder / "big.csv"
    await asyncio.to_thread(write_csv, path, rows)
    heard: list[float] = []
    for name, wanted in (("small.csv", 1000), ("big.csv", rows)):
        if name == "small.csv":
            write_csv(folder / name, wanted)
        document = Document(f"file-{wanted}", name, "text/csv", (folder / name).stat().st_size, "", 0.0)
        began = time.perf_counter()
        note = await importer.take_in(OWNER, document, folder / name, heard.append)
        took = time.perf_counter() - began
        print(f"import of {wanted:>9,} rows ({document.size / 1_048_576:.0f} MiB): {took:6.1f} s {note or ''}")
    print(f"progress was told {len(heard)} times")
    for sql in QUERIES:
        whole, inside = await timed(tool, context, sql, 7)
        print(f"{whole * 1000:7.0f} ms ({inside * 1000:.0f} in the engine)  {sql}")
    whole, inside = await timed(tool, context, "SELECT city, count(*) FROM small GROUP BY city", 31)
    print(f"{(whole - inside) * 1000:7.1f} ms p50 beyond the query itself, small table")
    await worker.aclose()
    await stores.aclose()


async def timed(tool: SqlQuery, context: RunContext, sql: str, times: int) -> tuple[float, float]:
    """Median of the whole call and of the engine's share, in seconds."""
    whole, inside = [], []
    for _ in range(times):
        began = time.perf_counter()
        result = await tool.run(Arguments(query=sql), context)
        whole.append(time.perf_counter() - began)
        assert result.error is None, result.error
        inside.append(result.data["seconds"])
    return statistics.median(whole), statistics.median(inside)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    rows = arguments.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(rows, Path(folder)))


if __name__ == "__main__":
    main()
