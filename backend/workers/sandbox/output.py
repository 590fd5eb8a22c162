"""What the code prints: two pipes read as it comes, with one limit for both together."""

from __future__ import annotations

import asyncio
import os

_CHUNK = 65_536


class Pipe:
    """One stream. `write_end` is for the process; what it writes is kept as far as there is room."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        self.kept = bytearray()
        self.open = True

    def text(self) -> str:
        return self.kept.decode("utf-8", "replace")


class Output:
    """Both streams of one process. `flooded` is done when they have brought more than `limit` bytes in one call."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self.stdout, self.stderr = Pipe(), Pipe()
        self.flooded: asyncio.Future[None] = self._loop.create_future()

    def listen(self) -> None:
        """The process has its ends now: close ours of them and read."""
        for pipe in (self.stdout, self.stderr):
            _close(pipe, "write_end")
            self._loop.add_reader(pipe.read_end, self._read, pipe)

    def begin(self) -> None:
        """Forget what an earlier call has printed."""
        self.drain()
        for pipe in (self.stdout, self.stderr):
            pipe.kept.clear()

    def drain(self) -> None:
        """Take what lies in the pipes now, at most a little more than the limit."""
        for pipe in (self.stdout, self.stderr):
            while pipe.open and not self.flooded.done() and self._read(pipe):
                pass

    def close(self) -> None:
        for pipe in (self.stdout, self.stderr):
            _close(pipe, "write_end")
            self._shut(pipe)

    def _read(self, pipe: Pipe) -> bool:
        """One piece; False when there is nothing (more)."""
        try:
            data = os.read(pipe.read_end, _CHUNK)
        except BlockingIOError:
            return False
        if not data:
            self._shut(pipe)
            return False
        room = self._limit - len(self.stdout.kept) - len(self.stderr.kept)
        pipe.kept += data[: max(room, 0)]
        if len(data) > room and not self.flooded.done():
            self.flooded.set_result(None)
        if self.flooded.done():
            # A full pipe holds the process up until it is killed.
            self._loop.remove_reader(pipe.read_end)
        return True

    def _shut(self, pipe: Pipe) -> None:
        if pipe.open:
            pipe.open = False
            self._loop.remove_reader(pipe.read_end)
            os.close(pipe.read_end)


def _close(pipe: Pipe, end: str) -> None:
    handle = getattr(pipe, end)
    if handle >= 0:
        os.close(handle)
        setattr(pipe, end, -1)
