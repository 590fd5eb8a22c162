"""Carrying out the steps of a plan: each as soon as what it waits for is there, a few side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from backend.core import prompts
from backend.core.agent import ReActStep
from backend.core.bounds import bounded_data, cut
from backend.core.collect import Emit, Meter, all_or_none
from backend.core.findings import Findings, outcome_failed, with_query
from backend.core.json_text import first_object
from backend.core.plan import Step, filled, sendable
from backend.core.schema_fit import fitted
from backend.core.structured import Structured
from backend.core.tool_runs import ToolRuns
from backend.core.toolbox import MAX_OBSERVATION_CHARS, ToolOutcome, validate
from backend.models.errors import InvalidRequest
from backend.models.messages import Message, StepStatus, ToolFinished, ToolStarted
from backend.models.tools import ToolResult, ToolSpec
from backend.utils.untrusted import fenced

MAX_PARALLEL_STEPS = 4
ARGUMENTS_SHARE = 0.25
"""Share of the time left for the tools that writing one step's input may take."""


@dataclass(frozen=True, slots=True)
class Request:
    """A step that only the caller can carry out, with its input filled in. `at` in seconds since the epoch."""

    step: Step
    arguments: Mapping[str, Any]
    at: float


@dataclass(slots=True)
class StepRunner:
    """Runs steps; results go into `findings` in the order of the plan, whatever the order of their ending."""

    structured: Structured
    tools: ToolRuns
    findings: Findings
    conversation: Sequence[Message]
    native: bool
    indices: Mapping[str, int]
    emit: Emit
    until: float
    """When the time for the tools is over, by `time.monotonic()`."""
    _ended: dict[str, asyncio.Event] = field(default_factory=dict)

    @property
    def meter(self) -> Meter:
        return self.tools.meter

    async def run(self, steps: Sequence[Step]) -> tuple[tuple[Request, ...], tuple[Step, ...]]:
        """Run what can be run here; takes as long as the longest chain of dependencies.

        Returns what the caller has to run before anything else can happen, and the steps that wait for that; both
        are empty when all is done. A step whose tool fails is tried once more, unless that cannot help; one that
        waits for a failed step fails without running.
        """
        left = list(steps)
        while left:
            held = _held(left, self.tools.toolbox.caller)
            await self._run_here([step for step in left if step.id not in held])
            left = [step for step in left if step.id in held]
            requests = await self._requests(left)
            if not self.structured.model.parallel_tool_calls:
                requests = requests[:1]
            left = [step for step in left if step.id not in self.findings.results]
            if requests:
                asked = {request.step.id for request in requests}
                return requests, tuple(step for step in left if step.id not in asked)
        return (), ()

    def take_result(self, request: Request, text: str | None) -> None:
        """Record what the caller sent for a request; None: nothing came. The text is anybody's, so it is quoted."""
        step, name = request.step, request.step.tool
        seconds = max(0.0, time.time() - request.at)
        if text is None:
            result = ToolResult("", error=prompts.NO_CALLER_RESULT)
            observation = f"Error: {prompts.NO_CALLER_RESULT}"
        else:
            kept = cut(text, MAX_OBSERVATION_CHARS)
            result = ToolResult(kept, _as_data(text))
            observation = fenced(kept or "(no output)", name, self.meter.context.fence)
        outcome = ToolOutcome(name, request.arguments, result, observation, request.at, seconds)
        self._record(step, outcome)
        self.findings.add(step, outcome)

    def _record(self, step: Step, outcome: ToolOutcome) -> None:
        """What a tool of ours would have left behind: its pair of events, and its place in the trace."""
        index, name, given, started_at = self.indices[step.id], outcome.name, outcome.arguments, outcome.started_at
        status: StepStatus = "failed" if outcome.error else "completed"
        text, error, seconds = outcome.observation, outcome.error, outcome.seconds
        self.tools.steps.append(ReActStep(step.purpose, name, given, text, error, started_at, seconds))
        self.emit(ToolStarted(step.id, index, name, given, started_at))
        data = outcome.result.data
        self.emit(ToolFinished(step.id, index, name, given, status, text, started_at, seconds, error, data))

    # ---- steps of this server -------------------------------------------------------------------

    async def _run_here(self, steps: Sequence[Step]) -> None:
        self._ended = {step.id: asyncio.Event() for step in steps}
        gate = asyncio.Semaphore(MAX_PARALLEL_STEPS)
        outcomes: dict[str, tuple[ToolOutcome, bool]] = {}

        async def one(step: Step) -> None:
            for needed in step.depends_on:
                if needed in self._ended:
                    await self._ended[needed].wait()
            async with gate:
                known = {**self.findings.results, **{each: outcome for each, (outcome, _) in outcomes.items()}}
                outcomes[step.id] = await self._step(step, known)
            self._ended[step.id].set()

        try:
            await all_or_none(one(step) for step in steps)
        finally:
            # Also when time ran out: what was found is kept.
            for step in steps:
                if step.id in outcomes:
                    outcome, made = outcomes[step.id]
                    self.findings.add(step, outcome, made=made)

    async def _step(self, step: Step, known: Mapping[str, ToolOutcome]) -> tuple[ToolOutcome, bool]:
        """What the step came to, and whether its call was made."""
        failed = outcome_failed(known, step.depends_on)
        if failed is not None:
            return self._not_made(step, f"It needs the result of step {failed}, which failed."), False
        given, problem = await self._input(step, known)
        if not self.meter.calls_left:
            return self._not_made(step, prompts.NO_MORE_CALLS), False
        outcome = await self.tools.call(
            self.emit,
            step.id,
            step.tool,
            given,
            thought=step.purpose,
            index=self.indices[step.id],
            again_on_failure=problem is None,
        )
        return outcome, True

    def _not_made(self, step: Step, reason: str) -> ToolOutcome:
        return self.tools.fail(self.emit, step.id, step.tool, step.input, reason, index=self.indices[step.id])

    # ---- steps of the caller --------------------------------------------------------------------

    async def _requests(self, steps: Sequence[Step]) -> tuple[Request, ...]:
        """The caller's steps that can be asked for now; those that cannot be carried out are recorded as failed."""
        requests: list[Request] = []
        for step in steps:
            if step.tool not in self.tools.toolbox.caller:
                continue
            failed = outcome_failed(self.findings.results, step.depends_on)
            if failed is not None and failed not in self.findings.results:
                continue
            if failed is not None:
                self._refuse(step, f"It needs the result of step {failed}, which failed.", made=False)
                continue
            given, problem = await self._input(step, self.findings.results)
            if problem is not None:
                self._refuse(step, problem, made=True)
            elif not self.meter.calls_left:
                self._refuse(step, prompts.NO_MORE_CALLS, made=False)
            else:
                self.meter.tool_calls += 1
                requests.append(Request(step, given, time.time()))
        return tuple(requests)

    def _refuse(self, step: Step, reason: str, *, made: bool) -> None:
        self.findings.add(step, self._not_made(step, reason), made=made)

    # ---- inputs ---------------------------------------------------------------------------------

    async def _input(self, step: Step, known: Mapping[str, ToolOutcome]) -> tuple[Mapping[str, Any], str | None]:
        """The step's arguments, and why they do not fit the tool's schema (None when they do).

        The model is asked once: when the step depends on others without saying where their results belong, or
        when the planned input does not fit.
        """
        given, problem = self._fitted(step.tool, filled(step, known))
        if (step.depends_on and not step.references) or problem is not None:
            asked = await self._ask_arguments(step, given, problem, known)
            if asked is not None:
                mended, still = self._fitted(step.tool, asked)
                if still is None:
                    return mended, None
        return given, problem

    def _fitted(self, tool: str, given: Mapping[str, Any]) -> tuple[Mapping[str, Any], str | None]:
        """The input, put right as far as the caller needs it, and why it does not fit."""
        toolbox = self.tools.toolbox
        try:
            if tool in toolbox.caller:
                return fitted(given, toolbox.caller[tool].parameters), None
            if tool in toolbox.tools:
                validate(toolbox.tools[tool], given)
        except InvalidRequest as error:
            return given, error.message
        # A plan that was paused may name a tool that is gone: calling it says so.
        return given, None

    async def _ask_arguments(
        self, step: Step, draft: Mapping[str, Any], problem: str | None, known: Mapping[str, ToolOutcome]
    ) -> Mapping[str, Any] | None:
        spec = next((each for each in self.structured.specs if each.name == step.tool), None)
        if spec is None or self.meter.exhausted() is not None:
            return None
        needed = Findings([(replace(step, id=each), known[each]) for each in step.depends_on])
        messages = needed.messages(
            _arguments_system(spec),
            with_query(self.conversation, lambda query: _arguments_task(query, step, draft, problem)),
            native=self.native,
            context_length=self.structured.model.info.context_length,
        )
        seconds = (self.until - time.monotonic()) * ARGUMENTS_SHARE
        text = await self.structured.ask(messages, "tool_arguments", spec.parameters, "arguments", self.emit, seconds)
        found = first_object(text or "")
        return found if found is not None and sendable(found) else None


def _arguments_system(spec: ToolSpec) -> str:
    schema = orjson.dumps(spec.parameters).decode()
    return prompts.ARGUMENTS_SYSTEM.format(name=spec.name, description=spec.description, schema=schema)


def _arguments_task(query: str, step: Step, draft: Mapping[str, Any], problem: str | None) -> str:
    text = prompts.ARGUMENTS_TASK.format(
        query=query, purpose=step.purpose or step.tool, draft=orjson.dumps(draft).decode()
    )
    return text + prompts.ARGUMENTS_PROBLEM.format(problem=problem) if problem else text


def _held(steps: Sequence[Step], caller: Iterable[str]) -> set[str]:
    """Ids of the steps that are the caller's to run, and of all that wait for them."""
    theirs = set(caller)
    held = {step.id for step in steps if step.tool in theirs}
    while True:
        more = {step.id for step in steps if step.id not in held and not held.isdisjoint(step.depends_on)}
        if not more:
            return held
        held |= more


def _as_data(text: str) -> Any:
    """The object or list a caller's result is, so that single fields can be referred to; else None."""
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return bounded_data(orjson.loads(text))
    except orjson.JSONDecodeError:
        return None
