"""One agent's run, with the answer's citations checked against what the run really saw."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from backend.core.agent import AgentFactory
from backend.core.citations import resolve_citations
from backend.core.toolbox import ToolRegistry
from backend.llm.port import Model
from backend.models.messages import Event, Finished, Message, Sources, TextDelta
from backend.models.run import RunContext


@dataclass(frozen=True, slots=True)
class AgenticTask:
    """Runs one agent with the tools of this server."""

    create_agent: AgentFactory
    model: Model
    registry: ToolRegistry

    async def run(self, messages: Sequence[Message], context: RunContext) -> AsyncGenerator[Event, None]:
        """The agent's events; Sources (every `[n]` of the answer that points at a real source) before Finished."""
        toolbox = self.registry.toolbox(context)
        answer: list[str] = []
        agent = self.create_agent(self.model, toolbox)
        async with aclosing(agent.run(messages, context)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    answer.append(event.text)
                elif isinstance(event, Finished) and toolbox.sources:
                    yield Sources(resolve_citations("".join(answer), toolbox.sources))
                yield event
