"""/v1/vector_stores on the wire: the objects, and every refusal by status, type, code and param."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from backend.models.run import SERVER
from backend.utils.auth import DUMMY_HASH
from tests.api.house import House, open_house

pytestmark = pytest.mark.asyncio(loop_scope="module")

URL = "/v1/vector_stores"
LEAVE = b"Every employee has twenty-seven days of annual leave."
PARKING = b"Visitors park behind the north gate."
STATIC = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}}
COUNTS = {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": 0}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with open_house(tmp_path_factory.mktemp("stores")) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def files(house: House) -> list[str]:
    """Ids of two files that are read."""
    ids = []
    for name, data in {"leave.txt": LEAVE, "parking.txt": PARKING}.items():
        answer = await house.client.post("/v1/files", files={"file": (name, data)}, data={"purpose": "assistants"})
        ids.append(answer.json()["id"])
    for file_id in ids:
        states = [each.status async for each in house.services.ingest.events(house.owner, file_id)]
        assert states[-1] == "ready"
    return ids


async def made(house: House, **body: Any) -> dict[str, Any]:
    answer = await house.client.post(URL, json=body)
    assert answer.status_code == 200, answer.text
    store: dict[str, Any] = answer.json()
    return store


async def settled(house: House, path: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            answer = await house.client.get(path)
            if answer.json()["status"] != "in_progress":
                found: dict[str, Any] = answer.json()
                return found
            await asyncio.sleep(0.01)


def refused(answer: httpx.Response, status: int, param: str | None, code: str = "invalid_value") -> None:
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", param, code), error
    assert answer.headers["x-request-id"] and "Traceback" not in answer.text and len(error["message"]) < 500


async def test_the_store_object_is_exactly_that_of_the_contract(house: House) -> None:
    store = await made(house)
    assert re.fullmatch(r"vs_[0-9a-f]+", store["id"])
    assert type(store["created_at"]) is int and store["last_active_at"] == store["created_at"]
    assert store == {
        "id": store["id"],
        "object": "vector_store",
        "created_at": store["created_at"],
        "name": "",
        "description": None,
        "usage_bytes": 0,
        "file_counts": COUNTS,
        "status": "completed",
        "expires_after": None,
        "expires_at": None,
        "last_active_at": store["created_at"],
        "metadata": {},
    }
    assert (await house.client.get(f"{URL}/{store['id']}")).json() == store


async def test_a_store_is_changed_field_by_field_and_deleted(house: House) -> None:
    store = await made(
        house, name="a", description="d", metadata={"k": "v"}, expires_after={"anchor": "last_active_at", "days": 3}
    )
    assert store["expires_after"] == {"anchor": "last_active_at", "days": 3}
    assert store["expires_at"] == store["last_active_at"] + 3 * 86_400
    path = f"{URL}/{store['id']}"
    renamed = (await house.client.post(path, json={"name": "b", "metadata": None})).json()
    assert (renamed["name"], renamed["description"], renamed["metadata"]) == ("b", "d", {"k": "v"})
    assert renamed["expires_after"] is not None
    changed = (await house.client.post(path, json={"metadata": {}, "expires_after": None})).json()
    assert (changed["metadata"], changed["expires_after"], changed["expires_at"]) == ({}, None, None)
    gone = (await house.client.delete(path)).json()
    assert gone == {"id": store["id"], "object": "vector_store.deleted", "deleted": True}
    refused(await house.client.get(path), 404, None, "not_found")


async def test_nulls_and_foreign_fields_are_tolerated(house: House, files: list[str]) -> None:
    names = ("name", "description", "file_ids", "metadata", "expires_after", "chunking_strategy")
    store = await made(house, **dict.fromkeys(names), foreign={"x": 1})
    body = {"file_id": files[0], "attributes": None, "chunking_strategy": None, "foreign": 1}
    assert (await house.client.post(f"{URL}/{store['id']}/files", json=body)).status_code == 200
    body = {"query": "leave", "max_num_results": None, "filters": None, "ranking_options": None, "rewrite_query": None}
    assert (await house.client.post(f"{URL}/{store['id']}/search", json=body)).status_code == 200
    body = {"query": "leave", "rewrite_query": True, "ranking_options": {"ranker": "auto", "score_threshold": None}}
    assert (await house.client.post(f"{URL}/{store['id']}/search", json=body)).status_code == 200


@pytest.mark.parametrize(
    ("strategy", "sizes"),
    [(None, (250, 50)), ({"type": "auto"}, (250, 50)), (STATIC, (100, 50))],
    ids=["none", "auto", "static"],
)
async def test_a_file_of_a_store_from_beginning_to_end(
    house: House, files: list[str], strategy: Any, sizes: tuple[int, int]
) -> None:
    store = await made(house)
    path = f"{URL}/{store['id']}/files"
    body = {"file_id": files[0], "attributes": {"year": 2024, "ok": True, "lang": "en"}, "chunking_strategy": strategy}
    answer = await house.client.post(path, json=body)
    assert answer.headers["openai-poll-after-ms"] == "100"
    file = await settled(house, f"{path}/{files[0]}")
    assert file == {
        "id": files[0],
        "object": "vector_store.file",
        "created_at": file["created_at"],
        "vector_store_id": store["id"],
        "status": "completed",
        "last_error": None,
        "usage_bytes": file["usage_bytes"],
        "attributes": {"year": 2024, "ok": True, "lang": "en"},
        "chunking_strategy": {
            "type": "static",
            "static": {"max_chunk_size_tokens": sizes[0], "chunk_overlap_tokens": sizes[1]},
        },
    }
    assert file["usage_bytes"] >= len(LEAVE)
    assert (await house.client.get(f"{path}/{files[0]}")).headers["openai-poll-after-ms"] == "100"
    changed = (await house.client.post(f"{path}/{files[0]}", json={"attributes": {"a": 1.5}})).json()
    assert changed["attributes"] == {"a": 1.5}
    content = (await house.client.get(f"{path}/{files[0]}/content")).json()
    assert content == {
        "object": "vector_store.file_content.page",
        "data": [{"type": "text", "text": LEAVE.decode()}],
        "has_more": False,
        "next_page": None,
    }
    listed = (await house.client.get(path)).json()
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == (files[0], files[0], False)
    gone = (await house.client.delete(f"{path}/{files[0]}")).json()
    assert gone == {"id": files[0], "object": "vector_store.file.deleted", "deleted": True}
    refused(await house.client.get(f"{path}/{files[0]}"), 404, None, "not_found")
    assert (await house.client.get(f"/v1/files/{files[0]}")).status_code == 200


async def test_a_batch_from_beginning_to_end(house: House, files: list[str]) -> None:
    store = await made(house, name="batched")
    path = f"{URL}/{store['id']}/file_batches"
    body = {
        "files": [{"file_id": files[0], "attributes": {"n": 1}}, {"file_id": files[1], "chunking_strategy": STATIC}]
    }
    answer = await house.client.post(path, json=body)
    assert answer.headers["openai-poll-after-ms"] == "100"
    batch = await settled(house, f"{path}/{answer.json()['id']}")
    assert batch == {
        "id": batch["id"],
        "object": "vector_store.files_batch",
        "created_at": batch["created_at"],
        "vector_store_id": store["id"],
        "status": "completed",
        "file_counts": {**COUNTS, "completed": 2, "total": 2},
    }
    listed = (await house.client.get(f"{path}/{batch['id']}/files?limit=1")).json()
    assert (listed["first_id"], listed["has_more"]) == (files[1], True)
    listed = (await house.client.get(f"{path}/{batch['id']}/files?filter=failed")).json()
    assert listed["data"] == []
    cancelled = (await house.client.post(f"{path}/{batch['id']}/cancel")).json()
    assert (cancelled["status"], cancelled["file_counts"]["completed"]) == ("completed", 2)
    refused(await house.client.get(f"{path}/vsfb_none"), 404, None, "not_found")


async def test_a_search_from_beginning_to_end(house: House, files: list[str]) -> None:
    store = await made(house, file_ids=files)
    path = f"{URL}/{store['id']}"
    await house.client.post(f"{path}/files/{files[1]}", json={"attributes": {"year": 2024}})
    page = (await house.client.post(f"{path}/search", json={"query": " annual leave of an employee "})).json()
    assert set(page) == {"object", "search_query", "data", "has_more", "next_page"}
    assert (page["object"], page["search_query"]) == (
        "vector_store.search_results.page",
        ["annual leave of an employee"],
    )
    best, second = page["data"]
    assert best == {
        "file_id": files[0],
        "filename": "leave.txt",
        "score": best["score"],
        "attributes": {},
        "content": [{"type": "text", "text": LEAVE.decode()}],
    }
    assert 1 >= best["score"] > second["score"] >= 0 and second["attributes"] == {"year": 2024}
    body = {"query": ["leave", "parking"], "filters": {"type": "eq", "key": "year", "value": 2024}}
    page = (await house.client.post(f"{path}/search", json=body)).json()
    assert page["search_query"] == ["leave", "parking"] and [d["file_id"] for d in page["data"]] == [files[1]]
    body = {"query": "annual leave", "max_num_results": 1, "ranking_options": {"score_threshold": 0.2}}
    page = (await house.client.post(f"{path}/search", json=body)).json()
    assert [d["file_id"] for d in page["data"]] == [files[0]]


async def test_stores_are_listed_by_cursor(house: House) -> None:
    ids = [(await made(house, name=f"listed {n}"))["id"] for n in range(4)]
    page = (await house.client.get(f"{URL}?limit=2")).json()
    assert ([each["id"] for each in page["data"]], page["has_more"]) == ([ids[3], ids[2]], True)
    assert (page["object"], page["first_id"], page["last_id"]) == ("list", ids[3], ids[2])
    page = (await house.client.get(f"{URL}?limit=2&after={ids[2]}")).json()
    assert [each["id"] for each in page["data"]] == [ids[1], ids[0]]
    page = (await house.client.get(f"{URL}?limit=2&before={ids[0]}")).json()
    assert [each["id"] for each in page["data"]] == [ids[2], ids[1]]
    page = (await house.client.get(f"{URL}?limit=3&order=asc&after={ids[0]}")).json()
    assert [each["id"] for each in page["data"]] == ids[1:]


# ---- refusals ---------------------------------------------------------------------------------------------

DAYS = {"anchor": "last_active_at", "days": 1}


def static(size: Any, overlap: Any) -> dict[str, Any]:
    return {
        "chunking_strategy": {
            "type": "static",
            "static": {"max_chunk_size_tokens": size, "chunk_overlap_tokens": overlap},
        }
    }


SIZE, OVERLAP = (f"chunking_strategy.static.{name}" for name in ("max_chunk_size_tokens", "chunk_overlap_tokens"))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": 5}, "name"),
        ({"name": "n" * 257}, "name"),
        ({"file_ids": "file-1"}, "file_ids"),
        ({"file_ids": [5]}, "file_ids.0"),
        ({"file_ids": [""]}, "file_ids.0"),
        ({"file_ids": ["x"] * 2001}, "file_ids"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"k": 5}}, "metadata.k"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"expires_after": {"anchor": "created_at", "days": 1}}, "expires_after.anchor"),
        ({"expires_after": {"anchor": "last_active_at"}}, "expires_after.days"),
        ({"expires_after": {**DAYS, "days": 0}}, "expires_after.days"),
        ({"expires_after": {**DAYS, "days": 366}}, "expires_after.days"),
        ({"chunking_strategy": {"type": "magic"}}, "chunking_strategy.type"),
        ({"chunking_strategy": {"type": "static"}}, "chunking_strategy.static"),
        (static(99, 0), SIZE),
        (static(4097, 0), SIZE),
        (static("x", 0), SIZE),
        (static(100, -1), OVERLAP),
        (static(100, 51), OVERLAP),
        (static(100, None), OVERLAP),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_stores_that_cannot_be_made(house: House, body: dict[str, Any], param: str) -> None:
    refused(await house.client.post(URL, json=body), 400, param)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "file_id"),
        ({"file_id": None}, "file_id"),
        ({"file_id": 5}, "file_id"),
        ({"attributes": []}, "attributes"),
        ({"attributes": {"a": None}}, "attributes"),
        ({"attributes": {"a": {"b": 1}}}, "attributes"),
        ({"attributes": {"k" * 65: 1}}, "attributes"),
        ({"attributes": {"a": "v" * 513}}, "attributes"),
        ({"attributes": {str(n): n for n in range(17)}}, "attributes"),
        (static(100, 51), OVERLAP),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_files_that_cannot_be_put_in(house: House, files: list[str], body: dict[str, Any], param: str) -> None:
    store = await made(house)
    whole = body if param == "file_id" else {"file_id": files[0], **body}
    refused(await house.client.post(f"{URL}/{store['id']}/files", json=whole), 400, param)
    if param == "attributes":
        await house.client.post(f"{URL}/{store['id']}/files", json={"file_id": files[0]})
        refused(await house.client.post(f"{URL}/{store['id']}/files/{files[0]}", json=body), 400, param)


@pytest.mark.parametrize(
    ("body", "status", "param", "code"),
    [
        ({}, 400, "file_ids", "invalid_value"),
        ({"file_ids": []}, 400, "file_ids", "invalid_value"),
        ({"file_ids": ["a"], "files": [{"file_id": "a"}]}, 400, "file_ids", "invalid_value"),
        ({"files": [{}]}, 400, "files.0.file_id", "invalid_value"),
        ({"files": [{"file_id": "a", "attributes": {"x": []}}]}, 400, "files.0.attributes", "invalid_value"),
        ({"file_ids": ["a"] * 2001}, 400, "file_ids", "invalid_value"),
        ({"file_ids": ["file-none"]}, 404, "file_ids", "not_found"),
        ({"files": [{"file_id": "../x"}]}, 404, "files", "not_found"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_batches_that_cannot_be_made(
    house: House, body: dict[str, Any], status: int, param: str, code: str
) -> None:
    store = await made(house)
    refused(await house.client.post(f"{URL}/{store['id']}/file_batches", json=body), status, param, code)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"query": None}, "query"),
        ({"query": ""}, "query"),
        ({"query": "   "}, "query"),
        ({"query": []}, "query"),
        ({"query": [""]}, "query.0"),
        ({"query": 5}, "query"),
        ({"query": "q" * 8193}, "query"),
        ({"query": ["q"] * 33}, "query"),
        ({"max_num_results": 0}, "max_num_results"),
        ({"max_num_results": 51}, "max_num_results"),
        ({"max_num_results": "many"}, "max_num_results"),
        ({"rewrite_query": "perhaps"}, "rewrite_query"),
        ({"ranking_options": {"score_threshold": 1.1}}, "ranking_options.score_threshold"),
        ({"ranking_options": {"score_threshold": -0.1}}, "ranking_options.score_threshold"),
        ({"ranking_options": []}, "ranking_options"),
        ({"filters": []}, "filters"),
        ({"filters": {"type": "like", "key": "a", "value": 1}}, "filters.type"),
        ({"filters": {"type": "eq", "value": 1}}, "filters.key"),
        ({"filters": {"type": "eq", "key": "a", "value": {}}}, "filters.value"),
        ({"filters": {"type": "and", "filters": [{"type": "or", "filters": []}]}}, "filters.filters[0].filters"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_searches_that_cannot_be_made(house: House, body: dict[str, Any], param: str) -> None:
    store = await made(house)
    refused(await house.client.post(f"{URL}/{store['id']}/search", json={"query": "q", **body}), 400, param)


@pytest.mark.parametrize("path", ["", "/{id}/files", "/{id}/file_batches/{batch}/files"])
@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=-1", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("order=up", "order"),
        ("after=unknown", "after"),
        ("before=unknown", "before"),
        ("after=" + "x" * 7000, "after"),
        ("before=%00", "before"),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_bad_queries_of_lists(house: House, files: list[str], path: str, query: str, param: str) -> None:
    store = await made(house)
    batch = await house.client.post(f"{URL}/{store['id']}/file_batches", json={"file_ids": files})
    where = path.format(id=store["id"], batch=batch.json()["id"])
    refused(await house.client.get(f"{URL}{where}?{query}"), 400, param)


async def test_unknown_status_is_no_filter(house: House) -> None:
    store = await made(house)
    refused(await house.client.get(f"{URL}/{store['id']}/files?filter=lost"), 400, "filter")


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"x"', b"\xff"], ids=["empty", "cut", "list", "string", "bytes"])
@pytest.mark.parametrize("path", ["", "/{id}", "/{id}/files", "/{id}/file_batches", "/{id}/search"])
async def test_flow_5_bodies_that_are_no_json_object(house: House, path: str, raw: bytes) -> None:
    store = await made(house)
    answer = await house.client.post(URL + path.format(id=store["id"]), content=raw)
    refused(answer, 400, None, "invalid_json")


CALLS: dict[str, tuple[str, str, Any]] = {
    "get": ("GET", "", None),
    "update": ("POST", "", {"name": "mine now"}),
    "delete": ("DELETE", "", None),
    "search": ("POST", "/search", {"query": "leave"}),
    "files": ("GET", "/files", None),
    "put in": ("POST", "/files", {"file_id": "{file}"}),
    "file": ("GET", "/files/{file}", None),
    "attributes": ("POST", "/files/{file}", {"attributes": {}}),
    "take out": ("DELETE", "/files/{file}", None),
    "content": ("GET", "/files/{file}/content", None),
    "put in several": ("POST", "/file_batches", {"file_ids": ["{file}"]}),
    "batch": ("GET", "/file_batches/{batch}", None),
    "cancel": ("POST", "/file_batches/{batch}/cancel", None),
    "batch files": ("GET", "/file_batches/{batch}/files", None),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stranger(house: House) -> AsyncIterator[httpx.AsyncClient]:
    user = await house.services.stores.users.add_user(SERVER, "stranger", DUMMY_HASH, "user")
    _, key = await house.services.sign_in.create_key(user.owner)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(house.app),
        base_url="http://127.0.0.1",
        headers={"authorization": f"Bearer {key}"},
    ) as client:
        yield client


@pytest.mark.parametrize(("method", "path", "body"), CALLS.values(), ids=CALLS)
async def test_iso_2_iso_3_stores_of_others_are_like_missing_ones(
    house: House, stranger: httpx.AsyncClient, files: list[str], method: str, path: str, body: Any
) -> None:
    store = await made(house, file_ids=files)
    batch = await house.client.post(f"{URL}/{store['id']}/file_batches", json={"file_ids": files})
    where = path.format(file=files[0], batch=batch.json()["id"])
    sent = None if body is None else {k: [files[0]] if k == "file_ids" else files[0] if k == "file_id" else v
                                      for k, v in body.items()}  # fmt: skip
    before = (await house.client.get(f"{URL}/{store['id']}")).json()
    foreign = await stranger.request(method, f"{URL}/{store['id']}{where}", json=sent)
    missing = await stranger.request(method, f"{URL}/vs_{'0' * 46}{where}", json=sent)
    refused(foreign, 404, None, "not_found")
    assert foreign.json() == missing.json()
    assert (await house.client.get(f"{URL}/{store['id']}")).json() == before
    assert (await stranger.get(URL)).json()["data"] == []


async def test_iso_3_files_of_others_cannot_be_put_in(
    house: House, stranger: httpx.AsyncClient, files: list[str]
) -> None:
    refused(await stranger.post(URL, json={"file_ids": [files[0]]}), 404, "file_ids", "not_found")
    own = (await stranger.post(URL, json={})).json()["id"]
    for body, path, param in (
        ({"file_id": files[0]}, "files", "file_id"),
        ({"file_ids": [files[0]]}, "file_batches", "file_ids"),
    ):
        foreign = await stranger.post(f"{URL}/{own}/{path}", json=body)
        refused(foreign, 404, param, "not_found")
    await stranger.delete(f"{URL}/{own}")


@pytest.mark.parametrize(("method", "path", "body"), CALLS.values(), ids=CALLS)
async def test_auth_nothing_without_a_key(house: House, method: str, path: str, body: Any) -> None:
    where = path.format(file="file-1", batch="vsfb_1")
    refused(await house.stranger.request(method, f"{URL}/vs_1{where}", json=body), 401, None, "invalid_api_key")
