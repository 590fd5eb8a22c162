"""Running an agent in a test, and looking at what it did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from backend.core import agent_graph, react_agent
from backend.core.agent import Agent, AgentFactory
from backend.core.toolbox import Toolbox
from backend.llm.port import Model
from backend.models.messages import Event, Finished, Message, ReasoningDelta, TextDelta, ToolFinished, ToolStarted
from backend.models.run import RunContext
from backend.tools.port import Tool
from tests.fakes.tools import run_context, toolbox_of

E = TypeVar("E")

AGENTS: dict[str, AgentFactory] = {
    "react": react_agent.create_agent,
    "plan_execute": agent_graph.create_agent,
}


@dataclass
class Ran:
    """What a run came to."""

    agent: Agent
    toolbox: Toolbox
    events: list[Event] = field(default_factory=list)

    @property
    def answer(self) -> str:
        return "".join(event.text for event in self.of(TextDelta))

    @property
    def reasoning(self) -> str:
        return "".join(event.text for event in self.of(ReasoningDelta))

    @property
    def finished(self) -> Finished:
        """The one Finished, which must be the last event."""
        found = self.of(Finished)
        assert len(found) == 1
        assert self.events[-1] is found[0]
        return found[0]

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def tools_run(self) -> list[tuple[str, str]]:
        """Name and status of every tool that ended, in that order."""
        return [(event.name, event.status) for event in self.of(ToolFinished)]


def asked(text: str) -> list[Message]:
    return [Message("user", text)]


async def ran(
    create: AgentFactory,
    model: Model,
    tools: Sequence[Tool] = (),
    messages: Sequence[Message] | str = "the question",
    **context: Any,
) -> Ran:
    """Run an agent to its end. Further keywords are fields of the RunContext."""
    run = run_context(**context)
    toolbox = toolbox_of(*tools, context=run)
    result = Ran(create(model, toolbox), toolbox)
    said = asked(messages) if isinstance(messages, str) else messages
    async for event in result.agent.run(said, run):
        result.events.append(event)
    started = [event.id for event in result.of(ToolStarted)]
    assert sorted(started) == sorted(event.id for event in result.of(ToolFinished))
    assert len(set(started)) == len(started)
    return result


async def closed_when(
    create: AgentFactory, model: Model, tools: Sequence[Tool], when: Callable[[Event], bool], context: RunContext
) -> Ran:
    """Run an agent and close its generator at the first event for which `when` holds."""
    toolbox = toolbox_of(*tools, context=context)
    result = Ran(create(model, toolbox), toolbox)
    events = result.agent.run(asked("the question"), context)
    async for event in events:
        result.events.append(event)
        if when(event):
            break
    await events.aclose()
    return result


def other_tasks() -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task() and not task.done()}
