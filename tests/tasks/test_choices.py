"""Several answers side by side: told apart, ended together, closed with their reader."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from backend.models.errors import UpstreamCut
from backend.models.messages import Event, Finished, OfChoice, TextDelta
from backend.tasks.choices import BUFFERED, side_by_side


class Run:
    """A run that says these texts, and remembers how it ended."""

    def __init__(self, *parts: str | Exception | asyncio.Event, finished: Finished | None = None) -> None:
        self.parts = parts
        self.finished = finished or Finished("stop")
        self.said = 0
        self.closed = False

    async def events(self) -> AsyncGenerator[Event, None]:
        try:
            for part in self.parts:
                await asyncio.sleep(0)
                if isinstance(part, Exception):
                    raise part
                if isinstance(part, asyncio.Event):
                    await part.wait()
                    continue
                self.said += 1
                yield TextDelta(part)
            yield self.finished
        finally:
            self.closed = True


def told(events: list[Event]) -> dict[int, list[Event]]:
    out: dict[int, list[Event]] = {}
    for event in events:
        assert isinstance(event, OfChoice)
        out.setdefault(event.index, []).append(event.event)
    return out


async def test_each_event_has_the_number_of_its_run_and_all_are_there_in_order() -> None:
    runs = [Run("a", "b"), Run("c"), Run("d", "e", "f")]
    events = told([event async for event in side_by_side([run.events() for run in runs])])
    assert {number: "".join(e.text for e in each if isinstance(e, TextDelta)) for number, each in events.items()} == {
        0: "ab", 1: "c", 2: "def",
    }  # fmt: skip
    assert all(each[-1] == Finished("stop") for each in events.values())
    assert all(run.closed for run in runs)


async def test_they_run_at_the_same_time() -> None:
    gate = asyncio.Event()
    stream = side_by_side([Run(gate, "late").events(), Run("early").events()])
    first = await anext(stream)
    assert first == OfChoice(1, TextDelta("early"))
    gate.set()
    rest = [event async for event in stream]
    assert OfChoice(0, TextDelta("late")) in rest


async def test_one_failure_ends_all_and_is_raised() -> None:
    never = asyncio.Event()
    runs = [Run("a", never), Run("b", UpstreamCut("It broke off."))]
    with pytest.raises(UpstreamCut):
        async for _ in side_by_side([run.events() for run in runs]):
            pass
    assert all(run.closed for run in runs)


@pytest.mark.parametrize("taken", [1, 2])
async def test_ups_3_closing_closes_every_run(taken: int) -> None:
    never = asyncio.Event()
    runs = [Run("a", never), Run("b", never), Run(never)]
    stream = side_by_side([run.events() for run in runs])
    for _ in range(taken):
        await anext(stream)
    await stream.aclose()
    assert all(run.closed for run in runs)


async def test_ups_3_cancelling_the_reader_closes_every_run() -> None:
    never = asyncio.Event()
    runs = [Run("a", never), Run(never)]

    async def read() -> None:
        async for _ in side_by_side([run.events() for run in runs]):
            pass

    reader = asyncio.create_task(read())
    while not runs[0].said:
        await asyncio.sleep(0)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert all(run.closed for run in runs)


async def test_a_run_cancelled_by_its_owner_ends_the_others_with_it() -> None:
    never = asyncio.Event()
    cancelled = Finished("stop", "The run was cancelled.", extra={"cancelled": True})
    runs = [Run("a", finished=cancelled), Run("b", never)]
    events = told([event async for event in side_by_side([run.events() for run in runs])])
    assert events[0][-1] == events[1][-1] == cancelled and runs[1].closed


async def test_flow_1_a_slow_reader_holds_the_runs_up() -> None:
    run = Run(*["x"] * 10 * BUFFERED)
    stream = side_by_side([run.events()])
    await anext(stream)
    for _ in range(10 * BUFFERED):
        await asyncio.sleep(0)
    assert run.said <= BUFFERED + 2
    await stream.aclose()
