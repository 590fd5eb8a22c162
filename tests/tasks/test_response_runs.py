"""One response while it is made: what is rendered, when it is stored, and what becomes of it when it is broken off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from backend.models.errors import UpstreamCut
from backend.models.messages import Event, Finished, ModelCalled, Route, RouteChosen, TextDelta
from backend.tasks import response_runs
from backend.tasks.response_runs import FrameLog, Numbered, ResponseRun, replayed
from tests.tasks.rendered import FakeRenderer, context, parsed

ROUTE = RouteChosen(Route("chat", "chat", "because", 1.0))
CALLED = ModelCalled("answer", (), (), "hi", "", (), 0.0, 0.1)
HELLO: list[Event] = [ROUTE, TextDelta("he"), TextDelta("llo"), Finished("stop")]


async def played(events: Sequence[Event | Exception], closed: list[bool] | None = None) -> AsyncGenerator[Event, None]:
    try:
        for event in events:
            await asyncio.sleep(0)
            if isinstance(event, Exception):
                raise event
            yield event
    finally:
        if closed is not None:
            closed.append(True)


class Kept(list[tuple[dict[str, Any], list[Numbered]]]):
    async def keep(self, response: dict[str, Any], events: Sequence[Numbered]) -> None:
        await asyncio.sleep(0)
        self.append((response, list(events)))


def run_of(events: Sequence[Event | Exception], kept: Kept | None = None, **more: Any) -> ResponseRun:
    ctx = context()
    return ResponseRun(
        "resp_1", ctx, FakeRenderer("resp_1"), played(events, **more), kept.keep if kept is not None else None
    )


async def streamed(run: ResponseRun, most: int | None = None) -> bytes:
    """As the edge reads it: quiet events are held back until the first other one."""
    out, held, opened, seen = b"", [], False, 0
    async with aclosing(run.events()) as events:
        async for event in events:
            if not opened and type(event) in (RouteChosen, ModelCalled):
                held.append(event)
                continue
            if not opened:
                before = b"".join(run.encode(each) for each in held)
                out, opened = out + run.opening() + before, True
            out += run.encode(event)
            seen += 1
            if most is not None and seen >= most:
                break
    return out


@pytest.mark.parametrize(
    "events",
    [
        HELLO,
        HELLO[1:],
        [Finished("stop")],
        [ROUTE, CALLED, Finished("stop")],
        [TextDelta("a"), CALLED, Finished("stop")],
    ],
    ids=["text", "no-route", "nothing", "quiet-only", "quiet-later"],
)
async def test_numbers_run_from_0_without_a_gap_and_what_is_sent_is_what_is_stored(events: list[Event]) -> None:
    kept = Kept()
    sent = await streamed(run_of(events, kept))
    numbers = [each["sequence_number"] for each in parsed(sent)]
    assert numbers == list(range(len(numbers))) and parsed(sent)[0]["type"] == "response.created"
    ((response, stored),) = kept
    assert b"".join(frame for _, frame in stored) == sent and [n for n, _ in stored] == numbers
    assert response["status"] == "completed"


async def test_the_end_is_stored_before_it_is_told() -> None:
    kept = Kept()
    run = run_of(HELLO, kept)
    run.opening()
    async with aclosing(run.events()) as events:
        async for event in events:
            assert bool(kept) is (type(event) is Finished)
            frames = run.encode(event)
    assert b"response.completed" in frames and run.log.over


async def test_a_whole_answer_is_the_response_object() -> None:
    kept = Kept()
    response = await run_of(HELLO, kept).whole()
    assert (response["status"], response["output"][0]["text"]) == ("completed", "hello")
    assert kept[0][0] == response


async def test_without_storing_nothing_is_logged() -> None:
    run = run_of(HELLO)
    assert parsed(await streamed(run))[-1]["type"] == "response.completed"
    assert run.log.frames == []


async def test_a_client_that_leaves_stops_the_work_and_the_rest_is_kept_as_cancelled() -> None:
    kept, closed = Kept(), []
    run = run_of(HELLO, kept, closed=closed)
    await streamed(run, most=1)
    assert closed == [True]
    ((response, stored),) = kept
    assert (response["status"], response["output"][0]["text"]) == ("cancelled", "he")
    assert json.loads(stored[-1][1].split(b"data: ")[1])["response"]["status"] == "cancelled"


async def test_a_response_nobody_was_told_of_is_not_kept() -> None:
    kept = Kept()
    run = run_of([ROUTE, UpstreamCut("gone")], kept)
    with pytest.raises(UpstreamCut):
        await streamed(run)
    with pytest.raises(UpstreamCut):
        await run_of([TextDelta("a"), UpstreamCut("gone")], kept).whole()
    assert kept == []


@pytest.mark.parametrize(
    ("failure", "message"),
    [(UpstreamCut("The model broke off."), "The model broke off."), (RuntimeError("a bug"), response_runs.INTERNAL)],
    ids=["ours", "a-bug"],
)
async def test_a_failure_in_mid_answer_is_stored_and_told_once(failure: Exception, message: str) -> None:
    kept = Kept()
    run = run_of([TextDelta("he"), failure], kept)
    with pytest.raises(type(failure)):
        await streamed(run)
    told = parsed(run.failed({"error": {"message": "x", "type": "server_error", "param": None, "code": None}}))
    assert [each["type"] for each in told] == ["error", "response.failed"]
    ((response, stored),) = kept
    assert response["status"] == "failed" and response["error"]["message"] == message
    assert "a bug" not in json.dumps(response)
    assert [n for n, _ in stored] == list(range(len(stored)))


async def test_a_stopping_server_says_so_to_a_reader_it_has_broken_off() -> None:
    run = run_of(HELLO, Kept())
    await streamed(run, most=1)
    last = parsed(run.failed({"error": {"message": "stopping", "type": "server_error", "param": None, "code": None}}))
    assert last[-1]["type"] == "response.failed"


async def test_followers_get_what_was_and_what_comes_and_the_end() -> None:
    log = FrameLog()
    log.add(b"data: 0\n\ndata: 1\n\n")

    async def read(after: int) -> bytes:
        return b"".join([b"".join(batch) async for batch in log.follow(after)])

    readers = [asyncio.create_task(read(after)) for after in (-1, 0, 1, 7)]
    await asyncio.sleep(0)
    log.add(b"data: 2\n\n")
    await asyncio.sleep(0)
    log.add(b"data: 3\n\n")
    log.close()
    whole = [b"data: %d\n\n" % n for n in range(4)]
    assert await asyncio.gather(*readers) == [b"".join(whole[n:]) for n in (0, 1, 2, 4)]
    assert [batch async for batch in replayed(log.frames, 1)] == [whole[2:]]


async def test_a_long_text_is_dropped_from_the_log_but_its_end_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_runs, "MOST_BYTES", 2_000)
    kept = Kept()
    await streamed(run_of([*(TextDelta("x" * 50) for _ in range(100)), Finished("stop")], kept))
    ((_, stored),) = kept
    assert len(stored) < 30
    assert stored[-1][0] == 102 and b"x" * 5_000 in stored[-1][1]
    assert [batch async for batch in replayed(stored, 50)] == [[stored[-1][1]]]


async def test_silence_is_an_empty_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(response_runs, "PATIENCE_SECONDS", 0.01)
    log = FrameLog()
    async with aclosing(log.follow(-1)) as batches:
        assert await anext(batches) == []
