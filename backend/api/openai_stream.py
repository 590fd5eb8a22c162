"""Events to `chat.completion.chunk` bytes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from backend import __version__
from backend.models.messages import (
    Event,
    Finished,
    OfChoice,
    ReasoningDelta,
    RouteChosen,
    StepPlanned,
    TextDelta,
    TokenLogprob,
    TokenLogprobs,
    ToolCallMade,
    ToolFinished,
    ToolStarted,
)
from backend.models.run import RunContext
from backend.tasks.summary import RunSummary, preview
from backend.utils.ids import timed_id

DONE = b"data: [DONE]\n\n"
ID_PREFIX = "chatcmpl-"
SERVICE_TIER = "default"
_dumps = orjson.dumps


@dataclass(frozen=True, slots=True)
class Head:
    """What the chunks of a completion, or its one body, have in common. `model` names the weights."""

    model: str
    moment: float = field(default_factory=time.time)
    """When it was begun, in seconds since the epoch."""
    id: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", self.id or timed_id(ID_PREFIX, self.moment))

    def fields(self, object_: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": object_,
            "created": int(self.moment),
            "model": self.model,
            "service_tier": SERVICE_TIER,
            "system_fingerprint": fingerprint(self.model),
        }


def fingerprint(model: str) -> str:
    """The same as long as neither the weights' name nor this server's version changes."""
    return f"fp_{hashlib.sha256(f'{model} {__version__}'.encode()).hexdigest()[:10]}"


class ChatChunks:
    """Encodes one streamed answer. Every frame is a complete chunk with one choice.

    A text delta costs one template: everything around the text is fixed bytes, made once. `older_calls`: the caller
    speaks of functions instead of tools.
    """

    def __init__(
        self,
        context: RunContext,
        model: str,
        *,
        include_usage: bool,
        head: Head | None = None,
        index: int = 0,
        older_calls: bool = False,
    ) -> None:
        self.context = context
        self.summary = RunSummary()
        self.include_usage = include_usage
        self._calls = 0
        self._older_calls = older_calls
        self._head = b"data: " + _dumps((head or Head(model)).fields("chat.completion.chunk"))[:-1]
        self._choice = self._head + b',"choices":[{"index":%d,"delta":' % index
        usage = b',"usage":null' if include_usage else b""
        self._before = self._choice + b'{"content":'
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
            return self.finish(event) + self.ending()
        live = live_event(event)
        if live is None:
            return b""
        return self._chunk({"content": ""}, extra=b',"hearth_event":' + _dumps(live))

    def failed(self, error: dict[str, Any]) -> bytes:
        """An error frame, as both SDKs raise it. The stream is over then, without the mark of a whole answer."""
        return b"data: " + _dumps(error) + b"\n\n"

    def finish(self, event: Finished) -> bytes:
        """The last chunk of the choice, with all that is told once."""
        delta: dict[str, Any] = {}
        if self.summary.citations:
            delta["annotations"] = self.summary.annotations(self.context.base_url)
        delta["hearth"] = self.summary.as_hearth(self.context, self.context.base_url)
        ids = {"session_id": self.context.session_id, "run_id": self.context.run_id}
        return self._chunk(delta, finish=finish_reason(event, self._older_calls), extra=b"," + _dumps(ids)[1:-1])

    def ending(self, others: Sequence[RunSummary] = ()) -> bytes:
        """What follows the last choice. `others`: of the other choices."""
        if not self.include_usage:
            return DONE
        return self._head + b',"choices":[],"usage":' + _dumps(self.summary.usage_json(*others)) + b"}\n\n" + DONE

    def _tool_call(self, event: ToolCallMade) -> bytes:
        call, index = event.call, self._calls
        self._calls += 1
        function = {"name": call.name, "arguments": ""}
        if self._older_calls:
            first = self._chunk({"function_call": function})
            return first + self._chunk({"function_call": {"arguments": call.arguments}})
        begun = {"index": index, "id": call.id, "type": "function", "function": function}
        rest = {"index": index, "function": {"arguments": call.arguments}}
        return self._chunk({"tool_calls": [begun]}) + self._chunk({"tool_calls": [rest]})

    def _chunk(
        self, delta: dict[str, Any], finish: str | None = None, extra: bytes = b"", logprobs: bytes = b"null"
    ) -> bytes:
        return (
            self._choice
            + _dumps(delta)
            + b',"logprobs":'
            + logprobs
            + b',"finish_reason":'
            + _dumps(finish)
            + b"}]"
            + self._usage_null
            + extra
            + b"}\n\n"
        )


class ScoredChunks(ChatChunks):
    """The same with the probabilities of the tokens beside their text."""

    _tokens: tuple[TokenLogprob, ...] = ()

    def encode(self, event: Event) -> bytes:
        if type(event) is TokenLogprobs:
            self._tokens = (*self._tokens, *event.tokens)
            return b""
        if type(event) is TextDelta and self._tokens:
            scores, self._tokens = logprobs_json(self._tokens), ()
            return self._chunk({"content": event.text}, logprobs=_dumps(scores))
        return super().encode(event)


class SeveralChunks:
    """Encodes several answers that come interleaved, as OfChoice, out of encoders of one choice each."""

    def __init__(self, choices: Sequence[ChatChunks]) -> None:
        self._choices = choices
        self._unfinished = len(choices)

    def opening(self) -> bytes:
        return b"".join(choice.opening() for choice in self._choices)

    def encode(self, event: Event) -> bytes:
        if not isinstance(event, OfChoice):
            return b""
        choice, inner = self._choices[event.index], event.event
        if not isinstance(inner, Finished):
            return choice.encode(inner)
        choice.summary.note(inner)
        self._unfinished -= 1
        frames = choice.finish(inner)
        if self._unfinished:
            return frames
        first, *others = self._choices
        return frames + first.ending([each.summary for each in others])

    def failed(self, error: dict[str, Any]) -> bytes:
        return self._choices[0].failed(error)


def finish_reason(event: Finished | None, older_calls: bool) -> str:
    """In OpenAI's words; calls of functions end differently from calls of tools."""
    reason = event.reason if event is not None else "stop"
    return "function_call" if older_calls and reason == "tool_calls" else reason


def logprobs_json(tokens: Sequence[TokenLogprob]) -> dict[str, Any]:
    """The `logprobs` object of a choice."""
    content = [{**_token_json(token), "top_logprobs": [_token_json(other) for other in token.top]} for token in tokens]
    return {"content": content, "refusal": None}


def _token_json(token: TokenLogprob) -> dict[str, Any]:
    data = None if token.bytes is None else list(token.bytes)
    return {"token": token.token, "logprob": token.logprob, "bytes": data}


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
