"""Files that come in parts: kept whole, bounded, and gone when their time is over."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from backend.models.documents import Terms
from backend.models.errors import InvalidRequest, NotFound, TooManyRequests
from backend.models.run import SERVER, Owner
from backend.models.uploads import UPLOAD_SECONDS, PartialUpload
from backend.storage import json_files
from backend.storage.stores import Stores
from backend.storage.upload_store import MAX_PENDING
from tests.storage.samples import ALICE, ALICE_ELSEWHERE, BOB, parts, settings_for


def announced(upload_id: str = "upload_1", size: int = 10, age: float = 0.0) -> PartialUpload:
    return PartialUpload(upload_id, "big.txt", size, Terms("user_data", 3600.0), time.time() - age)


async def whole(stores: Stores, part_ids: list[str], owner: Owner = ALICE) -> bytes:
    return b"".join([piece async for piece in stores.uploads.read(owner, "upload_1", part_ids)])


async def test_parts_are_read_in_the_order_asked_for(stores: Stores) -> None:
    await stores.uploads.create(ALICE, announced())
    one = await stores.uploads.add_part(ALICE, "upload_1", parts(b"ab", b"cd"))
    two = await stores.uploads.add_part(ALICE, "upload_1", parts(b"efg"))
    assert (one.size, two.size) == (4, 3)
    assert await whole(stores, [two.id, one.id]) == b"efgabcd"
    assert (await stores.uploads.get(ALICE, "upload_1")).parts == (one, two)


async def test_parts_survive_a_restart(engine: Stores, data_dir: Path) -> None:
    await engine.uploads.create(ALICE, announced())
    part = await engine.uploads.add_part(ALICE, "upload_1", parts(b"abc"))
    again = json_files.create(settings_for(data_dir))
    assert await whole(again, [part.id]) == b"abc"
    await again.aclose()


async def test_parts_sent_side_by_side_are_all_kept(stores: Stores) -> None:
    await stores.uploads.create(ALICE, announced(size=100))
    made = await asyncio.gather(*(stores.uploads.add_part(ALICE, "upload_1", parts(b"%02d" % n)) for n in range(20)))
    upload = await stores.uploads.get(ALICE, "upload_1")
    assert {part.id for part in upload.parts} == {part.id for part in made}
    assert upload.received == 40


@pytest.mark.parametrize("data", [b"", b"x" * 11], ids=["empty", "more than announced"])
async def test_a_part_that_cannot_be_right_leaves_nothing(stores: Stores, data: bytes, tmp_path: Path) -> None:
    await stores.uploads.create(ALICE, announced())
    with pytest.raises(InvalidRequest) as caught:
        await stores.uploads.add_part(ALICE, "upload_1", parts(data))
    assert caught.value.param == "data"
    assert (await stores.uploads.get(ALICE, "upload_1")).parts == ()
    assert not list(tmp_path.rglob("*.part"))


async def test_up_1_parts_together_never_exceed_what_was_announced(stores: Stores) -> None:
    await stores.uploads.create(ALICE, announced())
    outcomes = await asyncio.gather(
        *(stores.uploads.add_part(ALICE, "upload_1", parts(b"sixsix")) for _ in range(5)), return_exceptions=True
    )
    assert sum(isinstance(each, InvalidRequest) for each in outcomes) == 4
    assert (await stores.uploads.get(ALICE, "upload_1")).received == 6


async def test_completing_drops_the_parts_and_remembers_the_file(stores: Stores, tmp_path: Path) -> None:
    await stores.uploads.create(ALICE, announced())
    part = await stores.uploads.add_part(ALICE, "upload_1", parts(b"x" * 10))
    done = await stores.uploads.complete(ALICE, "upload_1", "file-1", [part.id])
    assert (done.status, done.file_id, done.part_ids) == ("completed", "file-1", (part.id,))
    assert await stores.uploads.get(ALICE, "upload_1") == done
    assert not list(tmp_path.rglob("*.part"))
    with pytest.raises(NotFound):
        await whole(stores, [part.id])


@pytest.mark.parametrize("how", ["complete", "cancel"])
async def test_nothing_is_added_to_an_upload_that_has_ended(stores: Stores, how: str) -> None:
    await stores.uploads.create(ALICE, announced())
    if how == "complete":
        await stores.uploads.complete(ALICE, "upload_1", "file-1", [])
    else:
        await stores.uploads.cancel(ALICE, "upload_1")
    for attempt in (stores.uploads.add_part(ALICE, "upload_1", parts(b"x")), stores.uploads.cancel(ALICE, "upload_1")):
        with pytest.raises(InvalidRequest):
            await attempt


async def test_up_5_too_many_uploads_at_a_time_are_refused_until_one_ends(stores: Stores) -> None:
    for number in range(MAX_PENDING):
        await stores.uploads.create(ALICE, announced(f"upload_{number}"))
    with pytest.raises(TooManyRequests):
        await stores.uploads.create(ALICE, announced("upload_more"))
    await stores.uploads.create(BOB, announced("upload_more"))
    await stores.uploads.cancel(ALICE, "upload_3")
    await stores.uploads.create(ALICE, announced("upload_more"))


async def test_an_upload_whose_time_is_over_is_gone_and_swept(stores: Stores, tmp_path: Path) -> None:
    await stores.uploads.create(ALICE, announced(age=UPLOAD_SECONDS - 30))
    await stores.uploads.add_part(ALICE, "upload_1", parts(b"abc"))
    await stores.uploads.create(BOB, announced("upload_2", age=UPLOAD_SECONDS + 1))
    with pytest.raises(NotFound):
        await stores.uploads.get(BOB, "upload_2")
    assert await stores.uploads.sweep(SERVER) == 1
    assert (await stores.uploads.get(ALICE, "upload_1")).received == 3


async def test_bytes_that_no_upload_names_are_swept(engine: Stores, data_dir: Path) -> None:
    await engine.uploads.create(ALICE, announced())
    stray = data_dir / "partial_uploads" / ALICE.user / "part_stray.part"
    stray.write_bytes(b"x")
    await engine.uploads.sweep(SERVER)
    assert not stray.exists()


@pytest.mark.parametrize("stranger", [BOB, ALICE_ELSEWHERE], ids=["same-tenant", "same-id-other-tenant"])
async def test_iso_1_iso_2_a_strangers_upload_is_like_a_missing_one(stores: Stores, stranger: Owner) -> None:
    await stores.uploads.create(ALICE, announced())
    part = await stores.uploads.add_part(ALICE, "upload_1", parts(b"abc"))
    for attempt in (
        stores.uploads.get(stranger, "upload_1"),
        stores.uploads.add_part(stranger, "upload_1", parts(b"x")),
        stores.uploads.cancel(stranger, "upload_1"),
        stores.uploads.complete(stranger, "upload_1", "file-1", [part.id]),
        whole(stores, [part.id], stranger),
    ):
        with pytest.raises(NotFound) as caught:
            await attempt
        assert caught.value.message == "There is no upload with this id."
    assert (await stores.uploads.get(ALICE, "upload_1")).parts == (part,)
