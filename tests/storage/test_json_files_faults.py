"""ST-1, ST-5, ST-7: the disk fails, or the process dies, at every single operation of every kind of write."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from backend.models.documents import PageText
from backend.models.errors import NotFound, StorageFailed, StorageFull
from backend.models.run import SERVER
from backend.storage import json_files
from backend.storage.stores import Stores
from tests.storage.failing_disk import FailingDisk
from tests.storage.samples import ALICE, api_key, refresh_token, settings_for, stored, upload

SESSION = "conv-1"
MOST_STEPS = 60
Write = Callable[[Stores], Awaitable[Any]]


async def first_document(stores: Stores) -> Any:
    return (await stores.documents.list_documents(ALICE))[0][-1]


async def update_document(stores: Stores) -> None:
    await stores.documents.update(ALICE, replace(await first_document(stores), status="ready"))


async def delete_document(stores: Stores) -> None:
    await stores.documents.delete(ALICE, (await first_document(stores)).file_id)


async def save_pages(stores: Stores) -> None:
    pages = [PageText(1, "new page"), PageText(2, "second")]
    await stores.documents.save_pages(ALICE, (await first_document(stores)).file_id, pages)


async def disable_user(stores: Stores) -> None:
    (user,) = await stores.users.list_users(SERVER)
    await stores.users.update_user(SERVER, user.id, disabled=True)


async def add_key(stores: Stores) -> None:
    (user,) = await stores.users.list_users(SERVER)
    await stores.users.add_key(SERVER, api_key(user.id, "sk-new"))


WRITES: dict[str, Write] = {
    "create-conversation": lambda s: s.conversations.create(ALICE, "second", "conv-2"),
    "append": lambda s: s.conversations.append(ALICE, SESSION, stored("three " * 200, "four")),
    "rename": lambda s: s.conversations.rename(ALICE, SESSION, "renamed"),
    "choose": lambda s: s.conversations.choose(ALICE, SESSION, ["vs_1"]),
    "delete-conversation": lambda s: s.conversations.delete(ALICE, SESSION),
    "upload": lambda s: upload(s, ALICE, b"new bytes" * 100_000),
    "update-document": update_document,
    "delete-document": delete_document,
    "save-pages": save_pages,
    "add-user": lambda s: s.users.add_user(SERVER, "bob", "hash", "user"),
    "disable-user": disable_user,
    "add-key": add_key,
    "revoke-token": lambda s: s.sessions.revoke_token(ALICE, "jti-1", 4e9),
    "add-refresh": lambda s: s.sessions.add_refresh(ALICE, refresh_token(ALICE.user, "rt-2")),
    "save-run": lambda s: s.runs.save(ALICE, {"run_id": "run-2", "created_at": 2.0, "steps": []}),
    "replace-run": lambda s: s.runs.save(ALICE, {"run_id": "run-1", "created_at": 1.0, "steps": [], "model": "again"}),
}
each_write = pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)


async def fill(stores: Stores) -> None:
    user = await stores.users.add_user(SERVER, "alice", "hash", "user")
    await stores.users.add_key(SERVER, api_key(user.id))
    await stores.sessions.add_refresh(ALICE, refresh_token(ALICE.user, "rt-1"))
    await stores.conversations.create(ALICE, "first", SESSION)
    await stores.conversations.append(ALICE, SESSION, stored("one", "two"))
    document = await upload(stores, ALICE, b"bytes")
    await stores.documents.save_pages(ALICE, document.file_id, [PageText(1, "page")])
    await stores.runs.save(ALICE, {"run_id": "run-1", "created_at": 1.0, "steps": []})


async def state_of(stores: Stores, folder: Path) -> list[Any]:
    """Everything that is stored, without random ids and times."""
    sessions = json.loads((folder / "sessions" / "sessions.json").read_text())
    conversations = []
    for info in (await stores.conversations.list_conversations(ALICE))[0]:
        messages = (await stores.conversations.get(ALICE, info.session_id)).messages
        conversations.append(
            (info.session_id, info.title, info.messages, info.collections, [m.content for m in messages])
        )
    documents = []
    for document in (await stores.documents.list_documents(ALICE))[0]:
        try:
            page = (await stores.documents.page_text(ALICE, document.file_id, 1)).text
        except NotFound:
            page = None
        path = await stores.documents.path(ALICE, document.file_id)
        documents.append((document.status, document.sha256, path.stat().st_size, page))
    return [
        sorted(conversations),
        sorted(documents, key=repr),
        [(user.username, user.disabled) for user in await stores.users.list_users(SERVER)],
        sorted(key.key_hash for key in await stores.users.list_keys(SERVER)),
        await stores.sessions.is_revoked(ALICE, "jti-1"),
        sorted(kept["token"]["token_hash"] for kept in sessions["refresh"]),
        (await stores.runs.list_runs(ALICE))[0],
    ]


@dataclass(frozen=True)
class Rehearsal:
    """A filled folder to copy, and what an undisturbed write makes of it."""

    folder: Path
    before: list[Any]
    after: list[Any]

    def copy(self, number: int) -> Path:
        return Path(shutil.copytree(self.folder, self.folder.with_name(f"data{number}")))


async def rehearse(tmp_path: Path, write: Write) -> Rehearsal:
    template = tmp_path / "template"
    stores = json_files.create(settings_for(template))
    await fill(stores)
    before = await state_of(stores, template)
    await stores.aclose()
    undisturbed = Path(shutil.copytree(template, tmp_path / "undisturbed"))
    stores = json_files.create(settings_for(undisturbed))
    await write(stores)
    after = await state_of(stores, undisturbed)
    await stores.aclose()
    assert before != after
    return Rehearsal(template, before, after)


@each_write
async def test_st_5_failing_disk_at_every_step_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    rehearsal = await rehearse(tmp_path, write)
    disk = FailingDisk(monkeypatch, errno.ENOSPC)
    for step in range(1, MOST_STEPS):
        folder = rehearsal.copy(step)
        stores = json_files.create(settings_for(folder))
        await state_of(stores, folder)
        disk.arm(step)
        failed = await refused_with(StorageFull, write, stores)
        reached = disk.reached
        disk.heal()
        # A disk that fails after the decisive rename has done it all the same, and the caller knows it is unsure.
        allowed = (rehearsal.before, rehearsal.after) if failed else (rehearsal.after,)
        assert await state_of(stores, folder) in allowed, f"same engine, step {step}"
        assert not list(folder.rglob("*.tmp")), f"left behind at step {step}"
        again = json_files.create(settings_for(folder))
        assert await state_of(again, folder) in allowed, f"after a restart, step {step}"
        assert again.damaged() == []
        await again.aclose()
        await stores.aclose()
        if not reached:
            assert step > 2, "the write did nothing that could fail"
            return
    raise AssertionError("more steps than expected")


@each_write
async def test_st_7_death_at_every_step_leaves_the_state_before_or_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    rehearsal = await rehearse(tmp_path, write)
    disk = FailingDisk(monkeypatch, errno.EIO, crash=True)
    for step in range(1, MOST_STEPS):
        folder = rehearsal.copy(step)
        stores = json_files.create(settings_for(folder))
        disk.arm(step)
        failed = await refused_with(StorageFailed, write, stores)
        reached = disk.reached
        disk.heal()
        again = json_files.create(settings_for(folder))
        allowed = (rehearsal.before, rehearsal.after) if failed else (rehearsal.after,)
        assert await state_of(again, folder) in allowed, f"step {step}"
        # An upload that died between its two renames leaves bytes that nobody knows: set aside, and nothing else.
        assert all(kept.startswith("uploads/") for kept in again.damaged()), f"step {step}"
        assert not [*folder.rglob("*.tmp"), *folder.rglob("*.deleted")], f"step {step}"
        await again.conversations.create(ALICE, "goes on", "conv-9")
        await again.conversations.append(ALICE, "conv-9", stored("goes on"))
        await again.aclose()
        await stores.aclose()
        if not reached:
            return
    raise AssertionError("more steps than expected")


async def refused_with(kind: type[StorageFailed], write: Write, stores: Stores) -> bool:
    """Whether the write failed; then with exactly this error, which names no path."""
    try:
        await write(stores)
    except StorageFailed as refused:
        assert type(refused) is kind
        assert "/" not in refused.message
        return True
    return False


@pytest.mark.parametrize(
    "error, kind",
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EFBIG, StorageFull),
        (errno.EIO, StorageFailed),
        (errno.EROFS, StorageFailed),
        (errno.EMFILE, StorageFailed),
        (errno.EACCES, StorageFailed),
    ],
    ids=lambda value: errno.errorcode.get(value) if isinstance(value, int) else "",
)
async def test_st_5_each_failure_of_the_disk_has_its_answer_and_recovers(
    engine: Stores, monkeypatch: pytest.MonkeyPatch, error: int, kind: type[StorageFailed]
) -> None:
    await fill(engine)
    disk = FailingDisk(monkeypatch, error)
    disk.arm(1)
    assert await refused_with(kind, WRITES["append"], engine)
    assert await refused_with(kind, WRITES["add-user"], engine)
    disk.heal()
    assert not await refused_with(kind, WRITES["append"], engine)
    assert (await engine.conversations.info(ALICE, SESSION)).messages == 4


async def test_st_5_reads_go_on_while_nothing_can_be_written(
    engine: Stores, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(engine)
    before = await state_of(engine, data_dir)
    disk = FailingDisk(monkeypatch, errno.ENOSPC, reads=True)
    disk.arm(1)
    for name, write in WRITES.items():
        if not name.startswith("delete"):
            assert await refused_with(StorageFull, write, engine), name
    assert await state_of(engine, data_dir) == before
    disk.heal()
    for name in ("append", "add-user", "upload", "save-run"):
        await WRITES[name](engine)


async def test_st_1_replacing_writes_syncs_renames_and_syncs_the_folder_before_it_is_acknowledged(
    engine: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.users.add_user(SERVER, "alice", "hash", "user")
    disk = FailingDisk(monkeypatch)
    disk.arm(None)
    await engine.users.add_user(SERVER, "bob", "hash", "user")
    opened = next(i for i, (name, target) in enumerate(disk.calls) if name == "open" and target.endswith(".tmp"))
    temporary = disk.calls[opened][1]
    assert disk.calls[opened:] == [
        ("open", temporary),
        ("write", temporary),
        ("fsync", temporary),
        ("rename", temporary),
        ("unlink", temporary),
        ("open", "users"),
        ("fsync", "users"),
    ]


async def test_st_2_append_is_one_write_and_one_fsync_before_it_is_acknowledged(
    engine: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.conversations.create(ALICE, "t", SESSION)
    disk = FailingDisk(monkeypatch)
    disk.arm(None)
    await engine.conversations.append(ALICE, SESSION, stored("one", "two", "three"))
    touching = [name for name, target in disk.calls if target == f"{SESSION}.jsonl"]
    assert touching == ["open", "write", "fsync"]
