"""Events to the frames of Anthropic's message stream, and to the body of an answer that is not streamed."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from backend.api.anthropic_errors import anthropic_error
from backend.api.anthropic_tools import input_of, server_result, server_use, wire_id
from backend.api.openai_stream import live_event
from backend.models.messages import Event, Finished, ReasoningDelta, TextDelta, ToolCallMade, ToolFinished, ToolStarted
from backend.models.run import RunContext
from backend.tasks.summary import RunSummary

_dumps = orjson.dumps
Thinking = Literal["shown", "omitted", "none"]
"""Blocks of thinking in the answer: with their text, without it, or none at all."""
STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


@dataclass(frozen=True, slots=True)
class Shown:
    """What an answer shows. `input_tokens` is an estimate, for the frame that comes before anything is counted;
    `server_tools` are those of this server's tools whose work stands in the answer as blocks."""

    context: RunContext
    model: str
    input_tokens: int
    thinking: Thinking = "none"
    server_tools: frozenset[str] = frozenset()

    def message(self, content: list[dict[str, Any]], stop: str | None, usage: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "id": f"msg_{uuid.uuid4().hex}",
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": usage,
        }


class MessageEvents:
    """Encodes one streamed answer. Blocks follow one another, each with a start, its deltas and a stop.

    A text delta costs one template. What only Hearth has to tell travels in keys that clients pass over: `hearth`
    of the last frames, and `hearth_event` of pings.
    """

    def __init__(self, shown: Shown) -> None:
        self.shown = shown
        self.summary = RunSummary()
        self._index = -1
        self._open: Literal["", "text", "thinking"] = ""
        self._before = b""
        self._used: set[str] = set()

    def opening(self) -> bytes:
        """The message without content, sent before anything else."""
        usage = _usage(self.shown.input_tokens, 0)
        return _frame("message_start", message=self.shown.message([], None, usage)) + _frame("ping")

    def encode(self, event: Event) -> bytes:
        """The frames of one event; empty when a client has no use for it."""
        if type(event) is TextDelta:
            if self._open == "text":
                return self._before + _dumps(event.text) + b"}}\n\n"
            return self._begin("text", {"type": "text", "text": ""}) + self._delta("text_delta", text=event.text)
        if type(event) is ReasoningDelta:
            return self._thought(event.text)
        self.summary.note(event)
        if type(event) is ToolCallMade:
            call = event.call
            return self._call({"type": "tool_use", "id": wire_id(call.id), "name": call.name, "input": input_of(call)})
        if type(event) is Finished:
            return self._closing(event)
        frames = self._step(event)
        live = live_event(event)
        return frames if live is None else frames + _frame("ping", hearth_event=live)

    def failed(self, error: dict[str, Any]) -> bytes:
        """The error frame that the SDKs raise; the stream is over then."""
        return b"event: error\ndata: " + _dumps(anthropic_error(error, None, self.shown.context.request_id)) + b"\n\n"

    def _thought(self, text: str) -> bytes:
        if self.shown.thinking == "none":
            return b""
        frames = b""
        if self._open != "thinking":
            frames = self._begin("thinking", {"type": "thinking", "thinking": "", "signature": ""})
        return frames if self.shown.thinking == "omitted" else frames + self._delta("thinking_delta", thinking=text)

    def _call(self, block: dict[str, Any]) -> bytes:
        """A call in one go: its input is known as a whole before it is passed on."""
        frames = self._begin("", {**block, "input": {}})
        return frames + self._delta("input_json_delta", partial_json=_dumps(block["input"]).decode()) + self._stop()

    def _step(self, event: Event) -> bytes:
        """The blocks of a step by one of the server's tools that the request asked for."""
        if type(event) is ToolStarted and event.name in self.shown.server_tools:
            self._used.add(event.id)
            return self._call(server_use(event.id, event.name, event.arguments))
        if type(event) is ToolFinished and event.id in self._used:
            return self._begin("", server_result(event, _now())) + self._stop()
        return b""

    def _closing(self, event: Finished) -> bytes:
        context = self.shown.context
        delta = {"stop_reason": STOP_REASONS.get(event.reason, "end_turn"), "stop_sequence": None}
        usage = usage_of(self.summary, self.shown)
        hearth = self.summary.as_hearth(context, context.base_url)
        return self._end() + _frame("message_delta", delta=delta, usage=usage, hearth=hearth) + _frame("message_stop")

    def _begin(self, kind: Literal["", "text", "thinking"], block: dict[str, Any]) -> bytes:
        """Start the next block, after the end of the one that is open."""
        ended = self._end()
        self._index += 1
        self._open = kind
        self._before = (
            b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
            b'"delta":{"type":"text_delta","text":' % self._index
        )
        return ended + _frame("content_block_start", index=self._index, content_block=block)

    def _end(self) -> bytes:
        if not self._open:
            return b""
        signed = self._delta("signature_delta", signature="") if self._open == "thinking" else b""
        self._open = ""
        return signed + self._stop()

    def _delta(self, kind: str, **fields: str) -> bytes:
        return _frame("content_block_delta", index=self._index, delta={"type": kind, **fields})

    def _stop(self) -> bytes:
        return _frame("content_block_stop", index=self._index)


async def message_body(events: AsyncGenerator[Event, None], shown: Shown) -> dict[str, Any]:
    """The body of an answer that is not streamed."""
    summary = RunSummary()
    content: list[dict[str, Any]] = []
    pieces: dict[int, list[str]] = {}
    """The texts of the blocks that grow, by their place."""

    def grow(block: dict[str, Any], text: str) -> None:
        if not content or content[-1]["type"] != block["type"]:
            content.append(block)
            pieces[len(content) - 1] = []
        pieces[len(content) - 1].append(text)

    used: set[str] = set()
    async with aclosing(events):
        async for event in events:
            if type(event) is TextDelta:
                grow({"type": "text", "text": ""}, event.text)
                continue
            if type(event) is ReasoningDelta:
                if shown.thinking != "none":
                    text = event.text if shown.thinking == "shown" else ""
                    grow({"type": "thinking", "thinking": "", "signature": ""}, text)
                continue
            summary.note(event)
            if type(event) is ToolCallMade:
                call = event.call
                block = {"type": "tool_use", "id": wire_id(call.id), "name": call.name, "input": input_of(call)}
                content.append(block)
            elif type(event) is ToolStarted and event.name in shown.server_tools:
                used.add(event.id)
                content.append(server_use(event.id, event.name, event.arguments))
            elif type(event) is ToolFinished and event.id in used:
                content.append(server_result(event, _now()))
    for place, texts in pieces.items():
        content[place][content[place]["type"]] = "".join(texts)
    reason = summary.finished.reason if summary.finished is not None else "stop"
    body = shown.message(content, STOP_REASONS.get(reason, "end_turn"), usage_of(summary, shown))
    return body | {"hearth": summary.as_hearth(shown.context, shown.context.base_url)}


def usage_of(summary: RunSummary, shown: Shown) -> dict[str, Any]:
    """Anthropic's usage object, summed over every model call of the run."""
    usage = _usage(
        sum(each.prompt_tokens for each in summary.usage), sum(each.completion_tokens for each in summary.usage)
    )
    thinking = sum(each.reasoning_tokens for each in summary.usage)
    if thinking:
        usage["output_tokens_details"] = {"thinking_tokens": thinking}
    if shown.server_tools:
        names = [step["name"] for step in summary.steps.values()]
        counted = {"web_search_requests": "web_search", "web_fetch_requests": "fetch_url"}
        usage["server_tool_use"] = {key: names.count(name) for key, name in counted.items()}
    return usage


def _usage(input_tokens: int, output_tokens: int) -> dict[str, Any]:
    return {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }


def _frame(event: str, **fields: Any) -> bytes:
    return b"event: %b\ndata: " % event.encode() + _dumps({"type": event, **fields}) + b"\n\n"


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
