"""Writing NDJSON lines to the network: boundaries, blank lines, compression, and the ways a stream can break."""

from __future__ import annotations

import asyncio
import zlib
from itertools import pairwise
from typing import Any

from tests.doubles.ollama import wire
from tests.doubles.ollama.faults import Fault, Faults, error_line
from tests.doubles.ollama.http1 import Exchange

# A pause after each piece of a deliberately cut line, so that the pieces reach the peer as separate reads.
_PIECE_PAUSE_S = 0.001
# Writes between two turns of the event loop: it has to see the client leave while a fast stream runs.
_WRITES_PER_TURN = 8


def _utf8_cuts(data: bytes) -> list[int]:
    """Positions inside every multi-byte character: one byte after its first."""
    return [index + 1 for index, byte in enumerate(data) if byte >= 0xC2]


def _cut(data: bytes, positions: list[int]) -> list[bytes]:
    edges = [0, *(p for p in positions if 0 < p < len(data)), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if start < end]


class LineStream:
    """A chunked NDJSON response, one chunk per line unless the faults say otherwise."""

    def __init__(self, exchange: Exchange, faults: Faults) -> None:
        self._exchange = exchange
        self._faults = faults
        self._started = False
        self._held: list[bytes] = []
        self._hold = int((faults.get("coalesce") or {"lines": 1}).get("lines", 3))
        self._gzip = zlib.compressobj(wbits=31) if "gzip" in faults else None
        self._ending = faults.ending()
        self._lines = 0
        self._writes = 0

    async def start(self) -> None:
        if self._started:
            return
        self._started = True
        wrong = self._faults.get("wrong_content_type")
        content_type = wrong.get("content_type", "text/html") if wrong else wire.NDJSON
        headers = [("Content-Encoding", "gzip")] if self._gzip else []
        await self._exchange.start(200, content_type, headers)

    async def send(self, value: dict[str, Any] | bytes, *, last: bool = False) -> bool:
        """Write one object (or a ready line). False when a fault has ended the stream: send nothing more."""
        if self._ending is not None and self._is_due(last):
            await self._end_badly(self._ending)
            return False
        await self.start()
        data = value if isinstance(value, bytes) else wire.line(value)
        self._lines += 1
        if self._faults:
            await self._send_shaped(data, last)
        else:
            await self._write(data)
        return True

    def _is_due(self, last: bool) -> bool:
        assert self._ending is not None
        default = None if self._ending["kind"] == "eof_without_done" else 1
        after = self._ending.get("after_chunks", default)
        return last or (after is not None and self._lines >= int(after))

    async def _send_shaped(self, data: bytes, last: bool) -> None:
        if "blank_lines" in self._faults:
            data = b"\n" + data + b"\r\n"
        if last and "no_final_newline" in self._faults:
            data = data.rstrip(b"\r\n")
        self._held.append(data)
        if len(self._held) >= self._hold or last:
            joined, self._held = b"".join(self._held), []
            pieces = self._pieces(joined)
            for piece in pieces:
                await self._write(piece)
                if len(pieces) > 1:
                    await asyncio.sleep(_PIECE_PAUSE_S if len(pieces) < 100 else 0)
        if self._faults.chunk_delay_s:
            await asyncio.sleep(self._faults.chunk_delay_s)

    def _pieces(self, data: bytes) -> list[bytes]:
        if "bytewise" in self._faults:
            return [data[i : i + 1] for i in range(len(data))]
        if "split_utf8" in self._faults:
            return _cut(data, _utf8_cuts(data))
        split = self._faults.get("split_line")
        if split is not None:
            return _cut(data, [int(len(data) * split.get("at", 0.5))])
        return [data]

    async def _write(self, data: bytes) -> None:
        if self._gzip is not None:
            data = self._gzip.compress(data) + self._gzip.flush(zlib.Z_SYNC_FLUSH)
        await self._exchange.write(data)
        self._writes += 1
        if self._writes % _WRITES_PER_TURN == 0:
            await asyncio.sleep(0)

    async def finish(self) -> None:
        """The terminating chunk."""
        await self.start()
        if self._gzip is not None:
            await self._exchange.write(self._gzip.flush())
        await self._exchange.end()

    async def _end_badly(self, ending: Fault) -> None:
        kind = ending["kind"]
        await self.start()
        if self._held:
            await self._exchange.write(b"".join(self._held))
        if kind == "stall":
            await self._exchange.hang()
        if kind == "reset":
            await self._exchange.reset()
        if kind == "incomplete_chunked":
            if ending.get("mid_chunk"):
                await self._exchange.write_partial(b'{"model":"')
            await self._exchange.close()
        if kind in ("error_line", "nested_error_line"):
            await self._exchange.write(error_line(ending))
        await self.finish()
