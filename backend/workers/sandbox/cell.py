"""One process of the sandbox as the server sees it: started, locked, fed, watched, stopped, removed."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
import socket
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson

from backend.workers.frames import FrameTooLarge, read_frame
from backend.workers.sandbox import launch
from backend.workers.sandbox.interpreter import ENVIRONMENT, next_user
from backend.workers.sandbox.output import Output
from backend.workers.sandbox.scratch import Scratch
from backend.workers.sandbox_port import Layer, SandboxLimits, Stop

T = TypeVar("T")
START_SECONDS = 10.0
END_SECONDS = 5.0
WATCH_SECONDS = 0.04
"""Pause between two looks at the scratch folder and the number of threads."""
MAX_ANSWER = 262_144
_MAX_GREETING = 4096


class CellFailed(Exception):
    """The process did not lock itself in; the text says at which step, for the operator."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What one piece of code came to, before its files are looked at. `answer` is None when it was stopped."""

    answer: Mapping[str, Any] | None
    stopped: Stop | None
    stdout: str
    stderr: str
    cut: bool
    seconds: float
    code: int | None = None
    """Exit code where the process ended by itself, negative for a signal."""


class Cell:
    """A locked process that waits for code. Belongs to the event loop that started it."""

    def __init__(
        self,
        layer: Layer,
        limits: SandboxLimits,
        scratch: Scratch,
        process: asyncio.subprocess.Process,
        output: Output,
    ) -> None:
        self.layer = layer
        self.limits = limits
        self.scratch = scratch
        self._process = process
        self._output = output
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._ending: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, layer: Layer, limits: SandboxLimits) -> Cell:
        """A process that has said it is locked. Raises CellFailed, launch.LayerMissing."""
        user = next_user()
        scratch = Scratch(None) if layer == "bubblewrap" else await asyncio.to_thread(Scratch.make, user)
        command = launch.arguments(layer, limits, scratch.path, user)
        ours, theirs = socket.socketpair()
        output = Output(limits.output)
        process = None
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=theirs.fileno(),
                stdout=output.stdout.write_end,
                stderr=output.stderr.write_end,
                env=ENVIRONMENT,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise CellFailed(f"it could not be started ({error.strerror})") from None
        finally:
            theirs.close()
            if process is None:
                ours.close()
                output.close()
                await asyncio.to_thread(scratch.remove)
        cell = cls(layer, limits, scratch, process, output)
        output.listen()
        try:
            await cell._greet(ours)
        finally:
            if cell._writer is None:
                ours.close()
                await cell.end()
        return cell

    async def _greet(self, connection: socket.socket) -> None:
        """Wait for the scratch folder's descriptor and the line `ready`; until then nothing is sent."""
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        said = bytearray()
        try:
            async with asyncio.timeout(START_SECONDS):
                while not said.endswith(b"ready\n"):
                    await _readable(loop, connection)
                    data, handles, _, _ = socket.recv_fds(connection, _MAX_GREETING, 4)
                    for handle in handles:
                        self._take(handle)
                    said += data
                    if not data or len(said) > _MAX_GREETING or b"failed" in said:
                        raise CellFailed(self._why(said))
        except TimeoutError:
            raise CellFailed("it did not get ready in time") from None
        if self.scratch.handle < 0:
            raise CellFailed("it did not hand over its folder")
        self._reader, self._writer = await asyncio.open_connection(sock=connection)

    def _take(self, handle: int) -> None:
        os.set_inheritable(handle, False)
        if self.scratch.handle < 0:
            self.scratch.handle = handle
        else:
            os.close(handle)

    def _why(self, said: bytes | bytearray) -> str:
        """The reason it gave, or what the launcher printed."""
        told = said.decode("utf-8", "replace").partition("failed ")[2].strip()
        self._output.drain()
        printed = self._output.stderr.text().strip().splitlines()
        return (told or (printed[-1] if printed else "it ended without a word"))[:300]

    @property
    def pid(self) -> int:
        """Of the launcher, whose group all its processes are in."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None and self._ending is None

    async def run(self, code: str, files: Mapping[str, bytes]) -> Ran:
        """Run code within the limits. When it was stopped, or is of no further use, call `end`."""
        assert self._reader is not None and self._writer is not None
        self._output.begin()
        began = time.perf_counter()
        talk = asyncio.create_task(self._talk(self._reader, self._writer, code, files))
        watch = asyncio.create_task(self._watch())
        try:
            waited: set[asyncio.Future[Any]] = {talk, watch, self._output.flooded}
            await asyncio.wait(waited, timeout=self.limits.wall_seconds, return_when=asyncio.FIRST_COMPLETED)
            return await self._outcome(talk, watch, began)
        finally:
            for task in (talk, watch):
                task.cancel()
            await asyncio.gather(talk, watch, return_exceptions=True)

    async def _outcome(self, talk: asyncio.Task[Any], watch: asyncio.Task[Stop], began: float) -> Ran:
        answer: Mapping[str, Any] | None = None
        stopped: Stop | None = None
        code: int | None = None
        if self._output.flooded.done():
            stopped = "output"
        elif talk.done():
            answer = talk.result()
            if answer is None:
                code = await self._exit_code()
                stopped = self._how_ended(code, time.perf_counter() - began)
        elif watch.done():
            stopped = watch.result()
        else:
            stopped = "timeout"
        seconds = time.perf_counter() - began
        if stopped is not None:
            self.kill()
        self._output.drain()
        out, err = self._output.stdout.text(), self._output.stderr.text()
        return Ran(answer, stopped, out, err, self._output.flooded.done(), seconds, code)

    def _how_ended(self, code: int, seconds: float) -> Stop:
        """The kernel's way to end a process tells which limit it broke."""
        if code == -signal.SIGXCPU or (code == -signal.SIGKILL and seconds >= self.limits.cpu_seconds):
            return "cpu"
        return "memory" if code == -signal.SIGKILL else "crashed"

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, code: str, files: Mapping[str, bytes]
    ) -> Mapping[str, Any] | None:
        """The answer, or None when the process ended or spoke nonsense."""
        order = orjson.dumps({"code": code, "files": [(name, len(data)) for name, data in files.items()]})
        try:
            writer.write(len(order).to_bytes(4, "big") + order)
            for data in files.values():
                writer.write(data)
            await writer.drain()
            answer = await read_frame(reader, MAX_ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError, FrameTooLarge, orjson.JSONDecodeError):
            return None
        return answer if isinstance(answer, dict) else None

    async def _watch(self) -> Stop:
        """Ends only when more was written, or more threads started, than is allowed."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            # Not thrown away in the middle: the folder must not be closed under its reader.
            if await finished(asyncio.to_thread(self.scratch.breach, self.limits)):
                return "disk"
            if self.layer == "landlock" and _threads(self._process.pid) > self.limits.threads:
                return "threads"

    def memory(self, answer: Mapping[str, Any]) -> float:
        """Bytes of memory it holds, infinite when that cannot be told."""
        if self.layer == "landlock":
            # It is our own child, whose highest mark began with ours.
            return _resident(self._process.pid)
        told = answer.get("memory")
        return float(told) if isinstance(told, int | float) and not isinstance(told, bool) else math.inf

    def pause(self) -> None:
        """Between two calls nothing of it runs."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def end(self) -> asyncio.Task[None]:
        """Kill it with everything it started; the task is done when it is gone and its folder removed."""
        if self._ending is None:
            self.kill()
            self._ending = asyncio.create_task(self._buried())
        return self._ending

    def kill(self) -> None:
        """Send the signal to all of it; `end` clears away."""
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        """To the whole group, while its leader has not been waited for and so the number is still its own."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, number)

    async def _exit_code(self) -> int:
        """Exit code, negative for a signal; the launchers pass on signals as 128 and more.

        The end of the conversation comes a moment before the end of the process; one that only hung up is killed.
        """
        try:
            async with asyncio.timeout(0.5):
                code = await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()
            return 0
        return 128 - code if code > 128 else code

    async def _buried(self) -> None:
        await self._process.wait()
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()
        self._output.close()
        await asyncio.to_thread(self.scratch.remove)


async def finished(work: Coroutine[Any, Any, T]) -> T:
    """The result of work that goes on to its end even when the waiting for it is cancelled."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


async def _readable(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> None:
    ready = asyncio.Event()
    loop.add_reader(connection.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(connection.fileno())


def _threads(pid: int) -> int:
    """Threads of a process; 0 when it is gone or the system does not say. Field 20 of /proc/PID/stat."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[17])
    except (OSError, ValueError, IndexError):
        return 0


def _resident(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * float(os.sysconf("SC_PAGE_SIZE"))
    except (OSError, ValueError, IndexError):
        return math.inf
