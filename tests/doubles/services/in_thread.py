"""Doubles of outside services for tests whose server is another process: their loop runs in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager

from tests.doubles.services.http_double import Answer, HttpDouble


@contextmanager
def served(answers: Mapping[str, Answer]) -> Iterator[dict[str, HttpDouble]]:
    """The named services on addresses of their own, until the block ends."""
    doubles = {name: HttpDouble(answer) for name, answer in answers.items()}
    ready = threading.Event()
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            for double in doubles.values():
                await stack.enter_async_context(double.running())
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield doubles
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()
