"""What came before a response: chains, references, conversations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from backend.models.conversations import StoredMessage
from backend.models.errors import InvalidRequest, NotFound, StorageFull
from backend.models.messages import Finished, TextDelta
from backend.models.run import Owner
from backend.storage.stores import Stores
from backend.tasks import response_history as module
from backend.tasks.response_history import turns_in
from backend.tasks.responses import Responses
from tests.storage.samples import ALICE, BOB
from tests.tasks.responses_desk import CALL, FakeAnswering, asked, asking, said, service, texts
from tests.tasks.responses_desk import answering as answering
from tests.tasks.responses_desk import responses as responses
from tests.tasks.responses_desk import stores as stores

# ---- what came before --------------------------------------------------------------------------------


async def test_a_chain_brings_back_every_input_and_output_oldest_first(responses: Responses) -> None:
    one = await asked(responses, "one")
    two = await asked(responses, "two", one["id"])
    past = await responses.past(ALICE, [said("three")], two["id"])
    assert texts(past.earlier) == ["one", "hello", "two", "hello"]
    assert texts(past.items) == ["three"] and past.items[0]["id"]


async def test_a_chain_stays_in_its_session_and_adds_only_what_is_new(
    responses: Responses, answering: FakeAnswering, stores: Stores
) -> None:
    one = await asked(responses, "one")
    await stores.conversations.create(ALICE, "t", "session-1", [StoredMessage("user", "one", 0.0)])
    await asked(responses, "two", one["id"])
    assert (answering.asked[0].session_id, answering.asked[0].session_holds) == (None, None)
    assert (answering.asked[1].session_id, answering.asked[1].session_holds) == ("session-1", 2)
    await stores.conversations.delete(ALICE, "session-1")
    await asked(responses, "three", one["id"])
    assert answering.asked[2].session_id is None


@pytest.mark.parametrize("gone", ["first", "newest"])
async def test_a_link_that_was_deleted_ends_the_chain_there(responses: Responses, gone: str) -> None:
    one = await asked(responses, "one")
    two = await asked(responses, "two", one["id"])
    await responses.delete(ALICE, (one if gone == "first" else two)["id"])
    if gone == "first":
        assert texts((await responses.past(ALICE, [], two["id"])).earlier) == ["two", "hello"]
        return
    with pytest.raises(InvalidRequest) as caught:
        await responses.past(ALICE, [], two["id"])
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")


async def test_iso_1_a_strangers_response_cannot_be_built_on(responses: Responses) -> None:
    one = await asked(responses, "alice's secret")
    refusals = []
    for response_id in (one["id"], one["id"][:-1] + "0"):
        with pytest.raises(InvalidRequest) as caught:
            await responses.past(BOB, [said("x")], response_id)
        refusals.append((caught.value.code, caught.value.message.replace(response_id, "")))
    assert refusals[0] == refusals[1]
    for attempt in (
        responses.get(BOB, one["id"]),
        responses.input_items(BOB, one["id"]),
        responses.events(BOB, one["id"]),
        responses.cancel(BOB, one["id"]),
        responses.delete(BOB, one["id"]),
        responses.past(BOB, [{"type": "item_reference", "id": one["output"][0]["id"]}]),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_a_long_history_keeps_its_newest_items(responses: Responses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HISTORY_ITEMS", 3)
    one = await asked(responses, "one")
    two = await asked(responses, "two", one["id"])
    assert texts((await responses.past(ALICE, [], two["id"])).earlier) == ["hello", "two", "hello"]
    monkeypatch.setattr(module, "MAX_HISTORY_BYTES", 300)
    assert texts((await responses.past(ALICE, [], two["id"])).earlier) == ["hello"]


async def test_a_cut_history_has_no_output_without_its_call(
    responses: Responses, answering: FakeAnswering, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering.says = [CALL, Finished("tool_calls")]
    one = await asked(responses, "how warm?")
    answering.says = [TextDelta("warm"), Finished("stop")]
    output = {"type": "function_call_output", "call_id": "call_1", "output": "30"}
    past = await responses.past(ALICE, [output], one["id"])
    assert [item["type"] for item in past.earlier] == ["message", "function_call"]
    two = await (await responses.run(asking(past))).whole()
    monkeypatch.setattr(module, "MAX_HISTORY_ITEMS", 2)
    assert [item["type"] for item in (await responses.past(ALICE, [], two["id"])).earlier] == ["message"]


async def test_a_circle_of_responses_ends(responses: Responses, stores: Stores) -> None:
    one = await asked(responses, "one")
    record = await stores.responses.get(ALICE, one["id"])
    await stores.responses.save(ALICE, {**record, "previous_response_id": one["id"]})
    assert texts((await responses.past(ALICE, [], one["id"])).earlier) == ["one", "hello"]


async def test_references_are_replaced_by_stored_items(responses: Responses) -> None:
    one = await asked(responses, "one")
    reference = {"type": "item_reference", "id": one["output"][0]["id"]}
    past = await responses.past(ALICE, [reference, said("two")])
    assert texts(past.items) == ["hello", "two"]
    # What the chain has anyway is not said twice.
    assert texts((await responses.past(ALICE, [reference, said("two")], one["id"])).items) == ["two"]
    with pytest.raises(NotFound) as caught:
        await responses.past(ALICE, [said("two"), {"type": "item_reference", "id": "msg_unknown"}])
    assert caught.value.param == "input.1.id"


async def test_every_item_of_the_input_has_an_id_of_its_own(responses: Responses) -> None:
    past = await responses.past(ALICE, [said("a", "msg_1"), said("b", "msg_1"), said("c")])
    ids = [item["id"] for item in past.items]
    assert len(set(ids)) == 3 and ids[0] == "msg_1" and ids[1].startswith("msg_")


async def test_previous_response_and_conversation_exclude_each_other(responses: Responses) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await responses.past(ALICE, [], "resp_1", "conv_1")
    assert caught.value.code == "mutually_exclusive_parameters"


@pytest.mark.parametrize(
    ("kinds", "turns"),
    [
        (["user"], 1),
        (["system", "user"], 2),
        (["user", "assistant", "call", "call", "output", "output"], 4),
        (["output", "user"], 2),
        (["reasoning", "assistant", "reasoning", "call"], 1),
        ([], 0),
    ],
)
def test_items_are_counted_as_the_messages_they_make(kinds: list[str], turns: int) -> None:
    shapes = {"call": "function_call", "output": "function_call_output", "reasoning": "reasoning"}
    assert turns_in([{"type": shapes.get(kind, "message"), "role": kind} for kind in kinds]) == turns


# ---- conversations --------------------------------------------------------------------------------------


async def test_a_conversation_gets_input_and_output_and_gives_them_to_the_next(
    responses: Responses, stores: Stores, answering: FakeAnswering
) -> None:
    conversation = (await stores.item_conversations.create(ALICE, {}, [said("zero", "msg_0")]))["id"]
    await asked(responses, "one", conversation=conversation)
    assert texts(await stores.item_conversations.items(ALICE, conversation)) == ["zero", "one", "hello"]
    assert (await stores.item_conversations.get(ALICE, conversation))["session_id"] == "session-1"
    past = await responses.past(ALICE, [said("two")], None, conversation)
    assert texts(past.earlier) == ["zero", "one", "hello"]


async def test_a_response_that_is_not_stored_adds_nothing(responses: Responses, stores: Stores) -> None:
    conversation = (await stores.item_conversations.create(ALICE, {}))["id"]
    response = await asked(responses, "one", conversation=conversation, store=False)
    assert await stores.item_conversations.items(ALICE, conversation) == []
    with pytest.raises(NotFound):
        await responses.get(ALICE, response["id"])


@pytest.mark.parametrize("owner", [BOB, ALICE], ids=["stranger", "missing"])
async def test_iso_1_a_strangers_conversation_is_missing(responses: Responses, stores: Stores, owner: Owner) -> None:
    conversation = (await stores.item_conversations.create(ALICE, {}))["id"]
    with pytest.raises(NotFound) as caught:
        await responses.past(owner, [], None, conversation if owner == BOB else "conv_missing")
    assert caught.value.param == "conversation"


async def test_concurrent_responses_of_one_conversation_keep_question_and_answer_together(
    responses: Responses, stores: Stores
) -> None:
    conversation = (await stores.item_conversations.create(ALICE, {}))["id"]
    await asyncio.gather(*(asked(responses, f"q{n}", conversation=conversation) for n in range(8)))
    found = texts(await stores.item_conversations.items(ALICE, conversation))
    assert found[1::2] == ["hello"] * 8 and sorted(found[::2]) == [f"q{n}" for n in range(8)]


CALLED = {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}


def output(name: str, call_id: str = "c1") -> dict[str, Any]:
    return {"id": name, "type": "function_call_output", "call_id": call_id, "output": name}


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([said("q", "m1"), CALLED, output("o1"), said("r", "m2")], ["m1", "fc_1", "o1", "m2"]),
        ([said("q", "m1"), CALLED, output("o1"), output("o2")], ["m1", "fc_1", "o1"]),
        ([said("q", "m1"), CALLED, said("r", "m2"), output("o1")], ["m1", "fc_1", "o1", "m2"]),
        ([said("q", "m1"), CALLED, said("r", "m2")], ["m1", "m2", "fc_1"]),
        ([said("q", "m1"), output("o1"), CALLED], ["m1", "fc_1", "o1"]),
        ([said("q", "m1"), output("o1", "c2")], ["m1"]),
        ([CALLED, CALLED | {"id": "fc_2"}, output("o1")], ["fc_1", "o1"]),
    ],
    ids=["in-order", "output-twice", "turn-between", "still-waiting", "output-first", "no-call", "call-twice"],
)
async def test_a_conversation_that_was_written_to_side_by_side_can_go_on(
    responses: Responses, stores: Stores, items: list[dict[str, Any]], expected: list[str]
) -> None:
    conversation = (await stores.item_conversations.create(ALICE, {}, items))["id"]
    past = await responses.past(ALICE, [], None, conversation)
    assert [item["id"] for item in past.earlier] == expected


@pytest.mark.parametrize("kind", ["message", "function_call_output"])
async def test_a_history_outlives_the_files_in_it(responses: Responses, stores: Stores, kind: str) -> None:
    async def bytes_of() -> AsyncIterator[bytes]:
        yield b"there"

    there = (await stores.documents.receive(ALICE, "a.txt", bytes_of(), 100)).file_id
    parts = [{"type": "input_file", "file_id": there}, {"type": "input_image", "file_id": "file-gone"}]
    remark = {"type": "input_text", "text": "(A file that was here has been deleted.)"}
    message, answered = said("q", "m1") | {"content": parts}, output("o1") | {"output": parts}
    items = [message] if kind == "message" else [CALLED, answered]
    conversation = (await stores.item_conversations.create(ALICE, {}, items))["id"]
    last = (await responses.past(ALICE, [said("r")], None, conversation)).earlier[-1]
    assert last["content" if kind == "message" else "output"] == [parts[0], remark]
    kept = (await stores.item_conversations.items(ALICE, conversation))[-1]
    assert kept["content" if kind == "message" else "output"] == parts


async def test_a_full_conversation_is_refused_before_the_model_is_asked(
    responses: Responses, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    conversation = (await stores.item_conversations.create(ALICE, {}))["id"]
    monkeypatch.setattr(module, "MAX_CONVERSATION_ITEMS", 10)
    with pytest.raises(InvalidRequest) as caught:
        await asked(responses, "one", conversation=conversation)
    assert caught.value.code == "conversation_too_large"


async def test_a_disk_that_refuses_costs_the_storing_not_the_answer(
    stores: Stores, answering: FakeAnswering, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: Any) -> None:
        raise StorageFull("The disk is full.")

    monkeypatch.setattr(stores.responses, "save", full)
    response = await asked(service(stores, answering), "one")
    assert response["status"] == "completed"
