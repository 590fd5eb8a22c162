"""Files of one JSON object a line that only grow: encoding, appending durably, reading either end."""

from __future__ import annotations

import contextlib
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from backend.storage.json_files.atomic import write_all

_CHECK_BEFORE = b',"check":"'
_CHECK_AFTER = b'"}'
_CHECK_LENGTH = len(_CHECK_BEFORE) + 8 + len(_CHECK_AFTER)
_BLOCK = 8192
_MANY_DIGITS = re.compile(rb"\d{19}")


@dataclass(frozen=True, slots=True)
class Line:
    """A complete line. `record` is None when it is not a JSON object or its checksum does not fit."""

    record: dict[str, Any] | None
    raw: bytes


def encode_json(data: Any) -> bytes:
    """JSON on one line, UTF-8; what the fast encoder refuses (lone surrogates, huge integers) goes the slow way."""
    try:
        return orjson.dumps(data)
    except TypeError:
        return json.dumps(data, separators=(",", ":"), default=str).encode("ascii")


def decode_json(data: bytes) -> Any:
    """Raises ValueError, RecursionError. Integers keep all their digits: the fast decoder rounds beyond 64 bits."""
    if _MANY_DIGITS.search(data):
        return json.loads(data)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)


def encode_line(record: Mapping[str, Any]) -> bytes:
    """One line, newline included, ending in `"check"`: the CRC-32 of the object without it."""
    body = encode_json(record)
    return b"%s%s%08x%s\n" % (body[:-1], _CHECK_BEFORE, zlib.crc32(body), _CHECK_AFTER)


def decode_line(raw: bytes) -> Line:
    """A line without its newline. A line without `check` (edited by hand) only needs to be a JSON object."""
    body = raw
    if raw[-_CHECK_LENGTH:].startswith(_CHECK_BEFORE) and raw.endswith(_CHECK_AFTER):
        body = raw[:-_CHECK_LENGTH] + b"}"
        if b"%08x" % zlib.crc32(body) != raw[-_CHECK_LENGTH:][len(_CHECK_BEFORE) : -len(_CHECK_AFTER)]:
            return Line(None, raw)
    try:
        record = decode_json(body)
    except (ValueError, RecursionError):
        return Line(None, raw)
    return Line(record if isinstance(record, dict) else None, raw)


def append(handle: int, end: int, data: bytes) -> None:
    """Add lines to a file opened with O_APPEND whose complete lines end at `end`: one write, one fsync.

    Whatever fails, the file is cut back to what it was.
    """
    with contextlib.ExitStack() as undo:
        undo.callback(_cut_back, handle, end)
        write_all(handle, data)
        os.fsync(handle)
        undo.pop_all()


def _cut_back(handle: int, end: int) -> None:
    with contextlib.suppress(OSError):  # then the next writer cuts the torn line off
        os.ftruncate(handle, end)


def split_lines(data: bytes) -> tuple[list[bytes], int]:
    """The complete, non-blank lines, and where they end: bytes after that are a torn line."""
    end = data.rfind(b"\n") + 1
    return [raw for raw in data[:end].split(b"\n") if raw.strip()], end


def first_line(handle: int) -> bytes | None:
    """The first line if it is complete."""
    data = b""
    while True:
        block = os.pread(handle, _BLOCK, len(data))
        data += block
        cut = data.find(b"\n")
        if cut >= 0:
            return data[:cut]
        if not block:
            return None


def last_lines(handle: int, size: int) -> Iterator[tuple[bytes, int]]:
    """Complete, non-blank lines from the last to the first, each with the offset after its newline.

    Reads from the end, only as far as the caller goes on.
    """
    newlines = _newlines_backwards(handle, size)
    end = next(newlines)
    for before in newlines:
        raw = os.pread(handle, end - before - 1, before + 1)
        if raw.strip():
            yield raw, end + 1
        end = before


def _newlines_backwards(handle: int, size: int) -> Iterator[int]:
    """Offsets of newlines from the last to the first, then -1."""
    start = size
    while start > 0:
        step = min(_BLOCK, start)
        start -= step
        block = os.pread(handle, step, start)
        at = block.rfind(b"\n")
        while at >= 0:
            yield start + at
            at = block.rfind(b"\n", 0, at)
    yield -1
