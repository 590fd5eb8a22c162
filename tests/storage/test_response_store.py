from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from backend.models.errors import NotFound
from backend.storage import json_files
from backend.storage.json_files import responses as json_responses
from backend.storage.stores import Stores
from tests.storage.samples import ALICE, ALICE_ELSEWHERE, BOB, settings_for
from tests.storage.test_json_files_damage import each_damage

FRAMES = [(0, b'event: a\ndata: {"n":0}\n\n'), (1, 'event: b\ndata: {"text":"ü"}\n\n'.encode()), (5, b"data: 5\n\n")]
Call = Callable[[Stores, Any, str], Awaitable[Any]]


def item(name: str, text: str = "hi") -> dict[str, Any]:
    return {"id": name, "type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def record(response_id: str = "resp_1", age: float = 0.0, **more: Any) -> dict[str, Any]:
    return {
        "id": response_id,
        "created_at": time.time() - age,
        "session_id": "conv-1",
        "input": [item(f"in_{response_id}")],
        "response": {
            "id": response_id,
            "status": "completed",
            "output": [item(f"out_{response_id}", 'ü\n"response":')],
        },
        **more,
    }


async def test_saved_response_comes_back_with_its_events(stores: Stores) -> None:
    saved = record(big=2**100)
    await stores.responses.save(ALICE, saved, FRAMES)
    assert await stores.responses.get(ALICE, "resp_1") == saved
    assert await stores.responses.events(ALICE, "resp_1") == FRAMES


async def test_saving_again_replaces_and_update_brings_nothing_back(stores: Stores) -> None:
    await stores.responses.save(ALICE, record(), FRAMES)
    await stores.responses.save(ALICE, record(n=2))
    assert (await stores.responses.get(ALICE, "resp_1"))["n"] == 2
    assert await stores.responses.events(ALICE, "resp_1") == []
    await stores.responses.update(ALICE, record(n=3), FRAMES[:2])
    assert await stores.responses.events(ALICE, "resp_1") == FRAMES[:2]
    await stores.responses.delete(ALICE, "resp_1")
    for attempt in (
        stores.responses.update(ALICE, record(n=4)),
        stores.responses.get(ALICE, "resp_1"),
        stores.responses.events(ALICE, "resp_1"),
        stores.responses.delete(ALICE, "resp_1"),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_items_are_found_by_id_and_the_newest_counts(stores: Stores) -> None:
    await stores.responses.save(ALICE, record("resp_1", 10, input=[item("same", "old")]))
    await stores.responses.save(ALICE, record("resp_2", 5, input=[item("same", "new"), {"type": "no id"}]))
    found = await stores.responses.find_items(ALICE, ["same", "out_resp_1", "missing"])
    assert {name: each["content"][0]["text"] for name, each in found.items()} == {
        "same": "new",
        "out_resp_1": 'ü\n"response":',
    }
    assert await stores.responses.find_items(ALICE, []) == {}
    assert await stores.responses.find_items(BOB, ["same"]) == {}


async def test_deleting_of_a_session_takes_its_responses_and_no_others(stores: Stores) -> None:
    for number in range(3):
        await stores.responses.save(ALICE, record(f"resp_{number}"))
    await stores.responses.save(ALICE, record("resp_9", session_id="conv-2"))
    await stores.responses.save(BOB, record("resp_b"))
    assert set(await stores.responses.delete_of_session(ALICE, "conv-1")) == {"resp_0", "resp_1", "resp_2"}
    assert (await stores.responses.get(ALICE, "resp_9"))["id"] == "resp_9"
    assert (await stores.responses.get(BOB, "resp_b"))["id"] == "resp_b"


async def test_oldest_responses_make_room(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_responses, "MAX_RESPONSES", 2)
    monkeypatch.setattr("tests.fakes.responses.MAX_RESPONSES", 2)
    for number in range(4):
        await stores.responses.save(ALICE, record(f"resp_{number}", 100 - number), FRAMES)
    for number, there in enumerate((False, False, True, True)):
        if there:
            await stores.responses.get(ALICE, f"resp_{number}")
        else:
            with pytest.raises(NotFound):
                await stores.responses.get(ALICE, f"resp_{number}")


async def test_a_response_of_more_than_30_days_is_gone(stores: Stores) -> None:
    await stores.responses.save(ALICE, record("resp_old", 31 * 86_400))
    await stores.responses.save(ALICE, record("resp_new", 29 * 86_400))
    with pytest.raises(NotFound):
        await stores.responses.get(ALICE, "resp_old")
    assert await stores.responses.find_items(ALICE, ["in_resp_old"]) == {}
    assert (await stores.responses.get(ALICE, "resp_new"))["id"] == "resp_new"


async def test_responses_have_a_bound_in_bytes_and_leave_no_events_behind(
    engine: Stores, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_responses, "MAX_OWNER_BYTES", 9_000)
    for number in range(4):
        await engine.responses.save(ALICE, record(f"resp_{number}", 100 - number), [(0, b"x" * 3_000 + b"\n\n")])
    names = {path.name for path in (data_dir / "responses" / ALICE.user).iterdir()}
    assert names == {"resp_2.json", "resp_2.events", "resp_3.json", "resp_3.events"}


async def test_st_6_a_kill_between_the_two_files_leaves_the_old_response(engine: Stores, data_dir: Path) -> None:
    await engine.responses.save(ALICE, record(n=1))
    (data_dir / "responses" / ALICE.user / "resp_1.events").write_bytes(b"data: new\n\n" * 9)
    again = json_files.create(settings_for(data_dir))
    assert (await again.responses.get(ALICE, "resp_1"))["n"] == 1
    assert await again.responses.events(ALICE, "resp_1") == []
    await again.aclose()


async def test_events_that_are_lost_or_cut_are_none(engine: Stores, data_dir: Path) -> None:
    path = data_dir / "responses" / ALICE.user / "resp_1.events"
    await engine.responses.save(ALICE, record(), FRAMES)
    path.write_bytes(path.read_bytes()[:-20])
    assert await engine.responses.events(ALICE, "resp_1") == []
    path.unlink()
    assert await engine.responses.events(ALICE, "resp_1") == []


@each_damage
async def test_st_3_damaged_response_is_set_aside_and_the_others_work(
    engine: Stores, data_dir: Path, damage: Callable[[Path], None]
) -> None:
    await engine.responses.save(ALICE, record("resp_bad"), FRAMES)
    await engine.responses.save(ALICE, record("resp_good"), FRAMES)
    damage(data_dir / "responses" / ALICE.user / "resp_bad.json")
    assert set(await engine.responses.find_items(ALICE, ["in_resp_bad", "in_resp_good"])) == {"in_resp_good"}
    with pytest.raises(NotFound):
        await engine.responses.get(ALICE, "resp_bad")
    assert (await engine.responses.get(ALICE, "resp_good"))["id"] == "resp_good"
    assert len(engine.damaged()) == 1


async def test_the_first_line_is_enough_to_look_through(engine: Stores, data_dir: Path) -> None:
    await engine.responses.save(ALICE, record(), FRAMES)
    path = data_dir / "responses" / ALICE.user / "resp_1.json"
    first = path.read_bytes().split(b"\n")[0]
    assert json.loads(first.removesuffix(b",") + b"}")["row"]["items"] == ["in_resp_1", "out_resp_1"]
    assert json.loads(path.read_bytes())["response"]["event_numbers"] == [[0, 2], [5, 6]]
    assert path.stat().st_mode & 0o777 == 0o600


CALLS: dict[str, Call] = {
    "get": lambda s, o, i: s.responses.get(o, i),
    "events": lambda s, o, i: s.responses.events(o, i),
    "update": lambda s, o, i: s.responses.update(o, record(i)),
    "delete": lambda s, o, i: s.responses.delete(o, i),
    "conversations.get": lambda s, o, i: s.item_conversations.get(o, i),
    "conversations.items": lambda s, o, i: s.item_conversations.items(o, i),
    "conversations.set_metadata": lambda s, o, i: s.item_conversations.set_metadata(o, i, {}),
    "conversations.append": lambda s, o, i: s.item_conversations.append(o, i, [item("x")]),
    "conversations.remove_item": lambda s, o, i: s.item_conversations.remove_item(o, i, "in_1"),
    "conversations.delete": lambda s, o, i: s.item_conversations.delete(o, i),
}


@pytest.mark.parametrize("stranger", [BOB, ALICE_ELSEWHERE], ids=["same-tenant", "same-id-other-tenant"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_iso_1_iso_2_strangers_id_is_like_a_missing_one(stores: Stores, call: Call, stranger: Any) -> None:
    await stores.responses.save(ALICE, record(), FRAMES)
    conversation = (await stores.item_conversations.create(ALICE, {}, [item("in_1")]))["id"]
    of_alice = conversation if call in list(CALLS.values())[4:] else "resp_1"
    with pytest.raises(NotFound) as foreign:
        await call(stores, stranger, of_alice)
    with pytest.raises(NotFound) as missing:
        await call(stores, stranger, "resp_missing")
    assert vars(foreign.value) == vars(missing.value)
    assert len(await stores.item_conversations.items(ALICE, conversation)) == 1
    assert await stores.responses.events(ALICE, "resp_1") == FRAMES


@pytest.mark.parametrize("bad", ["", "..", "a/b", "../resp_1", "a" * 65, "resp_1.json", "a\x00"])
async def test_fs_1_ids_that_are_no_ids_are_not_found(stores: Stores, bad: str) -> None:
    for call in CALLS.values():
        with pytest.raises(NotFound):
            await call(stores, ALICE, bad)
    with pytest.raises(NotFound):
        await stores.responses.save(ALICE, record(bad))
