"""The server's end of one zygote process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.workers.frames import FrameBuffer, pack

PROJECT_ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0
END_SECONDS = 5.0


class ZygoteGone(Exception):
    """The zygote process is no longer there."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a child ended: exit code (negative: the signal), and the CPU seconds it used.

    `code` is None when the zygote went with it, or the child never came to be.
    """

    code: int | None
    cpu_seconds: float = 0.0


def environment() -> dict[str, str]:
    """All that a worker process sees of the environment: nothing that could be a secret."""
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(PROJECT_ROOT),
        "OMP_NUM_THREADS": "1",  # a library that starts threads could not be forked safely
        "OPENBLAS_NUM_THREADS": "1",
    }


class ZygoteLink:
    """Starts, commands and ends one zygote. All methods belong to the event loop that started it."""

    def __init__(self, process: asyncio.subprocess.Process, control: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._process = process
        self._control = control
        self._frames = FrameBuffer()
        self._ended: dict[int, asyncio.Future[Ended]] = {}
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self.alive = True
        self._loop.add_reader(control.fileno(), self._on_readable)

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(cls, module: str) -> ZygoteLink:
        """A zygote that has loaded the family's libraries. Raises ZygoteGone when it does not come up."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        process = None
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "backend.workers.zygote",
                module,
                stdin=theirs.fileno(),
                stdout=asyncio.subprocess.DEVNULL,
                env=environment(),
                cwd="/",
                start_new_session=True,
            )
        finally:
            theirs.close()
            if process is None:
                ours.close()
        link = cls(process, ours)
        try:
            async with asyncio.timeout(START_SECONDS):
                await link._ready
        except (TimeoutError, ZygoteGone):
            await link.aclose()
            raise ZygoteGone from None
        except asyncio.CancelledError:
            link._let_go()
            raise
        return link

    def submit(self, job_id: int, descriptor: int) -> None:
        """Have a child forked that talks over this descriptor. Raises ZygoteGone."""
        self._send({"run": job_id}, descriptor)

    def end(self, job_id: int) -> asyncio.Future[Ended]:
        """Kill the child, if it still runs, with all its offspring; the future tells how it ended."""
        if job_id in self._ended:
            return self._ended[job_id]
        future: asyncio.Future[Ended] = self._loop.create_future()
        try:
            self._send({"end": job_id})
        except ZygoteGone:
            future.set_result(Ended(None))
            return future
        self._ended[job_id] = future
        overdue = self._loop.call_later(END_SECONDS, self._let_go)
        future.add_done_callback(lambda _: overdue.cancel())
        return future

    async def aclose(self) -> None:
        """End the zygote and every child; returns when the process is gone."""
        self._let_go()
        await self._process.wait()

    def _send(self, command: dict[str, int], *descriptors: int) -> None:
        if not self.alive:
            raise ZygoteGone
        frame = pack(command)
        try:
            sent = socket.send_fds(self._control, [frame], descriptors)
        except OSError:
            sent = 0
        if sent != len(frame):
            self._let_go()
            raise ZygoteGone

    def _on_readable(self) -> None:
        try:
            data = self._control.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._let_go()
            return
        for frame in self._frames.feed(data):
            self._on_frame(frame)

    def _on_frame(self, frame: dict[str, Any]) -> None:
        if "ready" in frame:
            if not self._ready.done():
                self._ready.set_result(None)
            return
        future = self._ended.pop(frame["ended"], None)
        if future is not None and not future.done():
            future.set_result(Ended(frame["code"], frame["cpu_seconds"]))

    def _let_go(self) -> None:
        """The link is over: close, kill, and tell everyone who waits. Children die with the zygote."""
        if not self.alive:
            return
        self.alive = False
        self._loop.remove_reader(self._control.fileno())
        self._control.close()
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        if not self._ready.done():
            self._ready.set_exception(ZygoteGone())
            self._ready.exception()
        for future in self._ended.values():
            if not future.done():
                future.set_result(Ended(None))
        self._ended.clear()
