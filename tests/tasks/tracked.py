"""A house with runs in it, for the tests of traces."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from backend.models.messages import (
    Event,
    Message,
    ModelCalled,
    Route,
    ToolCall,
    ToolFinished,
    ToolStarted,
)
from backend.models.run import Owner, RunContext
from backend.storage.stores import Stores
from backend.tasks.live_runs import LiveRuns
from backend.tasks.runs import Runs
from backend.tasks.tracking import Tracking
from tests.fakes.stores import fake_stores

ALICE, BOB = Owner("default", "alice"), Owner("default", "bob")
RUN = "run_" + "a" * 32
# A long suite may come to these tests only minutes after they were imported.
CONTEXT = RunContext(ALICE, RUN, "s" * 32, "req_1", deadline=time.monotonic() + 86_400)
ROUTE = Route("agentic", "react", "a cue", 0.9, 0.0041)
SYSTEM, QUESTION = Message("system", "You are an agent."), Message("user", "What is 1+1?")
CALLED = ModelCalled(
    "step-1", (SYSTEM, QUESTION), ("math_calc",), "", "hm", (ToolCall("t", "math_calc", "{}"),), 5.0, 0.5, 0.1, 20, 3,
    "tool_calls",
)  # fmt: skip
TOOL: list[Event] = [
    ToolStarted("t", 0, "math_calc", {"expression": "1+1"}, 6.0),
    ToolFinished("t", 0, "math_calc", {"expression": "1+1"}, "completed", "2", 6.0, 0.01, data={"result": "2"}),
]


class House:
    """A register and stores, and runs in them."""

    def __init__(self, folder: Path) -> None:
        self.stores: Stores = fake_stores(folder)
        self.live = LiveRuns()
        self.runs = Runs(self.stores, self.live)

    def track(self, *parts: Any, store: bool = True, **more: Any) -> AsyncGenerator[Event, None]:
        tracking = Tracking(self.live, self.stores.runs if store else None, CONTEXT, "m", "What is 1+1?", **more)
        return tracking.run(ROUTE, stream(*parts))

    async def trace(self) -> dict[str, Any]:
        return await self.runs.get(ALICE, RUN)

    async def events(self, after: int = 0) -> list[dict[str, Any]]:
        found = []
        async for batch in await self.runs.events(ALICE, RUN, after):
            found += [json.loads(event) for _, event in batch]
        return found


async def stream(*parts: Event | BaseException | asyncio.Event) -> AsyncGenerator[Event, None]:
    for part in parts:
        await asyncio.sleep(0)
        if isinstance(part, BaseException):
            raise part
        if isinstance(part, asyncio.Event):
            await part.wait()
        else:
            yield part


async def all_of(events: AsyncGenerator[Event, None]) -> list[Event]:
    return [event async for event in events]
