"""Collections: `{owner}/{collection_id}.json` each, with the list of its files.

What a user may read of others is found by `{reader}/{collection_id}.shared`, which names the owner; the owner's own
file alone decides whether that still holds.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from backend.models.collections import Batch, Chunking, Collection, CollectionFile, FileFailure
from backend.models.errors import NotFound, StorageFailed
from backend.models.run import Owner
from backend.storage.json_files.append_log import decode_json, encode_json
from backend.storage.json_files.atomic import (
    Mark,
    Unreadable,
    files_in,
    is_settled,
    mark_at,
    read_file,
    sync_folder,
    write_atomic,
)
from backend.storage.json_files.damages import Damages
from backend.storage.json_files.disk import Disk
from backend.storage.json_files.locks import KeyedLocks, file_lock
from backend.storage.json_files.paths import Area, is_server, missing

SUFFIX = ".json"
SHARED = ".shared"
VERSION = 1
MAX_REMEMBERED = 1024


class JsonCollectionStore:
    """CollectionStore over small files; one that did not change is answered from memory."""

    def __init__(self, area: Area, disk: Disk, damages: Damages) -> None:
        self._area = area
        self._disk = disk
        self._damages = damages
        self._locks = KeyedLocks()
        self._seen: OrderedDict[Path, tuple[Mark, Collection]] = OrderedDict()

    async def create(self, owner: Owner, collection: Collection) -> None:
        path = self._area.file(owner, collection.id, SUFFIX)
        async with self._locks.hold(path):
            await self._disk.run(_write, path, collection)

    async def get(self, owner: Owner, collection_id: str) -> Collection:
        path = self._area.file(owner, collection_id, SUFFIX)
        found = self._remembered(path) or await self._disk.run(self._read, path)
        if found is None:
            raise missing(self._area.what)
        return found

    async def list_collections(self, owner: Owner) -> list[Collection]:
        return await self._disk.run(self._all, self._area.folder(owner))

    async def change(self, owner: Owner, collection_id: str, edit: Callable[[Collection], Collection]) -> Collection:
        path = self._area.file(owner, collection_id, SUFFIX)

        def work() -> Collection:
            if not path.parent.is_dir():
                raise missing(self._area.what)
            with file_lock(path.parent / ".lock"):
                before = self._read(path)
                if before is None:
                    raise missing(self._area.what)
                after = edit(before)
                if after is not before:
                    _write(path, after)
                return after

        async with self._locks.hold(path):
            return await self._disk.run(work)

    async def delete(self, owner: Owner, collection_id: str) -> None:
        path = self._area.file(owner, collection_id, SUFFIX)

        def work() -> None:
            before = self._read(path)
            try:
                path.unlink()
            except FileNotFoundError:
                raise missing(self._area.what) from None
            sync_folder(path.parent)
            for reader in before.readers if before is not None else ():
                self._link(owner, reader, collection_id).unlink(missing_ok=True)

        async with self._locks.hold(path):
            await self._disk.run(work)
        self._seen.pop(path, None)

    async def share(self, owner: Owner, collection_id: str, readers: Sequence[str]) -> Collection:
        wanted = tuple(sorted(set(readers) - {owner.user}))
        before = await self.get(owner, collection_id)
        links = {reader: self._link(owner, reader, collection_id) for reader in {*wanted, *before.readers}}

        def point() -> None:
            for reader in wanted:
                write_atomic(links[reader], encode_json({"version": VERSION, "owner": owner.user}) + b"\n")

        def unpoint() -> None:
            for reader in links.keys() - set(wanted):
                links[reader].unlink(missing_ok=True)

        # A pointer is of no use before the collection names its reader, nor after it no longer does.
        await self._disk.run(point)
        after = await self.change(owner, collection_id, lambda now: replace(now, readers=wanted))
        await self._disk.run(unpoint)
        return after

    async def find(self, owner: Owner, collection_id: str) -> tuple[Owner, Collection]:
        path = self._area.file(owner, collection_id, SUFFIX)
        mine = self._remembered(path) or await self._disk.run(self._read, path)
        found = (owner, mine) if mine is not None else await self._disk.run(self._shared, owner, collection_id)
        if found is None:
            raise missing(self._area.what)
        return found

    async def shared_with(self, owner: Owner) -> list[tuple[Owner, Collection]]:
        folder = self._area.folder(owner)

        def work() -> list[tuple[Owner, Collection]]:
            found = [self._shared(owner, name) for name, _ in files_in(folder, SHARED)]
            return [each for each in found if each is not None]

        return sorted(await self._disk.run(work), key=lambda pair: pair[1].created_at, reverse=True)

    async def everyones(self, owner: Owner) -> list[tuple[Owner, Collection]]:
        def work() -> list[tuple[Owner, Collection]]:
            owners = [(one, folder) for one, folder in self._area.owners() if is_server(owner) or one == owner]
            return [(one, collection) for one, folder in owners for collection in self._all(folder)]

        return sorted(await self._disk.run(work), key=lambda pair: pair[1].created_at)

    # ---- inside ----------------------------------------------------------------------------------

    def _link(self, owner: Owner, reader: str, collection_id: str) -> Path:
        return self._area.file(Owner(owner.tenant, reader), collection_id, SHARED)

    def _shared(self, reader: Owner, collection_id: str) -> tuple[Owner, Collection] | None:
        """What another lets the reader read; None when there is none, or no longer."""
        try:
            pointer = decode_json(read_file(self._link(reader, reader.user, collection_id)))
            home = Owner(reader.tenant, str(pointer["owner"]))
            path = self._area.file(home, collection_id, SUFFIX)
        except (FileNotFoundError, Unreadable, NotFound, KeyError, TypeError, ValueError):
            return None
        collection = self._remembered(path) or self._read(path)
        return (home, collection) if collection is not None and reader.user in collection.readers else None

    def _all(self, folder: Path) -> list[Collection]:
        paths = [folder / f"{name}{SUFFIX}" for name, _ in files_in(folder, SUFFIX)]
        found = [self._remembered(path) or self._read(path) for path in paths]
        there = [collection for collection in found if collection is not None]
        return sorted(there, key=lambda collection: collection.created_at, reverse=True)

    def _remembered(self, path: Path) -> Collection | None:
        seen = self._seen.get(path)
        return seen[1] if seen is not None and mark_at(path) == seen[0] else None

    def _read(self, path: Path) -> Collection | None:
        """None when there is none; what is damaged is set aside."""
        mark = mark_at(path)
        try:
            found = _from_json(decode_json(read_file(path)), path.name.removesuffix(SUFFIX))
        except FileNotFoundError:
            return None
        except (Unreadable, ValueError, TypeError, KeyError, AttributeError, RecursionError) as reason:
            if mark_at(path) == mark:
                self._damages.set_aside(path, f"a collection could not be read ({type(reason).__name__})")
            return None
        if is_settled(mark):
            self._seen[path] = (mark, found)
            if len(self._seen) > MAX_REMEMBERED:
                self._seen.popitem(last=False)
        return found


def _write(path: Path, collection: Collection) -> None:
    data = {
        "version": VERSION,
        "id": collection.id,
        "name": collection.name,
        "description": collection.description,
        "created_at": collection.created_at,
        "last_active_at": collection.last_active_at,
        "metadata": dict(collection.metadata),
        "expires_after_days": collection.expires_after_days,
        "files": [_file_to_json(file) for file in collection.files.values()],
        "batches": [asdict(batch) for batch in collection.batches],
        "gone": dict(collection.gone),
        "readers": list(collection.readers),
    }
    write_atomic(path, encode_json(data) + b"\n")


def _file_to_json(file: CollectionFile) -> dict[str, Any]:
    return {
        "file_id": file.file_id,
        "created_at": file.created_at,
        "chunking": None if file.chunking is None else asdict(file.chunking),
        "attributes": dict(file.attributes),
        "state": file.state,
        "failure": None if file.failure is None else asdict(file.failure),
        "usage_bytes": file.usage_bytes,
        "embedder": file.embedder,
    }


def _from_json(data: dict[str, Any], collection_id: str) -> Collection:
    """Raises Unreadable, KeyError, TypeError, ValueError, AttributeError for what is not our form."""
    if not isinstance(data.get("version"), int):
        raise Unreadable("not our form")
    if data["version"] > VERSION:
        raise StorageFailed("This collection was stored by a newer Hearth; update this one.")
    if data["id"] != collection_id:
        raise Unreadable("it describes another collection")
    files = [_file_from_json(each) for each in data["files"]]
    return Collection(
        id=data["id"],
        name=str(data["name"]),
        created_at=float(data["created_at"]),
        last_active_at=float(data["last_active_at"]),
        description=data["description"],
        metadata=dict(data["metadata"]),
        expires_after_days=data["expires_after_days"],
        files={file.file_id: file for file in files},
        batches=tuple(Batch(**{**each, "file_ids": tuple(each["file_ids"])}) for each in data["batches"]),
        gone=dict(data["gone"]),
        readers=tuple(str(reader) for reader in data.get("readers", ())),
    )


def _file_from_json(data: dict[str, Any]) -> CollectionFile:
    chunking, failure = data["chunking"], data["failure"]
    return CollectionFile(
        file_id=data["file_id"],
        created_at=float(data["created_at"]),
        chunking=None if chunking is None else Chunking(**chunking),
        attributes=dict(data["attributes"]),
        state=data["state"],
        failure=None if failure is None else FileFailure(**failure),
        usage_bytes=int(data["usage_bytes"]),
        embedder=str(data["embedder"]),
    )
