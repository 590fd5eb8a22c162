from __future__ import annotations

from pathlib import Path

import pytest

from backend.models.errors import NotFound, TooLarge
from backend.storage import artifact_store
from backend.storage.stores import Stores
from tests.storage.samples import ALICE, BOB

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


async def test_what_was_saved_comes_back_byte_for_byte(stores: Stores) -> None:
    made = await stores.artifacts.save(ALICE, "run-1", "plot ü.png", "image/png", PNG)
    about, data = await stores.artifacts.get(ALICE, made.id)
    assert (about, data) == (made, PNG)
    assert (about.name, about.content_type, about.size, about.run_id) == ("plot ü.png", "image/png", len(PNG), "run-1")


async def test_iso_a_strangers_file_is_missing_word_for_word(stores: Stores) -> None:
    made = await stores.artifacts.save(ALICE, "run-1", "a.png", "image/png", PNG)
    with pytest.raises(NotFound) as theirs:
        await stores.artifacts.get(BOB, made.id)
    with pytest.raises(NotFound) as none:
        await stores.artifacts.get(BOB, "f" * 32)
    assert theirs.value.message == none.value.message


@pytest.mark.parametrize("bad", ["", "..", "../users", "a/b", "a\x00"])
async def test_fs_1_ids_that_are_no_ids_are_not_found(stores: Stores, bad: str) -> None:
    with pytest.raises(NotFound):
        await stores.artifacts.get(ALICE, bad)


async def test_deleting_a_run_takes_its_files_and_no_others(stores: Stores) -> None:
    first = await stores.artifacts.save(ALICE, "run-1", "a", "text/csv", b"1")
    second = await stores.artifacts.save(ALICE, "run-2", "b", "text/csv", b"2")
    assert await stores.artifacts.delete_of_run(ALICE, "run-1") == 1
    with pytest.raises(NotFound):
        await stores.artifacts.get(ALICE, first.id)
    assert (await stores.artifacts.get(ALICE, second.id))[1] == b"2"


async def test_a_file_over_the_limit_is_refused(stores: Stores) -> None:
    with pytest.raises(TooLarge):
        await stores.artifacts.save(ALICE, "run-1", "big", "text/csv", bytes(artifact_store.MAX_ARTIFACT_BYTES + 1))


@pytest.mark.slow
async def test_the_oldest_make_room_when_an_owner_has_too_much(stores: Stores) -> None:
    whole = bytes(artifact_store.MAX_ARTIFACT_BYTES)
    made = [await stores.artifacts.save(ALICE, "run-1", str(n), "text/csv", whole) for n in range(17)]
    with pytest.raises(NotFound):
        await stores.artifacts.get(ALICE, made[0].id)
    assert (await stores.artifacts.get(ALICE, made[1].id))[0] == made[1]


async def test_a_damaged_description_is_set_aside_and_the_rest_stays(engine: Stores, data_dir: Path) -> None:
    bad = await engine.artifacts.save(ALICE, "run-1", "a", "text/csv", b"1")
    good = await engine.artifacts.save(ALICE, "run-1", "b", "text/csv", b"2")
    next((data_dir / "artifacts").rglob(f"{bad.id}.json")).write_bytes(b"\x00 no json")
    with pytest.raises(NotFound):
        await engine.artifacts.get(ALICE, bad.id)
    assert (await engine.artifacts.get(ALICE, good.id))[1] == b"2"
    assert len(engine.damaged()) == 1
