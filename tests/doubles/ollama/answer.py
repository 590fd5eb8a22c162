"""What the imaginary model will say, before it is cut into chunks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_WORD = re.compile(r"\s*\S+|\s+\Z")
_REPLY_KEYS = {
    "content",
    "chunks",
    "thinking",
    "tool_calls",
    "after",
    "done_reason",
    "delay_ms",
    "error",
    "status",
    "lines",
    "extra",
    "prompt_eval_count",
    "eval_count",
}


def words(text: str) -> list[str]:
    """Word-sized pieces, blanks in front, that join to exactly the text."""
    return _WORD.findall(text)


@dataclass(slots=True)
class ToolCall:
    """`id` and `index` None mean the server's own; `arguments` is an object unless a fault says otherwise."""

    name: str
    arguments: Any
    id: str | None = None
    index: int | None = None


@dataclass(slots=True)
class Answer:
    """Deltas in order: thinking, content, tool calls, `after` (text behind the calls).

    `endless` replaces the content by a text without end. `lines` are sent verbatim instead of everything.
    `counts` overrides the computed token counters.
    """

    content: list[str] = field(default_factory=list)
    thinking: list[str] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    done_reason: str | None = "stop"
    delay_s: float = 0.0
    error: str | None = None
    status: int = 500
    lines: list[str] | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    endless: Iterator[str] | None = None
    forever: bool = False
    spread_calls: bool = False
    made_by: str = "script"

    @property
    def text(self) -> str:
        return "".join(self.content)


def from_reply(reply: dict[str, Any] | str) -> Answer:
    """The `reply` of a script entry; raises ValueError for a key nobody would read."""
    if isinstance(reply, str):
        return Answer(content=words(reply))
    unknown = set(reply) - _REPLY_KEYS
    if unknown:
        raise ValueError(f"unknown reply keys: {sorted(unknown)}")
    return Answer(
        content=reply["chunks"] if "chunks" in reply else _pieces(reply.get("content")),
        thinking=_pieces(reply.get("thinking")),
        tool_calls=[_tool_call(call) for call in reply.get("tool_calls") or ()],
        after=_pieces(reply.get("after")),
        done_reason=reply.get("done_reason", "stop"),
        delay_s=reply.get("delay_ms", 0) / 1000,
        error=reply.get("error"),
        status=reply.get("status", 500),
        lines=reply.get("lines"),
        extra=reply.get("extra") or {},
        counts={key: reply[key] for key in ("prompt_eval_count", "eval_count") if key in reply},
    )


def _pieces(value: Any) -> list[str]:
    if value is None:
        return []
    return words(value) if isinstance(value, str) else list(value)


def _tool_call(call: dict[str, Any]) -> ToolCall:
    function = call.get("function", call)
    return ToolCall(function["name"], function.get("arguments", {}), call.get("id"), function.get("index"))
