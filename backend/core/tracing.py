"""Noting every call of the model for the trace, without an agent having to know of it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from backend.llm.port import ChatRequest, ModelInfo, ModelProvider
from backend.models.errors import HearthError
from backend.models.messages import (
    Event,
    Finished,
    ModelCalled,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallMade,
    Usage,
)


@dataclass(slots=True)
class TracedProvider:
    """A ModelProvider that passes everything on and keeps what each call was and gave.

    One instance serves one run. `take` hands over the calls that have ended since it was last asked.
    """

    inner: ModelProvider
    name: str = field(init=False)
    _ended: list[ModelCalled] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.name = self.inner.name

    def take(self) -> list[ModelCalled]:
        ended, self._ended = self._ended, []
        return ended

    @property
    def waiting(self) -> bool:
        """Whether `take` would hand something over."""
        return bool(self._ended)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """See ModelProvider.stream."""
        note = _Note()
        error: str | None = None
        try:
            async with aclosing(self.inner.stream(request)) as events:
                async for event in events:
                    note.take(event)
                    yield event
        except HearthError as problem:
            error = problem.message
            raise
        finally:
            self._ended.append(note.ended(request, error))

    async def list_models(self) -> list[ModelInfo]:
        return await self.inner.list_models()

    async def describe(self, model: str) -> ModelInfo:
        return await self.inner.describe(model)

    async def aclose(self) -> None:
        """Nothing: the provider belongs to the server, not to the run."""


@dataclass(slots=True)
class _Note:
    """What one call has given so far."""

    started_at: float = field(default_factory=time.time)
    clock: float = field(default_factory=time.perf_counter)
    first: float | None = None
    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    usage: Usage | None = None
    finish: str | None = None

    def take(self, event: Event) -> None:
        if self.first is None:
            self.first = time.perf_counter() - self.clock
        kind = type(event)
        if kind is TextDelta:
            self.text.append(event.text)  # type: ignore[union-attr]
        elif kind is ReasoningDelta:
            self.reasoning.append(event.text)  # type: ignore[union-attr]
        elif isinstance(event, ToolCallMade):
            self.calls.append(event.call)
        elif isinstance(event, Usage):
            self.usage = event
        elif isinstance(event, Finished):
            self.finish = event.reason

    def ended(self, request: ChatRequest, error: str | None) -> ModelCalled:
        offered = () if request.tool_choice == "none" else tuple(tool.name for tool in request.tools)
        return ModelCalled(
            step=request.step,
            messages=request.messages,
            tools=offered,
            text="".join(self.text),
            reasoning="".join(self.reasoning),
            calls=tuple(self.calls),
            started_at=self.started_at,
            seconds=time.perf_counter() - self.clock,
            first_token_s=self.first,
            prompt_tokens=self.usage.prompt_tokens if self.usage else 0,
            completion_tokens=self.usage.completion_tokens if self.usage else 0,
            finish=self.finish,
            error=error,
            format=request.response_format.name or request.response_format.type if request.response_format else None,
        )
