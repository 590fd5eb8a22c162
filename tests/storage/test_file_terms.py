"""What files are for, how long they stay, and their pages by cursor."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backend.models.documents import Document, PageText, Terms
from backend.models.errors import InvalidRequest, NotFound
from backend.models.run import SERVER, Owner
from backend.storage.stores import Stores
from tests.storage.samples import ALICE, BOB, parts

OVER = Terms(lifetime=-1.0)
"""Expired as soon as it is there."""


async def put(
    stores: Stores, data: bytes, terms: Terms | None = None, owner: Owner = ALICE, name: str = "a.txt"
) -> Document:
    return await stores.documents.receive(owner, name, parts(data), 1000, lambda: terms or Terms())


async def ids(stores: Stores, **wanted: object) -> list[str]:
    documents, _ = await stores.documents.list_after(ALICE, **wanted)  # type: ignore[arg-type]
    return [document.file_id for document in documents]


async def test_terms_are_asked_when_all_bytes_have_come(stores: Stores) -> None:
    told: list[Terms] = []

    async def content():  # type: ignore[no-untyped-def]
        yield b"first"
        told.append(Terms("vision", 7200.0))

    document = await stores.documents.receive(ALICE, "a.png", content(), 1000, lambda: told[0])
    assert document.purpose == "vision"
    assert document.expires_at == pytest.approx(document.created_at + 7200)
    assert await stores.documents.get(ALICE, document.file_id) == document


async def test_refused_terms_leave_nothing(stores: Stores) -> None:
    def refuse() -> Terms:
        raise InvalidRequest("no", param="purpose")

    with pytest.raises(InvalidRequest):
        await stores.documents.receive(ALICE, "a.txt", parts(b"x"), 1000, refuse)
    assert await ids(stores) == []


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("assistants", "user_data", True),
        ("user_data", "assistants", True),
        ("assistants", "batch", False),
        ("batch", "user_data", False),
        ("batch", "batch", True),
        ("vision", "batch", False),
    ],
)
async def test_same_bytes_for_another_purpose(stores: Stores, first: str, second: str, same: bool) -> None:
    one = await put(stores, b"same", Terms(first))
    two = await put(stores, b"same", Terms(second))
    assert (one.file_id == two.file_id) is same
    assert (await stores.documents.get(ALICE, one.file_id)).purpose == first


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [(None, 3600.0, None), (3600.0, None, None), (3600.0, 7200.0, 7200.0), (7200.0, 3600.0, 7200.0)],
    ids=["never-then-soon", "soon-then-never", "soon-then-late", "late-then-soon"],
)
async def test_of_two_times_of_expiry_the_later_one_counts(
    stores: Stores, first: float | None, second: float | None, kept: float | None
) -> None:
    one = await put(stores, b"same", Terms(lifetime=first))
    await put(stores, b"same", Terms(lifetime=second))
    expires_at = (await stores.documents.get(ALICE, one.file_id)).expires_at
    assert expires_at == (None if kept is None else pytest.approx(one.created_at + kept, abs=5))


async def test_an_expired_file_is_as_if_deleted(stores: Stores) -> None:
    stays = await put(stores, b"stays")
    over = await put(stores, b"over")
    await stores.documents.update(ALICE, replace(over, status="ready", expires_at=over.created_at))
    assert await ids(stores) == [stays.file_id]
    assert await stores.documents.list_documents(ALICE) == ([stays], 1)
    assert await stores.documents.ready_names(ALICE) == ()
    assert await stores.documents.get_many(ALICE, [over.file_id, stays.file_id]) == {stays.file_id: stays}
    assert await stores.documents.unfinished(SERVER) == [(ALICE, stays)]
    for attempt in (
        stores.documents.get(ALICE, over.file_id),
        stores.documents.path(ALICE, over.file_id),
        stores.documents.pages(ALICE, over.file_id),
        stores.documents.page_text(ALICE, over.file_id, 1),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_expired_files_are_told_to_the_server_until_they_are_deleted(stores: Stores) -> None:
    over = await put(stores, b"over", OVER)
    await put(stores, b"stays")
    assert [(owner, each.file_id) for owner, each in await stores.documents.expired(SERVER)] == [(ALICE, over.file_id)]
    assert await stores.documents.expired(BOB) == []
    await stores.documents.delete(ALICE, over.file_id)
    assert await stores.documents.expired(SERVER) == []


async def test_bytes_of_an_expired_file_make_a_new_one(stores: Stores) -> None:
    over = await put(stores, b"same", OVER)
    again = await put(stores, b"same")
    assert again.file_id != over.file_id
    assert await ids(stores) == [again.file_id]


async def test_files_come_newest_first_or_oldest_first_from_the_cursor_on(stores: Stores) -> None:
    made = [(await put(stores, b"%d" % n)).file_id for n in range(5)]
    newest = made[::-1]
    assert await ids(stores) == newest
    assert await ids(stores, newest_first=False) == made
    assert await ids(stores, after=newest[1], limit=2) == newest[2:4]
    assert await ids(stores, after=made[1], newest_first=False) == made[2:]
    assert await ids(stores, after=newest[-1]) == []


async def test_paging_ends_and_says_when_there_is_more(stores: Stores) -> None:
    for n in range(5):
        await put(stores, b"%d" % n)
    seen: list[str] = []
    more = True
    while more:
        page, more = await stores.documents.list_after(ALICE, limit=2, after=seen[-1] if seen else None)
        seen += [document.file_id for document in page]
    assert seen == await ids(stores)


async def test_each_page_may_be_deleted_before_the_next_is_asked_for(stores: Stores) -> None:
    for n in range(5):
        await put(stores, b"%d" % n)
    after, count = None, 0
    for _ in range(3):
        page, _ = await stores.documents.list_after(ALICE, limit=2, after=after)
        for document in page:
            await stores.documents.delete(ALICE, document.file_id)
        count, after = count + len(page), page[-1].file_id
    assert count == 5


async def test_files_are_filtered_by_purpose(stores: Stores) -> None:
    one = await put(stores, b"1", Terms("batch"))
    await put(stores, b"2", Terms("user_data"))
    assert await ids(stores, purpose="batch") == [one.file_id]
    assert await ids(stores, purpose="evals") == []


@pytest.mark.parametrize("after", ["file-nothing", "x" * 5000, "../..", "", "file-" + "0" * 32])
async def test_cursors_that_never_were_ids_are_refused(stores: Stores, after: str) -> None:
    await put(stores, b"1")
    with pytest.raises(InvalidRequest) as caught:
        await stores.documents.list_after(ALICE, after=after)
    assert caught.value.param == "after"


async def test_names_can_be_limited_to_some_files(stores: Stores) -> None:
    for n in range(3):
        document = await put(stores, b"%d" % n, name=f"{n}.txt")
        await stores.documents.update(ALICE, replace(document, status="ready"))
    assert await stores.documents.ready_names(ALICE, files={document.file_id}) == ("2.txt",)
    assert await stores.documents.ready_names(ALICE, files=()) == ()


async def test_all_pages_come_in_order(stores: Stores) -> None:
    document = await put(stores, b"1")
    assert await stores.documents.pages(ALICE, document.file_id) == []
    pages = [PageText(1, "one"), PageText(2, "two")]
    await stores.documents.save_pages(ALICE, document.file_id, pages)
    assert await stores.documents.pages(ALICE, document.file_id) == pages
    with pytest.raises(NotFound):
        await stores.documents.pages(BOB, document.file_id)


async def test_iso_2_a_cursor_of_another_owner_tells_nothing(stores: Stores) -> None:
    foreign = await put(stores, b"1", owner=BOB)
    mine = await put(stores, b"2")
    assert await ids(stores, after=foreign.file_id) in ([], [mine.file_id])
