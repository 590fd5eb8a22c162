"""A stream to a reader that sleeps, and a stream when the server stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from backend.api import sse
from backend.api.sse import EventStream
from backend.models.messages import Event, TextDelta
from tests.api.test_numbered_events import SCOPE, Wire, here


class Plain:
    def opening(self) -> bytes:
        return b"<"

    def encode(self, event: Event) -> bytes:
        return event.text.encode() if isinstance(event, TextDelta) else b""

    def failed(self, error: dict[str, Any]) -> bytes:
        return f"!{error['error']['code']}".encode()


class Endless:
    """Events without end, and whether they were closed."""

    def __init__(self) -> None:
        self.closed = False

    async def events(self, pause: float = 0.0) -> AsyncGenerator[Event, None]:
        try:
            while True:
                yield TextDelta("a")
                await asyncio.sleep(pause)
        finally:
            self.closed = True


async def test_flow_1_reader_that_takes_nothing_is_dropped_and_the_work_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sse, "SLOW_READER_SECONDS", 0.03)
    monkeypatch.setattr(sse, "PING_SECONDS", 0.01)
    monkeypatch.setattr(sse, "COMMIT_SECONDS", 0.0)
    wire, endless = Wire(stuck_after=5), Endless()
    async with asyncio.timeout(5):
        await EventStream(endless.events(), Plain(), {})(SCOPE, here, wire.send)
    assert endless.closed and len(wire.sent) == 5, "nothing was piled up for it"


async def test_flow_4_stream_that_outlives_the_patience_of_a_stopping_server_gets_an_error_event() -> None:
    wire, endless = Wire(), Endless()
    stream = asyncio.ensure_future(EventStream(endless.events(0.001), Plain(), {})(SCOPE, here, wire.send))
    while len(wire.sent) < 3:
        await asyncio.sleep(0)
    stream.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stream
    assert endless.closed
    assert wire.body.endswith(b"!stopping")
    assert wire.sent[-1] == {"type": "http.response.body", "body": b"", "more_body": False}
