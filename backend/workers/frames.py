"""Frames between the server and its worker processes: four bytes of length, then JSON. Never pickle."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Iterator
from typing import Any

import orjson

HEADER = struct.Struct(">I")
MAX_FRAME = 256 * 1_048_576


class FrameTooLarge(Exception):
    """The other side announced more bytes than this side takes."""


def pack(value: Any) -> bytes:
    """A frame. Raises TypeError for what JSON cannot hold."""
    body = orjson.dumps(value)
    return HEADER.pack(len(body)) + body


async def read_frame(reader: asyncio.StreamReader, limit: int = MAX_FRAME) -> Any:
    """The next frame. Raises FrameTooLarge before reading its body, IncompleteReadError at the end."""
    (size,) = HEADER.unpack(await reader.readexactly(HEADER.size))
    if size > limit:
        raise FrameTooLarge
    return orjson.loads(await reader.readexactly(size))


def receive_frame(sock: socket.socket) -> Any:
    """The next frame from a blocking socket. Raises EOFError when the other side has gone."""
    (size,) = HEADER.unpack(_receive(sock, HEADER.size))
    return orjson.loads(_receive(sock, size))


def _receive(sock: socket.socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        part = sock.recv(min(size - len(parts), 1_048_576))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


class FrameBuffer:
    """Cuts a byte stream into frames."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """The frames that are complete now, in order."""
        self._bytes += data
        while len(self._bytes) >= HEADER.size:
            (size,) = HEADER.unpack_from(self._bytes)
            end = HEADER.size + size
            if len(self._bytes) < end:
                return
            body = bytes(self._bytes[HEADER.size : end])
            del self._bytes[:end]
            yield orjson.loads(body)
