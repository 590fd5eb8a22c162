"""An Ollama made of a bare socket: answers with exactly the bytes a test wants, when it wants them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

STAMP = "2026-03-04T05:06:07.123456789Z"


@dataclass
class Peer:
    """The connection of one request, as a script sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, status: int = 200, kind: str = "application/x-ndjson", extra: str = "") -> None:
        await self.send(
            f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n{extra}\r\n".encode()
        )

    async def chunk(self, data: bytes) -> None:
        await self.send(b"%x\r\n%s\r\n" % (len(data), data))

    async def end(self) -> None:
        await self.send(b"0\r\n\r\n")

    def reset(self) -> None:
        self.writer.transport.abort()

    async def closed_by_client(self) -> None:
        while await self.reader.read(4096):
            pass


Script = Callable[[Peer], Awaitable[None]]


def line(text: str | None = "", *, done: bool = False, **fields: Any) -> bytes:
    """One NDJSON line; `thinking` and `tool_calls` go into the message, the rest beside it."""
    message: dict[str, Any] = {"role": "assistant", "content": text}
    for name in ("thinking", "tool_calls"):
        if name in fields:
            message[name] = fields.pop(name)
    return json.dumps({"model": "m", "created_at": STAMP, "message": message, "done": done, **fields}).encode() + b"\n"


def last(reason: str | None = "stop", text: str = "", **fields: Any) -> bytes:
    counters: dict[str, Any] = {"prompt_eval_count": 57, "eval_count": 6}
    if reason is not None:
        counters["done_reason"] = reason
    return line(text, done=True, **(counters | fields))


def call(name: str, arguments: Any, **more: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}, **more}


def answer(*chunks: bytes, pause_s: float = 0.0) -> Script:
    """A whole streamed answer, one HTTP chunk each."""

    async def script(peer: Peer) -> None:
        await peer.head()
        for chunk in chunks:
            await peer.chunk(chunk)
            if pause_s:
                await asyncio.sleep(pause_s)
        await peer.end()

    return script


def says(*words: str) -> Script:
    return answer(*(line(word) for word in words), last())


def refuses(status: int, error: str | bytes, kind: str = "application/json", extra: str = "") -> Script:
    """A status and a body: bytes as they are, text as the `error` of a JSON object."""
    body = error if isinstance(error, bytes) else json.dumps({"error": error}).encode()

    async def script(peer: Peer) -> None:
        await peer.send(
            f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}\r\n".encode() + body
        )

    return script


async def hangs_up(peer: Peer) -> None:
    peer.reset()


async def is_silent(peer: Peer) -> None:
    await peer.closed_by_client()


@dataclass
class Seen:
    """A request to /api/chat as it arrived."""

    body: dict[str, Any]
    headers: dict[str, str]
    closed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class RawUpstream:
    """Scripts are used up one per chat request; the last one stays."""

    scripts: list[Script] = field(default_factory=lambda: [says("Hi")])
    models: dict[str, dict[str, Any]] = field(default_factory=lambda: {"m:latest": {}})
    tags: dict[str, Any] | bytes | None = None
    loaded_context: int = 0
    pull: Sequence[dict[str, Any]] = ()
    seen: list[Seen] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    url: str = ""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [seen.body for seen in self.seen]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._one(Peer(reader, writer)):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _one(self, peer: Peer) -> bool:
        try:
            head = (await peer.reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            return False
        request_line, *header_lines = head.strip().split("\r\n")
        headers = {k.lower(): v for k, v in (each.split(": ", 1) for each in header_lines)}
        raw = await peer.reader.readexactly(int(headers.get("content-length", 0)))
        body = json.loads(raw) if raw else {}
        path = request_line.split()[1]
        self.paths.append(path)
        if path != "/api/chat":
            await self._library(peer, path, body)
            return True
        seen = Seen(body, headers)
        self.seen.append(seen)
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        try:
            await script(peer)
        finally:
            if peer.reader.at_eof() or peer.writer.is_closing():
                seen.closed.set()
        return not peer.writer.is_closing()

    async def _library(self, peer: Peer, path: str, body: dict[str, Any]) -> None:
        if path == "/api/version":
            await _json(peer, {"version": "0.12.11"})
        elif path == "/api/tags":
            await _json(peer, self._tags() if self.tags is None else self.tags)
        elif path == "/api/ps":
            loaded = [{"model": name, "context_length": self.loaded_context} for name in self.models]
            await _json(peer, {"models": loaded if self.loaded_context else []})
        elif path == "/api/show" and body["model"] in self.models:
            shown = {"capabilities": ["completion", "tools"], "model_info": model_info(8192)}
            await _json(peer, {**shown, **self.models[body["model"]]})
        elif path == "/api/pull":
            await answer(*(json.dumps(step).encode() + b"\n" for step in self.pull))(peer)
        else:
            await refuses(404, f"model '{body.get('model')}' not found")(peer)

    def _tags(self) -> dict[str, Any]:
        details = {"family": "llama", "families": None}
        return {
            "models": [
                {"name": name, "model": name, "modified_at": STAMP, "size": 1000, "details": details}
                for name in self.models
            ]
        }


def model_info(context_length: int) -> dict[str, Any]:
    return {"general.architecture": "llama", "llama.context_length": context_length}


async def _json(peer: Peer, value: Any) -> None:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
    await peer.send(head.encode() + raw)


@asynccontextmanager
async def serving(upstream: RawUpstream) -> AsyncIterator[RawUpstream]:
    """The upstream on a free port of 127.0.0.1; its connections end with the block."""
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0)
    upstream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield upstream
    finally:
        server.close()
        tasks = list(upstream._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
