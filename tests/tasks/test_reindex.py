"""An index is made again in the background: the old one serves until the new one takes its place."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.embeddings.known import KnownEmbedders
from backend.embeddings.port import Embedder
from backend.models.documents import PageText, embedder_of
from backend.models.errors import SettingsError, StorageFull
from backend.tasks.ingest_index import STAGED
from backend.vector_store.faiss import FaissVectorStore
from backend.vector_store.port import VectorStore
from tests.fakes.embedder import HashEmbedder
from tests.fakes.vector_store import InMemoryVectorStore
from tests.tasks.library import ALICE, BOB, Library
from tests.tasks.test_ingest import wait_until

TEXTS = {f"{n}.txt": f"Document {n} speaks of the number {n} and of horses." for n in range(6)}
NEW_DIMENSIONS = 32


@pytest.fixture(params=["fake", "faiss"])
def vectors(request: pytest.FixtureRequest, tmp_path: Path) -> VectorStore:
    return InMemoryVectorStore() if request.param == "fake" else FaissVectorStore(tmp_path / "vectors")


class Gated(HashEmbedder):
    """The new embedder: it embeds `free` calls, and then waits for `go`."""

    def __init__(self, free: int = 0) -> None:
        super().__init__("new", NEW_DIMENSIONS)
        self.free = free
        self.go = asyncio.Event()

    async def embed_documents(self, texts: Any) -> Any:
        if self.free <= 0:
            await self.go.wait()
        self.free -= 1
        return await super().embed_documents(texts)


def known(current: Embedder, *others: Embedder) -> KnownEmbedders:
    by_name = {each.name: each for each in others}

    def make(name: str) -> Embedder:
        if name not in by_name:
            raise SettingsError("It is not installed.")
        return by_name[name]

    return KnownEmbedders(current, make)


async def filled(tmp_path: Path, vectors: VectorStore) -> tuple[Library, list[str]]:
    """What an earlier process with another embedder left."""
    library = Library(tmp_path, vectors=vectors)
    ids = [await library.put(name, text) for name, text in TEXTS.items()]
    await library.aclose()
    return library, ids


def after(before: Library, tmp_path: Path, embedder: HashEmbedder, *others: Embedder, **values: object) -> Library:
    """The next process."""
    return Library(tmp_path, before.stores, before.vectors, embedder, embedders=known(embedder, *others), **values)


async def name_of(vectors: VectorStore) -> str:
    return embedder_of(await vectors.recipe(ALICE) or "")


async def waits_at(embedder: Gated) -> None:
    async def started() -> bool:
        return embedder.free <= 0

    await wait_until(started)


async def test_old_index_serves_until_the_new_one_is_complete(tmp_path: Path, vectors: VectorStore) -> None:
    before, ids = await filled(tmp_path, vectors)
    new = Gated(free=2)
    library = after(before, tmp_path, new, before.embedder)
    await library.ingest.resume()
    await waits_at(new)
    assert await name_of(vectors) == "hash" and await vectors.count(ALICE) == len(TEXTS)
    hits = await vectors.search(ALICE, await before.embedder.embed_query("number 3"), "number 3", 6)
    assert len(hits) == 6
    assert (library.ingest.reindex.status() or "").endswith("of 6 documents")
    new.go.set()
    await library.ingest.reindex.settled(ALICE)
    assert await name_of(vectors) == "new" and await vectors.count(ALICE) == len(TEXTS)
    assert library.ingest.reindex.status() is None
    assert await vectors.count(ALICE, collection=STAGED) == 0
    vector = await new.embed_query(TEXTS["3.txt"])
    assert vector.shape == (NEW_DIMENSIONS,)
    assert (await vectors.search(ALICE, vector, "number 3", 1))[0].chunk.file_id in ids
    await library.aclose()


async def test_splitting_that_changed_makes_the_chunks_again_from_the_stored_pages(
    tmp_path: Path, vectors: VectorStore
) -> None:
    before = Library(tmp_path, vectors=vectors)
    text = "\n\n".join(f"Paragraph {n} speaks of {n} horses and as many carts." for n in range(40))
    file_id = await before.put("long.txt", text)
    count = (await before.stores.documents.get(ALICE, file_id)).chunks
    await before.aclose()
    (tmp_path / file_id).unlink()  # its bytes are not needed
    library = Library(tmp_path, before.stores, vectors, chunk_size=100, chunk_overlap=0)
    await library.ingest.resume()
    assert await library.ingest.reindex.check(ALICE)
    await library.ingest.reindex.settled(ALICE)
    now = await before.stores.documents.get(ALICE, file_id)
    assert now.chunks == await vectors.count(ALICE) > count
    assert now.status == "ready" and not await library.ingest.reindex.due(ALICE)
    await library.aclose()


@pytest.mark.parametrize("at_hand", [True, False], ids=["old embedder at hand", "old embedder gone"])
async def test_documents_that_come_and_go_meanwhile_end_up_right(
    tmp_path: Path, vectors: VectorStore, at_hand: bool
) -> None:
    before, ids = await filled(tmp_path, vectors)
    new = Gated(free=2)
    library = after(before, tmp_path, new, *([before.embedder] if at_hand else []))
    await library.ingest.resume()
    await waits_at(new)
    deleted = [ids[0], ids[-1]]
    for file_id in deleted:
        await library.ingest.delete(ALICE, file_id)
    coming = await library.upload("new.txt", "A new document about ships.")
    new.go.set()
    states = [state async for state in library.ingest.events(ALICE, coming.file_id)]
    assert states[-1].status == "ready"
    await library.ingest.reindex.settled(ALICE)
    assert await name_of(vectors) == "new"
    for file_id in deleted:
        assert await vectors.chunks(ALICE, file_id) == []
    for file_id in [*ids[1:-1], coming.file_id]:
        assert len(await vectors.chunks(ALICE, file_id)) == 1
    assert await vectors.count(ALICE) == len(ids) - 1
    await library.aclose()


async def test_new_document_is_found_in_the_old_index_while_that_still_serves(
    tmp_path: Path, vectors: VectorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, _ = await filled(tmp_path, vectors)
    go = asyncio.Event()
    pages = before.stores.documents.pages

    async def gated(*arguments: Any) -> list[PageText]:
        await go.wait()
        return await pages(*arguments)

    monkeypatch.setattr(before.stores.documents, "pages", gated)
    library = after(before, tmp_path, HashEmbedder("new", NEW_DIMENSIONS), before.embedder)
    assert await library.ingest.reindex.check(ALICE)
    coming = await library.put("new.txt", "A new document about ships.")
    assert await name_of(vectors) == "hash"
    vector = await before.embedder.embed_query("document about ships")
    assert (await vectors.search(ALICE, vector, "document about ships", 1))[0].chunk.file_id == coming
    go.set()
    await library.ingest.reindex.settled(ALICE)
    assert await name_of(vectors) == "new" and len(await vectors.chunks(ALICE, coming)) == 1
    await library.aclose()


async def test_interrupted_in_the_middle_goes_on_with_what_is_staged(tmp_path: Path, vectors: VectorStore) -> None:
    before, _ = await filled(tmp_path, vectors)
    new = Gated(free=3)
    library = after(before, tmp_path, new, before.embedder)
    await library.ingest.resume()
    await waits_at(new)

    async def staged() -> bool:
        return await vectors.count(ALICE, collection=STAGED) >= 2

    await wait_until(staged)
    await library.aclose()
    assert await name_of(vectors) == "hash" and await vectors.count(ALICE) == len(TEXTS)
    again = HashEmbedder("new", NEW_DIMENSIONS)
    third = after(before, tmp_path, again, before.embedder)
    await third.ingest.resume()
    assert await third.ingest.reindex.check(ALICE)
    await third.ingest.reindex.settled(ALICE)
    assert await name_of(vectors) == "new" and await vectors.count(ALICE) == len(TEXTS)
    assert len(again.texts) <= len(TEXTS) - 2, "what was staged is not embedded again"
    await third.aclose()


async def test_document_deleted_by_another_process_meanwhile_does_not_come_back(
    tmp_path: Path, vectors: VectorStore
) -> None:
    before, ids = await filled(tmp_path, vectors)
    new = Gated(free=3)
    library = after(before, tmp_path, new, before.embedder)
    await library.ingest.resume()
    await waits_at(new)

    async def staged() -> bool:
        return await vectors.count(ALICE, collection=STAGED) >= 2

    await wait_until(staged)
    other = Library(tmp_path, before.stores, vectors)
    there = [file_id for file_id in ids if await vectors.chunks(ALICE, file_id, collection=STAGED)]
    await other.ingest.delete(ALICE, there[0])
    new.go.set()
    new.free = 100
    await library.ingest.reindex.settled(ALICE)
    assert await name_of(vectors) == "new"
    assert await vectors.chunks(ALICE, there[0]) == [] and await vectors.count(ALICE) == len(ids) - 1
    await library.aclose()
    await other.aclose()


class Refusing(InMemoryVectorStore):
    """Refuses to add to the staged index as long as `full`."""

    full = False

    async def add(self, *arguments: Any, collection: str = "", **named: Any) -> None:
        if self.full and collection == STAGED:
            raise StorageFull("The disk is full.")
        await super().add(*arguments, collection=collection, **named)


async def test_full_disk_leaves_the_old_one_serving_and_it_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    vectors = Refusing()
    before, _ = await filled(tmp_path, vectors)
    vectors.full = True
    library = after(before, tmp_path, HashEmbedder("new", NEW_DIMENSIONS), before.embedder)
    library.ingest.reindex.first_pause = 0.01

    async def told() -> bool:
        return "could not be made again (The disk is full.)" in caplog.text

    assert await library.ingest.reindex.check(ALICE)
    await wait_until(told)
    assert await name_of(vectors) == "hash" and await vectors.count(ALICE) == len(TEXTS)
    assert await vectors.count(ALICE, collection=STAGED) == 0
    vectors.full = False
    await library.ingest.reindex.settled(ALICE)
    assert await name_of(vectors) == "new" and await vectors.count(ALICE) == len(TEXTS)
    await library.aclose()


async def test_documents_of_an_older_server_are_read_again_where_their_bytes_are_there(tmp_path: Path) -> None:
    before, ids = await filled(tmp_path, InMemoryVectorStore())
    documents = before.stores.documents
    for file_id in ids[:2]:
        await documents.update(ALICE, replace(await documents.get(ALICE, file_id), reading=0))
        await documents.save_pages(ALICE, file_id, [PageText(None, "stale text")])
    (tmp_path / ids[1]).unlink()
    library = after(before, tmp_path, HashEmbedder("new", NEW_DIMENSIONS))
    assert await library.ingest.reindex.check(ALICE)
    await library.ingest.reindex.settled(ALICE)
    texts = [(await library.vectors.chunks(ALICE, file_id))[0].text for file_id in ids[:3]]
    assert texts == [TEXTS["0.txt"], "stale text", TEXTS["2.txt"]]
    await library.aclose()


async def test_remains_of_an_interrupted_one_are_removed_where_nothing_is_due(tmp_path: Path) -> None:
    before, _ = await filled(tmp_path, InMemoryVectorStore())
    chunks = await before.vectors.chunks(ALICE, next(iter(before.stores.documents.kept))[1])  # type: ignore[attr-defined]
    await before.vectors.add(ALICE, chunks, np.ones((len(chunks), 4), np.float32), "old", collection=STAGED)
    library = Library(tmp_path, before.stores, before.vectors)
    await library.ingest.resume()

    async def gone() -> bool:
        return await library.vectors.count(ALICE, collection=STAGED) == 0

    await wait_until(gone)
    assert await library.vectors.count(ALICE) == len(TEXTS)
    await library.aclose()


async def test_index_of_one_owner_says_nothing_of_anothers(tmp_path: Path) -> None:
    before, _ = await filled(tmp_path, InMemoryVectorStore())
    library = after(before, tmp_path, HashEmbedder("new", NEW_DIMENSIONS))
    theirs = await library.put("b.txt", "words of bob", owner=BOB)
    assert not await library.ingest.reindex.check(BOB) and await library.ingest.reindex.check(ALICE)
    await library.ingest.reindex.settled(ALICE)
    assert len(await library.vectors.chunks(BOB, theirs)) == 1
    await library.aclose()


async def test_embedders_are_made_once_and_closed_but_for_the_current_one() -> None:
    current, other = HashEmbedder("new"), HashEmbedder("old")
    made: list[str] = []

    def make(name: str) -> Embedder:
        made.append(name)
        if name != "old":
            raise SettingsError("It is not installed.")
        return other

    embedders = KnownEmbedders(current, make)
    assert await embedders.named("new") is current and made == []
    assert await embedders.named("old") is other and await embedders.named("old") is other
    assert await embedders.named("gone") is None and await embedders.named("") is None
    assert made == ["old", "gone"]
    await embedders.aclose()
    assert other.closed and not current.closed
