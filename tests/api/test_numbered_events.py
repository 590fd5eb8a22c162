"""The response that writes numbered events: frames, pings, readers who leave or do not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from backend.api import sse
from backend.api.sse import PING, NumberedEvents
from backend.models.errors import NotFound

Batch = Sequence[tuple[int, bytes]]
SCOPE = {"type": "http", "request_id": "req_1"}


async def batches(*parts: Batch | Exception | asyncio.Event) -> AsyncGenerator[Batch, None]:
    for part in parts:
        if isinstance(part, Exception):
            raise part
        if isinstance(part, asyncio.Event):
            await part.wait()
        else:
            yield part


async def here() -> dict[str, Any]:
    """A client that stays."""
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


class Wire:
    def __init__(self, stuck_after: int | None = None) -> None:
        self.sent: list[dict[str, Any]] = []
        self.stuck_after = stuck_after

    async def send(self, message: Any) -> None:
        if self.stuck_after is not None and len(self.sent) >= self.stuck_after:
            await asyncio.Event().wait()
        self.sent.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


async def test_events_become_frames_and_silence_a_ping() -> None:
    wire = Wire()
    response = NumberedEvents(batches([(3, b'{"n":3}'), (4, b'{"n":4}')], [], [(5, b"{}")]))
    await response(SCOPE, here, wire.send)
    assert wire.body == b'id: 3\ndata: {"n":3}\n\nid: 4\ndata: {"n":4}\n\n' + PING + b"id: 5\ndata: {}\n\n"
    headers = dict(wire.sent[0]["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream") and b"content-length" not in headers
    assert wire.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


async def test_reader_who_does_not_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "SLOW_READER_SECONDS", 0.02)
    wire = Wire(stuck_after=2)
    events = batches([(1, b"{}")], [(2, b"{}")], asyncio.Event())
    await asyncio.wait_for(NumberedEvents(events)(SCOPE, here, wire.send), 2)
    assert wire.body == b"id: 1\ndata: {}\n\n"
    assert [batch async for batch in events] == [], "its place is given up"


async def test_reader_who_leaves_is_no_longer_served() -> None:
    async def gone() -> dict[str, Any]:
        await asyncio.sleep(0.01)
        return {"type": "http.disconnect"}

    events = batches([(1, b"{}")], asyncio.Event())
    await asyncio.wait_for(NumberedEvents(events)(SCOPE, gone, Wire().send), 2)
    assert [batch async for batch in events] == []


async def test_run_deleted_meanwhile_ends_the_stream() -> None:
    wire = Wire()
    await NumberedEvents(batches([], NotFound("There is no run with this id.")))(SCOPE, here, wire.send)
    assert wire.sent[-1]["more_body"] is False
