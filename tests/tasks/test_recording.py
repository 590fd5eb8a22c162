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
    ToolFinished,
    ToolStarted,
    Usage,
)
from backend.models.run import Owner, RunContext
from backend.storage.stores import Stores
from backend.tasks.recording import Recorder
from tests.fakes.stores import fake_stores

ALICE = Owner("default", "alice")
CONTEXT = RunContext(ALICE, "run_" + "a" * 32, "s" * 32, "req")
ASKED = (Message("user", "what is it"),)


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return fake_stores(tmp_path)


async def stream(*events: Event | Exception) -> AsyncGenerator[Event, None]:
    for event in events:
        await asyncio.sleep(0)
        if isinstance(event, Exception):
            raise event
        yield event


def recorder(stores: Stores, *, exists: bool = False) -> Recorder:
    return Recorder(stores.conversations, stores.runs, CONTEXT, "m", ASKED, exists)


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


async def test_agent_run_leaves_a_trace(stores: Stores) -> None:
    events = stream(
        RouteChosen(Route("agentic", "react", "x", 1.0)),
        ToolStarted("t", 0, "math_calc", {"expression": "1"}, 1.0),
        ToolFinished("t", 0, "math_calc", {"expression": "1"}, "completed", "1", 1.0, 0.1),
        TextDelta("1"),
        Finished("stop"),
    )
    async for _ in recorder(stores).run(events):
        pass
    trace = await stores.runs.get(ALICE, CONTEXT.run_id)
    assert trace["status"] == "completed" and trace["steps"][0]["name"] == "math_calc" and trace["answer"] == "1"
    assert trace["query"] == "what is it"


async def test_st_5_full_disk_does_not_take_the_answer_away(stores: Stores) -> None:
    class Full:
        async def create(self, *_: object) -> None:
            raise StorageFull("The disk is full; free some space.")

    full = Recorder(Full(), stores.runs, CONTEXT, "m", ASKED, False)  # type: ignore[arg-type]
    seen = [event async for event in full.run(stream(TextDelta("it is"), Finished("stop")))]
    assert isinstance(seen[0], TextDelta)
    assert isinstance(seen[-1], Finished) and "disk is full" in seen[-1].extra["warning"]


async def test_conversation_deleted_meanwhile_is_said(stores: Stores) -> None:
    seen = [event async for event in recorder(stores, exists=True).run(stream(TextDelta("x"), Finished("stop")))]
    assert isinstance(seen[-1], Finished) and "deleted" in seen[-1].extra["warning"]
