"""One turn of the ReAct loop, and how it is spoken with models that call tools natively."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from backend.core import prompts
from backend.core.collect import shortened
from backend.core.toolbox import ToolOutcome
from backend.llm.port import Model
from backend.models.messages import Event, Finished, Message, ReasoningDelta, TextDelta, ToolCall, ToolCallMade
from backend.models.run import RunContext
from backend.models.tools import ToolSpec


@dataclass(slots=True)
class Turn:
    """What the model did in one turn. `answer` has been streamed already; `thought` is all that led to the calls."""

    text: str = ""
    """As written, for the history."""
    thought: str = ""
    answer: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    problem: str | None = None
    """Why the turn cannot be used: neither an answer nor a call that can be read."""
    finished: Finished | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """The answer to one call. `outcome` None: the call was not made, `text` says why."""

    call: ToolCall
    text: str
    outcome: ToolOutcome | None = None

    def as_message(self) -> Message:
        if self.outcome is not None:
            return self.outcome.as_message(self.call.id)
        return Message("tool", self.text, tool_call_id=self.call.id, name=self.call.name)


class Reader(Protocol):
    """Turns one model stream into events for the caller and a Turn for the loop."""

    turn: Turn
    done: bool
    """True when the rest of the stream is of no use."""

    def feed(self, event: Event) -> Iterable[Event]: ...

    def close(self) -> Iterable[Event]:
        """The stream has ended: decide what is still open."""
        ...


class Dialect(Protocol):
    """How requests, calls and observations are put to a model."""

    def opening(self, messages: Sequence[Message]) -> list[Message]:
        """The history before the first turn: the system prompt, then the caller's messages as they are."""
        ...

    def ask(self, history: Sequence[Message], step: str, *, offer_tools: bool) -> AsyncGenerator[Event, None]: ...

    def reader(self, lead: str) -> Reader:
        """`lead` goes in front of the turn's answer, if it has one."""
        ...

    def observed(self, turn: Turn, observations: Sequence[Observation], note: str) -> list[Message]:
        """The turn and its observations as history; `note` (may be empty) is added to the last one."""
        ...


@dataclass(slots=True)
class NativeDialect:
    """For models whose capabilities list tools."""

    model: Model
    specs: tuple[ToolSpec, ...]
    context: RunContext

    def opening(self, messages: Sequence[Message]) -> list[Message]:
        system = prompts.REACT_SYSTEM.format(rules=prompts.rules(self.context))
        return [Message("system", system), *messages]

    def ask(self, history: Sequence[Message], step: str, *, offer_tools: bool) -> AsyncGenerator[Event, None]:
        messages = shortened(history, self.model.info.context_length)
        return self.model.stream(messages, tools=self.specs if offer_tools else (), step=step)

    def reader(self, lead: str) -> NativeReader:
        return NativeReader(lead)

    def observed(self, turn: Turn, observations: Sequence[Observation], note: str) -> list[Message]:
        told = [each.as_message() for each in observations]
        if note:
            # In the newest tool message: earlier messages stay as they are, so the model's prompt cache holds,
            # and the user's question remains the last user message.
            told[-1] = replace(told[-1], content=f"{told[-1].content}\n\n{note}")
        return [Message("assistant", turn.text, tool_calls=tuple(turn.calls)), *told]


class NativeReader:
    """Text is streamed at once as answer; text after a call in the same turn is thought.

    Whether a turn that starts with text will end with a call cannot be known, and it nearly never does: holding
    text back would cost every answer its streaming. When it does, the text becomes the thought of the trace, and
    stays in the answer as a paragraph of its own.
    """

    def __init__(self, lead: str) -> None:
        self.turn = Turn()
        self.done = False
        self._lead = lead
        self._reasoning: list[str] = []
        self._text: list[str] = []

    def feed(self, event: Event) -> Iterable[Event]:
        match event:
            case TextDelta() if self.turn.calls:
                self._reasoning.append(event.text)
                return (ReasoningDelta(event.text),)
            case TextDelta():
                return self._answered(event)
            case ReasoningDelta():
                self._reasoning.append(event.text)
                return (event,)
            case ToolCallMade():
                self.turn.calls.append(event.call)
                return ()
            case Finished():
                self.turn.finished = event
                return ()
            case _:
                return (event,)

    def _answered(self, event: TextDelta) -> Iterable[Event]:
        if not self._text:
            text = event.text.lstrip()
            if not text:
                return ()
            self._text.append(text)
            return (TextDelta(self._lead + text),)
        self._text.append(event.text)
        return (event,)

    def close(self) -> Iterable[Event]:
        text = "".join(self._text)
        self.turn.text = self.turn.answer = text
        reasoning = "".join(self._reasoning).strip()
        self.turn.thought = "\n".join(part for part in (reasoning, text.strip()) if part)
        return ()
