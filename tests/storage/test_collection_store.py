"""Collections are kept whole, changed in one piece, and belong to their owner."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path

import pytest

from backend.models.collections import Batch, Chunking, Collection, CollectionFile, FileFailure
from backend.models.errors import InvalidRequest, NotFound
from backend.models.run import SERVER, Owner
from backend.storage import json_files
from backend.storage.stores import Stores
from tests.storage.samples import ALICE, ALICE_ELSEWHERE, BOB, settings_for

FULL = Collection(
    id="vs_1",
    name="Handbooks ✓",
    created_at=1000.5,
    last_active_at=2000.25,
    description="all of them",
    metadata={"team": "blue"},
    expires_after_days=7,
    files={
        "file-1": CollectionFile("file-1", 1001.0, None, {"year": 2024, "draft": False, "lang": "de", "x": 1.5}),
        "file-2": CollectionFile(
            "file-2", 1002.0, Chunking(400, 100), {}, "failed", FileFailure("invalid_file", "It is damaged."), 0
        ),
        "file-3": CollectionFile("file-3", 1003.0, Chunking(), {}, "indexed", None, 4096, "hash"),
    },
    batches=(Batch("vsfb_1", 1001.0, ("file-1", "file-2"), cancelled=True),),
    gone={"file-0": 999.0},
)


def made(collection_id: str, created_at: float = 1.0) -> Collection:
    return Collection(collection_id, collection_id, created_at, created_at)


async def test_a_collection_comes_back_as_it_was(stores: Stores) -> None:
    await stores.collections.create(ALICE, FULL)
    assert await stores.collections.get(ALICE, "vs_1") == FULL
    assert list((await stores.collections.get(ALICE, "vs_1")).files) == ["file-1", "file-2", "file-3"]


async def test_a_collection_survives_a_restart(engine: Stores, data_dir: Path) -> None:
    await engine.collections.create(ALICE, FULL)
    again = json_files.create(settings_for(data_dir))
    assert await again.collections.get(ALICE, "vs_1") == FULL
    await again.aclose()


async def test_collections_are_listed_newest_first(stores: Stores) -> None:
    for number in (2, 1, 3):
        await stores.collections.create(ALICE, made(f"vs_{number}", number))
    assert [each.id for each in await stores.collections.list_collections(ALICE)] == ["vs_3", "vs_2", "vs_1"]


async def test_a_change_is_seen_at_once(stores: Stores) -> None:
    await stores.collections.create(ALICE, FULL)
    changed = await stores.collections.change(ALICE, "vs_1", lambda now: replace(now, name="new"))
    assert changed == replace(FULL, name="new")
    assert await stores.collections.get(ALICE, "vs_1") == changed


async def test_a_change_that_fails_changes_nothing(stores: Stores) -> None:
    def refuse(now: Collection) -> Collection:
        raise InvalidRequest("no")

    await stores.collections.create(ALICE, FULL)
    with pytest.raises(InvalidRequest):
        await stores.collections.change(ALICE, "vs_1", refuse)
    assert await stores.collections.get(ALICE, "vs_1") == FULL


async def test_changes_at_the_same_time_are_all_kept(stores: Stores, tmp_path: Path) -> None:
    await stores.collections.create(ALICE, made("vs_1"))

    def with_file(number: int):  # type: ignore[no-untyped-def]
        return lambda now: now.with_file(CollectionFile(f"file-{number}", float(number)))

    await asyncio.gather(*(stores.collections.change(ALICE, "vs_1", with_file(n)) for n in range(20)))
    assert len((await stores.collections.get(ALICE, "vs_1")).files) == 20


async def test_two_processes_see_each_others_changes(engine: Stores, data_dir: Path) -> None:
    other = json_files.create(settings_for(data_dir))
    await engine.collections.create(ALICE, made("vs_1"))
    for n in range(6):
        store = (engine, other)[n % 2].collections
        await store.change(ALICE, "vs_1", lambda now, n=n: now.with_file(CollectionFile(f"file-{n}", 1.0)))
    assert len((await engine.collections.get(ALICE, "vs_1")).files) == 6
    await other.aclose()


async def test_a_deleted_collection_is_gone(stores: Stores) -> None:
    await stores.collections.create(ALICE, FULL)
    await stores.collections.delete(ALICE, "vs_1")
    assert await stores.collections.list_collections(ALICE) == []
    for attempt in (
        stores.collections.get(ALICE, "vs_1"),
        stores.collections.delete(ALICE, "vs_1"),
        stores.collections.change(ALICE, "vs_1", lambda now: now),
    ):
        with pytest.raises(NotFound):
            await attempt


@pytest.mark.parametrize("stranger", [BOB, ALICE_ELSEWHERE], ids=["same-tenant", "same-id-other-tenant"])
async def test_iso_1_iso_2_a_strangers_collection_is_like_a_missing_one(stores: Stores, stranger: Owner) -> None:
    await stores.collections.create(ALICE, FULL)
    for collection_id in ("vs_1", "vs_missing", "../x", "a\x00"):
        for attempt in (
            stores.collections.get(stranger, collection_id),
            stores.collections.delete(stranger, collection_id),
            stores.collections.change(stranger, collection_id, lambda now: replace(now, name="mine")),
        ):
            with pytest.raises(NotFound) as caught:
                await attempt
            assert caught.value.message == "There is no vector store with this id."
    assert await stores.collections.list_collections(stranger) == []
    assert await stores.collections.everyones(stranger) == []
    assert await stores.collections.get(ALICE, "vs_1") == FULL


async def test_the_server_sees_everyones_oldest_first(stores: Stores) -> None:
    await stores.collections.create(BOB, made("vs_b", 1.0))
    await stores.collections.create(ALICE, made("vs_a", 2.0))
    assert [(owner, each.id) for owner, each in await stores.collections.everyones(SERVER)] == [
        (BOB, "vs_b"),
        (ALICE, "vs_a"),
    ]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version":1,"id":"vs_2"}', b"\xff"])
async def test_a_damaged_collection_is_set_aside_and_the_others_stay(
    engine: Stores, data_dir: Path, content: bytes
) -> None:
    await engine.collections.create(ALICE, made("vs_1"))
    await engine.collections.create(ALICE, made("vs_2"))
    (data_dir / "collections" / ALICE.user / "vs_1.json").write_bytes(content)
    assert [each.id for each in await engine.collections.list_collections(ALICE)] == ["vs_2"]
    assert len(engine.damaged()) == 1 and "vs_1.json.damaged" in engine.damaged()[0]


def test_expiry_counts_from_the_last_use() -> None:
    now = time.time()
    collection = replace(FULL, last_active_at=now - 6 * 86_400)
    assert not collection.is_expired(now)
    assert collection.is_expired(now + 86_400)
    assert replace(collection, expires_after_days=None).expires_at is None


# ---- sharing ------------------------------------------------------------------------------------------


async def test_iso_1_a_collection_is_found_by_its_owner_and_by_those_it_is_shared_with(stores: Stores) -> None:
    await stores.collections.create(ALICE, FULL)
    assert await stores.collections.find(ALICE, "vs_1") == (ALICE, FULL)
    with pytest.raises(NotFound):
        await stores.collections.find(BOB, "vs_1")
    shared = await stores.collections.share(ALICE, "vs_1", [BOB.user, BOB.user, ALICE.user])
    assert shared == replace(FULL, readers=(BOB.user,))
    assert await stores.collections.find(BOB, "vs_1") == (ALICE, shared)
    assert await stores.collections.shared_with(BOB) == [(ALICE, shared)]
    assert await stores.collections.shared_with(ALICE) == []
    # Another tenant's user of the same id reads nothing.
    with pytest.raises(NotFound):
        await stores.collections.find(Owner("elsewhere", BOB.user), "vs_1")


async def test_iso_1_a_reader_can_neither_change_nor_delete_nor_share_on(stores: Stores) -> None:
    await stores.collections.create(ALICE, FULL)
    await stores.collections.share(ALICE, "vs_1", [BOB.user])
    for attempt in (
        stores.collections.get(BOB, "vs_1"),
        stores.collections.change(BOB, "vs_1", lambda now: replace(now, name="mine")),
        stores.collections.delete(BOB, "vs_1"),
        stores.collections.share(BOB, "vs_1", ["carol"]),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert (await stores.collections.get(ALICE, "vs_1")).readers == (BOB.user,)
    assert await stores.collections.list_collections(BOB) == []


@pytest.mark.parametrize("end", ["share", "delete"])
async def test_iso_1_sharing_ends_at_once(stores: Stores, end: str) -> None:
    await stores.collections.create(ALICE, FULL)
    await stores.collections.share(ALICE, "vs_1", [BOB.user])
    assert await stores.collections.find(BOB, "vs_1")
    if end == "share":
        await stores.collections.share(ALICE, "vs_1", [])
    else:
        await stores.collections.delete(ALICE, "vs_1")
    with pytest.raises(NotFound):
        await stores.collections.find(BOB, "vs_1")
    assert await stores.collections.shared_with(BOB) == []


async def test_iso_1_a_pointer_alone_opens_nothing(engine: Stores, data_dir: Path) -> None:
    """What a crash may leave behind, or a reader of another collection has: the owner's own file decides."""
    await engine.collections.create(ALICE, FULL)
    await engine.collections.share(ALICE, "vs_1", [BOB.user])
    (pointer,) = (data_dir / "collections" / BOB.user).iterdir()
    kept = pointer.read_bytes()
    await engine.collections.share(ALICE, "vs_1", [])
    pointer.write_bytes(kept)
    with pytest.raises(NotFound):
        await engine.collections.find(BOB, "vs_1")
    pointer.write_bytes(b"not json")
    with pytest.raises(NotFound):
        await engine.collections.find(BOB, "vs_1")


async def test_sharing_survives_a_restart(engine: Stores, data_dir: Path) -> None:
    await engine.collections.create(ALICE, FULL)
    await engine.collections.share(ALICE, "vs_1", [BOB.user])
    again = json_files.create(settings_for(data_dir))
    assert await again.collections.find(BOB, "vs_1") == (ALICE, replace(FULL, readers=(BOB.user,)))
    await again.aclose()
