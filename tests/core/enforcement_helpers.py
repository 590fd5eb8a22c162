"""What the tests of enforcement share: a request, and an answer read to its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from backend.core.enforcement import enforced
from backend.llm.port import ChatRequest, ResponseFormat
from backend.models.messages import Event, Finished, Message, TextDelta, ToolCall, ToolCallMade, Usage
from backend.models.tools import ToolSpec
from tests.fakes.model import ScriptedModel

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
WEATHER = ToolSpec(
    "get_weather",
    "The weather of a city.",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "maximum": 7}},
        "required": ["city"],
    },
)
CLOCK = ToolSpec("get_time", "The time.", {"type": "object", "properties": {"zone": {"type": "string"}}})
OBJECT = ResponseFormat("json_object")


def schema_format(schema: dict[str, Any]) -> ResponseFormat:
    return ResponseFormat("json_schema", "answer", schema, strict=True)


@dataclass
class Answer:
    events: list[Event] = field(default_factory=list)

    @property
    def deltas(self) -> list[str]:
        return [event.text for event in self.events if isinstance(event, TextDelta)]

    @property
    def text(self) -> str:
        return "".join(self.deltas)

    @property
    def calls(self) -> list[ToolCall]:
        return [event.call for event in self.events if isinstance(event, ToolCallMade)]

    @property
    def made(self) -> list[tuple[str, str]]:
        return [(call.name, call.arguments) for call in self.calls]

    @property
    def usage(self) -> list[Usage]:
        return [event for event in self.events if isinstance(event, Usage)]

    @property
    def finished(self) -> Finished:
        last = self.events[-1]
        assert isinstance(last, Finished)
        assert sum(isinstance(event, Finished) for event in self.events) == 1
        return last


def asked(*messages: Message, **fields: Any) -> ChatRequest:
    return ChatRequest("scripted:1b", messages or (Message("user", "Tell me."),), **fields)


async def answered(model: ScriptedModel, request: ChatRequest, *, streamed: bool = False) -> Answer:
    answer = Answer()
    await read(model, request, answer, streamed=streamed)
    return answer


async def read(model: ScriptedModel, request: ChatRequest, into: Answer, *, streamed: bool = False) -> None:
    """As `answered`, keeping what came before an error."""
    async for event in enforced(model, request, streamed=streamed):
        into.events.append(event)
