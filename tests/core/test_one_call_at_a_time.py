"""A caller who allows no parallel calls gets one call a turn from every agent, and the rest one after another."""

from __future__ import annotations

from dataclasses import replace

from tests.core.test_plan_caller_tools import ASK_CALENDAR, leg, resumed
from tests.core.test_react_caller import Session
from tests.fakes.model import call, plan, script_of, scripted, verdict
from tests.fakes.tools import SumTool


async def test_react_makes_the_first_of_several_calls() -> None:
    model = replace(
        scripted([call("open_door", door="front"), call("open_door", door="back")], "Open."), parallel_tool_calls=False
    )
    session = await Session(model).start()
    assert [asked.arguments for asked in session.asked] == ['{"door":"front"}']
    await session.answer({session.asked[0].id: "ok"})
    assert session.text == "Open."
    assert not script_of(model).requests[0].parallel_tool_calls, "a model that can keep to it is told"


async def test_react_runs_one_tool_of_the_server_a_turn() -> None:
    model = replace(scripted([call("sum", a=1, b=2), call("sum", a=3, b=4)], "3."), parallel_tool_calls=False)
    session = await Session(model, [SumTool()]).start(caller=())
    told = [message for message in session.sent(1) if message.role == "tool"]
    assert len(told) == 1 and session.text == "3."


async def test_a_plan_asks_its_caller_for_one_step_after_another() -> None:
    two = plan(ASK_CALENDAR, {"tool": "mail", "input": {"text": "hi"}})
    first = await leg(replace(scripted(two), parallel_tool_calls=False))
    assert [made[1] for made in first.calls] == ["calendar"]
    second = await resumed(first, replace(scripted(), parallel_tool_calls=False), "dentist")
    assert [made[1] for made in second.calls] == ["mail"] and second.finished.reason == "tool_calls"
    ended = await resumed(second, replace(scripted(verdict(True), "Done."), parallel_tool_calls=False), "sent")
    assert ended.answer == "Done." and ended.finished.reason == "stop"
