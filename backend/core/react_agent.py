"""The ReAct agent: the model thinks, calls tools, sees what came of it, and goes on until it can answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, ClassVar

from backend.core import prompts
from backend.core.agent import ReActStep
from backend.core.bounds import cut
from backend.core.collect import CHARS_PER_TOKEN, TIME_IS_UP, Meter, interleave, until
from backend.core.react_calls import MAX_PARALLEL_TOOLS, Calls, observed_by_caller
from backend.core.react_json import JsonDialect
from backend.core.react_state import Pending, Progress, from_checkpoint, results_by_call, to_checkpoint
from backend.core.react_text import TextDialect
from backend.core.react_turns import Dialect, NativeDialect, Observation, Reader, Turn, as_history
from backend.core.stream_watch import StreamWatch, without_repetition
from backend.core.tool_runs import ToolRuns
from backend.core.toolbox import Toolbox
from backend.llm.port import Model
from backend.models.errors import ContextTooLong, InvalidRequest, ModelFault, UpstreamCut
from backend.models.messages import Event, Finished, Message, ReasoningDelta, TextDelta, ToolCallMade, Usage
from backend.models.run import RunContext

MAX_STEPS = 10
"""Turns of a model in one run, whatever the budget allows."""
MAX_REFUSALS = 2
"""Repeated calls after which the model is told to answer."""
MAX_FAILED_TURNS = 3
"""Turns in a row without one good call after which it is told to."""
MAX_UNREADABLE = 2
"""Unusable turns of the JSON dialect before the text protocol is spoken."""
MIN_ANSWER_TOKENS = 256
"""Room for an answer even where the prompt alone used the tokens up."""
CUT_OFF_SPAN = 60
"""Of a broken stream that repeated itself: providers stop such streams themselves, long before we would."""
MAX_UNUSABLE_CHARS = 1_000
"""Of a turn that could not be read, for the model to see what is meant."""
SMALLEST_WINDOW = 2_048
NO_ANSWER = "The model wrote no answer."
IN_CIRCLES = "The model repeated itself without end and was stopped."
_SWITCHES = frozenset({"tools_unsupported", "unsupported_parameter"})


def create_agent(model: Model, toolbox: Toolbox) -> ReActAgent:
    return ReActAgent(model, toolbox)


class ReActAgent:
    """Thought -> action -> observation, at most `budget.iterations` model turns (and never more than MAX_STEPS).

    Native tool calls where the model's capabilities list them, else one JSON object a turn where they list
    structured output, else a text protocol; a model that cannot keep to one is spoken to in the next. A failing
    tool is an observation; a model provider's error is raised. One instance serves one run.
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
        """See Agent.run. Text is streamed as it comes; see NativeReader for text in front of a call.

        A call of a caller's own tool ends the run with Finished("tool_calls") and a checkpoint; a run whose context
        has one goes on from there.
        """
        meter = Meter(context)
        self._tools = tools = ToolRuns(self._toolbox, meter)
        at = Progress(self._best_dialect(context), list(messages), meter, tools)
        at.limit = min(MAX_STEPS, max(1, context.budget.iterations))
        if context.checkpoint is not None:
            self._resume(at, messages, context.checkpoint)
        while at.number < at.limit and at.number + at.repairs < MAX_STEPS:
            spent = meter.exhausted()
            if spent is not None:
                at.detail = spent
                break
            at.number += 1
            at.forced = at.forced or at.number == at.limit or at.number + at.repairs == MAX_STEPS
            reader = at.dialect.reader(at.lead, forced=at.forced)
            try:
                async with aclosing(self._turn(at, reader)) as events:
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
            except (InvalidRequest, ModelFault) as error:
                if self._spoken_otherwise(at, error):
                    continue
                if isinstance(error, ModelFault) and tools.found:
                    break
                raise
            turn = reader.turn
            at.aside = []
            if turn.calls and not at.forced:
                if not self._model.parallel_tool_calls:
                    del turn.calls[1:]
                calls = Calls(at, turn, self._toolbox)
                async with aclosing(interleave(calls.jobs(), MAX_PARALLEL_TOOLS)) as events:
                    async for event in events:
                        yield event
                if calls.waiting:
                    for call in calls.waiting:
                        yield ToolCallMade(call)
                    yield Finished("tool_calls", checkpoint=to_checkpoint(at, Pending(turn, calls.seen())))
                    return
                self._observe(at, turn, calls.observations(), failed=calls.failed)
            elif turn.answer:
                yield self._finished(at, turn)
                return
            elif turn.problem:
                if not self._repaired(at, turn):
                    if turn.thought:
                        yield TextDelta(at.lead + turn.thought)
                        yield self._finished(at, turn)
                        return
                    break
            elif (turn.calls and tools.found) or not self._retried(at):
                break
        yield TextDelta(at.lead + tools.fallback_answer(at.detail or ""))
        yield Finished("length", at.detail or NO_ANSWER)

    # ---- one turn -------------------------------------------------------------------------------

    async def _turn(self, at: Progress, reader: Reader) -> AsyncGenerator[Event, None]:
        """One model call: its events for the caller as they come, its meaning in `reader.turn`."""
        step = "answer" if at.forced else f"step-{at.number + at.repairs}"
        said = _with_aside(at.history, at.aside)
        allowance = self._allowance(at)
        at.watch = text = StreamWatch(allowance)
        thinking = StreamWatch(allowance)
        counted = stop = False
        stream = at.dialect.ask(said, step, offer_tools=not at.forced)
        try:
            async with aclosing(until(stream, at.meter.context.deadline)) as events:
                async for event in events:
                    kind = type(event)
                    if kind is TextDelta:
                        stop = text.feed(event.text)  # type: ignore[union-attr]
                    elif kind is ReasoningDelta:
                        stop = thinking.feed(event.text)  # type: ignore[union-attr]
                    elif kind is Usage:
                        at.meter.count(event)
                        counted = True
                    for out in reader.feed(event):
                        yield out
                    if stop or reader.done:
                        break
        except UpstreamCut:
            if not text.repeats_itself(CUT_OFF_SPAN):
                raise
            text.looping = True
        for out in reader.close():
            yield out
        text.looping = text.looping or thinking.looping
        text.overdrawn = text.overdrawn or thinking.overdrawn
        if not counted:
            usage = _estimated(said, text.total + thinking.total, step)
            at.meter.count(usage)
            yield usage

    def _allowance(self, at: Progress) -> int:
        """Characters the model may write in this turn before the run's tokens are used up."""
        prompt = at.meter.last_prompt or sum(len(message.content) for message in at.history) // CHARS_PER_TOKEN
        left = at.meter.context.budget.tokens - at.meter.tokens - prompt
        return max(MIN_ANSWER_TOKENS, left) * CHARS_PER_TOKEN

    def _observe(self, at: Progress, turn: Turn, seen: Sequence[Observation], *, failed: bool) -> None:
        """Put a turn and what came of its calls into the history, and decide whether the next has to be the answer."""
        at.failures = at.failures + 1 if failed else 0
        if turn.answer:
            at.lead = "\n\n"
        reason = self._reason_to_answer(at)
        at.forced = reason is not None
        at.history += as_history(turn, seen, prompts.ANSWER_NOW.format(reason=reason) if reason else "")

    def _reason_to_answer(self, at: Progress) -> str | None:
        """Why the next turn has to answer, or None. A budget's reason ends up in Finished as well."""
        spent = at.meter.tools_exhausted()
        if spent is not None:
            at.detail = spent
            return spent
        if at.refusals >= MAX_REFUSALS:
            return prompts.REPEATING
        if at.failures >= MAX_FAILED_TURNS:
            return prompts.FAILING
        left = min(at.limit - at.number, MAX_STEPS - at.number - at.repairs)
        return prompts.LAST_STEP if left <= 1 else None

    def _finished(self, at: Progress, turn: Turn) -> Finished:
        """The model's own end, or `length` when it was stopped, or a budget took its tools away before it wrote."""
        if at.watch.looping:
            return Finished("length", IN_CIRCLES)
        if at.watch.overdrawn:
            return Finished("length", f"The run's budget of {at.meter.context.budget.tokens} tokens was used up.")
        if at.detail:
            return Finished("length", at.detail)
        if at.number == at.limit and at.tools.steps:
            return Finished("length", f"The limit of {at.limit} steps was reached.")
        own = turn.finished
        if own is None or own.reason == "tool_calls":
            return Finished("stop")
        return Finished(own.reason, own.detail)

    # ---- turns that cannot be used ------------------------------------------------------------------

    def _repaired(self, at: Progress, turn: Turn) -> bool:
        """Arrange another try after a turn that cannot be read; False when there has been one already."""
        problem = prompts.SAME_WORDS if at.watch.looping else turn.problem or ""
        said = cut(without_repetition(turn.text), MAX_UNUSABLE_CHARS)
        at.aside = [Message("assistant", said), Message("user", at.dialect.correction(problem))]
        if isinstance(at.dialect, JsonDialect):
            at.unreadable += 1
            if at.unreadable >= MAX_UNREADABLE:
                at.dialect, at.aside = self._dialect("text", at.meter.context), []
        elif at.corrected:
            return False
        else:
            at.corrected = True
        return _again(at)

    def _retried(self, at: Progress) -> bool:
        """Arrange another try after a turn in which nothing was said; False when there has been one already."""
        if at.retried:
            return False
        at.retried = True
        at.forced = at.forced or at.meter.tool_calls > 0
        note = prompts.RAN_IN_CIRCLES if at.watch.looping else prompts.EMPTY_ANSWER
        at.aside = [Message("user", note)]
        return _again(at)

    def _spoken_otherwise(self, at: Progress, error: InvalidRequest | ModelFault) -> bool:
        """Arrange another try after a request that the provider refused or the model could not be read in.

        False when nothing can be changed about it.
        """
        if isinstance(error, ContextTooLong):
            return self._tightened(at)
        if isinstance(error, InvalidRequest) and error.code not in _SWITCHES:
            return False
        if isinstance(at.dialect, TextDialect):
            return False
        structured = isinstance(at.dialect, NativeDialect) and "structured" in self._model.info.capabilities
        at.dialect = self._dialect("json" if structured else "text", at.meter.context)
        at.number -= 1
        return True

    def _tightened(self, at: Progress) -> bool:
        """Leave the tool results less room: the window that is really there may be smaller than the trained one."""
        window = min(self._model.info.context_length // 2, 4 * SMALLEST_WINDOW)
        if window < SMALLEST_WINDOW or all(message.role != "tool" for message in at.history):
            return False
        self._model = replace(self._model, info=replace(self._model.info, context_length=window))
        at.dialect = self._dialect(at.dialect.name, at.meter.context)
        at.number -= 1
        return True

    # ---- dialects and pauses ----------------------------------------------------------------------

    def _best_dialect(self, context: RunContext) -> Dialect:
        capabilities = self._model.info.capabilities
        if "tools" in capabilities or not self._toolbox.names:
            return self._dialect("native", context)
        return self._dialect("json" if "structured" in capabilities else "text", context)

    def _dialect(self, name: str, context: RunContext) -> Dialect:
        kinds: dict[str, type[NativeDialect | JsonDialect]] = {"native": NativeDialect, "json": JsonDialect}
        return kinds.get(name, TextDialect)(self._model, self._toolbox.specs(), context)

    def _resume(self, at: Progress, messages: Sequence[Message], kept: Mapping[str, Any]) -> None:
        """Go on where an earlier run stopped for the caller's tools, with their results. Raises StorageFailed."""
        pending = from_checkpoint(kept, at)
        # One turn is always left to answer with what came back, however low the new limit.
        at.limit = min(MAX_STEPS, max(at.limit, at.number + 1))
        if kept.get("dialect") in ("json", "text") and at.dialect.name != "text":
            at.dialect = self._dialect(str(kept["dialect"]), at.meter.context)
        results = results_by_call(messages)
        seen = [
            each or observed_by_caller(at, call, pending.turn.thought, results.get(call.id))
            for call, each in zip(pending.turn.calls, pending.seen, strict=True)
        ]
        self._observe(at, pending.turn, seen, failed=False)


def _with_aside(history: Sequence[Message], aside: Sequence[Message]) -> list[Message]:
    """The history and what the model is told about its last turn.

    A word that nothing of the model's stands before goes into the last message: templates do not like two user
    messages in a row, and the question must stay the last one when a small window is filled.
    """
    if len(aside) != 1 or not history or history[-1].role not in ("user", "tool"):
        return [*history, *aside]
    last = history[-1]
    return [*history[:-1], replace(last, content=f"{last.content}\n\n({aside[0].content})")]


def _again(at: Progress) -> bool:
    """The turn does not count as a step, but there is an end to that as well."""
    at.number -= 1
    at.repairs += 1
    return True


def _estimated(said: Sequence[Message], written: int, step: str) -> Usage:
    """A guess at what a call cost whose counters never came (the stream was closed early, or had none)."""
    prompt = sum(len(message.content) for message in said) // CHARS_PER_TOKEN
    return Usage(prompt, max(1, written // CHARS_PER_TOKEN), step=step, estimated=True)
