"""Collections that one user lets another read: searched, seen and read, never changed, and closed again at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from backend.models.run import SERVER
from backend.utils.auth import DUMMY_HASH
from tests.api.house import House
from tests.api.shelves import LEAVE, STATIC, URL, made, settled
from tests.api.shelves import files as files
from tests.api.shelves import house as house

pytestmark = pytest.mark.asyncio(loop_scope="module")
MODEL = "hearth-builtin"
QUESTION = "How many days of annual leave does every employee have?"


@dataclass(frozen=True)
class Shared:
    """A collection of alice's with the file on leave; `bob` and `carol` are other users."""

    id: str
    file_id: str
    bob: httpx.AsyncClient
    carol: httpx.AsyncClient


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def others(house: House) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    clients = {}
    for name in ("bob", "carol"):
        user = await house.services.stores.users.add_user(SERVER, name, DUMMY_HASH, "user")
        _, key = await house.services.sign_in.create_key(user.owner)
        clients[name] = httpx.AsyncClient(
            transport=httpx.ASGITransport(house.app, raise_app_exceptions=False),
            base_url="http://127.0.0.1",
            headers={"authorization": f"Bearer {key}"},
        )
    yield clients
    for client in clients.values():
        await client.aclose()


@pytest_asyncio.fixture(params=["main-index", "own-index"], loop_scope="module")
async def shared(
    request: pytest.FixtureRequest, house: House, files: list[str], others: dict[str, httpx.AsyncClient]
) -> AsyncIterator[Shared]:
    """Searched in the owner's main index, or in one of its own."""
    split = {"chunking_strategy": STATIC} if request.param == "own-index" else {}
    store = await made(house, name="Leave rules", file_ids=files[:1], **split)
    await settled(house, f"{URL}/{store['id']}")
    answer = await share(house, store["id"], "bob")
    assert answer.status_code == 200 and answer.json()["readers"] == ["bob"], answer.text
    yield Shared(store["id"], files[0], others["bob"], others["carol"])
    await house.client.delete(f"{URL}/{store['id']}")


async def share(house: House, collection_id: str, *names: str) -> httpx.Response:
    return await house.client.put(f"/api/collections/{collection_id}/readers", json={"users": list(names)})


async def listed(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await client.get("/api/collections")
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["collections"]
    return found


async def asked(client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    question = [{"role": "user", "content": QUESTION}]
    return await client.post("/v1/chat/completions", json={"model": MODEL, "messages": question, **body})


async def test_owner_and_reader_see_it_in_their_lists(house: House, shared: Shared) -> None:
    (mine,) = [each for each in await listed(house.client) if each["id"] == shared.id]
    assert (mine["mine"], mine["owner"], mine["readers"], mine["files"]) == (True, "alice", ["bob"], 1)
    (theirs,) = await listed(shared.bob)
    assert (theirs["mine"], theirs["owner"], theirs["readers"]) == (False, "alice", [])
    assert await listed(shared.carol) == []


async def test_iso_1_a_reader_searches_it_and_a_stranger_does_not(shared: Shared) -> None:
    found = await shared.bob.post(f"{URL}/{shared.id}/search", json={"query": QUESTION})
    assert found.status_code == 200, found.text
    (hit,) = found.json()["data"]
    assert hit["file_id"] == shared.file_id and hit["content"][0]["text"] == LEAVE.decode()
    refused = await shared.carol.post(f"{URL}/{shared.id}/search", json={"query": QUESTION})
    missing = await shared.carol.post(f"{URL}/vs_missing/search", json={"query": QUESTION})
    assert refused.status_code == missing.status_code == 404
    assert refused.json()["error"]["message"] == missing.json()["error"]["message"]


async def test_a_reader_asks_it_in_a_conversation_that_keeps_the_choice(shared: Shared) -> None:
    first = await asked(shared.bob, collections=[shared.id])
    assert first.status_code == 200 and "twenty-seven" in first.json()["choices"][0]["message"]["content"], first.text
    (citation,) = first.json()["choices"][0]["message"]["hearth"]["citations"]
    assert citation["file_id"] == shared.file_id
    session = first.json()["hearth"]["session_id"] if "hearth" in first.json() else first.headers["x-session-id"]
    assert (await shared.bob.get(f"/api/conversations/{session}")).json()["collections"] == [shared.id]
    again = await asked(shared.bob, session_id=session)
    assert "twenty-seven" in again.json()["choices"][0]["message"]["content"]
    cleared = await shared.bob.patch(f"/api/conversations/{session}", json={"collections": []})
    assert cleared.json()["collections"] == []
    alone = await asked(shared.bob, session_id=session)
    assert "twenty-seven" not in alone.json()["choices"][0]["message"]["content"]


async def test_a_reader_opens_its_documents_and_nothing_else_of_the_owner(
    house: House, files: list[str], shared: Shared
) -> None:
    base = "/api/files/documents"
    page = await shared.bob.get(f"{base}/{shared.file_id}/pages/1")
    assert page.status_code == 200 and page.json()["text"] == LEAVE.decode()
    assert (await shared.bob.get(f"{base}/{shared.file_id}/content")).content == LEAVE
    assert (await shared.bob.get(f"{base}/{shared.file_id}")).json()["filename"] == "leave.txt"
    assert (await shared.bob.get(f"{base}/{files[1]}/pages/1")).status_code == 404
    assert (await shared.carol.get(f"{base}/{shared.file_id}/pages/1")).status_code == 404
    assert (await shared.bob.get(base)).json()["documents"] == []
    assert (await shared.bob.delete(f"{base}/{shared.file_id}")).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "", {"name": "mine now"}),
        ("DELETE", "", None),
        ("POST", "/files", {"file_id": "FILE"}),
        ("POST", "/files/FILE", {"attributes": {"a": 1}}),
        ("DELETE", "/files/FILE", None),
        ("POST", "/file_batches", {"file_ids": ["FILE"]}),
    ],
    ids=["rename", "delete", "put-in", "attributes", "take-out", "batch"],
)
async def test_iso_1_a_reader_changes_nothing(
    house: House, shared: Shared, method: str, path: str, body: dict[str, Any] | None
) -> None:
    before = (await house.client.get(f"{URL}/{shared.id}")).json()
    filled = None if body is None else {k: shared.file_id if v == "FILE" else v for k, v in body.items()}
    answer = await shared.bob.request(method, f"{URL}/{shared.id}{path.replace('FILE', shared.file_id)}", json=filled)
    assert answer.status_code in (400, 404), answer.text
    after = (await house.client.get(f"{URL}/{shared.id}")).json()
    assert {**after, "last_active_at": 0} == {**before, "last_active_at": 0}
    assert (await shared.bob.get(f"{URL}/{shared.id}")).json()["name"] == "Leave rules"


async def test_iso_1_it_is_closed_at_once(house: House, shared: Shared) -> None:
    kept = await asked(shared.bob, collections=[shared.id])
    session = kept.headers["x-session-id"]
    assert (await share(house, shared.id)).json()["readers"] == []
    assert await listed(shared.bob) == []
    assert (await shared.bob.post(f"{URL}/{shared.id}/search", json={"query": QUESTION})).status_code == 404
    assert (await shared.bob.get(f"/api/files/documents/{shared.file_id}/pages/1")).status_code == 404
    assert (await asked(shared.bob, collections=[shared.id])).status_code == 404
    gone = await asked(shared.bob, session_id=session)
    assert gone.status_code == 400 and gone.json()["error"]["code"] == "collection_gone"


@pytest.mark.parametrize("names", [["nobody"], ["bob", "nobody"]], ids=["unknown", "one-of-two"])
async def test_sharing_with_an_unknown_user_changes_nothing(house: House, shared: Shared, names: list[str]) -> None:
    answer = await share(house, shared.id, *names)
    assert answer.status_code == 400 and answer.json()["error"]["param"] == "users"
    (mine,) = [each for each in await listed(house.client) if each["id"] == shared.id]
    assert mine["readers"] == ["bob"]


async def test_iso_2_a_stranger_cannot_share_what_is_not_theirs(shared: Shared) -> None:
    for client in (shared.bob, shared.carol):
        answer = await client.put(f"/api/collections/{shared.id}/readers", json={"users": ["carol"]})
        assert answer.status_code == 404
