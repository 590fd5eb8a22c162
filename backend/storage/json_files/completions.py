"""Kept chat completions, one JSON file each: a first line to be found by, then the completion, then its messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from backend.models.run import Owner
from backend.storage.completion_store import MAX_COMPLETIONS, MAX_OWNER_BYTES, matches, row_of
from backend.storage.json_files.append_log import decode_json, encode_json
from backend.storage.json_files.atomic import (
    Unreadable,
    files_in,
    read_file,
    remove_quietly,
    sync_folder,
    write_atomic,
)
from backend.storage.json_files.damages import Damages
from backend.storage.json_files.disk import Disk
from backend.storage.json_files.headed_files import row_in
from backend.storage.json_files.locks import KeyedLocks, file_lock
from backend.storage.json_files.paths import Area, missing
from backend.utils.cursor import cursor_page
from backend.utils.ids import moment_of

WHAT = "chat completion"
SUFFIX = ".json"
_ROW = b'{"version":1,"row":'


class JsonCompletionStore:
    """CompletionStore over `{owner}/{completion_id}.json`."""

    def __init__(self, area: Area, disk: Disk, damages: Damages) -> None:
        self._area = area
        self._disk = disk
        self._damages = damages
        self._locks = KeyedLocks()

    async def save(
        self, owner: Owner, completion: Mapping[str, Any], messages: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        path = self._area.file(owner, str(completion["id"]), SUFFIX)

        def work() -> None:
            _write(path, completion, messages)
            _prune(path.parent)

        await self._locked(path.parent, work)

    async def get(self, owner: Owner, completion_id: str) -> dict[str, Any]:
        return (await self._found(owner, completion_id))[0]

    async def messages(self, owner: Owner, completion_id: str) -> list[dict[str, Any]]:
        return (await self._found(owner, completion_id))[1]

    async def set_metadata(self, owner: Owner, completion_id: str, metadata: Mapping[str, str]) -> dict[str, Any]:
        path = self._area.file(owner, completion_id, SUFFIX)
        changed: dict[str, Any] = {}

        def work() -> None:
            found = self._read(path)
            if found is None:
                raise missing(WHAT)
            changed.update(found[0], metadata=dict(metadata))
            _write(path, changed, found[1])

        await self._found(owner, completion_id)
        await self._locked(path.parent, work)
        return changed

    async def delete(self, owner: Owner, completion_id: str) -> None:
        path = self._area.file(owner, completion_id, SUFFIX)

        def work() -> None:
            try:
                path.unlink()
            except FileNotFoundError:
                raise missing(WHAT) from None
            sync_folder(path.parent)

        await self._found(owner, completion_id)
        await self._locked(path.parent, work)

    async def delete_of_session(self, owner: Owner, session_id: str) -> None:
        folder = self._area.folder(owner)

        def work() -> None:
            for completion_id in _oldest_first(folder):
                path = folder / f"{completion_id}{SUFFIX}"
                row = self._row(path)
                if row is not None and row.get("session_id") == session_id:
                    path.unlink(missing_ok=True)
            sync_folder(folder)

        if await self._disk.run(folder.is_dir):
            await self._locked(folder, work)

    async def list_completions(
        self,
        owner: Owner,
        *,
        model: str | None = None,
        metadata: Mapping[str, str] | None = None,
        after: str | None = None,
        limit: int = 20,
        newest_first: bool = False,
    ) -> tuple[list[dict[str, Any]], bool]:
        folder = self._area.folder(owner)

        def work() -> tuple[list[dict[str, Any]], bool]:
            ids = _oldest_first(folder)
            if newest_first:
                ids.reverse()
            ids, _ = cursor_page(
                ids, id_of=str, moment=_moment, newest_first=newest_first, limit=max(1, len(ids)), after=after
            )
            found: list[dict[str, Any]] = []
            for completion_id in ids:
                path = folder / f"{completion_id}{SUFFIX}"
                row = self._row(path)
                if row is None or not matches(row, model, metadata):
                    continue
                if len(found) == limit:
                    return found, True
                whole = self._read(path)
                if whole is not None:
                    found.append(whole[0])
            return found, False

        return await self._disk.run(work)

    # ---- inside ---------------------------------------------------------------------------------

    async def _locked(self, folder: Path, work: Callable[[], None]) -> None:
        """Change something in the owner's folder, one at a time, for all processes."""

        def locked() -> None:
            with file_lock(folder / ".lock"):
                work()

        async with self._locks.hold(folder):
            await self._disk.run(locked)

    async def _found(self, owner: Owner, completion_id: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        found = await self._disk.run(self._read, self._area.file(owner, completion_id, SUFFIX))
        if found is None:
            raise missing(WHAT)
        return found

    def _row(self, path: Path) -> dict[str, Any] | None:
        """The row of a file; None when it is gone or damaged."""
        try:
            row = row_in(path, _ROW)
        except FileNotFoundError:
            return None
        if row is not None and row.get("id") == path.name.removesuffix(SUFFIX):
            return row
        whole = self._read(path)
        return row_of(whole[0]) if whole is not None else None

    def _read(self, path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]] | None:
        """A completion and its messages; None when there is none. What is damaged is set aside."""
        try:
            kept = decode_json(read_file(path))
            completion, messages = kept["completion"], kept["messages"]
            if completion["id"] != path.name.removesuffix(SUFFIX) or not isinstance(messages, list):
                raise Unreadable("not our form")
        except FileNotFoundError:
            return None
        except (Unreadable, ValueError, TypeError, KeyError, RecursionError) as reason:
            self._damages.set_aside(path, f"a kept chat completion could not be read ({type(reason).__name__})")
            return None
        return completion, messages


def _write(path: Path, completion: Mapping[str, Any], messages: Sequence[Mapping[str, Any]]) -> None:
    parts = [_ROW, encode_json(row_of(completion)), b',\n"completion":', encode_json(completion)]
    parts += [b',\n"messages":', encode_json([dict(message) for message in messages]), b"}\n"]
    write_atomic(path, b"".join(parts))


def _oldest_first(folder: Path) -> list[str]:
    return sorted(completion_id for completion_id, _ in files_in(folder, SUFFIX))


def _moment(completion_id: str) -> float:
    return moment_of(completion_id) or 0.0


def _prune(folder: Path) -> None:
    """Remove the oldest completions beyond what one owner may keep."""
    kept_bytes = 0
    for number, (completion_id, status) in enumerate(sorted(files_in(folder, SUFFIX), reverse=True)):
        kept_bytes += status.st_size
        if number >= MAX_COMPLETIONS or (number and kept_bytes > MAX_OWNER_BYTES):
            remove_quietly(folder / f"{completion_id}{SUFFIX}")
