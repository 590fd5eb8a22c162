"""The tool calls of one run: numbered, announced, counted and remembered for the trace."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from backend.core.agent import ReActStep
from backend.core.bounds import cut
from backend.core.collect import Emit, Meter
from backend.core.prompts import FALLBACK_BECAUSE, FALLBACK_NOTHING, FALLBACK_RESULT, FALLBACK_RESULTS
from backend.core.toolbox import MAX_NAME_CHARS, Toolbox, ToolOutcome, arguments_of
from backend.models.errors import InvalidRequest
from backend.models.messages import StepStatus, ToolFinished, ToolStarted
from backend.models.tools import ToolResult

MAX_FALLBACK_CHARS = 1_500
MAX_FALLBACK_RESULTS = 3
CANCELLED = "The call was cancelled before it ended."


@dataclass(slots=True)
class ToolRuns:
    """Calls tools through the toolbox, emitting ToolStarted and ToolFinished around each."""

    toolbox: Toolbox
    meter: Meter
    steps: list[ReActStep] = field(default_factory=list)
    """Calls that ended, in the order of their ending; refused ones among them."""
    found: list[tuple[str, str]] = field(default_factory=list)
    """Tool and words of the newest good results, for an answer that the model does not write."""
    started: int = 0

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
        tried once more, within the same pair of events, if that can help and budget is left.
        """
        given, started_at, clock = readable(arguments), time.time(), time.perf_counter()
        name = name[:MAX_NAME_CHARS]
        index = self._next_index(index)
        emit(ToolStarted(call_id, index, name, given, started_at))
        try:
            self.meter.tool_calls += 1
            outcome = await self.toolbox.call(name, arguments)
            again = again_on_failure and not outcome.permanent and self.meter.tools_exhausted() is None
            if outcome.error and again:
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
        self.steps.append(
            ReActStep(thought, name[:MAX_NAME_CHARS], readable(arguments), reason, "refused", time.time(), 0.0)
        )
        return reason

    def told(self, name: str, arguments: str, thought: str, observation: str, words: str) -> None:
        """Note a call that the caller has run: what the model sees of its result, and the result itself."""
        self.steps.append(ReActStep(thought, name, readable(arguments), observation, None, time.time(), 0.0))
        self._keep(name, words)

    def fallback_answer(self, reason: str = "") -> str:
        """An answer in plain words made of the last good results, for when the model wrote none.

        `reason` is a sentence saying why it did not; it stands in front.
        """
        if not self.found:
            answer = FALLBACK_NOTHING
        elif len(self.found) == 1:
            answer = FALLBACK_RESULT.format(tool=self.found[0][0], result=self.found[0][1])
        else:
            answer = FALLBACK_RESULTS.format(results="\n\n".join(f"{tool}: {words}" for tool, words in self.found))
        return FALLBACK_BECAUSE.format(reason=reason, answer=answer) if reason else answer

    def _keep(self, name: str, words: str) -> None:
        self.found = [*self.found, (name, cut(words, MAX_FALLBACK_CHARS))][-MAX_FALLBACK_RESULTS:]

    def _next_index(self, index: int | None) -> int:
        if index is None:
            index = self.started
        self.started = max(self.started, index + 1)
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
            self._keep(outcome.name, in_words(outcome))
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
                outcome.result.files,
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


def fingerprint(name: str, arguments: str | Mapping[str, Any]) -> str:
    """`canonical` in 32 characters, to be kept over a pause."""
    return hashlib.blake2b(
        b"\0".join((name.encode("utf-8", "replace"), canonical(name, arguments)[1])), digest_size=16
    ).hexdigest()
