"""What becomes of an upload by its purpose and its kind, and of files whose time is over."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.models.documents import Terms
from backend.models.errors import InvalidRequest, NotFound, StorageFailed, TooLarge, UnsupportedFile
from backend.tasks.housekeeping import Housekeeping
from tests.tasks.library import ALICE, BOB, PNG, SMALL, Library, parts


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    library = Library(tmp_path)
    yield library
    await library.aclose()


@pytest.mark.parametrize(
    ("name", "data", "purpose", "status", "content_type"),
    [
        ("a.txt", b"plain text", "user_data", "ready", "text/plain"),
        ("a.txt", b"plain text", "assistants", "ready", "text/plain"),
        ("a.txt", b"plain text", "batch", "kept", "application/octet-stream"),
        ("a.jsonl", b'{"custom_id": "1"}', "batch", "kept", "application/octet-stream"),
        ("a.jsonl", b'{"messages": []}', "fine-tune", "kept", "application/octet-stream"),
        ("a.png", PNG, "vision", "kept", "image/png"),
        ("a.jpg", b"\xff\xd8\xff\xe0xx", "vision", "kept", "image/jpeg"),
        ("a.webp", b"RIFF\x00\x00\x00\x00WEBPVP8 ", "vision", "kept", "image/webp"),
        ("a.png", PNG, "user_data", "kept", "image/png"),
        ("a.png", PNG, "assistants", "failed", "application/octet-stream"),
        ("a.zip", b"PK\x03\x04", "user_data", "failed", "application/octet-stream"),
        ("a.zip", b"PK\x03\x04", "evals", "kept", "application/octet-stream"),
        ("a.pdf", b"no pdf", "user_data", "failed", "application/octet-stream"),
        ("a.html", PNG, "vision", "kept", "image/png"),
    ],
)
async def test_by_purpose_and_kind(
    library: Library, name: str, data: bytes, purpose: str, status: str, content_type: str
) -> None:
    file_id = await library.put(name, data, purpose)
    document = await library.stores.documents.get(ALICE, file_id)
    assert (document.status, document.content_type) == (status, content_type)
    if status == "kept":
        assert (await library.stores.documents.path(ALICE, file_id)).read_bytes() == data
        assert await library.vectors.count(ALICE) == 0
        assert await library.stores.documents.ready_names(ALICE) == ()
    if status == "failed":
        assert document.error
        with pytest.raises(NotFound):
            await library.stores.documents.path(ALICE, file_id)


async def test_without_being_told_to_a_refused_file_is_not_remembered(library: Library) -> None:
    with pytest.raises(UnsupportedFile):
        await library.ingest.upload(ALICE, "a.zip", parts(b"PK\x03\x04"))
    assert await library.stores.documents.list_documents(ALICE) == ([], 0)


async def test_the_same_bytes_kept_for_a_batch_are_read_when_they_are_for_reading(library: Library) -> None:
    kept = await library.put("a.txt", "some words", "batch")
    read = await library.put("a.txt", "some words", "user_data")
    assert kept != read
    assert (await library.stores.documents.get(ALICE, kept)).status == "kept"
    assert (await library.stores.documents.get(ALICE, read)).status == "ready"


async def test_a_file_that_was_to_be_kept_is_kept_after_a_restart(library: Library) -> None:
    document = await library.stores.documents.receive(ALICE, "a.png", parts(PNG), 1000, lambda: Terms("vision"))
    assert document.status == "uploaded"
    await library.ingest.resume()
    assert (await library.stores.documents.get(ALICE, document.file_id)).status == "kept"


async def test_sweeping_removes_every_trace_of_what_has_expired(library: Library) -> None:
    stays = await library.put("stays.txt", "These words stay.")
    over = await library.put("over.txt", "These words go.")
    shelf = await library.shelf(stays, over, chunking=SMALL)
    document = await library.stores.documents.get(ALICE, over)
    path = await library.stores.documents.path(ALICE, over)
    await library.stores.documents.update(ALICE, replace(document, expires_at=document.created_at))
    assert await library.ingest.sweep() == 1
    assert not path.exists()
    assert await library.vectors.chunks(ALICE, over) == []
    assert await library.vectors.chunks(ALICE, over, collection=shelf) == []
    assert list((await library.stores.collections.get(ALICE, shelf)).files) == [stays]
    assert await library.ingest.sweep() == 0


async def test_a_round_of_housekeeping_goes_on_after_what_the_disk_refuses() -> None:
    called: list[str] = []

    async def refuse() -> None:
        called.append("refused")
        raise StorageFailed("no")

    async def sweep() -> None:
        called.append("swept")

    keeping = Housekeeping([refuse, sweep])
    await keeping.sweep()
    assert called == ["refused", "swept"]
    keeping.start()
    await keeping.aclose()
    await keeping.aclose()


# ---- files in parts -------------------------------------------------------------------------------


async def announced(library: Library, *pieces: bytes, size: int | None = None) -> tuple[str, list[str]]:
    upload = await library.uploads.create(
        ALICE, "../big.txt", sum(map(len, pieces)) if size is None else size, Terms("user_data", 7200.0)
    )
    made = [await library.uploads.add_part(ALICE, upload.id, parts(piece)) for piece in pieces]
    return upload.id, [part.id for part in made]


async def test_parts_become_a_file_like_any_other(library: Library) -> None:
    upload_id, ids = await announced(library, b"second half.", b"First half, ")
    md5 = hashlib.md5(b"First half, second half.").hexdigest()
    upload, document = await library.uploads.complete(ALICE, upload_id, ids[::-1], md5.upper())
    assert (upload.status, upload.file_id) == ("completed", document.file_id)
    assert (document.filename, document.purpose, document.size) == ("big.txt", "user_data", 24)
    assert document.expires_at is not None
    assert (await library.stores.documents.path(ALICE, document.file_id)).read_bytes() == b"First half, second half."


async def test_completing_twice_gives_the_same_file(library: Library) -> None:
    upload_id, ids = await announced(library, b"some text")
    first = await library.uploads.complete(ALICE, upload_id, ids)
    again = await library.uploads.complete(ALICE, upload_id, ids)
    assert again[0] == first[0] and again[1].file_id == first[1].file_id


@pytest.mark.parametrize(
    ("change", "md5", "param"),
    [
        (lambda ids: ids[:1], None, "part_ids"),
        (lambda ids: [*ids, ids[0]], None, "part_ids"),
        (lambda ids: [ids[0], "part_unknown"], None, "part_ids"),
        (lambda ids: [ids[0], "../../etc"], None, "part_ids"),
        (lambda ids: ids, "0" * 32, "md5"),
        (lambda ids: ids, "nonsense", "md5"),
    ],
    ids=["missing", "twice", "unknown", "path", "other sum", "no sum"],
)
async def test_what_cannot_be_put_together_is_refused_and_can_be_mended(
    library: Library, change: object, md5: str | None, param: str
) -> None:
    upload_id, ids = await announced(library, b"first ", b"second")
    with pytest.raises(InvalidRequest) as caught:
        await library.uploads.complete(ALICE, upload_id, change(ids), md5)  # type: ignore[operator]
    assert caught.value.param == param
    assert await library.stores.documents.list_documents(ALICE) == ([], 0)
    _, document = await library.uploads.complete(ALICE, upload_id, ids)
    assert document.size == 12


async def test_a_cancelled_upload_cannot_be_completed(library: Library) -> None:
    upload_id, ids = await announced(library, b"text")
    await library.uploads.cancel(ALICE, upload_id)
    with pytest.raises(InvalidRequest) as caught:
        await library.uploads.complete(ALICE, upload_id, ids)
    assert caught.value.param == "upload_id"


async def test_up_1_more_than_the_limit_cannot_be_announced(library: Library) -> None:
    with pytest.raises(TooLarge) as caught:
        await library.uploads.create(ALICE, "a.txt", 1_048_577, Terms())
    assert caught.value.param == "bytes"


async def test_iso_3_uploads_of_others_cannot_be_completed(library: Library) -> None:
    upload_id, ids = await announced(library, b"text")
    with pytest.raises(NotFound):
        await library.uploads.complete(BOB, upload_id, ids)
