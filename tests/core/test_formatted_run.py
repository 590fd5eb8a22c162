"""An agent's answer brought into a form: held back, asked for once more where need be, and never broken JSON."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

import pytest

from backend.core.formatted_run import PUT_INTO_FORM, in_form
from backend.llm.port import ResponseFormat
from backend.models.errors import ModelFault
from backend.models.messages import Event, Finished, Message, TextDelta, ToolCall, ToolCallMade, ToolStarted, Usage
from tests.fakes.model import Turn, script_of, scripted

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WANTED = ResponseFormat("json_schema", "place", SCHEMA, strict=True)
ASKED = (Message("user", "Where?"),)
STARTED = ToolStarted("c1", 0, "weather", {}, 1.0)


async def agent(*events: Event) -> AsyncGenerator[Event, None]:
    for event in events:
        yield event


async def run(*events: Event, turns: tuple[Turn, ...] = ()) -> tuple[list[Event], list[tuple[Message, ...]]]:
    """The events that come out, and what the model was asked."""
    model = scripted(*turns)
    out = [event async for event in in_form(agent(*events), ASKED, model, WANTED)]
    return out, [request.messages for request in script_of(model).requests]


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_words_are_put_into_the_form_by_one_further_call() -> None:
    said = (STARTED, TextDelta("It is in "), TextDelta("Oslo [1]."), Usage(5, 5, step="step-1"), Finished("stop"))
    events, asked = await run(*said, turns=('{"city":"Oslo [1]"}',))
    assert json.loads(text_of(events)) == {"city": "Oslo [1]"}
    assert events[0] is STARTED, "what the agent does is still seen at once"
    assert asked == [(*ASKED, Message("assistant", "It is in Oslo [1]."), Message("user", PUT_INTO_FORM))]
    assert [event.step for event in events if isinstance(event, Usage)] == ["step-1", "format"]
    assert events[-1] == Finished("stop")


@pytest.mark.parametrize("said", ['{"city":"Oslo"}', '```json\n{"city": "Oslo"}\n```'], ids=["bare", "fenced"])
async def test_an_answer_that_fits_already_needs_no_call(said: str) -> None:
    events, asked = await run(TextDelta(said), Finished("stop"))
    assert json.loads(text_of(events)) == {"city": "Oslo"} and asked == []


async def test_what_does_not_fit_is_repaired_once_and_then_an_error() -> None:
    events, asked = await run(TextDelta("Oslo"), Finished("stop"), turns=('{"town":"Oslo"}', '{"city":"Oslo"}'))
    assert json.loads(text_of(events)) == {"city": "Oslo"} and len(asked) == 2
    with pytest.raises(ModelFault):
        await run(TextDelta("Oslo"), Finished("stop"), turns=('{"town":"Oslo"}', '{"town":"Oslo"}'))


async def test_a_stop_for_the_callers_tools_keeps_its_words_and_its_checkpoint() -> None:
    stop = Finished("tool_calls", checkpoint={"agent": "react"})
    made = ToolCallMade(ToolCall("c1", "f", "{}"))
    events, asked = await run(TextDelta("Let me ask."), made, stop)
    assert (text_of(events), events[-1], asked) == ("Let me ask.", stop, []) and made in events


async def test_an_agent_out_of_budget_still_gives_the_form_and_says_why() -> None:
    events, _ = await run(TextDelta("Oslo"), Finished("length", "Time was up."), turns=('{"city":"Oslo"}',))
    assert events[-1] == Finished("stop", "Time was up.") and json.loads(text_of(events)) == {"city": "Oslo"}
