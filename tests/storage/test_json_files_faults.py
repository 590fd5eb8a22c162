"""ST-1, ST-5, ST-7: the disk fails, or the process dies, at every single operation of every kind of write."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.models.documents import PageText
from backend.models.errors import NotFound, StorageFailed, StorageFull
from backend.models.run import SERVER
from backend.storage import json_files
from backend.storage.stores import Stores
from tests.storage.conftest import settings_for
from tests.storage.failing_disk import FailingDisk
from tests.storage.samples import ALICE, api_key, refresh_token, stored, upload

SESSION = "conv-1"
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
    "replace-run": lambda s: s.runs.save(ALICE, {"run_id": "run-1", "created_at": 1.0, "steps": [], "again": True}),
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


async def state_of(stores: Stores) -> list[Any]:
    """Everything that is stored, without random ids and times."""
    conversations = []
    for info in (await stores.conversations.list_conversations(ALICE))[0]:
        messages = (await stores.conversations.get(ALICE, info.session_id)).messages
        conversations.append((info.session_id, info.title, info.messages, [m.content for m in messages]))
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
        (await stores.runs.list_runs(ALICE))[0],
    ]


async def states_before_and_after(tmp_path: Path, write: Write) -> tuple[list[Any], list[Any]]:
    stores = json_files.create(settings_for(tmp_path / "undisturbed"))
    await fill(stores)
    before = await state_of(stores)
    await write(stores)
    after = await state_of(stores)
    await stores.aclose()
    return before, after


@each_write
@pytest.mark.parametrize(
    "error", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE], ids=errno.errorcode.get
)
async def test_st_5_failing_disk_at_every_step_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Write, error: int
) -> None:
    before, after = await states_before_and_after(tmp_path, write)
    disk = FailingDisk(monkeypatch, error)
    expected = StorageFull if error in (errno.ENOSPC, errno.EDQUOT) else StorageFailed
    for step in range(1, 60):
        folder = tmp_path / f"data{step}"
        stores = json_files.create(settings_for(folder))
        await fill(stores)
        await state_of(stores)
        disk.arm(step)
        try:
            await write(stores)
            failed = False
        except StorageFailed as refused:
            failed = True
            assert type(refused) is expected
            assert str(folder) not in refused.message
        reached = disk.reached
        disk.heal()
        assert await state_of(stores) in ((before, after) if failed else (after,)), f"same engine, step {step}"
        assert not list(folder.rglob("*.tmp")), f"left behind at step {step}"
        again = json_files.create(settings_for(folder))
        assert await state_of(again) in ((before, after) if failed else (after,)), f"after a restart, step {step}"
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
    before, after = await states_before_and_after(tmp_path, write)
    disk = FailingDisk(monkeypatch, errno.EIO, crash=True)
    for step in range(1, 60):
        folder = tmp_path / f"data{step}"
        stores = json_files.create(settings_for(folder))
        await fill(stores)
        disk.arm(step)
        try:
            await write(stores)
            acknowledged = True
        except StorageFailed:
            acknowledged = False
        reached = disk.reached
        disk.heal()
        again = json_files.create(settings_for(folder))
        assert await state_of(again) in ((after,) if acknowledged else (before, after)), f"step {step}"
        # An upload that died between its two renames leaves bytes that nobody knows: set aside, and nothing else.
        assert all(kept.startswith("uploads/") for kept in again.damaged()), f"step {step}"
        assert not list(folder.rglob("*.tmp")), f"step {step}"
        await again.conversations.create(ALICE, "goes on", "conv-9")
        await again.conversations.append(ALICE, "conv-9", stored("goes on"))
        await again.aclose()
        if not reached:
            return
    raise AssertionError("more steps than expected")


async def test_st_5_reads_go_on_while_nothing_can_be_written(engine: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(engine)
    before = await state_of(engine)
    disk = FailingDisk(monkeypatch, errno.ENOSPC)
    monkeypatch.setattr("os.open", _only_writing_fails(disk))
    disk.arm(1)
    for write in WRITES.values():
        with pytest.raises(StorageFull):
            await write(engine)
    assert await state_of(engine) == before
    disk.heal()
    for name in ("append", "add-user", "upload", "save-run"):
        await WRITES[name](engine)


def _only_writing_fails(disk: FailingDisk) -> Callable[..., int]:
    """A full disk opens what is there, and makes nothing new."""
    import os

    refusing = os.open
    real = refusing.__closure__[-1].cell_contents if refusing.__closure__ else refusing

    def call(path: Any, flags: int, *more: Any, **named: Any) -> int:
        return (refusing if flags & os.O_CREAT else real)(path, flags, *more, **named)

    return call


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
