"""HTTP/1.1 on a raw asyncio protocol, so that every byte and every chunk boundary is the caller's choice."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import unquote

MAX_HEAD_BYTES = 64 * 1024


class ExchangeOver(Exception):
    """The connection was closed or reset on purpose; unwinds the handler."""


@dataclass(slots=True)
class Request:
    """One parsed request. `headers` is lower-cased; `header_list` keeps what was sent, in order."""

    method: str
    target: str
    headers: dict[str, str]
    header_list: list[tuple[str, str]]
    body: bytes = b""
    arrived_at: float = field(default_factory=time.time)
    arrived_monotonic: float = field(default_factory=time.monotonic)

    @property
    def path(self) -> str:
        return unquote(self.target.partition("?")[0])


Handler = Callable[[Request, "Exchange"], Awaitable[None]]


def _parse_head(head: bytes) -> Request:
    lines = head.decode("latin-1").split("\r\n")
    method, target, version = lines[0].split(" ", 2)
    if not version.startswith("HTTP/1."):
        raise ValueError(version)
    pairs = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(line)
        pairs.append((name.strip(), value.strip()))
    return Request(method, target, {name.lower(): value for name, value in pairs}, pairs)


def _dechunk(buffer: bytearray) -> tuple[bytes, int] | None:
    """The body and the bytes it took, or None while it is incomplete."""
    parts: list[bytes] = []
    position = 0
    while True:
        line_end = buffer.find(b"\r\n", position)
        if line_end < 0:
            return None
        size = int(bytes(buffer[position:line_end]).partition(b";")[0], 16)
        start = line_end + 2
        if len(buffer) < start + size + 2:
            return None
        if size == 0:
            return b"".join(parts), start + 2
        parts.append(bytes(buffer[start : start + size]))
        position = start + size + 2


class Connection(asyncio.Protocol):
    """One client connection: reads requests one after another, runs the handler as a task for each.

    When the client goes away the running handler is cancelled at once, as a Go server cancels its context.
    """

    def __init__(self, handler: Handler, connections: set[Connection]) -> None:
        self._handler = handler
        self._connections = connections
        self._buffer = bytearray()
        self._request: Request | None = None
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self.transport: asyncio.Transport
        self.closed = False
        self.on_lost: Callable[[], None] | None = None

    @property
    def is_busy(self) -> bool:
        return self._task is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._connections.discard(self)
        self._writable.set()
        if self.on_lost is not None:
            self.on_lost()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def drain(self) -> None:
        if not self._writable.is_set():
            await self._writable.wait()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._advance()

    def _advance(self) -> None:
        if self._task is not None or self.closed:
            return
        try:
            request = self._next_request()
        except (ValueError, UnicodeDecodeError):
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n400 Bad Request")
            self.transport.close()
            return
        if request is not None:
            self._task = asyncio.get_running_loop().create_task(self._serve(request))

    def _next_request(self) -> Request | None:
        if self._request is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(self._buffer) > MAX_HEAD_BYTES:
                    raise ValueError("head too long")
                return None
            self._request = _parse_head(bytes(self._buffer[:end]))
            del self._buffer[: end + 4]
            if self._request.headers.get("expect", "").lower() == "100-continue":
                self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request = self._request
        if "chunked" in request.headers.get("transfer-encoding", ""):
            found = _dechunk(self._buffer)
            if found is None:
                return None
            request.body, used = found
        else:
            used = int(request.headers.get("content-length") or 0)
            if len(self._buffer) < used:
                return None
            request.body = bytes(self._buffer[:used])
        del self._buffer[:used]
        self._request = None
        request.arrived_at, request.arrived_monotonic = time.time(), time.monotonic()
        return request

    async def _serve(self, request: Request) -> None:
        exchange = Exchange(self, request)
        broken = True
        try:
            await self._handler(request, exchange)
            broken = False
        except ExchangeOver:
            broken = False
            return
        finally:
            self._task = None
            self.on_lost = None
            if broken:
                # A mistake in a handler: the client must not wait for an answer that will never come.
                self.transport.abort()
        if request.headers.get("connection", "").lower() == "close":
            self.transport.close()
        elif not self.closed:
            self._advance()


class Exchange:
    """The answering side of one request."""

    def __init__(self, connection: Connection, request: Request) -> None:
        self.connection = connection
        self.request = request
        self.status = 0
        self.chunks = 0
        self.bytes_sent = 0
        self.first_byte_at: float | None = None
        self._bodyless = request.method == "HEAD"

    def _write(self, data: bytes) -> None:
        if self.connection.closed:
            raise ExchangeOver
        if self.first_byte_at is None:
            self.first_byte_at = time.time()
        self.bytes_sent += len(data)
        self.connection.transport.write(data)

    def _head(self, status: int, headers: Iterable[tuple[str, str]]) -> bytes:
        self.status = status
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers]
        lines.append(f"Date: {formatdate(usegmt=True)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    async def send(
        self,
        status: int,
        body: bytes = b"",
        content_type: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        declared_length: int | None = None,
    ) -> None:
        """A whole response with Content-Length (`declared_length` when a lie is wanted)."""
        length = len(body) if declared_length is None else declared_length
        named = [("Content-Type", content_type)] if content_type else []
        head = self._head(status, [*named, *headers, ("Content-Length", str(length))])
        self._write(head if self._bodyless else head + body)
        await self.connection.drain()

    async def start(self, status: int, content_type: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Headers of a chunked response; `write` and `end` follow."""
        self._write(self._head(status, [("Content-Type", content_type), *headers, ("Transfer-Encoding", "chunked")]))
        await self.connection.drain()

    async def write(self, data: bytes) -> None:
        """Exactly one HTTP chunk in one write to the socket."""
        if not data:
            return
        self._write(b"%x\r\n%b\r\n" % (len(data), data))
        self.chunks += 1
        await self.connection.drain()

    async def write_partial(self, data: bytes) -> None:
        """A chunk whose header promises twice what follows."""
        self._write(b"%x\r\n%b" % (len(data) * 2 + 2, data))
        await self.connection.drain()

    async def end(self) -> None:
        self._write(b"0\r\n\r\n")
        await self.connection.drain()

    async def close(self) -> None:
        """Flush what was written, then FIN: whatever the framing promised stays unfulfilled."""
        self.connection.transport.close()
        raise ExchangeOver

    async def reset(self) -> None:
        """RST. What was written before is given a moment to reach the peer."""
        await asyncio.sleep(0.02)
        sock = self.connection.transport.get_extra_info("socket")
        if sock is not None and not self.connection.closed:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.transport.abort()
        raise ExchangeOver

    async def hang(self) -> None:
        """Say nothing more until the client leaves (which cancels this task)."""
        await asyncio.Event().wait()
