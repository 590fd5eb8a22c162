"""The killable worker: one warm zygote process per family of jobs, one forked child per job."""

from __future__ import annotations

import asyncio
import itertools
import logging
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backend.models.errors import WorkerFailed
from backend.workers.frames import FrameTooLarge, pack, read_frame
from backend.workers.job_names import JOB_PACKAGES, split_job
from backend.workers.port import Limits
from backend.workers.zygote_link import Ended, ZygoteGone, ZygoteLink

if TYPE_CHECKING:
    from backend.config.settings import Settings

log = logging.getLogger("hearth.workers")

JOBS_AT_ONCE = 2
"""Children of one family that run at the same time; further jobs wait in order of arrival."""
IDLE_SECONDS = 300.0
"""After so long without a job a zygote is ended; the next job starts a new one."""
FORK_SECONDS = 10.0
"""Longest wait for a child to begin, on top of the job's own wall time."""
FRAME_SLACK = 4096


def create(settings: Settings) -> ProcessWorker:
    """Starts nothing; processes come with the first job."""
    return ProcessWorker()


@dataclass(frozen=True, slots=True)
class _Job:
    module: str
    function: str
    payload: Mapping[str, Any]
    limits: Limits
    on_progress: Callable[[Any], None] | None

    @property
    def order(self) -> bytes:
        head = {
            "function": self.function,
            "seconds": self.limits.seconds,
            "memory_mb": self.limits.memory_mb,
            "output_bytes": self.limits.output_bytes,
            "file_mb": self.limits.file_mb,
        }
        return pack(head) + pack(dict(self.payload))


class ProcessWorker:
    """Worker on Linux (and, without the address-space limit, other Unix systems)."""

    def __init__(self, *, packages: Sequence[str] = JOB_PACKAGES, idle_seconds: float = IDLE_SECONDS) -> None:
        self._packages = tuple(packages)
        self._idle_seconds = idle_seconds
        self._families: dict[str, _Family] = {}
        self._closed = False

    async def run(
        self,
        job: str,
        payload: Mapping[str, Any],
        *,
        limits: Limits,
        on_progress: Callable[[Any], None] | None = None,
    ) -> Any:
        """See the port. Raises ValueError for a name outside the job packages: a programmer's mistake."""
        module, function = split_job(job, self._packages)
        if self._closed:
            raise WorkerFailed("The server is stopping; try again when it is back.", reason="crashed")
        if module not in self._families:
            self._families[module] = _Family(module, self._idle_seconds)
        return await self._families[module].run(_Job(module, function, payload, limits, on_progress))

    def zygotes(self) -> dict[str, int]:
        """Process id of every living zygote, by job module."""
        return {name: family.link.pid for name, family in self._families.items() if family.link is not None}

    async def aclose(self) -> None:
        """End all processes; jobs that still run fail as `crashed`."""
        self._closed = True
        await asyncio.gather(*(family.aclose() for family in self._families.values()))


class _Family:
    """The zygote of one job module, started on demand, and the queue in front of it."""

    def __init__(self, module: str, idle_seconds: float) -> None:
        self._module = module
        self._idle_seconds = idle_seconds
        self._slots = asyncio.Semaphore(JOBS_AT_ONCE)
        self._ids = itertools.count(1)
        self._running = 0
        self._starting: asyncio.Task[ZygoteLink] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._endings: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def link(self) -> ZygoteLink | None:
        """The living zygote, if there is one."""
        task = self._starting
        if task is None or not task.done() or task.cancelled() or task.exception() is not None:
            return None
        return task.result() if task.result().alive else None

    async def run(self, job: _Job) -> Any:
        await self._slots.acquire()
        self._running += 1
        if self._idle is not None:
            self._idle.cancel()
        held = _Held()
        try:
            return await self._run(job, held)
        finally:
            # The place is free only when the child is gone, which the caller need not wait for.
            held.when_ended(self._release)

    async def _run(self, job: _Job, held: _Held) -> Any:
        for _ in range(2):  # a second time only when the zygote died before the job began
            try:
                link = await self._ready_link()
                return await _Attempt(job, link, next(self._ids), held).run()
            except ZygoteGone:
                continue
        raise WorkerFailed("The worker process could not be started; try again in a moment.", reason="crashed")

    async def _ready_link(self) -> ZygoteLink:
        if self._closed:
            raise WorkerFailed("The server is stopping; try again when it is back.", reason="crashed")
        task = self._starting
        if task is None or (task.done() and self.link is None):
            if task is not None:
                self._bury(task)
            task = self._starting = asyncio.create_task(ZygoteLink.start(self._module))
        # Shielded: a caller who leaves must not take the start away from the others who wait for it.
        return await asyncio.shield(task)

    def _release(self) -> None:
        self._running -= 1
        self._slots.release()
        if self._running == 0 and not self._closed:
            self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._retire)

    def _retire(self) -> None:
        if self._running == 0 and self._starting is not None:
            task, self._starting = self._starting, None
            self._bury(task)

    def _bury(self, task: asyncio.Task[ZygoteLink]) -> None:
        ending = asyncio.create_task(_end_started(task))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def aclose(self) -> None:
        self._closed = True
        if self._idle is not None:
            self._idle.cancel()
        if self._starting is not None:
            self._bury(self._starting)
        await asyncio.gather(*self._endings)


async def _end_started(task: asyncio.Task[ZygoteLink]) -> None:
    try:
        link = await task
    except (ZygoteGone, OSError):
        return
    await link.aclose()


@dataclass(slots=True)
class _Held:
    """What keeps a place in the queue taken: the child that is still being ended, if any."""

    ended: asyncio.Future[Ended] | None = None

    def when_ended(self, then: Callable[[], None]) -> None:
        if self.ended is None or self.ended.done():
            then()
        else:
            self.ended.add_done_callback(lambda _: then())


@dataclass(slots=True)
class _Attempt:
    """One child, from fork to its last word."""

    job: _Job
    link: ZygoteLink
    job_id: int
    held: _Held
    started: bool = field(default=False, init=False)
    ended: asyncio.Future[Ended] | None = field(default=None, init=False)

    async def run(self) -> Any:
        """Raises ZygoteGone when the zygote died before the job began."""
        reader, writer = await self._connect()
        limits = self.job.limits
        try:
            async with asyncio.timeout(FORK_SECONDS + limits.seconds) as deadline:
                return await self._converse(reader, writer, deadline)
        except TimeoutError:
            raise _took_too_long(limits) from None
        except (asyncio.IncompleteReadError, ConnectionError):
            raise self._why(await self._end()) from None
        finally:
            self._end()
            writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        ours, theirs = socket.socketpair()
        connected = None
        try:
            self.link.submit(self.job_id, theirs.fileno())
            connected = await asyncio.open_connection(sock=ours)
        finally:
            theirs.close()
            if connected is None:
                ours.close()
                self._end()
        return connected

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, deadline: asyncio.Timeout
    ) -> Any:
        limits = self.job.limits
        writer.write(self.job.order)
        await writer.drain()
        while True:
            try:
                frame = await read_frame(reader, limits.output_bytes + FRAME_SLACK)
            except FrameTooLarge:
                raise WorkerFailed("The result is too large; ask for less.", reason="refused") from None
            if "started" in frame:
                self.started = True
                deadline.reschedule(asyncio.get_running_loop().time() + limits.seconds)
            elif "progress" in frame:
                if self.job.on_progress is not None:
                    self.job.on_progress(frame["progress"])
            elif "failed" in frame:
                raise self._failure(frame)
            else:
                return frame["result"]

    def _end(self) -> asyncio.Future[Ended]:
        if self.ended is None:
            self.ended = self.held.ended = self.link.end(self.job_id)
        return self.ended

    def _failure(self, frame: dict[str, Any]) -> WorkerFailed:
        if frame["failed"] == "memory":
            return _out_of_memory(self.job.limits)
        if frame["failed"] == "refused":
            return WorkerFailed(str(frame["message"]), reason="refused")
        log.error("job %s:%s failed: %s", self.job.module, self.job.function, frame["where"])
        return WorkerFailed("This could not be worked out: the server's log says why.", reason="error")

    def _why(self, ended: Ended) -> Exception:
        """What to raise for a child that fell silent."""
        if ended.code is None and not self.started:
            return ZygoteGone()
        out_of_time = ended.cpu_seconds >= self.job.limits.seconds and ended.code == -signal.SIGKILL
        if ended.code == -signal.SIGXCPU or out_of_time:
            return _took_too_long(self.job.limits)
        log.error("job %s:%s crashed (code %s)", self.job.module, self.job.function, ended.code)
        return WorkerFailed("The worker process stopped unexpectedly; try again or ask for less.", reason="crashed")


def _took_too_long(limits: Limits) -> WorkerFailed:
    return WorkerFailed(
        f"This took longer than {limits.seconds:g} seconds and was stopped; try something smaller.", reason="timeout"
    )


def _out_of_memory(limits: Limits) -> WorkerFailed:
    return WorkerFailed(
        f"This needed more than {limits.memory_mb} MB of memory and was stopped; try something smaller.",
        reason="memory",
    )
