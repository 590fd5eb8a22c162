"""One run of the plan-and-execute agent: what its nodes do, and what they know of each other's work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import orjson

from backend.core import prompts
from backend.core.checkpoint import caller_call_id
from backend.core.collect import TIME_IS_UP, Emit, Meter
from backend.core.findings import Findings
from backend.core.plan import Step
from backend.core.plan_execution import Request, StepRunner
from backend.core.plan_rounds import VERIFICATION_SCHEMA, Rounds, Verdict, read_verdict
from backend.core.plan_state import PlanState
from backend.core.planning import Planner
from backend.core.react_text import as_plain
from backend.core.structured import Structured
from backend.core.tool_runs import ToolRuns
from backend.core.toolbox import Toolbox, ToolOutcome
from backend.llm.port import Model
from backend.models.messages import Event, Message, ReasoningDelta, StepPlanned
from backend.models.run import RunContext
from backend.models.tools import ToolSpec

PLANNING_SHARE = 0.4
"""Share of the time left that making one round's plan may take; the tools then still have their turn."""
VERIFICATION_SHARE = 0.25


def _unheard(_event: Event) -> None:
    """Nobody is listening yet."""


@dataclass(slots=True)
class PlanRun:
    """One run's work and memory. Implements Nodes; every node ends in its share of the time and by cancellation."""

    model: Model
    toolbox: Toolbox
    context: RunContext
    conversation: tuple[Message, ...]
    meter: Meter
    tools: ToolRuns
    specs: tuple[ToolSpec, ...]
    findings: Findings = field(default_factory=Findings)
    rounds: Rounds = field(default_factory=Rounds)
    state: PlanState = field(default_factory=PlanState)
    emit: Emit = _unheard
    plan: tuple[Step, ...] = ()
    """The steps of this round that are new and within the budget."""
    left: tuple[Step, ...] = ()
    """Those of them that wait for the caller."""
    waiting: dict[str, Request] = field(default_factory=dict)
    """What the caller is to run, by call id."""
    arrived: Mapping[str, str] | None = None
    """What the caller sent for it, by call id; None in a run that has not been paused."""
    calls: int = 0
    """Calls of the caller's tools so far: they number the call ids."""
    indices: dict[str, int] = field(default_factory=dict)
    """Steps announced so far by id, counted over the whole run."""
    stopped: str | None = None
    """The budget that ended the gathering before its end, in words."""
    undone: tuple[str, ...] = ()
    """What the steps were for that a budget left no room for."""
    _again: bool = False

    def start(self) -> PlanState:
        """The state in which the graph begins."""
        self.state = (
            PlanState(
                messages=self.conversation,
                session_id=self.context.session_id,
                user_id=self.context.owner.user,
                plan=self.left,
                tools_used=list(dict.fromkeys(step.tool for step, _ in self.findings.taken)),
                current_agent="",
                final_output="",
                verification_passed=False,
                iteration_count=0,
                max_iterations=max(1, self.context.budget.plan_rounds),
            )
            | self.state
        )
        self.state.update(self.known())
        return self.state

    def known(self) -> PlanState:
        """The results so far, by kind."""
        found = self.findings.as_state()
        return PlanState(
            search_results=found["search_results"],
            rag_context=found["rag_context"],
            data_analysis_results=found["data_analysis_results"],
            other_tool_results=found["other_tool_results"],
        )

    # ---- ways through the graph -----------------------------------------------------------------

    def begins(self) -> Literal["new", "resumed"]:
        return "new" if self.arrived is None else "resumed"

    def executed(self) -> Literal["done", "waits"]:
        return "waits" if self.waiting else "done"

    def verified(self) -> Literal["again", "done"]:
        return "again" if self._again else "done"

    # ---- nodes ----------------------------------------------------------------------------------

    async def planning(self, state: PlanState) -> PlanState:
        """Decide on steps."""
        steps: tuple[Step, ...] = ()
        if self.toolbox.names:
            missing, failed = self.rounds.missing(self.findings), self._failed()
            planner = Planner(
                self._structured(), self.context, self.spoken, self.findings, self.native, missing, failed
            )
            steps = await planner.steps(tuple(self.indices), self._seconds() * PLANNING_SHARE, self.emit)
        return PlanState(plan=steps, iteration_count=state["iteration_count"] + 1, current_agent="planning")

    async def tool_selection(self, state: PlanState) -> PlanState:
        """Keep the steps that are new and within the budget, and announce them."""
        new = self._new_steps(state["plan"])
        self.plan = self.left = self._within_budget(new)
        self.undone = tuple(step.purpose or step.tool for step in new if step not in self.plan)
        self._announce()
        used = dict.fromkeys([*state["tools_used"], *(step.tool for step in self.plan)])
        return PlanState(plan=self.plan, tools_used=list(used), current_agent="tool_selection")

    async def tool_execution(self, state: PlanState) -> PlanState:
        """Run the selected steps, as far as they can be run without the caller."""
        until = time.monotonic() + self._seconds()
        runner = StepRunner(
            self._structured(), self.tools, self.findings, self.spoken, self.native, self.indices, self.emit, until
        )
        for call_id, request in self.waiting.items():
            runner.take_result(request, (self.arrived or {}).get(call_id))
        self.waiting = {}
        try:
            async with asyncio.timeout(self._seconds()):
                requests, self.left = await runner.run(self.left)
        except TimeoutError:
            self.stopped, self.left = TIME_IS_UP, ()
            ended = self.findings.results
            self.undone += tuple(step.purpose or step.tool for step in self.plan if step.id not in ended)
        else:
            self.waiting = {self._next_call_id(): request for request in requests}
        return PlanState(current_agent="tool_execution")

    async def reasoning(self, state: PlanState) -> PlanState:
        """Put together what is known after this round."""
        known = self.known()
        known["current_agent"] = "reasoning"
        return known

    async def verification(self, state: PlanState) -> PlanState:
        """Do the findings answer every part of the question? What does not, steers the next round."""
        missing: tuple[str, ...] = ()
        if self.plan:
            verdict = await self._verdict()
            self.rounds.verdicts.append(verdict)
            missing = verdict.missing
            if missing:
                self.emit(ReasoningDelta(prompts.REPLAN_IN_WORDS.format(missing="; ".join(missing))))
            if self.undone and (missing or not verdict.checked):
                self._stop(f"The run's budget of {self.meter.allowed_calls} tool calls was used up.")
        self._again = self._goes_on(state, missing)
        passed = not self.rounds.missing(self.findings)
        return PlanState(verification_passed=passed, current_agent="verification")

    # ---- selection ------------------------------------------------------------------------------

    def _new_steps(self, plan: Sequence[Step]) -> list[Step]:
        """Steps whose call was not made before. A repeated one that others wait for shares the earlier result; one
        that failed before is refused, and what waits for it goes with it."""
        new: list[Step] = []
        for step in plan:
            done = self.findings.keys.get(step.key)
            if done is not None and self.findings.results[done].error:
                given = orjson.dumps(step.input).decode()
                self.tools.refuse(step.tool, given, step.purpose, prompts.PLAN_REPEATS_A_FAILURE)
                continue
            if done is not None:
                self.findings.results[step.id] = self.findings.results[done]
                continue
            waited_for = any(step.id in other.depends_on for other in plan)
            if waited_for or all(step.key != other.key for other in new):
                new.append(step)
        return self._possible(new)

    def _within_budget(self, steps: Sequence[Step]) -> tuple[Step, ...]:
        return tuple(self._possible(steps[: self.meter.calls_left]))

    def _possible(self, steps: Sequence[Step]) -> list[Step]:
        """The steps, without those that wait for one that is neither among them nor done."""
        kept = list(steps)
        while True:
            ids = {step.id for step in kept} | self.findings.results.keys()
            possible = [step for step in kept if ids.issuperset(step.depends_on)]
            if len(possible) == len(kept):
                return kept
            kept = possible

    def _announce(self) -> None:
        if not self.plan:
            return
        lines = [f"{n}. {step.purpose or step.tool} ({step.tool})" for n, step in enumerate(self.plan, 1)]
        self.emit(ReasoningDelta(prompts.PLAN_IN_WORDS.format(steps="\n".join(lines))))
        for step in self.plan:
            index = self.indices.setdefault(step.id, len(self.indices))
            self.emit(StepPlanned(step.id, index, step.tool, step.input, step.depends_on, step.purpose))

    # ---- verification ---------------------------------------------------------------------------

    async def _verdict(self) -> Verdict:
        taken = len(self.findings.taken)
        if not self._room_for_a_check():
            self._stop(self.meter.exhausted() or self.meter.tools_exhausted())
            return Verdict((), taken, checked=False)
        system = prompts.VERIFY_SYSTEM.format(schema=orjson.dumps(VERIFICATION_SCHEMA).decode())
        messages = self.messages(system, self.findings)
        seconds = self._seconds() * VERIFICATION_SHARE
        text = await self._structured().ask(messages, "verification", VERIFICATION_SCHEMA, "verify", self.emit, seconds)
        return read_verdict(text, taken)

    def _room_for_a_check(self) -> bool:
        """Whether a check leaves enough for the answer, which costs about what the call before it cost."""
        if self.stopped is not None or self._seconds() <= 0 or self.meter.exhausted() is not None:
            return False
        return not self.meter.tokens or self.meter.tokens + self.meter.last_prompt < self.context.budget.tokens

    def _goes_on(self, state: PlanState, missing: Sequence[str]) -> bool:
        """Whether to plan again: for what is missing, and around what failed even if the rest passed."""
        failed = self._failed()
        if self.stopped is not None or not (missing or failed):
            return False
        reason = self.meter.exhausted() or self.meter.tools_exhausted()
        if reason is None and state["iteration_count"] >= state["max_iterations"]:
            reason = f"The limit of {state['max_iterations']} rounds of planning was reached."
        if reason is None:
            if not missing:
                names = ", ".join(dict.fromkeys(step.tool for step, _ in failed))
                self.emit(ReasoningDelta(prompts.AROUND_IN_WORDS.format(failed=names)))
            return True
        if self.rounds.missing(self.findings):
            self._stop(reason)
        return False

    def _failed(self) -> list[tuple[Step, ToolOutcome]]:
        """The steps of this round that failed, those that waited for them among them."""
        results = self.findings.results
        return [(step, results[step.id]) for step in self.plan if step.id in results and results[step.id].error]

    def _stop(self, reason: str | None) -> None:
        self.stopped = self.stopped or reason

    # ---- what is shared -------------------------------------------------------------------------

    @property
    def native(self) -> bool:
        return "tools" in self.model.info.capabilities

    @property
    def spoken(self) -> Sequence[Message]:
        return self.conversation if self.native else as_plain(self.conversation)

    @property
    def uncovered(self) -> tuple[str, ...]:
        """What the answer has to admit: what the best round misses, else what a budget left undone."""
        return self.rounds.missing(self.findings) or (self.undone if self.stopped is not None else ())

    def answer_messages(self) -> tuple[Message, ...]:
        """What the answer is written from: the conversation, the results, and what they do not cover."""
        system = prompts.PLAN_ANSWER_SYSTEM.format(rules=prompts.answer_rules(self.context))
        note = prompts.NOT_COVERED.format(missing="; ".join(self.uncovered)) if self.uncovered else ""
        return self.messages(system, self.rounds.worth_telling(self.findings), note)

    def messages(self, system: str, findings: Findings, note: str = "") -> tuple[Message, ...]:
        window = self.model.info.context_length
        return findings.messages(system, self.spoken, native=self.native, note=note, context_length=window)

    def _structured(self) -> Structured:
        return Structured(self.model, self.meter, self.specs)

    def _seconds(self) -> float:
        """Time left for gathering: what is kept back for the answer is not counted."""
        return self.context.seconds_left() - self.meter.reserve_s

    def _next_call_id(self) -> str:
        self.calls += 1
        return caller_call_id(self.context.run_id, self.calls - 1)
