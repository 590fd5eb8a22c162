"""Responses: what they build on, what is kept, and the ones that go on while nobody waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from backend.llm.port import Sampling
from backend.models.conversations import StoredMessage
from backend.models.errors import HearthError, InvalidRequest, ModelNotFound, NotFound, StorageFull, TooManyRequests
from backend.models.messages import Event, Finished, Message, TextDelta, ToolCall, ToolCallMade
from backend.models.run import Owner, RunContext
from backend.storage.stores import Stores
from backend.tasks import response_history as module
from backend.tasks.answering import Answer, Question
from backend.tasks.background_responses import STOPPED, BackgroundResponses
from backend.tasks.response_history import Past, turns_in
from backend.tasks.responses import LOST, Asked, Responses
from tests.fakes.stores import fake_stores
from tests.storage.samples import ALICE, BOB
from tests.tasks.rendered import FakeRenderer, parsed

CALL = ToolCallMade(ToolCall("call_1", "read_sensor", "{}"))


@dataclass
class FakeAnswering:
    """Prepares runs that say what a test wrote down; `gate` holds them up after their first event."""

    says: list[Event] = field(default_factory=lambda: [TextDelta("hello"), Finished("stop")])
    gate: asyncio.Event | None = None
    asked: list[Question] = field(default_factory=list)
    refuses: HearthError | None = None
    at_work: int = 0
    most_at_work: int = 0

    async def prepare(self, owner: Owner, question: Question, request_id: str, base_url: str = "") -> Answer:
        await asyncio.sleep(0)
        if self.refuses is not None:
            raise self.refuses
        self.asked.append(question)
        session = (question.session_id or f"session-{len(self.asked)}") if question.store else None
        context = RunContext(owner, f"run_{len(self.asked)}", session, request_id)
        return Answer(context, "fake:1b", self._events())

    async def _events(self) -> AsyncGenerator[Event, None]:
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            for event in self.says:
                yield event
                if self.gate is not None:
                    await self.gate.wait()
        finally:
            self.at_work -= 1


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return fake_stores(tmp_path)


@pytest.fixture
def answering() -> FakeAnswering:
    return FakeAnswering()


@pytest.fixture
async def responses(stores: Stores, answering: FakeAnswering) -> AsyncIterator[Responses]:
    made = service(stores, answering)
    yield made
    await made.aclose()


def service(stores: Stores, answering: FakeAnswering, **bounds: int) -> Responses:
    return Responses(stores, cast(Any, answering), BackgroundResponses(**bounds))


def said(text: str, name: str = "") -> dict[str, Any]:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
    return item | ({"id": name} if name else {})


def asking(past: Past, *, owner: Owner = ALICE, store: bool = True, background: bool = False, **more: Any) -> Asked:
    def render(response_id: str, context: RunContext, model: str, created_at: int) -> FakeRenderer:
        assert abs(time.time() - created_at) < 60
        return FakeRenderer(response_id, background=background)

    messages = tuple(Message("user", "x") for _ in range(turns_in([*past.earlier, *past.items])))
    return Asked(owner, Question("m", messages, sampling=Sampling(), **more), past, render, store, "req")


async def asked(responses: Responses, text: str, previous: str | None = None, **more: Any) -> dict[str, Any]:
    """One response that nobody streams."""
    past = await responses.past(ALICE, [said(text)], previous, more.pop("conversation", None))
    return await (await responses.run(asking(past, **more))).whole()


def texts(items: list[dict[str, Any]]) -> list[str]:
    return [item["content"][0]["text"] for item in items if item["type"] == "message"]


async def until(happens: Any, seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not happens():
            await asyncio.sleep(0.002)


async def over(responses: Responses, response_id: str) -> dict[str, Any]:
    await until(lambda: responses.background.get(ALICE, response_id) is None)
    return await responses.get(ALICE, response_id)


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


# ---- kept -----------------------------------------------------------------------------------------------


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


# ---- in the background ----------------------------------------------------------------------------------


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
