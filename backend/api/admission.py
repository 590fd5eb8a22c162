"""Who may work now: so many requests at once, so many in line, a fair share for each user, and an honest no."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from backend.models.errors import HearthError, Overloaded, TooManyRequests
from backend.models.run import Owner

MAX_KEPT_BYTES = 65_536
"""Of a body that comes while its request stands in line; the rest stays with the sender until it is read."""
LONGEST_RETRY_S = 60
_WEIGHT = 0.1
"""Of the newest request in the mean time that requests hold their place."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What one user may still start. `reset_s`: about how long until all places of the user are free, in seconds."""

    limit: int
    remaining: int
    reset_s: int


class Ticket:
    """A place among the running requests; giving it back twice does no harm."""

    __slots__ = ("_admission", "_owner", "_since")

    def __init__(self, admission: Admission, owner: Owner) -> None:
        self._admission: Admission | None = admission
        self._owner = owner
        self._since = time.monotonic()

    def release(self) -> None:
        admission, self._admission = self._admission, None
        if admission is not None:
            admission.leave(self._owner, time.monotonic() - self._since)


class Admission:
    """The only judge of who runs. Everything happens in the event loop, so nothing needs a lock.

    A place that becomes free is handed on at once: to the users in line in turn, passing over those who have their
    share already. So nobody who waits could run, and a newcomer below the share never overtakes anybody.
    """

    def __init__(self, running: int, queued: int, share: int | None = None, patience_s: float = 30.0) -> None:
        """At most `running` at once and `queued` in line, each for at most `patience_s` seconds.

        `share` is the most that one user runs at once, by default three quarters of all (at least one); half of
        the line is the most that one user may stand in.
        """
        self.most = running
        self.share = min(share or max(1, running * 3 // 4), running)
        self.queue = queued
        self.queue_share = (queued + 1) // 2
        self.patience_s = patience_s
        self.running = 0
        self.waiting = 0
        self._held: dict[Owner, int] = {}
        self._lines: OrderedDict[Owner, deque[asyncio.Future[None]]] = OrderedDict()
        self._mean_s = 1.0

    async def enter(self, owner: Owner, inbox: Inbox) -> Ticket:
        """A place, at once or after standing in line.

        Raises TooManyRequests (the user's own share is used up), Overloaded (the server is full), ClientDisconnect.
        """
        if self.running < self.most and self._held.get(owner, 0) < self.share:
            return self._admit(owner)
        line = self._lines.get(owner)
        if self.waiting >= self.queue or (line is not None and len(line) >= self.queue_share):
            raise self._refusal(owner)
        return await self._stand_in_line(owner, inbox)

    def leave(self, owner: Owner, held_s: float) -> None:
        """Give a place back and hand it on; called by the ticket."""
        self._mean_s += (held_s - self._mean_s) * _WEIGHT
        self.running -= 1
        left = self._held[owner] - 1
        if left:
            self._held[owner] = left
        else:
            del self._held[owner]
        self._hand_on()

    def standing(self, owner: Owner) -> Standing:
        """What the user may still start now."""
        mine = self._held.get(owner, 0)
        remaining = max(0, min(self.share - mine, self.most - self.running))
        return Standing(self.share, remaining, self._wait_s(mine / self.share) if mine else 0)

    def _admit(self, owner: Owner) -> Ticket:
        self.running += 1
        self._held[owner] = self._held.get(owner, 0) + 1
        return Ticket(self, owner)

    async def _stand_in_line(self, owner: Owner, inbox: Inbox) -> Ticket:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(owner, deque()).append(turn)
        self.waiting += 1
        gone = asyncio.ensure_future(inbox.until_gone())
        try:
            try:
                await asyncio.wait({turn, gone}, timeout=self.patience_s, return_when=asyncio.FIRST_COMPLETED)
            finally:
                # The body is read by somebody else from now on: the watch must have let go of it.
                gone.cancel()
                await asyncio.wait({gone})
        except asyncio.CancelledError:
            self._step_out(owner, turn)
            raise
        left = not gone.cancelled()
        if turn.done() and not left:
            return Ticket(self, owner)
        self._step_out(owner, turn)
        raise ClientDisconnect() if left else self._refusal(owner)

    def _step_out(self, owner: Owner, turn: asyncio.Future[None]) -> None:
        """Leave the line, or give back the place that came at the same moment."""
        if turn.done():
            self.leave(owner, self._mean_s)
            return
        line = self._lines[owner]
        line.remove(turn)
        if not line:
            del self._lines[owner]
        self.waiting -= 1

    def _hand_on(self) -> None:
        """Give free places to those in line, one user after the other."""
        for owner in list(self._lines) if self._lines else ():
            if self.running >= self.most:
                return
            if self._held.get(owner, 0) >= self.share:
                continue
            line = self._lines[owner]
            turn = line.popleft()
            self.waiting -= 1
            self._admit(owner)
            if line:
                self._lines.move_to_end(owner)
            else:
                del self._lines[owner]
            turn.set_result(None)

    def _refusal(self, owner: Owner) -> HearthError:
        mine = self._held.get(owner, 0)
        line = self._lines.get(owner)
        mine_waiting = len(line) if line is not None else 0
        if mine >= self.share or (self.queue_share and mine_waiting >= self.queue_share):
            wait = self._wait_s((mine_waiting + 1) / self.share)
            return TooManyRequests(
                f"You have {mine} requests running and {mine_waiting} waiting, which is your share of this server:"
                " let one end and try again.",
                headers={"retry-after": str(wait)},
            )
        wait = self._wait_s((self.waiting + 1) / self.most)
        return Overloaded("The server is busy: try again in a moment.", headers={"retry-after": str(wait)})

    def _wait_s(self, rounds: float) -> int:
        """Whole seconds that so many rounds of requests will take, from what they took lately."""
        return min(LONGEST_RETRY_S, max(1, math.ceil(self._mean_s * rounds)))


class Inbox:
    """The receiving side of one request, which may be watched for the client's leaving before the body is wanted."""

    __slots__ = ("_kept", "_receive", "_size")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept: deque[Message] | None = None
        self._size = 0

    async def __call__(self) -> Message:
        if self._kept:
            return self._kept.popleft()
        return await self._receive()

    async def until_gone(self) -> None:
        """Returns when the client has left; what it sends until then is kept, up to MAX_KEPT_BYTES."""
        if self._kept is None:
            self._kept = deque()
        while self._size < MAX_KEPT_BYTES:
            message = await self._receive()
            self._kept.append(message)
            if message["type"] == "http.disconnect":
                return
            self._size += len(message.get("body", b""))
        await asyncio.get_running_loop().create_future()


class Visit:
    """One request as the edge sees it: who sent it, and the place it holds."""

    __slots__ = ("inbox", "owner", "ticket")

    def __init__(self, receive: Receive) -> None:
        self.inbox = Inbox(receive)
        self.owner: Owner | None = None
        self.ticket: Ticket | None = None

    async def admit(self, admission: Admission, owner: Owner) -> None:
        """Hold a place until the edge ends this visit."""
        if self.ticket is None:
            self.ticket = await admission.enter(owner, self.inbox)

    def end(self) -> None:
        if self.ticket is not None:
            self.ticket.release()


def visit_of(request: Request) -> Visit:
    visit: Any = request.scope["visit"]
    assert isinstance(visit, Visit)
    return visit
