"""Blocking work in a thread, one piece after the other for each index."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


async def in_turn(locks: Sequence[asyncio.Lock], work: Callable[[], T]) -> T:
    """Do the work in a thread while the locks, which are taken in this order, are held.

    A cancelled caller goes at once, but its thread cannot be stopped: the locks stay held until it is done, so that
    nothing that was asked for later is overtaken by it.
    """
    taken: list[asyncio.Lock] = []

    def release(_: object = None) -> None:
        for lock in taken:
            lock.release()

    try:
        for lock in locks:
            await lock.acquire()
            taken.append(lock)
    except asyncio.CancelledError:
        release()
        raise
    done = asyncio.get_running_loop().run_in_executor(None, work)
    done.add_done_callback(release)
    done.add_done_callback(lambda future: future.cancelled() or future.exception())
    return await asyncio.shield(done)
