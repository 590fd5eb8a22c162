"""One plugged-in server: started when it is first needed, listed, called, and started again when it has died."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import anyio

from backend import __version__
from backend.models.errors import ServiceFailed, ToolUnavailable
from backend.tools.mcp_config import ServerEntry
from backend.tools.mcp_http import http_streams
from backend.tools.mcp_stdio import stdio_streams
from backend.tools.mcp_text import one_line

log = logging.getLogger("hearth.tools.mcp")

START_S = 30.0
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 300.0
STEADY_S = 60.0
"""A server that ran this long is started again without the waiting of earlier failures."""
CALLS_AT_ONCE = 8
MAX_PAGES = 20
MAX_LISTED = 500
_RELIST_S = 1.0
_CLOSE_S = 5.0
_LOST = frozenset({-32000, -32600, -32603, -32700})
"""Codes after which an HTTP session may be gone: closed, invalid request (unknown session), internal, unreadable."""
_TIMED_OUT = -32001
_UNSUPPORTED_VERSION = -32022

State = Literal["idle", "starting", "ready", "down"]


class Connection:
    """`on_listed` is given the server's tools (the library's objects) whenever they have been read."""

    def __init__(
        self, entry: ServerEntry, on_listed: Callable[[Sequence[Any]], None], start_s: float = START_S
    ) -> None:
        """`start_s`: how long the server may take to greet and list its tools, each."""
        self.entry = entry
        self._start_s = start_s
        self.state: State = "idle"
        self.reason = "it has not been started yet"
        self._on_listed = on_listed
        self._session: Any = None
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._settled = asyncio.Event()
        self._slots = asyncio.Semaphore(CALLS_AT_ONCE)
        self._ended_because: str | None = None
        self._changed = False
        self._served = False
        self._leaving = False
        self._closing = False
        self._begun = 0.0
        self._retry_at = 0.0
        self._wait = FIRST_WAIT_S

    def begin(self) -> None:
        """Start the server unless it runs, or failed so lately that it must wait."""
        if self._closing or self._task is not None or time.monotonic() < self._retry_at:
            return
        self.state = "starting"
        self._begun = time.monotonic()
        self._wake, self._settled = asyncio.Event(), asyncio.Event()
        self._ended_because, self._changed, self._served = None, False, False
        self._leaving = False
        self._task = asyncio.create_task(self._serve())
        self._task.add_done_callback(self._over)

    async def settled(self, seconds: float) -> None:
        """Wait until the server just started is ready or down, at most so long since its start."""
        if self.state != "starting":
            return
        left = seconds - (time.monotonic() - self._begun)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, left)):
                await self._settled.wait()

    async def call(self, tool: str, arguments: dict[str, Any]) -> Any:
        """The server's answer (the library's CallToolResult).

        Raises ToolUnavailable when the server cannot be reached, ServiceFailed when it does not answer properly.
        """
        from mcp.shared.exceptions import MCPError
        from mcp_types import CallToolRequest, CallToolRequestParams, CallToolResult
        from pydantic import ValidationError

        # Not the library's call_tool: that checks the answer against a schema of the server's making, whose
        # patterns may run for ever.
        request = CallToolRequest(params=CallToolRequestParams(name=tool, arguments=arguments))
        name = self.entry.name
        async with self._slots:
            session = await self._ready()
            try:
                return await session.send_request(request, CallToolResult, self.entry.timeout)
            except MCPError as error:
                if error.code == _TIMED_OUT:
                    raise ServiceFailed(f"The plug-in {name} did not answer in {self.entry.timeout:g} s.") from None
                if error.code in _LOST:
                    self._lost(session)
                    raise ServiceFailed(f"The connection to the plug-in {name} failed: try again later.") from None
                words = one_line(error.message, 300)
                raise ServiceFailed(f"The plug-in {name} refused the call: {words}") from None
            except (ValidationError, ValueError, TypeError, RuntimeError, anyio.BrokenResourceError):
                raise ServiceFailed(f"The plug-in {name} gave an answer that cannot be read.") from None

    async def aclose(self) -> None:
        """Stop the server; bounded."""
        self._closing = True
        task = self._task
        if task is None:
            return
        self._wake.set()
        if self.state == "starting":
            task.cancel()
        done, _ = await asyncio.wait([task], timeout=_CLOSE_S)
        if not done:
            task.cancel()
            await asyncio.wait([task], timeout=_CLOSE_S)

    async def _ready(self) -> Any:
        self.begin()
        await self.settled(self._start_s)
        if self._session is None:
            raise ToolUnavailable(f"The plug-in {self.entry.name} cannot be used now: {self.reason}.")
        return self._session

    def _lost(self, session: Any) -> None:
        """Give up a connection that failed, unless another has taken its place."""
        if session is self._session:
            self._end("the connection failed")

    def _end(self, reason: str) -> None:
        """No call is made from now on; the serving task cleans up."""
        if self._ended_because is None and not self._leaving:
            self._ended_because = self.reason = reason
            if self.state == "ready":
                self.state, self._session = "down", None
        self._wake.set()

    def _leave(self) -> None:
        """From here on the end of the program is our own doing, and no reason for anything."""
        self._leaving = True

    def _over(self, task: asyncio.Task[None]) -> None:
        """The serving task has ended, however it did."""
        self._session = self._task = None
        error = None if task.cancelled() else task.exception()
        steady = self._served and time.monotonic() - self._begun >= STEADY_S
        self._wait = FIRST_WAIT_S if steady else self._wait
        self.reason = self._ended_because or (_reason(error) if error else "it was stopped")
        self.state = "down"
        self._retry_at = time.monotonic() + self._wait
        self._settled.set()
        if not self._closing:
            log.warning("plug-in %s is down: %s; it rests for %.0f s", self.entry.name, self.reason, self._wait)
        self._wait = FIRST_WAIT_S if steady else min(LONGEST_WAIT_S, self._wait * 2)

    async def _serve(self) -> None:
        """From the start of the server to its end. One task, because the library's scopes belong to one."""
        # A second of imports must not hold up the requests of others.
        await asyncio.to_thread(_import_library)
        from mcp.client.session import ClientSession
        from mcp_types import Implementation

        about = Implementation(name="hearth", version=__version__)
        async with contextlib.AsyncExitStack() as stack:
            by_pipe = self.entry.command is not None
            opening: Any = stdio_streams(self.entry, self._end) if by_pipe else http_streams(self.entry)
            reading, writing = await stack.enter_async_context(opening)
            session = await stack.enter_async_context(
                ClientSession(reading, writing, self._start_s, message_handler=self._heard, client_info=about)
            )
            stack.callback(self._leave)
            with anyio.fail_after(self._start_s):
                await self._greet(session)
                await self._list(session)
            if self._ended_because is not None:
                return
            self._session = session
            self.state, self._served = "ready", True
            self._settled.set()
            log.info("plug-in %s is ready after %.1f s", self.entry.name, time.monotonic() - self._begun)
            try:
                await self._keep(session)
            finally:
                self._session = None

    async def _greet(self, session: Any) -> None:
        from mcp.shared.exceptions import MCPError

        try:
            await session.initialize()
        except MCPError as error:
            if error.code != _UNSUPPORTED_VERSION:
                raise
            await session.discover()

    async def _keep(self, session: Any) -> None:
        """Until the server has ended or is to be stopped; reads its tools again when it says that they changed."""
        wait = _RELIST_S
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._closing or self._ended_because is not None:
                return
            if self._changed:
                self._changed = False
                with anyio.fail_after(self._start_s):
                    await self._list(session)
                # A list that changes all the time is read ever more rarely; an end is noticed at once.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._ending()
                wait = min(LONGEST_WAIT_S, wait * 2)

    async def _ending(self) -> None:
        while self._ended_because is None and not self._closing:
            await self._wake.wait()
            self._wake.clear()
        self._wake.set()

    async def _list(self, session: Any) -> None:
        """Read what tools there are, as far as the bounds go."""
        from mcp_types import ListToolsRequest, ListToolsResult, PaginatedRequestParams

        found: list[Any] = []
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            params = PaginatedRequestParams(cursor=cursor) if cursor else None
            page = await session.send_request(ListToolsRequest(params=params), ListToolsResult)
            found += page.tools
            cursor = page.next_cursor
            if not cursor or len(found) >= MAX_LISTED:
                break
        self._on_listed(found[:MAX_LISTED])

    async def _heard(self, message: Any) -> None:
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self._changed = True
            self._wake.set()


def _import_library() -> None:
    import mcp.client.session
    import mcp.client.streamable_http  # noqa: F401


def _reason(error: BaseException) -> str:
    """A clause for people: what kind of failure it was. What the server itself wrote is not repeated."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError):
        return "its program (or its working folder) cannot be found or run: check `command` and `cwd`"
    if isinstance(error, TimeoutError) or getattr(error, "code", None) == _TIMED_OUT:
        return "it did not answer in time"
    if isinstance(error, OSError):
        return f"it could not be started ({error.strerror or type(error).__name__})"
    return "it did not answer as the protocol asks"
