"""Routing, the checks in front of every route, and the listening socket."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
import time
from collections.abc import Awaitable, Callable

from tests.doubles.ollama import catalog, chat, control, wire
from tests.doubles.ollama.decoding import ApiError
from tests.doubles.ollama.faults import Faults, before_answer, send_object
from tests.doubles.ollama.http1 import Connection, Exchange, ExchangeOver, Request
from tests.doubles.ollama.state import Context, Double, parsed_body

Route = Callable[[Context, Faults], Awaitable[None]]


async def _root(context: Context, faults: Faults) -> None:
    await context.exchange.send(200, b"Ollama is running", wire.PLAIN)


ROUTES: dict[str, dict[str, Route]] = {
    "/": {"GET": _root, "HEAD": _root},
    "/api/version": {"GET": catalog.version, "HEAD": catalog.version},
    "/api/tags": {"GET": catalog.tags, "HEAD": catalog.tags},
    "/api/ps": {"GET": catalog.ps},
    "/api/show": {"POST": catalog.show},
    "/api/chat": {"POST": chat.chat},
    "/api/generate": {"POST": chat.generate},
    "/api/embed": {"POST": catalog.embed},
    "/api/embeddings": {"POST": catalog.legacy_embeddings},
    "/api/pull": {"POST": catalog.pull},
    "/api/delete": {"DELETE": catalog.delete},
    "/api/copy": {"POST": catalog.copy},
}
_ALLOWED_ORIGIN = re.compile(
    r"(?:https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0)(?::\d+)?|(?:app|file|tauri|vscode-webview|vscode-file)://.*)\Z"
)


def host_allowed(host: str) -> bool:
    """The check a server on loopback makes of the `Host` header."""
    name = host.rpartition(":")[0] if re.search(r":\d+\Z", host) else host
    try:
        address = ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        name = name.lower()
        known = name in ("", "localhost", socket.gethostname().lower())
        return known or name.endswith((".localhost", ".local", ".internal"))
    return address.is_loopback or address.is_private or address.is_unspecified


class Application:
    """One double and its open connections."""

    def __init__(self) -> None:
        self.double = Double()

    def connection(self) -> Connection:
        return Connection(self.handle, self.double.connections)

    async def handle(self, request: Request, exchange: Exchange) -> None:
        if request.path.startswith(control.PREFIX):
            await control.handle(self.double, request, exchange)
            return
        body = parsed_body(request.body)
        entry = self.double.record(request, body)

        def lost() -> None:
            entry.disconnected_at, entry.disconnected_monotonic = time.time(), time.monotonic()

        exchange.connection.on_lost = lost
        try:
            if not await self._refused(request, exchange):
                scripted = self.double.script.find(request.path, body)
                if scripted is not None:
                    entry.answered_by = f"script {scripted.entry.index}"
                await self._answer(Context(self.double, request, exchange, scripted, entry))
            entry.finished_at = time.time()
        except ExchangeOver:
            entry.finished_at = time.time()
            raise
        finally:
            entry.close(exchange)

    async def _refused(self, request: Request, exchange: Exchange) -> bool:
        """Host and Origin checks, unknown paths and wrong verbs. True when answered."""
        origin = request.headers.get("origin")
        host_ok = not self.double.config.check_host or host_allowed(request.headers.get("host", ""))
        if not host_ok or (origin and not _ALLOWED_ORIGIN.match(origin)):
            await exchange.send(403)
            return True
        methods = ROUTES.get(request.path)
        if methods is None:
            await exchange.send(404, b"404 page not found", "text/plain")
        elif request.method not in methods:
            allowed = [("Allow", ", ".join(methods))]
            await exchange.send(405, b"405 method not allowed", "text/plain", allowed)
        return methods is None or request.method not in methods

    async def _answer(self, context: Context) -> None:
        faults = Faults(context.scripted.faults if context.scripted else [])
        if faults and await before_answer(context.exchange, faults):
            return
        route = ROUTES[context.request.path][context.request.method]
        try:
            await route(context, faults)
        except ApiError as error:
            await send_object(context.exchange, faults, error.status, {"error": error.text})


async def serve(host: str, port: int, ready: Callable[[str], None]) -> None:
    """Listen until cancelled; `ready` gets the URL once connections are accepted."""
    application = Application()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(application.connection, host, port, backlog=1024)
    actual = server.sockets[0].getsockname()[1]
    ready(f"http://{host}:{actual}")
    async with server:
        try:
            with contextlib.suppress(asyncio.CancelledError):
                await server.serve_forever()
        finally:
            for connection in list(application.double.connections):
                connection.transport.abort()
