"""From an answer to deltas: token budget, stop strings, the repetition guard, and the objects of both endpoints."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.doubles.ollama import wire
from tests.doubles.ollama.answer import Answer, ToolCall
from tests.doubles.ollama.faults import Faults
from tests.doubles.ollama.profile import Profile
from tests.doubles.ollama.tokens import BYTES_PER_TOKEN
from tests.doubles.ollama.validation import Call

REPEAT_LIMIT = 30
_TAG_OPEN, _TAG_CLOSE = "<think>", "</think>\n\n"


@dataclass(slots=True)
class Delta:
    """One chunk's worth: `kind` is "thinking", "content" or "calls"."""

    kind: str
    text: str = ""
    calls: list[ToolCall] = field(default_factory=list)


@dataclass(slots=True)
class Outcome:
    """Filled while the deltas are produced. `ended` False means the server just stopped: no final chunk."""

    done_reason: str | None = "stop"
    bytes_made: int = 0
    ended: bool = True

    @property
    def tokens(self) -> int:
        return -(-self.bytes_made // BYTES_PER_TOKEN)


def budget(call: Call, num_ctx: int, prompt_tokens: int) -> int:
    """Tokens that may be generated."""
    predict = int(call.options.get("num_predict") or -1)
    allowed = min(predict, 10 * num_ctx) if predict > 0 else 10 * num_ctx
    return allowed if call.shift else max(1, min(allowed, num_ctx - prompt_tokens))


def place_thinking(answer: Answer, call: Call) -> Answer:
    """Put the reasoning where this request gets it: its own field, inline tags, or nowhere."""
    if call.think == "field" or not answer.thinking:
        return answer
    inline = [_TAG_OPEN, *answer.thinking, _TAG_CLOSE] if call.think == "inline" else []
    return dataclasses.replace(answer, thinking=[], content=inline + answer.content)


def stop_at(answer: Answer, stops: list[str]) -> Answer:
    """Cut the content before the first stop string; nothing after it is generated."""
    text = answer.text
    found = [position for position in (text.find(stop) for stop in stops if stop) if position >= 0]
    if not found:
        return answer
    left, kept = min(found), []
    for piece in answer.content:
        if left <= 0:
            break
        kept.append(piece[:left])
        left -= len(piece)
    return dataclasses.replace(answer, content=kept, tool_calls=[], after=[], done_reason="stop")


def deltas(answer: Answer, call: Call, profile: Profile, allowed: int, outcome: Outcome) -> Iterator[Delta]:
    """The chunks in order, within the budget; `outcome` is complete when the iterator is."""
    outcome.done_reason = answer.done_reason
    limit = float("inf") if answer.forever else allowed * BYTES_PER_TOKEN
    guarded = not call.record.is_native(profile)
    previous, repeats = "", 0
    for delta in _unbounded(answer, call, profile):
        size = _size(delta)
        if outcome.bytes_made + size > limit:
            text = wire.clipped(delta.text, int(limit) - outcome.bytes_made)
            outcome.bytes_made = int(limit)
            outcome.done_reason = "length"
            if text:
                yield Delta(delta.kind, text)
            return
        outcome.bytes_made += size
        repeats = repeats + 1 if delta.text and delta.text == previous else 0
        previous = delta.text
        if guarded and repeats > REPEAT_LIMIT and not answer.forever:
            outcome.ended = False
            return
        yield delta


def _size(delta: Delta) -> int:
    if delta.calls:
        return sum(len(wire.dumps({"name": call.name, "arguments": call.arguments})) for call in delta.calls)
    return len(delta.text.encode("utf-8", "surrogatepass"))


def _unbounded(answer: Answer, call: Call, profile: Profile) -> Iterator[Delta]:
    for piece in answer.thinking:
        yield Delta("thinking", piece)
    if answer.endless is not None:
        for piece in answer.endless:
            yield Delta("content", piece)
    # Before 0.8 a request with tools was answered in one late block.
    whole = bool(call.tools) and not profile.streams_with_tools
    for piece in [answer.text] if whole and answer.content else answer.content:
        yield Delta("content", piece)
    groups = [[tool_call] for tool_call in answer.tool_calls] if answer.spread_calls else [answer.tool_calls]
    for group in groups:
        if group:
            yield Delta("calls", calls=group)
    for piece in answer.after:
        yield Delta("content", piece)


class ToolCallWriter:
    """Tool calls in the shape of a version: ids since 0.12.10, `index` since 0.12.6."""

    def __init__(self, profile: Profile, new_id: Any) -> None:
        self._profile = profile
        self._new_id = new_id
        self._next_index = 0

    def write(self, call: ToolCall) -> dict[str, Any]:
        function: dict[str, Any] = {"name": call.name, "arguments": call.arguments}
        if self._profile.has_tool_index:
            index = self._next_index if call.index is None else call.index
            function = {"index": index, **function}
        self._next_index += 1
        call_id = self._new_id() if call.id is None else call.id
        if self._profile.has_tool_ids and call_id:
            return {"id": call_id, "function": function}
        return {"function": function}


class Shape:
    """Builds the objects of /api/chat or /api/generate."""

    def __init__(self, call: Call, faults: Faults, calls: ToolCallWriter, *, generate: bool, extra: Any) -> None:
        self._call = call
        self._faults = faults
        self._calls = calls
        self._generate = generate
        self._extra = extra
        self._model = wire.dumps(call.model)

    def line(self, delta: Delta) -> dict[str, Any] | bytes:
        """One streamed object, as a ready line where it is nothing but text: most chunks of a long answer."""
        if delta.kind == "content" and not (self._faults or self._extra or self._call.logprobs):
            body = b'"response":%b' if self._generate else b'"message":{"role":"assistant","content":%b}'
            text = body % wire.dumps(delta.text)
            return b'{"model":%b,"created_at":"%b",%b,"done":false}\n' % (self._model, wire.utc_now().encode(), text)
        return self.partial(delta)

    def partial(self, delta: Delta) -> dict[str, Any]:
        value = self._base() | self._body(
            delta.text if delta.kind == "content" else "",
            delta.text if delta.kind == "thinking" else "",
            [self._calls.write(call) for call in delta.calls],
        )
        value["done"] = False
        if self._call.logprobs and delta.text:
            value["logprobs"] = [self._logprob(delta.text)]
        return self._with_field_faults(value)

    def _logprob(self, token: str) -> dict[str, Any]:
        data = list(token.encode("utf-8", "replace"))
        entry: dict[str, Any] = {"token": token, "logprob": -0.1, "bytes": data}
        if self._call.top_logprobs:
            others = [{"token": f"{token}{n}", "logprob": -0.1 - n} for n in range(self._call.top_logprobs)]
            entry["top_logprobs"] = others
        return entry

    def _base(self) -> dict[str, Any]:
        return {"model": self._call.model, "created_at": wire.utc_now()}

    def _body(self, content: str, thinking: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
        if self._generate:
            return {"response": content} | ({"thinking": thinking} if thinking else {})
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if thinking:
            message["thinking"] = thinking
        if calls:
            message["tool_calls"] = calls
        if "null_fields" in self._faults:
            message = {"content": None, "thinking": None, "tool_calls": None, **{k: v for k, v in message.items() if v}}
        return {"message": message}

    def final(self, outcome: Outcome, counters: dict[str, int], held: list[Delta] | None = None) -> dict[str, Any]:
        """The last object; `held` deltas travel in it."""
        held = held or []
        value = self._joined(held)
        if self._call.logprobs and held:
            value["logprobs"] = [self._logprob(delta.text) for delta in held if delta.text]
        value["done"] = True
        if outcome.done_reason:
            value["done_reason"] = outcome.done_reason
        if "counters_absent" not in self._faults:
            value |= {name: number for name, number in counters.items() if number}
        if self._generate and not self._call.raw:
            value["context"] = list(range(1, 17))
        return self._with_field_faults(value)

    def _with_field_faults(self, value: dict[str, Any]) -> dict[str, Any]:
        if self._extra:
            value |= self._extra
        if not self._faults:
            return value
        reason = self._faults.get("done_reason")
        if reason is not None and value["done"]:
            value.pop("done_reason", None)
            if reason.get("reason") is not None:
                value["done_reason"] = reason["reason"]
        if "null_fields" in self._faults:
            names = ("done_reason", "prompt_eval_count", "eval_count") if value["done"] else ("done_reason",)
            value |= dict.fromkeys(names)
        if "extra_fields" in self._faults:
            value |= {"x_new_field": {"nested": [1, 2]}, "x_flag": True}
        return value

    def unfinished(self, made: list[Delta]) -> dict[str, Any]:
        """The non-streamed twin of a stream without an end: `done` false and no counters."""
        return self._joined(made) | {"done": False}

    def _joined(self, made: list[Delta]) -> dict[str, Any]:
        return self._base() | self._body(
            "".join(delta.text for delta in made if delta.kind == "content"),
            "".join(delta.text for delta in made if delta.kind == "thinking"),
            [self._calls.write(call) for delta in made for call in delta.calls],
        )


class Clock:
    """Counters of one generation, durations in nanoseconds."""

    def __init__(self, load_seconds: float) -> None:
        self._began = time.monotonic() - load_seconds
        self._load_seconds = load_seconds
        self._prompt_done = self._began
        self.prompt_tokens = 0

    def prompt_digested(self) -> None:
        self._prompt_done = time.monotonic()

    def counters(self, outcome: Outcome, overrides: dict[str, int]) -> dict[str, int]:
        now = time.monotonic()
        return {
            "total_duration": wire.nanoseconds(now - self._began),
            "load_duration": wire.nanoseconds(self._load_seconds),
            "prompt_eval_count": self.prompt_tokens,
            "prompt_eval_duration": wire.nanoseconds(self._prompt_done - self._began - self._load_seconds),
            "eval_count": outcome.tokens,
            "eval_duration": wire.nanoseconds(now - self._prompt_done),
        } | overrides
