"""Carrying out a plan: steps side by side and after one another, budgets, cancellation, errors."""

from __future__ import annotations

import asyncio
import time

import pytest

from backend.core.agent_graph import create_agent
from backend.models.errors import InvalidRequest, NotFound, ToolUnavailable, UpstreamUnreachable
from backend.models.messages import (
    Finished,
    StepPlanned,
    TextDelta,
    ToolFinished,
    ToolStarted,
    Usage,
)
from backend.models.run import Budget
from tests.core.agent_helpers import closed_when, other_tasks, ran
from tests.fakes.model import Pause, call, format_name, plan, script_of, scripted, thinking, verdict
from tests.fakes.tools import (
    EchoTool,
    FailingTool,
    SleepTool,
    SumTool,
    run_context,
)

ECHO_X = {"tool": "echo", "input": {"text": "x"}}
ECHO_Y = {"tool": "echo", "input": {"text": "y"}}


def asked_for(model) -> list[str]:
    return [request.step for request in script_of(model).requests]


# ---- steps --------------------------------------------------------------------------------------


async def test_independent_steps_run_side_by_side_and_results_keep_the_plans_order():
    sleep = SleepTool()
    steps = [{"tool": "sleep", "input": {"seconds": s, "name": n}} for s, n in ((0.3, "a"), (0.1, "b"), (0.2, "c"))]
    model = scripted(plan(*steps), verdict(), "ok")
    result = await ran(create_agent, model, [sleep])
    assert sleep.together == 3
    assert sleep.finished == ["b", "c", "a"]
    assert [e.id for e in result.of(ToolFinished)] == ["s2", "s3", "s1"]
    told = [m.content for m in script_of(model).requests[-1].messages if m.role == "tool"]
    assert told == ["slept 0.3 s a", "slept 0.1 s b", "slept 0.2 s c"]


async def test_at_most_four_steps_run_at_once():
    sleep = SleepTool()
    model = scripted(
        plan(*[{"tool": "sleep", "input": {"seconds": 0.02, "name": str(n)}} for n in range(9)]), verdict(), "ok"
    )
    await ran(create_agent, model, [sleep])
    assert sleep.together == 4
    assert len(sleep.finished) == 9


async def test_a_step_starts_as_soon_as_what_it_waits_for_has_ended():
    sleep = SleepTool()
    model = scripted(
        plan(
            {"tool": "sleep", "input": {"seconds": 0.3, "name": "slow"}},
            {"tool": "sleep", "input": {"seconds": 0.05, "name": "quick"}},
            {"tool": "sleep", "input": {"seconds": 0.05, "name": "after {{s2}}"}},
        ),
        verdict(),
        "ok",
    )
    await ran(create_agent, model, [sleep])
    assert sleep.finished == ["quick", "after slept 0.05 s quick", "slow"]


async def test_a_placeholder_is_filled_with_the_earlier_result():
    add = SumTool()
    model = scripted(
        plan({"tool": "add", "input": {"a": 1, "b": 2}}, {"tool": "add", "input": {"a": "{{s1}}", "b": 10}}),
        verdict(),
        "13",
    )
    result = await ran(create_agent, model, [add])
    assert add.calls == [(1, 2), (3, 10)]
    assert result.of(ToolStarted)[1].arguments == {"a": "3", "b": 10}
    assert result.of(StepPlanned)[1].depends_on == ("s1",)


async def test_a_dependency_without_placeholder_asks_the_model_for_the_arguments():
    add = SumTool()
    second = {"tool": "add", "input": {"a": 0, "b": 0}, "depends_on": ["s1"], "purpose": "double it"}
    model = scripted(plan({"tool": "add", "input": {"a": 1, "b": 2}}, second), {"a": 3, "b": 3}, verdict(), "6")
    await ran(create_agent, model, [add])
    assert add.calls == [(1, 2), (3, 3)]
    request = script_of(model).requests[1]
    assert format_name(request) == "tool_arguments"
    assert request.response_format is not None
    assert request.response_format.schema is not None
    assert request.response_format.schema["required"] == ["a", "b"]
    assert request.messages[-1].content == "The sum is 3."
    assert "double it" in request.messages[-3].content


async def test_arguments_the_model_cannot_give_fall_back_to_the_plans():
    add = SumTool()
    second = {"tool": "add", "input": {"a": 5, "b": 5}, "depends_on": ["s1"]}
    model = scripted(plan({"tool": "add", "input": {"a": 1, "b": 2}}, second), "no idea", verdict(), "10")
    await ran(create_agent, model, [add])
    assert add.calls == [(1, 2), (5, 5)]


async def test_an_input_that_does_not_fit_is_mended_by_the_model_once():
    add = SumTool()
    model = scripted(plan({"tool": "add", "input": {"a": 1}}), {"a": 1, "b": 2}, verdict(), "3")
    result = await ran(create_agent, model, [add])
    assert add.calls == [(1, 2)]
    assert "b: Field required" in script_of(model).requests[1].messages[-1].content
    assert result.tools_run == [("add", "completed")]


async def test_a_failed_step_is_tried_once_more_within_one_pair_of_events():
    tool = FailingTool(times=1)
    model = scripted(plan({"tool": "failing", "input": {}}), verdict(), "ok")
    result = await ran(create_agent, model, [tool])
    assert tool.calls == 2
    assert result.tools_run == [("failing", "completed")]


async def test_a_step_that_keeps_failing_is_recorded_and_the_answer_goes_on():
    tool = FailingTool()
    model = scripted(plan({"tool": "failing", "input": {}}, ECHO_X), verdict(), plan(), "Half of it.")
    result = await ran(create_agent, model, [tool, EchoTool()])
    assert tool.calls == 2
    assert sorted(result.tools_run) == [("echo", "completed"), ("failing", "failed")]
    assert "Error:" in script_of(model).requests[-1].messages[-2].content
    assert result.answer == "Half of it."
    assert any(step.error for step in result.agent.get_trace())


async def test_an_argument_error_is_not_tried_again():
    add = SumTool()
    model = scripted(plan({"tool": "add", "input": {"a": 1}}), "no idea", verdict(), plan(), "Sorry.")
    result = await ran(create_agent, model, [add])
    assert add.calls == []
    assert result.tools_run == [("add", "failed")]
    assert result.agent.get_trace()[0].error == "b: Field required."
    assert len(result.agent.get_trace()) == 1


async def test_a_step_that_needs_a_failed_one_fails_without_running():
    echo = EchoTool()
    model = scripted(
        plan({"tool": "failing", "input": {}}, {"tool": "echo", "input": {"text": "{{s1}}"}}),
        verdict(),
        plan(),
        "Sorry.",
    )
    result = await ran(create_agent, model, [FailingTool(), echo])
    assert echo.calls == []
    assert result.tools_run == [("failing", "failed"), ("echo", "failed")]
    assert "needs the result of step s1" in (result.agent.get_trace()[-1].error or "")


# ---- budgets ------------------------------------------------------------------------------------


async def test_the_tool_call_budget_shortens_the_plan():
    echo = EchoTool()
    steps = [{"tool": "echo", "input": {"text": str(n)}} for n in range(4)]
    model = scripted(plan(*steps, {"tool": "echo", "input": {"text": "{{s4}}"}}), verdict(False, "more"), "ok")
    result = await ran(create_agent, model, [echo], budget=Budget(tool_calls=2))
    assert sorted(echo.calls) == ["0", "1"]
    assert len(result.of(StepPlanned)) == 2
    assert asked_for(model) == ["plan", "verify", "answer"]
    assert result.finished == Finished(
        "length", "The run's budget of 2 tool calls was used up. Not covered by the results: more."
    )


async def test_a_shortened_plan_that_passes_is_a_whole_answer():
    steps = [{"tool": "echo", "input": {"text": str(n)}} for n in range(4)]
    result = await ran(create_agent, scripted(plan(*steps), verdict(), "ok"), [EchoTool()], budget=Budget(tool_calls=2))
    assert result.finished == Finished("stop")


async def test_trying_again_stays_within_the_budget_of_tool_calls():
    failing, echo = FailingTool(), EchoTool()
    model = scripted(plan({"tool": "failing", "input": {}}, {**ECHO_X, "depends_on": []}), verdict(False, "y"), "ok")
    result = await ran(create_agent, model, [failing, echo], budget=Budget(tool_calls=2))
    assert failing.calls + len(echo.calls) == 2
    assert result.finished.reason == "length"


@pytest.mark.parametrize(
    "error",
    [InvalidRequest("Not a number."), NotFound("There is no such city."), ToolUnavailable("The key is missing.")],
    ids=lambda error: type(error).__name__,
)
async def test_what_cannot_get_better_is_not_tried_again(error):
    tool = FailingTool(error=lambda: error)
    model = scripted(plan({"tool": "failing", "input": {}}), verdict(), plan(), "Sorry.")
    await ran(create_agent, model, [tool])
    assert tool.calls == 1


async def test_nearly_used_up_tokens_are_kept_for_the_answer_instead_of_a_check():
    model = scripted([plan(ECHO_X), Usage(600, 100)], "x it is.")
    result = await ran(create_agent, model, [EchoTool()], budget=Budget(tokens=1_000))
    assert asked_for(model) == ["plan", "answer"]
    assert result.answer == "x it is."
    assert result.finished.reason == "length"
    assert "nearly used up" in (result.finished.detail or "")


async def test_an_answer_that_repeats_itself_for_ever_is_stopped():
    model = scripted(plan(ECHO_X), verdict(), ["As I said, it is x. " * 5_000, Pause(float("inf"))])
    result = await ran(create_agent, model, [EchoTool()])
    assert len(result.answer) < 20_000
    assert result.finished.reason == "length"
    assert "repeating itself" in (result.finished.detail or "")
    assert script_of(model).closed_early == 1


async def test_an_answer_cannot_cost_more_than_the_tokens_left():
    endless = " ".join(str(number) for number in range(50_000))
    model = scripted([plan(ECHO_X), Usage(10, 10)], [verdict(), Usage(10, 10)], endless)
    result = await ran(create_agent, model, [EchoTool()], budget=Budget(tokens=2_000))
    assert len(result.answer) < 10_000
    assert result.finished == Finished("length", "The run's budget of 2000 tokens was used up.")


async def test_the_token_budget_ends_with_the_results_in_words():
    model = scripted([plan(ECHO_X), Usage(900, 200)])
    result = await ran(create_agent, model, [EchoTool()], budget=Budget(tokens=1_000))
    assert asked_for(model) == ["plan"]
    assert result.answer.endswith("found out:\n\nx")
    assert result.finished.reason == "length"


async def test_time_is_kept_back_for_the_answer():
    sleep = SleepTool()
    slow = {"tool": "sleep", "input": {"seconds": 30, "name": "slow"}}
    model = scripted(plan(slow, ECHO_X), "What I have: x.")
    result = await ran(create_agent, model, [sleep, EchoTool()], deadline=time.monotonic() + 0.5)
    assert sleep.cancelled == ["slow"]
    assert result.answer == "What I have: x."
    assert result.finished.reason == "length"
    assert "time" in (result.finished.detail or "")
    assert sorted(result.tools_run) == [("echo", "completed"), ("sleep", "cancelled")]
    told = [m.content for m in script_of(model).requests[-1].messages if m.role == "tool"]
    assert told == ["x\n\n(The results do not cover: part 1. Say so plainly where it matters.)"]


async def test_an_answer_that_never_comes_becomes_the_results_in_words():
    model = scripted(plan(ECHO_X), verdict(), Pause(float("inf")))
    result = await ran(create_agent, model, [EchoTool()], deadline=time.monotonic() + 0.3)
    assert "x" in result.answer
    assert result.finished.reason == "length"


async def test_an_empty_answer_is_asked_for_once_more():
    model = scripted(plan(ECHO_X), verdict(), [thinking("hm")], "There.")
    assert (await ran(create_agent, model, [EchoTool()])).answer == "There."


async def test_calls_in_the_answer_are_not_made():
    echo = EchoTool()
    model = scripted(plan(ECHO_X), verdict(), ["Fine.", call("echo", text="sneaky")])
    result = await ran(create_agent, model, [echo])
    assert echo.calls == ["x"]
    assert result.answer == "Fine."
    assert result.finished.reason == "stop"


# ---- cancellation and errors --------------------------------------------------------------------


@pytest.mark.parametrize("when", ["planning", "tools", "verification", "answer"])
async def test_closing_the_generator_leaves_nothing_running(when):
    sleep = SleepTool()
    forever = Pause(float("inf"))
    quick = {"tool": "sleep", "input": {"seconds": 0, "name": "quick"}}
    slow = {"tool": "sleep", "input": {"seconds": 30, "name": "slow"}}
    turns = {
        "planning": [[thinking("let me see"), forever]],
        "tools": [plan(slow, slow | {"input": {"seconds": 30, "name": "b"}})],
        "verification": [plan(quick), [thinking("is it?"), forever]],
        "answer": [plan(quick), verdict(), ["It is", forever]],
    }[when]
    model = scripted(*turns)
    stop_at = {
        "planning": lambda e: "let me see" in str(e),
        "tools": lambda e: isinstance(e, ToolStarted) and e.arguments["name"] == "b",
        "verification": lambda e: "is it?" in str(e),
        "answer": lambda e: isinstance(e, TextDelta),
    }[when]
    before = other_tasks()
    await closed_when(create_agent, model, [sleep], stop_at, run_context())
    assert other_tasks() == before
    assert sorted(sleep.cancelled) == (["b", "slow"] if when == "tools" else [])
    assert script_of(model).closed_early == (0 if when == "tools" else 1)


async def test_cancelling_the_reader_cancels_the_tools():
    sleep = SleepTool()
    model = scripted(plan({"tool": "sleep", "input": {"seconds": 30, "name": "slow"}}))
    task = asyncio.create_task(ran(create_agent, model, [sleep]))
    while not sleep.started:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sleep.cancelled == ["slow"]
    assert not other_tasks()


@pytest.mark.parametrize("at", [0, 1, 2], ids=["planning", "verification", "answer"])
async def test_a_providers_error_is_raised_as_it_is(at):
    turns = [plan(ECHO_X), verdict(), "ok"]
    turns[at] = UpstreamUnreachable("Ollama does not answer.")
    model = scripted(*turns)
    with pytest.raises(UpstreamUnreachable, match="Ollama does not answer"):
        await ran(create_agent, model, [EchoTool()])
    assert not other_tasks()
