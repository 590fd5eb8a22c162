"""ST-2 and ST-3: what is damaged is set aside and reported, everything else goes on, nothing is lost silently."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backend.models.documents import PageText
from backend.models.errors import NotFound, StorageFailed
from backend.models.messages import Message
from backend.models.run import SERVER
from backend.storage import json_files
from backend.storage.stores import Stores
from tests.storage.samples import ALICE, api_key, refresh_token, said, settings_for, stored, turns, upload

Damage = Callable[[Path], None]


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("x")


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES: dict[str, Damage] = {
    "empty": lambda path: path.write_bytes(b""),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 20),
    "zeros": lambda path: path.write_bytes(b"\0" * 4096),
    "not-json": lambda path: path.write_text("{ not json\n"),
    "other-json": lambda path: path.write_text('["something", "else"]\n'),
    "other-object": lambda path: path.write_text('{"something": "else"}\n'),
    "deep-json": lambda path: path.write_text("[" * 100_000 + "\n"),
    "a-folder": _folder,
    "a-link": _link,
    "a-pipe": _pipe,
}

each_damage = pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)


def set_aside(data_dir: Path) -> list[str]:
    return sorted(
        path.relative_to(data_dir).as_posix()
        for path in data_dir.rglob("*")
        if ".damaged-" in path.name or ".corrupt-" in path.name
    )


@each_damage
async def test_st_3_damaged_conversation_is_set_aside_and_the_others_work(
    engine: Stores, data_dir: Path, damage: Damage
) -> None:
    bad = await engine.conversations.create(ALICE, "bad")
    good = await engine.conversations.create(ALICE, "good")
    await engine.conversations.append(ALICE, good.session_id, stored("hello", "hi"))
    damage(data_dir / "conversations" / ALICE.user / f"{bad.session_id}.jsonl")

    again = json_files.create(settings_for(data_dir))
    listed, total = await again.conversations.list_conversations(ALICE)
    assert ([one.title for one in listed], total) == (["good"], 1)
    assert await again.conversations.find_by_history(ALICE, turns("hello", "hi")) == good.session_id
    with pytest.raises(NotFound):
        await again.conversations.get(ALICE, bad.session_id)
    assert again.damaged() == set_aside(data_dir) and len(again.damaged()) == 1
    await again.aclose()

    for attempt in (
        engine.conversations.append(ALICE, bad.session_id, stored("x")),
        engine.conversations.tail(ALICE, bad.session_id, 3),
        engine.conversations.info(ALICE, bad.session_id),
    ):
        with pytest.raises(NotFound):
            await attempt


@each_damage
async def test_st_3_damaged_accounts_are_set_aside_and_the_server_starts(
    engine: Stores, data_dir: Path, damage: Damage
) -> None:
    user = await engine.users.add_user(SERVER, "alice", "hash", "user")
    await engine.users.add_key(SERVER, api_key(user.id))
    damage(data_dir / "users" / "users.json")
    again = json_files.create(settings_for(data_dir))
    assert await again.users.list_users(SERVER) == []
    assert await again.users.user_of_key(SERVER, api_key(user.id).key_hash) is None
    assert len(again.damaged()) == 1 and again.damaged() == set_aside(data_dir)
    assert (await again.users.add_user(SERVER, "alice", "hash", "user")).id != user.id
    await again.aclose()


@each_damage
async def test_st_3_damaged_sessions_are_set_aside_and_new_ones_are_kept(
    engine: Stores, data_dir: Path, damage: Damage
) -> None:
    await engine.sessions.add_refresh(ALICE, refresh_token(ALICE.user, "rt-1"))
    damage(data_dir / "sessions" / "sessions.json")
    assert not await engine.sessions.is_revoked(ALICE, "jti-1")
    await engine.sessions.revoke_token(ALICE, "jti-1", 4e9)
    assert await engine.sessions.is_revoked(ALICE, "jti-1")
    assert len(set_aside(data_dir)) == 1


@each_damage
async def test_st_3_damaged_metadata_hides_one_document_only(engine: Stores, data_dir: Path, damage: Damage) -> None:
    bad = await upload(engine, ALICE, b"bad")
    good = await upload(engine, ALICE, b"good")
    damage(data_dir / "uploads" / ALICE.user / f"{bad.file_id}.json")
    again = json_files.create(settings_for(data_dir))
    assert await again.documents.list_documents(ALICE) == ([good], 1)
    with pytest.raises(NotFound):
        await again.documents.get(ALICE, bad.file_id)
    assert len(set_aside(data_dir)) == 1
    third = json_files.create(settings_for(data_dir))
    assert third.damaged() == set_aside(data_dir)
    assert (data_dir / "uploads" / ALICE.user / bad.file_id).read_bytes() == b"bad", "the bytes can still be rescued"
    await again.aclose()
    await third.aclose()


@each_damage
async def test_st_3_damaged_pages_hide_the_text_and_not_the_document(
    engine: Stores, data_dir: Path, damage: Damage
) -> None:
    document = await upload(engine, ALICE, b"data")
    await engine.documents.save_pages(ALICE, document.file_id, [PageText(1, "text")])
    damage(data_dir / "uploads" / ALICE.user / f"{document.file_id}.text.jsonl")
    with pytest.raises(NotFound):
        await engine.documents.page_text(ALICE, document.file_id, 1)
    assert await engine.documents.get(ALICE, document.file_id) == document
    await engine.documents.save_pages(ALICE, document.file_id, [PageText(1, "again")])
    assert (await engine.documents.page_text(ALICE, document.file_id, 1)).text == "again"


@each_damage
async def test_st_3_damaged_trace_hides_one_run_only(engine: Stores, data_dir: Path, damage: Damage) -> None:
    for run_id in ("run-1", "run-2"):
        await engine.runs.save(ALICE, {"run_id": run_id, "created_at": 1.0, "steps": []})
    damage(data_dir / "runs" / ALICE.user / "run-1.json")
    listed, total = await engine.runs.list_runs(ALICE)
    assert ([one["run_id"] for one in listed], total) == (["run-2"], 1)
    with pytest.raises(NotFound):
        await engine.runs.get(ALICE, "run-1")
    assert engine.damaged() == set_aside(data_dir) and len(engine.damaged()) == 1


async def conversation(engine: Stores, data_dir: Path, *texts: str) -> tuple[str, Path]:
    info = await engine.conversations.create(ALICE, "title")
    await engine.conversations.append(ALICE, info.session_id, stored(*texts))
    return info.session_id, data_dir / "conversations" / ALICE.user / f"{info.session_id}.jsonl"


@pytest.mark.parametrize("cut", [1, 2, 10, 100, 200])
async def test_st_2_torn_last_line_is_cut_off_by_the_next_writer(engine: Stores, data_dir: Path, cut: int) -> None:
    session_id, path = await conversation(engine, data_dir, "one", "two", "three")
    whole = path.read_bytes()
    assert cut < len(whole.splitlines()[-1]), "the cut stays inside the last line"
    path.write_bytes(whole[:-cut])
    again = json_files.create(settings_for(data_dir))
    assert [m.content for m in (await again.conversations.get(ALICE, session_id)).messages] == ["one", "two"]
    assert [m.content for m in await again.conversations.tail(ALICE, session_id, 9)] == ["one", "two"]
    assert path.read_bytes() == whole[:-cut], "a reader leaves it: a writer may be in the middle of it"
    await again.conversations.append(ALICE, session_id, [said("user", "four")])
    assert [m.content for m in (await again.conversations.get(ALICE, session_id)).messages] == ["one", "two", "four"]
    assert all(json.loads(line) for line in path.read_text().splitlines())
    assert again.damaged() == []
    await again.aclose()


async def test_st_2_torn_line_is_cut_off_by_a_writer_who_knew_the_file_before(engine: Stores, data_dir: Path) -> None:
    session_id, path = await conversation(engine, data_dir, "one", "two")
    with path.open("ab") as file:
        file.write(b'{"role":"user","content":"thr')
    assert (await engine.conversations.info(ALICE, session_id)).messages == 2
    await engine.conversations.append(ALICE, session_id, [said("user", "three")])
    messages = (await engine.conversations.get(ALICE, session_id)).messages
    assert [m.content for m in messages] == ["one", "two", "three"]


BROKEN_LINES = {
    "flipped-letter": lambda raw: raw.replace(b"two", b"tvo"),
    "zeros": lambda raw: b"\0" * len(raw),
    "not-utf-8": lambda raw: raw.replace(b"two", b"\xff\xfe\xfd"),
    "half": lambda raw: raw[: len(raw) // 2],
    "two-in-one": lambda raw: raw + raw,
    "other-object": lambda raw: b'{"role":"wizard","content":"two","timestamp":1}',
    "no-content": lambda raw: b'{"role":"user","timestamp":1}',
}


@pytest.mark.parametrize("position", ["middle", "last"])
@pytest.mark.parametrize("broken", BROKEN_LINES.values(), ids=BROKEN_LINES)
async def test_st_2_bad_line_is_copied_aside_and_skipped(
    engine: Stores, data_dir: Path, broken: Callable[[bytes], bytes], position: str
) -> None:
    texts = ["one", "two", "three"] if position == "middle" else ["one", "three", "two"]
    session_id, path = await conversation(engine, data_dir, *texts)
    lines = path.read_bytes().split(b"\n")
    number = 1 + texts.index("two")
    lines[number] = broken(lines[number])
    path.write_bytes(b"\n".join(lines))

    again = json_files.create(settings_for(data_dir))
    found = await again.conversations.get(ALICE, session_id)
    assert ([m.content for m in found.messages], found.info.messages) == (["one", "three"], 2)
    (kept,) = again.damaged()
    assert ".corrupt-" in kept and (data_dir / kept).read_bytes() == lines[number] + b"\n"
    await again.conversations.append(ALICE, session_id, [said("user", "four")])
    assert [m.content for m in await again.conversations.tail(ALICE, session_id, 2)] == ["three", "four"]
    assert len(set_aside(data_dir)) == 1, "copied once"
    whole = await again.conversations.get(ALICE, session_id)
    history = [Message(message.role, message.content) for message in whole.messages]
    assert await again.conversations.find_by_history(ALICE, history) == session_id
    await again.aclose()


async def test_st_2_tail_and_search_survive_a_bad_line_too(engine: Stores, data_dir: Path) -> None:
    session_id, path = await conversation(engine, data_dir, "one", "two", "three")
    path.write_bytes(path.read_bytes().replace(b"two", b"tvo"))
    assert [m.content for m in await engine.conversations.tail(ALICE, session_id, 3)] == ["one", "three"]
    assert (await engine.conversations.list_conversations(ALICE, query="three"))[1] == 1


async def test_st_3_lost_header_is_made_again_from_the_messages(engine: Stores, data_dir: Path) -> None:
    session_id, path = await conversation(engine, data_dir, "what is up", "not much")
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([b"garbage", *lines[1:]]))
    found = await engine.conversations.get(ALICE, session_id)
    assert (found.info.title, found.info.messages) == ("what is up", 2)
    assert len(engine.damaged()) == 1


async def test_title_survives_mending(engine: Stores, data_dir: Path) -> None:
    session_id, path = await conversation(engine, data_dir, "one", "two", "three")
    await engine.conversations.rename(ALICE, session_id, "new title")
    await engine.conversations.append(ALICE, session_id, stored("four"))
    path.write_bytes(path.read_bytes().replace(b"two", b"tvo"))
    assert (await engine.conversations.get(ALICE, session_id)).info.title == "new title"


async def test_line_that_a_person_edited_and_left_without_checksum_is_taken(engine: Stores, data_dir: Path) -> None:
    session_id, path = await conversation(engine, data_dir, "one", "two")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[1]["content"] = "edited"
    del lines[1]["check"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [m.content for m in (await engine.conversations.get(ALICE, session_id)).messages] == ["edited", "two"]
    assert engine.damaged() == []


async def test_deleting_removes_what_was_set_aside_too(engine: Stores, data_dir: Path) -> None:
    session_id, path = await conversation(engine, data_dir, "one", "two", "three")
    path.write_bytes(path.read_bytes().replace(b"two", b"tvo"))
    await engine.conversations.get(ALICE, session_id)
    assert len(set_aside(data_dir)) == 1
    await engine.conversations.delete(ALICE, session_id)
    assert set_aside(data_dir) == [] and engine.damaged() == []


async def test_st_3_one_bad_account_is_kept_aside_and_the_others_work(engine: Stores, data_dir: Path) -> None:
    await engine.users.add_user(SERVER, "alice", "hash", "user")
    await engine.users.add_user(SERVER, "bob", "hash", "user")
    path = data_dir / "users" / "users.json"
    data = json.loads(path.read_text())
    del data["users"][0]["password_hash"]
    path.write_text(json.dumps(data))
    assert [user.username for user in await engine.users.list_users(SERVER)] == ["bob"]
    (kept,) = engine.damaged()
    assert json.loads((data_dir / kept).read_text()) == data
    assert [user["username"] for user in json.loads(path.read_text())["users"]] == ["bob"]


async def test_files_of_a_newer_version_are_left_alone(engine: Stores, data_dir: Path) -> None:
    session_id, path = await conversation(engine, data_dir, "one")
    newer = path.read_text().replace('"version":1', '"version":2').splitlines()
    path.write_text("\n".join([newer[0].split(',"check"')[0] + "}", *newer[1:]]) + "\n")
    before = path.read_bytes()
    with pytest.raises(StorageFailed):
        await engine.conversations.get(ALICE, session_id)
    assert await engine.conversations.list_conversations(ALICE) == ([], 0)
    await engine.users.add_user(SERVER, "alice", "hash", "user")
    users = data_dir / "users" / "users.json"
    users.write_text(users.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(StorageFailed):
        await engine.users.list_users(SERVER)
    assert path.read_bytes() == before and set_aside(data_dir) == []


async def test_bytes_without_metadata_are_set_aside_at_the_start(engine: Stores, data_dir: Path) -> None:
    document = await upload(engine, ALICE, b"data")
    (data_dir / "uploads" / ALICE.user / f"{document.file_id}.json").unlink()
    again = json_files.create(settings_for(data_dir))
    (kept,) = again.damaged()
    assert (data_dir / kept).read_bytes() == b"data"
    await again.aclose()


async def test_reported_damage_vanishes_when_the_operator_removes_it(engine: Stores, data_dir: Path) -> None:
    await engine.runs.save(ALICE, {"run_id": "run-1"})
    (data_dir / "runs" / ALICE.user / "run-1.json").write_text("x")
    await engine.runs.list_runs(ALICE)
    (kept,) = engine.damaged()
    (data_dir / kept).unlink()
    assert engine.damaged() == []
