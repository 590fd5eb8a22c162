"""Traces of agent runs, one JSON file each. The time of change of a file is the run's own, so listing reads a page."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.models.run import Owner
from backend.storage.json_files.append_log import decode_json, encode_json
from backend.storage.json_files.atomic import Unreadable, files_in, read_file, sync_folder, write_atomic
from backend.storage.json_files.damages import Damages
from backend.storage.json_files.disk import Disk
from backend.storage.json_files.locks import KeyedLocks
from backend.storage.json_files.paths import Area, missing

SUFFIX = ".json"
VERSION = 1
MAX_PAGE = 1000


class JsonRunStore:
    """RunStore over `{owner}/{run_id}.json`."""

    def __init__(self, area: Area, disk: Disk, damages: Damages) -> None:
        self._area = area
        self._disk = disk
        self._damages = damages
        self._locks = KeyedLocks()

    async def save(self, owner: Owner, trace: Mapping[str, Any]) -> None:
        path = self._area.file(owner, str(trace["run_id"]), SUFFIX)
        data = encode_json({"version": VERSION, **trace}) + b"\n"
        async with self._locks.hold(path):
            await self._disk.run(write_atomic, path, data, _moment(trace))

    async def get(self, owner: Owner, run_id: str) -> dict[str, Any]:
        path = self._area.file(owner, run_id, SUFFIX)
        trace = await self._disk.run(self._read, path)
        if trace is None:
            raise missing("run")
        return trace

    async def delete(self, owner: Owner, run_id: str) -> None:
        path = self._area.file(owner, run_id, SUFFIX)

        def remove() -> None:
            try:
                path.unlink()
            except FileNotFoundError:
                raise missing("run") from None
            sync_folder(path.parent)

        async with self._locks.hold(path):
            await self._disk.run(remove)

    async def list_runs(self, owner: Owner, *, page: int = 1, limit: int = 50) -> tuple[list[dict[str, Any]], int]:
        return await self._disk.run(self._list, self._area.folder(owner), page, limit)

    def _list(self, folder: Path, page: int, limit: int) -> tuple[list[dict[str, Any]], int]:
        files = _newest_first(folder)
        limit = min(max(limit, 1), MAX_PAGE)
        first = (max(page, 1) - 1) * limit
        traces = [self._read(path) for path in files[first : first + limit]]
        shown = [{name: value for name, value in trace.items() if name != "steps"} for trace in traces if trace]
        return shown, len(files) - traces.count(None)

    def _read(self, path: Path) -> dict[str, Any] | None:
        """None when there is none; what is damaged is set aside."""
        try:
            trace = decode_json(read_file(path))
            if not isinstance(trace, dict) or trace.get("run_id") != path.name.removesuffix(SUFFIX):
                raise Unreadable("not our form")
        except FileNotFoundError:
            return None
        except (Unreadable, ValueError, RecursionError) as reason:
            self._damages.set_aside(path, f"the trace of a run could not be read ({type(reason).__name__})")
            return None
        trace.pop("version", None)
        return trace


def _moment(trace: Mapping[str, Any]) -> float:
    """When the run was, in seconds since the epoch."""
    created_at = trace.get("created_at")
    if isinstance(created_at, int | float) and not isinstance(created_at, bool) and 0 <= created_at < 4e9:
        return float(created_at)
    return time.time()


def _newest_first(folder: Path) -> list[Path]:
    found = [(status.st_mtime_ns, run_id) for run_id, status in files_in(folder, SUFFIX)]
    return [folder / f"{run_id}{SUFFIX}" for _, run_id in sorted(found, reverse=True)]
