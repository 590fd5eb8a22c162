"""Turns at something scarce, given out owner by owner, so that one with much to do does not keep others waiting."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager


class FairTurns:
    """At most `at_once` turns at a time. Who waits is served round robin by owner, each owner in its own order."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: OrderedDict[Hashable, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, owner: Hashable) -> AsyncIterator[None]:
        """Wait for a turn, and give it back at the end. Cancelling while waiting leaves the queue."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(owner)
        try:
            yield
        finally:
            self._give_back()

    async def _wait(self, owner: Hashable) -> None:
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                # The turn came and the cancellation with it: it belongs to the next.
                self._give_back()
            raise

    def _give_back(self) -> None:
        """Hand the turn to the owner that has waited longest since its last one."""
        while self._waiting:
            owner, queue = self._waiting.popitem(last=False)
            while queue and queue[0].done():
                queue.popleft()
            if not queue:
                continue
            queue.popleft().set_result(None)
            if queue:
                self._waiting[owner] = queue
            return
        self._free += 1
