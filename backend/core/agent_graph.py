"""The plan-and-execute agent: a LangGraph that plans, runs tools side by side, checks, and plans again if needed.

The graph gathers and checks the findings; the answer is written after it, streamed straight to the caller. So
what is shown has been verified before its first token, and tokens never pass through the graph.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from collections.abc import AsyncGenerator, Hashable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypedDict, cast

import orjson

from backend.core import prompts
from backend.core.agent import ReActStep
from backend.core.collect import TIME_IS_UP, Emit, Meter, interleave, until
from backend.core.findings import Findings, query_of, with_query
from backend.core.json_text import first_object
from backend.core.plan import (
    MAX_STEPS,
    VERIFICATION_SCHEMA,
    PlanProblem,
    Step,
    plan_schema,
    propose_plan,
    read_plan,
    renamed,
)
from backend.core.plan_execution import StepRunner, Structured
from backend.core.react_text import as_plain
from backend.core.react_turns import NativeReader
from backend.core.tool_runs import ToolRuns
from backend.core.toolbox import Toolbox
from backend.llm.port import Model
from backend.models.messages import Event, Finished, Message, ReasoningDelta, StepPlanned, TextDelta
from backend.models.run import RunContext
from backend.models.tools import ToolSpec

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

NODES = ("planning", "tool_selection", "tool_execution", "reasoning", "verification")
MAX_MISSING = 6
MAX_MISSING_CHARS = 300


def create_agent(model: Model, toolbox: Toolbox) -> PlanExecuteAgent:
    return PlanExecuteAgent(model, toolbox)


def warm_up() -> None:
    """Import langgraph (about 0.7 s of CPU), so that the first run does not have to. For a thread after start."""
    importlib.import_module("langgraph.graph")


class PlanState(TypedDict, total=False):
    """What travels through the graph. Results are lists of `{id, tool, input, text, data, error}`."""

    messages: tuple[Message, ...]
    session_id: str | None
    user_id: str
    plan: tuple[Step, ...]
    tools_used: list[str]
    search_results: list[dict[str, Any]]
    rag_context: list[dict[str, Any]]
    data_analysis_results: list[dict[str, Any]]
    other_tool_results: list[dict[str, Any]]
    current_agent: str
    final_output: str
    verification_passed: bool
    iteration_count: int
    max_iterations: int


class Nodes(Protocol):
    """The work of the graph: each node takes the state and returns what it changes."""

    async def planning(self, state: PlanState) -> PlanState: ...
    async def tool_selection(self, state: PlanState) -> PlanState: ...
    async def tool_execution(self, state: PlanState) -> PlanState: ...
    async def reasoning(self, state: PlanState) -> PlanState: ...
    async def verification(self, state: PlanState) -> PlanState: ...
    def goes_on(self, state: PlanState) -> bool:
        """Whether another round is worth planning."""
        ...


def build_graph(nodes: Nodes) -> CompiledStateGraph[Any, Any, Any, Any]:
    """The graph over these nodes. Compiling costs about a millisecond, so each run has its own."""
    from langgraph.graph import END, START, StateGraph

    def after_verification(state: PlanState) -> str:
        return "again" if nodes.goes_on(state) else "done"

    graph = StateGraph(PlanState)
    for name in NODES:
        graph.add_node(name, getattr(nodes, name))
    graph.add_edge(START, NODES[0])
    for here, there in pairwise(NODES):
        graph.add_edge(here, there)
    ways: dict[Hashable, str] = {"again": "planning", "done": END}
    graph.add_conditional_edges("verification", after_verification, ways)
    return graph.compile()


def recursion_limit(rounds: int) -> int:
    """Graph steps that `rounds` rounds take at most, and one more for the end."""
    return len(NODES) * max(1, rounds) + 1


@dataclass(slots=True)
class _Run:
    """One run: the nodes' work and what they share. Implements Nodes."""

    model: Model
    toolbox: Toolbox
    context: RunContext
    conversation: tuple[Message, ...]
    meter: Meter
    tools: ToolRuns
    specs: tuple[ToolSpec, ...]
    findings: Findings = field(default_factory=Findings)
    state: PlanState = field(default_factory=PlanState)
    out_of_time: bool = False
    emit: Emit = field(default=lambda _event: None)
    missing: tuple[str, ...] = ()
    _indices: dict[str, int] = field(default_factory=dict)
    _selected: tuple[Step, ...] = ()
    _verified: bool = False
    """The latest verification could be read, so that its outcome may steer."""

    @property
    def native(self) -> bool:
        return "tools" in self.model.info.capabilities

    @property
    def structured(self) -> Structured:
        return Structured(self.model, self.meter, self.specs)

    async def gather(self, emit: Emit) -> None:
        """Drive the graph until the findings suffice, or the time for gathering is over."""
        from langsmith import tracing_context

        self.emit = emit
        self.state = PlanState(
            messages=self.conversation,
            session_id=self.context.session_id,
            user_id=self.context.owner.user,
            plan=(),
            tools_used=[],
            current_agent="",
            final_output="",
            verification_passed=False,
            iteration_count=0,
            max_iterations=max(1, self.context.budget.plan_rounds),
        )
        self.state.update(_sorted(self.findings))
        limit = {"recursion_limit": recursion_limit(self.context.budget.plan_rounds)}
        try:
            # An environment variable could send every state to a tracing service: here nothing leaves the machine.
            with tracing_context(enabled=False):
                async with asyncio.timeout(self.context.seconds_left() - self.meter.reserve_s):
                    final = await build_graph(self).ainvoke(self.state, limit)  # type: ignore[call-overload]
            self.state = cast(PlanState, final)
        except TimeoutError:
            self.out_of_time = True
            self.state.update(_sorted(self.findings))

    # ---- nodes ----------------------------------------------------------------------------------

    async def planning(self, state: PlanState) -> PlanState:
        """Decide on steps: by the model, after one correction by the tools' own proposals."""
        steps = await self._plan() if self.toolbox.tools else ()
        return PlanState(plan=steps, iteration_count=state["iteration_count"] + 1, current_agent="planning")

    async def tool_selection(self, state: PlanState) -> PlanState:
        """Keep the steps that are new and within the budget, and announce them."""
        self._selected = self._within_budget(self._new_steps(state["plan"]))
        self._announce()
        used = dict.fromkeys([*state["tools_used"], *(step.tool for step in self._selected)])
        return PlanState(plan=self._selected, tools_used=list(used), current_agent="tool_selection")

    async def tool_execution(self, state: PlanState) -> PlanState:
        """Run the selected steps."""
        runner = StepRunner(self.structured, self.tools, self.findings, self._spoken(), self.native)
        await runner.run(self._selected, self._indices, self.emit)
        return PlanState(current_agent="tool_execution")

    async def reasoning(self, state: PlanState) -> PlanState:
        """Put together what is known after this round."""
        known = _sorted(self.findings)
        known["current_agent"] = "reasoning"
        return known

    async def verification(self, state: PlanState) -> PlanState:
        """Do the findings answer every part of the question? What does not, steers the next round."""
        self._verified = False
        if self._selected and self.meter.exhausted() is None:
            await self._verify()
        elif not self.findings.taken:
            self.missing = ()
        return PlanState(verification_passed=not self.missing, current_agent="verification")

    def goes_on(self, state: PlanState) -> bool:
        return (
            self._verified
            and bool(self.missing)
            and state["iteration_count"] < state["max_iterations"]
            and self.meter.exhausted() is None
            and self.meter.tools_exhausted() is None
        )

    # ---- planning -------------------------------------------------------------------------------

    async def _plan(self) -> tuple[Step, ...]:
        names, taken = list(self.toolbox.tools), {*self._indices, *self.findings.results}
        schema = plan_schema(names)
        messages = self._plan_messages(schema)
        for _ in range(2):
            text = await self.structured.ask(messages, "plan", schema, "plan", self.emit)
            try:
                return renamed(read_plan(text, names, self.findings.results), taken)
            except PlanProblem as problem:
                said = (Message("assistant", text),) if text.strip() else ()
                correction = Message("user", prompts.PLAN_CORRECTION.format(problem=problem))
                messages = (*messages, *said, correction)
            if self.meter.exhausted() is not None:
                break
        query = "\n".join(self.missing) or query_of(self.conversation)
        return renamed(propose_plan(query, self.specs), taken)

    def _plan_messages(self, schema: dict[str, Any]) -> tuple[Message, ...]:
        next_id = len(self._indices) + 1
        ids = prompts.PLAN_IDS_NEXT.format(next=next_id) if self._indices else prompts.PLAN_IDS_FIRST
        system = prompts.PLAN_SYSTEM.format(
            date=prompts.today(),
            documents=prompts.documents_line(self.context),
            tools=prompts.listed(self.specs),
            schema=orjson.dumps(schema).decode(),
            limit=MAX_STEPS,
            ids=ids,
        )
        conversation: Sequence[Message] = self._spoken()
        if self.missing:
            missing = "\n".join(f"- {each}" for each in self.missing)
            conversation = with_query(
                conversation, lambda query: prompts.PLAN_MISSING.format(query=query, missing=missing)
            )
        return self._messages(system, conversation)

    # ---- selection ------------------------------------------------------------------------------

    def _new_steps(self, plan: Sequence[Step]) -> list[Step]:
        """Steps whose call was not made before; a repeated one that others wait for shares the earlier result."""
        new: list[Step] = []
        for step in plan:
            done = self.findings.keys.get(step.key)
            if done is not None:
                self.findings.results[step.id] = self.findings.results[done]
                continue
            waited_for = any(step.id in other.depends_on for other in plan)
            if waited_for or all(step.key != other.key for other in new):
                new.append(step)
        return new

    def _within_budget(self, steps: Sequence[Step]) -> tuple[Step, ...]:
        room = self.context.budget.tool_calls - self.meter.tool_calls
        kept = list(steps[: max(0, room)])
        while True:
            ids = {step.id for step in kept} | self.findings.results.keys()
            possible = [step for step in kept if ids.issuperset(step.depends_on)]
            if len(possible) == len(kept):
                return tuple(kept)
            kept = possible

    def _announce(self) -> None:
        if not self._selected:
            return
        lines = [f"{n}. {step.purpose or step.tool} ({step.tool})" for n, step in enumerate(self._selected, 1)]
        self.emit(ReasoningDelta(prompts.PLAN_IN_WORDS.format(steps="\n".join(lines))))
        for step in self._selected:
            index = self._indices.setdefault(step.id, len(self._indices))
            self.emit(StepPlanned(step.id, index, step.tool, step.input, step.depends_on, step.purpose))

    # ---- verification ---------------------------------------------------------------------------

    async def _verify(self) -> None:
        system = prompts.VERIFY_SYSTEM.format(schema=orjson.dumps(VERIFICATION_SCHEMA).decode())
        messages = self._messages(system, self._spoken())
        text = await self.structured.ask(messages, "verification", VERIFICATION_SCHEMA, "verify", self.emit)
        verdict = first_object(text)
        self.missing = ()
        if verdict is None or not isinstance(verdict.get("passed"), bool):
            return
        self._verified = True
        named = verdict.get("missing")
        if verdict["passed"] or not isinstance(named, list):
            return
        told = [" ".join(str(each).split())[:MAX_MISSING_CHARS] for each in named[:MAX_MISSING]]
        self.missing = tuple(each for each in told if each)
        if self.missing:
            self.emit(ReasoningDelta(prompts.REPLAN_IN_WORDS.format(missing="; ".join(self.missing))))

    # ---- answer ---------------------------------------------------------------------------------

    def answer_messages(self) -> tuple[Message, ...]:
        """What the answer is written from: the conversation, every result, and what they do not cover."""
        system = prompts.PLAN_ANSWER_SYSTEM.format(rules=prompts.answer_rules(self.context))
        note = prompts.NOT_COVERED.format(missing="; ".join(self.missing)) if self.missing else ""
        return self._messages(system, self._spoken(), note)

    def _messages(self, system: str, conversation: Sequence[Message], note: str = "") -> tuple[Message, ...]:
        window = self.model.info.context_length
        return self.findings.messages(system, conversation, native=self.native, note=note, context_length=window)

    def _spoken(self) -> Sequence[Message]:
        return self.conversation if self.native else as_plain(self.conversation)


class PlanExecuteAgent:
    """Plan, run the steps side by side, check the findings, at most `budget.plan_rounds` times; then answer.

    A failing tool is recorded and the answer goes on without it; a model provider's error is raised. One instance
    serves one run.
    """

    name: ClassVar[str] = "plan_execute"
    when_to_use: ClassVar[str] = (
        "Several independent pieces can be worked on side by side, or a comprehensive request needs many tools."
    )

    def __init__(self, model: Model, toolbox: Toolbox) -> None:
        self._model = model
        self._toolbox = toolbox
        self._run: _Run | None = None

    @property
    def state(self) -> PlanState:
        """The graph's state after the run; `final_output` is the answer."""
        return self._run.state if self._run is not None else PlanState()

    def get_trace(self) -> Sequence[ReActStep]:
        """The tool calls so far; valid during and after the run."""
        return tuple(self._run.tools.steps) if self._run is not None else ()

    async def run(self, messages: Sequence[Message], context: RunContext) -> AsyncGenerator[Event, None]:
        """See Agent.run. Closing the generator cancels the graph, its model call and its running tools."""
        meter = Meter(context)
        tools = ToolRuns(self._toolbox, meter)
        run = _Run(self._model, self._toolbox, context, tuple(messages), meter, tools, self._toolbox.specs())
        self._run = run
        if "langgraph.graph" not in sys.modules:
            await asyncio.to_thread(warm_up)
        async with aclosing(interleave([run.gather])) as events:
            async for event in events:
                yield event
        async with aclosing(self._answer(run)) as events:
            async for event in events:
                yield event

    async def _answer(self, run: _Run) -> AsyncGenerator[Event, None]:
        """Write the answer from the findings, streamed; in plain words from the results if the model cannot."""
        messages = run.answer_messages()
        detail = TIME_IS_UP if run.out_of_time else None
        for _ in range(2):
            spent = run.meter.exhausted()
            if spent is not None:
                detail = spent
                break
            reader = NativeReader("")
            try:
                async with aclosing(until(self._model.stream(messages), run.context.deadline)) as events:
                    async for event in events:
                        run.meter.count(event)
                        for out in reader.feed(event):
                            yield out
            except TimeoutError:
                detail = TIME_IS_UP
            reader.close()
            if reader.turn.answer:
                run.state["final_output"] = reader.turn.answer
                yield _finished(reader, run, detail)
                return
            messages = (*messages, Message("user", prompts.EMPTY_ANSWER))
        run.state["final_output"] = run.findings.in_words()
        yield TextDelta(run.state["final_output"])
        yield Finished("length", detail or "The model wrote no answer.")


def _sorted(findings: Findings) -> PlanState:
    """The results so far, by kind."""
    found = findings.as_state()
    return PlanState(
        search_results=found["search_results"],
        rag_context=found["rag_context"],
        data_analysis_results=found["data_analysis_results"],
        other_tool_results=found["other_tool_results"],
    )


def _finished(reader: NativeReader, run: _Run, detail: str | None) -> Finished:
    if detail is not None:
        return Finished("length", detail)
    own = reader.turn.finished
    uncovered = f"Not covered by the results: {'; '.join(run.missing)}." if run.missing else None
    if own is None or own.reason == "tool_calls":
        return Finished("stop", uncovered)
    return Finished(own.reason, own.detail or uncovered)
