"""Responses that are made in the background, followed, cancelled, deleted and left by a server that stops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from backend.models.errors import InvalidRequest, ModelNotFound, NotFound, TooManyRequests
from backend.models.run import Owner
from backend.storage.stores import Stores
from backend.tasks.background_responses import STOPPED
from backend.tasks.responses import LOST, Responses
from tests.storage.samples import ALICE, BOB
from tests.tasks.rendered import parsed
from tests.tasks.responses_desk import FakeAnswering, asked, asking, over, said, service, texts, until
from tests.tasks.responses_desk import answering as answering
from tests.tasks.responses_desk import responses as responses
from tests.tasks.responses_desk import stores as stores


async def begin(responses: Responses, text: str = "one", owner: Owner = ALICE) -> dict[str, Any]:
    past = await responses.past(owner, [said(text)])
    first, _ = await responses.start(asking(past, owner=owner, background=True))
    return first


async def test_a_background_response_is_queued_then_in_progress_then_completed(
    responses: Responses, answering: FakeAnswering
) -> None:
    answering.gate = asyncio.Event()
    first = await begin(responses)
    assert first["status"] == "queued"
    await until(lambda: answering.at_work)
    await asyncio.sleep(0)
    assert (await responses.get(ALICE, first["id"]))["status"] == "in_progress"
    with pytest.raises(InvalidRequest) as caught:
        await responses.past(ALICE, [], first["id"])
    assert caught.value.code == "previous_response_not_over"
    answering.gate.set()
    done = await over(responses, first["id"])
    assert (done["status"], texts(done["output"])) == ("completed", ["hello"])


async def test_a_follower_comes_and_goes_and_comes_back_to_where_it_was(
    responses: Responses, answering: FakeAnswering
) -> None:
    answering.gate = asyncio.Event()
    first = await begin(responses)
    reader = await responses.events(ALICE, first["id"])
    seen = parsed(b"".join(await anext(reader)))
    await reader.aclose()
    await until(lambda: answering.at_work)

    async def rest() -> list[dict[str, Any]]:
        later = await responses.events(ALICE, first["id"], seen[-1]["sequence_number"])
        return parsed(b"".join([b"".join(batch) async for batch in later]))

    reading = asyncio.create_task(rest())
    await asyncio.sleep(0)
    answering.gate.set()
    events = [*seen, *await reading]
    assert [each["sequence_number"] for each in events] == [0, 1, 2, 3]
    assert events[-1]["type"] == "response.completed"
    # Whoever has read the end finds the response stored.
    assert (await responses.get(ALICE, first["id"]))["status"] == "completed"
    again = parsed(b"".join([b"".join(batch) async for batch in await responses.events(ALICE, first["id"])]))
    assert again == events


async def test_a_cancelled_response_stops_at_once_and_keeps_what_there_is(
    responses: Responses, answering: FakeAnswering
) -> None:
    answering.gate = asyncio.Event()
    first = await begin(responses)
    await until(lambda: answering.at_work)
    done = await responses.cancel(ALICE, first["id"])
    assert (done["status"], texts(done["output"]), answering.at_work) == ("cancelled", ["hello"], 0)
    assert await responses.cancel(ALICE, first["id"]) == done == await responses.get(ALICE, first["id"])
    last = parsed(b"".join([b"".join(batch) async for batch in await responses.events(ALICE, first["id"])]))[-1]
    assert last["response"]["status"] == "cancelled"


async def test_one_that_has_not_taken_its_first_step_can_be_cancelled(
    responses: Responses, answering: FakeAnswering
) -> None:
    answering.gate = asyncio.Event()
    first = await begin(responses)
    assert (await responses.cancel(ALICE, first["id"]))["status"] == "cancelled"
    assert (await responses.get(ALICE, first["id"]))["status"] == "cancelled"


@pytest.mark.parametrize("background", [True, False], ids=["background", "foreground"])
async def test_what_is_over_or_was_waited_for_cannot_be_cancelled(responses: Responses, background: bool) -> None:
    response_id = (await begin(responses) if background else await asked(responses, "one"))["id"]
    await over(responses, response_id)
    with pytest.raises(InvalidRequest) as caught:
        await responses.cancel(ALICE, response_id)
    assert (caught.value.status, caught.value.code) == (400, "not_cancellable")


async def test_a_bounded_number_runs_and_the_others_wait_for_their_turn(
    stores: Stores, answering: FakeAnswering
) -> None:
    responses = service(stores, answering, running=2, waiting=3)
    answering.gate = asyncio.Event()
    started = [await begin(responses) for _ in range(5)]
    await until(lambda: answering.at_work == 2)
    with pytest.raises(TooManyRequests):
        await begin(responses)
    waiting = await responses.cancel(ALICE, started[4]["id"])
    assert waiting["status"] == "cancelled"
    answering.gate.set()
    done = [await over(responses, each["id"]) for each in started[:4]]
    assert [each["status"] for each in done] == ["completed"] * 4
    assert answering.most_at_work == 2
    await responses.aclose()


async def test_one_user_cannot_take_every_place(stores: Stores, answering: FakeAnswering) -> None:
    responses = service(stores, answering, per_user=1)
    answering.gate = asyncio.Event()
    await begin(responses)
    with pytest.raises(TooManyRequests):
        await begin(responses)
    assert (await begin(responses, owner=BOB))["status"] == "queued"
    await responses.aclose()


async def test_one_whose_turn_comes_when_its_model_is_gone_fails_with_the_reason(
    stores: Stores, answering: FakeAnswering
) -> None:
    responses = service(stores, answering, running=1)
    answering.gate = asyncio.Event()
    one, two = await begin(responses), await begin(responses)
    await until(lambda: answering.at_work == 1)
    answering.refuses = ModelNotFound("There is no model named m any more.")
    answering.gate.set()
    assert (await over(responses, one["id"]))["status"] == "completed"
    done = await over(responses, two["id"])
    assert (done["status"], done["error"]["message"]) == ("failed", "There is no model named m any more.")


async def test_what_cannot_be_prepared_is_refused_at_once_and_leaves_nothing(
    responses: Responses, answering: FakeAnswering, stores: Stores
) -> None:
    answering.refuses = ModelNotFound("There is no model named m.")
    with pytest.raises(ModelNotFound):
        await begin(responses)
    assert cast(Any, stores.responses).kept == {}
    responses.background.reserve(ALICE)
    assert responses.background._counts == {ALICE: 1}


async def test_what_is_read_while_it_is_made_has_its_input_and_can_be_deleted(
    responses: Responses, answering: FakeAnswering
) -> None:
    answering.gate = asyncio.Event()
    run = await responses.run(asking(await responses.past(ALICE, [said("one")]), streamed=True))
    run.opening()
    events = run.events()
    run.encode(await anext(events))
    assert texts(await responses.input_items(ALICE, run.id)) == ["one"]
    with pytest.raises(InvalidRequest) as caught:
        await responses.past(ALICE, [], run.id)
    assert caught.value.code == "previous_response_not_over"
    with pytest.raises(NotFound):
        await responses.delete(BOB, run.id)
    await responses.delete(ALICE, run.id)
    answering.gate.set()
    for event in [event async for event in events]:  # its reader has it to the end
        run.encode(event)
    assert run.response["status"] == "completed"
    for attempt in (responses.get(ALICE, run.id), responses.delete(ALICE, run.id)):
        with pytest.raises(NotFound):
            await attempt


async def test_what_is_said_in_a_session_that_is_deleted_meanwhile_is_not_stored(
    responses: Responses, answering: FakeAnswering
) -> None:
    answering.gate = asyncio.Event()
    runs = [await responses.run(asking(await responses.past(ALICE, [said("one")]), streamed=True)) for _ in "ab"]
    reading = [run.events() for run in runs]
    for run, events in zip(runs, reading, strict=True):
        run.opening()
        run.encode(await anext(events))
    responses.forget_session(BOB, "session-2")
    responses.forget_session(ALICE, "session-1")
    answering.gate.set()
    for run, events in zip(runs, reading, strict=True):
        for event in [event async for event in events]:
            run.encode(event)
    with pytest.raises(NotFound):
        await responses.get(ALICE, runs[0].id)
    assert (await responses.get(ALICE, runs[1].id))["status"] == "completed"


async def test_deleting_stops_the_work_and_nothing_comes_back(responses: Responses, answering: FakeAnswering) -> None:
    answering.gate = asyncio.Event()
    first = await begin(responses)
    await until(lambda: answering.at_work)
    await responses.delete(ALICE, first["id"])
    assert answering.at_work == 0
    with pytest.raises(NotFound):
        await responses.get(ALICE, first["id"])


async def test_flow_4_a_stopping_server_leaves_failed_responses_with_a_reason(
    stores: Stores, answering: FakeAnswering
) -> None:
    responses = service(stores, answering, running=1)
    answering.gate = asyncio.Event()
    started = [await begin(responses) for _ in range(3)]
    await until(lambda: answering.at_work)
    await responses.aclose()
    assert answering.at_work == 0
    for each in started:
        found = await service(stores, answering).get(ALICE, each["id"])
        assert (found["status"], found["error"]["message"]) == ("failed", STOPPED)


@asynccontextmanager
async def killed(stores: Stores, answering: FakeAnswering) -> AsyncIterator[str]:
    """A response that is stored as queued by a server that is no more."""
    answering.gate = asyncio.Event()
    before = service(stores, answering)
    first = await begin(before)
    record = await stores.responses.get(ALICE, first["id"])
    yield first["id"]
    await before.aclose()
    await stores.responses.save(ALICE, record)


async def test_st_6_after_a_kill_a_response_that_was_made_is_told_as_failed(
    stores: Stores, answering: FakeAnswering
) -> None:
    async with killed(stores, answering) as response_id:
        pass
    responses = service(stores, answering)
    found = await responses.get(ALICE, response_id)
    assert (found["status"], found["error"]) == ("failed", {"code": "server_error", "message": LOST})
    with pytest.raises(InvalidRequest) as caught:
        await responses.events(ALICE, response_id)
        await responses.cancel(ALICE, response_id)
    assert caught.value.code in ("no_events", "not_cancellable")
    assert texts((await responses.past(ALICE, [], response_id)).earlier) == ["one"]
