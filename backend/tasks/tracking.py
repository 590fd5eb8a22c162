"""Following a run of an agent: its trace is stored, its watchers see it, and it can be stopped from outside."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from types import TracebackType
from typing import Any

from backend.models.errors import HearthError, NotFound
from backend.models.messages import Event, Finished, Message, ModelCalled, ReasoningDelta, Route, TextDelta
from backend.models.run import RunContext
from backend.storage.run_store import RunStore
from backend.tasks.live_runs import CANCELLED, EventLog, Interrupt, LiveRun, LiveRuns
from backend.tasks.trace import RunTrace

log = logging.getLogger("hearth.runs")

LEFT = "The client left before the answer was complete."
UNEXPECTED = "Something went wrong in the server; its log says what."


@dataclass(slots=True)
class Tracking:
    """Wraps the events of one agent's run. `runs` None: the run is not stored, but can be watched and stopped.

    `earlier` is the stored trace of a run that waited for its caller's tools, `results` what they gave.
    """

    live: LiveRuns
    runs: RunStore | None
    context: RunContext
    model: str
    query: str
    earlier: Mapping[str, Any] | None = None
    results: Sequence[Message] = ()
    _trace: RunTrace = field(init=False)
    _log: EventLog = field(init=False)
    _run: LiveRun = field(init=False)
    _storing: asyncio.Task[None] | None = None
    _ended: bool = False

    async def run(self, route: Route, events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
        """Pass the events on; what was written is stored before the end is told.

        Raises Conflict when somebody is at this very run already.
        """
        interrupt = Interrupt(events)
        await self._begin(route, interrupt)
        async with _Ending(self):
            text, noted = self._trace.text.append, self._log.text
            try:
                async with interrupt:
                    async for event in events:
                        kind = type(event)
                        if kind is TextDelta:
                            text(event.text)  # type: ignore[union-attr]
                            noted("text", event.text)  # type: ignore[union-attr]
                        elif kind is ReasoningDelta:
                            self._trace.reasoning.append(event.text)  # type: ignore[union-attr]
                            noted("reasoning", event.text)  # type: ignore[union-attr]
                        elif isinstance(event, Finished):
                            event = await self._finish(event)
                        else:
                            self._note(event)
                        yield event
                        if interrupt.rung:
                            break
            except asyncio.CancelledError:
                if not interrupt.taken_back():
                    raise
            if interrupt.rung and not self._ended:
                yield await self._finish(Finished("stop", CANCELLED, extra={"cancelled": True}))

    def late(self, called: ModelCalled) -> None:
        """A call of the model that was broken off together with the run."""
        if not self._ended:
            self._note(called)

    def _note(self, event: Event) -> None:
        shown = self._trace.note(event)
        if shown is not None:
            self._log.add(shown)

    async def _begin(self, route: Route, interrupt: Interrupt) -> None:
        context = self.context
        self._trace = RunTrace(context, self.model, self.query, route, self.live.mark)
        self._log = EventLog()
        if self.earlier is not None:
            self._trace.resume(self.earlier, self.results)
            if self.runs is not None:
                self._log.load(await self.runs.events(context.owner, context.run_id))
        snapshot = partial(self._trace.as_json, "running")
        self._run = LiveRun(context.owner, context.run_id, interrupt, self._log, snapshot)
        self.live.begin(self._run)
        self._log.add(self._trace.started_event())
        self._log.add(self._trace.route_event())
        if self.runs is not None:
            # Beside the run: its first step does not wait for the disk.
            self._storing = asyncio.create_task(self._store(self._trace.as_json("running"), list(self._log.events)))

    async def _store(self, trace: Mapping[str, Any], events: list[bytes], *, again: bool = False) -> None:
        """Raises StorageFailed; NotFound when the trace was deleted meanwhile."""
        assert self.runs is not None
        keep = self.runs.update if again or self.earlier is not None else self.runs.save
        await keep(self.context.owner, trace, events)

    async def _finish(self, event: Finished) -> Finished:
        """Store the end of a run that ended in order; the event with what its receivers must know besides."""
        status = "completed"
        if event.extra.get("cancelled"):
            status = "cancelled"
        elif event.checkpoint is not None:
            status = "waiting"
            self._trace.checkpoint = event.checkpoint
        problem = await self._end(self._trace.as_json(status, event), self._trace.finished_event(status, event))
        extra = {**event.extra, **self._trace.for_answer()}
        if problem is not None:
            extra["warning"] = problem
        return replace(event, extra=extra, checkpoint=None)

    def end(self) -> None:
        """Nobody reads the events any more."""
        self.live.end(self._run)

    async def break_off(self, error: BaseException) -> None:
        """Store the end of a run that failed, or whose client has left, unless its end is stored."""
        if self._ended:
            return
        if isinstance(error, HearthError):
            status, told = "failed", {"message": error.message, "code": error.code}
        elif isinstance(error, Exception):
            status, told = "failed", {"message": UNEXPECTED, "code": "internal_error"}
        else:
            left = Finished("stop", LEFT)
            await self._end(self._trace.as_json("cancelled", left), self._trace.finished_event("cancelled", left))
            return
        await self._end(self._trace.as_json(status, None, told), {"type": "failed", "status": status, **told})

    async def _end(self, trace: Mapping[str, Any], last: Mapping[str, Any]) -> str | None:
        """Store the whole, then tell the watchers. What went wrong in a sentence, if anything.

        A client that leaves meanwhile does not keep it from being stored.
        """
        self._ended = True
        ending = asyncio.create_task(self._store_end(trace, last))
        interrupted: asyncio.CancelledError | None = None
        while not ending.done():
            try:
                await asyncio.wait({ending})
            except asyncio.CancelledError as cancelled:
                interrupted = cancelled
        if interrupted is not None:
            raise interrupted
        return ending.result()

    async def _store_end(self, trace: Mapping[str, Any], last: Mapping[str, Any]) -> str | None:
        events = self._log.ended_by(last)
        try:
            if self._storing is not None:
                kept = await _succeeded(self._storing)
                await self._store(trace, events, again=kept)
        except NotFound:
            log.info("run %s was deleted while it was going on", self.context.run_id)
        except HearthError as error:
            log.error("run %s could not be stored: %s", self.context.run_id, error.message)
            return f"The trace of this run was not stored: {error.message}"
        finally:
            self._log.close(events)
            self._run.ended.set()
        return None


@dataclass(frozen=True, slots=True)
class _Ending:
    """Around a run that goes on: sees how it ends when that is not by its own Finished."""

    tracking: Tracking

    async def __aenter__(self) -> None:
        """The run has begun already."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                await self.tracking.break_off(error)
        finally:
            self.tracking.end()


async def _succeeded(storing: asyncio.Task[None]) -> bool:
    """Whether the beginning was stored; if not, the end is stored as something new."""
    await asyncio.wait({storing})
    error = storing.exception()
    if isinstance(error, NotFound):
        raise error
    return error is None
