"""`serve`: logging, first start, uvicorn."""

from __future__ import annotations

import asyncio
import signal
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
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(server, listener, services, settings.server_host))
    return 0 if server.started else 1


async def _serve(server: Any, listener: socket.socket, services: Services, host: str) -> None:
    made = await first_credentials(services)
    loop = asyncio.get_running_loop()

    def stop() -> None:
        # The first signal lets streams finish; the second ends at once.
        server.force_exit = server.should_exit
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    config = server.config
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listener])
    if not server.started:
        return
    if not server.should_exit:
        port = listener.getsockname()[1]
        shown = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
        shown = f"[{shown}]" if ":" in shown else shown
        print(await welcome(services, f"http://{shown}:{port}", made), flush=True)
        await server.main_loop()
    await server.shutdown(sockets=[listener])


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
