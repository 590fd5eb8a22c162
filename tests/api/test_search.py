"""POST /api/search on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from backend.models.run import SERVER
from backend.utils.auth import DUMMY_HASH
from tests.api.house import House, open_house

pytestmark = pytest.mark.asyncio(loop_scope="module")

LEAVE = "# Rules\n\n## Annual leave\n\nEvery employee has twenty-seven days of annual leave.\n"
PARKING = "Visitors park behind the north gate.\n"
URL = "/api/search"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with open_house(tmp_path_factory.mktemp("search")) as house:
        yield house


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def files(house: House) -> dict[str, str]:
    return {name: await uploaded(house, name, text) for name, text in (("rules.md", LEAVE), ("parking.txt", PARKING))}


async def uploaded(house: House, name: str, text: str) -> str:
    answer = await house.client.post("/api/files/upload", files={"file": (name, text.encode())})
    assert answer.status_code == 201, answer.text
    file_id: str = answer.json()["file_id"]
    states = [each.status async for each in house.services.ingest.events(house.owner, file_id)]
    assert states[-1] == "ready"
    return file_id


async def asked(house: House, **body: Any) -> dict[str, Any]:
    answer = await house.client.post(URL, json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def names(house: House, **body: Any) -> list[str]:
    return [hit["filename"] for hit in (await asked(house, **body))["hits"]]


async def test_a_hit_tells_where_it_stands_and_what_its_score_is_made_of(house: House, files: dict[str, str]) -> None:
    found = await asked(house, query="days of annual leave")
    assert found["query"] == "days of annual leave"
    hit = found["hits"][0]
    assert set(hit) == {
        "file_id", "filename", "page", "unit", "label", "heading", "line", "start", "end", "score", "parts", "text",
        "url",
    }  # fmt: skip
    assert (hit["file_id"], hit["filename"]) == (files["rules.md"], "rules.md")
    assert hit["url"].startswith(f"/files/{files['rules.md']}/view")
    assert "twenty-seven days" in hit["text"]
    assert 0 < hit["score"] <= 1
    assert {"dense", "lexical", "fused"} <= hit["parts"].keys()
    page = (await house.client.get(f"/api/files/documents/{files['rules.md']}/pages/1")).json()
    if "text" in page and hit["end"]:
        assert page["text"][hit["start"] : hit["end"]] == hit["text"]


async def test_what_has_nothing_to_do_with_the_query_is_left_out(house: House, files: dict[str, str]) -> None:
    assert await names(house, query="quantum chromodynamics of heavy ions") == []


@pytest.mark.parametrize(
    ("narrowed", "expected"),
    [
        ({"files": ["parking.txt"]}, ["parking.txt"]),
        ({"files": ["PARKING"]}, ["parking.txt"]),
        ({"types": ["txt"]}, ["parking.txt"]),
        ({"types": ["markdown", ".pdf"]}, []),
        ({"after": "2020-01-01"}, ["parking.txt"]),
        ({"before": "2020-01-01"}, []),
        ({"after": "2999-12-31T00:00:00Z"}, []),
        ({"top_k": None, "files": None, "collections": [], "types": [], "after": None}, ["parking.txt"]),
    ],
)
async def test_the_search_is_narrowed(
    house: House, files: dict[str, str], narrowed: dict[str, Any], expected: list[str]
) -> None:
    assert await names(house, query="where do visitors park", **narrowed) == expected


async def test_a_collection_is_searched_alone(house: House, files: dict[str, str]) -> None:
    store = (await house.client.post("/v1/vector_stores", json={"file_ids": [files["rules.md"]]})).json()["id"]
    assert await names(house, query="where do visitors park", collections=[store]) == []
    assert await names(house, query="annual leave of an employee", collections=[store]) == ["rules.md"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "query"),
        ({"query": "  "}, "query"),
        ({"query": "x" * 9000}, "query"),
        ({"query": "x", "top_k": 0}, "top_k"),
        ({"query": "x", "top_k": 51}, "top_k"),
        ({"query": "x", "types": "pdf"}, "types"),
        ({"query": "x", "after": "yesterday"}, "after"),
        ({"query": "x", "before": "2026-13-01"}, "before"),
    ],
)
async def test_bad_fields_are_named(house: House, body: dict[str, Any], param: str) -> None:
    answer = await house.client.post(URL, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("body", [{"files": ["missing.pdf"]}, {"collections": ["vs_missing"]}, {"files": ["../../x"]}])
async def test_what_is_not_there_is_a_404(house: House, files: dict[str, str], body: dict[str, Any]) -> None:
    assert (await house.client.post(URL, json={"query": "leave", **body})).status_code == 404


async def test_iso_3_nobody_finds_what_is_anothers(house: House, files: dict[str, str]) -> None:
    assert (await house.stranger.post(URL, json={"query": "annual leave"})).status_code == 401
    bob = await house.services.stores.users.add_user(SERVER, "bob-searching", DUMMY_HASH, "user")
    _, key = await house.services.sign_in.create_key(bob.owner)
    headers = {"authorization": f"Bearer {key}"}
    answer = await house.stranger.post(URL, json={"query": "annual leave"}, headers=headers)
    assert answer.json()["hits"] == []
    for name in (files["rules.md"], "rules.md"):
        body = {"query": "annual leave", "files": [name]}
        refused = await house.stranger.post(URL, json=body, headers=headers)
        assert refused.status_code == 404
        assert "parking" not in refused.text


async def test_a_vector_store_rewrites_queries_when_it_is_told_to(house: House, files: dict[str, str]) -> None:
    store = (await house.client.post("/v1/vector_stores", json={"file_ids": list(files.values())})).json()["id"]
    queries = ["Could you tell me how many days of leave there are in Munich?", "and in Berlin?"]
    answers = [
        (
            await house.client.post(f"/v1/vector_stores/{store}/search", json={"query": queries, "rewrite_query": told})
        ).json()
        for told in (False, True)
    ]
    assert answers[0]["search_query"] == queries
    first, second = answers[1]["search_query"]
    assert first == "how many days of leave there are in Munich?"
    assert second.endswith("how many days of leave there are in Berlin")
    scores = [result["score"] for result in answers[1]["data"]]
    assert scores == sorted(scores, reverse=True)
