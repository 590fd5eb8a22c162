"""Collections with an index of their own: made in the background, whole, and again after whatever went wrong."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.models.collections import ANYTHING, Chunking, Collection, SearchLimits
from backend.models.documents import embedder_of
from backend.models.errors import StorageFull, UpstreamUnreachable
from backend.tasks.collection_index import PIECE_CHARS
from backend.tasks.collection_views import Draft, NewFile
from backend.tools.collection_search import PIECES
from backend.vector_store.faiss import FaissVectorStore
from tests.fakes.embedder import HashEmbedder
from tests.tasks.library import ALICE, SMALL, Library

LEAVE = "Every employee has twenty-seven days of annual leave."
PARKING = "Visitors park behind the north gate."
CANTEEN = "The canteen serves lunch from noon until two."
CODES = [hashlib.sha256(b"%d" % n).hexdigest()[:6] for n in range(120)]
LONG = "\n\n".join(
    f"Rule {n}: what is called {code} is stored in the hall behind the gate." for n, code in enumerate(CODES)
)


@pytest.fixture(params=["fake", "faiss"])
async def library(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Library]:
    vectors = FaissVectorStore(tmp_path / "vectors") if request.param == "faiss" else None
    library = Library(tmp_path / "files", vectors=vectors)
    yield library
    await library.aclose()


async def found(library: Library, shelf: str, *queries: str, limits: SearchLimits = ANYTHING) -> list[str]:
    """File ids, best first."""
    hits = await library.collections.search(ALICE, shelf, queries, limits)
    return [hit.chunk.file_id for hit in hits]


async def test_chunks_have_the_size_asked_for_and_the_whole_of_them_is_embedded(library: Library) -> None:
    file_id = await library.put("rules.txt", LONG)
    library.embedder.texts.clear()
    shelf = await library.shelf(file_id, chunking=Chunking(500, 100))
    assert max(map(len, library.embedder.texts)) <= PIECE_CHARS
    texts = await library.collections.content(ALICE, shelf, file_id)
    assert all(PIECE_CHARS < len(text) <= 2000 for text in texts[:-1])
    for code in CODES[::7]:
        (best, *_) = await library.collections.search(ALICE, shelf, [code], ANYTHING)
        assert code in best.chunk.text and best.chunk.text in texts


async def test_a_chunk_is_found_once_however_many_of_its_pieces_fit(library: Library) -> None:
    file_id = await library.put("a.txt", "the same word " * 500)
    shelf = await library.shelf(file_id, chunking=Chunking(4096, 0))
    hits = await library.collections.search(ALICE, shelf, ["the same word"], ANYTHING)
    assert len(hits) == 1 and len(hits[0].chunk.text) > 4 * PIECE_CHARS


async def test_pieces_that_the_embedder_would_cut_are_halved(tmp_path: Path) -> None:
    class Narrow(HashEmbedder):
        def count_tokens(self, texts):  # type: ignore[no-untyped-def]
            return min(256, sum(map(len, texts)))

    library = Library(tmp_path, embedder=Narrow(window=256))
    file_id = await library.put("a.txt", LONG)
    library.embedder.texts.clear()
    shelf = await library.shelf(file_id, chunking=Chunking(1000, 0))
    assert max(map(len, library.embedder.texts)) < 256
    assert "".join(await library.collections.content(ALICE, shelf, file_id)) == LONG
    assert max(chunk.index % PIECES for chunk in await library.vectors.chunks(ALICE, file_id, collection=shelf)) > 10
    await library.aclose()


async def test_pieces_know_their_place_and_are_embedded_with_their_headings(tmp_path: Path) -> None:
    library = Library(tmp_path)
    text = f"# House\n\n{'Rooms are warm. ' * 60}\n\n## Garden\n\n{'Roses are red. ' * 60}\n"
    file_id = await library.put("a.md", text)
    library.embedder.texts.clear()
    shelf = await library.shelf(file_id, chunking=Chunking(100, 0))
    (page,) = await library.stores.documents.pages(ALICE, file_id)
    chunks = await library.vectors.chunks(ALICE, file_id, collection=shelf)
    assert page.form == "markdown" and len(chunks) > 4
    for chunk in chunks:
        assert page.text[chunk.start : chunk.end] == chunk.text
        assert chunk.line == page.text.count("\n", 0, chunk.start) + 1
    assert chunks[-1].heading == ("House", "Garden")
    assert any(text.startswith("House > Garden\nRoses") or "House > Garden" in text for text in library.embedder.texts)
    await library.aclose()


async def test_an_index_made_in_an_older_way_is_made_again_at_the_start(library: Library) -> None:
    file_id = await library.put("a.txt", LEAVE)
    shelf = await library.shelf(file_id, chunking=SMALL)

    def older(collection: Collection) -> Collection:
        return collection.with_file(replace(collection.files[file_id], embedder=library.embedder.name))

    await library.stores.collections.change(ALICE, shelf, older)
    other = Library(Path("unused"), library.stores, library.vectors, library.embedder)
    await other.collections.resume()
    await other.collections.idle(ALICE, shelf)
    assert (await other.done(shelf, file_id)).file.embedder.startswith("blocks-")
    await other.aclose()


async def test_another_splitting_makes_the_index_again(library: Library) -> None:
    file_id = await library.put("rules.txt", LONG)
    shelf = await library.shelf(file_id, chunking=Chunking(100, 0))
    small = await library.collections.content(ALICE, shelf, file_id)
    await library.collections.attach(ALICE, shelf, NewFile(file_id, None, Chunking(1000, 0)))
    await library.settled(shelf)
    large = await library.collections.content(ALICE, shelf, file_id)
    assert len(large) < len(small) / 5
    assert "".join(large) == "".join(small) == LONG


async def test_what_a_stopped_process_left_half_done_is_done_again(library: Library) -> None:
    file_id = await library.put("rules.txt", LONG)
    reached, go_on = asyncio.Event(), asyncio.Event()
    embed = library.embedder.embed_documents

    async def slow(texts: list[str]):  # type: ignore[no-untyped-def]
        vectors = await embed(texts)
        if len(texts) > 1:
            reached.set()
            await go_on.wait()
        return vectors

    library.embedder.embed_documents = slow  # type: ignore[method-assign, assignment]
    view = await library.collections.create(ALICE, Draft(files=[NewFile(file_id, None, Chunking(100, 0))]))
    shelf = view.collection.id
    await reached.wait()
    await library.aclose()
    assert (await library.collections.file(ALICE, shelf, file_id)).status == "in_progress"
    del library.embedder.embed_documents
    again = Library(Path("unused"), library.stores, library.vectors, library.embedder)
    await again.collections.resume()
    assert (await again.done(shelf, file_id)).status == "completed"
    assert "".join(await again.collections.content(ALICE, shelf, file_id)) == LONG
    await again.aclose()


async def test_an_index_of_another_embedder_is_made_again_at_the_start(library: Library) -> None:
    file_id = await library.put("a.txt", LEAVE)
    shelf = await library.shelf(file_id, chunking=SMALL)
    other = Library(Path("unused"), library.stores, library.vectors, HashEmbedder("other", 32))
    await other.collections.resume()
    await other.collections.idle(ALICE, shelf)
    assert embedder_of((await other.done(shelf, file_id)).file.embedder) == "other"
    recipe = await library.vectors.recipe(ALICE, collection=shelf)
    assert recipe is not None and embedder_of(recipe) == "other"
    await other.aclose()


async def test_an_index_that_was_damaged_is_made_again_when_it_is_searched(tmp_path: Path) -> None:
    library = Library(tmp_path / "files", vectors=FaissVectorStore(tmp_path / "vectors"))
    file_id = await library.put("a.txt", LEAVE)
    shelf = await library.shelf(file_id, chunking=SMALL)
    folder = tmp_path / "vectors" / ALICE.user / "collections" / shelf
    for part in folder.glob("0*/*"):
        part.write_bytes(b"rubbish\n")
    again = Library(tmp_path / "files", library.stores, FaissVectorStore(tmp_path / "vectors"), library.embedder)
    assert await found(again, shelf, "annual leave") == []
    await again.collections.idle(ALICE, shelf)
    assert await found(again, shelf, "annual leave") == [file_id]
    await library.aclose()
    await again.aclose()


async def test_the_old_index_serves_until_the_new_one_is_whole(library: Library) -> None:
    kept, gone = await library.put("a.txt", LEAVE), await library.put("b.txt", PARKING)
    shelf = await library.shelf(kept, gone, chunking=SMALL)
    reached, go_on = asyncio.Event(), asyncio.Event()
    embedder = HashEmbedder("other", 32)
    embed = embedder.embed_documents

    async def slow(texts: list[str]):  # type: ignore[no-untyped-def]
        reached.set()
        await go_on.wait()
        return await embed(texts)

    embedder.embed_documents = slow  # type: ignore[method-assign, assignment]
    other = Library(Path("unused"), library.stores, library.vectors, embedder)
    await other.collections.resume()
    await reached.wait()
    assert (await found(library, shelf, "annual leave"))[0] == kept
    assert (await found(library, shelf, "visitors park"))[0] == gone
    assert (await other.collections.get(ALICE, shelf)).status == "completed"
    # What is taken out meanwhile does not come back with the new index.
    await other.collections.detach(ALICE, shelf, gone)
    go_on.set()
    await other.collections.idle(ALICE, shelf)
    del embedder.embed_documents
    assert await found(other, shelf, "annual leave") == [kept]
    assert await library.vectors.chunks(ALICE, gone, collection=shelf) == []
    assert await library.vectors.recipe(ALICE, collection=f"renew-{shelf}") is None
    await other.aclose()


async def test_a_disk_that_refuses_the_new_index_leaves_the_old_one(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    file_id = await library.put("a.txt", LEAVE)
    shelf = await library.shelf(file_id, chunking=SMALL)
    other = Library(Path("unused"), library.stores, library.vectors, HashEmbedder("other", 32))

    async def full(*_: object, **__: object) -> None:
        raise StorageFull("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(library.vectors, "add", full)
        await other.collections.resume()
        await other.collections.idle(ALICE, shelf)
    assert await found(library, shelf, "annual leave") == [file_id]
    assert await library.vectors.recipe(ALICE, collection=f"renew-{shelf}") is None
    await other.aclose()


async def test_an_embedder_that_fails_fails_the_file_alone_and_it_can_be_put_in_again(library: Library) -> None:
    file_id = await library.put("a.txt", LEAVE)
    library.embedder.error = UpstreamUnreachable("Ollama is away.")
    shelf = await library.shelf(file_id, chunking=SMALL)
    view = await library.done(shelf, file_id)
    assert view.failure is not None
    assert (view.status, view.failure.code, view.failure.message) == ("failed", "server_error", "Ollama is away.")
    library.embedder.error = None
    await library.collections.attach(ALICE, shelf, NewFile(file_id, None, SMALL))
    assert (await library.done(shelf, file_id)).status == "completed"


async def test_files_put_in_while_the_index_is_made_are_indexed_too(library: Library) -> None:
    ids = [await library.put(f"{n}.txt", f"Text number{n} about subject{n}.") for n in range(12)]
    shelf = (await library.collections.create(ALICE, Draft())).collection.id
    for file_id in ids:
        await library.collections.attach(ALICE, shelf, NewFile(file_id, None, SMALL))
        await asyncio.sleep(0)
    view = await library.settled(shelf)
    assert view.counts["completed"] == 12


async def test_deleting_everything_while_it_is_indexed_leaves_nothing(library: Library) -> None:
    ids = [await library.put(f"{n}.txt", f"{LONG} {n}") for n in range(3)]
    files = [NewFile(file_id, None, Chunking(100, 50)) for file_id in ids]
    shelf = (await library.collections.create(ALICE, Draft(files=files))).collection.id
    await asyncio.sleep(0.02)
    await library.ingest.delete(ALICE, ids[0])
    await library.collections.detach(ALICE, shelf, ids[1])
    await library.settled(shelf)
    for file_id in ids[:2]:
        assert await library.vectors.chunks(ALICE, file_id, collection=shelf) == []
    await library.collections.attach(ALICE, shelf, NewFile(ids[1], None, Chunking(100, 50)))
    await library.collections.delete(ALICE, shelf)
    await asyncio.sleep(0.02)
    assert await library.vectors.count(ALICE, collection=shelf) == 0


async def test_two_processes_that_index_the_same_file_leave_it_whole(library: Library) -> None:
    file_id = await library.put("rules.txt", LONG)
    shelf = (await library.collections.create(ALICE, Draft(files=[NewFile(file_id, None, SMALL)]))).collection.id
    others = [Library(Path("unused"), library.stores, library.vectors, library.embedder) for _ in range(3)]
    for other in others:
        await other.collections.resume()
    jobs = {job for job in asyncio.all_tasks() if job is not asyncio.current_task()}
    assert len(jobs) > 1
    await asyncio.wait(jobs, timeout=20)
    texts = await library.collections.content(ALICE, shelf, file_id)
    assert all(code in " ".join(texts) for code in CODES)
    assert (await library.collections.file(ALICE, shelf, file_id)).status == "completed"


async def test_a_file_whose_record_is_damaged_is_not_taken_out(library: Library) -> None:
    file_id = await library.put("a.txt", LEAVE)
    shelf = await library.shelf(file_id, chunking=SMALL)
    document = library.stores.documents.kept.pop((ALICE, file_id))  # type: ignore[attr-defined]
    await library.collections.sweep()
    assert (await library.collections.get(ALICE, shelf)).counts["total"] == 0
    library.stores.documents.kept[ALICE, file_id] = document  # type: ignore[attr-defined]
    assert (await library.collections.get(ALICE, shelf)).counts["completed"] == 1
