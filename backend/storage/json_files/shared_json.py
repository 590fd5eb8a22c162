"""One small JSON file that several processes read, keep in memory and replace."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import orjson

from backend.models.errors import StorageFailed
from backend.storage.json_files.atomic import (
    ABSENT,
    Mark,
    Unreadable,
    is_settled,
    mark_at,
    read_file,
    write_atomic,
)
from backend.storage.json_files.damages import Damages
from backend.storage.json_files.disk import Disk
from backend.storage.json_files.locks import KeyedLocks, file_lock

VERSION = 1

State = TypeVar("State")
R = TypeVar("R")


class Format(Protocol[State]):
    """How a state, which is immutable, is written. `from_json` also says how many records made no sense."""

    def empty(self) -> State: ...

    def to_json(self, state: State) -> dict[str, Any]: ...

    def from_json(self, data: dict[str, Any]) -> tuple[State, int]: ...


class SharedJson(Generic[State]):
    """The file's state, read again when another process changed it, changed only under its lock."""

    def __init__(self, path: Path, disk: Disk, damages: Damages, form: Format[State]) -> None:
        self._path = path
        self._lock_path = path.with_name(f".{path.stem}.lock")
        self._disk = disk
        self._damages = damages
        self._form = form
        self._locks = KeyedLocks()
        self._seen: tuple[Mark, State] | None = None

    async def read(self) -> State:
        """The state now; costs one stat when nothing changed."""
        seen = self._seen
        if seen is not None and mark_at(self._path) == seen[0]:
            return seen[1]
        return await self._disk.run(self._load)

    async def change(self, edit: Callable[[State], tuple[State, R]]) -> R:
        """Read, edit and replace in one piece. `edit` runs in a thread; giving back the same state writes nothing."""
        async with self._locks.hold(self._path):
            return await self._disk.run(self._change, edit)

    def _change(self, edit: Callable[[State], tuple[State, R]]) -> R:
        with file_lock(self._lock_path):
            before = self._load_locked()
            after, result = edit(before)
            if after is not before:
                self._write(after)
            return result

    def _load(self) -> State:
        mark = mark_at(self._path)
        try:
            state, bad = self._parsed()
        except Unreadable:
            bad = 1
        if bad:
            with file_lock(self._lock_path):
                return self._load_locked()
        self._remember(mark, state)
        return state

    def _load_locked(self) -> State:
        """As `_load`, and under the lock what is damaged may be moved."""
        mark = mark_at(self._path)
        try:
            state, bad = self._parsed()
        except Unreadable as reason:
            self._damages.set_aside(self._path, f"{self._path.name} could not be read ({reason})")
            return self._form.empty()
        if bad:
            self._damages.keep_copy(self._path, read_file(self._path), f"{bad} records of {self._path.name} are broken")
            self._write(state)
            return state
        self._remember(mark, state)
        return state

    def _parsed(self) -> tuple[State, int]:
        try:
            data = orjson.loads(read_file(self._path))
        except FileNotFoundError:
            return self._form.empty(), 0
        except orjson.JSONDecodeError:
            raise Unreadable("not JSON") from None
        if not isinstance(data, dict) or not isinstance(data.get("version"), int):
            raise Unreadable("not our form")
        if data["version"] > VERSION:
            raise StorageFailed("The data folder was written by a newer Hearth; update this one.")
        return self._form.from_json(data)

    def _write(self, state: State) -> None:
        data = {"version": VERSION, **self._form.to_json(state)}
        write_atomic(self._path, orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n")
        self._seen = None

    def _remember(self, mark: Mark, state: State) -> None:
        # The mark was taken before reading: a change in between shows as a difference next time.
        self._seen = (mark, state) if mark == ABSENT or is_settled(mark) else None


def good_records(rows: Any, read: Callable[[Any], R]) -> tuple[list[R], int]:
    """The rows that `read` accepts, and the number it refuses by ValueError. Raises Unreadable for no list."""
    if not isinstance(rows, list):
        raise Unreadable("not our form")
    good: list[R] = []
    for row in rows:
        with contextlib.suppress(ValueError):
            good.append(read(row))
    return good, len(rows) - len(good)
