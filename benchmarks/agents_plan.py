"""What a plan-and-execute run costs beside its model and its tools.

    python benchmarks/agents_plan.py

The model is a script and the tools are instant, so what is measured is this server's own work: CPU time of a whole
run (plan, three steps, verification, answer), of its graph alone, and of one that pauses for a caller's tool and is
taken up again; and the wall time of steps that sleep, side by side and in a chain.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from backend.core.agent_graph import PlanState, create_agent, traverse, warm_up
from backend.core.toolbox import ToolRegistry
from backend.llm.port import Model
from backend.models.messages import Finished, Message
from backend.models.tools import ToolSpec
from tests.fakes.model import plan, scripted, verdict
from tests.fakes.tools import EchoTool, SleepTool, SumTool, run_context

RUNS = 100
STEPS = (
    {"tool": "echo", "input": {"text": "x"}},
    {"tool": "add", "input": {"a": 1, "b": 2}},
    {"tool": "echo", "input": {"text": "{{s2}} again"}},
)
CALLER = ToolSpec("ask", "Asks the caller.", {"type": "object", "properties": {"text": {"type": "string"}}})
QUESTION = (Message("user", "the question"),)


class _Idle:
    """Nodes that do nothing."""

    async def _nothing(self, state: PlanState) -> PlanState:
        return PlanState(current_agent="idle")

    planning = tool_selection = tool_execution = reasoning = verification = _nothing

    def begins(self) -> str:
        return "new"

    def executed(self) -> str:
        return "done"

    def verified(self) -> str:
        return "done"


async def measured(runs: int = RUNS) -> dict[str, float]:
    """Medians: `run`, `graph` and `paused_run` in milliseconds of CPU; `side_by_side` and `chain` in seconds of
    wall time, for two steps of 1 s each."""
    warm_up()
    registry = ToolRegistry([EchoTool(), SumTool(), SleepTool()])

    async def whole() -> None:
        await _ran(scripted(plan(*STEPS), verdict(), "It is 3, and x."), registry)

    async def paused() -> None:
        waits = ({"tool": "ask", "input": {"text": "?"}}, {"tool": "echo", "input": {"text": "{{s1}}"}})
        stopped = await _ran(scripted(plan(*waits)), registry)
        kept = json.loads(json.dumps(stopped.checkpoint))
        told = Message("tool", "yes", tool_call_id=kept["waiting"][0])
        await _ran(scripted(verdict(), "Yes."), registry, kept, told)

    async def idle() -> None:
        await traverse(_Idle(), PlanState(iteration_count=0), 3)  # type: ignore[arg-type]

    return {
        "run": await _cpu(whole, runs),
        "graph": await _cpu(idle, runs),
        "paused_run": await _cpu(paused, runs),
        "side_by_side": await _wall([_sleep("a"), _sleep("b")], registry),
        "chain": await _wall([_sleep("a"), _sleep("{{s1}}")], registry),
    }


async def _ran(model: Model, registry: ToolRegistry, checkpoint: Any = None, *told: Message) -> Finished:
    context = run_context(run_id="run_" + "0" * 32, checkpoint=checkpoint)
    agent = create_agent(model, registry.toolbox(context, caller=[CALLER]))
    last = None
    async for event in agent.run((*QUESTION, *told), context):
        last = event
    assert isinstance(last, Finished)
    return last


async def _cpu(work: Callable[[], Awaitable[None]], runs: int) -> float:
    await work()
    times = []
    for _ in range(runs):
        started = time.process_time()
        await work()
        times.append((time.process_time() - started) * 1_000)
    return statistics.median(times)


def _sleep(name: str) -> dict[str, Any]:
    return {"tool": "sleep", "input": {"seconds": 1, "name": name}}


async def _wall(steps: list[dict[str, Any]], registry: ToolRegistry) -> float:
    started = time.perf_counter()
    await _ran(scripted(plan(*steps), verdict(), "ok"), registry)
    return time.perf_counter() - started


async def main() -> None:
    found = await measured()
    print(f"a run of three steps: {found['run']:.1f} ms CPU, of which the empty graph {found['graph']:.1f} ms")
    print(f"a run that pauses for the caller and goes on: {found['paused_run']:.1f} ms CPU")
    print(f"two steps of 1 s: side by side {found['side_by_side']:.2f} s, in a chain {found['chain']:.2f} s")


if __name__ == "__main__":
    asyncio.run(main())
