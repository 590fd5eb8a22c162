"""Messages, tool calls and the events that every task yields: the one vocabulary of the pipe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from backend.models.tools import Citation, FileLink, Support, ToolResult

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter"]
StepStatus = Literal["planned", "running", "completed", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Image:
    """A decoded picture of a user message. `media_type` is e.g. `image/png`; `data` the raw bytes."""

    media_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model's request to run a tool.

    `arguments` is JSON text exactly as the model produced it: it may be malformed, so whoever runs the
    call parses and validates it. `id` is unique within its conversation.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `developer` messages have already become `system`.

    `tool_calls` only on assistant turns; `tool_call_id` and `name` (the tool's) only on tool turns.
    `result` is the structured form of a tool turn that this server produced itself, `markers[i]` the number under
    which `result.sources[i]` is cited in `content`; neither travels over a wire, and providers that speak to a
    real model ignore them.
    """

    role: Role
    content: str = ""
    images: tuple[Image, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    reasoning: str = ""
    result: ToolResult | None = None
    markers: tuple[int, ...] = ()
    attached: str = ""
    """Text of files sent with a user turn, fenced. The model reads it in front of `content`; routing, titles and what
    counts as the user's own words leave it out."""


@dataclass(frozen=True, slots=True)
class Route:
    """The router's decision. `confidence` in [0, 1]; `seconds` is what deciding cost (wall time)."""

    task: Literal["chat", "agentic"]
    agent: str
    """`chat`, or the name of an agent such as `react` or `plan_execute`."""
    reason: str
    confidence: float
    seconds: float = 0.0


# ---- events -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RouteChosen:
    """First event of a run whose way was chosen by the router or fixed by the request."""

    route: Route


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer. Never empty; pieces joined are the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A piece of the model's thinking, or the plan in words; never part of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token of the answer with the natural logarithm of its probability. `bytes` are its UTF-8 bytes, None when
    the provider does not tell; `top` the likeliest tokens at its place, best first, when they were asked for."""

    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None
    top: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """The tokens of the text that comes next, where the request asked for them; each token of the answer once."""

    tokens: tuple[TokenLogprob, ...]


@dataclass(frozen=True, slots=True)
class ToolCallMade:
    """The model asks for a tool. From a provider: any tool offered. From a task: only a caller's own tool."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class StepPlanned:
    """A step of a plan was decided. `id` is the plan's own id for it; `index` counts steps of the run from 0."""

    id: str
    index: int
    name: str
    """The tool the step will use."""
    arguments: Mapping[str, Any]
    depends_on: tuple[str, ...] = ()
    purpose: str = ""


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A tool begins to run. `id` joins it to its ToolFinished (and to its StepPlanned, if any)."""

    id: str
    index: int
    name: str
    arguments: Mapping[str, Any]
    started_at: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A tool ended, well or badly. `output` is what the model sees (already cut to the budget)."""

    id: str
    index: int
    name: str
    arguments: Mapping[str, Any]
    status: StepStatus
    output: str
    started_at: float
    seconds: float
    error: str | None = None
    data: Any = None
    files: tuple[FileLink, ...] = ()


@dataclass(frozen=True, slots=True)
class Sources:
    """The citations of the finished answer, once, just before Finished. Indices count characters of the answer."""

    citations: tuple[Citation, ...]
    support: Support = field(default_factory=Support)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one model call. `estimated` when the provider gave no counters (they are then a guess, not 0)."""

    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int = 0
    step: str = "answer"
    """What the call was for: `answer`, `plan`, `verify`, `step-3`, `route`."""
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class ModelCalled:
    """A call of the model has ended, with all that was put to it: for the trace alone, no client sees it live.

    `finish` is the reason the provider gave, None when the call was broken off; `error` then says why. Times in
    seconds, `started_at` since the epoch; `first_token_s` from the start to the first event, None if none came.
    """

    step: str
    messages: tuple[Message, ...]
    tools: tuple[str, ...]
    """Names of the tools that were offered."""
    text: str
    reasoning: str
    calls: tuple[ToolCall, ...]
    started_at: float
    seconds: float
    first_token_s: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish: str | None = None
    error: str | None = None
    format: str | None = None
    """Name of the JSON schema that was asked for, if any."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Ends every stream, exactly once. `detail` says why in words when a budget or limit ended the run.

    `checkpoint` is set when an agent stops for results of the caller's own tools (reason `tool_calls`): a JSON
    object from which a later run goes on, see RunContext.checkpoint. It never leaves the server.
    """

    reason: FinishReason
    detail: str | None = None
    model: str | None = None
    """The model that answered, when it differs from the one asked for."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class OfChoice:
    """An event of one of several answers that are written side by side; each ends with a Finished of its own."""

    index: int
    event: Event


Event = (
    RouteChosen
    | TextDelta
    | ReasoningDelta
    | TokenLogprobs
    | ToolCallMade
    | StepPlanned
    | ToolStarted
    | ToolFinished
    | Sources
    | Usage
    | ModelCalled
    | Finished
    | OfChoice
)
