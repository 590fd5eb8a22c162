"""Collections: what has become of each file, batches, lists, searching, expiry, and whose they are."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.models.attribute_filters import filter_of
from backend.models.collections import ANYTHING, Chunking, SearchLimits
from backend.models.errors import InvalidRequest, NotFound
from backend.tasks.collection_views import Changes, Cursor, Draft, NewFile
from backend.vector_store.faiss import FaissVectorStore
from tests.tasks.library import ALICE, BOB, PNG, SMALL, Library

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


# ---- what has become of files -----------------------------------------------------------------------


async def test_a_file_is_as_far_as_its_document(library: Library) -> None:
    document = await library.upload("a.txt", LEAVE)
    view = await library.collections.create(ALICE, Draft(files=[NewFile(document.file_id)]))
    assert (view.status, view.counts["in_progress"], view.usage_bytes) == ("in_progress", 1, 0)
    view = await library.settled(view.collection.id)
    assert (view.status, view.counts["completed"], view.usage_bytes) == ("completed", 1, len(LEAVE))


@pytest.mark.parametrize("chunking", [None, SMALL], ids=["auto", "static"])
@pytest.mark.parametrize(
    ("name", "data", "purpose", "code"),
    [
        ("a.zip", b"PK\x03\x04", "user_data", "invalid_file"),
        ("a.png", PNG, "vision", "unsupported_file"),
        ("a.pdf", b"%PDF-1.4 broken", "user_data", "invalid_file"),
    ],
    ids=["unreadable kind", "image", "damaged"],
)
async def test_a_file_that_cannot_be_searched_says_why(
    library: Library, chunking: Chunking | None, name: str, data: bytes, purpose: str, code: str
) -> None:
    file_id = await library.put(name, data, purpose)
    shelf = await library.shelf(file_id, chunking=chunking)
    view = await library.done(shelf, file_id)
    assert view.status == "failed" and view.failure is not None
    assert view.failure.code == code and view.failure.message
    counts = (await library.collections.get(ALICE, shelf)).counts
    assert counts == {"in_progress": 0, "completed": 0, "failed": 1, "cancelled": 0, "total": 1}
    assert await found(library, shelf, "anything") == []


async def test_attributes_are_replaced_as_a_whole_and_kept_when_a_file_is_put_in_again(library: Library) -> None:
    file_id = await library.put("a.txt", LEAVE)
    shelf = await library.shelf(file_id)
    await library.collections.set_attributes(ALICE, shelf, file_id, {"a": 1, "b": "x"})
    view = await library.collections.set_attributes(ALICE, shelf, file_id, {"c": True})
    assert view.file.attributes == {"c": True}
    _, view = await library.collections.attach(ALICE, shelf, NewFile(file_id))
    assert view.file.attributes == {"c": True}
    _, view = await library.collections.attach(ALICE, shelf, NewFile(file_id, {}))
    assert view.file.attributes == {}


async def test_a_document_that_is_deleted_leaves_every_collection(library: Library) -> None:
    gone, stays = await library.put("a.txt", LEAVE), await library.put("b.txt", PARKING)
    shelves = [await library.shelf(gone, stays), await library.shelf(gone, stays, chunking=SMALL)]
    await library.ingest.delete(ALICE, gone)
    for shelf in shelves:
        view = await library.collections.get(ALICE, shelf)
        assert view.counts["total"] == 1 and list(view.collection.files) == [stays]
        assert await found(library, shelf, LEAVE) == [stays]
        assert await library.vectors.chunks(ALICE, gone, collection=shelf) == []


async def test_a_collection_that_is_deleted_leaves_its_documents(library: Library) -> None:
    file_id = await library.put("a.txt", LEAVE)
    shelf = await library.shelf(file_id, chunking=SMALL)
    await library.collections.delete(ALICE, shelf)
    assert await library.vectors.count(ALICE, collection=shelf) == 0
    assert await library.vectors.count(ALICE) == 1
    assert (await library.stores.documents.get(ALICE, file_id)).status == "ready"
    with pytest.raises(NotFound):
        await library.collections.get(ALICE, shelf)


async def test_a_file_that_is_taken_out_is_not_found_any_more(library: Library) -> None:
    file_id = await library.put("a.txt", LEAVE)
    for chunking in (None, SMALL):
        shelf = await library.shelf(file_id, chunking=chunking)
        await library.collections.detach(ALICE, shelf, file_id)
        assert await found(library, shelf, LEAVE) == []
        with pytest.raises(NotFound):
            await library.collections.file(ALICE, shelf, file_id)
        with pytest.raises(NotFound):
            await library.collections.detach(ALICE, shelf, file_id)


# ---- batches ------------------------------------------------------------------------------------------


async def test_a_batch_counts_its_own_files_alone(library: Library) -> None:
    ids = [await library.put(f"{n}.txt", f"text {n}") for n in range(3)]
    shelf = await library.shelf(ids[0])
    batch = await library.collections.attach_all(ALICE, shelf, [NewFile(i, {"n": 1}) for i in ids[1:]], "file_ids")
    assert (batch.status, batch.counts["completed"], batch.counts["total"]) == ("completed", 2, 2)
    page, _ = await library.collections.files_page(ALICE, shelf, Cursor(), batch_id=batch.batch.id)
    assert [view.file.file_id for view in page] == ids[:0:-1]
    assert (await library.collections.batch(ALICE, shelf, batch.batch.id)).counts == batch.counts
    with pytest.raises(NotFound):
        await library.collections.batch(ALICE, shelf, "vsfb_other")


async def test_cancelling_a_batch_gives_up_what_is_not_done(library: Library) -> None:
    ids = [await library.put(f"{n}.txt", f"text {n}") for n in range(3)]
    blocked = asyncio.Event()

    async def never(texts: list[str]) -> None:
        await blocked.wait()

    library.embedder.embed_documents = never  # type: ignore[method-assign, assignment]
    shelf = await library.shelf(ids[0])
    files = [NewFile(file_id, None, SMALL) for file_id in ids]
    batch = await library.collections.attach_all(ALICE, shelf, files, "file_ids")
    assert batch.status == "in_progress"
    batch = await library.collections.cancel_batch(ALICE, shelf, batch.batch.id)
    assert (batch.status, batch.counts["cancelled"]) == ("cancelled", 3)
    del library.embedder.embed_documents
    blocked.set()
    view = await library.settled(shelf)
    assert view.counts["cancelled"] == 3
    again = await library.collections.attach_all(ALICE, shelf, files, "file_ids")
    await library.settled(shelf)
    assert (await library.collections.batch(ALICE, shelf, again.batch.id)).counts["completed"] == 3


async def test_all_or_nothing_of_a_batch_is_put_in(library: Library) -> None:
    file_id = await library.put("a.txt", LEAVE)
    shelf = await library.shelf()
    for missing in ("file-missing", await library.put("b.txt", PARKING, owner=BOB)):
        with pytest.raises(NotFound) as caught:
            await library.collections.attach_all(ALICE, shelf, [NewFile(file_id), NewFile(missing)], "file_ids")
        assert (caught.value.message, caught.value.param) == ("There is no file with this id.", "file_ids")
    assert (await library.collections.get(ALICE, shelf)).counts["total"] == 0


# ---- lists --------------------------------------------------------------------------------------------


async def test_files_are_listed_by_cursor_status_and_order(library: Library) -> None:
    ids = [await library.put(f"{n}.txt", f"text {n}") for n in range(4)]
    broken = await library.put("a.zip", b"PK\x03\x04")
    shelf = await library.shelf(*ids, broken)
    page, more = await library.collections.files_page(ALICE, shelf, Cursor(2))
    assert ([view.file.file_id for view in page], more) == ([broken, ids[3]], True)
    page, more = await library.collections.files_page(ALICE, shelf, Cursor(9, after=ids[3]))
    assert ([view.file.file_id for view in page], more) == (ids[2::-1], False)
    page, _ = await library.collections.files_page(ALICE, shelf, Cursor(9, newest_first=False, after=ids[1]))
    assert [view.file.file_id for view in page] == [*ids[2:], broken]
    page, _ = await library.collections.files_page(ALICE, shelf, Cursor(), "failed")
    assert [view.file.file_id for view in page] == [broken]
    page, _ = await library.collections.files_page(ALICE, shelf, Cursor(2, after=broken), "completed")
    assert [view.file.file_id for view in page] == [ids[3], ids[2]]
    with pytest.raises(InvalidRequest):
        await library.collections.files_page(ALICE, shelf, Cursor(after="file-never"))


async def test_all_files_can_be_taken_out_page_by_page(library: Library) -> None:
    ids = [await library.put(f"{n}.txt", f"text {n}") for n in range(5)]
    shelf = await library.shelf(*ids)
    after, out = None, 0
    for _ in range(3):
        page, _ = await library.collections.files_page(ALICE, shelf, Cursor(2, after=after))
        for view in page:
            await library.collections.detach(ALICE, shelf, view.file.file_id)
        out, after = out + len(page), page[-1].file.file_id
    assert out == 5


async def test_all_collections_can_be_deleted_page_by_page(library: Library) -> None:
    for n in range(5):
        await library.collections.create(ALICE, Draft(f"shelf {n}"))
    after, out = None, 0
    for _ in range(3):
        page, _ = await library.collections.page(ALICE, Cursor(2, after=after))
        for view in page:
            await library.collections.delete(ALICE, view.collection.id)
        out, after = out + len(page), page[-1].collection.id
    assert out == 5


# ---- searching ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunking", [None, SMALL], ids=["auto", "static"])
async def test_only_the_collections_files_are_found_best_first_with_scores(
    library: Library, chunking: Chunking | None
) -> None:
    leave, parking = await library.put("a.txt", LEAVE), await library.put("b.txt", PARKING)
    outside = await library.put("c.txt", LEAVE + " And more of the annual leave of an employee.")
    shelf = await library.shelf(leave, parking, chunking=chunking)
    hits = await library.collections.search(ALICE, shelf, ["annual leave of an employee"], ANYTHING)
    assert [hit.chunk.file_id for hit in hits] == [leave, parking]
    assert all(0 <= hit.score <= 1 for hit in hits) and hits[0].score > 2 * hits[1].score
    assert outside not in [hit.chunk.file_id for hit in hits]


async def test_files_of_both_kinds_are_ranked_together(library: Library) -> None:
    leave, parking = await library.put("a.txt", LEAVE), await library.put("b.txt", PARKING)
    shelf = await library.shelf(leave)
    await library.collections.attach(ALICE, shelf, NewFile(parking, None, SMALL))
    await library.settled(shelf)
    assert await found(library, shelf, "annual leave of an employee") == [leave, parking]
    assert await found(library, shelf, "where do visitors park, at which gate") == [parking, leave]


async def test_a_score_does_not_depend_on_what_else_there_is(library: Library) -> None:
    file_id = await library.put("a.txt", LEAVE)
    alone, among = await library.shelf(file_id, chunking=SMALL), await library.shelf(file_id)
    (one,) = await library.collections.search(ALICE, alone, ["quantum chromodynamics lattice"], ANYTHING)
    (two,) = await library.collections.search(ALICE, among, ["quantum chromodynamics lattice"], ANYTHING)
    assert one.score == pytest.approx(two.score) and one.score < 0.2


async def test_several_queries_bring_the_best_of_each(library: Library) -> None:
    leave, parking = await library.put("a.txt", LEAVE), await library.put("b.txt", PARKING)
    canteen = await library.put("c.txt", CANTEEN)
    shelf = await library.shelf(leave, parking, canteen)
    limits = SearchLimits(max_results=2)
    assert set(await found(library, shelf, "annual leave of employees", "lunch canteen", limits=limits)) == {
        leave,
        canteen,
    }


async def test_filters_threshold_and_number_narrow_a_search(library: Library) -> None:
    leave, parking = await library.put("a.txt", LEAVE), await library.put("b.txt", PARKING)
    shelf = await library.shelf(leave, parking)
    await library.collections.set_attributes(ALICE, shelf, leave, {"year": 2023})
    await library.collections.set_attributes(ALICE, shelf, parking, {"year": 2024})
    wanted = filter_of({"type": "gte", "key": "year", "value": 2024})
    (hit,) = await library.collections.search(ALICE, shelf, ["annual leave"], SearchLimits(wanted))
    assert (hit.chunk.file_id, hit.attributes) == (parking, {"year": 2024})
    assert await found(library, shelf, "annual leave", limits=SearchLimits(max_results=1)) == [leave]
    assert await found(library, shelf, "annual leave of an employee", limits=SearchLimits(threshold=0.3)) == [leave]
    assert await found(library, shelf, "annual leave", limits=SearchLimits(threshold=1.0)) == []


# ---- expiry -------------------------------------------------------------------------------------------


async def test_an_expired_collection_stays_known_and_is_of_no_more_use(library: Library) -> None:
    file_id = await library.put("a.txt", LEAVE)
    shelf = await library.shelf(file_id, chunking=SMALL)
    await library.collections.update(ALICE, shelf, Changes(sets_expiry=True, expires_after_days=1))
    await library.stores.collections.change(ALICE, shelf, lambda now: replace(now, last_active_at=1.0))
    view = await library.collections.get(ALICE, shelf)
    assert view.status == "expired"
    for attempt in (
        library.collections.search(ALICE, shelf, ["x"], ANYTHING),
        library.collections.attach(ALICE, shelf, NewFile(file_id)),
        library.collections.resolve(ALICE, [shelf]),
        library.collections.update(ALICE, shelf, Changes(name="x")),
    ):
        with pytest.raises(InvalidRequest) as caught:
            await attempt
        assert caught.value.code == "vector_store_expired"
    await library.collections.sweep()
    assert await library.vectors.count(ALICE, collection=shelf) == 0
    assert (await library.collections.get(ALICE, shelf)).counts["total"] == 0
    assert (await library.stores.documents.get(ALICE, file_id)).status == "ready"
    await library.collections.delete(ALICE, shelf)


async def test_searching_puts_the_expiry_off(library: Library) -> None:
    shelf = await library.shelf()
    await library.stores.collections.change(ALICE, shelf, lambda now: replace(now, last_active_at=5.0))
    await library.collections.search(ALICE, shelf, ["x"], ANYTHING)
    assert (await library.collections.get(ALICE, shelf)).collection.last_active_at > 1e9


# ---- owners -------------------------------------------------------------------------------------------


async def test_iso_2_iso_3_a_strangers_collection_is_like_a_missing_one(library: Library) -> None:
    file_id = await library.put("a.txt", LEAVE)
    shelf = await library.shelf(file_id)
    batch = (await library.collections.attach_all(ALICE, shelf, [NewFile(file_id)], "file_ids")).batch.id
    theirs = await library.put("b.txt", PARKING, owner=BOB)
    own = await library.shelf(owner=BOB)
    calls = library.collections
    for collection_id in (shelf, "vs_missing", "../x"):
        for attempt in (
            calls.get(BOB, collection_id),
            calls.update(BOB, collection_id, Changes(name="x")),
            calls.delete(BOB, collection_id),
            calls.resolve(BOB, [collection_id]),
            calls.attach(BOB, collection_id, NewFile(theirs)),
            calls.attach_all(BOB, collection_id, [NewFile(theirs)], "file_ids"),
            calls.file(BOB, collection_id, file_id),
            calls.set_attributes(BOB, collection_id, file_id, {}),
            calls.detach(BOB, collection_id, file_id),
            calls.content(BOB, collection_id, file_id),
            calls.files_page(BOB, collection_id, Cursor()),
            calls.batch(BOB, collection_id, batch),
            calls.cancel_batch(BOB, collection_id, batch),
            calls.search(BOB, collection_id, ["x"], ANYTHING),
        ):
            with pytest.raises(NotFound) as caught:
                await attempt
            assert caught.value.message == "There is no vector store with this id."
    for foreign in (file_id, "file-missing"):
        with pytest.raises(NotFound) as caught:
            await calls.attach(BOB, own, NewFile(foreign))
        assert caught.value.message == "There is no file with this id."
        with pytest.raises(NotFound):
            await calls.create(BOB, Draft(files=[NewFile(foreign)]))
    assert len((await calls.page(BOB, Cursor()))[0]) == 1
    assert (await calls.get(ALICE, shelf)).counts["completed"] == 1
