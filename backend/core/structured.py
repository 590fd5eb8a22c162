"""Asking a model for JSON of a given schema, within a time and a size."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass

from backend.core.collect import CHARS_PER_TOKEN, Emit, Meter
from backend.llm.port import Model, ResponseFormat, Sampling
from backend.models.errors import ModelFault, UnsupportedParameter
from backend.models.messages import Event, Message, ReasoningDelta, TextDelta, Usage
from backend.models.tools import ToolSpec

MAX_STRUCTURED_TOKENS = 4_096
"""Room for a structured answer and the thinking some models put in front of it."""
MAX_STRUCTURED_CHARS = 60_000
"""A provider may ignore the limit of tokens: nothing that is longer was ever of use."""
MAX_BLANK_CHARS = 500
"""Blanks in a row after which a model has lost itself: some grammars let it write nothing else for ever."""


@dataclass(slots=True)
class Structured:
    """Asks for structured answers. Raises what the provider raises, except that a fault of the model itself and a
    provider that knows no schemas come back as an empty text."""

    model: Model
    meter: Meter
    specs: tuple[ToolSpec, ...]

    async def ask(
        self,
        messages: tuple[Message, ...],
        name: str,
        schema: Mapping[str, object],
        step: str,
        emit: Emit,
        seconds: float,
    ) -> str | None:
        """The text of the answer, None when it did not come within `seconds`.

        To be validated, since a schema is a wish to many models. Tools are named in the request for providers that
        plan without a language model; none may be called.
        """
        if seconds <= 0:
            return None
        stream = self.model.stream(
            messages,
            tools=self.specs,
            tool_choice="none",
            sampling=Sampling(temperature=0.0, max_tokens=MAX_STRUCTURED_TOKENS, seed=self.model.sampling.seed),
            response_format=ResponseFormat("json_schema", name=name, schema=schema, strict=True),
            step=step,
        )
        reading = _Reading(self.meter, emit)
        try:
            async with asyncio.timeout(seconds):
                await reading.read(stream)
        except TimeoutError:
            reading.estimate(messages, step)
            return None
        except (ModelFault, UnsupportedParameter):
            return ""
        reading.estimate(messages, step)
        return "".join(reading.text)


class _Reading:
    """One answer as it comes: its text is kept, thinking and usage are passed on."""

    def __init__(self, meter: Meter, emit: Emit) -> None:
        self.text: list[str] = []
        self._meter = meter
        self._emit = emit
        self._chars = 0
        self._blanks = 0
        self._counted = False

    async def read(self, stream: AsyncGenerator[Event, None]) -> None:
        async with aclosing(stream):
            async for event in stream:
                kind = type(event)
                if kind is TextDelta:
                    self._take(event.text)  # type: ignore[union-attr]
                    if self._chars > MAX_STRUCTURED_CHARS or self._blanks > MAX_BLANK_CHARS:
                        return
                elif kind is Usage:
                    self._counted = True
                    self._meter.count(event)
                    self._emit(event)
                elif kind is ReasoningDelta:
                    self._emit(event)

    def estimate(self, messages: tuple[Message, ...], step: str) -> None:
        """A guess at what a call cost whose counters never came."""
        if self._counted:
            return
        prompt = sum(len(message.content) for message in messages) // CHARS_PER_TOKEN
        usage = Usage(prompt, max(1, self._chars // CHARS_PER_TOKEN), step=step, estimated=True)
        self._meter.count(usage)
        self._emit(usage)

    def _take(self, text: str) -> None:
        self.text.append(text)
        self._chars += len(text)
        end = text.rstrip()
        self._blanks = self._blanks + len(text) if not end else len(text) - len(end)
