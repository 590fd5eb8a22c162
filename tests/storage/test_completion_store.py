from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from backend.models.errors import InvalidRequest, NotFound
from backend.storage.json_files import completions as json_completions
from backend.storage.stores import Stores
from backend.utils.ids import timed_id
from tests.storage.samples import ALICE, ALICE_ELSEWHERE, BOB

MESSAGES = [{"role": "user", "content": 'say "hi"\n', "name": None, "content_parts": None}, {"role": "tool"}]


def completion(second: int, **more: Any) -> dict[str, Any]:
    """One that was made at this second."""
    made = timed_id("chatcmpl-", float(second))
    return {"id": made, "created": second, "model": "m", "metadata": {}, "session_id": None, **more}


async def ids(stores: Stores, **how: Any) -> list[str]:
    return [one["id"] for one in (await stores.completions.list_completions(ALICE, **how))[0]]


async def test_kept_completion_comes_back_with_its_messages(stores: Stores) -> None:
    made = completion(5, choices=[{"message": {"content": 'ü\n"messages":['}}], usage={"total_tokens": 3})
    await stores.completions.save(ALICE, made, MESSAGES)
    assert await stores.completions.get(ALICE, made["id"]) == made
    assert await stores.completions.messages(ALICE, made["id"]) == MESSAGES


async def test_pages_follow_the_time_of_making_both_ways(stores: Stores) -> None:
    made = [completion(second) for second in (3, 1, 4, 2)]
    for each in made:
        await stores.completions.save(ALICE, each)
    oldest = [made[1]["id"], made[3]["id"], made[0]["id"], made[2]["id"]]
    assert await ids(stores) == oldest
    assert await ids(stores, newest_first=True) == oldest[::-1]
    page, more = await stores.completions.list_completions(ALICE, limit=2, after=oldest[0])
    assert ([one["id"] for one in page], more) == (oldest[1:3], True)
    page, more = await stores.completions.list_completions(ALICE, limit=2, after=oldest[1])
    assert ([one["id"] for one in page], more) == (oldest[2:], False)
    assert await ids(stores, newest_first=True, after=oldest[1]) == oldest[:1]


async def test_a_cursor_keeps_its_place_when_its_completion_is_deleted(stores: Stores) -> None:
    made = [completion(second) for second in range(1, 4)]
    for each in made:
        await stores.completions.save(ALICE, each)
    await stores.completions.delete(ALICE, made[1]["id"])
    assert await ids(stores, after=made[1]["id"]) == [made[2]["id"]]
    with pytest.raises(InvalidRequest) as caught:
        await ids(stores, after="chatcmpl-nonsense")
    assert caught.value.param == "after"


async def test_lists_are_filtered_by_model_and_by_every_pair_of_metadata(stores: Stores) -> None:
    made = [
        completion(1, model="a", metadata={"team": "x", "kind": "q"}),
        completion(2, model="b", metadata={"team": "x"}),
        completion(3, model="a", metadata={"team": "y"}),
    ]
    for each in made:
        await stores.completions.save(ALICE, each)
    assert await ids(stores, model="a") == [made[0]["id"], made[2]["id"]]
    assert await ids(stores, metadata={"team": "x"}) == [made[0]["id"], made[1]["id"]]
    assert await ids(stores, metadata={"team": "x", "kind": "q"}) == [made[0]["id"]]
    assert await ids(stores, model="c") == []
    assert (await stores.completions.list_completions(ALICE, model="a", limit=1))[1] is True


async def test_metadata_is_replaced_and_nothing_else_changes(stores: Stores) -> None:
    made = completion(1, metadata={"old": "1"}, choices=[1])
    await stores.completions.save(ALICE, made, MESSAGES)
    changed = await stores.completions.set_metadata(ALICE, made["id"], {"new": "2"})
    assert changed == {**made, "metadata": {"new": "2"}} == await stores.completions.get(ALICE, made["id"])
    assert await stores.completions.messages(ALICE, made["id"]) == MESSAGES
    assert await ids(stores, metadata={"new": "2"}) == [made["id"]]


async def test_deleting_of_a_conversation_takes_its_completions_and_no_others(stores: Stores) -> None:
    mine, other = completion(1, session_id="conv-1"), completion(2, session_id="conv-2")
    for each in (mine, other):
        await stores.completions.save(ALICE, each)
    await stores.completions.save(BOB, mine)
    await stores.completions.delete_of_session(ALICE, "conv-1")
    await stores.completions.delete_of_session(ALICE_ELSEWHERE, "conv-2")
    assert await ids(stores) == [other["id"]]
    assert (await stores.completions.get(BOB, mine["id"]))["id"] == mine["id"]


@pytest.mark.parametrize("stranger", [BOB, ALICE_ELSEWHERE], ids=["same-tenant", "other-tenant"])
async def test_iso_1_iso_2_strangers_completion_is_like_a_missing_one(stores: Stores, stranger: Any) -> None:
    made = completion(1)
    await stores.completions.save(ALICE, made, MESSAGES)
    errors = []
    for completion_id in (made["id"], timed_id("chatcmpl-", 2.0)):
        for attempt in (
            stores.completions.get(stranger, completion_id),
            stores.completions.messages(stranger, completion_id),
            stores.completions.set_metadata(stranger, completion_id, {}),
            stores.completions.delete(stranger, completion_id),
        ):
            with pytest.raises(NotFound) as caught:
                await attempt
            errors.append(vars(caught.value))
    assert all(error == errors[0] for error in errors)
    assert await stores.completions.list_completions(stranger) == ([], False)
    assert await stores.completions.get(ALICE, made["id"]) == made


@pytest.mark.parametrize("bad", ["", "..", "a/b", "../x", "a" * 65, "x.json", "a\x00"])
async def test_fs_1_completion_ids_that_are_no_ids_are_not_found(stores: Stores, bad: str) -> None:
    for attempt in (
        stores.completions.get(ALICE, bad),
        stores.completions.messages(ALICE, bad),
        stores.completions.set_metadata(ALICE, bad, {}),
        stores.completions.delete(ALICE, bad),
        stores.completions.save(ALICE, {"id": bad}),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_up_5_oldest_completions_make_room(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_completions, "MAX_COMPLETIONS", 3)
    monkeypatch.setattr("tests.fakes.completions.MAX_COMPLETIONS", 3)
    made = [completion(second) for second in range(1, 6)]
    for each in made:
        await stores.completions.save(ALICE, each)
    assert await ids(stores) == [one["id"] for one in made[2:]]


async def test_up_5_completions_have_a_bound_in_bytes(engine: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_completions, "MAX_OWNER_BYTES", 5_000)
    made = [completion(second, choices=["x" * 2_000]) for second in range(1, 5)]
    for each in made:
        await engine.completions.save(ALICE, each)
    assert await ids(engine) == [one["id"] for one in made[2:]]


@pytest.mark.parametrize("damage", [b"", b"{", b"\x00\xff", b"[]", b'{"completion":{"id":"x"},"messages":[]}'])
async def test_st_3_damaged_completion_is_set_aside_alone(engine: Stores, data_dir: Path, damage: bytes) -> None:
    good, bad = completion(1), completion(2)
    for each in (good, bad):
        await engine.completions.save(ALICE, each)
    (data_dir / "completions" / ALICE.user / f"{bad['id']}.json").write_bytes(damage)
    assert await ids(engine) == [good["id"]]
    with pytest.raises(NotFound):
        await engine.completions.get(ALICE, bad["id"])
    assert len(engine.damaged()) == 1


async def test_file_is_json_that_a_person_can_read(engine: Stores, data_dir: Path) -> None:
    made = completion(1)
    await engine.completions.save(ALICE, made, MESSAGES)
    found = json.loads((data_dir / "completions" / ALICE.user / f"{made['id']}.json").read_text())
    assert found["row"]["id"] == found["completion"]["id"] == made["id"] and found["messages"] == MESSAGES
