"""What hangs is not waited for, and what is closed stops: in every node of the graph."""

from __future__ import annotations

import asyncio
import time

import pytest

from backend.core.agent_graph import NODES, PlanState, create_agent, traverse, warm_up
from backend.core.plan_run import PlanRun
from backend.core.structured import MAX_BLANK_CHARS, MAX_STRUCTURED_CHARS
from backend.models.messages import Finished, ReasoningDelta, StepPlanned, TextDelta, ToolFinished, Usage
from tests.core.agent_helpers import closed_when, other_tasks, ran
from tests.fakes.model import Pause, plan, script_of, scripted, thinking, verdict
from tests.fakes.tools import EchoTool, FailingTool, SleepTool, SumTool, run_context

ECHO_X = {"tool": "echo", "input": {"text": "x"}}
SLOW = {"tool": "sleep", "input": {"seconds": 30, "name": "slow"}}
FOREVER = Pause(float("inf"))


def asked_for(model) -> list[str]:
    return [request.step for request in script_of(model).requests]


@pytest.fixture(autouse=True, scope="module")
def imported():
    """The first run of a process imports langgraph: here that would count against a deadline."""
    warm_up()


def soon(seconds: float = 1.0) -> float:
    return time.monotonic() + seconds


# ---- what hangs ---------------------------------------------------------------------------------


async def test_a_plan_that_never_comes_is_made_without_the_model():
    echo = EchoTool()
    model = scripted([thinking("hm"), FOREVER], verdict(), "one it is.")
    result = await ran(create_agent, model, [echo], "Please echo one.", deadline=soon())
    assert echo.calls == ["one"]
    assert asked_for(model) == ["plan", "verify", "answer"]
    assert result.finished == Finished("stop")
    assert script_of(model).closed_early == 1


async def test_a_correction_that_never_comes_is_not_waited_for_either():
    echo = EchoTool()
    model = scripted("no plan", FOREVER, verdict(), "one it is.")
    result = await ran(create_agent, model, [echo], "Please echo one.", deadline=soon())
    assert echo.calls == ["one"]
    assert result.answer == "one it is."


async def test_a_check_that_never_comes_counts_as_passed_but_not_checked():
    model = scripted(plan(ECHO_X), FOREVER, "x it is.")
    result = await ran(create_agent, model, [EchoTool()], deadline=soon())
    assert asked_for(model) == ["plan", "verify", "answer"]
    assert result.finished == Finished("stop", extra={"verification": "not checked"})
    assert result.agent.state["verification_passed"] is True  # type: ignore[attr-defined]


async def test_a_check_that_never_comes_does_not_keep_a_failure_from_being_planned_around():
    model = scripted(plan({"tool": "failing", "input": {}}), FOREVER, plan(ECHO_X), verdict(), "x it is.")
    result = await ran(create_agent, model, [FailingTool(), EchoTool()], deadline=soon())
    assert result.answer == "x it is."
    assert result.finished == Finished("stop")


async def test_an_input_that_never_comes_is_the_plans_own():
    add = SumTool()
    second = {"tool": "add", "input": {"a": 5, "b": 5}, "depends_on": ["s1"]}
    model = scripted(plan({"tool": "add", "input": {"a": 1, "b": 2}}, second), FOREVER, verdict(), "10")
    result = await ran(create_agent, model, [add], deadline=soon())
    assert add.calls == [(1, 2), (5, 5)]
    assert result.answer == "10"


async def test_a_tool_that_hangs_leaves_time_for_the_answer_which_admits_it():
    model = scripted(plan(SLOW | {"purpose": "the long one"}, ECHO_X), "Only x.")
    result = await ran(create_agent, model, [SleepTool(), EchoTool()], deadline=soon(2.0))
    assert result.answer == "Only x."
    assert result.finished.reason == "length"
    assert result.finished.detail == "The run's time was used up. Not covered by the results: the long one."


async def test_everything_hanging_still_ends_in_words_before_its_deadline():
    started = time.monotonic()
    model = scripted(repeat=FOREVER)
    result = await ran(create_agent, model, [EchoTool()], "Please echo one.", deadline=soon(0.6))
    assert "one" in result.answer
    assert result.finished == Finished("length", "The run's time was used up.")
    assert time.monotonic() - started < 6


@pytest.mark.parametrize(
    "endless",
    [
        pytest.param(["x" * 1_000] * 1_000, id="words"),
        pytest.param([" " * 100] * 10_000, id="blanks"),
        pytest.param(['{"steps": [', *["\n" * 100] * 10_000], id="blanks inside"),
    ],
)
async def test_a_structured_answer_that_never_ends_is_cut_off(endless):
    echo = EchoTool()
    pieces = [TextDelta(text) for text in endless]
    model = scripted(pieces, plan(ECHO_X), verdict(), "ok")
    result = await ran(create_agent, model, [echo])
    assert echo.calls == ["x"]
    assert script_of(model).closed_early == 1
    assert script_of(model).events_sent < max(MAX_STRUCTURED_CHARS // 1_000, MAX_BLANK_CHARS // 100) + 100
    assert [usage.estimated for usage in result.of(Usage)] == [True, False, False, False]


# ---- what is closed -----------------------------------------------------------------------------


@pytest.mark.parametrize("node", NODES)
async def test_closing_the_run_inside_a_node_stops_it(node, monkeypatch):
    original, stopped = getattr(PlanRun, node), []

    async def hanging(self: PlanRun, state: PlanState) -> PlanState:
        await original(self, state)
        self.emit(ReasoningDelta("inside"))
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.append(node)
            raise
        raise AssertionError

    monkeypatch.setattr(PlanRun, node, hanging)
    model = scripted(plan(ECHO_X), verdict(False, "y"), plan(), "ok")
    before = other_tasks()
    await closed_when(create_agent, model, [EchoTool()], lambda e: e == ReasoningDelta("inside"), run_context())
    assert stopped == [node]
    assert other_tasks() == before
    assert asked_for(model) == (["plan", "verify"] if node == "verification" else ["plan"])


@pytest.mark.parametrize("node", NODES)
async def test_cancelling_the_graph_cancels_the_node_at_work(node):
    entered, stopped = asyncio.Event(), []

    class Hanging:
        """Nodes of which one hangs."""

        def begins(self):
            return "new"

        def executed(self):
            return "done"

        def verified(self):
            return "done"

        def __getattr__(self, name: str):
            async def work(state: PlanState) -> PlanState:
                if name != node:
                    return PlanState(current_agent=name)
                entered.set()
                try:
                    await asyncio.Event().wait()
                finally:
                    stopped.append(name)
                return state

            return work

    task = asyncio.create_task(traverse(Hanging(), PlanState(), 1))  # type: ignore[arg-type]
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stopped == [node]
    assert not other_tasks()


async def test_closing_at_the_plan_starts_no_tool_that_is_not_stopped():
    sleep = SleepTool()
    model = scripted(plan(SLOW))
    await closed_when(create_agent, model, [sleep], lambda e: isinstance(e, StepPlanned), run_context())
    assert sleep.started == sleep.cancelled
    assert not other_tasks()


async def test_closing_after_the_last_tool_makes_no_check_that_is_not_stopped():
    model = scripted(plan(ECHO_X), FOREVER)
    await closed_when(create_agent, model, [EchoTool()], lambda e: isinstance(e, ToolFinished), run_context())
    assert len(asked_for(model)) - 1 == script_of(model).closed_early
    assert not other_tasks()


async def test_closing_stops_a_call_that_writes_an_input_and_the_tool_beside_it():
    sleep = SleepTool()
    second = {"tool": "echo", "input": {"text": "?"}, "depends_on": ["s1"]}
    model = scripted(plan(ECHO_X, second, SLOW), [thinking("which?"), FOREVER])
    tools = [EchoTool(), sleep]
    before = other_tasks()
    started = time.monotonic()
    await closed_when(create_agent, model, tools, lambda e: "which?" in str(e), run_context())
    assert time.monotonic() - started < 5
    assert sleep.cancelled == ["slow"]
    assert script_of(model).closed_early == 1
    assert other_tasks() == before


# ---- how long it takes --------------------------------------------------------------------------


@pytest.mark.slow
async def test_independent_steps_take_as_long_as_the_longest_and_a_chain_the_sum():
    side_by_side = [{"tool": "sleep", "input": {"seconds": 1, "name": name}} for name in "ab"]
    chain = [
        {"tool": "sleep", "input": {"seconds": 0.5, "name": "a"}},
        {"tool": "sleep", "input": {"seconds": 0.5, "name": "{{s1}}"}},
    ]
    took = []
    for steps in (side_by_side, chain):
        started = time.monotonic()
        await ran(create_agent, scripted(plan(*steps), verdict(), "ok"), [SleepTool()])
        took.append(time.monotonic() - started)
    assert 1.0 <= took[0] < 1.9
    assert took[1] >= 1.0
