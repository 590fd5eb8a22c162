"""A response that pulls events, writes frames, keeps the line warm, and stops the work when nobody listens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Generic, Protocol, TypeVar

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from backend.api.errors import INTERNAL_MESSAGE, envelope, envelope_of, error_response
from backend.models.errors import HearthError
from backend.models.messages import Event, ModelCalled, RouteChosen

log = logging.getLogger("hearth.stream")

PING = b": ping\n\n"
PING_SECONDS = 12.0
COMMIT_SECONDS = 10.0
"""How long a failure of the model may still become an HTTP status; after that the status is 200 for good."""
SLOW_READER_SECONDS = 60.0
"""How long a reader may take none of what was sent before it is dropped."""
STOPPING_MESSAGE = "The server is stopping, and this answer with it: send the request again."

T = TypeVar("T")
Piece = TypeVar("Piece")


class Encoder(Protocol):
    def opening(self) -> bytes: ...

    def encode(self, event: Event) -> bytes: ...

    def failed(self, error: dict[str, Any]) -> bytes:
        """The frames that tell of a failure in mid-answer; `error` is the house's envelope."""
        ...


class _OpenEnded(Response):
    """A response that is written as it comes; nothing on the way may hold it back."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__(
            headers={**headers, "cache-control": "no-cache", "x-accel-buffering": "no"},
            media_type="text/event-stream",
        )
        # A stream has no length; the base class wrote that of its empty body.
        self.raw_headers = [pair for pair in self.raw_headers if pair[0] != b"content-length"]


class EventStream(_OpenEnded):
    """Server-sent events out of an event stream.

    Nothing is sent until the first event that the model caused has come, so that a failure before it is an honest
    HTTP error; a model that takes longer than COMMIT_SECONDS gets its headers, its opening frame and pings.
    """

    def __init__(self, events: AsyncGenerator[Event, None], encoder: Encoder, headers: dict[str, str]) -> None:
        super().__init__(headers)
        self.events = events
        self.encoder = encoder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        line = _Line(send, self.status_code, self.raw_headers, self.encoder)
        try:
            await unless_gone(receive, self._write(line, scope, receive, send), line.stuck)
        except asyncio.CancelledError:
            # Not the client but the server ends: its patience with open streams is over.
            await line.farewell(envelope(STOPPING_MESSAGE, "server_error", None, "stopping"))
            raise
        finally:
            line.close()

    async def _write(self, line: _Line, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self.events) as events:
            try:
                async for event in events:
                    if not line.open:
                        if type(event) in (RouteChosen, ModelCalled):
                            line.hold(event)
                            continue
                        await line.start()
                    frame = self.encoder.encode(event)
                    if frame:
                        await line.write(frame)
            except HearthError as error:
                if not line.open:
                    line.close()
                    await error_response(error)(scope, receive, send)
                    return
                log.warning("stream %s failed: %s", scope.get("request_id"), error.message)
                await line.write(self.encoder.failed(envelope_of(error)))
            except Exception:
                # The second broad except of the house: the status 200 is already sent, only a frame can tell.
                if not line.open:
                    raise
                log.exception("stream %s failed", scope.get("request_id"))
                await line.write(
                    self.encoder.failed(envelope(INTERNAL_MESSAGE, "server_error", None, "internal_error"))
                )
            finally:
                line.close()
        await line.end()


class FrameStream(_OpenEnded, Generic[Piece]):
    """Server-sent events out of batches of frames; an empty batch becomes a ping.

    The work that makes the frames is not this stream's: a reader that leaves, or takes nothing for
    SLOW_READER_SECONDS, ends only the reading.
    """

    def __init__(
        self, batches: AsyncGenerator[Sequence[Piece], None], headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(headers or {})
        self.batches = batches

    def frame(self, piece: Piece) -> bytes:
        """The frame of one piece of a batch."""
        assert isinstance(piece, bytes)
        return piece

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await unless_gone(receive, self._write(scope, send))

    async def _write(self, scope: Scope, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async with aclosing(self.batches) as batches:
            try:
                async for batch in batches:
                    frames = b"".join(map(self.frame, batch))
                    async with asyncio.timeout(SLOW_READER_SECONDS):
                        await send({"type": "http.response.body", "body": frames or PING, "more_body": True})
            except TimeoutError:
                log.info("reader %s was dropped: it does not read", scope.get("request_id"))
                return
            except HearthError as error:
                # Deleted while it was waited for: there is nothing more to tell.
                log.info("reader %s ends: %s", scope.get("request_id"), error.message)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class NumberedEvents(FrameStream[tuple[int, bytes]]):
    """The same out of batches of (number, JSON), each event with its number as id: a reader that was dropped can ask
    again from the last one."""

    def frame(self, piece: tuple[int, bytes]) -> bytes:
        return b"id: %d\ndata: %b\n\n" % piece


class _Line:
    """The socket side of one stream: opened late, kept warm, bounded in how long a reader may sleep."""

    def __init__(self, send: Send, status: int, headers: list[tuple[bytes, bytes]], encoder: Encoder) -> None:
        self._send = send
        self._status = status
        self._headers = headers
        self._encoder = encoder
        self._held: list[Event] = []
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._warm: asyncio.Task[None] | None = self._loop.create_task(self._keep_warm())
        self._starting = asyncio.Lock()
        self._sending = False
        self.stuck: asyncio.Future[None] = self._loop.create_future()
        """Done when the reader has taken nothing for SLOW_READER_SECONDS."""
        self.open = False

    def hold(self, event: Event) -> None:
        """Keep an event that says nothing about the model's health until the line opens."""
        self._held.append(event)

    async def start(self) -> None:
        """Send the head, the opening frame and what was held; once."""
        async with self._starting:
            if self.open:
                return
            await self._send({"type": "http.response.start", "status": self._status, "headers": self._headers})
            held = b"".join(self._encoder.encode(event) for event in self._held)
            await self.write(self._encoder.opening() + held)
            self.open = True

    async def write(self, frame: bytes) -> None:
        self._last = self._loop.time()
        self._sending = True
        await self._send({"type": "http.response.body", "body": frame, "more_body": True})
        self._sending = False

    async def end(self) -> None:
        if self.open:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def farewell(self, error: dict[str, Any]) -> None:
        """Tell a reader that listens why the answer ends here."""
        if self.open and not self._sending:
            await self.write(self._encoder.failed(error))
            await self.end()

    def close(self) -> None:
        """Stop the pings."""
        if self._warm is not None:
            self._warm.cancel()
            self._warm = None

    async def _keep_warm(self) -> None:
        await asyncio.sleep(COMMIT_SECONDS)
        await self.start()
        while True:
            quiet = self._loop.time() - self._last
            if self._sending:
                if quiet >= SLOW_READER_SECONDS:
                    break
                quiet = 0.0
            elif quiet >= PING_SECONDS:
                try:
                    async with asyncio.timeout(SLOW_READER_SECONDS):
                        await self.write(PING)
                except TimeoutError:
                    break
                quiet = 0.0
            await asyncio.sleep(PING_SECONDS - quiet)
        self.stuck.set_result(None)


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, T], *or_when: asyncio.Future[None]) -> T | None:
    """Run the work, and cancel it as soon as the client has left, or `or_when` is done. None when it was cancelled."""
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(_disconnected(receive))
    either: set[asyncio.Future[Any]] = {task, watch, *or_when}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and task.exception() is not None:
            log.debug("work ended with %r after its client had left", task.exception())
        return None
    finally:
        watch.cancel()
        if not task.done():
            # This request itself was cancelled (shutdown): the work goes with it, and is waited for.
            task.cancel()
            await asyncio.wait({task})


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def answer_unless_gone(request: Request, work: Callable[[], Awaitable[T]]) -> T | None:
    """For handlers whose body has been read: the result, or None when the client left first."""

    async def run() -> T:
        return await work()

    return await unless_gone(request.receive, run())
