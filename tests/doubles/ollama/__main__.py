"""`python -m tests.doubles.ollama --port 0` prints `READY http://127.0.0.1:PORT` once it listens."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal

from tests.doubles.ollama.server import serve

_PARENT_CHECK_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.doubles.ollama")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free port")
    parser.add_argument("--exit-with-parent", action="store_true", help="leave when the starting process is gone")
    options = parser.parse_args()
    asyncio.run(_until_signalled(options.host, options.port, options.exit_with_parent))


async def _until_signalled(host: str, port: int, exit_with_parent: bool) -> None:
    serving = asyncio.ensure_future(serve(host, port, lambda url: print(f"READY {url}", flush=True)))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    parent = os.getppid()
    while not serving.done():
        await asyncio.wait([serving], timeout=_PARENT_CHECK_S if exit_with_parent else None)
        if exit_with_parent and os.getppid() != parent:
            serving.cancel()
    if not serving.cancelled():
        serving.result()


if __name__ == "__main__":
    main()
