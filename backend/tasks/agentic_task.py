"""One agent's run, with the answer's citations checked against what the run really saw."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from backend.core.agent import AgentFactory
from backend.core.checkpoint import sources_from_json, sources_to_json
from backend.core.citations import Checked, checked_citations, resolve_citations
from backend.core.citations_support import ToolUse, caution, support_of
from backend.core.formatted_run import in_form
from backend.core.toolbox import Toolbox, ToolRegistry
from backend.core.tracing import TracedProvider
from backend.llm.port import Model, ResponseFormat
from backend.models.errors import HearthError
from backend.models.messages import Event, Finished, Message, ModelCalled, Sources, TextDelta, ToolFinished
from backend.models.run import RunContext
from backend.models.tools import Citation, Source, Support, ToolSpec
from backend.tasks.attachments import as_read

MANY_SOURCES = 40
"""From so many on, an answer is compared with them in a thread."""


@dataclass(frozen=True, slots=True)
class AgenticTask:
    """Runs one agent with the tools of this server."""

    create_agent: AgentFactory
    model: Model
    registry: ToolRegistry
    caller_tools: Sequence[ToolSpec] = ()
    late: Callable[[ModelCalled], None] | None = None
    """Told of the calls of the model that were broken off together with the run."""
    response_format: ResponseFormat | None = None
    """What the answer must be, whatever the agent makes of it."""

    async def run(self, messages: Sequence[Message], context: RunContext) -> AsyncGenerator[Event, None]:
        """The agent's events, with a ModelCalled after each call of the model; Sources (every `[n]` of the answer
        that points at a real source and quotes it truly) before Finished. An answer that only the user's documents
        could bear out, and do not, is told so in its last sentence.

        What a checkpoint holds of the sources is handed back to the toolbox, so that markers keep their numbers.
        """
        toolbox = self.registry.toolbox(context, caller=self.caller_tools)
        toolbox.guard.own_words = [message.content for message in messages if message.role == "user"]
        toolbox.guard.read_untrusted = any(message.role == "tool" or message.attached for message in messages)
        if context.checkpoint is not None:
            toolbox.guard.read_untrusted = True
            toolbox.sources.extend(sources_from_json(context.checkpoint["sources"]))
        traced = TracedProvider(self.model.provider)
        answer: list[str] = []
        used = ToolUse()
        model, read = replace(self.model, provider=traced), as_read(messages)
        agent = self.create_agent(model, toolbox)
        run = agent.run(read, context)
        if self.response_format is not None:
            run = in_form(run, read, model, self.response_format)
        try:
            async with aclosing(run) as events:
                async for event in events:
                    if traced.waiting:
                        for call in traced.take():
                            yield call
                    if isinstance(event, TextDelta):
                        answer.append(event.text)
                    elif isinstance(event, Finished):
                        if toolbox.sources or used.searched:
                            for last in await self._judged("".join(answer), messages, toolbox.sources, used, event):
                                yield last
                        event = _signed(event, agent.name, toolbox)
                    elif isinstance(event, ToolFinished):
                        used.note(event)
                    yield event
        except HearthError:
            # The call that failed is what a reader of the trace looks for.
            for call in traced.take():
                yield call
            raise
        finally:
            if self.late is not None:
                for call in traced.take():
                    self.late(call)

    async def _judged(
        self, answer: str, messages: Sequence[Message], sources: Sequence[Source], used: ToolUse, ended: Finished
    ) -> list[Event]:
        """What is told at the end of an answer: that nothing bears it out (if so), then its citations."""
        question = next((message.content for message in reversed(messages) if message.role == "user"), "")
        formed = self.response_format is not None and self.response_format.type != "text"
        if ended.reason == "tool_calls" or formed:
            # Half an answer, or JSON, whose quotation marks mean something else.
            citations = resolve_citations(answer, sources)
            support = support_of(answer, question, sources, Checked(citations), used) if formed else Support()
            return [Sources(citations, support)]
        if len(sources) < MANY_SOURCES:
            checked, support = _weighed(answer, question, sources, used)
        else:
            checked, support = await asyncio.to_thread(_weighed, answer, question, tuple(sources), used)
        told: list[Event] = []
        read_otherwise = self.caller_tools or any(message.attached for message in messages)
        if ended.reason == "stop" and not read_otherwise:
            note = caution(answer, question, support, used)
            if note:
                told.append(TextDelta(f"\n\n{note}"))
        return [*told, Sources(checked, support)]


def _weighed(
    answer: str, question: str, sources: Sequence[Source], used: ToolUse
) -> tuple[tuple[Citation, ...], Support]:
    checked = checked_citations(answer, sources, question)
    return checked.citations, support_of(answer, question, sources, checked, used)


def _signed(event: Finished, agent: str, toolbox: Toolbox) -> Finished:
    """The event, its checkpoint (if any) completed by who wrote it and by what may be cited."""
    if event.checkpoint is None:
        return event
    kept = {**event.checkpoint, "agent": agent, "sources": sources_to_json(toolbox.sources)}
    return replace(event, checkpoint=kept)
