"""The files of the FAISS store: crashes at any byte, several processes, damage, permissions, traces."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from backend.config.settings import Settings
from backend.models.documents import DocumentChunk
from backend.models.errors import StorageFailed, StorageFull
from backend.models.run import Owner
from backend.vector_store import faiss, segments
from backend.vector_store.faiss import FaissVectorStore
from backend.vector_store.segments import Batch, Segments
from tests.fakes.embedder import HashEmbedder
from tests.vector_store.conftest import ALICE, BOB, Room, chunk

ROOT = Path(__file__).resolve().parents[2]
SMALL = 4


def room_at(folder: Path) -> Room:
    return Room(FaissVectorStore(folder), HashEmbedder(dimensions=SMALL))


async def texts(folder: Path, file_id: str = "f1") -> list[str]:
    """What a newly started process finds."""
    return [each.text for each in await FaissVectorStore(folder).chunks(ALICE, file_id)]


def files_of(folder: Path, pattern: str = "*.jsonl") -> list[Path]:
    return sorted((folder / ALICE.user).rglob(pattern))


# ---- crashes ------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_an_add_cut_off_at_any_byte_leaves_the_state_before_it(tmp_path: Path) -> None:
    room = room_at(tmp_path / "whole")
    await room.add(ALICE, chunk("one"), chunk("two", index=1))
    (segment,) = files_of(tmp_path / "whole")
    before = segment.stat().st_size
    await room.add(ALICE, chunk("three", index=2), chunk("four", index=3))
    content = segment.read_bytes()
    for size in range(before, len(content)):
        shutil.copytree(tmp_path / "whole", tmp_path / "cut")
        (tmp_path / "cut" / segment.relative_to(tmp_path / "whole")).write_bytes(content[:size])
        after = room_at(tmp_path / "cut")
        assert [each.text for each in await after.store.chunks(ALICE, "f1")] == ["one", "two"]
        assert not await after.store.needs_reindex(ALICE, "hash")
        await after.add(ALICE, chunk("3", index=2))
        await after.add(ALICE, chunk("4", index=3))
        assert await texts(tmp_path / "cut") == ["one", "two", "3", "4"]
        assert not await room_at(tmp_path / "cut").store.needs_reindex(ALICE, "hash")
        shutil.rmtree(tmp_path / "cut")


async def test_a_first_add_cut_off_at_any_byte_leaves_nothing(tmp_path: Path) -> None:
    room = room_at(tmp_path)
    await room.add(ALICE, chunk("one"))
    (segment,) = files_of(tmp_path)
    content = segment.read_bytes()
    for size in range(0, len(content), 7):
        segment.write_bytes(content[:size])
        assert await texts(tmp_path) == []
    await room_at(tmp_path).add(ALICE, chunk("again"))
    assert await texts(tmp_path) == ["again"]


async def test_a_replacement_that_did_not_finish_leaves_the_old_text(tmp_path: Path) -> None:
    await room_at(tmp_path).add(ALICE, chunk("one"))
    (segment,) = files_of(tmp_path)
    unfinished = segment.with_name(segment.name + ".new")
    unfinished.write_bytes(b'{"file_id":"f1","filename":"half of it')
    assert await texts(tmp_path) == ["one"]
    assert not unfinished.exists()


async def test_a_decided_batch_of_several_files_is_spread_after_a_crash(tmp_path: Path) -> None:
    await room_at(tmp_path).add(ALICE, chunk("one"), chunk("old", "f2"))
    (folder,) = {path.parent for path in files_of(tmp_path)}
    vector = b"\0\0\x80\x3f" + b"\0" * 4 * (SMALL - 1)
    disk = Segments(tmp_path / ALICE.user)
    with disk.locked():
        disk.change_mark()
        disk.decide(1, [Batch((chunk("new", "f2"),), vector), Batch((chunk("three", "f3"),), vector)])
    assert (folder / "batch.jsonl").exists()
    assert [await texts(tmp_path, f) for f in ("f1", "f2", "f3")] == [["one"], ["new"], ["three"]]
    assert not (folder / "batch.jsonl").exists()
    assert [await texts(tmp_path, f) for f in ("f1", "f2", "f3")] == [["one"], ["new"], ["three"]]


async def test_a_reset_that_did_not_finish_is_finished_later(tmp_path: Path) -> None:
    room = room_at(tmp_path)
    await room.add(ALICE, chunk("one"))
    (segment,) = files_of(tmp_path)
    kept = segment.read_bytes()
    await room.store.reset(ALICE)
    segment.parent.mkdir()
    segment.write_bytes(kept)
    assert await texts(tmp_path) == []
    assert not segment.exists()


WRITER = """
    import asyncio, sys
    from pathlib import Path
    from backend.models.documents import DocumentChunk
    from backend.models.run import Owner
    from backend.vector_store.faiss import FaissVectorStore
    from tests.fakes.embedder import HashEmbedder

    async def main(folder, owner, prefix, rounds):
        store, embedder = FaissVectorStore(Path(folder)), HashEmbedder(dimensions=4)
        for n in range(int(rounds)):
            chunks = [DocumentChunk(f"{prefix}{n % 5}", "a.txt", 3 * n + i, f"{prefix} {n} {i} " + "x" * 3000)
                      for i in range(3)]
            vectors = await embedder.embed_documents([each.text for each in chunks])
            await store.add(Owner("default", owner), chunks, vectors, embedder.name)
            print(n, flush=True)

    asyncio.run(main(*sys.argv[1:]))
"""


def writer(folder: Path, prefix: str, rounds: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(folder), ALICE.user, prefix, str(rounds)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
async def test_what_was_acknowledged_survives_kill_9_and_nothing_is_half_there(tmp_path: Path) -> None:
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        with writer(folder, "w", 100_000) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.07 + 0.05 * attempt)
            process.send_signal(signal.SIGKILL)
            lines = [line for line in process.stdout if line.endswith("\n")]
        acknowledged = 1 + len(lines)
        store = FaissVectorStore(folder)
        chunks = [each for n in range(5) for each in await store.chunks(ALICE, f"w{n}")]
        assert len(chunks) in (3 * acknowledged, 3 * acknowledged + 3)
        assert {each.index for each in chunks} == set(range(len(chunks)))
        assert not await store.needs_reindex(ALICE, "hash")


@pytest.mark.slow
async def test_two_processes_write_to_one_owner_and_lose_nothing(tmp_path: Path) -> None:
    with writer(tmp_path, "p", 40) as first, writer(tmp_path, "q", 40) as second:
        store = FaissVectorStore(tmp_path)
        while first.poll() is None or second.poll() is None:
            await store.count(ALICE)
            await asyncio.sleep(0.01)
        assert (first.returncode, second.returncode) == (0, 0)
    assert await store.count(ALICE) == 240
    assert await FaissVectorStore(tmp_path).count(ALICE) == 240


async def test_one_process_sees_at_once_what_another_wrote(tmp_path: Path) -> None:
    here, there = room_at(tmp_path), room_at(tmp_path)
    assert await there.find(ALICE, "one") == []
    await here.add(ALICE, chunk("one"))
    assert await there.find(ALICE, "one") == ["one"]
    await there.add(ALICE, chunk("two", index=1))
    await there.add(ALICE, chunk("changed"))
    assert [each.text for each in await here.store.chunks(ALICE, "f1")] == ["changed", "two"]
    assert await here.store.delete(ALICE, "f1") == 2
    assert await there.find(ALICE, "one") == []
    await there.add(ALICE, chunk("three"))
    await here.store.reset(ALICE)
    assert await there.store.count(ALICE) == 0
    await here.add(ALICE, chunk("four"))
    assert await there.find(ALICE, "four") == ["four"]


async def test_the_index_is_found_without_its_lock_file(tmp_path: Path) -> None:
    await room_at(tmp_path).add(ALICE, chunk("one"))
    (tmp_path / ALICE.user / "lock").unlink()
    assert await texts(tmp_path) == ["one"]
    (tmp_path / ALICE.user / "lock").write_bytes(b"")
    assert await texts(tmp_path) == ["one"]


# ---- a disk that refuses ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "error"), [(errno.ENOSPC, StorageFull), (errno.EDQUOT, StorageFull), (errno.EIO, StorageFailed)]
)
@pytest.mark.parametrize("replaces", [False, True], ids=["new chunk", "replaced chunk"])
async def test_a_refused_write_leaves_the_state_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[StorageFailed], replaces: bool
) -> None:
    room = room_at(tmp_path)
    await room.add(ALICE, chunk("one"))

    def refuse(file: object) -> None:
        raise OSError(number, "refused")

    with monkeypatch.context() as patched:
        patched.setattr(segments, "_flush", refuse)
        with pytest.raises(error):
            await room.add(ALICE, chunk("two", index=0 if replaces else 1))
    assert [each.text for each in await room.store.chunks(ALICE, "f1")] == ["one"]
    assert await texts(tmp_path) == ["one"]
    await room.add(ALICE, chunk("three", index=1))
    assert await texts(tmp_path) == ["one", "three"]


async def test_an_error_message_names_no_path(tmp_path: Path) -> None:
    (tmp_path / ALICE.user).write_text("a file where the folder should be")
    with pytest.raises(StorageFailed) as caught:
        await room_at(tmp_path).add(ALICE, chunk("one"))
    assert str(tmp_path) not in caught.value.message


# ---- damage -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        b"\n",
        b"not json\n",
        b"[]\n",
        b'{"file_id":"f1"}\n',
        b'{"file_id":"f1","filename":"f1.txt","chunks":[{"index":7,"page":null,"text":"x"}],"vectors":"AAA="}\n',
        b'{"file_id":"f1","filename":"f1.txt","chunks":[{"index":7,"page":null,"text":"x"}],"vectors":"AAAAAA=="}\n',
        b'{"file_id":"f9","filename":"f9","chunks":[{"index":7,"page":null,"text":"x"}],"vectors":"AAAAAAAAAAAAAAAAAAAAAA=="}\n',
        b"\x00" * 64 + b"\n",
        b"\xff\xfe\n",
    ],
    ids=["empty", "text", "list", "fields", "odd size", "dimensions", "another file's", "zeros", "not utf-8"],
)
async def test_a_damaged_line_is_left_out_and_calls_for_indexing_again(tmp_path: Path, line: bytes) -> None:
    await room_at(tmp_path).add(ALICE, chunk("one"))
    (segment,) = files_of(tmp_path)
    content = segment.read_bytes()
    segment.write_bytes(line + content)
    room = room_at(tmp_path)
    assert await room.find(ALICE, "one") == ["one"]
    assert await room.store.needs_reindex(ALICE, "hash")
    await room.add(ALICE, chunk("two", index=1))
    assert await texts(tmp_path) == ["one", "two"]
    assert await room_at(tmp_path).store.needs_reindex(ALICE, "hash")
    await room.store.reset(ALICE)
    await room.add(ALICE, chunk("fresh"))
    assert not await room_at(tmp_path).store.needs_reindex(ALICE, "hash")


async def test_a_wholly_damaged_document_can_be_deleted(tmp_path: Path) -> None:
    await room_at(tmp_path).add(ALICE, chunk("one"))
    (segment,) = files_of(tmp_path)
    segment.write_bytes(b"rubbish\n")
    store = FaissVectorStore(tmp_path)
    assert await store.needs_reindex(ALICE, "hash")
    assert await store.delete(ALICE, "f1") == 0
    assert not segment.exists()
    assert not await store.needs_reindex(ALICE, "hash")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"generation":"x"}', b"\x00" * 20])
async def test_a_damaged_manifest_is_not_fatal_and_calls_for_indexing_again(tmp_path: Path, content: bytes) -> None:
    await room_at(tmp_path).add(ALICE, chunk("one"))
    (tmp_path / ALICE.user / "manifest.json").write_bytes(content)
    room = room_at(tmp_path)
    assert await room.find(ALICE, "one") == []
    assert await room.store.needs_reindex(ALICE, "hash")
    await room.add(ALICE, chunk("new", "f2"))
    assert await room.find(ALICE, "new") == ["new"]
    assert await room_at(tmp_path).store.needs_reindex(ALICE, "hash")
    await room.store.reset(ALICE)
    assert not await room_at(tmp_path).store.needs_reindex(ALICE, "hash")


# ---- what lies on the disk ----------------------------------------------------------------------


async def test_fs_2_files_and_folders_are_closed_to_other_users(tmp_path: Path) -> None:
    store = faiss.create(Settings(_env_file=None, data_dir=tmp_path / "data"))
    mask = os.umask(0)
    try:
        await Room(store, HashEmbedder()).add(ALICE, chunk("one"), chunk("two", "f2"))
        await Room(store, HashEmbedder()).add(Owner("acme", "u1"), chunk("one"))
    finally:
        os.umask(mask)
    found = {path: path.stat().st_mode & 0o777 for path in (tmp_path / "data").rglob("*")}
    assert {mode for path, mode in found.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in found.items() if path.is_file()} == {0o600}
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


async def test_fs_4_the_files_are_json_and_nothing_else(tmp_path: Path) -> None:
    room = room_at(tmp_path)
    await room.add(ALICE, chunk("one", page=3), chunk("two", "f2"))
    for path in files_of(tmp_path, "*.json*"):
        for line in path.read_text(encoding="utf-8").splitlines():
            assert isinstance(json.loads(line), dict)
    assert {path.suffix for path in files_of(tmp_path, "*") if path.is_file()} == {".json", ".jsonl", ""}


async def test_fs_1_a_file_id_never_becomes_a_path(tmp_path: Path) -> None:
    room = room_at(tmp_path / "vectors")
    for bad in ("../../escape", "/etc/passwd", "a\x00b", "x" * 500, "", "batch", "batch.jsonl"):
        await room.add(ALICE, DocumentChunk(bad, "a.txt", 0, f"text {bad}"))
        assert [each.file_id for each in await room.store.chunks(ALICE, bad)] == [bad]
    assert [path.name for path in tmp_path.iterdir()] == ["vectors"]
    assert len(files_of(tmp_path / "vectors")) == 7


async def test_fs_1_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    room = room_at(tmp_path / "vectors")
    await room.add(ALICE, chunk("one"))
    (segment,) = files_of(tmp_path / "vectors")
    secret = tmp_path / "secret"
    shutil.move(segment, secret)
    segment.symlink_to(secret)
    with pytest.raises(StorageFailed):
        await room_at(tmp_path / "vectors").store.count(ALICE)


async def test_iso_4_a_deleted_document_leaves_no_byte_of_text_behind(tmp_path: Path) -> None:
    room = room_at(tmp_path)
    await room.add(ALICE, chunk("first-secret"), chunk("kept", "f2"))
    await room.add(ALICE, chunk("second-secret", index=1))
    await room.add(ALICE, chunk("replaced-secret", "f2", 5))
    await room.add(ALICE, chunk("something else", "f2", 5))
    await room.store.delete(ALICE, "f1")
    everything = b"".join(path.read_bytes() for path in files_of(tmp_path, "*") if path.is_file())
    assert b"kept" in everything
    assert b"secret" not in everything


async def test_iso_4_a_reset_leaves_no_byte_of_text_behind(tmp_path: Path) -> None:
    room = room_at(tmp_path)
    await room.add(ALICE, chunk("first-secret"))
    await room.store.reset(ALICE)
    assert files_of(tmp_path) == []


async def test_asking_about_an_owner_without_documents_creates_nothing(tmp_path: Path) -> None:
    store = FaissVectorStore(tmp_path / "vectors")
    await store.count(BOB)
    await store.delete(BOB, "f1")
    await store.reset(BOB)
    assert not (tmp_path / "vectors").exists()


async def test_adding_appends_instead_of_writing_all_again(tmp_path: Path) -> None:
    room = room_at(tmp_path)
    await room.add(ALICE, chunk("one"))
    (segment,) = files_of(tmp_path)
    before = (segment.stat().st_ino, segment.read_bytes())
    await room.add(ALICE, chunk("two", index=1))
    await room.add(ALICE, chunk("other", "f2"))
    assert (segment.stat().st_ino, segment.read_bytes()[: len(before[1])]) == before


# ---- memory -------------------------------------------------------------------------------------


async def test_only_the_owners_used_last_stay_open(tmp_path: Path) -> None:
    store = FaissVectorStore(tmp_path, max_open=2)
    room = Room(store, HashEmbedder())
    owners = [Owner("default", f"user-{n}") for n in range(5)]
    for owner in owners:
        await room.add(owner, chunk(f"text of {owner.user}"))
    assert len(store._open) == 2
    for owner in owners:
        assert await room.find(owner, "text") == [f"text of {owner.user}"]


async def test_a_cancelled_call_neither_blocks_nor_breaks_the_next(tmp_path: Path) -> None:
    room = room_at(tmp_path)
    for n in range(10):
        call = asyncio.create_task(room.add(ALICE, chunk(f"text {n}", index=n)))
        await asyncio.sleep(0.0005 * n)
        call.cancel()
        await asyncio.wait([call])
    await room.add(ALICE, chunk("last", index=10))
    found = await texts(tmp_path)
    assert found[-1] == "last"
    assert found == [each.text for each in await room.store.chunks(ALICE, "f1")]
