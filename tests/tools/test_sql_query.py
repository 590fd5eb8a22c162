"""`sql_query` over uploaded tables: what becomes a table, what is answered, in SQL and in words, and to whom."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.models.run import RunContext
from backend.tasks.table_import import table_name
from backend.workers.process import ProcessWorker
from tests.tools.sql_helpers import ALICE, BOB, CITIES, SALES, Desk

pytestmark = pytest.mark.slow


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    worker = ProcessWorker()
    yield Desk(tmp_path, worker)
    await worker.aclose()


@pytest.fixture
async def filled(desk: Desk) -> Desk:
    await desk.put("Sales.csv", SALES)
    await desk.put("cities.csv", CITIES)
    return desk


# ---- what becomes a table -----------------------------------------------------------------------


async def test_a_csv_becomes_a_typed_table(filled: Desk) -> None:
    result = await filled.ask("schema")
    table = next(each for each in result.data["tables"] if each["name"] == "sales")
    assert {column["name"]: column["type"] for column in table["columns"]} == {
        "id": "integer", "date": "date", "city": "text", "product": "text", "amount": "real", "units": "integer",
        "active": "boolean",
    }  # fmt: skip
    assert table["rows"] == 5 and len(table["sample"]) == 3
    assert "sales (5 rows, from Sales.csv)" in result.text and "| Paris |" in result.text


def workbook() -> bytes:
    import datetime as dt

    import openpyxl

    book = openpyxl.Workbook()
    first = book.active
    first.title = "Staff"
    for row in (
        ["name", "born", "salary"],
        ["Ann", dt.datetime(1990, 1, 2), 5000],
        ["Bo", dt.datetime(1991, 3, 4), 4000.5],
    ):
        first.append(row)
    second = book.create_sheet("Rooms")
    for row in (["room", "seats"], ["A1", 12], ["A2", 8]):
        second.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def database(folder: Path) -> bytes:
    path = folder / "shop.db"
    connection = sqlite3.connect(path)
    connection.executescript(
        "CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, photo BLOB);"
        "INSERT INTO customers VALUES (1, 'Ann', x'00ff'), (2, 'Bo', NULL);"
        "CREATE TABLE orders (customer INTEGER, total REAL);"
        "INSERT INTO orders VALUES (1, 5.5), (1, 4.5), (2, 1);"
        "CREATE VIEW secret AS SELECT load_extension('x');"
    )
    connection.close()
    return path.read_bytes()


async def test_every_sheet_of_a_workbook_becomes_a_table(desk: Desk) -> None:
    await desk.put("office.xlsx", workbook())
    assert await desk.rows("SELECT name, born, salary FROM office_staff ORDER BY name") == [
        ["Ann", "1990-01-02", 5000.0],
        ["Bo", "1991-03-04", 4000.5],
    ]
    assert await desk.rows("SELECT sum(seats) FROM office_rooms") == [[20]]


async def test_every_plain_table_of_a_sqlite_file_becomes_a_table(desk: Desk, tmp_path: Path) -> None:
    await desk.put("shop.db", database(tmp_path))
    joined = "SELECT name, sum(total) FROM customers JOIN orders ON customer = id GROUP BY name ORDER BY name"
    assert await desk.rows(joined) == [["Ann", 10.0], ["Bo", 1.0]]
    assert await desk.rows("SELECT photo FROM customers WHERE id = 1") == [["(2 bytes)"]]
    assert {table["name"] for table in (await desk.ask("")).data["tables"]} == {"customers", "orders"}


@pytest.mark.parametrize(
    ("name", "content", "query", "expected"),
    [
        ("r.json", '[{"a": 1, "b": {"c": "x"}}, {"a": 2.5}]', "SELECT a, b_c FROM r", [[1.0, "x"], [2.5, None]]),
        ("r.json", '{"items": [{"a": 1}, {"a": 2}], "n": 2}', "SELECT sum(a) FROM r", [[3]]),
        ("r.jsonl", '{"a": 1, "t": [1, 2]}\n{"a": 2}\n', "SELECT a, t FROM r", [[1, "[1, 2]"], [2, None]]),
        ("r.json", '{"a": [1, 2], "b": ["x", "y"]}', "SELECT b FROM r WHERE a = 2", [["y"]]),
        ("r.csv", "a;b\n1,5;x\n1.234,25;y\n", "SELECT a FROM r", [[1.5], [1234.25]]),
        ("r.csv", "a,b\n€ 1,200\n", "SELECT column_3 IS NULL FROM r", None),
        ("r.csv", "a,,a\n1,2,3\n4,5\n", "SELECT a, column_2, a_2 FROM r", [[1, 2, 3], [4, 5, None]]),
        ("r.csv", "a,b\n1,2,9\n", "SELECT column_3 FROM r", [[9]]),
        ("r.csv", "zip,n\n01234,1\n09999,2\n", "SELECT zip FROM r", [["01234"], ["09999"]]),
        ("r.csv", "d,n\n31.12.2023,1\n01.01.2024,2\n", "SELECT max(d) FROM r", [["2024-01-01"]]),
        ("r.csv", "d,n\n03/04/2023,1\n05/06/2024,2\n", "SELECT d FROM r LIMIT 1", [["03/04/2023"]]),
        ("r.csv", "d,n\n03/14/2023,1\n05/06/2024,2\n", "SELECT d FROM r LIMIT 1", [["2023-03-14"]]),
        ("r.csv", "v,n\n1,1\nNA,2\n3,3\n", "SELECT count(v), sum(v) FROM r", [[2, 4]]),
        ("r.csv", "v,n\n2023-02-30,1\n2023-02-28,2\n", "SELECT v FROM r LIMIT 1", [["2023-02-30"]]),
        ("r.csv", "1,2\n3,4\n", "SELECT column_1 FROM r", [[1], [3]]),
        ("r.csv", "country,2020,2021\nDE,1,2\n", 'SELECT "2021" FROM r', [[2]]),
        ("r.tsv", "a\tb\n1\tx y\n", "SELECT b FROM r", [["x y"]]),
        ("r.csv", 'sep=;\na;b\n1;"x;\ny"\n', "SELECT b FROM r", [["x;\ny"]]),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value and len(value) < 8 else None,
)
async def test_files_of_many_forms_become_tables(
    desk: Desk, name: str, content: str, query: str, expected: list[list[object]] | None
) -> None:
    await desk.put(name, content)
    result = await desk.ask(query)
    if expected is None:
        assert result.error is not None
    else:
        assert result.error is None, result.error
        assert result.data["rows"] == expected


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
async def test_a_csv_in_any_common_encoding_is_read(desk: Desk, encoding: str) -> None:
    await desk.put("t.csv", "name;stadt\nÄnne;Köln\nJörg;Zürich\n".encode(encoding))
    assert await desk.rows("SELECT name, stadt FROM t") == [["Änne", "Köln"], ["Jörg", "Zürich"]]


async def test_json_that_is_no_table_makes_none_and_says_nothing(desk: Desk) -> None:
    assert await desk.put("settings.json", '{"theme": {"dark": true}, "size": 3}') is None
    assert "no tables yet" in (await desk.ask("schema")).text


async def test_what_cannot_become_a_table_leaves_a_note(desk: Desk) -> None:
    note = await desk.put("bad.xlsx", b"PK\x03\x04 this is no workbook")
    assert note is not None and "cannot be asked in SQL" in note
    assert not list((desk.folder / "tables").iterdir()), "nothing is left behind"


async def test_more_than_two_hundred_columns_are_cut_and_said(desk: Desk) -> None:
    wide = ",".join(f"c{n}" for n in range(250)) + "\n" + ",".join("1" for _ in range(250)) + "\n"
    note = await desk.put("wide.csv", wide)
    assert note is not None and "200" in note
    assert await desk.rows("SELECT c199 FROM wide") == [[1]]


@pytest.mark.parametrize(
    ("filename", "expected"),
    [
        ("Sales 2024 (final)", "sales_2024_final"), ("2024", "t_2024"), ("order", "order_table"), ("Müller", "müller"),
        ("a;drop table x", "a_drop_table_x"), ("sqlite_master", "sqlite_master_table"), ("...", "table"), ("", "table"),
        ("pragma_x", "pragma_x_table"),
    ],
)  # fmt: skip
def test_table_names_need_no_quotes(filename: str, expected: str) -> None:
    assert table_name(filename) == expected


async def test_two_files_of_one_name_get_two_tables(desk: Desk) -> None:
    await desk.put("sales.csv", SALES)
    await desk.put("Sales.csv", CITIES)
    assert await desk.rows("SELECT count(*) FROM sales") == [[5]]
    assert await desk.rows("SELECT count(*) FROM sales_2") == [[3]]


# ---- answers ------------------------------------------------------------------------------------


async def test_tables_of_different_files_join(filled: Desk) -> None:
    sql = "SELECT country, sum(amount) FROM sales JOIN cities USING (city) GROUP BY country ORDER BY 2 DESC"
    result = await filled.ask(sql)
    assert result.data["rows"] == [["Germany", 20.0], ["France", 14.75], ["Italy", 7.75]]
    assert result.data["engine"] == "sqlite" and result.data["row_count"] == 3 and not result.data["truncated"]
    assert result.text.startswith("| country | sum(amount) |\n|---|---|\n| Germany | 20 |")


async def test_an_error_names_what_is_there(filled: Desk) -> None:
    wrong = await filled.ask("SELECT amout FROM sales")
    assert wrong.error is not None
    assert "no such column: amout" in wrong.error and "Did you mean amount?" in wrong.error
    assert "Columns of sales: id, date, city, product, amount, units, active" in wrong.error
    none = await filled.ask("SELECT * FROM sale")
    assert none.error is not None and "Did you mean sales?" in none.error and "cities" in none.error


async def test_the_schema_table_lists_the_users_tables(filled: Desk) -> None:
    found = await filled.rows("SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name")
    assert [name for name, _ in found] == ["cities", "sales"]
    assert "amount REAL" in str(found[1][1])


@pytest.mark.parametrize("asked", ["", "schema", "SHOW TABLES", "describe sales", ".tables"])
async def test_the_schema_is_asked_for_in_many_ways(filled: Desk, asked: str) -> None:
    assert {table["name"] for table in (await filled.ask(asked)).data["tables"]} == {"sales", "cities"}


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How many sales are in Paris?", [[2]]),
        ("What is the total amount per city in sales?", [["Köln", 20.0], ["Paris", 14.75], ["Rome", 7.75]]),
        ("average units of sales in 2024", [[16 / 3]]),
        ("top 2 products by total units in sales", [["Apple", 17], ["Plum", 2]]),
        ("Which city has the highest total amount in sales?", [["Köln", 20.0]]),
        ("how many sales with units over 3", [[2]]),
        ("sum of amount per year in sales", [["2023", 14.75], ["2024", 27.75]]),
        ("Wie viele sales gibt es pro product?", [["Apple", 3], ["Plum", 1], ["Pear", 1]]),
        ("Durchschnitt amount je city in sales", [["Köln", 20.0], ["Rome", 7.75], ["Paris", 7.375]]),
        ("Combien de sales par city à Rome ?", [["Rome", 2]]),
        ("¿Cuántos sales hay por city en 2023?", [["Paris", 2]]),
        ("somma amount per product in sales 2023", [["Apple", 10.5], ["Pear", 4.25]]),
        ("soma de units por product em sales", [["Apple", 17], ["Plum", 2], ["Pear", 1]]),
        ("largest amount in sales", [[20.0]]),
    ],
)
async def test_questions_in_words_are_turned_into_sql(
    filled: Desk, question: str, expected: list[list[object]]
) -> None:
    result = await filled.ask(question)
    assert result.error is None, result.error
    assert sorted(map(str, result.data["rows"])) == sorted(map(str, expected)), result.data["sql"]


async def test_words_that_are_not_understood_bring_the_schema(filled: Desk) -> None:
    result = await filled.ask("tell me something nice about life")
    assert result.error is None and "no SQL" in result.text and "sales (5 rows" in result.text


async def test_a_large_table_is_asked_with_duckdb_and_joins_a_small_one(desk: Desk) -> None:
    lines = "".join(f"{n},{('Paris', 'Rome')[n % 2]},{n % 10}\n" for n in range(200_000))
    await desk.put("big.csv", f"id,city,v\n{lines}")
    assert desk.progress == sorted(desk.progress) and len(desk.progress) >= 2
    await desk.put("cities.csv", CITIES)
    sql = "SELECT country, count(*), sum(v) FROM big JOIN cities USING (city) WHERE city LIKE 'p%' GROUP BY 1"
    result = await desk.ask(sql)
    assert result.data["rows"] == [["France", 100_000, 400_000]] and result.data["engine"] == "duckdb"
    assert await desk.rows("SELECT strftime('%Y', '2024-05-06'), 7 / 2 FROM big LIMIT 1") == [["2024", 3]]
    other = await desk.ask("SELECT json_group_array(city) FROM (SELECT DISTINCT city FROM big ORDER BY 1)")
    assert json.loads(other.data["rows"][0][0]) == ["Paris", "Rome"]


# ---- owners and the queue -----------------------------------------------------------------------


async def test_iso_another_users_table_is_never_seen(filled: Desk) -> None:
    for query in ("SELECT * FROM sales", "SELECT * FROM f0.t1", 'SELECT * FROM temp."sales"'):
        assert (await filled.ask(query, BOB)).error is not None
    assert await filled.rows("SELECT * FROM sqlite_master", BOB) == []
    assert (await filled.ask("schema", BOB)).data == {"tables": []}
    await filled.put("sales.csv", "a,b\n1,2\n", BOB)
    assert await filled.rows("SELECT * FROM sales", BOB) == [[1, 2]]
    assert await filled.rows("SELECT count(*) FROM sales", ALICE) == [[5]]


async def test_a_deleted_document_takes_its_tables_along(filled: Desk) -> None:
    file = next(each for each in await filled.tables.list_tables(ALICE) if each.filename == "Sales.csv")
    await filled.importer.delete(ALICE, file.file_id)
    assert (await filled.ask("SELECT * FROM sales")).error is not None
    assert await filled.rows("SELECT count(*) FROM cities") == [[3]]


async def test_fifty_calls_at_once_are_all_answered_and_nobody_waits_for_them(filled: Desk) -> None:
    await filled.put("mine.csv", "a\n1\n2\n", BOB)
    await filled.rows("SELECT 1")
    done: list[str] = []

    async def call(number: int) -> object:
        rows = await filled.rows(f"SELECT {number}, count(*) FROM sales")
        done.append("alice")
        return rows[0]

    async def other() -> object:
        rows = await filled.rows("SELECT sum(a) FROM mine", BOB)
        done.append("bob")
        return rows[0]

    calls = [asyncio.create_task(call(number)) for number in range(50)]
    await asyncio.sleep(0)
    bobs = asyncio.create_task(other())
    assert await asyncio.gather(*calls) == [[number, 5] for number in range(50)]
    assert await bobs == [3] and done.index("bob") < 25


async def test_a_call_costs_little_beyond_the_query(filled: Desk) -> None:
    await filled.rows("SELECT count(*) FROM sales")
    took: list[float] = []
    for _ in range(11):
        began = time.perf_counter()
        result = await filled.ask("SELECT city, count(*) FROM sales GROUP BY city")
        took.append(time.perf_counter() - began - result.data["seconds"])
    assert sorted(took)[5] < 0.6, "ten times what is promised"


# ---- proposals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "documents", "expected"),
    [
        ("SELECT city, count(*) FROM sales GROUP BY city", (), 0.95),
        ("Run this: SELECT * FROM sales", ("sales.csv",), 0.95),
        ("WITH t AS (SELECT 1) SELECT * FROM t", (), 0.95),
        ("How many rows of sales are in Paris?", ("sales.csv",), 0.94),
        ("Which tables do I have?", ("shop.db",), 0.94),
        ("Wie viele Zeilen hat sales?", ("sales.xlsx",), 0.94),
        ("Select a good restaurant for me", ("sales.csv",), None),
        ("What is the capital of France?", ("sales.csv",), None),
        ("How many days of holiday are there?", ("handbook.pdf",), None),
        ("Which tables do I have?", ("handbook.pdf",), None),
    ],
)
def test_proposals(query: str, documents: tuple[str, ...], expected: float | None, tmp_path: Path) -> None:
    from tests.fakes.worker import InlineWorker

    desk = Desk(tmp_path, InlineWorker())
    found = desk.tool.propose(query, RunContext(ALICE, "run", None, "request", documents=documents))
    assert (found[0].confidence if found else None) == expected


def test_a_long_question_is_looked_at_quickly(tmp_path: Path) -> None:
    from tests.fakes.worker import InlineWorker

    desk = Desk(tmp_path, InlineWorker())
    began = time.perf_counter()
    for text in (
        "select " * 20_000,
        "how many " * 20_000,
        "with a as (" * 10_000,
        "x" * 200_000,
        "select x, " * 20_000,
    ):
        desk.tool.propose(text, RunContext(ALICE, "run", None, "request", documents=("sales.csv",)))
    assert time.perf_counter() - began < 5
