"""What `sql_query` must refuse or stop, in both engines, in real worker processes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.models.errors import WorkerFailed
from backend.tools.sql_query_tool import DEADLINE_S, LIMITS
from backend.workers.process import ProcessWorker
from tests.tools.sql_helpers import BOB, SALES, Desk

pytestmark = pytest.mark.slow

SQLITE_DENIED = {
    "insert": "INSERT INTO sales VALUES (1)",
    "update": "UPDATE sales SET amount = 0",
    "delete": "DELETE FROM sales",
    "drop": "DROP TABLE sales",
    "create": "CREATE TABLE x (a)",
    "temp table": "CREATE TEMP TABLE x AS SELECT 1",
    "attach": "ATTACH '/etc/passwd' AS x",
    "attach in memory": "ATTACH ':memory:' AS x",
    "detach": "DETACH f0",
    "pragma": "PRAGMA query_only = 0",
    "pragma table": "SELECT * FROM pragma_database_list",
    "pragma table counted": "SELECT count(*) FROM pragma_database_list",
    "pragma function": "SELECT * FROM pragma_table_info('sales')",
    "vacuum into": "VACUUM INTO '/tmp/stolen.sqlite'",
    "with delete": "WITH x AS (SELECT 1) DELETE FROM sales",
    "with insert": "WITH x AS (SELECT 1) INSERT INTO schema_of_tables SELECT 1, 2, 3, 4",
    "delete from a file": "WITH x AS (SELECT 1) DELETE FROM f0.t1",
    "several": "SELECT 1; DELETE FROM sales",
    "several selects": "SELECT 1; SELECT 2",
    "comment then delete": "/* SELECT */ DELETE FROM sales",
    "comment hides": "SELECT 1 -- x\n; DELETE FROM sales",
    "line comment first": "-- SELECT\nDROP TABLE sales",
    "nul": "SELECT 1\x00; DELETE FROM sales",
    "load_extension": "SELECT load_extension('/tmp/x.so')",
    "writefile": "SELECT writefile('/tmp/stolen', 'x')",
    "readfile": "SELECT readfile('/etc/passwd')",
    "edit": "SELECT edit('x', 'sh')",
    "tokenizer": "SELECT fts3_tokenizer('simple')",
    "tokenizer written": "SELECT fts3_tokenizer('simple', x'4141414141414141')",
    "printf": "SELECT printf('%.*c', 100000000, 'x')",
    "format": "SELECT format('%1000000000d', 1)",
    "randomblob": "SELECT hex(randomblob(1000000000))",
    "zeroblob": "SELECT zeroblob(2000000000)",
    "version": "SELECT sqlite_version()",
    "compile option": "SELECT sqlite_compileoption_get(1)",
    "statistics": "SELECT * FROM sqlite_stat1",
    "temp schema": "SELECT * FROM sqlite_temp_master",
    "dbstat": "SELECT * FROM dbstat",
    "schema of the file": 'SELECT * FROM f0."sqlite_master"',
    "explain": "EXPLAIN SELECT 1",
    "begin": "BEGIN IMMEDIATE",
    "bound": "SELECT ?1",
}
SQLITE_BOMBS = {
    "recursion": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c",
    "cross join": "SELECT count(*) FROM (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c LIMIT 3000)"
    " SELECT a.x FROM c a, c b, c d)",
    "growing text": "WITH RECURSIVE c(x) AS (SELECT 'aaaaaaaa' UNION ALL SELECT x || x FROM c) SELECT length(x) FROM c",
    "like too long": f"SELECT 'a' LIKE '{'%a' * 300}'",
    "deep": "SELECT " + "(" * 500 + "1" + ")" * 500,
    "many unions": " UNION ALL ".join(["SELECT 1"] * 40),
    "many columns": "SELECT " + ", ".join(["1"] * 300),
}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    worker = ProcessWorker()
    desk = Desk(tmp_path, worker)
    await desk.put("sales.csv", SALES)
    yield desk
    await worker.aclose()


async def test_sql_1_whatever_does_not_only_read_is_refused(desk: Desk) -> None:
    let_through = []
    for name, query in SQLITE_DENIED.items():
        result = await desk.ask(query)
        if result.error is None:
            let_through.append((name, result.data))
        elif "/" in result.error.replace("…", ""):
            let_through.append((name, result.error))
    assert not let_through
    assert await desk.rows("SELECT count(*), sum(amount) FROM sales") == [[5, 42.5]]
    assert not Path("/tmp/stolen").exists() and not Path("/tmp/stolen.sqlite").exists()


async def test_sql_1_the_database_is_opened_for_reading_only(desk: Desk) -> None:
    path = await desk.tables.database(*next(iter(desk.tables.kept)))
    before = path.read_bytes()
    path.chmod(0o400)
    assert await desk.rows("SELECT count(*) FROM sales") == [[5]]
    assert path.read_bytes() == before and not list(path.parent.glob("*-journal")) + list(path.parent.glob("*-wal"))


@pytest.mark.parametrize("name", sorted(SQLITE_BOMBS))
async def test_sql_2_bombs_are_stopped_with_a_sentence(desk: Desk, name: str) -> None:
    await desk.rows("SELECT 1")
    began = time.monotonic()
    try:
        result = await desk.ask(SQLITE_BOMBS[name])
    except WorkerFailed as stopped:
        assert stopped.reason in ("timeout", "memory")
    else:
        assert result.error is not None, result.data
    assert time.monotonic() - began < 10 * DEADLINE_S
    assert await desk.rows("SELECT count(*) FROM sales") == [[5]], "the next statement works"


async def test_sql_2_a_result_is_at_most_500_rows_and_one_mebibyte(desk: Desk) -> None:
    numbers = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 5000)"
    many = await desk.ask(f"{numbers} SELECT x FROM c")
    assert many.data["row_count"] == 500 and many.data["truncated"] and "there are more" in many.text
    wide = await desk.ask(
        f"{numbers}, t(y) AS (SELECT replace('aaaaaaaaaaaaaaaaaaaa', 'a', '{'b' * 400}')) SELECT y, x FROM c, t"
    )
    assert wide.data["truncated"] and wide.data["row_count"] < 500
    assert len(wide.text) < 12_000


async def test_sql_2_a_statement_is_at_most_20_000_characters(desk: Desk) -> None:
    from backend.workers.jobs.sql_job import query

    found = query("SELECT 1" + " " * 20_000, [], [], 1.0)
    assert "20,000" in found["error"]


def test_sql_3_the_process_is_killed_at_twice_the_deadline() -> None:
    assert LIMITS.seconds == 2 * DEADLINE_S


async def test_sql_4_the_applications_own_files_are_out_of_reach(desk: Desk, tmp_path: Path) -> None:
    secret = tmp_path / "users.sqlite"
    secret.write_bytes((await desk.tables.database(*next(iter(desk.tables.kept)))).read_bytes())
    for query in (
        f"SELECT * FROM '{secret}'",
        f"ATTACH '{secret}' AS s",
        f'SELECT * FROM "{secret}".t1',
        "SELECT * FROM f1.t1",
    ):
        assert (await desk.ask(query)).error is not None
    await desk.put("other.csv", "a,b\n1,2\n", BOB)
    assert (await desk.ask("SELECT * FROM other")).error is not None


# ---- DuckDB -------------------------------------------------------------------------------------

DUCKDB_DENIED = {
    "file": "SELECT * FROM read_csv('/etc/passwd'), sales",
    "text": "SELECT * FROM read_text('/etc/passwd')",
    "glob": "SELECT * FROM glob('/etc/*')",
    "named file": "SELECT * FROM '/etc/passwd'",
    "copy": "COPY sales TO '/tmp/stolen.csv'",
    "copy in with": "WITH x AS (COPY sales TO '/tmp/stolen.csv') SELECT * FROM x",
    "install": "INSTALL httpfs",
    "load": "LOAD httpfs",
    "attach": "ATTACH '/tmp/x.duckdb' AS x",
    "set": "SET memory_limit = '8GB'",
    "getenv": "SELECT getenv('HOME') FROM sales",
    "setting": "SELECT current_setting('temp_directory') FROM sales",
    "databases": "SELECT * FROM duckdb_databases(), sales",
    "settings": "SELECT * FROM duckdb_settings(), sales",
    "pragma": "SELECT * FROM pragma_database_list, sales",
    "information schema": "SELECT * FROM information_schema.tables, sales",
    "query": "SELECT * FROM query('SELECT 1'), sales",
    "query_table": "SELECT * FROM query_table('sales')",
    "repeat": "SELECT length(repeat('a', 4000000000)) FROM sales",
    "range": "SELECT count(*) FROM range(100000000000), sales",
    "several": "SELECT 1 FROM sales; COPY sales TO '/tmp/stolen.csv'",
    "create": "CREATE TABLE x AS SELECT * FROM sales",
    "insert": "INSERT INTO sales SELECT * FROM sales",
    "export": "EXPORT DATABASE '/tmp/stolen'",
}
"""Each names the table, so that the engine for large tables is asked; SQLite, asked afterwards, refuses it as well."""


@pytest.fixture
async def columnar(tmp_path: Path) -> AsyncIterator[Desk]:
    worker = ProcessWorker()
    desk = Desk(tmp_path, worker, engine="duckdb")
    await desk.put("sales.csv", SALES)
    yield desk
    await worker.aclose()


async def test_sql_3_duckdb_reads_the_users_tables_and_nothing_else(columnar: Desk) -> None:
    answer = await columnar.ask("SELECT city, sum(amount) AS s FROM sales GROUP BY ALL ORDER BY s DESC LIMIT 1")
    assert answer.data["engine"] == "duckdb" and answer.data["rows"] == [["Köln", 20.0]]
    let_through = []
    for name, query in DUCKDB_DENIED.items():
        result = await columnar.ask(query)
        if result.error is None or ".duckdb" in result.error:
            let_through.append((name, result.data or result.error))
    assert not let_through
    assert not list(Path("/tmp").glob("stolen*"))


@pytest.mark.parametrize(
    "query",
    [
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c, sales",
        "SELECT count(*) FROM sales a, sales b, sales c, sales d, sales e, sales f, sales g, sales h, sales i, sales j,"
        " sales k, sales l, sales m, sales n, sales o",
        "WITH RECURSIVE c(x) AS (SELECT 'aaaaaaaa' UNION ALL SELECT x || x FROM c) SELECT max(length(x)) FROM c, sales",
    ],
    ids=["recursion", "cross join", "growing text"],
)
async def test_sql_3_duckdb_bombs_are_stopped(columnar: Desk, query: str) -> None:
    began = time.monotonic()
    try:
        result = await columnar.ask(query)
    except WorkerFailed as stopped:
        assert stopped.reason in ("timeout", "memory", "crashed")
    else:
        assert result.error is not None, result.data
    assert time.monotonic() - began < 10 * DEADLINE_S
    assert await columnar.rows("SELECT count(*) FROM sales") == [[5]]
