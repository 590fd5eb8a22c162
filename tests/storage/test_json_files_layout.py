"""What stands in the data folder, under which names and modes, and what a start does to it."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.models.documents import PageText
from backend.models.errors import NotFound, SettingsError
from backend.models.run import SERVER
from backend.storage import json_files
from backend.storage.json_files.atomic import open_temporary
from backend.storage.stores import Stores
from tests.storage.samples import ALICE, ALICE_ELSEWHERE, api_key, refresh_token, said, settings_for, stored, upload


async def fill(stores: Stores) -> tuple[str, str]:
    user = await stores.users.add_user(SERVER, "alice", "hash", "user")
    await stores.users.add_key(SERVER, api_key(user.id))
    await stores.sessions.add_refresh(ALICE, refresh_token(ALICE.user, "rt-1"))
    info = await stores.conversations.create(ALICE, "title")
    await stores.conversations.append(ALICE, info.session_id, stored("hello", "hi"))
    document = await upload(stores, ALICE, b"data", "evil\n../name.txt")
    await stores.documents.save_pages(ALICE, document.file_id, [PageText(1, "text")])
    await stores.runs.save(ALICE, {"run_id": "run-1", "created_at": 1.0, "steps": []})
    return info.session_id, document.file_id


def visible(data_dir: Path) -> set[str]:
    return {
        path.relative_to(data_dir).as_posix()
        for path in data_dir.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


async def test_every_thing_has_its_place(engine: Stores, data_dir: Path) -> None:
    session_id, file_id = await fill(engine)
    assert visible(data_dir) == {
        "users/users.json",
        "sessions/sessions.json",
        f"conversations/{ALICE.user}/{session_id}.jsonl",
        f"uploads/{ALICE.user}/{file_id}",
        f"uploads/{ALICE.user}/{file_id}.json",
        f"uploads/{ALICE.user}/{file_id}.text.jsonl",
        f"runs/{ALICE.user}/run-1.json",
    }


async def test_another_tenant_has_a_folder_of_its_own(engine: Stores, data_dir: Path) -> None:
    info = await engine.conversations.create(ALICE_ELSEWHERE, "t")
    assert visible(data_dir) == {f"conversations/acme/{ALICE.user}/{info.session_id}.jsonl"}
    await upload(engine, ALICE_ELSEWHERE, b"x")
    assert [owner for owner, _ in await engine.documents.unfinished(SERVER)] == [ALICE_ELSEWHERE]


async def test_conversation_file_is_a_header_and_then_messages_a_person_can_read(
    engine: Stores, data_dir: Path
) -> None:
    info = await engine.conversations.create(ALICE, "Ferien")
    await engine.conversations.append(ALICE, info.session_id, [said("user", "Grüße", run_id="run-1")])
    text = (data_dir / "conversations" / ALICE.user / f"{info.session_id}.jsonl").read_text(encoding="utf-8")
    header, message = (json.loads(line) for line in text.splitlines())
    assert {
        "type": "conversation",
        "version": 1,
        "session_id": info.session_id,
        "title": "Ferien",
    }.items() <= header.items()
    assert {"role": "user", "content": "Grüße", "extra": {"run_id": "run-1"}}.items() <= message.items()
    assert "Grüße" in text and "timestamp" in message


async def test_fs_2_folders_are_0700_and_files_0600_whatever_the_umask(data_dir: Path) -> None:
    before = os.umask(0)
    try:
        stores = json_files.create(settings_for(data_dir))
        await fill(stores)
        await stores.aclose()
    finally:
        os.umask(before)
    for path in [data_dir, *data_dir.rglob("*")]:
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


async def test_fs_2_existing_data_folder_is_closed_to_others(data_dir: Path) -> None:
    data_dir.mkdir(mode=0o755)
    stores = json_files.create(settings_for(data_dir))
    await stores.aclose()
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700


def test_data_dir_that_is_a_file_stops_the_start_with_one_line(data_dir: Path) -> None:
    data_dir.write_text("not a folder")
    with pytest.raises(SettingsError) as error:
        json_files.create(settings_for(data_dir))
    assert "DATA_DIR" in error.value.message and "\n" not in error.value.message


async def test_auth_6_and_auth_7_no_secret_is_in_the_files(engine: Stores, data_dir: Path) -> None:
    await fill(engine)
    everything = b"".join(path.read_bytes() for path in data_dir.rglob("*") if path.is_file())
    assert b"sk-abc" not in everything.replace(b'"prefix": "sk-abc"', b"")
    assert b"rt-1" not in everything


@pytest.mark.parametrize("where", ["folder", "file"])
async def test_fs_1_links_planted_in_the_data_folder_lead_nowhere(
    engine: Stores, data_dir: Path, tmp_path: Path, where: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    info = await engine.conversations.create(ALICE, "t")
    folder = data_dir / "conversations" / ALICE.user
    target = outside / f"{info.session_id}.jsonl"
    (folder / target.name).rename(target)
    content = target.read_bytes()
    if where == "folder":
        for left in folder.iterdir():
            left.unlink()
        folder.rmdir()
        folder.symlink_to(outside)
    else:
        (folder / target.name).symlink_to(target)
    for attempt in (
        engine.conversations.get(ALICE, info.session_id),
        engine.conversations.append(ALICE, info.session_id, stored("x")),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert target.read_bytes() == content


async def test_append_adds_to_the_file_and_rewrites_nothing_however_long_it_is(engine: Stores, data_dir: Path) -> None:
    info = await engine.conversations.create(ALICE, "long")
    path = data_dir / "conversations" / ALICE.user / f"{info.session_id}.jsonl"
    growths = []
    for count in (10, 9_980):
        await engine.conversations.append(ALICE, info.session_id, stored(*(f"message {i:05}" for i in range(count))))
        before = path.stat()
        await engine.conversations.append(ALICE, info.session_id, [said("user", "one more message")])
        after = path.stat()
        assert after.st_ino == before.st_ino
        growths.append(after.st_size - before.st_size)
    assert abs(growths[1] - growths[0]) < 20
    assert (await engine.conversations.info(ALICE, info.session_id)).messages == 9_992


async def test_append_to_a_known_conversation_reads_nothing(engine: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    info = await engine.conversations.create(ALICE, "t")
    await engine.conversations.append(ALICE, info.session_id, stored("hello"))
    reads = []
    monkeypatch.setattr(os, "pread", lambda *arguments: reads.append(arguments))
    await engine.conversations.append(ALICE, info.session_id, stored("again"))
    assert reads == []


async def test_tail_of_a_long_conversation_reads_only_its_end(engine: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    info = await engine.conversations.create(ALICE, "t")
    await engine.conversations.append(ALICE, info.session_id, stored(*("x" * 400 for _ in range(5000))))
    real, sizes = os.pread, []

    def counting(handle: int, size: int, offset: int) -> bytes:
        sizes.append(size)
        return real(handle, size, offset)

    monkeypatch.setattr(os, "pread", counting)
    assert len(await engine.conversations.tail(ALICE, info.session_id, 10)) == 10
    assert sum(sizes) < 40_000


async def test_st_1_start_removes_temporary_files_but_not_those_in_use(engine: Stores, data_dir: Path) -> None:
    await fill(engine)
    folders = [data_dir / "users", data_dir / "conversations" / ALICE.user, data_dir / "uploads" / ALICE.user]
    for folder in folders:
        (folder / ".0123456789abcdef.tmp").write_text("half")
    handle, in_use = open_temporary(data_dir / "uploads" / ALICE.user)
    second = json_files.create(settings_for(data_dir))
    await second.aclose()
    assert in_use.exists()
    assert list(data_dir.rglob("*.tmp")) == [in_use]
    os.close(handle)


async def test_cancelled_upload_leaves_nothing(engine: Stores, data_dir: Path) -> None:
    started = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 300_000
            started.set()

    task = asyncio.create_task(engine.documents.receive(ALICE, "x.txt", endless(), 10**12))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert visible(data_dir) == set()
    assert not list(data_dir.rglob("*.tmp"))


async def test_cancelled_append_leaves_a_whole_file(engine: Stores) -> None:
    info = await engine.conversations.create(ALICE, "t")
    for i in range(30):
        task = asyncio.create_task(engine.conversations.append(ALICE, info.session_id, stored(f"message {i}")))
        for _ in range(i % 4):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await engine.conversations.append(ALICE, info.session_id, stored("last"))
    conversation = await engine.conversations.get(ALICE, info.session_id)
    assert conversation.messages[-1].content == "last"
    assert conversation.info.messages == len(conversation.messages)
    assert engine.damaged() == []


async def test_last_use_of_keys_is_written_lazily_and_at_the_end(data_dir: Path) -> None:
    stores = json_files.create(settings_for(data_dir))
    user = await stores.users.add_user(SERVER, "alice", "hash", "user")
    key = api_key(user.id)
    await stores.users.add_key(SERVER, key)
    inodes = set()
    for _ in range(50):
        found = await stores.users.user_of_key(SERVER, key.key_hash)
        await asyncio.sleep(0.001)
        inodes.add((data_dir / "users" / "users.json").stat().st_ino)
    assert found is not None and len(inodes) <= 2, "at most one write a minute"
    (listed,) = await stores.users.list_keys(SERVER)
    await stores.aclose()
    again = json_files.create(settings_for(data_dir))
    assert await again.users.list_keys(SERVER) == [listed]
    await again.aclose()


async def test_expired_revocations_and_refresh_tokens_are_pruned(engine: Stores, data_dir: Path) -> None:
    await engine.sessions.revoke_token(ALICE, "jti-old", 1.0)
    await engine.sessions.add_refresh(ALICE, refresh_token(ALICE.user, "rt-old", seconds=-5))
    await engine.sessions.revoke_token(ALICE, "jti-new", 4e9)
    kept = json.loads((data_dir / "sessions" / "sessions.json").read_text())
    assert [one["token_id"] for one in kept["revoked"]] == ["jti-new"]
    assert kept["refresh"] == []
