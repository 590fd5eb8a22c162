"""Several answers to one request, written side by side and told apart by their number."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from backend.models.messages import Event, Finished, OfChoice

BUFFERED = 32
"""Events that wait for a slow reader before the answers wait too."""


async def side_by_side(runs: Sequence[AsyncGenerator[Event, None]]) -> AsyncGenerator[Event, None]:
    """The events of all runs as they come, each as OfChoice with the number of its run.

    Ends when the last run has. A run that raises ends the others, and its error is raised. One that its owner
    cancelled ends them as well, each with the same Finished. Closing this closes every run.
    """
    queue: asyncio.Queue[tuple[int, Event] | asyncio.Task[None]] = asyncio.Queue()
    room = asyncio.Semaphore(BUFFERED)
    tasks = [asyncio.create_task(_pump(number, run, queue, room)) for number, run in enumerate(runs)]
    for task in tasks:
        # A run that ends, well or badly, ends behind its last event.
        task.add_done_callback(queue.put_nowait)
    going, unfinished = len(tasks), set(range(len(tasks)))
    try:
        while going:
            item = await queue.get()
            if isinstance(item, asyncio.Task):
                item.result()
                going -= 1
                continue
            number, event = item
            room.release()
            yield OfChoice(number, event)
            if isinstance(event, Finished):
                unfinished.discard(number)
                if event.extra.get("cancelled"):
                    for other in sorted(unfinished):
                        yield OfChoice(other, event)
                    return
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # A task that was cancelled before its first step has closed nothing.
        for run in runs:
            await run.aclose()


async def _pump(
    number: int,
    run: AsyncGenerator[Event, None],
    queue: asyncio.Queue[tuple[int, Event] | asyncio.Task[None]],
    room: asyncio.Semaphore,
) -> None:
    async with aclosing(run):
        async for event in run:
            await room.acquire()
            queue.put_nowait((number, event))
