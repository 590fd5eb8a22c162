"""A response that is being made: rendered into frames, followed, broken off, and stored before its end is told."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio

from backend.models.errors import HearthError
from backend.models.messages import Event, Finished, ModelCalled, ReasoningDelta, RouteChosen, TextDelta
from backend.models.run import RunContext
from backend.tasks.live_runs import CANCELLED

MOST_BYTES = 8 * 1_048_576
"""Beyond this, pieces of text are no longer kept as events; the events that end a text have all of it."""
BATCH_BYTES = 64 * 1024
PATIENCE_SECONDS = 12.0
INTERNAL = "Something went wrong in the server while this response was made: ask again."

Numbered = tuple[int, bytes]
END = b"\n\n"
QUIET = (RouteChosen, ModelCalled)
"""Events that say nothing of the model's health: they may come before a stream is opened."""
DELTAS = (TextDelta, ReasoningDelta)


class Renderer(Protocol):
    """Makes events of the pipe into those of the wire: server-sent events without blank lines in them, each with the
    number of those before it as its sequence number."""

    @property
    def response(self) -> dict[str, Any]:
        """The Response object as of now; one that runs in the background is `queued` before its opening."""
        ...

    def opening(self) -> bytes: ...

    def encode(self, event: Event) -> bytes: ...

    def failed(self, error: dict[str, Any]) -> bytes:
        """What tells of a failure; `error` is the house's envelope. `response` is failed from then on."""
        ...


Render = Callable[[str, RunContext, str, int], Renderer]
"""(response id, context, model, created at) -> renderer."""
Keep = Callable[[dict[str, Any], Sequence[Numbered]], Awaitable[None]]
"""Stores the response, over, with its events."""


class FrameLog:
    """The frames of one response with their sequence numbers, for those who follow it and those who come later."""

    def __init__(self) -> None:
        self.frames: list[Numbered] = []
        self.over = False
        self._next = 0
        self._bytes = 0
        self._watched = 0
        self._changed = asyncio.Event()

    def add(self, frames: bytes, *, droppable: bool = False) -> None:
        """The next frames; `droppable` ones only while there is room."""
        for each in (frames,) if frames.count(END) == 1 else split(frames):
            if not droppable or self._bytes < MOST_BYTES:
                self.frames.append((self._next, each))
                self._bytes += len(each)
            self._next += 1
        if self._watched:
            self._wake()

    def with_last(self, frames: bytes) -> list[Numbered]:
        """All frames with the last ones, which are not told yet."""
        return [*self.frames, *enumerate(split(frames), self._next)]

    def close(self) -> None:
        """No more frames come."""
        self.over = True
        self._wake()

    async def follow(self, after: int) -> AsyncGenerator[list[bytes], None]:
        """Frames with a sequence number above `after`, in batches, until the response is over.

        An empty batch after PATIENCE_SECONDS of silence.
        """
        at = 0
        self._watched += 1
        try:
            while True:
                at = max(at, first_after(self.frames, after))
                while at < len(self.frames):
                    batch = batch_at(self.frames, at)
                    at += len(batch)
                    yield batch
                if self.over:
                    return
                try:
                    async with asyncio.timeout(PATIENCE_SECONDS):
                        await self._changed.wait()
                except TimeoutError:
                    yield []
        finally:
            self._watched -= 1

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def split(frames: bytes) -> list[bytes]:
    """Single frames, each with the blank line that ends it."""
    return [each + END for each in frames.split(END) if each]


def first_after(frames: Sequence[Numbered], after: int) -> int:
    """The place of the first frame with a sequence number above `after`."""
    return bisect_right(frames, after, key=lambda each: each[0])


def batch_at(frames: Sequence[Numbered], at: int) -> list[bytes]:
    """Frames from place `at` on, about BATCH_BYTES of them, at least one."""
    batch: list[bytes] = []
    room = BATCH_BYTES
    while at < len(frames) and room > 0:
        batch.append(frames[at][1])
        room -= len(frames[at][1])
        at += 1
    return batch


async def replayed(frames: Sequence[Numbered], after: int) -> AsyncGenerator[list[bytes], None]:
    """The same as `FrameLog.follow`, of a response that is over."""
    at = first_after(frames, after)
    while at < len(frames):
        batch = batch_at(frames, at)
        at += len(batch)
        yield batch


@dataclass(slots=True, weakref_slot=True, eq=False)
class ResponseRun:
    """One response. Iterate `events` and hand each event to `encode` at once; `opening` comes first.

    `keep` None: nothing is stored. What is stored is stored before the last frames are handed out: whoever has read
    the end can go on from it. Broken off after its opening, the response is kept as cancelled, with what there is.
    """

    id: str
    context: RunContext
    renderer: Renderer
    source: AsyncGenerator[Event, None]
    keep: Keep | None = None
    log: FrameLog = field(default_factory=FrameLog)
    told: bool = False
    """Whether the caller knows of this response."""
    final: dict[str, Any] | None = None
    """The Response object when it is over."""
    stored: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when all there is to store of it is stored."""
    stopping: str | None = None
    """Why the server itself ends the run, in a sentence."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """What is stored with the response: its input and what it builds on."""
    forgotten: bool = False
    """It was deleted while it was made, so it is not to be stored."""
    _held: list[Event] = field(default_factory=list)
    _begun: bool = False
    _waiting: bytes = b""
    _last: bytes = b""

    @property
    def response(self) -> dict[str, Any]:
        """The Response object as of now."""
        return self.renderer.response if self.final is None else self.final

    async def events(self) -> AsyncGenerator[Event, None]:
        """The events of the run, unchanged."""
        gone = False
        try:
            async with aclosing(self.source) as events:
                async for event in events:
                    if type(event) is Finished:
                        await self._finish(event)
                    elif type(event) in QUIET:
                        self._quiet(event)
                    yield event
        except HearthError as error:
            if self.told:
                await self._fail(error_envelope(error))
            raise
        except (GeneratorExit, asyncio.CancelledError):
            gone = True
            raise
        finally:
            if self.told and self.final is None:
                with anyio.CancelScope(shield=True):
                    await (self.break_off() if gone else self._fail(failure(INTERNAL)))
            if gone:
                self.closing()  # nobody is left to ask for the last frames

    def opening(self) -> bytes:
        """The first frames; from now on the caller knows of the response."""
        self.told = True
        self._begin()
        return self._take()

    def encode(self, event: Event) -> bytes:
        """The frames of one event."""
        kind = type(event)
        if kind in QUIET:
            return self._take()
        if kind is Finished:
            return self._take() + self.closing()
        frames = self.renderer.encode(event)
        if self.keep is not None and frames:
            self.log.add(frames, droppable=kind in DELTAS)
        return self._take() + frames if self._waiting else frames

    def failed(self, error: dict[str, Any]) -> bytes:
        """The frames that tell of a failure in mid-answer."""
        if self.final is not None and self.final["status"] == "cancelled":
            return self.renderer.failed(error)  # the server has broken it off and says why: it is stopping
        if self.final is None:
            self._end(self.renderer.failed(error))
        return self._take() + self.closing()

    def closing(self) -> bytes:
        """The last frames, of a response that is over; once."""
        last, self._last = self._last, b""
        frames = self._publish(last)
        self.log.close()
        return frames

    async def whole(self) -> dict[str, Any]:
        """The Response object of a run that nobody follows."""
        self._begin()
        async with aclosing(self.events()) as events:
            async for event in events:
                self.encode(event)
        return self.response

    async def break_off(self) -> None:
        """Nobody waits for the rest: the response is cancelled, or failed when the server itself ends it."""
        if self.final is not None:
            return
        if self.stopping is not None:
            await self._fail(failure(self.stopping))
            return
        self._begin()
        self._end(self.renderer.encode(Finished("stop", CANCELLED, extra={"cancelled": True})))
        await self._store()

    async def fail(self, error: HearthError) -> None:
        """The run could not even begin."""
        await self._fail(error_envelope(error))

    async def _finish(self, event: Finished) -> None:
        self._begin()
        self._end(self.renderer.encode(event))
        with anyio.CancelScope(shield=True):
            await self._store()

    async def _fail(self, error: dict[str, Any]) -> None:
        if self.final is None:
            self._begin()
            self._end(self.renderer.failed(error))
            with anyio.CancelScope(shield=True):
                await self._store()

    def _end(self, last: bytes) -> None:
        self._last = last
        self.final = self.renderer.response

    async def _store(self) -> None:
        if self.keep is None or self.final is None:
            return
        try:
            await self.keep(self.final, self.log.with_last(self._last))
        finally:
            self.stored.set()

    def _quiet(self, event: Event) -> None:
        if self._begun:
            self._waiting += self._publish(self.renderer.encode(event))
        else:
            self._held.append(event)

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._waiting += self._publish(self.renderer.opening())
            for event in self._held:
                self._waiting += self._publish(self.renderer.encode(event))

    def _take(self) -> bytes:
        waiting, self._waiting = self._waiting, b""
        return waiting

    def _publish(self, frames: bytes) -> bytes:
        if self.keep is not None and frames:
            self.log.add(frames)
        return frames


def failure(message: str) -> dict[str, Any]:
    """The house's envelope for a failure of the server."""
    return {"error": {"message": message, "type": "server_error", "param": None, "code": "server_error"}}


def error_envelope(error: HearthError) -> dict[str, Any]:
    return {"error": {"message": error.message, "type": error.type, "param": error.param, "code": error.code}}
