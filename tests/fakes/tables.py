"""Tables of uploaded files, described in memory; the databases themselves are files in a folder."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from backend.models.errors import NotFound
from backend.models.run import Owner
from backend.models.tables import TableFile, UserTable
from backend.storage.table_store import TablePlaces
from backend.utils.ids import new_id


class FakeTables:
    """TableStore for tests above the storage room."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept: dict[tuple[Owner, str], TableFile] = {}
        self._paths: dict[tuple[Owner, str], tuple[Path, Path]] = {}

    async def places(self, owner: Owner) -> TablePlaces:
        self.folder.mkdir(parents=True, exist_ok=True)
        name = new_id("tables-")
        return TablePlaces(*(self.folder / f"{name}.{kind}" for kind in ("sqlite", "duckdb", "spool")))

    async def keep(
        self,
        owner: Owner,
        file_id: str,
        filename: str,
        places: TablePlaces,
        tables: Sequence[UserTable],
        note: str | None = None,
    ) -> TableFile:
        if not places.database.is_file():
            raise _missing()
        taken = {
            table.name
            for (whose, other), each in self.kept.items()
            if whose == owner and other != file_id
            for table in each.tables
        }
        named: list[UserTable] = []
        for table in tables:
            names = [table.name, *(f"{table.name}_{n}" for n in range(2, 1000))]
            name = next(each for each in names if each not in taken)
            taken.add(name)
            named.append(replace(table, name=name))
        # Moved, so that discarding the places does not take them away.
        moved = [path.rename(path.with_name(f"kept-{path.name}")) for path in (places.database,)]
        columnar = places.columnar.is_file()
        kept = places.columnar.with_name(f"kept-{places.columnar.name}")
        if columnar:
            places.columnar.rename(kept)
        made = TableFile(file_id, filename, time.time(), tuple(named), columnar, note)
        self.kept[owner, file_id] = made
        self._paths[owner, file_id] = (moved[0], kept)
        return made

    async def keep_columnar(self, owner: Owner, file_id: str, places: TablePlaces) -> None:
        if (owner, file_id) not in self.kept:
            raise _missing()
        places.columnar.rename(self._paths[owner, file_id][1])
        self.kept[owner, file_id] = replace(self.kept[owner, file_id], columnar=True)

    async def discard(self, places: TablePlaces) -> None:
        for path in (places.database, places.columnar, places.spool):
            path.unlink(missing_ok=True)

    async def list_tables(self, owner: Owner) -> list[TableFile]:
        mine = [each for (whose, _), each in self.kept.items() if whose == owner]
        return sorted(mine, key=lambda each: each.created_at, reverse=True)

    async def database(self, owner: Owner, file_id: str) -> Path:
        return self._existing(owner, file_id, 0)

    async def columnar(self, owner: Owner, file_id: str) -> Path:
        return self._existing(owner, file_id, 1)

    async def delete(self, owner: Owner, file_id: str) -> None:
        self.kept.pop((owner, file_id), None)
        for path in self._paths.pop((owner, file_id), ()):
            path.unlink(missing_ok=True)

    def _existing(self, owner: Owner, file_id: str, which: int) -> Path:
        path = self._paths.get((owner, file_id), (None, None))[which]
        if path is None or not path.is_file():
            raise _missing()
        return path


def _missing() -> NotFound:
    return NotFound("There is no table with this id.")
