"""/v1/vector_stores on the wire: the objects and the lists."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.api.house import House
from tests.api.shelves import COUNTS, LEAVE, STATIC, URL, files, house, made, refused, settled

__all__ = ["files", "house"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


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
