"""What is kept of an exchange, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from backend.models.conversations import StoredMessage
from backend.models.errors import NotFound, StorageFull, UpstreamCut
from backend.models.messages import (
    Event,
    Finished,
    Message,
    ReasoningDelta,
    Route,
    RouteChosen,
    TextDelta,
    Usage,
)
from backend.models.run import Owner, RunContext
from backend.storage.stores import Stores
from backend.tasks.live_runs import LiveRuns
from backend.tasks.recording import Recorder
from tests.fakes.stores import fake_stores

ALICE = Owner("default", "alice")
CONTEXT = RunContext(ALICE, "run_" + "a" * 32, "s" * 32, "req")
ASKED = (Message("user", "what is it"),)


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return fake_stores(tmp_path)


async def stream(*events: Event | Exception | asyncio.Event) -> AsyncGenerator[Event, None]:
    """Events; an exception is raised, an asyncio.Event waited for, when its turn comes."""
    for event in events:
        await asyncio.sleep(0)
        if isinstance(event, Exception):
            raise event
        if isinstance(event, asyncio.Event):
            await event.wait()
        else:
            yield event


def recorder(stores: Stores, *, exists: bool = False, live: LiveRuns | None = None) -> Recorder:
    return Recorder(stores.conversations, live or LiveRuns(), CONTEXT, "m", ASKED, exists)


async def messages_of(stores: Stores) -> Sequence[StoredMessage]:
    return (await stores.conversations.get(ALICE, "s" * 32)).messages


async def test_exchange_is_stored_before_the_end_is_told(stores: Stores) -> None:
    async for event in recorder(stores).run(stream(TextDelta("it "), TextDelta("is"), Usage(1, 1), Finished("stop"))):
        if isinstance(event, Finished):
            kept = await messages_of(stores)
            assert [(m.role, m.content) for m in kept] == [("user", "what is it"), ("assistant", "it is")]
            assert "partial" not in kept[1].extra and kept[1].extra["finish_reason"] == "stop"


async def test_failure_in_the_middle_keeps_the_part(stores: Stores) -> None:
    with pytest.raises(UpstreamCut):
        async for _ in recorder(stores).run(stream(ReasoningDelta("hm"), TextDelta("it"), UpstreamCut("cut"))):
            pass
    kept = await messages_of(stores)
    assert kept[1].content == "it" and kept[1].extra["partial"] is True and kept[1].extra["reasoning"] == "hm"


async def test_failure_before_the_answer_stores_nothing(stores: Stores) -> None:
    route = RouteChosen(Route("chat", "chat", "x", 1.0))
    with pytest.raises(UpstreamCut):
        async for _ in recorder(stores).run(stream(route, UpstreamCut("cut"))):
            pass
    with pytest.raises(NotFound):
        await messages_of(stores)


async def test_reader_who_leaves_keeps_the_part(stores: Stores) -> None:
    events = recorder(stores).run(stream(TextDelta("one "), TextDelta("two "), Finished("stop")))
    await anext(events)
    await events.aclose()
    kept = await messages_of(stores)
    assert kept[1].content == "one " and kept[1].extra["partial"] is True


async def test_plain_answer_can_be_cancelled_and_ends_properly(stores: Stores) -> None:
    live = LiveRuns()
    events = recorder(stores, live=live).run(stream(TextDelta("one "), asyncio.Event(), Finished("stop")))
    assert isinstance(await anext(events), TextDelta)
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0.01)
    run = live.get(ALICE, CONTEXT.run_id)
    assert run is not None and run.interrupt is not None
    run.interrupt.ring()
    last = await waiting
    assert isinstance(last, Finished) and (last.reason, last.detail) == ("stop", "The run was cancelled.")
    assert [event async for event in events] == []
    kept = await messages_of(stores)
    assert kept[1].content == "one " and kept[1].extra["partial"] is True
    assert live.get(ALICE, CONTEXT.run_id) is None


async def test_plain_answer_is_cancelled_while_its_reader_is_busy(stores: Stores) -> None:
    live = LiveRuns()
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[Event, None]:
        try:
            while True:
                yield TextDelta("x")
        finally:
            closed.set()

    events = recorder(stores, live=live).run(endless())
    await anext(events)
    run = live.get(ALICE, CONTEXT.run_id)
    assert run is not None and run.interrupt is not None
    run.interrupt.ring()
    await asyncio.wait_for(closed.wait(), 1)
    rest = [event async for event in events]
    assert len(rest) == 1 and isinstance(rest[0], Finished)


async def test_client_that_leaves_at_the_moment_of_the_cancellation_is_not_swallowed(stores: Stores) -> None:
    live = LiveRuns()

    async def read() -> None:
        async for _ in recorder(stores, live=live).run(stream(TextDelta("x"), asyncio.Event())):
            pass

    reading = asyncio.create_task(read())
    await asyncio.sleep(0.01)
    run = live.get(ALICE, CONTEXT.run_id)
    assert run is not None and run.interrupt is not None
    run.interrupt.ring()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert (await messages_of(stores))[1].extra["partial"] is True


async def test_st_5_full_disk_does_not_take_the_answer_away(stores: Stores) -> None:
    class Full:
        async def create(self, *_: object) -> None:
            raise StorageFull("The disk is full; free some space.")

    full = Recorder(Full(), LiveRuns(), CONTEXT, "m", ASKED, False)  # type: ignore[arg-type]
    seen = [event async for event in full.run(stream(TextDelta("it is"), Finished("stop")))]
    assert isinstance(seen[0], TextDelta)
    assert isinstance(seen[-1], Finished) and "disk is full" in seen[-1].extra["warning"]


async def test_conversation_deleted_meanwhile_is_said(stores: Stores) -> None:
    seen = [event async for event in recorder(stores, exists=True).run(stream(TextDelta("x"), Finished("stop")))]
    assert isinstance(seen[-1], Finished) and "deleted" in seen[-1].extra["warning"]
