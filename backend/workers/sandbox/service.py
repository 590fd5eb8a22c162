"""The sandbox of a server: the layer that holds here, waiting processes, kept variables, fair turns."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backend.models.errors import ToolUnavailable, WorkerFailed
from backend.models.run import Owner
from backend.workers.sandbox import interpreter, landlock, scratch, seccomp
from backend.workers.sandbox.cell import Cell, Ran, finished
from backend.workers.sandbox.cleaning import without_paths
from backend.workers.sandbox.pool import WAITING, Pool
from backend.workers.sandbox.selftest import try_layers, why_not
from backend.workers.sandbox.turns import Turns
from backend.workers.sandbox_port import LAYERS, CodeResult, Layer, MadeFile, SandboxLimits, SandboxReport

if TYPE_CHECKING:
    from backend.config.settings import Settings

log = logging.getLogger("hearth.sandbox")

SETTLING_SECONDS = 3.0
"""After the start, before the self-test begins: a start is not slowed by it."""
MAX_KEPT = 2
KEEP_SECONDS = 60.0
MAX_KEPT_BYTES = 64 * 1_048_576
"""A process that holds more memory is not kept."""
MAX_REMEMBERED = 1000

Key = tuple[Owner, str]


@dataclass(slots=True)
class _Kept:
    """A process with the variables of one run, stopped until the next call."""

    cell: Cell
    expiry: asyncio.TimerHandle


class LayeredSandbox:
    """Sandbox on Linux. Everything starts with the first use or with `prepare`."""

    def __init__(
        self,
        layers: Sequence[Layer] = LAYERS,
        *,
        limits: SandboxLimits | None = None,
        waiting: int = WAITING,
        keep_seconds: float = KEEP_SECONDS,
        settling_seconds: float = SETTLING_SECONDS,
        off: bool = False,
    ) -> None:
        """`layers` are tried in this order; the first that holds is used."""
        self._layers = tuple(layers)
        self._limits = limits or SandboxLimits()
        self._size = waiting
        self._keep_seconds = keep_seconds
        self._settling_seconds = settling_seconds
        self._off = off
        self._turns = Turns()
        self._checking: asyncio.Task[SandboxReport] | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._pool: Pool | None = None
        self._running: set[Cell] = set()
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._remembered: OrderedDict[Key, None] = OrderedDict()
        self._locks: dict[Key, tuple[asyncio.Lock, int]] = {}
        self._closed = False

    @classmethod
    def of(cls, settings: Settings) -> LayeredSandbox:
        """As SANDBOX says: the preferred layer and those below it."""
        wanted = settings.sandbox
        if wanted == "off":
            return cls((), off=True)
        return cls(LAYERS if wanted == "auto" else LAYERS[LAYERS.index(wanted) :])

    def offered(self) -> tuple[str, ...]:
        return interpreter.offered()

    def impossible(self) -> str | None:
        if self._off:
            return "it is switched off (SANDBOX=off)"
        if sys.platform != "linux":
            return "running code safely needs Linux with Landlock"
        if seccomp.machine() is None:
            return "there is no list of system calls for this kind of processor"
        if landlock.version() == 0:
            return "this kernel has no Landlock (Linux 5.13 or newer with its landlock module is needed)"
        return None

    def prepare(self, on_none: Callable[[str], None]) -> None:
        reason = self.impossible()
        if reason is not None:
            log.info("sandbox: Python code is not run here: %s", reason)
        elif self._preparing is None:
            self._preparing = asyncio.create_task(self._prepare(on_none))

    async def _prepare(self, on_none: Callable[[str], None]) -> None:
        await asyncio.sleep(self._settling_seconds)
        report = await self.check()
        if report.layer is None:
            on_none(report.reason)
            return
        self._pool_of(report.layer).fill()

    async def check(self) -> SandboxReport:
        if self._checking is None or self._checking.cancelled():
            self._checking = asyncio.create_task(self._check())
        return await asyncio.shield(self._checking)

    def report(self) -> SandboxReport | None:
        if (impossible := self.impossible()) is not None:
            return _none_here(impossible)
        checking = self._checking
        if checking is None or not checking.done() or checking.cancelled() or checking.exception() is not None:
            return None
        return checking.result()

    async def _check(self) -> SandboxReport:
        impossible = self.impossible()
        if impossible is not None:
            return _none_here(impossible)
        await asyncio.to_thread(scratch.sweep)
        report = await try_layers(self._layers, self._limits)
        for tried in report.tried:
            if not tried.holds:
                log.info("sandbox layer %s does not hold: %s", tried.layer, why_not(tried))
        log.info("sandbox: %s", report.reason)
        return report

    async def run(
        self, code: str, *, owner: Owner, run_id: str, files: Mapping[str, bytes] | None = None, keep: bool = False
    ) -> CodeResult:
        report = await self.check()
        if report.layer is None:
            raise ToolUnavailable(report.reason)
        pool, key = self._pool_of(report.layer), (owner, run_id)
        async with self._alone(key):
            await self._turns.take(owner)
            cell: Cell | None = None
            try:
                cell, forgotten = self._revive(key, pool), False
                if cell is None:
                    forgotten = key in self._remembered
                    cell = await pool.take()
                self._running.add(cell)
                result = await self._run(cell, code, files or {}, pool, key if keep else None)
                return replace(result, forgotten=forgotten)
            finally:
                self._after(pool, key, cell)

    async def _run(self, cell: Cell, code: str, files: Mapping[str, bytes], pool: Pool, key: Key | None) -> CodeResult:
        ran = await cell.run(code, files)
        if key is not None and self._worth_keeping(cell, ran):
            cell.pause()
            kept = True
        else:
            cell.kill()
            kept = False
        # The folder is read while it cannot change: its process has been stopped or killed.
        made: tuple[MadeFile, ...] = ()
        left_out = 0
        if ran.stopped != "disk":
            made, left_out = await finished(asyncio.to_thread(cell.scratch.collect, files, self._limits))
        if kept and key is not None:
            self._keep(key, cell, pool)
        return _told(ran, CodeResult(files=made, files_left_out=left_out, kept=kept, layer=cell.layer))

    def _worth_keeping(self, cell: Cell, ran: Ran) -> bool:
        if ran.answer is None or ran.stopped is not None or self._closed:
            return False
        return cell.memory(ran.answer) <= MAX_KEPT_BYTES

    def _after(self, pool: Pool, key: Key, cell: Cell | None) -> None:
        """Give the place back once the process of this call is gone, or kept."""
        kept = self._kept.get(key)
        if cell is not None:
            self._running.discard(cell)
        if cell is None or (kept is not None and kept.cell is cell):
            self._turns.give_back()
        else:
            pool.end(cell).add_done_callback(lambda _: self._turns.give_back())

    def _revive(self, key: Key, pool: Pool) -> Cell | None:
        """The process that an earlier call of the same run left, if it is still there."""
        kept = self._kept.pop(key, None)
        if kept is None:
            return None
        kept.expiry.cancel()
        if not kept.cell.alive:
            pool.end(kept.cell)
            return None
        kept.cell.resume()
        return kept.cell

    def _keep(self, key: Key, cell: Cell, pool: Pool) -> None:
        loop = asyncio.get_running_loop()
        self._kept[key] = _Kept(cell, loop.call_later(self._keep_seconds, self._let_go, key, pool))
        self._remembered[key] = None
        self._remembered.move_to_end(key)
        while len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        while len(self._kept) > MAX_KEPT:
            self._let_go(next(iter(self._kept)), pool)

    def _let_go(self, key: Key, pool: Pool) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            kept.expiry.cancel()
            pool.end(kept.cell)

    @contextlib.asynccontextmanager
    async def _alone(self, key: Key) -> AsyncIterator[None]:
        """One call of a run at a time; the others wait, so that none loses the variables of one before it."""
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            users = self._locks[key][1] - 1
            if users:
                self._locks[key] = (lock, users)
            else:
                del self._locks[key]

    def _pool_of(self, layer: Layer) -> Pool:
        if self._closed:
            raise WorkerFailed("The server is stopping; try again when it is back.", reason="crashed")
        if self._pool is None:
            self._pool = Pool(layer, self._limits, self._size)
        return self._pool

    async def aclose(self) -> None:
        self._closed = True
        for task in (self._preparing, self._checking):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait({task})
        if self._pool is not None:
            for key in tuple(self._kept):
                self._let_go(key, self._pool)
            for cell in self._running:
                self._pool.end(cell)
            await self._pool.aclose()


def _told(ran: Ran, result: CodeResult) -> CodeResult:
    answer = ran.answer or {}
    return replace(
        result,
        stdout=without_paths(ran.stdout),
        stderr=without_paths(ran.stderr),
        value=_text(answer.get("value")),
        error=_text(answer.get("error")),
        stopped=ran.stopped,
        seconds=ran.seconds,
        truncated=ran.cut or answer.get("cut") is True,
    )


def _none_here(why: str) -> SandboxReport:
    return SandboxReport(None, f"Python code is not run here: {why}.")


def _text(value: object) -> str | None:
    """A text the process reported; it could have written anything there."""
    return without_paths(value[:40_000]) if isinstance(value, str) else None
