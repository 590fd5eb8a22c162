"""One writer per object: a lock by key inside the process, flock between processes. Both die with their holder."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import time
from collections.abc import AsyncIterator, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from backend.models.errors import StorageFailed
from backend.storage.json_files.atomic import ensure_folder, open_regular

LOCK_WAIT_S = 15.0
_BUSY = (errno.EAGAIN, errno.EACCES)


class KeyedLocks:
    """asyncio locks by key, kept only while somebody holds or awaits them."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, key: Hashable) -> AsyncIterator[None]:
        lock, users = self._locks.get(key, (None, 0))
        lock = lock or asyncio.Lock()
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            users = self._locks[key][1] - 1
            if users:
                self._locks[key] = (lock, users)
            else:
                del self._locks[key]


def flock(handle: int) -> None:
    """Take the exclusive lock of an open file. Raises StorageFailed when another process keeps it too long."""
    deadline = time.monotonic() + LOCK_WAIT_S
    pause = 0.001
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if error.errno not in _BUSY:
                raise
        if time.monotonic() > deadline:
            raise StorageFailed("Another process keeps the data folder busy; try again in a moment.")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)


@contextmanager
def file_lock(path: Path) -> Iterator[int]:
    """Hold the lock file `path`, which is made if need be and stays; its handle. Call it in a thread."""
    ensure_folder(path.parent)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        flock(handle)
        yield handle
    finally:
        os.close(handle)


@contextmanager
def locked_file(path: Path) -> Iterator[int]:
    """Open a data file for reading and appending, and hold its own lock. Call it in a thread.

    While one waited, the file may have been replaced or removed: then the lock is on the wrong one, so look again.
    Raises FileNotFoundError, Unreadable.
    """
    while True:
        handle = open_regular(path, os.O_RDWR | os.O_APPEND)
        try:
            flock(handle)
            mine, there = os.fstat(handle), path.stat(follow_symlinks=False)
            if (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino):
                yield handle
                return
        finally:
            os.close(handle)
