"""Asking the built-in model in tests: requests put together as agents do it, and what came back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from backend.llm.builtin import MODEL, BuiltinModel
from backend.llm.port import ChatRequest
from backend.models.messages import Event, Message, TextDelta, ToolCall, ToolCallMade
from backend.models.tools import ToolResult, ToolSpec
from tests.fakes.toy_specs import (
    WordEmbedder,
)


def user(text: str) -> Message:
    return Message("user", text)


def said(text: str) -> Message:
    return Message("assistant", text)


class Run:
    """The messages of one run, as an agent puts them together."""

    def __init__(self, *messages: Message) -> None:
        self.messages = list(messages)
        self.count = 0

    def add(self, name: str, arguments: dict[str, Any], result: ToolResult, markers: Sequence[int] = ()) -> Run:
        self.count += 1
        call = ToolCall(f"s{self.count}", name, orjson.dumps(arguments).decode())
        numbered = tuple(markers) or tuple(range(1, len(result.sources) + 1))
        self.messages += [
            Message("assistant", tool_calls=(call,)),
            Message("tool", result.text, tool_call_id=call.id, name=name, result=result, markers=numbered),
        ]
        return self


async def events(*messages: Message, embedder: WordEmbedder | None = None, **options: Any) -> list[Event]:
    model = BuiltinModel(embedder or WordEmbedder())
    return [event async for event in model.stream(ChatRequest(MODEL, messages, **options))]


async def text_of(*messages: Message, **options: Any) -> str:
    return "".join(event.text for event in await events(*messages, **options) if isinstance(event, TextDelta))


async def calls_of(*messages: Message, **options: Any) -> list[tuple[str, dict[str, Any]]]:
    made = [event.call for event in await events(*messages, **options) if isinstance(event, ToolCallMade)]
    return [(call.name, orjson.loads(call.arguments)) for call in made]


DICE = ToolSpec(
    "dice_roll",
    "Rolls dice for a game and gives the numbers thrown.",
    {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
)
TICKET = ToolSpec(
    "ticket",
    "Opens a ticket.",
    {
        "type": "object",
        "properties": {"level": {"type": "string", "enum": ["low", "high"]}, "count": {"type": "integer"}},
        "required": ["level", "count"],
    },
)
