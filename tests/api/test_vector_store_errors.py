"""/v1/vector_stores on the wire: every refusal by status, type, code and param; strangers; no key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from backend.models.run import SERVER
from backend.utils.auth import DUMMY_HASH
from tests.api.house import House
from tests.api.shelves import URL, files, house, made, refused

__all__ = ["files", "house"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

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
