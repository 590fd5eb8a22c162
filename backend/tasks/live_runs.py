"""Runs that are going on in this process: their numbered events for watchers, and the way to stop them."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

from backend.models.errors import Conflict
from backend.models.messages import Event
from backend.models.run import Owner
from backend.utils.processes import process_mark

CALM_SECONDS = 0.1
CALM_CHARS = 500
"""Pieces of text are joined for so long, or up to so much, before they become one event."""
MANY_BYTES = 2 * 1_048_576
"""From here on pieces are joined up to MANY_CHARS, however long that takes."""
MANY_CHARS = 16_000
MOST_BYTES = 4 * 1_048_576
"""Beyond this text is no longer kept as events; the trace has the answer."""
BATCH_BYTES = 64 * 1024
PATIENCE_SECONDS = 12.0
CANCELLED = "The run was cancelled."


class Interrupt:
    """Stops an event stream from outside, at once, wherever it waits. A context manager that closes the stream.

    Made by the task that reads the stream, which has to look at `rung` after each event it passed on. Only waiting
    for the stream's next event is broken off, never the code of whoever is handed the events; when that is where
    the reader is, the stream is closed behind its back.
    """

    def __init__(self, events: AsyncGenerator[Event, None]) -> None:
        reader = asyncio.current_task()
        assert reader is not None, "an event stream is read by a task"
        self._events = events
        self._reader = reader
        self._before = reader.cancelling()
        self._closing: asyncio.Task[None] | None = None
        self.rung = False

    def ring(self) -> None:
        """Stop the stream; a second time does nothing."""
        if self.rung:
            return
        self.rung = True
        if cast(Any, self._events).ag_running:
            self._reader.cancel()
        else:
            self._closing = asyncio.create_task(self._events.aclose())

    def taken_back(self) -> bool:
        """For the reader's `except CancelledError`: whether it was this interrupt alone, which is then undone."""
        if not self.rung or self._closing is not None:
            return False
        return self._reader.uncancel() <= self._before

    async def __aenter__(self) -> Interrupt:
        return self

    async def __aexit__(self, *_: object) -> None:
        # Closing a stream that is being closed already is an error.
        await (self._closing if self._closing is not None else self._events.aclose())


class EventLog:
    """The events of one run: numbered from 1, encoded once, joined where they are many and small."""

    def __init__(self) -> None:
        self.events: list[bytes] = []
        self.over = False
        self._bytes = 0
        self._kind = ""
        self._pieces: list[str] = []
        self._chars = 0
        self._limit = CALM_CHARS
        self._timer: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()
        self._full = False

    def load(self, events: list[bytes]) -> None:
        """Put the events of the run's earlier part in front."""
        self.events = [*events, *self.events]
        self._bytes = sum(map(len, self.events))

    def text(self, kind: str, piece: str) -> None:
        """A piece of the answer (`text`) or of the thinking (`reasoning`)."""
        if kind is not self._kind or not self._pieces:
            self._begin(kind)
        self._pieces.append(piece)
        self._chars += len(piece)
        if self._chars >= self._limit:
            self.flush()

    def add(self, event: Mapping[str, Any]) -> None:
        """An event as it is; `n` and `at` are filled in."""
        self.flush()
        self._publish(self._numbered(event))

    def ended_by(self, event: Mapping[str, Any]) -> list[bytes]:
        """All events with this final one, which watchers learn of only by `close`: what they are told is stored."""
        self.flush()
        return [*self.events, self._numbered(event)]

    def close(self, events: list[bytes]) -> None:
        """The end: `events` as `ended_by` gave them."""
        self.events = events
        self.over = True
        self._wake()

    def flush(self) -> None:
        """Make an event of the pieces that wait."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._pieces:
            return
        pieces, self._pieces, self._chars = self._pieces, [], 0
        if self._bytes < MOST_BYTES:
            self._publish(self._numbered({"type": self._kind, "text": "".join(pieces)}))
        elif not self._full:
            self._full = True
            self._publish(self._numbered({"type": self._kind, "text": "", "cut": True}))

    async def follow(self, after: int) -> AsyncGenerator[list[tuple[int, bytes]], None]:
        """Events with their numbers from `after` on, in batches, until the run is over.

        An empty batch after PATIENCE_SECONDS of silence. A watcher that does not ask costs nothing: it holds only
        its place.
        """
        at = max(after, 0)
        while True:
            for batch in batches(self.events, at):
                yield batch
                at = batch[-1][0]
            if at < len(self.events):
                continue
            if self.over:
                return
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                yield []

    def _begin(self, kind: str) -> None:
        self.flush()
        self._kind = kind
        if self._bytes > MANY_BYTES:
            self._limit = MANY_CHARS
        else:
            self._timer = asyncio.get_running_loop().call_later(CALM_SECONDS, self.flush)

    def _numbered(self, event: Mapping[str, Any]) -> bytes:
        head = {"type": event["type"], "n": len(self.events) + 1, "at": round(time.time(), 3)}
        return encoded({**head, **event})

    def _publish(self, event: bytes) -> None:
        self.events.append(event)
        self._bytes += len(event)
        self._wake()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


@dataclass(slots=True)
class LiveRun:
    """One run that is going on. `log` and `snapshot` only for runs of agents, which can be watched."""

    owner: Owner
    run_id: str
    interrupt: Interrupt | None = None
    log: EventLog | None = None
    snapshot: Callable[[], dict[str, Any]] | None = None
    """The trace so far."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when all there is to store of it is stored."""

    @property
    def is_watched(self) -> bool:
        """Whether an agent is at it; one whose end has been told only waits for its client to take it."""
        return self.log is not None and not self.log.over


class LiveRuns:
    """The runs of this process, by owner and id. `mark` tells its traces from those of other processes."""

    def __init__(self) -> None:
        self._runs: dict[tuple[Owner, str], LiveRun] = {}
        self.mark = {**process_mark(), "server": uuid.uuid4().hex}

    def begin(self, run: LiveRun) -> None:
        """Raises Conflict when an agent is at this very run (a client that sent its tools' results twice)."""
        key = run.owner, run.run_id
        there = self._runs.get(key)
        if there is not None and there.is_watched:
            raise Conflict("This run is going on already: wait for its answer.")
        self._runs[key] = run

    def get(self, owner: Owner, run_id: str) -> LiveRun | None:
        return self._runs.get((owner, run_id))

    def ids(self, owner: Owner) -> frozenset[str]:
        """The owner's runs that go on here."""
        return frozenset(run_id for whose, run_id in self._runs if whose == owner)

    def end(self, run: LiveRun) -> None:
        """The run is over, and stored if it is to be."""
        run.ended.set()
        if self._runs.get((run.owner, run.run_id)) is run:
            del self._runs[run.owner, run.run_id]


def batches(events: list[bytes], after: int) -> list[list[tuple[int, bytes]]]:
    """Events beyond the first `after` with their numbers, in batches of about BATCH_BYTES."""
    found: list[list[tuple[int, bytes]]] = []
    room = 0
    for number, event in enumerate(events[after:], after + 1):
        if room <= 0:
            found.append([])
            room = BATCH_BYTES
        found[-1].append((number, event))
        room -= len(event)
    return found


def encoded(event: Mapping[str, Any]) -> bytes:
    """JSON in UTF-8; what the fast encoder refuses (lone surrogates, huge integers) goes the slow way."""
    try:
        return orjson.dumps(event)
    except TypeError:
        return json.dumps(event, separators=(",", ":"), default=str).encode("ascii")
