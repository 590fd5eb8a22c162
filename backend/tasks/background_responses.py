"""Responses that go on while nobody waits: a bounded number at once, others in line, all ended with the server."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import anyio

from backend.models.errors import HearthError, TooManyRequests
from backend.models.run import Owner
from backend.tasks.response_runs import ResponseRun
from backend.utils.processes import process_mark

log = logging.getLogger("hearth.responses")

MAX_RUNNING = 16
MAX_WAITING = 256
MAX_PER_USER = 32
"""Running and in line together."""
STOPPED = "The server was stopped while this response was made: ask again."
CANCEL_SECONDS = 5.0

Make = Callable[[], Awaitable[ResponseRun]]


@dataclass(slots=True)
class Job:
    """One background response. `run` is the one that was checked; one that had to wait is made anew for its turn."""

    owner: Owner
    run: ResponseRun
    make: Make
    task: asyncio.Task[None] | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def response(self) -> dict[str, Any]:
        """The Response object as of now."""
        return self.run.response


class BackgroundResponses:
    """The background responses of this process, by owner and id. `mark` tells them from those of other processes."""

    def __init__(self, running: int = MAX_RUNNING, waiting: int = MAX_WAITING, per_user: int = MAX_PER_USER) -> None:
        self.mark = {**process_mark(), "server": uuid.uuid4().hex}
        self._slots = asyncio.Semaphore(running)
        self._most = running + waiting
        self._per_user = per_user
        self._jobs: dict[tuple[Owner, str], Job] = {}
        self._counts: Counter[Owner] = Counter()

    def reserve(self, owner: Owner) -> None:
        """Take a place; `release` gives it back if nothing is started. Raises TooManyRequests when there is none."""
        if self._counts[owner] >= self._per_user or self._counts.total() >= self._most:
            raise TooManyRequests(
                "Too many background responses are waiting already: try again when one of them is done.",
                headers={"retry-after": "5"},
            )
        self._counts[owner] += 1

    def release(self, owner: Owner) -> None:
        """Give a place back."""
        self._counts[owner] -= 1
        if not self._counts[owner]:
            del self._counts[owner]

    def start(self, job: Job) -> None:
        """Let it run, in the place that was reserved, as soon as there is room."""
        self._jobs[job.owner, job.run.id] = job
        job.run.told = True
        job.task = asyncio.create_task(self._work(job), name=f"response {job.run.id}")
        job.task.add_done_callback(_report)

    def get(self, owner: Owner, response_id: str) -> Job | None:
        return self._jobs.get((owner, response_id))

    async def cancel(self, job: Job, why: str | None = None) -> None:
        """Stop it, and wait until it is stored. `why` when the server itself ends it."""
        await asyncio.sleep(0)  # a task that has not taken its first step would never reach its end
        if job.task is None or job.ended.is_set():
            return
        job.run.stopping = why
        job.task.cancel()
        await asyncio.wait([job.task], timeout=CANCEL_SECONDS)

    async def aclose(self) -> None:
        """Stop all; each is stored as failed."""
        await asyncio.gather(*(self.cancel(job, STOPPED) for job in list(self._jobs.values())))

    async def _work(self, job: Job) -> None:
        try:
            waited = self._slots.locked()
            async with self._slots:
                if not waited or await self._prepared_again(job):
                    await _drive(job.run)
        finally:
            # Cancelled in line, it has never been iterated.
            with anyio.CancelScope(shield=True):
                await job.run.break_off()
                await job.run.source.aclose()
            job.run.closing()
            self._leave(job)

    async def _prepared_again(self, job: Job) -> bool:
        """A run whose time begins now, in place of the one that stood in line. False when it cannot be had any more."""
        checked = job.run
        try:
            fresh = await job.make()
        except HearthError as error:
            await checked.fail(error)
            return False
        await checked.source.aclose()
        fresh.log, fresh.stopping, fresh.told = checked.log, checked.stopping, True
        job.run = fresh
        return True

    def _leave(self, job: Job) -> None:
        self._jobs.pop((job.owner, job.run.id), None)
        self.release(job.owner)
        job.ended.set()


async def _drive(run: ResponseRun) -> None:
    """Read the run to its end; its failures are told by the response itself."""
    run.opening()
    try:
        async with aclosing(run.events()) as events:
            async for event in events:
                run.encode(event)
    except HearthError as error:
        log.warning("background response %s failed: %s", run.id, error.message)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("%s failed", task.get_name(), exc_info=task.exception())
