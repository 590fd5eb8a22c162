"""`serve`: logging, first start, uvicorn."""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import socket
import sys
from typing import Any

from backend.api.app import create_app
from backend.bootstrap import Services, build
from backend.cli.first_start import first_credentials, welcome
from backend.config.logs import set_up_logging
from backend.config.settings import Settings, load_settings
from backend.models.errors import SettingsError

GRACE_SECONDS = 20


def serve(host: str | None = None, port: int | None = None) -> int:
    """Run until stopped. Raises SettingsError."""
    given: dict[str, Any] = {}
    if host is not None:
        given["server_host"] = host
    if port is not None:
        given["server_port"] = port
    settings = load_settings(**given)
    services = build(settings)
    set_up_logging(settings)
    return _run(settings, services)


def _run(settings: Settings, services: Services) -> int:
    import uvicorn

    listener = _listen(settings.server_host, settings.server_port)
    port = listener.getsockname()[1]
    shown = "127.0.0.1" if settings.server_host in ("0.0.0.0", "::", "") else settings.server_host
    config = uvicorn.Config(
        create_app(settings, services),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        h11_max_incomplete_event_size=65_536,
    )
    server = uvicorn.Server(config)

    async def main() -> None:
        made = await first_credentials(services)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not running.done():
            await asyncio.sleep(0.01)
        if not running.done():
            host = f"[{shown}]" if ":" in shown else shown
            print(await welcome(services, f"http://{host}:{port}", made), flush=True)
        await running

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            runner.run(main())
        except KeyboardInterrupt:
            logging.getLogger("hearth").info("stopped by Ctrl+C")
    return 0


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, so that a taken port is one clear line. Raises SettingsError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"SERVER_HOST={host!r}, SERVER_PORT={port} cannot be listened on ({error.strerror}):"
            " stop the other program or choose another port."
        ) from None
    listener.setblocking(False)
    return listener


def _loop_factory() -> Any:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop
