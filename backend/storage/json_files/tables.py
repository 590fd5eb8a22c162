"""Tables of uploaded files: `{owner}/{file_id}.sqlite`, perhaps `.duckdb`, and `{file_id}.json` about them."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from backend.models.errors import NotFound
from backend.models.run import Owner
from backend.models.tables import TableColumn, TableFile, UserTable
from backend.storage.json_files.append_log import decode_json, encode_json
from backend.storage.json_files.atomic import (
    TEMP_SUFFIX,
    Unreadable,
    files_in,
    open_regular,
    open_temporary,
    read_file,
    remove_quietly,
    sync_folder,
    write_atomic,
)
from backend.storage.json_files.damages import Damages
from backend.storage.json_files.disk import Disk
from backend.storage.json_files.locks import KeyedLocks, file_lock
from backend.storage.json_files.paths import Area, missing
from backend.storage.table_store import TablePlaces

ABOUT, DATABASE, COLUMNAR = ".json", ".sqlite", ".duckdb"
MAKING = ".making"
"""Suffix of files that an import writes; beside them lies a marker, locked as long as the import goes on."""
VERSION = 1


class JsonTableStore:
    """TableStore over plain files. The description is written last: a database without one does not exist."""

    def __init__(self, area: Area, disk: Disk, damages: Damages) -> None:
        self._area = area
        self._disk = disk
        self._damages = damages
        self._locks = KeyedLocks()
        self._markers: dict[Path, tuple[int, Path]] = {}

    async def places(self, owner: Owner) -> TablePlaces:
        folder = self._area.folder(owner)
        handle, marker = await self._disk.run(open_temporary, folder)
        name = marker.name.removesuffix(TEMP_SUFFIX)
        places = TablePlaces(*(folder / f"{name}{kind}{MAKING}" for kind in (DATABASE, COLUMNAR, ".spool")))
        self._markers[places.database] = handle, marker
        return places

    async def keep(
        self,
        owner: Owner,
        file_id: str,
        filename: str,
        places: TablePlaces,
        tables: Sequence[UserTable],
        note: str | None = None,
    ) -> TableFile:
        folder, about = self._area.folder(owner), self._area.file(owner, file_id, ABOUT)

        def take() -> TableFile:
            with file_lock(folder / ".lock"):
                others = {table.name for each in self._all(folder) if each.file_id != file_id for table in each.tables}
                named = unique_names(tables, others)
                _remove(folder, file_id)
                _settle(places.database, folder / f"{file_id}{DATABASE}")
                columnar = places.columnar.is_file()
                if columnar:
                    _settle(places.columnar, folder / f"{file_id}{COLUMNAR}")
                made = TableFile(file_id, filename, time.time(), named, columnar, note)
                self._write(about, made)
                return made

        async with self._locks.hold(folder):
            return await self._disk.run(take)

    async def keep_columnar(self, owner: Owner, file_id: str, places: TablePlaces) -> None:
        folder, about = self._area.folder(owner), self._area.file(owner, file_id, ABOUT)

        def take() -> None:
            found = self._describe(about)
            if found is None:
                raise missing("table")
            with file_lock(folder / ".lock"):
                _settle(places.columnar, folder / f"{file_id}{COLUMNAR}")
                self._write(about, replace(found, columnar=True))

        async with self._locks.hold(folder):
            await self._disk.run(take)

    async def discard(self, places: TablePlaces) -> None:
        marker = self._markers.pop(places.database, None)

        def remove() -> None:
            if marker is not None:
                os.close(marker[0])
                remove_quietly(marker[1])
            for path in (places.database, places.columnar, places.spool):
                remove_quietly(path)
                # What either engine may have left beside its file when it was killed.
                for suffix in ("-journal", ".wal"):
                    remove_quietly(path.with_name(path.name + suffix))

        await self._disk.run(remove)

    async def list_tables(self, owner: Owner) -> list[TableFile]:
        folder = self._area.folder(owner)
        found = await self._disk.run(self._all, folder)
        return sorted(found, key=lambda each: each.created_at, reverse=True)

    async def database(self, owner: Owner, file_id: str) -> Path:
        return await self._existing(owner, file_id, DATABASE)

    async def columnar(self, owner: Owner, file_id: str) -> Path:
        return await self._existing(owner, file_id, COLUMNAR)

    async def delete(self, owner: Owner, file_id: str) -> None:
        folder = self._area.file(owner, file_id).parent

        def remove() -> None:
            if folder.is_dir():
                with file_lock(folder / ".lock"):
                    _remove(folder, file_id)

        async with self._locks.hold(folder):
            await self._disk.run(remove)

    # ---- inside ----------------------------------------------------------------------------------

    async def _existing(self, owner: Owner, file_id: str, suffix: str) -> Path:
        about, path = self._area.file(owner, file_id, ABOUT), self._area.file(owner, file_id, suffix)

        def look() -> bool:
            return about.is_file() and path.is_file() and not path.is_symlink()

        if not await self._disk.run(look):
            raise missing("table")
        return path

    def _write(self, path: Path, described: TableFile) -> None:
        write_atomic(path, encode_json({"version": VERSION, **asdict(described)}) + b"\n")

    def _all(self, folder: Path) -> list[TableFile]:
        found = (self._describe(folder / f"{name}{ABOUT}") for name, _ in files_in(folder, ABOUT))
        return [each for each in found if each is not None]

    def _describe(self, path: Path) -> TableFile | None:
        """None when there is none; what is damaged is set aside."""
        try:
            return _from_json(decode_json(read_file(path)), path.name.removesuffix(ABOUT))
        except FileNotFoundError:
            return None
        except (Unreadable, ValueError, TypeError, KeyError, AttributeError, RecursionError) as reason:
            self._damages.set_aside(path, f"the description of tables is unreadable ({type(reason).__name__})")
            return None


def unique_names(tables: Sequence[UserTable], taken: set[str]) -> tuple[UserTable, ...]:
    """The tables with names that nobody else has: `sales`, else `sales_2` and so on."""
    used = {name.casefold() for name in taken}
    out: list[UserTable] = []
    for table in tables:
        name, count = table.name, 1
        while name.casefold() in used:
            count += 1
            name = f"{table.name}_{count}"
        used.add(name.casefold())
        out.append(replace(table, name=name))
    return tuple(out)


def _from_json(value: dict[str, object], file_id: str) -> TableFile:
    data = dict(value)
    if data.pop("version") != VERSION or data["file_id"] != file_id:
        raise Unreadable("it describes something else")
    tables = data.pop("tables")
    if not isinstance(tables, list):
        raise Unreadable("no list of tables")
    made = tuple(
        UserTable(
            table["name"], table["stored"], tuple(TableColumn(**each) for each in table["columns"]), table["rows"]
        )
        for table in tables
    )
    return TableFile(**data, tables=made)  # type: ignore[arg-type]


def _settle(source: Path, target: Path) -> None:
    """Move a finished file to its place, durably. Raises NotFound when the worker left none."""
    try:
        handle = open_regular(source)
    except (FileNotFoundError, Unreadable):
        raise NotFound("The tables of this document are not there: upload it again.") from None
    try:
        os.fchmod(handle, 0o600)
        os.fsync(handle)
    finally:
        os.close(handle)
    source.rename(target)
    sync_folder(target.parent)


def clear_imports(folder: Path) -> None:
    """Remove what imports left whose process is gone: their markers have been swept away before."""
    for path in folder.glob(f".*{MAKING}*"):
        if not (folder / f".{path.name.split('.')[1]}{TEMP_SUFFIX}").exists():
            remove_quietly(path)


def _remove(folder: Path, file_id: str) -> None:
    # The description first: what is left after a crash is invisible.
    for suffix in (ABOUT, DATABASE, COLUMNAR):
        (folder / f"{file_id}{suffix}").unlink(missing_ok=True)
