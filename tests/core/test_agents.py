"""What holds for every agent, and the small helpers they share."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from pydantic import BaseModel

from backend.core.collect import all_or_none, interleave, until
from backend.models.messages import Event, TextDelta, Usage
from backend.models.run import RunContext
from backend.models.tools import ToolResult
from backend.tools.port import BaseTool
from tests.core.agent_helpers import AGENTS, other_tasks, ran
from tests.fakes.model import call, plan, scripted, verdict
from tests.fakes.tools import EchoTool, run_context, toolbox_of


class ShoutArgs(BaseModel):
    text: str


class ShoutTool(BaseTool):
    """A tool nobody has heard of before."""

    name = "shout"
    description = "Writes a text in capitals."
    Args = ShoutArgs

    async def run(self, arguments: Any, context: RunContext) -> ToolResult:
        return ToolResult(arguments.text.upper())


SHOUT = {
    "react": [call("shout", text="hey"), "HEY it is."],
    "plan_execute": [plan({"tool": "shout", "input": {"text": "hey"}}), verdict(), "HEY it is."],
}


@pytest.mark.parametrize("name", AGENTS)
async def test_a_new_tool_works_with_every_agent(name):
    result = await ran(AGENTS[name], scripted(*SHOUT[name]), [ShoutTool(), EchoTool()])
    assert result.tools_run == [("shout", "completed")]
    assert result.agent.get_trace()[0].observation == "HEY"
    assert result.answer == "HEY it is."
    assert result.finished.reason == "stop"


@pytest.mark.parametrize("name", AGENTS)
async def test_an_agent_names_itself_and_says_when_to_use_it(name):
    agent = AGENTS[name](scripted(), None)  # type: ignore[arg-type]
    assert agent.name == name
    assert agent.when_to_use.endswith(".")
    assert agent.get_trace() == ()


@pytest.mark.parametrize("name", AGENTS)
async def test_an_agent_emits_usage_for_every_model_call(name):
    model = scripted(*SHOUT[name])
    result = await ran(AGENTS[name], model, [ShoutTool()])
    assert len(result.of(Usage)) == len(model.provider.requests)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", AGENTS)
async def test_an_unstarted_run_can_be_closed(name):
    run = run_context()
    events = AGENTS[name](scripted(), toolbox_of(context=run)).run([], run)
    await events.aclose()


# ---- helpers ------------------------------------------------------------------------------------


async def test_interleaved_jobs_come_in_order_of_happening():
    async def slow(emit):
        emit(TextDelta("a"))
        await asyncio.sleep(0.03)
        emit(TextDelta("d"))

    async def quick(emit):
        emit(TextDelta("b"))
        await asyncio.sleep(0.01)
        emit(TextDelta("c"))

    got = [event.text async for event in interleave([slow, quick], 2) if isinstance(event, TextDelta)]
    assert got == ["a", "b", "c", "d"]


async def test_an_interleaved_jobs_error_is_raised_after_the_others_have_ended():
    ended = []

    async def bad(emit):
        raise ValueError("boom")

    async def good(emit):
        await asyncio.sleep(0.01)
        ended.append(True)

    with pytest.raises(ValueError, match="boom"):
        async for _ in interleave([bad, good], 2):
            pass
    assert ended == [True]


async def test_interleaving_nothing_ends_at_once():
    assert [event async for event in interleave([], 2)] == []


async def test_all_or_none_cancels_the_others_when_one_fails():
    cancelled = []

    async def bad():
        raise ValueError("boom")

    async def long():
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    with pytest.raises(ValueError, match="boom"):
        await all_or_none([long(), bad()])
    assert cancelled == [True]
    assert not other_tasks()


async def test_a_deadline_closes_the_stream_and_spares_the_consumer():
    closed = []

    async def stream():
        try:
            yield TextDelta("a")
            await asyncio.sleep(30)
        finally:
            closed.append(True)

    got: list[Event] = []
    with pytest.raises(TimeoutError):
        async for event in until(stream(), time.monotonic() + 0.05):
            got.append(event)
            await asyncio.sleep(0.08)  # The consumer may be slower than the deadline: only waiting for us is limited.
    assert got == [TextDelta("a")]
    assert closed == [True]


async def test_a_deadline_interrupts_only_the_waiting():
    async def stream():
        yield TextDelta("a")
        await asyncio.sleep(30)

    task = asyncio.current_task()
    assert task is not None
    with pytest.raises(TimeoutError):
        async for _ in until(stream(), time.monotonic() + 0.05):
            pass
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_a_cancellation_from_outside_is_no_timeout():
    async def stream():
        await asyncio.sleep(30)
        yield TextDelta("a")

    async def read():
        async for _ in until(stream(), time.monotonic() + 30):
            pass

    task = asyncio.create_task(read())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_stream_that_ends_in_time_is_passed_on_whole():
    async def stream():
        for text in ("a", "b"):
            yield TextDelta(text)

    assert [event async for event in until(stream(), time.monotonic() + 30)] == [TextDelta("a"), TextDelta("b")]


async def test_a_deadline_in_the_past_lets_nothing_through():
    async def stream():
        yield TextDelta("a")
        await asyncio.sleep(0.05)
        yield TextDelta("b")

    with pytest.raises(TimeoutError):
        assert [event async for event in until(stream(), time.monotonic() - 1)] == []
