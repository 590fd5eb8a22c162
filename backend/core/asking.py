"""The model calls of one completion: read with an eye on JSON, and their tokens added up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from backend.core import enforcement_texts as texts
from backend.core.bounds import cut
from backend.core.collect import CHARS_PER_TOKEN
from backend.core.json_answer import Ending, JsonAnswer
from backend.core.json_form import Form, Verdict
from backend.llm.port import ChatRequest, ModelProvider
from backend.models.errors import InvalidRequest, ModelFault
from backend.models.messages import (
    Event,
    Finished,
    Message,
    ReasoningDelta,
    TextDelta,
    ToolCallMade,
    Usage,
)

MAX_CHARS_ON_LOOP = 20_000
"""Longer answers are checked in a thread: others' tokens must not wait for it."""
MAX_QUOTED_CHARS = 6_000
"""Of a model's wrong answer, shown to it for a repair."""


@dataclass(slots=True)
class Reading:
    """One call's answer as far as it has come."""

    answer: JsonAnswer
    finished: Finished | None = None
    by_grammar: bool = True
    """False when the model's server could not make a grammar of the schema, so that it was only told."""

    @property
    def length(self) -> bool:
        """Whether a limit of tokens ended it."""
        return self.finished is not None and self.finished.reason == "length"


@dataclass(frozen=True, slots=True)
class Told:
    """What came of asking for JSON: `verdict.text` if it fits, else how the answer ended."""

    verdict: Verdict
    ending: Ending
    answer: JsonAnswer
    finished: Finished | None = None

    @property
    def text(self) -> str:
        """What may be passed on: what fits, or what a limit of tokens left of it."""
        return self.answer.json if self.verdict.text is None else self.verdict.text


@dataclass(slots=True)
class Asking:
    """`usage` collects the tokens of every call, to be passed on once it is known how the turn ends: the first event
    of an answer decides its HTTP status."""

    provider: ModelProvider
    usage: list[Usage] = field(default_factory=list)

    async def read(self, request: ChatRequest, form: Form, into: Reading) -> AsyncGenerator[Event, None]:
        """Thinking, and the text that continues valid JSON, as they come. Ends early when the rest is of no use.

        Raises what the provider raises.
        """
        try:
            async with aclosing(self._read(replace(request, response_format=form.for_model()), into)) as events:
                async for event in events:
                    yield event
            return
        except InvalidRequest as error:
            # A refusal of the grammar comes before the first event.
            if type(error) is not InvalidRequest or error.param != "response_format" or form.schema is None:
                raise
        into.by_grammar = False
        async with aclosing(self._read(_without_grammar(request, form), into)) as events:
            async for event in events:
                yield event

    async def _read(self, request: ChatRequest, into: Reading) -> AsyncGenerator[Event, None]:
        counted = False
        async with aclosing(self.provider.stream(request)) as events:
            async for event in events:
                kind = type(event)
                if kind is TextDelta:
                    piece = into.answer.feed(event.text)  # type: ignore[union-attr]
                    if piece:
                        yield TextDelta(piece)
                    if into.answer.over:
                        break
                elif isinstance(event, Usage):
                    counted = True
                    self.usage.append(event)
                elif isinstance(event, Finished):
                    into.finished = event
                elif kind is ReasoningDelta:
                    yield event
        if not counted:
            self.estimate(request, len(into.answer.text))

    async def json(self, request: ChatRequest, form: Form) -> Told:
        """Ask once for JSON and judge what comes. Raises what the provider raises."""
        reading = Reading(form.answer())
        async with aclosing(self.read(request, form, reading)) as events:
            async for _ in events:
                pass
        return await told_of(reading, form)

    async def passed_on(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """A call whose text goes out as it comes and whose tool calls, if any, do not.

        Raises ModelFault when there was nothing but such calls.
        """
        said = called = False
        async with aclosing(self.provider.stream(request)) as events:
            async for event in events:
                if isinstance(event, ToolCallMade):
                    called = True
                elif isinstance(event, Usage):
                    self.usage.append(event)
                elif isinstance(event, Finished):
                    if called and not said:
                        raise fault(texts.ONLY_CALLS)
                    for usage in self.usage:
                        yield usage
                    yield replace(event, reason="stop") if event.reason == "tool_calls" else event
                else:
                    said = said or type(event) is TextDelta
                    yield event

    def estimate(self, request: ChatRequest, written: int) -> None:
        """Note a guess at what a call cost that was ended before its counters came. `written` in characters."""
        prompt = sum(len(message.content) for message in request.messages) // CHARS_PER_TOKEN
        completion = max(1, written // CHARS_PER_TOKEN)
        self.usage.append(Usage(max(1, prompt), completion, step=request.step, estimated=True))


async def told_of(reading: Reading, form: Form) -> Told:
    """What an answer that has ended came to. Raises InvalidRequest when its schema takes too long to check."""
    if len(reading.answer.text) > MAX_CHARS_ON_LOOP:
        return await asyncio.to_thread(_told_of, reading, form)
    return _told_of(reading, form)


def _told_of(reading: Reading, form: Form) -> Told:
    verdict = form.judge(reading.answer, length=reading.length)
    ending = reading.answer.ending(length=reading.length)
    return Told(verdict, ending, reading.answer, reading.finished)


def following(request: ChatRequest, told: Told) -> ChatRequest:
    """The second request: a repair of what was wrong, or the same again for an answer that ran on or held nothing."""
    said = told.answer.text.strip()
    if told.ending in ("cut", "endless") or not said:
        return again(request)
    turns = (
        Message("assistant", cut(said, MAX_QUOTED_CHARS)),
        Message("user", texts.REPAIR.format(problem=told.verdict.problem)),
    )
    return _colder(replace(request, messages=(*request.messages, *turns), step="repair"))


def again(request: ChatRequest) -> ChatRequest:
    """The same once more, with a hint against running on."""
    hint = Message("system", texts.COMPACT)
    return _colder(replace(request, messages=(*request.messages, hint), step="repair"))


def _colder(request: ChatRequest) -> ChatRequest:
    """Also without a word on thinking: some models keep to no grammar while theirs is switched off."""
    return replace(request, sampling=replace(request.sampling, temperature=0.0), reasoning_effort=None)


def _without_grammar(request: ChatRequest, form: Form) -> ChatRequest:
    """The request with the schema in words, and a grammar for JSON of any kind."""
    told = Message("system", f"Answer with {form.in_words()}.")
    plain = replace(form.wanted, type="json_object", schema=None)
    return replace(request, messages=(*request.messages, told), response_format=plain)


def fault(message: str) -> ModelFault:
    """A fault that was already repaired in vain: a client that tries the same again blindly only makes it dearer."""
    return ModelFault(message, headers={"x-should-retry": "false"})
