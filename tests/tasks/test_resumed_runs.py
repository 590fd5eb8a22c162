"""Runs that waited for their caller's tools: one trace, one numbering, and a checkpoint nobody sees."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from backend.models.errors import Conflict, UpstreamCut
from backend.models.messages import (
    Event,
    Finished,
    Message,
    TextDelta,
    ToolCall,
    ToolCallMade,
    ToolFinished,
    Usage,
)
from backend.tasks.summary import RunSummary
from tests.tasks.tracked import ALICE, CALLED, CONTEXT, RUN, TOOL, House, all_of


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


CHECKPOINT = {"agent": "react", "history": ["secret prompt"], "waiting": ["c1"]}


async def paused(house: House) -> None:
    await all_of(
        house.track(
            CALLED,
            Usage(20, 3, step="step-1"),
            *TOOL,
            TextDelta("Let me ask."),
            ToolCallMade(ToolCall("c1", "open_door", '{"which":"front"}')),
            Finished("tool_calls", checkpoint=CHECKPOINT),
        )
    )


async def test_waiting_run_keeps_its_checkpoint_to_itself(house: House) -> None:
    await paused(house)
    trace = await house.trace()
    assert trace["status"] == "waiting" and "checkpoint" not in trace
    assert trace["tool_calls"] == [{"id": "c1", "name": "open_door", "arguments": '{"which":"front"}'}]
    assert (await house.stores.runs.get(ALICE, RUN))["checkpoint"] == CHECKPOINT
    last = (await house.events())[-1]
    assert last["status"] == "waiting" and last["tool_calls"][0]["id"] == "c1"
    assert "secret prompt" not in json.dumps([trace, await house.events()])


async def resumed(house: House, *parts: Any) -> list[Event]:
    earlier = await house.stores.runs.get(ALICE, RUN)
    results = (Message("tool", "opened", tool_call_id="c1"),)
    return await all_of(house.track(*parts, earlier=earlier, results=results))


async def test_resumed_run_goes_on_with_the_same_trace(house: House) -> None:
    await paused(house)
    first = await house.events()
    more = ToolFinished("t2", 1, "math_calc", {}, "completed", "4", 7.0, 0.01)
    seen = await resumed(house, CALLED, Usage(40, 4, step="step-2"), more, TextDelta("Done."), Finished("stop"))
    trace = await house.trace()
    assert trace["status"] == "completed" and trace["answer"] == "Let me ask.\n\nDone."
    assert [step["id"] for step in trace["steps"]] == ["t", "t2"]
    assert [call["index"] for call in trace["calls"]] == [0, 1]
    assert trace["usage"]["total_tokens"] == 67 and trace["tool_calls"][0]["output"] == "opened"
    assert "checkpoint" not in await house.stores.runs.get(ALICE, RUN)
    told = await house.events()
    assert told[: len(first)] == first
    assert [each["n"] for each in told] == list(range(1, len(told) + 1))
    assert told[len(first)]["type"] == "run_started" and told[len(first)]["resumed"] is True
    summary = RunSummary()
    for event in seen:
        summary.note(event)
    hearth = summary.as_hearth(CONTEXT, "")
    assert [step["id"] for step in hearth["steps"]] == ["t", "t2"]
    assert [each["step"] for each in hearth["usage_by_step"]] == ["step-1", "step-2"]


async def test_resumed_run_that_fails_can_be_resumed_again(house: House) -> None:
    await paused(house)
    with pytest.raises(UpstreamCut):
        await resumed(house, UpstreamCut("cut"))
    stored = await house.stores.runs.get(ALICE, RUN)
    assert stored["status"] == "failed" and stored["checkpoint"] == CHECKPOINT
    await resumed(house, TextDelta("Done."), Finished("stop"))
    assert (await house.trace())["status"] == "completed"


async def test_run_is_not_resumed_twice_at_a_time(house: House) -> None:
    await paused(house)
    earlier = await house.stores.runs.get(ALICE, RUN)
    first = house.track(TextDelta("x"), asyncio.Event(), earlier=earlier)
    await anext(first)
    with pytest.raises(Conflict):
        await anext(house.track(TextDelta("y"), earlier=earlier))
    await first.aclose()


async def test_waiting_run_can_be_cancelled(house: House) -> None:
    await paused(house)
    assert await house.runs.cancel(ALICE, RUN) == "cancelled"
    assert (await house.trace())["status"] == "cancelled"
    assert "checkpoint" not in await house.stores.runs.get(ALICE, RUN)
    told = await house.events()
    assert told[-1]["status"] == "cancelled" and told[-1]["n"] == len(told)
