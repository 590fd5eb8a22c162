from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.models.conversations import StoredMessage
from backend.models.errors import Conflict, NotFound
from backend.models.messages import Message
from backend.storage import json_files
from backend.storage.stores import Stores
from tests.storage.samples import ALICE, said, settings_for, stored, turns


async def test_new_conversation_is_empty_and_listed(stores: Stores) -> None:
    info = await stores.conversations.create(ALICE, "Holiday plans")
    assert (info.title, info.messages) == ("Holiday plans", 0)
    assert await stores.conversations.info(ALICE, info.session_id) == info
    assert await stores.conversations.list_conversations(ALICE) == ([info], 1)
    assert (await stores.conversations.get(ALICE, info.session_id)).messages == ()


async def test_id_made_by_the_server_before_is_kept_and_taken_once(stores: Stores) -> None:
    info = await stores.conversations.create(ALICE, "One", "conv-given")
    assert info.session_id == "conv-given"
    with pytest.raises(Conflict):
        await stores.conversations.create(ALICE, "Two", "conv-given")
    assert (await stores.conversations.info(ALICE, "conv-given")).title == "One"


async def test_created_with_its_first_messages(stores: Stores) -> None:
    first = [said("user", "hello"), said("assistant", "good day")]
    info = await stores.conversations.create(ALICE, "One", "conv-full", first)
    assert info.messages == 2
    await stores.conversations.append(ALICE, "conv-full", [said("user", "more")])
    conversation = await stores.conversations.get(ALICE, "conv-full")
    assert [message.content for message in conversation.messages] == ["hello", "good day", "more"]
    history = [Message(message.role, message.content) for message in conversation.messages]
    assert await stores.conversations.find_by_history(ALICE, history) == "conv-full"


async def test_messages_come_back_as_they_were(stores: Stores) -> None:
    info = await stores.conversations.create(ALICE, "t")
    messages = [
        said("system", "be brief"),
        said("user", 'Grüße 🌍\nzweite Zeile "quoted" \\ \x00\u2028'),
        said("assistant", "", run_id="run-1", steps=[{"id": "1", "output": "x" * 20_000}], partial=True),
        said("tool", "42"),
        said("assistant", "answer", citations=[{"index": 1}]),
    ]
    await stores.conversations.append(ALICE, info.session_id, messages[:2])
    await stores.conversations.append(ALICE, info.session_id, messages[2:])
    conversation = await stores.conversations.get(ALICE, info.session_id)
    assert conversation.messages == tuple(messages)
    assert conversation.info == await stores.conversations.info(ALICE, info.session_id)
    assert conversation.info.messages == 5
    assert conversation.info.updated_at == messages[-1].timestamp


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, 10**100], ids=str)
async def test_integers_of_tool_results_keep_every_digit(stores: Stores, number: int) -> None:
    info = await stores.conversations.create(ALICE, "t")
    message = said("assistant", "a large number", steps=[{"data": number}])
    await stores.conversations.append(ALICE, info.session_id, [message])
    assert (await stores.conversations.get(ALICE, info.session_id)).messages == (message,)
    assert await stores.conversations.tail(ALICE, info.session_id, 1) == [message]


@pytest.mark.parametrize("limit, expected", [(0, 0), (-1, 0), (1, 1), (3, 3), (100, 8)])
async def test_tail_gives_the_last_messages_in_order(stores: Stores, limit: int, expected: int) -> None:
    info = await stores.conversations.create(ALICE, "t")
    messages = stored(*(f"message {i} " + "x" * 5000 * (i % 3) for i in range(8)))
    await stores.conversations.append(ALICE, info.session_id, messages[:5])
    await stores.conversations.rename(ALICE, info.session_id, "renamed in between")
    await stores.conversations.append(ALICE, info.session_id, messages[5:])
    tail = await stores.conversations.tail(ALICE, info.session_id, limit)
    assert tail == messages[len(messages) - expected :]


async def test_list_is_newest_first_and_paged(stores: Stores) -> None:
    infos = []
    for i in range(5):
        infos.append(await stores.conversations.create(ALICE, f"c{i}"))
        await asyncio.sleep(0.002)
    await stores.conversations.append(ALICE, infos[1].session_id, [said("user", "hello")])
    first, total = await stores.conversations.list_conversations(ALICE, page=1, limit=2)
    assert ([info.title for info in first], total) == (["c1", "c4"], 5)
    last, _ = await stores.conversations.list_conversations(ALICE, page=3, limit=2)
    assert [info.title for info in last] == ["c0"]
    assert await stores.conversations.list_conversations(ALICE, page=4, limit=2) == ([], 5)


@pytest.mark.parametrize(
    "query, hit",
    [
        ("HOLIDAY", True),
        ("straße", True),
        ("STRASSE", True),
        ('say "hi"', True),
        ("  lisbon ", True),
        ("", True),
        ("two\nlines", True),
        ("timestamp", False),
        ("secret tool output", False),
        ("nowhere", False),
    ],
)
async def test_search_looks_into_titles_and_texts(stores: Stores, query: str, hit: bool) -> None:
    info = await stores.conversations.create(ALICE, "Holiday plans")
    texts = [said("user", 'Lisbon, Große Straße, say "hi" on\ntwo\nlines'), said("tool", "secret tool output")]
    await stores.conversations.append(ALICE, info.session_id, texts)
    found, total = await stores.conversations.list_conversations(ALICE, query=query)
    assert ([one.session_id for one in found], total) == (([info.session_id], 1) if hit else ([], 0))


async def test_rename_keeps_messages_and_order_and_survives_more_messages(stores: Stores) -> None:
    info = await stores.conversations.create(ALICE, "old")
    await stores.conversations.append(ALICE, info.session_id, stored("hello", "hi"))
    before = await stores.conversations.info(ALICE, info.session_id)
    renamed = await stores.conversations.rename(ALICE, info.session_id, "  new\r\ntitle\u202e ")
    assert renamed == replace(before, title="new title")
    await stores.conversations.append(ALICE, info.session_id, stored("again"))
    after = await stores.conversations.get(ALICE, info.session_id)
    assert (after.info.title, after.info.messages, len(after.messages)) == ("new title", 3, 3)


async def test_a_conversation_keeps_which_collections_it_searches(stores: Stores) -> None:
    info = await stores.conversations.create(ALICE, "old", messages=stored("hello", "hi"))
    assert info.collections == ()
    chosen = await stores.conversations.choose(ALICE, info.session_id, ["vs_2", "vs_1"])
    assert chosen == replace(info, collections=("vs_2", "vs_1"))
    await stores.conversations.rename(ALICE, info.session_id, "new")
    await stores.conversations.append(ALICE, info.session_id, stored("again"))
    after = await stores.conversations.get(ALICE, info.session_id)
    assert (after.info.title, after.info.messages, len(after.messages)) == ("new", 3, 3)
    assert after.info.collections == ("vs_2", "vs_1")
    assert (await stores.conversations.list_conversations(ALICE))[0][0].collections == ("vs_2", "vs_1")
    await stores.conversations.choose(ALICE, info.session_id, [])
    assert (await stores.conversations.info(ALICE, info.session_id)).collections == ()


async def test_the_choice_of_collections_survives_a_restart(engine: Stores, data_dir: Path) -> None:
    info = await engine.conversations.create(ALICE, "old")
    await engine.conversations.choose(ALICE, info.session_id, ["vs_1"])
    again = json_files.create(settings_for(data_dir))
    assert (await again.conversations.info(ALICE, info.session_id)).collections == ("vs_1",)
    await again.aclose()


async def test_deleted_conversation_is_gone_everywhere(stores: Stores) -> None:
    info = await stores.conversations.create(ALICE, "t")
    await stores.conversations.append(ALICE, info.session_id, stored("hello", "hi"))
    await stores.conversations.delete(ALICE, info.session_id)
    assert await stores.conversations.list_conversations(ALICE) == ([], 0)
    assert await stores.conversations.find_by_history(ALICE, turns("hello", "hi")) is None
    for attempt in (
        stores.conversations.get(ALICE, info.session_id),
        stores.conversations.info(ALICE, info.session_id),
        stores.conversations.tail(ALICE, info.session_id, 5),
        stores.conversations.append(ALICE, info.session_id, stored("x")),
        stores.conversations.append(ALICE, info.session_id, []),
        stores.conversations.rename(ALICE, info.session_id, "x"),
        stores.conversations.delete(ALICE, info.session_id),
    ):
        with pytest.raises(NotFound):
            await attempt


@pytest.mark.parametrize("bad", ["", ".", "..", "../x", "a/b", "a\x00b", "a" * 65, "c.jsonl", "ü", "conv-*"])
async def test_fs_1_ids_that_are_no_ids_are_not_found(stores: Stores, bad: str) -> None:
    for attempt in (
        stores.conversations.get(ALICE, bad),
        stores.conversations.append(ALICE, bad, stored("x")),
        stores.conversations.delete(ALICE, bad),
        stores.conversations.create(ALICE, "t", bad),
    ):
        with pytest.raises(NotFound):
            await attempt


HISTORY_CASES = [
    ("exact", turns("hello", "hi"), True),
    ("whitespace around", turns(" hello\n", "hi  "), True),
    ("system ignored", [Message("system", "be brief"), *turns("hello", "hi")], True),
    ("tool ignored", [*turns("hello"), Message("tool", "42"), Message("assistant", "hi")], True),
    ("empty assistant ignored", [*turns("hello"), Message("assistant", ""), Message("assistant", "hi")], True),
    ("shorter", turns("hello"), False),
    ("longer", turns("hello", "hi", "more"), False),
    ("other text", turns("hello", "hi!"), False),
    ("other case", turns("Hello", "hi"), False),
    ("other order", [Message("assistant", "hello"), Message("user", "hi")], False),
    ("joined differently", turns("hello\nassistant\nhi"), False),
    ("only system", [Message("system", "be brief")], False),
    ("empty", [], False),
]


@pytest.mark.parametrize(
    "history, found", [case[1:] for case in HISTORY_CASES], ids=[case[0] for case in HISTORY_CASES]
)
async def test_history_finds_the_session_with_exactly_these_texts(
    stores: Stores, history: list[Message], found: bool
) -> None:
    info = await stores.conversations.create(ALICE, "t")
    await stores.conversations.create(ALICE, "an empty one")
    await stores.conversations.append(
        ALICE, info.session_id, [said("system", "other"), said("user", "hello"), said("assistant", " hi ")]
    )
    assert await stores.conversations.find_by_history(ALICE, history) == (info.session_id if found else None)


async def test_history_is_found_turn_by_turn(stores: Stores) -> None:
    info = await stores.conversations.create(ALICE, "t")
    texts: list[str] = []
    for i in range(5):
        if i:
            assert await stores.conversations.find_by_history(ALICE, turns(*texts)) == info.session_id
        more = [f"question {i}", f"answer {i}"]
        await stores.conversations.append(ALICE, info.session_id, stored(*more))
        texts += more
    assert await stores.conversations.find_by_history(ALICE, turns(*texts[:4])) is None


async def test_history_shared_by_two_sessions_finds_the_newer_and_then_the_other(stores: Stores) -> None:
    old = await stores.conversations.create(ALICE, "old")
    await stores.conversations.append(ALICE, old.session_id, stored("hello", "hi"))
    await asyncio.sleep(0.002)
    new = await stores.conversations.create(ALICE, "new")
    await stores.conversations.append(ALICE, new.session_id, stored("hello", "hi"))
    assert await stores.conversations.find_by_history(ALICE, turns("hello", "hi")) == new.session_id
    await stores.conversations.append(ALICE, new.session_id, stored("goes on"))
    assert await stores.conversations.find_by_history(ALICE, turns("hello", "hi")) == old.session_id


async def test_fifty_simultaneous_appends_lose_nothing(stores: Stores) -> None:
    info = await stores.conversations.create(ALICE, "t")
    await asyncio.gather(
        *(stores.conversations.append(ALICE, info.session_id, [said("user", f"message {i}")]) for i in range(50))
    )
    conversation = await stores.conversations.get(ALICE, info.session_id)
    assert sorted(m.content for m in conversation.messages) == sorted(f"message {i}" for i in range(50))
    assert conversation.info.messages == 50


_message = st.builds(
    StoredMessage,
    st.sampled_from(["system", "user", "assistant", "tool"]),
    st.text(st.characters(exclude_categories=()), max_size=30),
    st.floats(0, 4e9),
    st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5), max_size=3),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(_message, max_size=3), max_size=4))
async def test_any_messages_come_back_and_are_found_as_history(
    stores: Stores, batches: list[list[StoredMessage]]
) -> None:
    info = await stores.conversations.create(ALICE, "t")
    for batch in batches:
        await stores.conversations.append(ALICE, info.session_id, batch)
    messages = [message for batch in batches for message in batch]
    assert list((await stores.conversations.get(ALICE, info.session_id)).messages) == messages
    assert await stores.conversations.tail(ALICE, info.session_id, 2) == messages[-2:]
    history = [Message(message.role, message.content) for message in messages]
    counted = any(m.role == "user" or (m.role == "assistant" and m.content.strip()) for m in messages)
    found = await stores.conversations.find_by_history(ALICE, history)
    assert (found is not None) == counted
    await stores.conversations.delete(ALICE, info.session_id)
