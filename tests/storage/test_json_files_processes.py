"""Several processes on one folder, and processes that are killed in the middle of anything."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from backend.models.errors import NotFound
from backend.models.messages import Message
from backend.models.run import SERVER
from backend.storage import json_files
from backend.storage.stores import Stores
from backend.utils.ids import new_id
from tests.storage.samples import ALICE, api_key, refresh_token, settings_for, stored, turns, upload

PROJECT = Path(__file__).resolve().parents[2]
KILL_ROUNDS = int(os.environ.get("HEARTH_KILL_ROUNDS", "6"))


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.storage.writer", *arguments, cwd=PROJECT, stdout=asyncio.subprocess.PIPE
    )


async def output(process: asyncio.subprocess.Process) -> list[list[str]]:
    out, _ = await process.communicate()
    complete = out.decode().split("\n")[:-1]
    return [line.split(" ") for line in complete]


@pytest.fixture
async def other(engine: Stores, data_dir: Path) -> AsyncIterator[Stores]:
    """A second engine on the folder of the first, with caches and locks of its own, as another process has."""
    stores = json_files.create(settings_for(data_dir))
    yield stores
    await stores.aclose()


async def test_st_4_conversations_written_by_another_process_are_seen_at_once(engine: Stores, other: Stores) -> None:
    for number in range(25):
        before = (await other.conversations.list_conversations(ALICE))[1]
        info = await engine.conversations.create(ALICE, f"c{number}")
        assert (await other.conversations.list_conversations(ALICE))[1] == before + 1
        await engine.conversations.append(ALICE, info.session_id, stored(f"hello {number}", "hi"))
        history = turns(f"hello {number}", "hi")
        assert await other.conversations.find_by_history(ALICE, history) == info.session_id
        await other.conversations.append(ALICE, info.session_id, stored("and"))
        assert (await engine.conversations.info(ALICE, info.session_id)).messages == 3
        assert await engine.conversations.find_by_history(ALICE, history) is None
        await engine.conversations.rename(ALICE, info.session_id, "renamed")
        assert (await other.conversations.list_conversations(ALICE))[0][0].title == "renamed"
        if number % 2:
            await other.conversations.delete(ALICE, info.session_id)
            assert (await engine.conversations.list_conversations(ALICE))[1] == before
            with pytest.raises(NotFound):
                await engine.conversations.append(ALICE, info.session_id, stored("x"))


async def test_st_4_accounts_and_keys_changed_by_another_process_count_at_once(engine: Stores, other: Stores) -> None:
    user = await engine.users.add_user(SERVER, "alice", "hash", "user")
    for number in range(25):
        key = api_key(user.id, f"sk-{number}")
        await engine.users.add_key(SERVER, key)
        assert await other.users.user_of_key(SERVER, key.key_hash) is not None
        await other.users.update_user(SERVER, user.id, disabled=True)
        assert await engine.users.user_of_key(SERVER, key.key_hash) is None
        await other.users.update_user(SERVER, user.id, disabled=False)
        assert await engine.users.user_of_key(SERVER, key.key_hash) is not None
        await engine.users.remove_key(SERVER, key.id)
        assert await other.users.user_of_key(SERVER, key.key_hash) is None


async def test_st_4_auth_4_revocation_in_another_process_counts_at_once(engine: Stores, other: Stores) -> None:
    for number in range(25):
        assert not await other.sessions.is_revoked(ALICE, f"jti-{number}")
        await engine.sessions.revoke_token(ALICE, f"jti-{number}", 4e9)
        assert await other.sessions.is_revoked(ALICE, f"jti-{number}")
    token = refresh_token(ALICE.user, "rt-1")
    await engine.sessions.add_refresh(ALICE, token)
    results = await asyncio.gather(
        *(stores.sessions.spend_refresh(SERVER, token.token_hash) for stores in (engine, other) * 5)
    )
    assert sum(result is not None for result in results) == 1


async def test_st_4_documents_changed_by_another_process_are_seen_at_once(engine: Stores, other: Stores) -> None:
    for number in range(15):
        document = await upload(engine, ALICE, f"data {number}".encode(), f"{number}.txt")
        assert await other.documents.get(ALICE, document.file_id) == document
        for progress in (0.1, 0.2, 0.3):
            await engine.documents.update(ALICE, replace(document, status="processing", progress=progress))
            assert (await other.documents.get(ALICE, document.file_id)).progress == progress
        await other.documents.update(ALICE, replace(document, status="ready"))
        assert await engine.documents.ready_names(ALICE) == (f"{number}.txt",)
        await other.documents.delete(ALICE, document.file_id)
        assert await engine.documents.ready_names(ALICE) == ()


def rewrite_unnoticeably(path: Path, old: bytes, new: bytes, mtime_ns: int) -> None:
    """Change a file so that inode, size and time stay the same, as two changes within one tick of the clock do."""
    before = path.stat()
    data = path.read_bytes()
    assert len(old) == len(new) and old in data
    with path.open("r+b") as file:
        file.write(data.replace(old, new))
    os.utime(path, ns=(mtime_ns, mtime_ns))
    assert (path.stat().st_ino, path.stat().st_size) == (before.st_ino, before.st_size)


async def test_st_4_second_change_within_one_tick_of_the_clock_is_noticed(engine: Stores, data_dir: Path) -> None:
    await engine.users.add_user(SERVER, "alice", "hash", "user")
    document = await upload(engine, ALICE, b"data", "one.txt")
    users = data_dir / "users" / "users.json"
    meta = data_dir / "uploads" / ALICE.user / f"{document.file_id}.json"
    now = time.time_ns() + 500_000_000  # so that "just now" lasts as long as this test
    for path in (users, meta, meta.parent):
        os.utime(path, ns=(now, now))
    assert [user.username for user in await engine.users.list_users(SERVER)] == ["alice"]
    assert (await engine.documents.get(ALICE, document.file_id)).filename == "one.txt"
    rewrite_unnoticeably(users, b"alice", b"alicf", now)
    rewrite_unnoticeably(meta, b"one.txt", b"two.txt", now)
    assert [user.username for user in await engine.users.list_users(SERVER)] == ["alicf"]
    assert (await engine.documents.get(ALICE, document.file_id)).filename == "two.txt"


async def test_files_added_and_removed_by_hand_are_noticed(engine: Stores, data_dir: Path) -> None:
    info = await engine.conversations.create(ALICE, "one")
    assert (await engine.conversations.list_conversations(ALICE))[1] == 1
    path = data_dir / "conversations" / ALICE.user / f"{info.session_id}.jsonl"
    copy = path.with_name(f"{new_id('conv-')}.jsonl")
    copy.write_bytes(path.read_bytes())
    assert (await engine.conversations.list_conversations(ALICE))[1] == 2
    path.unlink()
    listed, _ = await engine.conversations.list_conversations(ALICE)
    assert [one.session_id for one in listed] == [copy.stem]


async def test_st_4_list_of_changes_begins_anew_when_it_is_long(engine: Stores, other: Stores, data_dir: Path) -> None:
    info = await engine.conversations.create(ALICE, "one")
    await other.conversations.list_conversations(ALICE)
    changes = data_dir / "conversations" / ALICE.user / ".changes"
    with changes.open("ab") as file:
        file.write(b"conv-nobody\n" * 30_000)
    await other.conversations.list_conversations(ALICE)
    await engine.conversations.append(ALICE, info.session_id, stored("hello", "hi"))
    assert changes.stat().st_size < 200
    assert await other.conversations.find_by_history(ALICE, turns("hello", "hi")) == info.session_id


@pytest.mark.slow
async def test_st_4_four_processes_append_to_one_conversation_and_lose_nothing(engine: Stores, data_dir: Path) -> None:
    info = await engine.conversations.create(ALICE, "shared")
    processes = [await start("append", str(data_dir), f"p{n}", info.session_id) for n in range(4)]
    for process in processes:
        await output(process)
        assert process.returncode == 0
    conversation = await engine.conversations.get(ALICE, info.session_id)
    said = [message.content for message in conversation.messages]
    assert sorted(said) == sorted(f"p{n}-{number}" for n in range(4) for number in range(25))
    history = [Message(message.role, message.content) for message in conversation.messages]
    assert await engine.conversations.find_by_history(ALICE, history) == info.session_id
    for name in ("p0", "p1", "p2", "p3"):
        mine = [text for text in said if text.startswith(name)]
        assert mine == [f"{name}-{number}" for number in range(25)], "each process's own order is kept"


@pytest.mark.slow
async def test_st_4_four_processes_race_for_one_name_and_the_same_bytes(engine: Stores, data_dir: Path) -> None:
    processes = [await start("race", str(data_dir), f"p{n}") for n in range(4)]
    lines = [line for process in processes for line in await output(process)]
    assert Counter(line[0] for line in lines) == {"ready": 4, "user": 1, "conflict": 3, "document": 4}
    assert len({line[1] for line in lines if line[0] == "document"}) == 1
    assert len(await engine.users.list_users(SERVER)) == 1
    assert (await engine.documents.list_documents(ALICE))[1] == 1


@pytest.mark.slow
async def test_st_5_kernel_refuses_to_write_more_and_then_gives_way(engine: Stores, data_dir: Path) -> None:
    info = await engine.conversations.create(ALICE, "t")
    process = await start("limited", str(data_dir), "p", info.session_id)
    lines = dict((await output(process))[1:])
    full = int(lines["full"])
    assert full > 5
    assert lines == {"full": str(full), "read": str(full), "after": str(full + 1)}
    assert engine.damaged() == []


@pytest.mark.slow
async def test_st_6_kill_9_at_any_moment_loses_nothing_acknowledged(data_dir: Path) -> None:
    """Eight writers (two processes of four), killed together, round after round, on the same folder."""
    chance = random.Random(6)
    stores = json_files.create(settings_for(data_dir))
    shared = (await stores.conversations.create(ALICE, "shared")).session_id
    await stores.aclose()
    said: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for number in range(KILL_ROUNDS):
        processes = [await start("restless", str(data_dir), f"r{number}p{n}", shared) for n in range(2)]
        for process in processes:
            assert process.stdout is not None
            await process.stdout.readline()
        await asyncio.sleep(chance.uniform(0.05, 0.6))
        for process in processes:
            process.kill()
        for process in processes:
            for kind, *words in await output(process):
                said[kind].add(tuple(words))
        stores = json_files.create(settings_for(data_dir))
        await check_everything(stores, shared, said)
        await stores.aclose()
        assert not list(data_dir.rglob("*.tmp"))
    assert len(said["shared"]) > 10 * KILL_ROUNDS and said["deleted"] and said["uploaded"] and said["user"]


async def check_everything(stores: Stores, shared: str, said: dict[str, set[tuple[str, ...]]]) -> None:
    """What was acknowledged is there, once. Only what somebody had begun to delete may be there or not."""
    texts = Counter(m.content.split(" ")[0] for m in (await stores.conversations.get(ALICE, shared)).messages)
    assert {mark for (mark,) in said["shared"]} <= set(texts), "acknowledged and lost"
    assert max(texts.values(), default=1) == 1, "there twice"

    sessions = {info.session_id for info in await all_pages(stores.conversations.list_conversations)}
    created, deleting, deleted = (firsts(said[kind]) for kind in ("created", "deleting", "deleted"))
    assert created - deleting <= sessions, "acknowledged and lost"
    assert not sessions & deleted, "a delete was acknowledged and undone"
    for session_id, mark in said["appended"]:
        if session_id in sessions:
            contents = [m.content for m in (await stores.conversations.get(ALICE, session_id)).messages]
            assert contents == [mark, f"answer {mark}"]

    documents = {document.file_id for document in await all_pages(stores.documents.list_documents)}
    assert firsts(said["uploaded"]) - firsts(said["removing"]) <= documents, "acknowledged and lost"
    assert not documents & firsts(said["removed"]), "a delete was acknowledged and undone"
    for file_id, mark in said["uploaded"]:
        if file_id not in firsts(said["removing"]):
            assert (await stores.documents.path(ALICE, file_id)).read_bytes() == mark.encode()

    users = [user.id for user in await stores.users.list_users(SERVER)]
    assert len(users) == len(set(users)) and firsts(said["user"]) <= set(users)
    assert firsts(said["run"]) <= {run["run_id"] for run in await all_pages(stores.runs.list_runs)}
    # Bytes whose upload was cut off before it was acknowledged are set aside; nothing else may be damaged.
    acknowledged = firsts(said["uploaded"])
    for kept in map(Path, stores.damaged()):
        assert kept.parts[0] == "uploads" and kept.name.split(".")[0] not in acknowledged, kept


def firsts(lines: set[tuple[str, ...]]) -> set[str]:
    return {line[0] for line in lines}


async def all_pages(list_page: Callable[..., Awaitable[tuple[list[Any], int]]]) -> list[Any]:
    found: list[Any] = []
    for page in count(1):
        items, total = await list_page(ALICE, page=page, limit=500)
        found += items
        if not items:
            assert len(found) == total
            return found
    raise AssertionError("unreachable")


async def test_st_8_copy_made_while_writers_are_busy_opens(engine: Stores, data_dir: Path, tmp_path: Path) -> None:
    info = await engine.conversations.create(ALICE, "t")
    busy = asyncio.create_task(_write_for_ever(engine, info.session_id))
    for number in range(5):
        await asyncio.sleep(0.02)
        copy = tmp_path / f"copy{number}"
        process = await asyncio.create_subprocess_exec("cp", "-a", str(data_dir), str(copy))
        await process.wait()
        restored = json_files.create(settings_for(copy))
        conversation = await restored.conversations.get(ALICE, info.session_id)
        assert [m.content for m in conversation.messages] == [f"m{n}" for n in range(len(conversation.messages))]
        assert restored.damaged() == []
        await restored.aclose()
    busy.cancel()
    await asyncio.gather(busy, return_exceptions=True)


async def _write_for_ever(stores: Stores, session_id: str) -> None:
    number = 0
    while True:
        await stores.conversations.append(ALICE, session_id, stored(f"m{number}"))
        await stores.users.add_user(SERVER, f"user{number}", "hash", "user")
        number += 1
