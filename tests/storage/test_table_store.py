from __future__ import annotations

from pathlib import Path

import pytest

from backend.models.errors import NotFound
from backend.models.run import Owner
from backend.models.tables import TableColumn, UserTable
from backend.storage import json_files
from backend.storage.stores import Stores
from tests.storage.samples import ALICE, ALICE_ELSEWHERE, BOB, settings_for

TABLE = UserTable("sales", "t1", (TableColumn("a", "integer"), TableColumn("Größe", "real")), 3)


async def kept(stores: Stores, file_id: str, owner: Owner = ALICE, content: bytes = b"database") -> str:
    places = await stores.tables.places(owner)
    places.database.write_bytes(content)
    made = await stores.tables.keep(owner, file_id, "Sales.csv", places, [TABLE], "cut")
    await stores.tables.discard(places)
    return made.tables[0].name


async def test_what_was_kept_is_listed_and_lies_at_its_path(stores: Stores) -> None:
    await kept(stores, "file-1")
    (found,) = await stores.tables.list_tables(ALICE)
    assert (found.file_id, found.filename, found.note, found.columnar) == ("file-1", "Sales.csv", "cut", False)
    assert found.tables == (TABLE,)
    assert (await stores.tables.database(ALICE, "file-1")).read_bytes() == b"database"


async def test_names_are_unique_among_the_owners_tables_only(stores: Stores) -> None:
    assert [await kept(stores, f"file-{n}") for n in range(3)] == ["sales", "sales_2", "sales_3"]
    assert await kept(stores, "file-9", BOB) == "sales"
    assert await kept(stores, "file-0") == "sales", "the same document keeps its name"


async def test_a_columnar_copy_may_come_with_the_tables_or_later(stores: Stores) -> None:
    await kept(stores, "file-1")
    with pytest.raises(NotFound):
        await stores.tables.columnar(ALICE, "file-1")
    places = await stores.tables.places(ALICE)
    places.columnar.write_bytes(b"columns")
    await stores.tables.keep_columnar(ALICE, "file-1", places)
    assert (await stores.tables.columnar(ALICE, "file-1")).read_bytes() == b"columns"
    assert (await stores.tables.list_tables(ALICE))[0].columnar


async def test_deleting_takes_everything_and_may_be_done_twice(stores: Stores) -> None:
    await kept(stores, "file-1")
    path = await stores.tables.database(ALICE, "file-1")
    await stores.tables.delete(ALICE, "file-1")
    await stores.tables.delete(ALICE, "file-1")
    assert await stores.tables.list_tables(ALICE) == [] and not path.exists()
    with pytest.raises(NotFound):
        await stores.tables.database(ALICE, "file-1")


async def test_iso_a_strangers_tables_are_missing_word_for_word(stores: Stores) -> None:
    await kept(stores, "file-1")
    for owner in (BOB, ALICE_ELSEWHERE):
        assert await stores.tables.list_tables(owner) == []
        await stores.tables.delete(owner, "file-1")
        with pytest.raises(NotFound) as theirs:
            await stores.tables.database(owner, "file-1")
        with pytest.raises(NotFound) as none:
            await stores.tables.database(owner, "file-2")
        assert theirs.value.message == none.value.message
    assert len(await stores.tables.list_tables(ALICE)) == 1


@pytest.mark.parametrize("bad", ["", "..", "../users", "a/b", "a\x00"])
async def test_fs_1_ids_that_are_no_ids_are_not_found(stores: Stores, bad: str) -> None:
    with pytest.raises(NotFound):
        await stores.tables.database(ALICE, bad)


async def test_an_import_that_wrote_nothing_keeps_nothing(stores: Stores) -> None:
    places = await stores.tables.places(ALICE)
    with pytest.raises(NotFound):
        await stores.tables.keep(ALICE, "file-1", "a.csv", places, [TABLE])
    assert await stores.tables.list_tables(ALICE) == []


async def test_fs_2_files_are_private_and_nothing_else_is_left(engine: Stores, data_dir: Path) -> None:
    await kept(engine, "file-1")
    folder = data_dir / "tables" / ALICE.user
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "file-1.json", "file-1.sqlite"]
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())


async def test_an_import_that_goes_on_outlives_the_start_of_another_server_and_a_dead_one_does_not(
    engine: Stores, data_dir: Path
) -> None:
    places = await engine.tables.places(ALICE)
    places.database.write_bytes(b"half")
    dead = places.database.with_name(".0123456789abcdef.sqlite.making")
    dead.write_bytes(b"half")
    other = json_files.create(settings_for(data_dir))
    assert places.database.exists() and not dead.exists()
    await engine.tables.discard(places)
    assert not places.database.exists()
    await other.aclose()


async def test_a_damaged_description_is_set_aside_and_the_rest_stays(engine: Stores, data_dir: Path) -> None:
    await kept(engine, "file-1")
    await kept(engine, "file-2")
    (data_dir / "tables" / ALICE.user / "file-1.json").write_bytes(b"\x00 no json")
    assert [each.file_id for each in await engine.tables.list_tables(ALICE)] == ["file-2"]
    assert len(engine.damaged()) == 1
