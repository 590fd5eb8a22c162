from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.models.documents import Document, PageText
from backend.models.errors import InvalidRequest, NotFound, TooLarge, UnsupportedFile
from backend.models.run import SERVER
from backend.storage import json_files
from backend.storage.document_store import Quota
from backend.storage.stores import Stores
from tests.storage.samples import ALICE, BOB, parts, settings_for, upload


async def test_received_bytes_are_registered_as_uploaded(stores: Stores) -> None:
    pieces = [b"a" * 100_000, b"", b"b" * 300_000, b"c"]
    document = await stores.documents.receive(ALICE, "Report.pdf", parts(*pieces), 1_000_000)
    data = b"".join(pieces)
    assert (await stores.documents.path(ALICE, document.file_id)).read_bytes() == data
    assert document.size == len(data) and document.sha256 == hashlib.sha256(data).hexdigest()
    assert (document.status, document.filename) == ("uploaded", "Report.pdf")
    assert document.content_type == "application/octet-stream"
    assert await stores.documents.get(ALICE, document.file_id) == document
    assert await stores.documents.list_documents(ALICE) == ([document], 1)


@pytest.mark.parametrize(
    "given, kept",
    [
        ("notes.txt", "notes.txt"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\plan.docx", "plan.docx"),
        ("a\x00b\r\nc\x1b.txt", "abc.txt"),
        ("inv\u202efdp.exe", "invfdp.exe"),
        ("  spaced name.md ", "spaced name.md"),
        ("", "document"),
        ("..", "document"),
        ("/", "document"),
        ("x" * 300 + ".pdf", "x" * 251 + ".pdf"),
        ("é" * 300, "é" * 255),
        ("a\ud800b.txt", "ab.txt"),
    ],
)
async def test_fs_1_file_name_is_cleaned_text_and_never_a_path(stores: Stores, given: str, kept: str) -> None:
    document = await upload(stores, ALICE, b"data", given)
    assert document.filename == kept
    path = await stores.documents.path(ALICE, document.file_id)
    assert path.name == document.file_id


async def test_empty_upload_is_refused_and_leaves_nothing(stores: Stores) -> None:
    with pytest.raises(InvalidRequest):
        await stores.documents.receive(ALICE, "x.txt", parts(b"", b""), 100)
    assert await stores.documents.list_documents(ALICE) == ([], 0)


async def test_upload_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(stores: Stores) -> None:
    await stores.documents.receive(ALICE, "x.txt", parts(b"x" * 60, b"y" * 40), 100)
    with pytest.raises(TooLarge):
        await stores.documents.receive(ALICE, "y.txt", parts(b"x" * 60, b"z" * 41), 100)
    assert (await stores.documents.list_documents(ALICE))[1] == 1


async def test_upload_that_breaks_off_leaves_nothing(stores: Stores) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 300_000
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        await stores.documents.receive(ALICE, "x.txt", broken(), 1_000_000)
    assert await stores.documents.list_documents(ALICE) == ([], 0)


async def test_same_bytes_again_give_the_document_that_is_there(stores: Stores) -> None:
    first = await upload(stores, ALICE, b"same", "one.txt")
    await stores.documents.update(ALICE, replace(first, status="ready", chunks=3))
    again = await upload(stores, ALICE, b"same", "two.txt")
    assert (again.file_id, again.filename, again.status, again.chunks) == (first.file_id, "one.txt", "ready", 3)
    assert (await stores.documents.list_documents(ALICE))[1] == 1


async def test_same_bytes_of_another_owner_are_another_document(stores: Stores) -> None:
    mine = await upload(stores, ALICE, b"same")
    theirs = await upload(stores, BOB, b"same")
    assert mine.file_id != theirs.file_id


async def test_same_bytes_of_a_failed_document_start_over(stores: Stores) -> None:
    first = await upload(stores, ALICE, b"same", "one.txt")
    await stores.documents.save_pages(ALICE, first.file_id, [PageText(1, "old")])
    await stores.documents.update(ALICE, replace(first, status="failed", error="The file is encrypted."))
    again = await upload(stores, ALICE, b"same", "two.txt")
    assert (again.status, again.error, again.filename) == ("uploaded", None, "two.txt")
    assert await stores.documents.list_documents(ALICE) == ([again], 1)
    assert (await stores.documents.path(ALICE, again.file_id)).read_bytes() == b"same"
    with pytest.raises(NotFound):
        await stores.documents.page_text(ALICE, again.file_id, 1)


async def test_twenty_simultaneous_uploads_of_the_same_bytes_give_one_document(stores: Stores) -> None:
    documents = await asyncio.gather(*(upload(stores, ALICE, b"same" * 1000) for _ in range(20)))
    assert len({document.file_id for document in documents}) == 1
    assert (await stores.documents.list_documents(ALICE))[1] == 1


async def test_documents_are_listed_newest_first_and_paged(stores: Stores) -> None:
    documents = []
    for i in range(5):
        documents.append(await upload(stores, ALICE, f"data {i}".encode()))
        await asyncio.sleep(0.002)
    page, total = await stores.documents.list_documents(ALICE, page=2, limit=2)
    assert (page, total) == ([documents[2], documents[1]], 5)
    assert await stores.documents.list_documents(ALICE, page=9, limit=2) == ([], 5)


async def test_update_replaces_what_is_known(stores: Stores) -> None:
    document = await upload(stores, ALICE, b"data")
    changed = replace(document, status="ready", content_type="text/plain", pages=3, chunks=7, progress=1.0)
    await stores.documents.update(ALICE, changed)
    assert await stores.documents.get(ALICE, document.file_id) == changed


async def test_deleted_document_leaves_no_trace_and_cannot_be_updated(stores: Stores) -> None:
    document = await upload(stores, ALICE, b"data")
    await stores.documents.save_pages(ALICE, document.file_id, [PageText(1, "text")])
    path = await stores.documents.path(ALICE, document.file_id)
    await stores.documents.delete(ALICE, document.file_id)
    assert not [file.name for file in path.parent.iterdir() if document.file_id in file.name]
    assert await stores.documents.list_documents(ALICE) == ([], 0)
    for attempt in (
        stores.documents.get(ALICE, document.file_id),
        stores.documents.path(ALICE, document.file_id),
        stores.documents.page_text(ALICE, document.file_id, 1),
        stores.documents.update(ALICE, document),
        stores.documents.save_pages(ALICE, document.file_id, [PageText(1, "text")]),
        stores.documents.delete(ALICE, document.file_id),
    ):
        with pytest.raises(NotFound):
            await attempt
    again = await upload(stores, ALICE, b"data")
    assert again.status == "uploaded"


async def test_pages_come_back_by_number_and_the_first_without_one(stores: Stores) -> None:
    document = await upload(stores, ALICE, b"data")
    pages = [PageText(n, f"page {n} äöü\n" + "x" * 50_000) for n in range(1, 9)]
    await stores.documents.save_pages(ALICE, document.file_id, iter(pages))
    assert await stores.documents.page_text(ALICE, document.file_id, 7) == pages[6]
    assert await stores.documents.page_text(ALICE, document.file_id, None) == pages[0]
    with pytest.raises(NotFound):
        await stores.documents.page_text(ALICE, document.file_id, 9)


async def test_text_without_pages_is_the_first_page(stores: Stores) -> None:
    document = await upload(stores, ALICE, b"data")
    with pytest.raises(NotFound):
        await stores.documents.page_text(ALICE, document.file_id, None)
    await stores.documents.save_pages(ALICE, document.file_id, [PageText(None, "all of it")])
    assert (await stores.documents.page_text(ALICE, document.file_id, None)).text == "all of it"


async def test_pages_that_fail_half_way_leave_the_old_ones(stores: Stores) -> None:
    document = await upload(stores, ALICE, b"data")
    await stores.documents.save_pages(ALICE, document.file_id, [PageText(1, "old")])

    def broken() -> AsyncIterator[PageText]:
        yield PageText(1, "new")
        raise ValueError("unreadable")

    with pytest.raises(ValueError):
        await stores.documents.save_pages(ALICE, document.file_id, broken())  # type: ignore[arg-type]
    assert (await stores.documents.page_text(ALICE, document.file_id, 1)).text == "old"


async def test_ready_names_are_those_of_ready_documents_newest_first(stores: Stores) -> None:
    for i, status in enumerate(["ready", "failed", "ready", "processing"]):
        document = await upload(stores, ALICE, f"data {i}".encode(), f"file{i}.txt")
        await stores.documents.update(ALICE, replace(document, status=status))
        await asyncio.sleep(0.002)
    assert await stores.documents.ready_names(ALICE) == ("file2.txt", "file0.txt")
    assert await stores.documents.ready_names(ALICE, 1) == ("file2.txt",)
    assert await stores.documents.ready_names(BOB) == ()


async def test_unfinished_documents_of_all_owners_are_for_the_server_oldest_first(stores: Stores) -> None:
    first = await upload(stores, BOB, b"one")
    await asyncio.sleep(0.002)
    second = await upload(stores, ALICE, b"two")
    done = await upload(stores, ALICE, b"three")
    await stores.documents.update(ALICE, replace(done, status="ready"))
    processing = replace(second, status="processing")
    await stores.documents.update(ALICE, processing)
    assert await stores.documents.unfinished(SERVER) == [(BOB, first), (ALICE, processing)]
    assert await stores.documents.unfinished(ALICE) == [(ALICE, processing)]


async def receive(stores: Stores, data: bytes, quota: Quota) -> Document:
    return await stores.documents.receive(ALICE, "x.txt", parts(data), 1_000_000, quota=quota)


@pytest.mark.parametrize(
    ("quota", "words"),
    [(Quota(documents=2), "2 documents"), (Quota(bytes=1000), "MB together")],
    ids=["count", "bytes"],
)
async def test_up_5_full_quota_refuses_what_is_new_and_leaves_nothing(stores: Stores, quota: Quota, words: str) -> None:
    first = await receive(stores, b"a" * 400, quota)
    await receive(stores, b"b" * 600, quota)
    with pytest.raises(TooLarge, match=words) as refusal:
        await receive(stores, b"c", quota)
    assert refusal.value.code == "quota_exceeded"
    assert (await receive(stores, b"a" * 400, quota)).file_id == first.file_id
    assert (await stores.documents.list_documents(ALICE))[1] == 2
    folder = (await stores.documents.path(ALICE, first.file_id)).parent
    assert len([path for path in folder.rglob("*") if path.is_file() and path.read_bytes() == b"c"]) == 0
    await stores.documents.receive(BOB, "x.txt", parts(b"c"), 100, quota=quota)
    await stores.documents.delete(ALICE, first.file_id)
    assert (await receive(stores, b"c", quota)).status == "uploaded"


async def test_up_5_failed_document_takes_no_bytes_of_the_quota_and_may_start_over(stores: Stores) -> None:
    quota = Quota(documents=1, bytes=100)
    first = await receive(stores, b"x" * 100, quota)
    await stores.documents.update(ALICE, replace(first, status="failed", error="It is damaged."))
    assert (await receive(stores, b"x" * 100, quota)).file_id == first.file_id


async def test_up_5_uploads_at_once_never_exceed_the_quota(stores: Stores) -> None:
    quota = Quota(documents=5)
    ends = await asyncio.gather(
        *(receive(stores, f"data {n}".encode(), quota) for n in range(12)), return_exceptions=True
    )
    assert sum(isinstance(end, TooLarge) for end in ends) == 7
    assert (await stores.documents.list_documents(ALICE))[1] == 5


async def test_new_document_begins_in_the_state_it_is_given(stores: Stores) -> None:
    def begin(document: Document) -> Document:
        return replace(document, status="processing", content_type="text/plain")

    async def received() -> Document:
        return await stores.documents.receive(ALICE, "x.txt", parts(b"data"), 100, begin=begin)

    document = await received()
    assert (document.status, document.content_type) == ("processing", "text/plain")
    assert await stores.documents.get(ALICE, document.file_id) == document
    await stores.documents.update(ALICE, replace(document, status="ready"))
    assert (await received()).status == "ready", "what is there already does not begin again"


async def test_new_document_that_may_not_begin_leaves_nothing(stores: Stores) -> None:
    def refuse(document: Document) -> Document:
        raise UnsupportedFile("Nobody can read it.")

    with pytest.raises(UnsupportedFile):
        await stores.documents.receive(ALICE, "x.txt", parts(b"data"), 100, begin=refuse)
    assert await stores.documents.list_documents(ALICE) == ([], 0)


async def test_what_two_stores_of_one_folder_do_in_turn_is_seen_by_both(tmp_path: Path) -> None:
    one, other = (json_files.create(settings_for(tmp_path / "data")) for _ in range(2))
    for number in range(20):
        writer, reader = (one, other) if number % 2 else (other, one)
        document = await upload(writer, ALICE, f"data {number}".encode())
        assert (await reader.documents.get(ALICE, document.file_id)) == document
        await reader.documents.update(ALICE, replace(document, status="ready", chunks=number))
        assert (await writer.documents.get(ALICE, document.file_id)).chunks == number
        assert (await writer.documents.list_documents(ALICE))[1] == number + 1
        if number % 3 == 0:
            await reader.documents.update(ALICE, replace(document, status="failed"))
            assert (await writer.documents.get(ALICE, document.file_id)).status == "failed"
    for stores in (one, other):
        await stores.aclose()


async def test_owners_of_documents_are_told_to_the_server(stores: Stores) -> None:
    await upload(stores, ALICE, b"one")
    await upload(stores, BOB, b"two")
    assert set(await stores.documents.owners(SERVER)) == {ALICE, BOB}
