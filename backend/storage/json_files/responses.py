"""Responses: `{id}.json`, whose first line is what is looked through, and `{id}.events`, their frames as sent.

The events are written first and the response says how many of them count, so that a crash leaves the old or the new.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from backend.models.run import Owner
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
from backend.storage.json_files.locks import KeyedLocks
from backend.storage.json_files.paths import Area, missing
from backend.storage.response_store import KEPT_SECONDS, MAX_OWNER_BYTES, MAX_RESPONSES, items_of, row_of

SUFFIX = ".json"
EVENTS = ".events"
MAX_EVENTS = 10_000_000
_ROW = b'{"version":1,"row":'
_RECORD = b'"response":'


class JsonResponseStore:
    """ResponseStore over two files a response. The time of change of the first is the response's own."""

    def __init__(self, area: Area, disk: Disk, damages: Damages) -> None:
        self._area = area
        self._disk = disk
        self._damages = damages
        self._locks = KeyedLocks()

    async def save(self, owner: Owner, record: Mapping[str, Any], events: Sequence[tuple[int, bytes]] = ()) -> None:
        path = self._area.file(owner, str(record["id"]), SUFFIX)
        async with self._locks.hold(path):
            await self._disk.run(_save, path, record, events)

    async def update(self, owner: Owner, record: Mapping[str, Any], events: Sequence[tuple[int, bytes]] = ()) -> None:
        path = self._area.file(owner, str(record["id"]), SUFFIX)
        async with self._locks.hold(path):
            await self._disk.run(_update, path, record, events)

    async def get(self, owner: Owner, response_id: str) -> dict[str, Any]:
        record = await self._disk.run(self._read, self._area.file(owner, response_id, SUFFIX))
        if record is None:
            raise missing("response")
        record.pop("event_numbers", None)
        return record

    async def events(self, owner: Owner, response_id: str) -> list[tuple[int, bytes]]:
        path = self._area.file(owner, response_id, SUFFIX)

        def read() -> list[tuple[int, bytes]] | None:
            record = self._read(path)
            return None if record is None else _events(path.with_suffix(EVENTS), record.get("event_numbers"))

        found = await self._disk.run(read)
        if found is None:
            raise missing("response")
        return found

    async def delete(self, owner: Owner, response_id: str) -> None:
        path = self._area.file(owner, response_id, SUFFIX)
        async with self._locks.hold(path):
            if not await self._disk.run(_remove, path):
                raise missing("response")

    async def delete_of_session(self, owner: Owner, session_id: str) -> list[str]:
        folder = self._area.folder(owner)
        rows = await self._disk.run(lambda: [row for row in self._rows(folder) if row["session_id"] == session_id])
        gone = []
        for response_id in (str(row["id"]) for row in rows):
            path = self._area.file(owner, response_id, SUFFIX)
            async with self._locks.hold(path):
                if await self._disk.run(_remove, path):
                    gone.append(response_id)
        return gone

    async def find_items(self, owner: Owner, item_ids: Collection[str]) -> dict[str, dict[str, Any]]:
        return await self._disk.run(self._find, self._area.folder(owner), frozenset(item_ids))

    def _find(self, folder: Path, wanted: frozenset[str]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        if not wanted:
            return found
        for row in self._rows(folder):
            if wanted.isdisjoint(row["items"]):
                continue
            record = self._read(folder / f"{row['id']}{SUFFIX}")
            for item in items_of(record or {}):
                if item["id"] in wanted:
                    found.setdefault(item["id"], item)
            if len(found) == len(wanted):
                break
        return found

    def _rows(self, folder: Path) -> Iterator[dict[str, Any]]:
        """The rows of all responses that are not too old, newest first."""
        known = sorted(files_in(folder, SUFFIX), key=lambda each: each[1].st_mtime_ns, reverse=True)
        for name, status in known:
            if status.st_mtime < time.time() - KEPT_SECONDS:
                return
            row = self._row(folder / f"{name}{SUFFIX}")
            if row is not None:
                yield row

    def _row(self, path: Path) -> dict[str, Any] | None:
        try:
            row = row_in(path, _ROW)
        except FileNotFoundError:
            return None
        if row is not None and row.get("id") == path.stem and isinstance(row.get("items"), list):
            return row
        record = self._read(path)
        return row_of(record) if record is not None else None

    def _read(self, path: Path) -> dict[str, Any] | None:
        """None when there is none or it is too old; what is damaged is set aside."""
        try:
            record = _record_in(read_file(path))
            if (
                not isinstance(record, dict)
                or record.get("id") != path.stem
                or not isinstance(record["response"], dict)
            ):
                raise Unreadable("not our form")
        except FileNotFoundError:
            return None
        except (Unreadable, ValueError, KeyError, RecursionError) as reason:
            self._damages.set_aside(path, f"a stored response could not be read ({type(reason).__name__})")
            return None
        return None if _moment(record) < time.time() - KEPT_SECONDS else record


def _save(path: Path, record: Mapping[str, Any], events: Sequence[tuple[int, bytes]]) -> None:
    is_new = not path.exists()
    _write(path, record, events)
    if is_new:
        _prune(path.parent)


def _update(path: Path, record: Mapping[str, Any], events: Sequence[tuple[int, bytes]]) -> None:
    if not path.exists():
        raise missing("response")
    _write(path, record, events)


def _write(path: Path, record: Mapping[str, Any], events: Sequence[tuple[int, bytes]]) -> None:
    if events:
        write_atomic(path.with_suffix(EVENTS), b"".join(frame for _, frame in events))
    whole = {**record, "event_numbers": _ranges(events)}
    parts = [_ROW, encode_json(row_of(record)), b",\n", _RECORD, encode_json(whole), b"}\n"]
    write_atomic(path, b"".join(parts), _moment(record))


def _record_in(data: bytes) -> Any:
    """Raises ValueError, RecursionError, Unreadable."""
    start = data.find(b"\n" + _RECORD)
    if not data.startswith(_ROW) or start < 0 or not data.endswith(b"}\n"):
        raise Unreadable("it is cut short")
    return decode_json(data[start + 1 + len(_RECORD) : -2])


def _ranges(events: Sequence[tuple[int, bytes]]) -> list[list[int]]:
    """The numbers of the events as [first, one after the last] of each unbroken row; there is mostly one."""
    rows: list[list[int]] = []
    for number, _ in events:
        if rows and rows[-1][1] == number:
            rows[-1][1] += 1
        else:
            rows.append([number, number + 1])
    return rows


def _events(path: Path, ranges: Any) -> list[tuple[int, bytes]]:
    """The events that the response counts; none when the file is not what the response says."""
    try:
        numbers = [number for first, end in ranges or () for number in range(first, min(end, first + MAX_EVENTS))]
        frames = read_file(path).split(b"\n\n") if numbers else []
    except (FileNotFoundError, Unreadable, TypeError, ValueError):
        return []
    if len(frames) <= len(numbers):  # after the last one's end there is an empty piece
        return []
    return [(number, frame + b"\n\n") for number, frame in zip(numbers, frames, strict=False)]


def _remove(path: Path) -> bool:
    # The response first: events without one do not exist.
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    remove_quietly(path.with_suffix(EVENTS))
    sync_folder(path.parent)
    return True


def _moment(record: Mapping[str, Any]) -> float:
    """When the response was made, in seconds since the epoch."""
    created_at = record.get("created_at")
    if isinstance(created_at, int | float) and not isinstance(created_at, bool) and 0 <= created_at < 4e9:
        return float(created_at)
    return time.time()


def _prune(folder: Path) -> None:
    """Remove what is too old, the oldest beyond what one owner may keep, and events without a response."""
    found = sorted(files_in(folder, SUFFIX), key=lambda each: each[1].st_mtime_ns, reverse=True)
    sizes = {name: status.st_size for name, status in files_in(folder, EVENTS)}
    oldest = time.time() - KEPT_SECONDS
    kept_bytes = 0
    for number, (name, status) in enumerate(found):
        kept_bytes += status.st_size + sizes.pop(name, 0)
        if number >= MAX_RESPONSES or status.st_mtime < oldest or (number and kept_bytes > MAX_OWNER_BYTES):
            remove_quietly(folder / f"{name}{SUFFIX}")
            remove_quietly(folder / f"{name}{EVENTS}")
