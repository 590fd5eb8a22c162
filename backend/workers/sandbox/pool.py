"""Locked processes that wait ahead of need. Each is handed out once and never comes back."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque

from backend.models.errors import WorkerFailed
from backend.workers.sandbox.cell import Cell, CellFailed
from backend.workers.sandbox.launch import LayerMissing
from backend.workers.sandbox_port import Layer, SandboxLimits

WAITING = 2
IDLE_SECONDS = 900.0
"""After so long without a call the waiting processes are ended; the next call starts new ones."""


class Pool:
    """`size` processes of one layer, started when `fill` is first called."""

    def __init__(
        self, layer: Layer, limits: SandboxLimits, size: int = WAITING, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self.layer = layer
        self._limits = limits
        self._size = size
        self._idle_seconds = idle_seconds
        self._starting: deque[asyncio.Task[Cell]] = deque()
        self._endings: set[asyncio.Task[None]] = set()
        self._idle: asyncio.TimerHandle | None = None
        self._closed = False

    def fill(self) -> None:
        """Start what is missing, in the background."""
        while len(self._starting) < self._size and not self._closed:
            self._starting.append(asyncio.create_task(Cell.start(self.layer, self._limits)))
        if self._idle is not None:
            self._idle.cancel()
        if not self._closed:
            self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._drop_all)

    async def take(self) -> Cell:
        """A fresh process, the longest-waiting first. Raises WorkerFailed when none comes up."""
        for _ in range(self._size + 2):
            if self._closed:
                break
            task = self._starting.popleft() if self._starting else self._start()
            try:
                # Shielded: a caller who leaves must not leave a half-started process behind.
                cell = await asyncio.shield(task)
            except (CellFailed, LayerMissing, OSError):
                continue
            except asyncio.CancelledError:
                self._bury(task)
                raise
            finally:
                self.fill()
            if cell.alive:
                return cell
            self.end(cell)
        raise WorkerFailed("The sandbox could not start a process; try again in a moment.", reason="crashed")

    def _start(self) -> asyncio.Task[Cell]:
        return asyncio.create_task(Cell.start(self.layer, self._limits))

    def pids(self) -> tuple[int, ...]:
        """Process ids of those that wait and are ready."""
        ready = (task for task in self._starting if task.done() and not task.cancelled() and not task.exception())
        return tuple(task.result().pid for task in ready)

    async def ready(self) -> None:
        """Wait until all that were started are ready or have failed."""
        if self._starting:
            await asyncio.wait(self._starting)

    def end(self, cell: Cell) -> asyncio.Task[None]:
        """Kill a process; `aclose` waits for what is still being cleared away."""
        ending = cell.end()
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        return ending

    def _drop_all(self) -> None:
        while self._starting:
            self._bury(self._starting.popleft())

    def _bury(self, task: asyncio.Task[Cell]) -> None:
        ending = asyncio.create_task(self._end_started(task))
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)

    async def _end_started(self, task: asyncio.Task[Cell]) -> None:
        with contextlib.suppress(CellFailed, LayerMissing, OSError, asyncio.CancelledError):
            await (await task).end()

    async def aclose(self) -> None:
        self._closed = True
        if self._idle is not None:
            self._idle.cancel()
        self._drop_all()
        while self._endings:
            await asyncio.gather(*self._endings)
