"""Choosing, for each query, the cheapest thing that can answer it well."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from backend.core.agent import AgentFactory
from backend.core.router import Router
from backend.core.toolbox import ToolRegistry
from backend.llm.port import ChatRequest, Model
from backend.models.messages import Event, Message, Route, RouteChosen
from backend.models.run import RunContext
from backend.tasks.agentic_task import AgenticTask
from backend.tasks.chat_task import ChatTask
from backend.tasks.tools_only import through_tools
from backend.tasks.tracking import Tracking


@dataclass(frozen=True, slots=True)
class SmartAgentTask:
    """Routes to a plain completion or to an agent. `fixed` names the way when the request chose it itself."""

    router: Router
    registry: ToolRegistry
    agents: Mapping[str, AgentFactory]
    model: Model
    request: ChatRequest
    fixed: str | None = None
    tracking: Tracking | None = None
    """Follows the run if it becomes an agent's."""

    async def decide(self, messages: Sequence[Message], context: RunContext) -> Route:
        """The decision alone; nothing is run."""
        if self.fixed is not None:
            return Route("chat" if self.fixed == "chat" else "agentic", self.fixed, "The request asked for it.", 1.0)
        specs = self.registry.toolbox(context).specs()
        route = await self.router.choose(messages, context, specs)
        return through_tools(route, self.model.info, messages, specs)

    async def run(self, messages: Sequence[Message], context: RunContext) -> AsyncGenerator[Event, None]:
        route = await self.decide(messages, context)
        yield RouteChosen(route)
        async with aclosing(self._events(route, messages, context)) as events:
            async for event in events:
                yield event

    def _events(self, route: Route, messages: Sequence[Message], context: RunContext) -> AsyncGenerator[Event, None]:
        if route.task == "chat":
            return ChatTask(self.model.provider, self.request).run(messages, context)
        create, tracking = self.agents[route.agent], self.tracking
        late = tracking.late if tracking is not None else None
        task = AgenticTask(create, self.model, self.registry, self.request.tools, late)
        events = task.run(messages, context)
        return events if tracking is None else tracking.run(route, events)
