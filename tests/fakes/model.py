"""A model provider that says what a test wrote down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from backend.llm.port import ChatRequest, Model, ModelInfo, ResponseFormat, Sampling
from backend.models.errors import ModelNotFound
from backend.models.messages import (
    Event,
    Finished,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallMade,
    Usage,
)

TOOLS = frozenset({"completion", "tools", "structured"})
NO_TOOLS = frozenset({"completion", "structured"})


@dataclass(frozen=True)
class Pause:
    """A part of a turn during which nothing comes; `seconds` inf means for ever."""

    seconds: float


Part = Event | str | ToolCall | Exception | Pause | Mapping[str, Any]
Turn = Part | Sequence[Part] | Callable[[ChatRequest], "Turn"]


def call(name: str, call_id: str = "", /, **arguments: Any) -> ToolCall:
    """A tool call as a part of a turn. Without an id it gets one when it is played."""
    return ToolCall(call_id, name, orjson.dumps(arguments).decode())


def words(text: str) -> list[Event]:
    """A text as the deltas a model would stream: word by word."""
    pieces = text.split(" ")
    return [TextDelta(piece + (" " if i < len(pieces) - 1 else "")) for i, piece in enumerate(pieces) if piece or i]


def thinking(text: str) -> ReasoningDelta:
    return ReasoningDelta(text)


def plan(*steps: Mapping[str, Any]) -> Mapping[str, Any]:
    """A plan as a structured answer; ids, dependencies and purposes are filled in where left out."""
    return {
        "steps": [
            {"id": f"s{number}", "purpose": f"part {number}", "depends_on": [], **step}
            for number, step in enumerate(steps, 1)
        ]
    }


def verdict(passed: bool = True, *missing: str) -> Mapping[str, Any]:
    """A verification as a structured answer."""
    return {"passed": passed, "missing": list(missing)}


@dataclass
class ScriptedModel:
    """A ModelProvider that plays a queue of turns and remembers every ChatRequest.

    A turn is one part or a list of parts: text (streamed word by word), an event, a ToolCall, a mapping (streamed
    as JSON), a Pause, or an exception (raised when its turn comes). A function is called with the request and
    returns the turn. Usage and Finished are added when the turn has none. `repeat` is played when the queue is
    empty; without it, asking once more than the script foresees is an AssertionError.
    """

    turns: list[Turn] = field(default_factory=list)
    info: ModelInfo = field(default_factory=lambda: ModelInfo("scripted:1b", "scripted", TOOLS, 32_768))
    repeat: Turn | None = None
    name: str = "scripted"
    requests: list[ChatRequest] = field(default_factory=list)
    closed_early: int = 0
    """Streams that were closed or cancelled before their end."""
    events_sent: int = 0
    _ids: int = 0

    def __post_init__(self) -> None:
        self.turns = list(self.turns)

    async def list_models(self) -> list[ModelInfo]:
        return [self.info]

    async def describe(self, model: str) -> ModelInfo:
        if model != self.info.id:
            raise ModelNotFound(f"There is no model named {model}.")
        return self.info

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        self.requests.append(request)
        if self.turns:
            turn = self.turns.pop(0)
        elif self.repeat is not None:
            turn = self.repeat
        else:
            raise AssertionError(f"request {len(self.requests)} ({request.step}) is not in the script")
        ended = False
        try:
            for event in self._events(turn, request):
                if isinstance(event, Pause):
                    await _pause(event.seconds)
                    continue
                await asyncio.sleep(0)
                self.events_sent += 1
                ended = isinstance(event, Finished)
                yield event
        finally:
            if not ended:
                self.closed_early += 1

    async def aclose(self) -> None:
        return None

    def _events(self, turn: Turn, request: ChatRequest) -> Iterable[Event | Pause]:
        parts = _parts(turn, request)
        reason, finished, counted, said = "stop", False, False, 0
        for part in parts:
            match part:
                case Exception():
                    raise part
                case str():
                    said += len(part)
                    yield from words(part)
                case ToolCall():
                    reason = "tool_calls"
                    self._ids += 1
                    yield ToolCallMade(ToolCall(part.id or f"call_{self._ids}", part.name, part.arguments))
                case Mapping():
                    text = orjson.dumps(part).decode()
                    yield from (TextDelta(text[i : i + 12]) for i in range(0, len(text), 12))
                case Usage():
                    counted = True
                    yield part
                case Finished():
                    if not counted:
                        yield _usage(request, said)
                    finished = True
                    yield part
                case ToolCallMade():
                    reason = "tool_calls"
                    yield part
                case _:
                    yield part
        if finished:
            return
        if not counted:
            yield _usage(request, said)
        yield Finished(reason)  # type: ignore[arg-type]


def _parts(turn: Turn, request: ChatRequest) -> Sequence[Part]:
    if callable(turn):
        return _parts(turn(request), request)
    if isinstance(turn, Sequence) and not isinstance(turn, str):
        return turn
    return [turn]  # type: ignore[list-item]


def _usage(request: ChatRequest, said: int) -> Usage:
    return Usage(sum(len(m.content) for m in request.messages) // 4, max(1, said // 4), step=request.step)


async def _pause(seconds: float) -> None:
    if seconds == float("inf"):
        await asyncio.Event().wait()
    await asyncio.sleep(seconds)


def scripted(
    *turns: Turn,
    tools: bool = True,
    structured: bool = True,
    repeat: Turn | None = None,
    sampling: Sampling | None = None,
) -> Model:
    """A Model over a new ScriptedModel, which is its `provider`; `tools` and `structured` are what it is capable of."""
    capabilities = (TOOLS if tools else NO_TOOLS) - (frozenset() if structured else {"structured"})
    info = ModelInfo("scripted:1b", "scripted", capabilities, 32_768)
    return Model(ScriptedModel(list(turns), info, repeat), info, sampling or Sampling())


def script_of(model: Model) -> ScriptedModel:
    """The ScriptedModel behind a Model made by `scripted`."""
    assert isinstance(model.provider, ScriptedModel)
    return model.provider


def format_name(request: ChatRequest) -> str | None:
    """The name of the structured answer a request asks for, or None."""
    wanted: ResponseFormat | None = request.response_format
    return wanted.name if wanted is not None else None
