from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.models.errors import InvalidRequest, NotFound
from backend.storage import json_files
from backend.storage.json_files import item_conversations as json_conversations
from backend.storage.stores import Stores
from tests.storage.samples import ALICE, BOB, settings_for
from tests.storage.test_json_files_damage import each_damage


def item(name: str, text: str = "hi") -> dict[str, Any]:
    return {"id": name, "type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


async def ids(stores: Stores, conversation_id: str) -> list[str]:
    return [each["id"] for each in await stores.item_conversations.items(ALICE, conversation_id)]


async def test_conversation_comes_back_with_its_items_in_order(stores: Stores) -> None:
    head = await stores.item_conversations.create(ALICE, {"topic": "ü"}, [item("a"), item("b")])
    assert await stores.item_conversations.get(ALICE, head["id"]) == head
    assert (head["metadata"], head["session_id"]) == ({"topic": "ü"}, None) and "items" not in head
    await stores.item_conversations.append(ALICE, head["id"], [item("c")], "conv-1")
    assert await ids(stores, head["id"]) == ["a", "b", "c"]
    assert (await stores.item_conversations.get(ALICE, head["id"]))["session_id"] == "conv-1"
    await stores.item_conversations.append(ALICE, head["id"], [])
    assert (await stores.item_conversations.get(ALICE, head["id"]))["session_id"] == "conv-1"


async def test_an_item_with_a_known_id_takes_its_place(stores: Stores) -> None:
    head = await stores.item_conversations.create(ALICE, {}, [item("a", "old"), item("b")])
    await stores.item_conversations.append(ALICE, head["id"], [item("a", "new")])
    found = await stores.item_conversations.items(ALICE, head["id"])
    assert [(each["id"], each["content"][0]["text"]) for each in found] == [("a", "new"), ("b", "hi")]


async def test_metadata_is_replaced_and_items_are_taken_out(stores: Stores) -> None:
    head = await stores.item_conversations.create(ALICE, {"a": "1"}, [item("a"), item("b")])
    assert (await stores.item_conversations.set_metadata(ALICE, head["id"], {"b": "2"}))["metadata"] == {"b": "2"}
    assert (await stores.item_conversations.remove_item(ALICE, head["id"], "a"))["metadata"] == {"b": "2"}
    assert await ids(stores, head["id"]) == ["b"]
    with pytest.raises(NotFound):
        await stores.item_conversations.remove_item(ALICE, head["id"], "a")


async def test_deleted_conversation_is_gone(stores: Stores) -> None:
    head = await stores.item_conversations.create(ALICE, {})
    await stores.item_conversations.delete(ALICE, head["id"])
    for attempt in (
        stores.item_conversations.get(ALICE, head["id"]),
        stores.item_conversations.append(ALICE, head["id"], [item("a")]),
        stores.item_conversations.delete(ALICE, head["id"]),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_forgetting_a_session_takes_the_conversation_that_repeats_it(stores: Stores) -> None:
    one = (await stores.item_conversations.create(ALICE, {}))["id"]
    two = (await stores.item_conversations.create(ALICE, {}))["id"]
    await stores.item_conversations.append(ALICE, one, [item("a")], "conv-1")
    assert await stores.item_conversations.forget_session(BOB, "conv-1") == []
    assert await stores.item_conversations.forget_session(ALICE, "conv-1") == [one]
    assert (await stores.item_conversations.get(ALICE, two))["id"] == two


async def test_concurrent_writers_lose_nothing_and_each_keeps_its_items_together(stores: Stores) -> None:
    head = await stores.item_conversations.create(ALICE, {})
    await asyncio.gather(
        *(stores.item_conversations.append(ALICE, head["id"], [item(f"{n}-in"), item(f"{n}-out")]) for n in range(20))
    )
    found = await ids(stores, head["id"])
    assert len(found) == 40
    assert all(found[at + 1] == found[at].replace("in", "out") for at in range(0, 40, 2))


async def test_two_engines_on_one_folder_lose_nothing(engine: Stores, data_dir: Path) -> None:
    other = json_files.create(settings_for(data_dir))
    head = await engine.item_conversations.create(ALICE, {})
    await asyncio.gather(
        *(
            stores.item_conversations.append(ALICE, head["id"], [item(f"{which}-{n}")])
            for which, stores in enumerate((engine, other))
            for n in range(10)
        )
    )
    assert len(await ids(engine, head["id"])) == 20
    await other.aclose()


@pytest.mark.parametrize(
    ("bound", "value", "code"),
    [
        ("MAX_CONVERSATION_ITEMS", 2, "conversation_too_large"),
        ("MAX_CONVERSATION_BYTES", 600, "conversation_too_large"),
        ("MAX_CONVERSATIONS", 1, "too_many_conversations"),
    ],
)
async def test_bounds_are_told_and_leave_everything_as_it_was(
    stores: Stores, monkeypatch: pytest.MonkeyPatch, bound: str, value: int, code: str
) -> None:
    head = await stores.item_conversations.create(ALICE, {}, [item("a")])
    monkeypatch.setattr(json_conversations, bound, value)
    monkeypatch.setattr(f"tests.fakes.responses.{bound}", value)
    with pytest.raises(InvalidRequest) as caught:
        await stores.item_conversations.append(ALICE, head["id"], [item("b", "x" * 300), item("c", "y" * 300)])
        await stores.item_conversations.create(ALICE, {})
    assert caught.value.code == code
    assert (await ids(stores, head["id"]))[0] == "a"


async def test_strangers_conversations_do_not_count(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_conversations, "MAX_CONVERSATIONS", 1)
    monkeypatch.setattr("tests.fakes.responses.MAX_CONVERSATIONS", 1)
    await stores.item_conversations.create(ALICE, {})
    await stores.item_conversations.create(BOB, {})


@each_damage
async def test_st_3_damaged_conversation_is_set_aside_and_the_others_work(
    engine: Stores, data_dir: Path, damage: Callable[[Path], None]
) -> None:
    bad = (await engine.item_conversations.create(ALICE, {}))["id"]
    good = (await engine.item_conversations.create(ALICE, {}, [item("a")]))["id"]
    damage(data_dir / "item_conversations" / ALICE.user / f"{bad}.json")
    with pytest.raises(NotFound):
        await engine.item_conversations.append(ALICE, bad, [item("x")])
    with pytest.raises(NotFound):
        await engine.item_conversations.get(ALICE, bad)
    assert await ids(engine, good) == ["a"]
    assert len(engine.damaged()) == 1
