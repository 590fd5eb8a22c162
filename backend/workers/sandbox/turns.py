"""Whose turn it is: a few places, a queue that goes round the owners, and a limit for each of them."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from backend.models.errors import TooManyRequests
from backend.models.run import Owner

AT_ONCE = 2
MAX_WAITING = 200
MAX_WAITING_OF_OWNER = 100
RUNS_PER_MINUTE = 240
"""Of one owner."""
_MAX_OWNERS = 1000
_MINUTE = 60.0


class Turns:
    """Hands out places. Within an owner in order of asking; between owners one after the other."""

    def __init__(
        self,
        at_once: int = AT_ONCE,
        *,
        per_minute: int = RUNS_PER_MINUTE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._free = at_once
        self._per_minute = per_minute
        self._clock = clock
        self._waiting: OrderedDict[Owner, deque[asyncio.Future[None]]] = OrderedDict()
        self._recent: OrderedDict[Owner, deque[float]] = OrderedDict()

    @property
    def waiting(self) -> int:
        return sum(len(queue) for queue in self._waiting.values())

    async def take(self, owner: Owner) -> None:
        """Wait for a place. Raises TooManyRequests at once when the queue or the owner's share of it is full."""
        self._count(owner)
        if self._free > 0:
            self._free -= 1
            return
        queue = self._waiting.get(owner, deque())
        if len(queue) >= MAX_WAITING_OF_OWNER or self.waiting >= MAX_WAITING:
            raise TooManyRequests(
                "Too much code is waiting to run; try again in a few seconds.", headers={"retry-after": "5"}
            )
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        self._waiting[owner] = queue
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back()
            else:
                self._forget(owner, turn)
            raise

    def give_back(self) -> None:
        """A place is free: the owner who has waited longest for a turn is next, and then goes to the end."""
        while self._waiting:
            owner, queue = self._waiting.popitem(last=False)
            turn = queue.popleft()
            if queue:
                self._waiting[owner] = queue
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _forget(self, owner: Owner, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(owner)
        if queue is not None and turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[owner]

    def _count(self, owner: Owner) -> None:
        now = self._clock()
        recent = self._recent.setdefault(owner, deque())
        self._recent.move_to_end(owner)
        while recent and recent[0] <= now - _MINUTE:
            recent.popleft()
        if len(recent) >= self._per_minute:
            wait = int(recent[0] + _MINUTE - now) + 1
            raise TooManyRequests(
                f"You have run code {self._per_minute} times within a minute; try again in {wait} seconds.",
                headers={"retry-after": str(wait)},
            )
        recent.append(now)
        while len(self._recent) > _MAX_OWNERS:
            self._recent.popitem(last=False)
