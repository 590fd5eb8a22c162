"""What a trace keeps of each call of the model, within bounds, and no prompt twice."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from backend.models.messages import Message, ModelCalled, ToolCall

MAX_TRACE_CHARS = 1_000_000
"""Text of all calls of one trace together."""
MAX_MESSAGE_CHARS = 4_000
MAX_TEXT_CHARS = 12_000
MAX_ARGUMENT_CHARS = 4_000


def cut(text: str, limit: int) -> str:
    """The text, or its beginning with a note of how long it was."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… [cut: {len(text):,} characters in all]"


def cut_value(value: Any, limit: int) -> Any:
    """A value as JSON gives it back, or the beginning of its text when that is longer than `limit` bytes."""
    try:
        encoded = orjson.dumps(value)
        if len(encoded) <= limit:
            return orjson.loads(encoded)
    except TypeError:
        encoded = json.dumps(value, default=str).encode("ascii")
        if len(encoded) <= limit:
            return json.loads(encoded)
    return {"cut": cut(encoded.decode("utf-8", "ignore"), limit)}


@dataclass(slots=True)
class CallLog:
    """The calls of one run. A prompt that begins with the whole prompt of an earlier call keeps only what is new."""

    calls: list[dict[str, Any]] = field(default_factory=list)
    _prompts: list[tuple[int, tuple[Message, ...]]] = field(default_factory=list)
    _room: int = MAX_TRACE_CHARS

    def resume(self, calls: list[dict[str, Any]]) -> None:
        """Go on after the calls of the run's earlier part."""
        self.calls = calls
        self._room -= len(orjson.dumps(calls, default=str))

    def note(self, called: ModelCalled) -> dict[str, Any]:
        """Take in one call; what is kept of it."""
        index = len(self.calls)
        prefix, known = self._prefix(called.messages)
        self._prompts.append((index, called.messages))
        kept = {
            "index": index,
            "step": called.step,
            "started_at": called.started_at,
            "seconds": round(called.seconds, 4),
            "first_token_s": None if called.first_token_s is None else round(called.first_token_s, 4),
            "prompt_tokens": called.prompt_tokens,
            "completion_tokens": called.completion_tokens,
            "tools": list(called.tools),
            "format": called.format,
            "prefix_of_call": prefix,
            **self._messages(called.messages[known:]),
            "text": self._fit(called.text, MAX_TEXT_CHARS),
            "reasoning": self._fit(called.reasoning, MAX_TEXT_CHARS),
            "tool_calls": self._tool_calls(called.calls),
            "finish": called.finish,
            "error": called.error,
        }
        self.calls.append(kept)
        return kept

    def _prefix(self, messages: tuple[Message, ...]) -> tuple[int | None, int]:
        """The earlier call with the longest prompt that this one begins with, and how many messages that is."""
        best, length = None, 0
        for index, prompt in reversed(self._prompts):
            if length < len(prompt) <= len(messages) and messages[: len(prompt)] == prompt:
                best, length = index, len(prompt)
        return best, length

    def _messages(self, messages: Sequence[Message]) -> dict[str, Any]:
        kept: list[dict[str, Any]] = []
        for message in messages:
            if self._room <= 0:
                return {"messages": kept, "messages_left_out": len(messages) - len(kept)}
            kept.append(self._message(message))
        return {"messages": kept}

    def _message(self, message: Message) -> dict[str, Any]:
        out: dict[str, Any] = {"role": message.role, "content": self._fit(message.content, MAX_MESSAGE_CHARS)}
        if message.images:
            out["images"] = len(message.images)
        if message.tool_calls:
            out["tool_calls"] = self._tool_calls(message.tool_calls)
        for name in ("name", "tool_call_id"):
            if getattr(message, name):
                out[name] = getattr(message, name)
        return out

    def _tool_calls(self, calls: Sequence[ToolCall]) -> list[dict[str, Any]]:
        return [
            {"id": call.id, "name": call.name[:64], "arguments": self._fit(call.arguments, MAX_ARGUMENT_CHARS)}
            for call in calls
        ]

    def _fit(self, text: str, limit: int) -> str:
        kept = cut(text, min(limit, max(self._room, 0)))
        self._room -= len(kept)
        return kept
