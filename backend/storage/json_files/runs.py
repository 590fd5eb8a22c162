"""Traces of agent runs, one JSON file each: a first line for lists, then the trace, then its events, one a line.

The time of change of a file is the run's own, so listing reads the first lines of a page and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
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
from backend.storage.run_store import MAX_OWNER_BYTES, MAX_RUNS, matches, row_of

SUFFIX = ".json"
MAX_PAGE = 1000
_ROW = b'{"version":2,"row":'
"""Version 1 was one line with the trace alone; it is still read."""
_TRACE = b'"trace":'
_EVENTS = b'"events":['


class JsonRunStore:
    """RunStore over `{owner}/{run_id}.json`."""

    def __init__(self, area: Area, disk: Disk, damages: Damages) -> None:
        self._area = area
        self._disk = disk
        self._damages = damages
        self._locks = KeyedLocks()

    async def save(self, owner: Owner, trace: Mapping[str, Any], events: Sequence[bytes] = ()) -> None:
        path = self._area.file(owner, str(trace["run_id"]), SUFFIX)
        async with self._locks.hold(path):
            await self._disk.run(_save, path, trace, events)

    async def update(self, owner: Owner, trace: Mapping[str, Any], events: Sequence[bytes] = ()) -> None:
        path = self._area.file(owner, str(trace["run_id"]), SUFFIX)
        async with self._locks.hold(path):
            await self._disk.run(_update, path, trace, events)

    async def get(self, owner: Owner, run_id: str) -> dict[str, Any]:
        path = self._area.file(owner, run_id, SUFFIX)
        trace = await self._disk.run(self._read, path)
        if trace is None:
            raise missing("run")
        return trace

    async def events(self, owner: Owner, run_id: str) -> list[bytes]:
        path = self._area.file(owner, run_id, SUFFIX)
        found = await self._disk.run(_events, path)
        if found is None:
            raise missing("run")
        return found

    async def delete(self, owner: Owner, run_id: str) -> None:
        path = self._area.file(owner, run_id, SUFFIX)
        async with self._locks.hold(path):
            if not await self._disk.run(_remove, path):
                raise missing("run")

    async def delete_of_session(self, owner: Owner, session_id: str) -> list[str]:
        folder = self._area.folder(owner)
        rows = await self._disk.run(lambda: list(self._rows(folder, _newest_first(folder), None, session_id)))
        gone = []
        for run_id in (str(row["run_id"]) for row in rows):
            path = self._area.file(owner, run_id, SUFFIX)
            async with self._locks.hold(path):
                if await self._disk.run(_remove, path):
                    gone.append(run_id)
        return gone

    async def list_runs(
        self, owner: Owner, *, page: int = 1, limit: int = 50, status: str | None = None, session_id: str | None = None
    ) -> tuple[list[dict[str, Any]], int]:
        return await self._disk.run(self._list, self._area.folder(owner), page, limit, status, session_id)

    def _list(
        self, folder: Path, page: int, limit: int, status: str | None, session_id: str | None
    ) -> tuple[list[dict[str, Any]], int]:
        found = _newest_first(folder)
        limit = min(max(limit, 1), MAX_PAGE)
        first = (max(page, 1) - 1) * limit
        if status is None and session_id is None:
            wanted = found[first : first + limit]
            rows = list(self._rows(folder, wanted, None, None))
            return rows, len(found) - (len(wanted) - len(rows))
        rows = list(self._rows(folder, found, status, session_id))
        return rows[first : first + limit], len(rows)

    def _rows(
        self, folder: Path, run_ids: Sequence[str], status: str | None, session_id: str | None
    ) -> Iterator[dict[str, Any]]:
        """The rows of these runs that pass the filters; files that are gone or damaged have none."""
        for run_id in run_ids:
            row = self._row(folder / f"{run_id}{SUFFIX}")
            if row is not None and matches(row, status, session_id):
                yield row

    def _row(self, path: Path) -> dict[str, Any] | None:
        try:
            row = row_in(path, _ROW)
        except FileNotFoundError:
            return None
        if row is not None and row.get("run_id") == path.name.removesuffix(SUFFIX):
            return row
        trace = self._read(path)
        return row_of(trace) if trace is not None else None

    def _read(self, path: Path) -> dict[str, Any] | None:
        """None when there is none; what is damaged is set aside."""
        try:
            trace = _trace_in(read_file(path))
            if not isinstance(trace, dict) or trace.get("run_id") != path.name.removesuffix(SUFFIX):
                raise Unreadable("not our form")
        except FileNotFoundError:
            return None
        except (Unreadable, ValueError, RecursionError) as reason:
            self._damages.set_aside(path, f"the trace of a run could not be read ({type(reason).__name__})")
            return None
        return trace


def _save(path: Path, trace: Mapping[str, Any], events: Sequence[bytes]) -> None:
    is_new = not path.exists()
    _write(path, trace, events)
    if is_new:
        _prune(path.parent)


def _update(path: Path, trace: Mapping[str, Any], events: Sequence[bytes]) -> None:
    if not path.exists():
        raise missing("run")
    _write(path, trace, events)


def _write(path: Path, trace: Mapping[str, Any], events: Sequence[bytes]) -> None:
    parts = [_ROW, encode_json(row_of(trace)), b",\n", _TRACE, encode_json(trace), b",\n", _EVENTS]
    if events:
        parts += [b"\n", b",\n".join(events), b"\n"]
    parts.append(b"]}\n")
    write_atomic(path, b"".join(parts), _moment(trace))


def _trace_in(data: bytes) -> Any:
    """Raises ValueError, RecursionError, Unreadable."""
    if not data.startswith(_ROW):
        trace = decode_json(data)
        if isinstance(trace, dict):
            trace.pop("version", None)
        return trace
    start = data.find(b"\n" + _TRACE) + 1
    end = data.find(b",\n" + _EVENTS, start)
    if not start or end < 0 or not data.endswith(b"]}\n"):
        raise Unreadable("it is cut short")
    return decode_json(data[start + len(_TRACE) : end])


def _events(path: Path) -> list[bytes] | None:
    try:
        data = read_file(path)
    except (FileNotFoundError, Unreadable):
        return None
    start = data.find(b"\n" + _EVENTS)
    if start < 0:
        return []
    lines = data[start + 1 + len(_EVENTS) :].split(b"\n")
    return [line.removesuffix(b",") for line in lines if line.startswith(b"{")]


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    sync_folder(path.parent)
    return True


def _moment(trace: Mapping[str, Any]) -> float:
    """When the run was, in seconds since the epoch."""
    created_at = trace.get("created_at")
    if isinstance(created_at, int | float) and not isinstance(created_at, bool) and 0 <= created_at < 4e9:
        return float(created_at)
    return time.time()


def _newest_first(folder: Path) -> list[str]:
    """Run ids."""
    found = [(status.st_mtime_ns, run_id) for run_id, status in files_in(folder, SUFFIX)]
    return [run_id for _, run_id in sorted(found, reverse=True)]


def _prune(folder: Path) -> None:
    """Remove the oldest traces beyond what one owner may keep."""
    found = sorted(files_in(folder, SUFFIX), key=lambda each: each[1].st_mtime_ns, reverse=True)
    kept_bytes = 0
    for number, (run_id, status) in enumerate(found):
        kept_bytes += status.st_size
        if number >= MAX_RUNS or (number and kept_bytes > MAX_OWNER_BYTES):
            remove_quietly(folder / f"{run_id}{SUFFIX}")
