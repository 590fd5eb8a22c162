"""What has expired is removed: at the start, and every hour."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence

from backend.models.errors import HearthError

log = logging.getLogger("hearth.housekeeping")

SECONDS = 3600.0


class Housekeeping:
    """Calls each of `sweeps` in turn, now and then. Nothing depends on it in time: whoever reads looks for himself."""

    def __init__(self, sweeps: Sequence[Callable[[], Awaitable[object]]], seconds: float = SECONDS) -> None:
        self._sweeps = sweeps
        self._seconds = seconds
        self._job: asyncio.Task[None] | None = None

    def start(self) -> None:
        """The first round begins at once, in the background."""
        self._job = asyncio.create_task(self._rounds())

    async def sweep(self) -> None:
        """One round. What the disk refuses is tried again in the next one."""
        for sweep in self._sweeps:
            try:
                await sweep()
            except HearthError as error:
                log.error("removing what has expired failed: %s", error.message)

    async def aclose(self) -> None:
        job, self._job = self._job, None
        if job is not None:
            job.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await job

    async def _rounds(self) -> None:
        while True:
            await self.sweep()
            await asyncio.sleep(self._seconds)
