"""Choosing, for each query, the cheapest thing that can answer it well."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Literal

from backend.core.agent import AgentFactory
from backend.core.router import Router
from backend.core.toolbox import ToolRegistry
from backend.core.tracing import TracedProvider
from backend.llm.port import ChatRequest, Model
from backend.models.messages import Event, Message, ModelCalled, Route, RouteChosen, Usage
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
        return (await self._decided(messages, context))[0]

    async def run(self, messages: Sequence[Message], context: RunContext) -> AsyncGenerator[Event, None]:
        route, called = await self._decided(messages, context)
        yield RouteChosen(route)
        async with aclosing(self._events(route, called, messages, context)) as events:
            async for event in events:
                yield event

    async def _decided(self, messages: Sequence[Message], context: RunContext) -> tuple[Route, Sequence[ModelCalled]]:
        """The way, and the calls of the model that finding it took (nearly always none)."""
        if self.fixed is not None:
            task: Literal["chat", "agentic"] = "chat" if self.fixed == "chat" else "agentic"
            return Route(task, self.fixed, "The request asked for it.", 1.0), ()
        specs = self.registry.toolbox(context).specs()
        traced = TracedProvider(self.model.provider)
        route = await self.router.choose(messages, context, specs, replace(self.model, provider=traced))
        return through_tools(route, self.model.info, messages, specs), traced.take()

    def _events(
        self, route: Route, called: Sequence[ModelCalled], messages: Sequence[Message], context: RunContext
    ) -> AsyncGenerator[Event, None]:
        if route.task == "chat":
            return _after_routing(called, ChatTask(self.model.provider, self.request).run(messages, context))
        create, tracking = self.agents[route.agent], self.tracking
        late = tracking.late if tracking is not None else None
        task = AgenticTask(create, self.model, self.registry, self.request.tools, late, self.request.response_format)
        events = _after_routing(called, task.run(messages, context))
        return events if tracking is None else tracking.run(route, events)


def _after_routing(called: Sequence[ModelCalled], events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    """The events, those calls and what they used before the first of them: not earlier, because nothing may be
    sent to the client before the answer itself has begun."""
    return events if not called else _with_calls(called, events)


async def _with_calls(
    called: Sequence[ModelCalled], events: AsyncGenerator[Event, None]
) -> AsyncGenerator[Event, None]:
    told = False
    async with aclosing(events):
        async for event in events:
            if not told:
                told = True
                for call in called:
                    yield call
                    if call.prompt_tokens or call.completion_tokens:
                        yield Usage(call.prompt_tokens, call.completion_tokens, step=call.step)
            yield event
