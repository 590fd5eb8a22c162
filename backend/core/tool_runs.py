"""The tool calls of one run: numbered, announced, counted and remembered for the trace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from backend.core.agent import ReActStep
from backend.core.collect import Emit, Meter
from backend.core.prompts import FALLBACK_NOTHING, FALLBACK_RESULT
from backend.core.toolbox import Toolbox, ToolOutcome, arguments_of, cut
from backend.models.errors import InvalidRequest
from backend.models.messages import StepStatus, ToolFinished, ToolStarted
from backend.models.tools import ToolResult

MAX_FALLBACK_CHARS = 1_500
CANCELLED = "The call was cancelled before it ended."


@dataclass(slots=True)
class ToolRuns:
    """Calls tools through the toolbox, emitting ToolStarted and ToolFinished around each."""

    toolbox: Toolbox
    meter: Meter
    steps: list[ReActStep] = field(default_factory=list)
    """Calls that ended, in the order of their ending; refused ones among them."""
    _last_success: ToolOutcome | None = None
    _started: int = 0

    async def call(
        self,
        emit: Emit,
        call_id: str,
        name: str,
        arguments: str | Mapping[str, Any],
        *,
        thought: str = "",
        index: int | None = None,
        again_on_failure: bool = False,
    ) -> ToolOutcome:
        """Run one tool; whatever goes wrong with it is in the outcome.

        `index` is the planned step's; without it calls are counted as they start. `again_on_failure`: a failure is
        tried once more, within the same pair of events, if budget is left.
        """
        given, started_at, clock = readable(arguments), time.time(), time.perf_counter()
        index = self._next_index(index)
        emit(ToolStarted(call_id, index, name, given, started_at))
        try:
            self.meter.tool_calls += 1
            outcome = await self.toolbox.call(name, arguments)
            if outcome.error and again_on_failure and self.meter.tools_exhausted() is None:
                self.meter.tool_calls += 1
                outcome = await self.toolbox.call(name, arguments)
        except asyncio.CancelledError:
            seconds = time.perf_counter() - clock
            self.steps.append(ReActStep(thought, name, given, "", CANCELLED, started_at, seconds))
            emit(ToolFinished(call_id, index, name, given, "cancelled", "", started_at, seconds, CANCELLED))
            raise
        seconds = time.perf_counter() - clock
        self._ended(emit, call_id, index, outcome, thought, started_at, seconds)
        return outcome

    def fail(
        self,
        emit: Emit,
        call_id: str,
        name: str,
        arguments: Mapping[str, Any],
        reason: str,
        *,
        index: int | None = None,
    ) -> ToolOutcome:
        """Record a call that could not be made at all; it costs no budget."""
        index, now = self._next_index(index), time.time()
        outcome = ToolOutcome(name, arguments, ToolResult("", error=reason), f"Error: {reason}", now, 0.0)
        emit(ToolStarted(call_id, index, name, arguments, now))
        self._ended(emit, call_id, index, outcome, "", now, 0.0)
        return outcome

    def refuse(self, name: str, arguments: str, thought: str, reason: str) -> str:
        """Note in the trace that a call was not made; returns the observation for the model. Emits nothing:
        no tool started."""
        self.steps.append(ReActStep(thought, name, readable(arguments), reason, "refused", time.time(), 0.0))
        return reason

    def fallback_answer(self) -> str:
        """An answer in plain words made of the last good result, for when the model wrote none."""
        found = self._last_success
        if found is None:
            return FALLBACK_NOTHING
        result = cut(in_words(found), MAX_FALLBACK_CHARS)
        return FALLBACK_RESULT.format(tool=found.name, result=result)

    def _next_index(self, index: int | None) -> int:
        if index is None:
            index = self._started
        self._started = max(self._started, index + 1)
        return index

    def _ended(
        self,
        emit: Emit,
        call_id: str,
        index: int,
        outcome: ToolOutcome,
        thought: str,
        started_at: float,
        seconds: float,
    ) -> None:
        status: StepStatus = "failed" if outcome.error else "completed"
        if not outcome.error:
            self._last_success = outcome
        self.steps.append(
            ReActStep(thought, outcome.name, outcome.arguments, outcome.observation, outcome.error, started_at, seconds)
        )
        emit(
            ToolFinished(
                call_id,
                index,
                outcome.name,
                outcome.arguments,
                status,
                outcome.observation,
                started_at,
                seconds,
                outcome.error,
                outcome.result.data,
            )
        )


def in_words(outcome: ToolOutcome) -> str:
    """A result as a person may read it: its text, then its passages with their markers."""
    cited = [f"{source.quote} [{n}]" for n, source in zip(outcome.markers, outcome.result.sources, strict=True)]
    return "\n".join(part for part in (outcome.result.text, *cited) if part)


def readable(arguments: str | Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments as an object for people; empty when they are not one."""
    try:
        return arguments_of(arguments)
    except InvalidRequest:
        return {}


def canonical(name: str, arguments: str | Mapping[str, Any]) -> tuple[str, bytes]:
    """A key that is equal for equal calls: key order and blanks do not matter."""
    try:
        return name, orjson.dumps(arguments_of(arguments), option=orjson.OPT_SORT_KEYS)
    except (InvalidRequest, orjson.JSONEncodeError):
        return name, str(arguments).strip().encode("utf-8", "surrogatepass")
