"""What the built-in model reads out of a request: the query, the turns before it, and the results so far."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from backend.models.messages import Message, ToolCall
from backend.models.tools import ToolResult

_ADDED_BY_AGENT = re.compile(
    r"\n\n(?:Still missing, after the steps already taken:|Results of the tools:|"
    r"Fill in the input of the step that serves:"
    r"|Steps that failed:|\(The results do not cover:)",
)
_EXPRESSION = re.compile(r"(?!.*\b(?:or|and)\b)[-−]?[\w.^*/()+ -]{1,120}")
_OVER = re.compile(r" \(over [\d,]+ values\)")
_NUMBER = re.compile(r"[-−]?\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class Result:
    """One tool turn. `arguments` are empty when the call is not in the history; `result` is None off the wire."""

    name: str
    arguments: Mapping[str, Any]
    content: str
    result: ToolResult | None
    markers: tuple[int, ...] = ()
    call_id: str = ""

    @property
    def error(self) -> str | None:
        return self.result.error if self.result else None

    @property
    def value(self) -> str | None:
        """The single value of the result as text, fit to be put into a later query; None when there is no such."""
        if self.result is None:
            return single_value(self.content)
        if self.result.error is not None or self.result.sources:
            return None
        return single_value(self.result.data) or single_value(self.result.text)


@dataclass(frozen=True, slots=True)
class Turn:
    """`earlier` holds the user's previous queries, newest first; `last_answer` the assistant's previous text."""

    query: str
    earlier: tuple[str, ...] = ()
    last_answer: str = ""
    results: tuple[Result, ...] = ()
    calls_made: int = field(default=0)


def read_turn(messages: Sequence[Message]) -> Turn:
    """The turn to be answered.

    Normally it begins at the last user message. A user message that directly follows a tool result of this server
    is a word of the agent within the same turn, not a new query.
    """
    users = [i for i, message in enumerate(messages) if message.role == "user"]
    if not users:
        return Turn("")
    last = len(users) - 1
    while last > 0 and _within_run(messages, users[last]):
        last -= 1
    start = users[last]
    asked = _ADDED_BY_AGENT.split(messages[start].content, maxsplit=1)[0].strip()
    calls = {call.id: call for message in messages[start:] for call in message.tool_calls}
    results = [_result(message, calls) for message in messages[start + 1 :] if message.role == "tool"]
    if any(each.result is not None for each in results):
        results = [each for each in results if each.result is not None]
    answers = [m.content for m in messages[:start] if m.role == "assistant" and m.content.strip()]
    earlier = tuple(messages[i].content for i in reversed(users[:last]))
    made = sum(len(message.tool_calls) for message in messages)
    return Turn(asked, earlier, answers[-1] if answers else "", tuple(results), made)


def _within_run(messages: Sequence[Message], index: int) -> bool:
    before = index - 1
    while before >= 0 and messages[before].role == "system":
        before -= 1
    return before >= 0 and messages[before].role == "tool" and messages[before].result is not None


def _result(message: Message, calls: Mapping[str, ToolCall]) -> Result:
    call = calls.get(message.tool_call_id or "")
    name = message.name or (call.name if call else "")
    arguments = _object(call.arguments) if call else {}
    return Result(name, arguments, message.content, message.result, message.markers, message.tool_call_id or "")


def _object(text: str) -> Mapping[str, Any]:
    try:
        value = orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def single_value(found: Any) -> str | None:
    """The one value in a tool's data or text: a number, or what follows `=`; None when there is not just one."""
    if isinstance(found, bool) or found is None:
        return None
    if isinstance(found, (int, float)):
        return f"{found:.15g}" if isinstance(found, float) else str(found)
    if isinstance(found, Mapping):
        named = next((found[key] for key in ("value", "exact", "numeric", "result", "answer") if key in found), None)
        if isinstance(named, str):
            return named.strip() if _EXPRESSION.fullmatch(named.strip()) else None
        return single_value(named)
    if not isinstance(found, str):
        return None
    text = _OVER.sub("", found.strip().split("\n")[0]).rstrip(". ")
    if len(text) > 400:
        return None
    if "→" in text or text.count("=") > 1:
        return None
    if "=" in text:
        value = text.split("=")[1].split("≈")[0].strip()
        return value if _EXPRESSION.fullmatch(value) else None
    numbers = _NUMBER.findall(text)
    return str(numbers[0]) if len(numbers) == 1 else None
