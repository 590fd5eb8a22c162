"""Pages of items, and streams of frames that were rendered before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from backend.api import sse
from backend.api.item_pages import page_of_items
from backend.api.lists import Order
from backend.api.sse import FrameStream
from backend.models.errors import InvalidRequest, NotFound

ITEMS = [{"id": str(n)} for n in range(5)]


@pytest.mark.parametrize(
    ("limit", "order", "after", "shown", "has_more"),
    [
        (20, "desc", None, "43210", False),
        (20, "asc", None, "01234", False),
        (2, "desc", None, "43", True),
        (2, "desc", "3", "21", True),
        (2, "asc", "2", "34", False),
        (5, "asc", None, "01234", False),
        (3, "asc", "4", "", False),
    ],
)
def test_a_page_is_what_comes_after(limit: int, order: Order, after: str | None, shown: str, has_more: bool) -> None:
    page = page_of_items(ITEMS, limit, order, after)
    assert ("".join(item["id"] for item in page["data"]), page["has_more"]) == (shown, has_more)
    assert (page["first_id"], page["last_id"]) == ((shown[0], shown[-1]) if shown else (None, None))


def test_an_unknown_place_in_the_list_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        page_of_items(ITEMS, 5, "asc", "9")
    assert caught.value.param == "after"


class Socket:
    """What the server under us gives an application: what was sent, and a client that leaves when told."""

    def __init__(self, *, stuck: bool = False) -> None:
        self.sent: list[dict[str, Any]] = []
        self.gone = asyncio.Event()
        self._stuck = stuck

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        if self._stuck and message["type"] == "http.response.body":
            await asyncio.Event().wait()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


async def batches(
    closed: list[bool], *parts: list[bytes], then: Exception | None = None, wait: bool = False
) -> AsyncGenerator[list[bytes], None]:
    try:
        for part in parts:
            yield part
        if then is not None:
            raise then
        if wait:
            await asyncio.Event().wait()
    finally:
        closed.append(True)


async def test_frames_go_out_as_they_are_and_silence_is_a_ping() -> None:
    socket, closed = Socket(), []
    await FrameStream(batches(closed, [b"a\n\n", b"b\n\n"], [], [b"c\n\n"]), {"x-a": "b"})(
        {}, socket.receive, socket.send
    )
    assert socket.body == b"a\n\nb\n\n: ping\n\nc\n\n"
    headers = dict(socket.sent[0]["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream") and headers[b"x-a"] == b"b"
    assert b"content-length" not in headers and socket.sent[-1]["more_body"] is False and closed == [True]


async def test_a_reader_that_leaves_ends_the_reading() -> None:
    socket, closed = Socket(), []
    stream = asyncio.create_task(FrameStream(batches(closed, [b"a\n\n"], wait=True))({}, socket.receive, socket.send))
    while not socket.body:
        await asyncio.sleep(0)
    socket.gone.set()
    await asyncio.wait_for(stream, 2)
    assert closed == [True]


async def test_flow_1_a_reader_that_takes_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "SLOW_READER_SECONDS", 0.01)
    socket, closed = Socket(stuck=True), []
    await asyncio.wait_for(FrameStream(batches(closed, [b"a\n\n"], wait=True))({}, socket.receive, socket.send), 5)
    assert closed == [True]


async def test_what_is_deleted_while_it_is_read_ends_the_stream() -> None:
    socket, closed = Socket(), []
    await FrameStream(batches(closed, [b"a\n\n"], then=NotFound("gone")))({}, socket.receive, socket.send)
    assert socket.body == b"a\n\n" and socket.sent[-1]["more_body"] is False
