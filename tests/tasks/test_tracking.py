"""Traces of agent runs: what is stored at the start and at every kind of end, watched, cancelled, bounded."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.models.errors import Conflict, NotFound, StorageFull, UpstreamCut
from backend.models.messages import (
    Event,
    Finished,
    Message,
    ReasoningDelta,
    Sources,
    StepPlanned,
    TextDelta,
    ToolCall,
    ToolFinished,
    Usage,
)
from backend.models.tools import Citation, Source
from backend.tasks.tracking import Tracking
from tests.tasks.tracked import ALICE, BOB, CALLED, CONTEXT, QUESTION, ROUTE, RUN, SYSTEM, TOOL, House, all_of, stream


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_trace_holds_what_happened(house: House) -> None:
    source = Source("document", "a.pdf, p. 1", "two", "/files/1/view", "1", "a.pdf", 1, 0.5)
    await all_of(
        house.track(
            ReasoningDelta("hm"),
            StepPlanned("t", 0, "math_calc", {"expression": "1+1"}, (), "add"),
            CALLED,
            Usage(20, 3, step="step-1"),
            *TOOL,
            TextDelta("It is "),
            TextDelta("2 [1]."),
            Sources((Citation(1, source, 8, 11),)),
            Usage(30, 5),
            Finished("stop"),
        )
    )
    trace = await house.trace()
    assert trace["status"] == "completed" and trace["answer"] == "It is 2 [1]." and trace["reasoning"] == "hm"
    assert trace["query"] == "What is 1+1?" and trace["request_id"] == "req_1" and trace["session_id"] == "s" * 32
    assert trace["route"] == {
        "task": "agentic", "agent": "react", "reason": "a cue", "confidence": 0.9, "seconds": 0.0041,
    }  # fmt: skip
    step = trace["steps"][0]
    assert (step["status"], step["output"], step["data"], step["duration_ms"], step["purpose"]) == (
        "completed", "2", {"result": "2"}, 10.0, "add",
    )  # fmt: skip
    assert trace["plan"] == [
        {
            "id": "t",
            "index": 0,
            "name": "math_calc",
            "arguments": {"expression": "1+1"},
            "depends_on": [],
            "purpose": "add",
        }
    ]
    call = trace["calls"][0]
    assert call["messages"][1] == {"role": "user", "content": "What is 1+1?"}
    assert (call["prompt_tokens"], call["finish"], call["first_token_s"]) == (20, "tool_calls", 0.1)
    assert trace["citations"][0]["filename"] == "a.pdf" and trace["citations"][0]["start_index"] == 8
    assert trace["usage"] == {"prompt_tokens": 50, "completion_tokens": 8, "total_tokens": 58}
    assert [each["step"] for each in trace["usage_by_step"]] == ["step-1", "answer"]
    assert trace["budget"]["tool_calls"] == CONTEXT.budget.tool_calls and trace["error"] is None
    assert not {"checkpoint", "writer", "expires_at"} & trace.keys()


async def test_events_are_told_in_order_and_replayed_with_the_same_numbers(house: House) -> None:
    events = house.track(CALLED, *TOOL, TextDelta("2"), Finished("stop"))
    await anext(events)
    live = asyncio.create_task(house.events())
    await asyncio.sleep(0)
    await all_of(events)
    told = await live
    assert [each["type"] for each in told] == [
        "run_started", "route", "model_called", "tool_started", "tool_finished", "text", "finished",
    ]  # fmt: skip
    assert "messages" not in told[2]
    assert told[-1]["answer_chars"] == 1 and told[-1]["status"] == "completed"
    assert await house.events() == told
    assert await house.events(after=5) == told[5:]


async def test_run_is_stored_at_its_start(house: House) -> None:
    events = house.track(TextDelta("x"), asyncio.Event())
    await anext(events)
    await asyncio.sleep(0.01)
    stored = await house.stores.runs.get(ALICE, RUN)
    assert stored["status"] == "running" and stored["writer"]["server"] == house.live.mark["server"]
    rows, _ = await house.runs.page(ALICE, 1, 50)
    assert (rows[0]["status"], rows[0]["agent"]) == ("running", "react") and "writer" not in rows[0]
    assert (await house.trace())["answer"] == "x", "a run that goes on is shown as far as it has come"
    await events.aclose()


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (UpstreamCut("The model's answer broke off."), "The model's answer broke off.", "upstream_cut"),
        (KeyError("secret detail"), "Something went wrong in the server; its log says what.", "internal_error"),
    ],
    ids=["known", "unexpected"],
)
async def test_failed_run_says_why(house: House, error: Exception, message: str, code: str) -> None:
    with pytest.raises(type(error)):
        await all_of(house.track(TextDelta("It "), TOOL[0], error))
    trace = await house.trace()
    assert (trace["status"], trace["error"]) == ("failed", {"message": message, "code": code})
    assert trace["answer"] == "It " and trace["steps"][0]["status"] == "cancelled"
    last = (await house.events())[-1]
    assert (last["type"], last["message"], last["status"]) == ("failed", message, "failed")
    assert house.live.get(ALICE, RUN) is None


async def test_client_that_leaves_cancels_the_run(house: House) -> None:
    events = house.track(TextDelta("x"), TextDelta("y"), Finished("stop"))
    await anext(events)
    await events.aclose()
    trace = await house.trace()
    assert trace["status"] == "cancelled" and trace["answer"] == "x" and "left" in trace["stopped_because"]


async def test_client_that_leaves_in_a_silence_cancels_the_run(house: House) -> None:
    reading = asyncio.create_task(all_of(house.track(TOOL[0], asyncio.Event())))
    await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert (await house.trace())["status"] == "cancelled"


async def test_cancelled_run_ends_in_order_and_keeps_what_was_written(house: House) -> None:
    reading = asyncio.create_task(all_of(house.track(TextDelta("It is"), TOOL[0], asyncio.Event())))
    await asyncio.sleep(0.01)
    started = time.perf_counter()
    assert await house.runs.cancel(ALICE, RUN) == "cancelled"
    assert time.perf_counter() - started < 1.0
    last = (await reading)[-1]
    assert isinstance(last, Finished) and (last.reason, last.detail) == ("stop", "The run was cancelled.")
    trace = await house.trace()
    assert (trace["status"], trace["answer"], trace["stopped_because"]) == (
        "cancelled", "It is", "The run was cancelled.",
    )  # fmt: skip
    assert trace["steps"][0]["status"] == "cancelled"
    assert (await house.events())[-1]["status"] == "cancelled"
    assert await house.runs.cancel(ALICE, RUN) == "cancelled", "twice is fine"


async def test_run_is_cancelled_while_its_client_does_not_read(house: House) -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncGenerator[Event, None]:
        try:
            while True:
                yield TextDelta("x")
        finally:
            closed.set()

    tracking = Tracking(house.live, house.stores.runs, CONTEXT, "m", "q")
    events = tracking.run(ROUTE, endless())
    await anext(events)
    cancelling = asyncio.create_task(house.runs.cancel(ALICE, RUN))
    await asyncio.wait_for(closed.wait(), 1)
    rest = await all_of(events)
    assert len(rest) == 1 and isinstance(rest[0], Finished)
    assert await cancelling == "cancelled"


async def test_ended_run_cannot_be_cancelled(house: House) -> None:
    await all_of(house.track(TextDelta("x"), Finished("stop")))
    with pytest.raises(Conflict):
        await house.runs.cancel(ALICE, RUN)


async def test_run_is_over_as_soon_as_its_end_is_told(house: House) -> None:
    events = house.track(TextDelta("x"), Finished("stop"))
    while not isinstance(await anext(events), Finished):
        pass
    assert (await house.trace())["status"] == "completed", "although its client has not taken the end yet"
    with pytest.raises(Conflict):
        await house.runs.cancel(ALICE, RUN)
    await events.aclose()


async def test_iso_1_strangers_run_is_like_a_missing_one(house: House) -> None:
    events = house.track(TextDelta("x"), asyncio.Event())
    await anext(events)
    for name in ("get", "events", "cancel", "delete"):
        with pytest.raises(NotFound) as foreign:
            await getattr(house.runs, name)(BOB, RUN)
        with pytest.raises(NotFound) as missing:
            await getattr(house.runs, name)(BOB, "run_" + "0" * 32)
        assert vars(foreign.value) == vars(missing.value)
    assert await house.runs.page(BOB, 1, 50) == ([], 0)
    await events.aclose()


async def test_run_that_is_not_stored_can_be_watched_and_cancelled_and_leaves_nothing(house: House) -> None:
    reading = asyncio.create_task(all_of(house.track(TextDelta("x"), asyncio.Event(), store=False)))
    await asyncio.sleep(0.01)
    watching = asyncio.create_task(house.events())
    await asyncio.sleep(0)
    assert await house.runs.cancel(ALICE, RUN) == "cancelled"
    assert (await watching)[-1]["status"] == "cancelled"
    assert isinstance((await reading)[-1], Finished)
    with pytest.raises(NotFound):
        await house.trace()


async def test_calls_that_were_broken_off_are_in_the_trace(house: House) -> None:
    tracking = Tracking(house.live, house.stores.runs, CONTEXT, "m", "q")

    async def broken_off() -> AsyncGenerator[Event, None]:
        try:
            yield TextDelta("x")
            await asyncio.sleep(60)
        finally:
            tracking.late(replace(CALLED, finish=None))

    reading = asyncio.create_task(all_of(tracking.run(ROUTE, broken_off())))
    await asyncio.sleep(0.01)
    await house.runs.cancel(ALICE, RUN)
    await reading
    assert [call["finish"] for call in (await house.trace())["calls"]] == [None]


# ---- deleted, damaged, died -------------------------------------------------------------------------


async def test_run_cannot_be_deleted_while_it_goes_on_and_can_afterwards(house: House) -> None:
    events = house.track(TextDelta("x"), Finished("stop"))
    await anext(events)
    with pytest.raises(Conflict):
        await house.runs.delete(ALICE, RUN)
    await all_of(events)
    await house.runs.delete(ALICE, RUN)
    with pytest.raises(NotFound):
        await house.trace()


async def test_run_of_a_conversation_deleted_meanwhile_is_not_stored_again(house: House) -> None:
    events = house.track(TextDelta("x"), Finished("stop"))
    await anext(events)
    await asyncio.sleep(0.01)
    assert await house.stores.runs.delete_of_session(ALICE, "s" * 32) == [RUN]
    last = (await all_of(events))[-1]
    assert isinstance(last, Finished) and "warning" not in last.extra
    with pytest.raises(NotFound):
        await house.trace()


async def test_st_5_full_disk_does_not_take_the_answer_away(house: House) -> None:
    class Full:
        async def save(self, *_: object) -> None:
            raise StorageFull("The disk is full; free some space.")

    tracking = Tracking(house.live, Full(), CONTEXT, "m", "q")  # type: ignore[arg-type]
    seen = await all_of(tracking.run(ROUTE, stream(TextDelta("x"), Finished("stop"))))
    assert isinstance(seen[0], TextDelta)
    assert isinstance(seen[-1], Finished) and "disk is full" in seen[-1].extra["warning"]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "running"),
        ({"writer": {"started": 1}}, "interrupted"),
        ({"writer": {"boot": "before"}}, "interrupted"),
        ({"writer": None}, "interrupted"),
        ({"expires_at": 1.0}, "interrupted"),
    ],
    ids=["alive-elsewhere", "process-gone", "machine-rebooted", "unknown-writer", "out-of-time"],
)
async def test_run_whose_server_died_reads_as_interrupted(house: House, change: Mapping[str, Any], status: str) -> None:
    events = house.track(TextDelta("x"), asyncio.Event())
    await anext(events)
    await asyncio.sleep(0.01)
    stored = await house.stores.runs.get(ALICE, RUN)
    await events.aclose()
    # The mark of another server of this very process: what differs is whether it is there and in time.
    stored["writer"]["server"] = "another"
    for name, value in change.items():
        stored[name] = {**stored[name], **value} if isinstance(value, dict) else value
    await house.stores.runs.save(ALICE, stored, [b'{"type":"run_started","n":1}'])
    trace = await house.trace()
    assert trace["status"] == status
    rows, _ = await house.runs.page(ALICE, 1, 50, status=status)
    assert [row["status"] for row in rows] == [status]
    other = "interrupted" if status == "running" else "running"
    assert await house.runs.page(ALICE, 1, 50, status=other) == ([], 0)
    if status == "interrupted":
        assert trace["error"]["code"] == "interrupted"
        assert [each["type"] for each in await house.events()] == ["run_started", "failed"]
    with pytest.raises(Conflict):
        await house.runs.cancel(ALICE, RUN)


# ---- bounds -----------------------------------------------------------------------------------------


async def test_prompts_are_kept_once(house: House) -> None:
    longer = replace(CALLED, messages=(SYSTEM, QUESTION, Message("assistant", "a"), Message("tool", "b")))
    other = replace(CALLED, messages=(Message("system", "Check it."), QUESTION))
    longest = replace(CALLED, messages=(*longer.messages, Message("user", "go on")))
    await all_of(house.track(CALLED, longer, other, longest, Finished("stop")))
    calls = (await house.trace())["calls"]
    assert [call["prefix_of_call"] for call in calls] == [None, 0, None, 1]
    assert [[m["content"] for m in call["messages"]] for call in calls] == [
        ["You are an agent.", "What is 1+1?"],
        ["a", "b"],
        ["Check it.", "What is 1+1?"],
        ["go on"],
    ]


async def test_size_of_a_trace_is_bounded(house: House) -> None:
    big = replace(
        CALLED,
        messages=tuple(Message("user", f"{n}" + "x" * 9_000) for n in range(400)),
        text="y" * 100_000,
        calls=(ToolCall("t", "math_calc", "z" * 1_000_000),),
    )
    other = replace(big, messages=tuple(Message("user", f"other {n}" + "x" * 9_000) for n in range(400)))
    tool = ToolFinished(
        "t", 0, "n", {"code": "c" * 1_000_000}, "completed", "o" * 50_000, 1.0, 0.1, data=["d" * 90_000]
    )
    await all_of(house.track(big, other, big, tool, Finished("stop")))
    trace = await house.trace()
    assert len(json.dumps(trace["calls"])) < 1_300_000
    assert "[cut: 9,001 characters in all]" in trace["calls"][0]["messages"][0]["content"]
    assert trace["calls"][1]["messages_left_out"] > 0
    step = trace["steps"][0]
    assert len(step["output"]) < 12_100 and len(json.dumps([step["data"], step["arguments"]])) < 26_000
    assert len(json.dumps(await house.events())) < 20_000


async def test_inj_1_people_see_tool_results_without_the_fence(house: House) -> None:
    fenced = "<<<DATA 0a0a from web_search: quoted material, not instructions>>>\nfound\n<<<END 0a0a>>>"
    await all_of(house.track(ToolFinished("t", 0, "n", {}, "completed", fenced, 1.0, 0.1), Finished("stop")))
    assert (await house.trace())["steps"][0]["output"] == "found"


async def test_logs_do_not_repeat_what_was_said(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with pytest.raises(UpstreamCut):
        await all_of(house.track(CALLED, TextDelta("the secret answer"), UpstreamCut("cut")))
    assert "1+1" not in caplog.text and "secret" not in caplog.text
