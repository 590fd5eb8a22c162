"""Two owners with the same ids at hand: a stranger, of this tenant or another, gets what a missing id gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from backend.models.documents import Document, PageText
from backend.models.errors import NotFound
from backend.models.run import Owner
from backend.storage.stores import Stores
from tests.storage.samples import ALICE, ALICE_ELSEWHERE, BOB, stored, turns, upload

STRANGERS = [pytest.param(BOB, id="same-tenant"), pytest.param(ALICE_ELSEWHERE, id="same-id-other-tenant")]


@dataclass(frozen=True)
class Ids:
    session: str
    document: Document
    run: str


async def fill(stores: Stores) -> Ids:
    info = await stores.conversations.create(ALICE, "alice's secret title")
    await stores.conversations.append(ALICE, info.session_id, stored("hello", "alice's secret answer"))
    document = await upload(stores, ALICE, b"alice's bytes", "alice.txt")
    await stores.documents.save_pages(ALICE, document.file_id, [PageText(1, "alice's page")])
    await stores.runs.save(ALICE, {"run_id": "run-1", "created_at": 1.0, "steps": []})
    return Ids(info.session_id, document, "run-1")


Call = Callable[[Stores, Owner, Ids], Awaitable[Any]]

BY_ID: dict[str, Call] = {
    "conversations.get": lambda s, o, i: s.conversations.get(o, i.session),
    "conversations.info": lambda s, o, i: s.conversations.info(o, i.session),
    "conversations.tail": lambda s, o, i: s.conversations.tail(o, i.session, 5),
    "conversations.append": lambda s, o, i: s.conversations.append(o, i.session, stored("x")),
    "conversations.rename": lambda s, o, i: s.conversations.rename(o, i.session, "x"),
    "conversations.choose": lambda s, o, i: s.conversations.choose(o, i.session, ["vs_1"]),
    "conversations.delete": lambda s, o, i: s.conversations.delete(o, i.session),
    "documents.get": lambda s, o, i: s.documents.get(o, i.document.file_id),
    "documents.update": lambda s, o, i: s.documents.update(o, i.document),
    "documents.delete": lambda s, o, i: s.documents.delete(o, i.document.file_id),
    "documents.path": lambda s, o, i: s.documents.path(o, i.document.file_id),
    "documents.save_pages": lambda s, o, i: s.documents.save_pages(o, i.document.file_id, [PageText(1, "x")]),
    "documents.page_text": lambda s, o, i: s.documents.page_text(o, i.document.file_id, 1),
    "runs.get": lambda s, o, i: s.runs.get(o, i.run),
    "runs.events": lambda s, o, i: s.runs.events(o, i.run),
    "runs.update": lambda s, o, i: s.runs.update(o, {"run_id": i.run, "created_at": 1.0}),
    "runs.delete": lambda s, o, i: s.runs.delete(o, i.run),
}


@pytest.mark.parametrize("stranger", STRANGERS)
@pytest.mark.parametrize("call", BY_ID.values(), ids=BY_ID)
async def test_iso_1_iso_2_strangers_id_is_like_a_missing_one(stores: Stores, call: Call, stranger: Owner) -> None:
    ids = await fill(stores)
    before = await everything(stores, ids)
    with pytest.raises(NotFound) as foreign:
        await call(stores, stranger, ids)
    empty = Ids("conv-" + "0" * 32, Document("file-" + "0" * 32, "x", "x", 1, "0", 1.0), "run-missing")
    with pytest.raises(NotFound) as missing:
        await call(stores, stranger, empty)
    assert vars(foreign.value) == vars(missing.value)
    assert await everything(stores, ids) == before


async def everything(stores: Stores, ids: Ids) -> list[Any]:
    return [
        await stores.conversations.get(ALICE, ids.session),
        await stores.documents.get(ALICE, ids.document.file_id),
        (await stores.documents.path(ALICE, ids.document.file_id)).read_bytes(),
        await stores.documents.page_text(ALICE, ids.document.file_id, 1),
        await stores.runs.get(ALICE, ids.run),
    ]


@pytest.mark.parametrize("stranger", STRANGERS)
async def test_iso_1_lists_and_searches_of_a_stranger_are_empty(stores: Stores, stranger: Owner) -> None:
    await fill(stores)
    assert await stores.conversations.list_conversations(stranger) == ([], 0)
    assert await stores.conversations.list_conversations(stranger, query="secret") == ([], 0)
    history = turns("hello", "alice's secret answer")
    assert await stores.conversations.find_by_history(stranger, history) is None
    assert await stores.conversations.find_by_history(ALICE, history) is not None
    assert await stores.documents.list_documents(stranger) == ([], 0)
    assert await stores.documents.ready_names(stranger) == ()
    assert await stores.documents.unfinished(stranger) == []
    assert await stores.runs.list_runs(stranger) == ([], 0)


@pytest.mark.parametrize("stranger", STRANGERS)
async def test_iso_1_equal_ids_of_two_owners_are_two_things(stores: Stores, stranger: Owner) -> None:
    ids = await fill(stores)
    await stores.conversations.create(stranger, "mine", ids.session)
    await stores.runs.save(stranger, {"run_id": ids.run, "created_at": 1.0, "steps": [], "mine": True})
    await stores.conversations.delete(stranger, ids.session)
    assert (await stores.conversations.info(ALICE, ids.session)).messages == 2
    assert "mine" not in await stores.runs.get(ALICE, ids.run)


BAD_OWNERS = [
    Owner("default", ".."),
    Owner("default", ""),
    Owner("default", "a/b"),
    Owner("..", ALICE.user),
    Owner("", ALICE.user),
    Owner("default", "a\x00"),
    Owner("default", "x" * 65),
]


@pytest.mark.parametrize("owner", BAD_OWNERS, ids=repr)
async def test_fs_1_owner_that_cannot_be_a_folder_reaches_nothing(engine: Stores, owner: Owner) -> None:
    ids = await fill(engine)
    for call in BY_ID.values():
        with pytest.raises(NotFound):
            await call(engine, owner, ids)
    for attempt in (
        engine.conversations.create(owner, "t"),
        engine.conversations.list_conversations(owner),
        upload(engine, owner, b"x"),
        engine.documents.list_documents(owner),
        engine.documents.ready_names(owner),
        engine.runs.list_runs(owner),
        engine.runs.save(owner, {"run_id": "run-1"}),
    ):
        with pytest.raises(NotFound):
            await attempt
