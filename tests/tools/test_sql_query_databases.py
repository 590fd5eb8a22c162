"""Databases an administrator names: a real PostgreSQL server and a SQLite file, asked and never changed."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from backend.config.databases import named_databases
from backend.config.settings import load_settings
from backend.models.errors import NotFound, SettingsError
from backend.models.run import SERVER, Owner
from backend.models.tools import ToolResult
from backend.tools.sql_query_tool import SqlQuery
from backend.workers.process import ProcessWorker
from tests.doubles.postgres import PostgresServer, newest_binaries
from tests.fakes.stores import FakeUsers
from tests.fakes.tables import FakeTables
from tests.fakes.tools import run_context

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    binaries = newest_binaries()
    assert binaries is not None, "install the Debian package postgresql (server and client programs)"
    with PostgresServer(binaries) as server:
        server.sql(
            "CREATE TABLE orders (id int PRIMARY KEY, customer text, total numeric(10,2), at timestamptz);"
            "INSERT INTO orders SELECT n, 'c' || n % 3, n * 1.5, '2024-01-02' FROM generate_series(1, 1000) n;"
            "CREATE VIEW big AS SELECT * FROM orders WHERE total > 1000; CREATE SEQUENCE numbers"
        )
        yield server


class Office:
    """The tool with its databases, an administrator and a plain user."""

    def __init__(self, folder: Path, worker: ProcessWorker, databases: str) -> None:
        self.users = FakeUsers()
        self.tool = SqlQuery(worker, FakeTables(folder / "tables"), self.users, named_databases(databases))
        self.admin = self.user = Owner("default", "nobody")

    async def open(self) -> Office:
        self.admin = (await self.users.add_user(SERVER, "root-of-all", "x", "admin")).owner
        self.user = (await self.users.add_user(SERVER, "plain", "x", "user")).owner
        return self

    async def ask(self, query: str, database: str = "shop", owner: Owner | None = None) -> ToolResult:
        arguments = self.tool.Args(query=query, database=database)
        return await self.tool.run(arguments, run_context(owner=owner or self.user))  # type: ignore[arg-type]


@pytest.fixture
async def office(server: PostgresServer, tmp_path: Path) -> AsyncIterator[Office]:
    path = tmp_path / "hr.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE staff (name TEXT, pay REAL); INSERT INTO staff VALUES ('Ann', 10), ('Bo', 20)"
    )
    connection.close()
    worker = ProcessWorker()
    named = f"shop={server.url()}, hr[admin]=sqlite:///{path}, gone=postgresql+psycopg://u:secret-word@127.0.0.1:9/x"
    yield await Office(tmp_path, worker, named).open()
    await worker.aclose()


async def test_postgresql_answers_a_select(office: Office) -> None:
    sql = "SELECT customer, count(*), sum(total) FROM orders WHERE id <= 9 GROUP BY customer ORDER BY customer;"
    result = await office.ask(sql)
    assert result.error is None, result.error
    assert result.data["rows"] == [["c0", 3, "27.00"], ["c1", 3, "18.00"], ["c2", 3, "22.50"]]
    assert result.data["engine"] == "database"
    assert (await office.ask("SELECT * FROM orders")).data["truncated"]
    assert (await office.ask("SELECT 'a;b' AS x -- done")).data["rows"] == [["a;b"]]


async def test_postgresql_tells_its_schema(office: Office) -> None:
    result = await office.ask("schema")
    assert {table["name"] for table in result.data["tables"]} == {"orders", "big"}
    assert (
        "orders: id integer, customer text, total numeric(10, 2)" in result.text and "| 1 | c1 | 1.50 |" in result.text
    )


POSTGRES_DENIED = {
    "insert": "INSERT INTO orders VALUES (0, 'x', 1)",
    "with delete": "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone",
    "several": "SELECT 1; DELETE FROM orders",
    "commit first": "SELECT 1; COMMIT; DELETE FROM orders",
    "hidden semicolon": "SELECT 1 /* ' */; COMMIT; DELETE FROM orders; --'",
    "dollar quotes": "SELECT $$'$$; COMMIT; DELETE FROM orders; SELECT $$'$$",
    "backslash text": "SELECT E'\\''; COMMIT; DELETE FROM orders; SELECT '",
    "nested comment": "SELECT 1 /* /* */ ; COMMIT; DELETE FROM orders /* */ */",
    "into": "SELECT * INTO stolen FROM orders",
    "for update": "SELECT * FROM orders FOR UPDATE",
    "sequence": "SELECT nextval('numbers')",
    "file": "SELECT pg_read_file('/etc/passwd')",
    "quoted file": "SELECT \"pg_read_file\"('/etc/passwd')",
    "list": "SELECT * FROM pg_ls_dir('/')",
    "large object": "SELECT lo_import('/etc/passwd')",
    "program": "COPY (SELECT 1) TO PROGRAM 'touch /tmp/stolen'",
    "setting": "SELECT set_config('transaction_read_only', 'off', false)",
    "show": "SELECT current_setting('data_directory')",
    "settings": "SELECT * FROM pg_settings",
    "end others": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity",
    "do": "DO $$ BEGIN DELETE FROM orders; END $$",
    "call": "CALL x()",
    "execute": "EXECUTE x",
}


async def test_sql_1_postgresql_is_only_ever_read(office: Office, server: PostgresServer) -> None:
    let_through = {}
    for name, query in POSTGRES_DENIED.items():
        result = await office.ask(query)
        if result.error is None or "secret-word" in result.error or "127.0.0.1" in result.error:
            let_through[name] = result
    assert not let_through
    assert server.value("SELECT count(*) FROM orders") == 1000
    assert server.value("SELECT count(*) FROM pg_class WHERE relname = 'stolen'") == 0
    assert not Path("/tmp/stolen").exists()


async def test_sql_3_a_statement_that_takes_too_long_is_stopped(office: Office, server: PostgresServer) -> None:
    began = time.monotonic()
    result = await office.ask("SELECT count(*) FROM orders a, orders b, orders c, orders d")
    assert result.error is not None and "longer than 10 seconds" in result.error
    assert time.monotonic() - began < 60
    assert server.value("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'DECLARE%'") == 0


async def test_an_error_tells_the_servers_word_and_nothing_of_the_connection(office: Office) -> None:
    wrong = await office.ask("SELECT tootal FROM orders")
    assert wrong.error is not None and 'column "tootal" does not exist' in wrong.error
    gone = await office.ask("SELECT 1", "gone")
    assert gone.error is not None and "could not be asked" in gone.error
    assert "secret-word" not in gone.error and "127.0.0.1" not in gone.error


async def test_a_sqlite_file_is_asked_by_its_role_alone(office: Office) -> None:
    rich = await office.ask("SELECT sum(pay) FROM staff", "hr", office.admin)
    assert rich.data["rows"] == [[30.0]]
    assert (await office.ask("schema", "HR", office.admin)).data["tables"][0]["name"] == "staff"
    with pytest.raises(NotFound) as theirs:
        await office.ask("SELECT sum(pay) FROM staff", "hr")
    with pytest.raises(NotFound) as none:
        await office.ask("SELECT 1", "hx")
    assert theirs.value.message.replace("'hr'", "'hx'") == none.value.message
    assert "shop" in none.value.message and "hr" not in none.value.message.replace("'hr'", "")
    for query in (
        "DELETE FROM staff",
        "PRAGMA journal_mode=DELETE",
        "SELECT * FROM pragma_database_list",
        "ATTACH 'x' AS y",
    ):
        assert (await office.ask(query, "hr", office.admin)).error is not None


async def test_sql_1_a_kind_of_database_that_cannot_be_held_to_reading_is_refused(tmp_path: Path) -> None:
    worker = ProcessWorker()
    office = await Office(tmp_path, worker, "odd=oracle://u:secret-word@h/x").open()
    result = await office.ask("SELECT 1", "odd")
    await worker.aclose()
    assert result.error is not None and "administrator" in result.error and "secret-word" not in result.error


@pytest.mark.parametrize(
    "value", ["shop", "shop=/etc/x", "a=sqlite:///x, a=sqlite:///y", "a[boss]=sqlite:///x", "9=sqlite:///x"]
)
def test_a_wrong_setting_is_told_without_its_value(value: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        load_settings(databases=value, _env_file=None)
    assert wrong.value.message.startswith("DATABASES=(hidden) is not allowed")


def test_urls_hide_themselves() -> None:
    (database,) = named_databases("shop=postgresql+psycopg://u:secret-word@h1,h2/x")
    assert "secret-word" not in repr(database) and database.url.get_secret_value().endswith("@h1,h2/x")
