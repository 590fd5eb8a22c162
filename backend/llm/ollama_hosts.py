"""The hosts that serve: who is least busy, who is ill, and how many requests each gets at once."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable

from backend.llm.ollama_errors import queue_full, resting

FAILURES_TO_OPEN = 5
FAILURE_SPAN_S = 30.0
OPEN_S = 15.0


class CircuitBreaker:
    """Lets an ill host rest: 5 failures within 30 s close the way for 15 s, then one probe decides.

    Source: the circuit breaker of M. Nygard, Release It!, chapter on stability patterns.
    """

    __slots__ = ("_clock", "_failures", "_opened_at", "_probing")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: deque[float] = deque(maxlen=FAILURES_TO_OPEN)
        self._opened_at: float | None = None
        self._probing = False

    def wait_s(self) -> float:
        """Seconds until a request may go through; 0 when one may go now."""
        if self._opened_at is None:
            return 0.0
        left = self._opened_at + OPEN_S - self._clock()
        if left > 0:
            return left
        return 1.0 if self._probing else 0.0

    def enter(self) -> None:
        """A request goes through: while the way is closed it is the probe."""
        self._probing = self._opened_at is not None

    def leave(self, worked: bool | None) -> None:
        """The request ended: well, badly, or (None) without telling anything, e.g. cancelled.

        Only failures with no success between them add up.
        """
        self._probing = False
        if worked:
            self._failures.clear()
            self._opened_at = None
        elif worked is False:
            now = self._clock()
            self._failures.append(now)
            full = len(self._failures) == FAILURES_TO_OPEN and now - self._failures[0] <= FAILURE_SPAN_S
            if full or self._opened_at is not None:
                self._opened_at = now


class Host:
    """One Ollama. `busy` counts the requests it is working on and those waiting here for it."""

    __slots__ = ("_slots", "breaker", "busy", "url")

    def __init__(self, url: str, parallel: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.url = url
        self.busy = 0
        self.breaker = CircuitBreaker(clock)
        self._slots = asyncio.Semaphore(parallel)

    async def acquire(self, patience_s: float, *, blamed: bool = False) -> Slot:
        """A slot, in order of asking. Raises UpstreamBusy when none comes free in time.

        `blamed`: this host has already failed the same request, so another failure of it tells nothing new.
        """
        self.busy += 1
        self.breaker.enter()
        acquired = False
        try:
            async with asyncio.timeout(patience_s):
                acquired = await self._slots.acquire()
        except TimeoutError:
            raise queue_full() from None
        finally:
            if not acquired:
                self.busy -= 1
                self.breaker.leave(None)
        return Slot(self, blamed)

    def free(self) -> None:
        self.busy -= 1
        self._slots.release()


class Slot:
    """The right to one request at a host. Given back once, however often `release` is called."""

    __slots__ = ("_blamed", "_host", "_open")

    def __init__(self, host: Host, blamed: bool = False) -> None:
        self._host = host
        self._blamed = blamed
        self._open = True

    def release(self, worked: bool | None = None) -> None:
        """`worked` is what the request says about the host's health, see CircuitBreaker.leave."""
        if self._open:
            self._open = False
            self._host.breaker.leave(None if worked is False and self._blamed else worked)
            self._host.free()


def choose_host(hosts: Iterable[Host], having: Collection[str], tried: Collection[str]) -> Host:
    """The least busy healthy host that has the model, of those not tried yet if there are any.

    Args:
        having: base URLs of hosts known to have the model; empty when unknown.
        tried: base URLs where this request has already failed.

    Raises:
        Resting: every host is.
    """
    able = [host for host in hosts if not having or host.url in having]
    waits = {host.url: host.breaker.wait_s() for host in able}
    ready = [host for host in able if waits[host.url] == 0.0]
    if not ready:
        raise resting(min(waits.values(), default=OPEN_S))
    fresh = [host for host in ready if host.url not in tried]
    return min(fresh or ready, key=lambda host: host.busy)
