"""Responses: what they build on, what is kept, and the ones that go on while nobody waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from backend.models.errors import InvalidRequest, NotFound
from backend.tasks.responses import Responses
from tests.storage.samples import ALICE, BOB
from tests.tasks.rendered import parsed
from tests.tasks.responses_desk import FakeAnswering, asked, asking, said, texts
from tests.tasks.responses_desk import answering as answering
from tests.tasks.responses_desk import responses as responses
from tests.tasks.responses_desk import stores as stores


async def test_a_stored_response_is_got_with_its_input_and_deleted(responses: Responses) -> None:
    response = await asked(responses, "one")
    assert await responses.get(ALICE, response["id"]) == response
    assert texts(await responses.input_items(ALICE, response["id"])) == ["one"]
    await responses.delete(ALICE, response["id"])
    for attempt in (responses.get(ALICE, response["id"]), responses.delete(ALICE, response["id"])):
        with pytest.raises(NotFound):
            await attempt


async def test_a_response_that_is_being_streamed_is_shown_as_far_as_it_has_come(
    responses: Responses, answering: FakeAnswering
) -> None:
    answering.gate = asyncio.Event()
    run = await responses.run(asking(await responses.past(ALICE, [said("one")]), streamed=True))
    with pytest.raises(NotFound):
        await responses.get(ALICE, run.id)
    run.opening()
    events = run.events()
    run.encode(await anext(events))
    found = await responses.get(ALICE, run.id)
    assert (found["status"], texts(found["output"])) == ("in_progress", ["hello"])
    with pytest.raises(NotFound):
        await responses.get(BOB, run.id)
    with pytest.raises(InvalidRequest) as caught:
        await responses.cancel(ALICE, run.id)
    assert caught.value.code == "not_cancellable"

    async def read() -> list[dict[str, Any]]:
        return parsed(b"".join([b"".join(batch) async for batch in await responses.events(ALICE, run.id)]))

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    await events.aclose()
    assert (await responses.get(ALICE, run.id))["status"] == "cancelled"
    assert await reading == await read()


async def test_only_what_was_streamed_can_be_replayed(responses: Responses) -> None:
    quiet = await asked(responses, "one")
    with pytest.raises(InvalidRequest) as caught:
        await responses.events(ALICE, quiet["id"])
    assert caught.value.code == "no_events"
    loud = await asked(responses, "one", streamed=True)
    whole = parsed(b"".join([b"".join(batch) async for batch in await responses.events(ALICE, loud["id"])]))
    assert [each["sequence_number"] for each in whole] == [0, 1, 2, 3]
    rest = parsed(b"".join([b"".join(batch) async for batch in await responses.events(ALICE, loud["id"], 1)]))
    assert rest == whole[2:]
