"""The plan-and-execute agent: a LangGraph that plans, runs tools side by side, checks, and plans again if needed.

The graph gathers and checks the findings; the answer is written after it, streamed straight to the caller. So
what is shown has been verified before its first token, and tokens never pass through the graph.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Coroutine, Hashable, Sequence
from contextlib import aclosing
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, cast

import orjson

from backend.core.agent import ReActStep
from backend.core.collect import Emit, Meter, interleave
from backend.core.plan_answer import write_answer
from backend.core.plan_checkpoint import restore, to_json
from backend.core.plan_run import PlanRun
from backend.core.plan_state import Nodes
from backend.core.plan_state import PlanState as PlanState
from backend.core.tool_runs import ToolRuns
from backend.core.toolbox import Toolbox
from backend.llm.port import Model
from backend.models.messages import Event, Finished, Message, ToolCall, ToolCallMade
from backend.models.run import RunContext

if TYPE_CHECKING:
    from langgraph.graph.state import CompiledStateGraph

NODES = ("planning", "tool_selection", "tool_execution", "reasoning", "verification")


def create_agent(model: Model, toolbox: Toolbox) -> PlanExecuteAgent:
    return PlanExecuteAgent(model, toolbox)


def warm_up() -> None:
    """Import langgraph (about 0.7 s of CPU) and compile the graph, so that the first run does not have to. For a
    thread after start."""
    build_graph()


@functools.cache
def build_graph() -> CompiledStateGraph[Any, Any, Any, Any]:
    """The graph, compiled once for the process: it holds nothing of a run.

    Invoke it with the run's Nodes as `context`: the nodes of the graph only pass the state on to them.
    """
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(PlanState, context_schema=object)  # type: ignore[type-var]
    for name in NODES:
        graph.add_node(name, _node(name))  # type: ignore[call-overload]
    begin, execute, verify = _way("begins"), _way("executed"), _way("verified")
    starts: dict[Hashable, str] = {"new": "planning", "resumed": "tool_execution"}
    graph.add_conditional_edges(START, begin, starts)
    for here, there in pairwise(NODES):
        if here != "tool_execution":
            graph.add_edge(here, there)
    after_tools: dict[Hashable, str] = {"done": "reasoning", "waits": END}
    graph.add_conditional_edges("tool_execution", execute, after_tools)
    after_check: dict[Hashable, str] = {"again": "planning", "done": END}
    graph.add_conditional_edges("verification", verify, after_check)
    return graph.compile()


def _node(name: str) -> Callable[[PlanState, Any], Coroutine[Any, Any, PlanState]]:
    async def work(state: PlanState, runtime: Any) -> PlanState:
        return cast(PlanState, await getattr(runtime.context, name)(state))

    return work


def _way(name: str) -> Callable[[PlanState, Any], str]:
    def decide(state: PlanState, runtime: Any) -> str:
        return cast(str, getattr(runtime.context, name)())

    return decide


def recursion_limit(rounds: int) -> int:
    """Graph steps that `rounds` rounds take at most, and one more for the end."""
    return len(NODES) * max(1, rounds) + 1


async def traverse(nodes: Nodes, state: PlanState, rounds: int) -> PlanState:
    """Send the state through the graph, at most `rounds` times around. Cancelling it cancels the node at work."""
    from langsmith import tracing_context

    # An environment variable could send every state to a tracing service: here nothing leaves the machine.
    with tracing_context(enabled=False):
        final = await build_graph().ainvoke(state, {"recursion_limit": recursion_limit(rounds)}, context=nodes)
    return cast(PlanState, final)


class PlanExecuteAgent:
    """Plan, run the steps side by side, check the findings, at most `budget.plan_rounds` times; then answer.

    A failing tool is recorded and planned around; a model provider's error is raised. When only steps of the
    caller's own tools can go on, the run ends with them and a checkpoint. One instance serves one run.
    """

    name: ClassVar[str] = "plan_execute"
    when_to_use: ClassVar[str] = (
        "Several independent pieces can be worked on side by side, or a comprehensive request needs many tools."
    )

    def __init__(self, model: Model, toolbox: Toolbox) -> None:
        self._model = model
        self._toolbox = toolbox
        self._run: PlanRun | None = None

    @property
    def state(self) -> PlanState:
        """The graph's state after the run; `final_output` is the answer."""
        return self._run.state if self._run is not None else PlanState()

    def get_trace(self) -> Sequence[ReActStep]:
        """The tool calls so far, refused ones and those before a pause included; valid during and after the run."""
        return tuple(self._run.tools.steps) if self._run is not None else ()

    async def run(self, messages: Sequence[Message], context: RunContext) -> AsyncGenerator[Event, None]:
        """See Agent.run. Closing the generator cancels the graph, its model call and its running tools.

        Ends with ToolCallMade for each call of a caller's tool and Finished(`tool_calls`, checkpoint) when it has
        to wait for them. Raises StorageFailed when a checkpoint cannot be read.
        """
        meter = Meter(context)
        tools = ToolRuns(self._toolbox, meter)
        run = PlanRun(self._model, self._toolbox, context, tuple(messages), meter, tools, self._toolbox.specs())
        if context.checkpoint is not None:
            restore(run, context.checkpoint, messages)
        self._run = run
        if not build_graph.cache_info().currsize:
            await asyncio.to_thread(warm_up)

        async def gather(emit: Emit) -> None:
            run.emit = emit
            run.state = await traverse(run, run.start(), context.budget.plan_rounds)

        async with aclosing(interleave([gather])) as events:
            async for event in events:
                yield event
        if run.waiting:
            for call_id, request in run.waiting.items():
                arguments = orjson.dumps(request.arguments).decode()
                yield ToolCallMade(ToolCall(call_id, request.step.tool, arguments))
            yield Finished("tool_calls", checkpoint=to_json(run))
            return
        async with aclosing(write_answer(run)) as events:
            async for event in events:
                yield event
