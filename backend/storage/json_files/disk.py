"""Blocking file work in the engine's own threads, and what its failures mean to a caller."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from backend.models.errors import StorageFailed, StorageFull

logger = logging.getLogger(__name__)

T = TypeVar("T")

THREADS = 16
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Disk:
    """A pool of threads of its own, so that waiting for a disk never holds up other thread work."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="storage")

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """Do `work(*args)` in a thread.

        A caller that is cancelled still waits for the thread (milliseconds) before it lets go of its locks: there is
        never a writer left behind that nobody knows of.

        Raises:
            StorageFull, StorageFailed: what an OSError of the work means.
        """
        future = asyncio.get_running_loop().run_in_executor(self._pool, _translated, work, args)
        interrupted: asyncio.CancelledError | None = None
        while not future.done():
            try:
                await asyncio.wait({future})
            except asyncio.CancelledError as cancelled:
                interrupted = cancelled
        if interrupted is not None:
            future.exception()  # looked at, so that it is not reported as forgotten
            raise interrupted
        return future.result()

    def close(self) -> None:
        """Let running work end; no more is taken."""
        self._pool.shutdown(wait=False)


def _translated(work: Callable[..., T], args: tuple[Any, ...]) -> T:
    try:
        return work(*args)
    except OSError as error:
        logger.error("disk: %s: %s", errno.errorcode.get(error.errno or 0, "?"), error)
        raise failure(error) from error


def failure(error: OSError) -> StorageFailed:
    """The member of the error tree for an OSError."""
    if error.errno in _FULL:
        return StorageFull("The disk is full, so this was not saved; free some space and try again.")
    return StorageFailed("The disk refused, so this was not done; see the server's log and try again.")
