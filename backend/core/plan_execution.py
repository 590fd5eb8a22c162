"""Carrying out the steps of a plan: each as soon as what it waits for is there, a few side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from backend.core import prompts
from backend.core.collect import Emit, Meter, all_or_none, collect
from backend.core.findings import Findings, outcome_failed, with_query
from backend.core.json_text import first_object
from backend.core.plan import Step, filled
from backend.core.tool_runs import ToolRuns
from backend.core.toolbox import ToolOutcome, validate
from backend.llm.port import Model, ResponseFormat, Sampling
from backend.models.errors import InvalidRequest, ModelFault, UnsupportedParameter
from backend.models.messages import Event, Message
from backend.models.tools import ToolSpec

MAX_PARALLEL_STEPS = 4
MAX_STRUCTURED_TOKENS = 4_096
"""Room for a structured answer and the thinking some models put in front of it."""


@dataclass(slots=True)
class Structured:
    """Asks a model for JSON of a given schema. Raises what the provider raises, except that a fault of the model
    itself and a provider that knows no schemas come back as an empty text."""

    model: Model
    meter: Meter
    specs: tuple[ToolSpec, ...]

    async def ask(
        self, messages: tuple[Message, ...], name: str, schema: Mapping[str, Any], step: str, emit: Emit
    ) -> str:
        """The text of the answer: to be validated, since a schema is a wish to many models. Tools are named in
        the request for providers that plan without a language model; none may be called."""
        stream = self.model.stream(
            messages,
            tools=self.specs,
            tool_choice="none",
            sampling=Sampling(temperature=0.0, max_tokens=MAX_STRUCTURED_TOKENS, seed=self.model.sampling.seed),
            response_format=ResponseFormat("json_schema", name=name, schema=schema, strict=True),
            step=step,
        )

        def counted(event: Event) -> None:
            self.meter.count(event)
            emit(event)

        try:
            return (await collect(stream, counted)).text
        except (ModelFault, UnsupportedParameter):
            return ""


@dataclass(slots=True)
class StepRunner:
    """Runs steps; results go into `findings` in the order of the plan, whatever the order of their ending."""

    structured: Structured
    tools: ToolRuns
    findings: Findings
    conversation: Sequence[Message]
    native: bool
    _ended: dict[str, asyncio.Event] = field(default_factory=dict)

    async def run(self, steps: Sequence[Step], indices: Mapping[str, int], emit: Emit) -> None:
        """All steps, at most MAX_PARALLEL_STEPS at once; takes as long as the longest chain of dependencies.

        A step whose tool fails is tried once more; one that waits for a failed step fails without running.
        """
        self._ended = {step.id: asyncio.Event() for step in steps}
        gate = asyncio.Semaphore(MAX_PARALLEL_STEPS)
        outcomes: dict[str, ToolOutcome] = {}

        async def one(step: Step) -> None:
            for needed in step.depends_on:
                if needed in self._ended:
                    await self._ended[needed].wait()
            async with gate:
                known = {**self.findings.results, **outcomes}
                outcomes[step.id] = await self._step(step, indices[step.id], known, emit)
            self._ended[step.id].set()

        try:
            await all_or_none(one(step) for step in steps)
        finally:
            # Also when time ran out: what was found is kept.
            for step in steps:
                if step.id in outcomes:
                    self.findings.add(step, outcomes[step.id])

    async def _step(self, step: Step, index: int, known: Mapping[str, ToolOutcome], emit: Emit) -> ToolOutcome:
        failed = outcome_failed(known, step.depends_on)
        if failed is not None:
            reason = f"It needs the result of step {failed}, which failed."
            return self.tools.fail(emit, step.id, step.tool, step.input, reason, index=index)
        given, fits = await self._input(step, known, emit)
        return await self.tools.call(
            emit, step.id, step.tool, given, thought=step.purpose, index=index, again_on_failure=fits
        )

    async def _input(self, step: Step, known: Mapping[str, ToolOutcome], emit: Emit) -> tuple[Mapping[str, Any], bool]:
        """The step's arguments, and whether they fit the tool's schema.

        The model is asked once: when the step depends on others without saying where their results belong, or
        when the planned input does not fit.
        """
        given = filled(step, known)
        problem = self._problem(step.tool, given)
        if (step.depends_on and not step.references) or problem is not None:
            asked = await self._ask_arguments(step, given, problem, known, emit)
            if asked is not None and self._problem(step.tool, asked) is None:
                return asked, True
        return given, problem is None

    def _problem(self, tool: str, given: Mapping[str, Any]) -> str | None:
        try:
            validate(self.tools.toolbox.tools[tool], given)
        except InvalidRequest as error:
            return error.message
        return None

    async def _ask_arguments(
        self, step: Step, draft: Mapping[str, Any], problem: str | None, known: Mapping[str, ToolOutcome], emit: Emit
    ) -> Mapping[str, Any] | None:
        if self.structured.meter.exhausted() is not None:
            return None
        spec = next(each for each in self.structured.specs if each.name == step.tool)
        schema = orjson.dumps(spec.parameters).decode()
        system = prompts.ARGUMENTS_SYSTEM.format(name=spec.name, description=spec.description, schema=schema)
        needed = Findings([(replace(step, id=each), known[each]) for each in step.depends_on])

        def task(query: str) -> str:
            text = prompts.ARGUMENTS_TASK.format(
                query=query, purpose=step.purpose or step.tool, draft=orjson.dumps(draft).decode()
            )
            return text + prompts.ARGUMENTS_PROBLEM.format(problem=problem) if problem else text

        messages = needed.messages(
            system,
            with_query(self.conversation, task),
            native=self.native,
            context_length=self.structured.model.info.context_length,
        )
        text = await self.structured.ask(messages, "tool_arguments", spec.parameters, "arguments", emit)
        return first_object(text)
