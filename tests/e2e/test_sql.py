"""Tables through the front door: upload, ask in SQL and in words, delete; nobody else sees them."""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server import HearthServer, upload_and_wait
from tests.tools.sql_helpers import CITIES, SALES


@pytest.fixture
def client(offline: HearthServer, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    """A user of its own for each test."""
    name = f"sql-{abs(hash(request.node.name)) % 10**9}"
    with offline.client(offline.add_user(name)) as signed_in:
        yield signed_in


def run(client: httpx.Client, query: str, **more: str) -> dict[str, Any]:
    answer = client.post("/api/tools/sql_query/run", json={"arguments": {"query": query, **more}})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ask(client: httpx.Client, text: str) -> dict[str, Any]:
    body = {"model": "hearth", "messages": [{"role": "user", "content": text}]}
    answer = client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    message: dict[str, Any] = answer.json()["choices"][0]["message"]
    return message


def test_an_uploaded_table_is_asked_in_sql_and_in_words_and_goes_with_its_document(client: httpx.Client) -> None:
    document = upload_and_wait(client, "sales.csv", SALES.encode())
    upload_and_wait(client, "cities.csv", CITIES.encode())
    assert document["status"] == "ready" and document["note"] is None
    joined = run(
        client, "SELECT country, sum(amount) FROM sales JOIN cities USING (city) GROUP BY 1 ORDER BY 2 DESC LIMIT 1"
    )
    assert joined["data"]["rows"] == [["Germany", 20.0]]
    told = ask(client, "SELECT max(amount) FROM sales")
    assert "20" in told["content"] and [step["name"] for step in told["hearth"]["steps"]] == ["sql_query"]
    grouped = ask(client, "SELECT city, count(*), sum(amount) FROM sales GROUP BY city ORDER BY 2 DESC, 1")
    assert [step["name"] for step in grouped["hearth"]["steps"]] == ["sql_query"] and "count(*)" in grouped["content"]
    counted = ask(client, "How many rows of sales are in Paris?")
    assert "2" in counted["content"] and "sql_query" in {step["name"] for step in counted["hearth"]["steps"]}
    assert client.delete(f"/api/files/documents/{document['file_id']}").status_code == 204
    assert "no such table" in run(client, "SELECT * FROM sales")["error"]


def test_iso_3_a_strangers_table_is_not_there(client: httpx.Client, offline: HearthServer) -> None:
    upload_and_wait(client, "mine.csv", b"a,b\n1,2\n")
    with offline.client(offline.add_user("sql-stranger")) as stranger:
        assert "no such table: mine" in run(stranger, "SELECT * FROM mine")["error"]
        assert run(stranger, "schema")["data"] == {"tables": []}


def workbook() -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    for row in (["machine", "hours"], ["Lathe", 40], ["Mill", 25]):
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def database(folder: Path) -> bytes:
    path = folder / "plants.db"
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE plants (name TEXT, height REAL); INSERT INTO plants VALUES ('Oak', 30.5)")
    connection.close()
    return path.read_bytes()


def test_workbooks_and_sqlite_files_are_taken_in_and_found(client: httpx.Client, tmp_path: Path) -> None:
    assert upload_and_wait(client, "machines.xlsx", workbook())["status"] == "ready"
    assert upload_and_wait(client, "plants.db", database(tmp_path))["status"] == "ready"
    assert run(client, "SELECT max(hours) FROM machines")["data"]["rows"] == [[40]]
    assert run(client, "SELECT height FROM plants")["data"]["rows"] == [[30.5]]


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", b"<a/>")
        archive.writestr("xl/worksheets/sheet1.xml", bytes(60_000_000))
    return out.getvalue()


def with_entity() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("xl/workbook.xml", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "status", "says"),
    [
        ("a.xlsx", b"a,b\n1,2\n", 415, "content is something else"),
        ("a.db", b"a,b\n1,2\n", 415, "content is something else"),
        ("a.csv", b"SQLite format 3\x00" + bytes(200), 415, "content is something else"),
        ("bomb.xlsx", bomb(), 201, "far too large"),
        ("entity.xlsx", with_entity(), 201, "entities"),
        ("empty.xlsx", b"PK\x03\x04 not really", 201, "damaged"),
        ("broken.db", b"SQLite format 3\x00" + bytes(4000), 201, "damaged"),
    ],
    ids=["csv as xlsx", "csv as db", "db as csv", "zip bomb", "entities", "no zip", "broken database"],
)
def test_up_2_up_4_files_that_are_not_what_they_say_are_refused(
    client: httpx.Client, name: str, content: bytes, status: int, says: str
) -> None:
    if status == 415:
        answer = client.post("/api/files/upload", files={"file": (name, content)})
        assert answer.status_code == 415 and says in answer.json()["error"]["message"]
        return
    document = upload_and_wait(client, name, content)
    assert document["status"] == "failed" and says in document["error"]
    assert run(client, "schema")["data"] == {"tables": []}


def test_a_large_table_is_indexed_by_its_beginning_and_asked_whole(client: httpx.Client) -> None:
    lines = "".join(f"{n},Paris,{n % 7},some words that make the line longer\n" for n in range(60_000))
    document = upload_and_wait(client, "long.csv", f"id,city,v,remark\n{lines}".encode(), 120.0)
    assert document["status"] == "ready" and document["chunks"] < 200
    text = client.get(f"/api/files/documents/{document['file_id']}/pages/1").json()["text"]
    assert "SQL reaches all of them" in text
    assert run(client, "SELECT count(*), max(id) FROM long")["data"]["rows"] == [[60_000, 59_999]]


def test_progress_is_told_while_a_table_is_made(client: httpx.Client) -> None:
    rows = "".join(f"{n},{n * 37 % 1000},{n % 7}\n" for n in range(150_000))
    answer = client.post("/api/files/upload", files={"file": ("steps.csv", f"id,a,b\n{rows}".encode())})
    with client.stream("GET", f"/api/files/documents/{answer.json()['file_id']}/events") as events:
        lines = [line for line in events.iter_lines() if line.startswith("data: ")]
    seen = [json.loads(line.removeprefix("data: "))["progress"] for line in lines]
    assert seen == sorted(seen) and seen[-1] == 1.0 and len(seen) >= 3
