"""A plain completion is the provider's own stream; only demands are watched over."""

from __future__ import annotations

import pytest

from backend.core.enforcement import is_demanding
from backend.llm.port import ChatRequest, ResponseFormat
from backend.models.messages import Message, ToolCallMade
from backend.models.run import SERVER, RunContext
from backend.tasks.chat_task import ChatTask
from tests.core.enforcement_helpers import OBJECT, WEATHER
from tests.fakes.model import ScriptedModel

CONTEXT = RunContext(SERVER, "run_1", None, "req_1")
USER = (Message("user", "Good morning"),)


class Watched(ScriptedModel):
    """Remembers the streams it gave out."""

    def stream(self, request: ChatRequest):  # type: ignore[no-untyped-def,override]
        self.given = super().stream(request)
        return self.given


def test_a_plain_request_gets_the_providers_own_stream() -> None:
    model = Watched(["Hello."])
    events = ChatTask(model, ChatRequest("scripted:1b", ())).run(USER, CONTEXT)
    assert events is model.given, "no wrapper: this is the path every token takes"


async def test_the_messages_reach_the_model() -> None:
    model = ScriptedModel(["Hello."])
    events = [event async for event in ChatTask(model, ChatRequest("scripted:1b", ())).run(USER, CONTEXT)]
    assert model.requests[0].messages == USER and len(events) == 3


@pytest.mark.parametrize(
    ("fields", "demanding"),
    [
        ({}, False),
        ({"response_format": ResponseFormat("text")}, False),
        ({"parallel_tool_calls": False}, False),
        ({"response_format": OBJECT}, True),
        ({"tools": (WEATHER,)}, True),
        ({"tools": (WEATHER,), "tool_choice": "none"}, True),
    ],
    ids=["plain", "text", "parallel without tools", "json", "tools", "tools but none"],
)
def test_only_tools_and_formats_are_watched(fields: dict[str, object], demanding: bool) -> None:
    assert is_demanding(ChatRequest("scripted:1b", USER, **fields)) is demanding  # type: ignore[arg-type]


async def test_a_demand_is_kept() -> None:
    model = ScriptedModel(["It is mild.", '{"city":"Oslo"}'])
    request = ChatRequest("scripted:1b", (), tools=(WEATHER,), tool_choice="required")
    events = [event async for event in ChatTask(model, request, streamed=True).run(USER, CONTEXT)]
    assert isinstance(events[0], ToolCallMade)
    assert model.requests[1].messages[0] == USER[0]
