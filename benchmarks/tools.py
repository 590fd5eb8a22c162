"""What a call of the tools costs beyond the work itself, and whether fifty at once are all answered.

`python -m benchmarks.tools` (with `--rows 1000000` for the large table as well: `benchmarks.tools_sql`)
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from backend.config.settings import Settings
from backend.models.documents import Document
from backend.models.run import Owner, RunContext
from backend.models.tools import ToolResult
from backend.storage import json_files
from backend.tasks.table_import import TableImport
from backend.tools import math_calculator, sql_query_tool
from backend.workers.process import ProcessWorker
from benchmarks import tools_python, tools_sql

ROUNDS = 41
AT_ONCE = 50
USERS = 5
SUMS = ("17*23", "18% of 2450", "solve(x^2-5*x+6, x)", "diff(sin(x)*x, x)", "5 miles in km")
QUERY = "SELECT city, count(*), sum(amount) FROM small GROUP BY city"

Call = Callable[[int], Awaitable[ToolResult]]


def context(number: int) -> RunContext:
    """A run of one of USERS people, in turn."""
    return RunContext(Owner("default", f"bench-{number % USERS}"), f"run-{number}", None, "request")


async def one_by_one(call: Call) -> list[float]:
    """Seconds of ROUNDS calls, each after the other, the first (which starts a process) left out."""
    await call(0)
    taken = []
    for number in range(ROUNDS):
        began = time.perf_counter()
        result = await call(number)
        taken.append(time.perf_counter() - began)
        assert result.error is None, result.error
    return taken


async def at_once(call: Call) -> tuple[float, list[float]]:
    """Seconds until the last of AT_ONCE calls was answered; and, by person, until theirs were."""
    ends: dict[int, float] = {}
    began = time.perf_counter()

    async def one(number: int) -> None:
        result = await call(number)
        assert result.error is None, result.error
        ends[number] = time.perf_counter() - began

    await asyncio.gather(*(one(number) for number in range(AT_ONCE)))
    assert len(ends) == AT_ONCE
    return max(ends.values()), [max(end for n, end in ends.items() if n % USERS == user) for user in range(USERS)]


def offspring_mb() -> float:
    """Memory of all processes this one has started, shared pages counted in proportion."""
    found = [pid for pid in tools_python._family(os.getpid()) if pid != os.getpid()]
    return sum(tools_python._proportional_mb(pid) for pid in found)


def shown(name: str, aim: str, taken: list[float], inside: float, together: tuple[float, list[float]]) -> None:
    median = 1000 * (statistics.median(taken) - inside)
    slowest, by_user = together
    print(
        f"| {name} | {median:.1f} | {aim} | {1000 * max(taken):.0f} | {slowest:.2f} "
        f"| {min(by_user):.2f}-{max(by_user):.2f} |"
    )


async def measure(folder: Path) -> None:
    settings = Settings(_env_file=None, data_dir=folder / "data")
    stores = json_files.create(settings)
    worker = ProcessWorker()
    path = folder / "small.csv"
    tools_sql.write_csv(path, 1000)
    importer = TableImport(settings, stores.tables, worker)
    for user in range(USERS):
        document = Document(f"file-{user}", "small.csv", "text/csv", path.stat().st_size, "", 0.0)
        await importer.take_in(context(user).owner, document, path, lambda done: None)
    math = math_calculator.MathCalculator(worker)
    sql = sql_query_tool.SqlQuery(worker, stores.tables)

    async def calculate(number: int) -> ToolResult:
        return await math.run(math_calculator.Arguments(expression=SUMS[number % len(SUMS)]), context(number))

    async def ask(number: int) -> ToolResult:
        return await sql.run(sql_query_tool.Arguments(query=QUERY), context(number))

    print("| tool | p50 ms beyond the work | aim | slowest of a row ms | 50 at once s | last answer of each person s |")
    print("|---|---|---|---|---|---|")
    shown("math_calc (whole call)", "50", await one_by_one(calculate), 0.0, await at_once(calculate))
    inside = statistics.median([float((await ask(0)).data["seconds"]) for _ in range(11)])
    shown("sql_query", "60", await one_by_one(ask), inside, await at_once(ask))
    print(f"\nidle processes of math and SQL: {offspring_mb():.0f} MB (aim: all together 150)\n")
    await worker.aclose()
    await stores.aclose()
    print("python_code, by layer of the sandbox:\n")
    await tools_python.main()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rows", type=int, default=0, help="also import and ask a table of so many rows")
    rows = arguments.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder)))
        if rows:
            print("\nsql_query over a large table:\n")
            asyncio.run(tools_sql.measure(rows, Path(folder) / "large"))


if __name__ == "__main__":
    main()
