"""One turn of the ReAct loop, and how it is spoken with models that call tools natively."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from backend.core import prompts
from backend.core.collect import shortened
from backend.core.text_calls import CallHold
from backend.llm.port import Model
from backend.models.messages import Event, Finished, Message, ReasoningDelta, TextDelta, ToolCall, ToolCallMade
from backend.models.run import RunContext
from backend.models.tools import ToolSpec

MAX_REASONING_CHARS = 8_000
"""Of a turn's thinking that the model sees again: models that think between calls go on from there."""


@dataclass(slots=True)
class Turn:
    """What the model did in one turn. `answer` has been streamed already; `thought` is all that led to the calls."""

    text: str = ""
    """As written."""
    said: str = ""
    """What goes into the history beside the calls."""
    thought: str = ""
    reasoning: str = ""
    """What the model thought apart from its text."""
    answer: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    problem: str | None = None
    """Why the turn cannot be used: neither an answer nor a call that can be read."""
    finished: Finished | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """The answer to one call, as a tool turn."""

    call: ToolCall
    message: Message


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
    """How requests, calls and observations are put to a model.

    The history itself knows no dialect: calls stand in assistant turns, results in tool turns. So a run can change
    its dialect in the middle, and be written down and taken up again.
    """

    name: str

    def ask(self, history: Sequence[Message], step: str, *, offer_tools: bool) -> AsyncGenerator[Event, None]:
        """Ask the model. Tool results are cut where they would not fit its window."""
        ...

    def reader(self, lead: str, *, forced: bool) -> Reader:
        """`lead` goes in front of the turn's answer, if it has one; `forced`: it has to be an answer."""
        ...

    def correction(self, problem: str) -> str:
        """What the model is told about a turn that cannot be used."""
        ...


@dataclass(slots=True)
class NativeDialect:
    """For models whose capabilities list tools."""

    model: Model
    specs: tuple[ToolSpec, ...]
    context: RunContext
    name: str = "native"

    def ask(self, history: Sequence[Message], step: str, *, offer_tools: bool) -> AsyncGenerator[Event, None]:
        system = Message("system", prompts.REACT_SYSTEM.format(rules=prompts.rules(self.context)))
        messages = shortened((system, *history), self.model.info.context_length)
        return self.model.stream(messages, tools=self.specs if offer_tools else (), step=step)

    def reader(self, lead: str, *, forced: bool) -> NativeReader:
        return NativeReader(lead, [spec.name for spec in self.specs])

    def correction(self, problem: str) -> str:
        return prompts.EMPTY_ANSWER


class NativeReader:
    """Text is streamed at once as answer; text after a call in the same turn is thought.

    Whether a turn that starts with text will end with a call cannot be known, and it nearly never does: holding
    text back would cost every answer its streaming. When it does, the text becomes the thought of the trace, and
    stays in the answer as a paragraph of its own. Only what looks like a call written as text is held back.
    """

    def __init__(self, lead: str, names: Sequence[str]) -> None:
        self.turn = Turn()
        self.done = False
        self._lead = lead
        self._hold = CallHold(names)
        self._reasoning: list[str] = []
        self._later: list[str] = []
        self._text: list[str] = []

    def feed(self, event: Event) -> Iterable[Event]:
        match event:
            case TextDelta():
                if self._text and not self._hold.open and not self.turn.calls:
                    self._text.append(event.text)
                    return (event,)
                return self._answered(event)
            case ReasoningDelta():
                self._reasoning.append(event.text)
                return (event,)
            case ToolCallMade():
                out = self._said(self._hold.finish()[1]) if self._hold.open else ()
                self.turn.calls.append(event.call)
                return out
            case Finished():
                self.turn.finished = event
                return ()
            case _:
                return (event,)

    def _answered(self, event: TextDelta) -> Iterable[Event]:
        if self.turn.calls:
            self._later.append(event.text)
            return (ReasoningDelta(event.text),)
        return self._said(self._hold.feed(event.text))

    def _said(self, text: str) -> Iterable[Event]:
        """The beginning of the answer."""
        if not self._text:
            text = text.lstrip()
        if not text:
            return ()
        first = not self._text
        self._text.append(text)
        return (TextDelta(self._lead + text if first else text),)

    def close(self) -> Iterable[Event]:
        out: Iterable[Event] = ()
        turn = self.turn
        if self._hold.open:
            written, rest = self._hold.finish()
            turn.calls += [ToolCall("", name, arguments) for name, arguments in written]
            out = self._said(rest)
        text = "".join(self._text)
        turn.text = turn.said = turn.answer = text
        turn.reasoning = "".join(self._reasoning).strip()
        led = (turn.reasoning, text.strip(), "".join(self._later).strip())
        turn.thought = "\n".join(part for part in led if part)
        return out


def as_history(turn: Turn, observations: Sequence[Observation], note: str) -> list[Message]:
    """A turn and its observations; `note` (may be empty) is added to the last one."""
    told = [each.message for each in observations]
    if note:
        # In the newest tool message: earlier messages stay as they are, so the model's prompt cache holds,
        # and the user's question remains the last user message.
        told[-1] = replace(told[-1], content=f"{told[-1].content}\n\n{note}")
    reasoning = turn.reasoning[-MAX_REASONING_CHARS:]
    return [Message("assistant", turn.said, tool_calls=tuple(turn.calls), reasoning=reasoning), *told]


def in_turns(messages: Sequence[Message], say: Callable[[str, ToolCall], str]) -> list[Message]:
    """The conversation for a model without tools: a call is what `say(thought, call)` makes of it, its result the
    user's next message. Calls of one turn are told one after another, each with its result."""
    plain: list[Message] = []
    asked: Sequence[ToolCall] = ()
    for at, message in enumerate(messages):
        if message.role == "tool":
            if all(call.id != message.tool_call_id for call in asked):
                plain.append(_observed(message))
        elif message.tool_calls:
            asked = message.tool_calls
            results = _results_behind(messages, at)
            for number, call in enumerate(asked):
                plain.append(Message("assistant", say("" if number else message.content, call)))
                if call.id in results:
                    plain.append(_observed(results.pop(call.id)))
        else:
            asked = ()
            plain.append(message)
    return plain


def _results_behind(messages: Sequence[Message], at: int) -> dict[str | None, Message]:
    """The tool turns right behind the assistant turn at `at`, by call id."""
    end = at + 1
    while end < len(messages) and messages[end].role == "tool":
        end += 1
    return {message.tool_call_id: message for message in messages[at + 1 : end]}


def _observed(result: Message) -> Message:
    return Message("user", prompts.TEXT_OBSERVATION.format(observation=result.content))
