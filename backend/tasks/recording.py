"""Keeping what was said: a wrapper around the event stream that stores the exchange."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import anyio

from backend.models.conversations import StoredMessage
from backend.models.errors import HearthError, NotFound
from backend.models.messages import (
    Event,
    Finished,
    Message,
    ReasoningDelta,
    RouteChosen,
    TextDelta,
)
from backend.models.run import RunContext
from backend.storage.conversation_store import ConversationStore
from backend.tasks.live_runs import CANCELLED, Interrupt, LiveRun, LiveRuns
from backend.tasks.summary import RunSummary

log = logging.getLogger("hearth.recording")

TITLE_CHARS = 60


@dataclass(slots=True)
class Recorder:
    """Stores one exchange. `new` are the messages of the request that the session does not hold yet."""

    conversations: ConversationStore
    live: LiveRuns
    context: RunContext
    model: str
    new: Sequence[Message]
    exists: bool
    """Whether the session is there already; a new one is created with the first event of the answer."""
    chosen: tuple[str, ...] | None = None
    """The collections that the conversation searches from now on; None leaves them."""
    summary: RunSummary = field(default_factory=RunSummary)
    _text: list[str] = field(default_factory=list)
    _reasoning: list[str] = field(default_factory=list)
    _opening: asyncio.Task[None] | None = None
    _started: float = field(default_factory=time.time)

    async def run(self, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        """Pass the events on. The caller's turn is stored when the answer begins, the answer when it ends,
        whether it ended well, failed, was cancelled, or nobody waited for it."""
        finished = False
        text, reasoning = self._text, self._reasoning
        interrupt = Interrupt(events)
        run = LiveRun(self.context.owner, self.context.run_id, interrupt)
        self.live.begin(run)
        try:
            try:
                async with interrupt:
                    async for event in events:
                        kind = type(event)
                        if kind is TextDelta:
                            text.append(event.text)  # type: ignore[union-attr]
                        elif kind is ReasoningDelta:
                            reasoning.append(event.text)  # type: ignore[union-attr]
                        elif isinstance(event, Finished):
                            finished = True
                            event = await self._finish(event)
                        else:
                            self.summary.note(event)
                        if self._opening is None and kind is not RouteChosen:
                            self._open_once()
                        yield event
                        if interrupt.rung:
                            break
            except asyncio.CancelledError:
                if not interrupt.taken_back():
                    raise
            if interrupt.rung and not finished:
                finished = True
                yield await self._finish(Finished("stop", CANCELLED, extra={"cancelled": True}))
        finally:
            self.live.end(run)
            if not finished and self._opening is not None:
                with anyio.CancelScope(shield=True):
                    await self._close(partial=True)

    async def _finish(self, event: Finished) -> Finished:
        """Store the whole before the client learns that it is over: what was acknowledged is kept."""
        self._open_once()
        self.summary.note(event)
        problem = await self._close(partial=bool(event.extra.get("cancelled")))
        return event if problem is None else replace(event, extra={**event.extra, "warning": problem})

    def _open_once(self) -> None:
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())

    async def _open(self) -> None:
        owner, session = self.context.owner, self.context.session_id
        if session is None:
            return
        first = [stored(message, self._started) for message in self.new]
        if self.exists:
            await self.conversations.append(owner, session, first)
        else:
            await self.conversations.create(owner, title_of(self.new), session, first)
        if self.chosen is not None:
            before = (await self.conversations.info(owner, session)).collections
            if before != self.chosen:
                await self.conversations.choose(owner, session, self.chosen)

    async def _close(self, *, partial: bool) -> str | None:
        """Store the answer. What went wrong in a sentence, if anything: the answer itself is good."""
        if self._opening is None or self.context.session_id is None:
            return None
        try:
            await self._opening
            await self.conversations.append(self.context.owner, self.context.session_id, [self._answer(partial)])
        except NotFound:
            log.info("the conversation of run %s was deleted while it was answered", self.context.run_id)
            return "The conversation was deleted meanwhile, so this answer was not stored."
        except HearthError as error:
            log.error("run %s could not be stored: %s", self.context.run_id, error.message)
            return f"This answer was not stored: {error.message}"
        return None

    def _answer(self, partial: bool) -> StoredMessage:
        extra: dict[str, Any] = {"model": self.model, "run_id": self.context.run_id}
        if partial:
            extra["partial"] = True
        if self._reasoning:
            extra["reasoning"] = "".join(self._reasoning)
        extra |= self.summary.stored()
        return StoredMessage("assistant", "".join(self._text), time.time(), extra)


def title_of(messages: Sequence[Message]) -> str:
    """The first line of what the user asked, cut to a readable length."""
    text = next((message.content for message in messages if message.role == "user" and message.content.strip()), "")
    line = " ".join(text.split())
    return (line[: TITLE_CHARS - 1] + "…") if len(line) > TITLE_CHARS else (line or "New conversation")


def stored(message: Message, timestamp: float) -> StoredMessage:
    extra: dict[str, Any] = {}
    if message.tool_calls:
        extra["tool_calls"] = [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in message.tool_calls]
    if message.tool_call_id:
        extra["tool_call_id"] = message.tool_call_id
    if message.images:
        extra["images"] = len(message.images)
    return StoredMessage(message.role, message.content, timestamp, extra)
