"""Speaking with a program over its standard input and output: one JSON message a line, everything bounded.

The library's own transport reads lines of any length and hands on variables of this process; this one does neither.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio

from backend.tools.mcp_config import ServerEntry
from backend.tools.mcp_text import one_line

log = logging.getLogger("hearth.tools.mcp")

MAX_MESSAGE_BYTES = 4 * 1_048_576
MAX_GARBAGE_LINES = 100
MAX_MESSAGES = 2_000
"""Within MESSAGES_S; a program that says more is stopped."""
MESSAGES_S = 10.0
GRACE_S = 1.0
_LOOK_S = 0.01
_READ_BYTES = 65_536
_WAITING_MESSAGES = 64
_NOTED_BYTES = 2_000

Ended = Callable[[str], None]


@contextlib.asynccontextmanager
async def stdio_streams(entry: ServerEntry, ended: Ended) -> AsyncIterator[tuple[Any, Any]]:
    """Start the program; yields the streams a session reads from and writes to. `ended` is told, with a reason, when
    the program has gone or misbehaves. On leaving, the program and all it started are stopped.

    Raises OSError when it cannot be started.
    """
    assert entry.command is not None
    process = await asyncio.create_subprocess_exec(
        entry.command,
        *entry.args,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment_of(entry),
        cwd=entry.cwd,
        start_new_session=True,
    )
    to_session, from_program = anyio.create_memory_object_stream[Any](_WAITING_MESSAGES)
    to_program, from_session = anyio.create_memory_object_stream[Any](_WAITING_MESSAGES)
    tasks = [
        asyncio.create_task(_read(process, to_session, ended)),
        asyncio.create_task(_write(process, from_session)),
        asyncio.create_task(_note_errors(process, entry.name)),
    ]
    try:
        yield from_program, to_program
    finally:
        with anyio.CancelScope(shield=True):
            await _stop(process)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for stream in (to_session, from_program, to_program, from_session):
                stream.close()
            # Descendants may hold the pipes open; the transport must not wait for them.
            process._transport.close()  # type: ignore[attr-defined]


def environment_of(entry: ServerEntry) -> dict[str, str]:
    """What the program finds in its environment: where programs and its home are, and what its entry names."""
    ours = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**ours, **entry.env}


async def _read(process: asyncio.subprocess.Process, to_session: Any, ended: Ended) -> None:
    from mcp.shared.message import SessionMessage
    from mcp_types import jsonrpc_message_adapter

    garbage = 0
    pace = _Pace()
    reason = "its program ended"
    async with to_session:
        async for line in _lines(process):
            if line is None:
                reason = f"it sent a message larger than {MAX_MESSAGE_BYTES // 1_048_576} MiB"
                break
            if not line.strip():
                continue
            if pace.is_too_fast():
                reason = "it sent more messages than anybody asked for"
                break
            try:
                message = jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValueError:
                # Many programs print a greeting or log lines where only messages belong.
                garbage += 1
                if garbage > MAX_GARBAGE_LINES:
                    reason = "what it says is not the protocol"
                    break
                continue
            try:
                await to_session.send(SessionMessage(message))
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                break
        ended(reason)


async def _lines(process: asyncio.subprocess.Process) -> AsyncIterator[bytes | None]:
    """Whole lines; None, and the end, when one is too long."""
    assert process.stdout is not None
    kept = bytearray()
    while chunk := await process.stdout.read(_READ_BYTES):
        searched = len(kept)
        kept += chunk
        while (end := kept.find(b"\n", searched)) >= 0:
            yield bytes(kept[:end])
            del kept[: end + 1]
            searched = 0
        if len(kept) > MAX_MESSAGE_BYTES:
            yield None
            return


async def _write(process: asyncio.subprocess.Process, from_session: Any) -> None:
    assert process.stdin is not None
    async with from_session:
        async for wrapped in from_session:
            text = wrapped.message.model_dump_json(by_alias=True, exclude_unset=True)
            process.stdin.write(text.encode("utf-8", "replace") + b"\n")
            try:
                await process.stdin.drain()
            except OSError:
                return


async def _note_errors(process: asyncio.subprocess.Process, name: str) -> None:
    """Keep reading what the program complains of, so that it never blocks; its last words go to the log."""
    assert process.stderr is not None
    last = b""
    while chunk := await process.stderr.read(_READ_BYTES):
        last = (last + chunk)[-_NOTED_BYTES:]
    if last.strip():
        log.info("plug-in %s wrote: %s", name, one_line(last.decode("utf-8", "replace"), 500))


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Its input closed, then a request to end, then an end, to everything in its session."""
    assert process.stdin is not None
    process.stdin.close()
    for how in (None, signal.SIGTERM, signal.SIGKILL):
        if how is not None:
            _signal(process, how)
        if await _has_ended(process):
            break
    # Whatever it started and left behind.
    _signal(process, signal.SIGKILL)


def _signal(process: asyncio.subprocess.Process, how: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, how)


async def _has_ended(process: asyncio.subprocess.Process) -> bool:
    """Whether it ends within GRACE_S. Its pipes may stay open in the hands of its children."""
    for _ in range(int(GRACE_S / _LOOK_S)):
        if process.returncode is not None:
            break
        await asyncio.sleep(_LOOK_S)
    return process.returncode is not None


class _Pace:
    """Counts messages in windows of MESSAGES_S."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._count = 0

    def is_too_fast(self) -> bool:
        now = time.monotonic()
        if now - self._since > MESSAGES_S:
            self._since, self._count = now, 0
        self._count += 1
        return self._count > MAX_MESSAGES
