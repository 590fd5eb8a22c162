"""A house with two files that are read, for tests of its vector stores."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.api.house import House, open_house

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
