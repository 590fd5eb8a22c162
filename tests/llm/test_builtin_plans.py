"""The built-in model as planner and verifier: the structured answers it can give, and those it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from backend.llm.builtin_turn import single_value
from backend.llm.port import ResponseFormat
from backend.models.errors import InvalidRequest
from backend.models.messages import Message
from backend.models.tools import ToolResult, ToolSpec
from tests.fakes.toy_specs import (
    ALL,
    MATH,
    WEATHER,
)
from tests.llm.asking import Run, text_of, user

PLAN = ResponseFormat("json_schema", "plan", {"type": "object", "properties": {"steps": {"type": "array"}}}, True)
VERIFICATION = ResponseFormat("json_schema", "verification", {"type": "object", "properties": {"passed": {}}}, True)


# ---- planning and verifying ---------------------------------------------------------------------


async def plan_of(*messages: Message, tools: Sequence[ToolSpec] = ALL) -> list[dict[str, Any]]:
    text = await text_of(*messages, tools=tuple(tools), tool_choice="none", response_format=PLAN)
    steps: list[dict[str, Any]] = orjson.loads(text)["steps"]
    return steps


async def test_a_plan_has_a_step_for_each_part() -> None:
    assert await plan_of(user("What is 12*7 and what does the handbook say about vacation?")) == [
        {"id": "s1", "purpose": "What is 12*7", "tool": "math_calc", "input": {"expression": "12*7"}, "depends_on": []},
        {
            "id": "s2",
            "purpose": "what does the handbook say about vacation?",
            "tool": "rag_retrieval",
            "input": {"query": "what does the handbook say about vacation?"},
            "depends_on": [],
        },
    ]


async def test_a_dependent_step_names_the_one_it_waits_for() -> None:
    first, second = await plan_of(user("What is 15% of 240 and then multiply that by 3"))
    assert (first["id"], first["depends_on"]) == ("s1", [])
    assert (second["input"], second["depends_on"]) == ({"expression": "({{s1}}) * 3"}, ["s1"])


async def test_a_second_round_with_nothing_new_plans_nothing() -> None:
    run = Run(user("What is 12*7?\n\nStill missing, after the steps already taken:\n- everything"))
    run.add("math_calc", {"expression": "12*7"}, ToolResult("12*7 = 84"))
    assert await plan_of(*run.messages) == []


async def test_a_second_round_plans_only_what_is_missing_under_a_new_id() -> None:
    run = Run(user("What is 12*7? What's the weather in Rome?"))
    run.add("math_calc", {"expression": "12*7"}, ToolResult("12*7 = 84"))
    (step,) = await plan_of(*run.messages)
    assert (step["id"], step["tool"]) == ("s2", "weather")


async def test_a_query_no_tool_serves_gives_an_empty_plan() -> None:
    assert await plan_of(user("Sing me something"), tools=(MATH, WEATHER)) == []


async def verdict_of(*messages: Message, tools: Sequence[ToolSpec] = ALL) -> dict[str, Any]:
    text = await text_of(*messages, tools=tuple(tools), response_format=VERIFICATION)
    verdict: dict[str, Any] = orjson.loads(text)
    return verdict


async def test_verification_passes_when_every_part_has_a_result() -> None:
    run = Run(user("What is 12*7?")).add("math_calc", {"expression": "12*7"}, ToolResult("12*7 = 84"))
    assert await verdict_of(*run.messages) == {"passed": True, "missing": []}


async def test_verification_names_the_part_without_a_result() -> None:
    run = Run(user("What is 12*7? What's the weather in Rome?"))
    run.add("math_calc", {"expression": "12*7"}, ToolResult("12*7 = 84"))
    assert await verdict_of(*run.messages) == {"passed": False, "missing": ["What's the weather in Rome?"]}


async def test_verification_fails_when_everything_failed() -> None:
    run = Run(user("What is 12*7?")).add("math_calc", {"expression": "12*7"}, ToolResult("", error="Too large."))
    assert await verdict_of(*run.messages) == {"passed": False, "missing": ["What is 12*7?"]}


async def test_verification_passes_with_one_failure_among_successes() -> None:
    run = Run(user("What is 12*7? What's the weather in Rome?"))
    run.add("math_calc", {"expression": "12*7"}, ToolResult("12*7 = 84"))
    run.add("weather", {"location": "Rome"}, ToolResult("", error="No network."))
    assert (await verdict_of(*run.messages))["passed"] is True


@pytest.mark.parametrize(
    "wanted",
    [
        ResponseFormat("json_object"),
        ResponseFormat("json_schema", "person", {"type": "object", "properties": {"name": {"type": "string"}}}),
        ResponseFormat("json_schema", "plan", {"type": "object", "properties": {"days": {"type": "array"}}}),
        ResponseFormat("json_schema", "tool_arguments", {"type": "object", "properties": {}}),
    ],
    ids=["object", "schema", "a client's own plan", "arguments"],
)
async def test_free_json_is_refused_with_the_parameter_named(wanted: ResponseFormat) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await text_of(user("Anna is 30"), response_format=wanted)
    assert caught.value.param == "response_format"


async def test_a_json_object_is_derived_from_a_single_result() -> None:
    run = Run(user("What is 12*7?")).add("math_calc", {"expression": "12*7"}, ToolResult("84", {"exact": "84"}))
    text = await text_of(*run.messages, response_format=ResponseFormat("json_object"))
    assert orjson.loads(text) == {"exact": "84"}


@pytest.mark.parametrize(
    ("found", "value"),
    [
        (84, "84"),
        (0.5, "0.5"),
        (True, None),
        ({"exact": "sqrt(2)", "numeric": "1.414"}, "sqrt(2)"),
        ({"exact": "x = -2 or x = 2"}, None),
        ({"count": 3, "mean": 2.0}, None),
        ("12*7 = 84", "84"),
        ("1/3 = 1/3 ≈ 0.333", "1/3"),
        ("x^2 = 4 → x = -2 or x = 2", None),
        ("The total is 42.", "42"),
        ("3 of 4", None),
        ("no number", None),
        (None, None),
    ],
    ids=str,
)
def test_only_a_single_value_is_carried_into_a_later_step(found: Any, value: str | None) -> None:
    assert single_value(found) == value
