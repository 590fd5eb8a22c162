"""The event log of a run that goes on, the register of such runs, and stopping a stream from outside."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from backend.models.errors import Conflict
from backend.models.messages import Event, TextDelta
from backend.models.run import Owner
from backend.tasks import live_runs
from backend.tasks.live_runs import EventLog, Interrupt, LiveRun, LiveRuns
from backend.utils.processes import is_there, process_mark
from tests.server import ROOT

ALICE, BOB = Owner("default", "alice"), Owner("default", "bob")


async def seen_by(log: EventLog, after: int = 0) -> list[dict[str, Any]]:
    """Everything a watcher gets until the end."""
    seen = []
    async for batch in log.follow(after):
        for number, event in batch:
            told = json.loads(event)
            assert told["n"] == number
            seen.append(told)
    return seen


def end(log: EventLog) -> None:
    log.close(log.ended_by({"type": "finished"}))


async def test_pieces_of_text_are_joined_before_they_get_a_number() -> None:
    log = EventLog()
    for piece in ("one ", "two ", "three"):
        log.text("text", piece)
    log.text("reasoning", "hm")
    log.text("text", "four")
    log.add({"type": "tool_started"})
    end(log)
    told = await seen_by(log)
    assert [(each["type"], each.get("text")) for each in told] == [
        ("text", "one two three"),
        ("reasoning", "hm"),
        ("text", "four"),
        ("tool_started", None),
        ("finished", None),
    ]
    assert [each["n"] for each in told] == [1, 2, 3, 4, 5]


async def test_a_piece_waits_no_longer_than_the_calm_time() -> None:
    log = EventLog()
    watcher = log.follow(0)
    log.text("text", "one")
    batch = await asyncio.wait_for(anext(watcher), 2)
    assert json.loads(batch[0][1])["text"] == "one"
    await watcher.aclose()


async def test_long_text_becomes_several_events() -> None:
    log = EventLog()
    for _ in range(400):
        log.text("text", "abcde")
    end(log)
    told = await seen_by(log)
    assert "".join(each.get("text", "") for each in told) == "abcde" * 400
    assert 4 <= len(told) - 1 <= 5


@pytest.mark.parametrize("after", [0, 1, 3, 99, -5])
async def test_watchers_go_on_where_they_left(after: int) -> None:
    log = EventLog()
    for number in range(5):
        log.add({"type": "x", "number": number})
    end(log)
    assert [each["n"] for each in await seen_by(log, after)] == list(range(max(after, 0) + 1, 7))


async def test_live_watcher_and_replay_see_the_same() -> None:
    log = EventLog()
    live = asyncio.create_task(seen_by(log))
    for number in range(30):
        log.text("text", f"{number} ")
        if number % 7 == 0:
            log.add({"type": "step", "number": number})
            await asyncio.sleep(0)
    end(log)
    assert await live == await seen_by(log)


async def test_silence_is_an_empty_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_runs, "PATIENCE_SECONDS", 0.01)
    watcher = EventLog().follow(0)
    assert await asyncio.wait_for(anext(watcher), 2) == []
    await watcher.aclose()


async def test_memory_of_a_run_is_bounded_and_says_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_runs, "MANY_BYTES", 20_000)
    monkeypatch.setattr(live_runs, "MOST_BYTES", 60_000)
    log = EventLog()
    for _ in range(100_000):
        log.text("text", "abcdefghij")
    end(log)
    assert sum(map(len, log.events)) < 100_000
    told = await seen_by(log)
    assert told[-2]["cut"] is True and told[-1]["type"] == "finished"
    assert max(len(each.get("text", "")) for each in told) == live_runs.MANY_CHARS


async def test_batches_of_a_long_replay_are_bounded() -> None:
    log = EventLog()
    for _ in range(300):
        log.add({"type": "x", "filler": "y" * 2_000})
    end(log)
    sizes = [sum(len(event) for _, event in batch) async for batch in log.follow(0)]
    assert len(sizes) > 5 and max(sizes) < live_runs.BATCH_BYTES + 3_000


async def test_strange_values_are_still_json() -> None:
    log = EventLog()
    log.add({"type": "x", "huge": 2**100, "text": "\ud800"})
    end(log)
    assert (await seen_by(log))[0]["huge"] == 2**100


# ---- the register -----------------------------------------------------------------------------------


def test_an_agents_run_takes_the_place_of_its_request_and_is_never_doubled() -> None:
    live = LiveRuns()
    request, agent = LiveRun(ALICE, "run_1"), LiveRun(ALICE, "run_1", log=EventLog())
    live.begin(request)
    live.begin(agent)
    with pytest.raises(Conflict):
        live.begin(LiveRun(ALICE, "run_1", log=EventLog()))
    live.end(request)
    assert live.get(ALICE, "run_1") is agent and live.ids(ALICE) == {"run_1"}
    live.end(agent)
    assert live.get(ALICE, "run_1") is None


def test_iso_1_runs_are_found_by_their_owner_only() -> None:
    live = LiveRuns()
    live.begin(LiveRun(ALICE, "run_1"))
    assert live.get(BOB, "run_1") is None and live.ids(BOB) == frozenset()


# ---- stopping -----------------------------------------------------------------------------------


async def test_interrupt_breaks_off_waiting_and_lets_the_reader_go_on() -> None:
    cleaned = False

    async def silent() -> AsyncGenerator[Event, None]:
        nonlocal cleaned
        try:
            yield TextDelta("x")
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            cleaned = True

    async def read() -> str:
        events = silent()
        interrupt = Interrupt(events)
        asyncio.get_running_loop().call_later(0.01, interrupt.ring)
        try:
            async with interrupt:
                async for _ in events:
                    pass
        except asyncio.CancelledError:
            if not interrupt.taken_back():
                raise
        await asyncio.sleep(0)
        return "went on"

    assert await asyncio.wait_for(read(), 2) == "went on"
    assert cleaned


def test_this_process_is_there_and_others_are_told_apart() -> None:
    mark = process_mark()
    assert is_there(mark) and mark["pid"] == os.getpid()
    assert not is_there({**mark, "started": 1})
    assert not is_there({**mark, "boot": "another"})
    assert not is_there({})
    assert not is_there({"pid": -1, "boot": mark["boot"]})
    assert not is_there({"pid": 2**40, "boot": mark["boot"]})


def test_a_dead_process_nobody_has_waited_for_is_gone() -> None:
    code = "import json; from backend.utils.processes import process_mark as m; print(json.dumps(m()), flush=True)"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert child.stdout is not None
    mark = json.loads(child.stdout.readline())
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_there(mark)
    child.stdout.close()
    child.wait()
