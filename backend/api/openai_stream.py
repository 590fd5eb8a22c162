"""Events to `chat.completion.chunk` bytes, and to the body of an answer that is not streamed."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

import orjson

from backend.models.messages import (
    Event,
    Finished,
    ReasoningDelta,
    RouteChosen,
    StepPlanned,
    TextDelta,
    ToolCallMade,
    ToolFinished,
    ToolStarted,
)
from backend.models.run import RunContext
from backend.tasks.summary import RunSummary, preview

DONE = b"data: [DONE]\n\n"
_dumps = orjson.dumps


class ChatChunks:
    """Encodes one streamed answer. Every frame is a complete chunk with one choice.

    A text delta costs one template: everything around the text is fixed bytes, made once.
    """

    def __init__(self, context: RunContext, model: str, *, include_usage: bool) -> None:
        self.context = context
        self.summary = RunSummary()
        self.include_usage = include_usage
        self._calls = 0
        head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }
        self._head = b"data: " + _dumps(head)[:-1]
        usage = b',"usage":null' if include_usage else b""
        self._before = self._head + b',"choices":[{"index":0,"delta":{"content":'
        self._after = b'},"logprobs":null,"finish_reason":null}]' + usage + b"}\n\n"
        self._usage_null = usage

    def opening(self) -> bytes:
        """The role chunk, sent before anything else."""
        return self._chunk({"role": "assistant", "content": ""})

    def encode(self, event: Event) -> bytes:
        """The frames of one event; empty when a client has no use for it."""
        if type(event) is TextDelta:
            return self._before + _dumps(event.text) + self._after
        if type(event) is ReasoningDelta:
            return self._chunk({"reasoning_content": event.text, "reasoning": event.text})
        self.summary.note(event)
        if type(event) is ToolCallMade:
            return self._tool_call(event)
        if type(event) is Finished:
            return self._closing(event)
        live = live_event(event)
        if live is None:
            return b""
        return self._chunk({"content": ""}, extra=b',"hearth_event":' + _dumps(live))

    def failed(self, error: dict[str, Any]) -> bytes:
        """An error frame, as both SDKs raise it; the stream is over then."""
        return b"data: " + _dumps(error) + b"\n\n" + DONE

    def _tool_call(self, event: ToolCallMade) -> bytes:
        call, index = event.call, self._calls
        self._calls += 1
        function = {"name": call.name, "arguments": ""}
        first = {"index": index, "id": call.id, "type": "function", "function": function}
        rest = {"index": index, "function": {"arguments": call.arguments}}
        return self._chunk({"tool_calls": [first]}) + self._chunk({"tool_calls": [rest]})

    def _closing(self, event: Finished) -> bytes:
        delta: dict[str, Any] = {}
        if self.summary.citations:
            delta["annotations"] = self.summary.annotations(self.context.base_url)
        delta["hearth"] = self.summary.as_hearth(self.context, self.context.base_url)
        ids = {"session_id": self.context.session_id, "run_id": self.context.run_id}
        frames = self._chunk(delta, finish=event.reason, extra=b"," + _dumps(ids)[1:-1])
        if self.include_usage:
            frames += self._head + b',"choices":[],"usage":' + _dumps(self.summary.tokens()) + b"}\n\n"
        return frames + DONE

    def _chunk(self, delta: dict[str, Any], finish: str | None = None, extra: bytes = b"") -> bytes:
        return (
            self._head
            + b',"choices":[{"index":0,"delta":'
            + _dumps(delta)
            + b',"logprobs":null,"finish_reason":'
            + _dumps(finish)
            + b"}]"
            + self._usage_null
            + extra
            + b"}\n\n"
        )


def live_event(event: Event) -> dict[str, Any] | None:
    """What the page and other watchers see of a step as it happens; None for what they need not see."""
    match event:
        case RouteChosen(route) if route.task == "agentic":
            return {
                "type": "route",
                "task": route.task,
                "agent": route.agent,
                "reason": route.reason,
                "confidence": route.confidence,
                "seconds": round(route.seconds, 6),
            }
        case StepPlanned():
            return {
                "type": "step_planned",
                "id": event.id,
                "index": event.index,
                "name": event.name,
                "arguments": dict(event.arguments),
                "depends_on": list(event.depends_on),
                "purpose": event.purpose,
            }
        case ToolStarted():
            return {
                "type": "tool_started",
                "id": event.id,
                "index": event.index,
                "name": event.name,
                "arguments": dict(event.arguments),
                "started_at": event.started_at,
            }
        case ToolFinished():
            return {
                "type": "tool_finished",
                "id": event.id,
                "index": event.index,
                "name": event.name,
                "arguments": dict(event.arguments),
                "status": event.status,
                "output_preview": preview(event.output),
                "duration_ms": round(event.seconds * 1000, 1),
                "error": event.error,
                "files": [asdict(each) for each in event.files],
            }
        case _:
            return None


async def chat_completion(events: AsyncGenerator[Event, None], context: RunContext, model: str) -> dict[str, Any]:
    """The body of an answer that is not streamed."""
    summary = RunSummary()
    text: list[str] = []
    reasoning: list[str] = []
    async with aclosing(events):
        async for event in events:
            if type(event) is TextDelta:
                text.append(event.text)
            elif type(event) is ReasoningDelta:
                reasoning.append(event.text)
            else:
                summary.note(event)
    content = "".join(text)
    message: dict[str, Any] = {
        "role": "assistant",
        "content": content if content or not summary.calls else None,
        "refusal": None,
    }
    if reasoning:
        message["reasoning_content"] = message["reasoning"] = "".join(reasoning)
    if summary.calls:
        message["tool_calls"] = [
            {
                "id": made.call.id,
                "type": "function",
                "function": {"name": made.call.name, "arguments": made.call.arguments},
            }
            for made in summary.calls
        ]
    message["annotations"] = summary.annotations(context.base_url)
    message["hearth"] = summary.as_hearth(context, context.base_url)
    reason = summary.finished.reason if summary.finished else "stop"
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
        "usage": summary.tokens(),
        "session_id": context.session_id,
        "run_id": context.run_id,
    }
