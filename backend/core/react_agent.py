"""The ReAct agent: the model thinks, calls tools, sees what came of it, and goes on until it can answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import ClassVar

from backend.core import prompts
from backend.core.agent import ReActStep
from backend.core.collect import CHARS_PER_TOKEN, TIME_IS_UP, Emit, Job, Meter, interleave, until
from backend.core.react_text import TextDialect
from backend.core.react_turns import Dialect, NativeDialect, Observation, Reader, Turn
from backend.core.tool_runs import ToolRuns, canonical
from backend.core.toolbox import Toolbox, ToolOutcome
from backend.llm.port import Model
from backend.models.errors import InvalidRequest
from backend.models.messages import Event, Finished, Message, TextDelta, ToolCall, Usage
from backend.models.run import RunContext

MAX_PARALLEL_TOOLS = 8
MAX_REFUSALS = 2
"""Repeated calls after which the model is told to answer."""


def create_agent(model: Model, toolbox: Toolbox) -> ReActAgent:
    return ReActAgent(model, toolbox)


@dataclass(slots=True)
class _Progress:
    """Where a run stands between two turns."""

    dialect: Dialect
    history: list[Message]
    meter: Meter
    tools: ToolRuns
    calls: dict[tuple[str, bytes], None] = field(default_factory=dict)
    """Calls already made, by canonical form."""
    refusals: int = 0
    forced: bool = False
    """The next turn is offered no tools: it has to answer."""
    detail: str | None = None
    """The budget that forced it, in words."""
    lead: str = ""
    """Goes between what was streamed in earlier turns and the next piece of the answer."""
    retried: bool = False
    corrected: bool = False


class ReActAgent:
    """Thought -> action -> observation, at most `budget.iterations` model turns.

    Native tool calls where the model's capabilities list them, a text protocol otherwise. A failing tool is an
    observation; a model provider's error is raised. One instance serves one run.
    """

    name: ClassVar[str] = "react"
    when_to_use: ClassVar[str] = (
        "One tool is needed, or steps that depend on each other's results, or exploring whose next step is not known."
    )

    def __init__(self, model: Model, toolbox: Toolbox) -> None:
        self._model = model
        self._toolbox = toolbox
        self._tools: ToolRuns | None = None

    def get_trace(self) -> Sequence[ReActStep]:
        """The tool calls so far, refused ones included; valid during and after the run."""
        return tuple(self._tools.steps) if self._tools is not None else ()

    async def run(self, messages: Sequence[Message], context: RunContext) -> AsyncGenerator[Event, None]:
        """See Agent.run. Text is streamed as it comes; see NativeReader for text in front of a call."""
        meter = Meter(context)
        self._tools = ToolRuns(self._toolbox, meter)
        dialect = self._dialect(context)
        at = _Progress(dialect, dialect.opening(messages), meter, self._tools)
        limit = max(1, context.budget.iterations)
        number = 0
        while number < limit:
            number += 1
            at.forced = at.forced or number == limit
            spent = meter.exhausted()
            if spent is not None:
                at.detail = spent
                break
            reader = at.dialect.reader(at.lead)
            step = "answer" if at.forced else f"step-{number}"
            try:
                async with aclosing(self._turn(at, reader, step)) as events:
                    async for event in events:
                        yield event
            except TimeoutError:
                at.detail = TIME_IS_UP
                for event in reader.close():
                    yield event
                if reader.turn.answer:
                    yield Finished("length", at.detail)
                    return
                break
            except InvalidRequest as error:
                if error.code != "tools_unsupported" or number > 1 or not isinstance(at.dialect, NativeDialect):
                    raise
                at.dialect = TextDialect(self._model, self._toolbox.specs(), context)
                at.history = at.dialect.opening(messages)
                number = 0
                continue
            turn = reader.turn
            if turn.calls and not at.forced:
                async with aclosing(self._act(at, turn, steps_left=limit - number)) as events:
                    async for event in events:
                        yield event
            elif turn.answer:
                yield self._finished(at, turn, cut=number == limit and bool(self._tools.steps))
                return
            elif turn.problem and not at.corrected and number < limit:
                self._correct(at, turn)
            elif turn.problem:
                yield TextDelta(at.lead + (turn.thought or turn.text))
                yield self._finished(at, turn, cut=number == limit)
                return
            elif not at.retried:
                at.retried = at.forced = True
                at.history.append(Message("user", prompts.EMPTY_ANSWER))
            else:
                break
        yield TextDelta(at.lead + self._tools.fallback_answer())
        yield Finished("length", at.detail or f"No answer was written within {number} steps.")

    def _dialect(self, context: RunContext) -> Dialect:
        if "tools" in self._model.info.capabilities:
            return NativeDialect(self._model, self._toolbox.specs(), context)
        return TextDialect(self._model, self._toolbox.specs(), context)

    async def _turn(self, at: _Progress, reader: Reader, step: str) -> AsyncGenerator[Event, None]:
        """One model call: its events for the caller as they come, its meaning in `reader.turn`."""
        counted = False
        stream = at.dialect.ask(at.history, step, offer_tools=not at.forced)
        async with aclosing(until(stream, at.meter.context.deadline)) as events:
            async for event in events:
                if type(event) is Usage:
                    at.meter.count(event)
                    counted = True
                for out in reader.feed(event):
                    yield out
                if reader.done:
                    break
        for out in reader.close():
            yield out
        if not counted:
            usage = _estimated(at.history, reader.turn, step)
            at.meter.count(usage)
            yield usage

    async def _act(self, at: _Progress, turn: Turn, steps_left: int) -> AsyncGenerator[Event, None]:
        """Run the turn's calls side by side, and put what came of them into the history."""
        given = _with_unique_ids(turn.calls, at.history)
        turn.calls = given
        told: dict[tuple[str, bytes], ToolOutcome | str] = {}
        jobs: list[Job] = []
        for call in given:
            key = canonical(call.name, call.arguments)
            if key in told:
                continue
            refusal = self._refusal(at, key, call, pending=len(jobs))
            if refusal is not None:
                told[key] = at.tools.refuse(call.name, call.arguments, turn.thought, refusal)
                continue
            told[key] = ""
            at.calls[key] = None
            jobs.append(_job(at.tools, call, turn.thought, key, told))
        async with aclosing(interleave(jobs, MAX_PARALLEL_TOOLS)) as events:
            async for event in events:
                yield event
        if turn.answer:
            at.lead = "\n\n"
        reason = self._reason_to_answer(at, steps_left)
        at.forced = reason is not None
        note = prompts.ANSWER_NOW.format(reason=reason) if reason else ""
        seen = [_observation(call, told[canonical(call.name, call.arguments)]) for call in given]
        at.history += at.dialect.observed(turn, seen, note)

    def _refusal(self, at: _Progress, key: tuple[str, bytes], call: ToolCall, pending: int) -> str | None:
        if key in at.calls:
            at.refusals += 1
            return prompts.REPEATED_CALL.format(name=call.name[:64])
        if at.meter.tool_calls + pending >= at.meter.context.budget.tool_calls:
            return prompts.NO_MORE_CALLS
        return None

    def _reason_to_answer(self, at: _Progress, steps_left: int) -> str | None:
        """Why the next turn has to answer, or None. A budget's reason ends up in Finished as well."""
        spent = at.meter.tools_exhausted()
        if spent is not None:
            at.detail = spent
            return spent
        if at.refusals >= MAX_REFUSALS:
            return prompts.REPEATING
        return prompts.LAST_STEP if steps_left <= 1 else None

    def _correct(self, at: _Progress, turn: Turn) -> None:
        at.corrected = True
        tools = ", ".join(self._toolbox.tools)
        correction = prompts.TEXT_CORRECTION.format(problem=turn.problem, tools=tools)
        at.history += [Message("assistant", turn.text), Message("user", correction)]

    def _finished(self, at: _Progress, turn: Turn, *, cut: bool) -> Finished:
        """The model's own end, or `length` when a budget took its tools away before it wrote."""
        if at.detail:
            return Finished("length", at.detail)
        if cut:
            return Finished("length", f"The limit of {at.meter.context.budget.iterations} steps was reached.")
        own = turn.finished
        if own is None or own.reason == "tool_calls":
            return Finished("stop")
        return Finished(own.reason, own.detail)


def _job(
    tools: ToolRuns,
    call: ToolCall,
    thought: str,
    key: tuple[str, bytes],
    told: dict[tuple[str, bytes], ToolOutcome | str],
) -> Job:
    async def run(emit: Emit) -> None:
        told[key] = await tools.call(emit, call.id, call.name, call.arguments, thought=thought)

    return run


def _observation(call: ToolCall, told: ToolOutcome | str) -> Observation:
    if isinstance(told, str):
        return Observation(call, told)
    return Observation(call, told.observation, told)


def _with_unique_ids(calls: Sequence[ToolCall], history: Sequence[Message]) -> list[ToolCall]:
    """The calls with ids of their own: providers may leave them out or use one twice."""
    taken = {call.id for message in history for call in message.tool_calls}
    unique: list[ToolCall] = []
    for call in calls:
        name, number = call.id, 0
        while not name or name in taken:
            number += 1
            name = f"{call.id or 'call'}_{number}"
        taken.add(name)
        unique.append(call if name == call.id else ToolCall(name, call.name, call.arguments))
    return unique


def _estimated(history: Sequence[Message], turn: Turn, step: str) -> Usage:
    """A guess at what a call cost whose counters never came (the stream was closed early, or had none)."""
    prompt = sum(len(message.content) for message in history) // CHARS_PER_TOKEN
    return Usage(prompt, max(1, len(turn.text) // CHARS_PER_TOKEN), step=step, estimated=True)
