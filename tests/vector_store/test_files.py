"""The files of the FAISS store: crashes at any step, several processes, damage, permissions, traces."""

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
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from backend.config.settings import Settings
from backend.models.documents import DocumentChunk
from backend.models.errors import StorageFailed, StorageFull
from backend.models.run import Owner
from backend.vector_store import faiss, index_folder, segment_writer
from backend.vector_store.faiss import FaissVectorStore
from backend.vector_store.index_folder import SWAPPED, Manifest
from backend.vector_store.segment_files import MAGIC, Segment
from tests.fakes.embedder import HashEmbedder
from tests.vector_store.conftest import ALICE, BOB, Room, chunk

ROOT = Path(__file__).resolve().parents[2]
SMALL = 4


def room_at(folder: Path) -> Room:
    return Room(FaissVectorStore(folder), HashEmbedder(dimensions=SMALL))


async def texts(folder: Path, file_id: str = "f1") -> list[str]:
    """What a newly started process finds."""
    return [each.text for each in await FaissVectorStore(folder).chunks(ALICE, file_id)]


async def is_whole(folder: Path) -> bool:
    return not await FaissVectorStore(folder).needs_reindex(ALICE, "hash")


def files_of(folder: Path, pattern: str = "*.seg") -> list[Path]:
    return sorted((folder / ALICE.user).rglob(pattern))


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in files_of(folder, "*") if path.is_file())


# ---- crashes ------------------------------------------------------------------------------------


async def test_an_add_cut_off_at_any_byte_leaves_the_state_before_it(tmp_path: Path) -> None:
    room = room_at(tmp_path)
    await room.add(ALICE, chunk("one"), chunk("two", index=1))
    (segment,) = files_of(tmp_path)
    content = segment.read_bytes()
    for size in range(0, len(content), 97):
        half = segment.with_name(f"0000000002-0000000002.seg.{size:016x}.new")
        half.write_bytes(content[:size])
        assert await texts(tmp_path) == ["one", "two"]
        assert await is_whole(tmp_path)
        assert not half.exists()
    await room.add(ALICE, chunk("three", index=2))
    assert await texts(tmp_path) == ["one", "two", "three"]


async def test_a_file_that_is_still_being_written_is_left_alone(tmp_path: Path) -> None:
    await room_at(tmp_path).add(ALICE, chunk("one"))
    (segment,) = files_of(tmp_path)
    with index_folder.draft(segment.with_name("0000000009-0000000009.seg")) as new:
        assert await texts(tmp_path) == ["one"]
        assert new.path.exists()
    assert not new.path.exists()


async def test_segments_that_a_merged_one_covers_count_no_more(tmp_path: Path) -> None:
    room = room_at(tmp_path)
    for n in range(3):
        await room.add(ALICE, chunk(f"text {n}", index=n))
    kept = {path: path.read_bytes() for path in files_of(tmp_path)}
    await room.add(ALICE, chunk("text 3", index=3))
    (merged,) = files_of(tmp_path)
    for path, content in kept.items():
        path.write_bytes(content)
    assert await texts(tmp_path) == ["text 0", "text 1", "text 2", "text 3"]
    assert files_of(tmp_path) == [merged]


async def test_a_replacement_that_was_not_written_leaves_the_old_text(tmp_path: Path) -> None:
    await room_at(tmp_path).add(ALICE, chunk("one"))
    (segment,) = files_of(tmp_path)
    note = segment.with_name("pending.json")
    note.write_text(json.dumps({"files": {"f1": [0]}, "write": 2}))
    assert await texts(tmp_path) == ["one"]
    assert not note.exists()


async def test_a_replacement_that_was_written_is_finished_after_a_crash(tmp_path: Path) -> None:
    room = room_at(tmp_path)
    await room.add(ALICE, chunk("first-secret"), chunk("kept", index=1))
    (segment,) = files_of(tmp_path)
    before = segment.read_bytes()
    await room.add(ALICE, chunk("new"))
    segment.write_bytes(before)
    segment.with_name("pending.json").write_text(json.dumps({"files": {"f1": [0]}, "write": 2}))
    for _ in range(2):
        assert await texts(tmp_path) == ["new", "kept"]
        assert b"secret" not in bytes_of(tmp_path)


async def test_a_decided_delete_is_finished_after_a_crash(tmp_path: Path) -> None:
    room = room_at(tmp_path)
    await room.add(ALICE, chunk("first-secret"), chunk("kept", "f2"))
    await room.add(ALICE, chunk("second-secret", index=1))
    files_of(tmp_path)[0].with_name("pending.json").write_text(json.dumps({"files": {"f1": None}, "write": None}))
    for _ in range(2):
        assert (await texts(tmp_path), await texts(tmp_path, "f2")) == ([], ["kept"])
        assert b"secret" not in bytes_of(tmp_path)
    assert files_of(tmp_path, "pending.json") == []


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


@pytest.mark.parametrize("renamed", [False, True], ids=["before it counts", "from then on"])
async def test_a_swap_that_stopped_midway_is_all_or_nothing(tmp_path: Path, renamed: bool) -> None:
    room = room_at(tmp_path)
    await room.add(ALICE, chunk("old"))
    await room.add(ALICE, chunk("new"), collection="staged")
    main = tmp_path / ALICE.user
    source = main / "collections" / "staged" / "000001"
    (source / SWAPPED).write_text(json.dumps(asdict(Manifest(2, "hash", SMALL))))
    if renamed:
        source.rename(main / "000002")
    assert await texts(tmp_path) == ["new" if renamed else "old"]
    after = room_at(tmp_path)
    assert await after.store.count(ALICE, collection="staged") == (0 if renamed else 1)
    await after.add(ALICE, chunk("more", index=1))
    assert await texts(tmp_path) == ["new" if renamed else "old", "more"]
    assert (b"old" in bytes_of(tmp_path)) is not renamed


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
    await there.add(ALICE, chunk("three"), chunk("five", index=1))
    assert await here.store.count(ALICE) == 2
    await here.add(ALICE, chunk("swapped"), collection="staged")
    await here.store.swap(ALICE, "staged")
    assert await there.find(ALICE, "three") == ["swapped"]
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
        patched.setattr(segment_writer, "flush", refuse)
        with pytest.raises(error):
            await room.add(ALICE, chunk("two", index=0 if replaces else 1))
    assert [each.text for each in await room.store.chunks(ALICE, "f1")] == ["one"]
    assert await texts(tmp_path) == ["one"]
    await room.add(ALICE, chunk("three", index=1))
    assert await texts(tmp_path) == ["one", "three"]


async def test_a_merge_that_the_disk_refuses_is_done_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = room_at(tmp_path)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "refused")

    with monkeypatch.context() as patched:
        patched.setattr(segment_writer, "write_merged", refuse)
        for n in range(5):
            await room.add(ALICE, chunk(f"text {n}", index=n))
    assert len(files_of(tmp_path)) == 5
    await room.add(ALICE, chunk("text 5", index=5))
    assert len(files_of(tmp_path)) == 1
    assert await texts(tmp_path) == [f"text {n}" for n in range(6)]


async def test_a_document_can_be_deleted_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = room_at(tmp_path)
    await room.add(ALICE, chunk("first-secret"), chunk("kept", "f2"))

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "refused")

    with monkeypatch.context() as patched:
        patched.setattr(index_folder, "replace_file", refuse)
        patched.setattr(segment_writer, "flush", refuse)
        assert await room.store.delete(ALICE, "f1") == 1
    assert b"secret" not in bytes_of(tmp_path)
    assert (await texts(tmp_path), await texts(tmp_path, "f2")) == ([], ["kept"])


async def test_an_error_message_names_no_path(tmp_path: Path) -> None:
    (tmp_path / ALICE.user).write_text("a file where the folder should be")
    with pytest.raises(StorageFailed) as caught:
        await room_at(tmp_path).add(ALICE, chunk("one"))
    assert str(tmp_path) not in caught.value.message


# ---- damage -------------------------------------------------------------------------------------


def flipped(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0x55
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_bytes(b"rubbish" * 300), id="rubbish"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-1]), id="cut"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes() + b"\0"), id="longer"),
        pytest.param(lambda path: path.write_bytes(b"\0" * path.stat().st_size), id="zeros"),
        *(
            pytest.param(lambda path, name=name: flipped(path, Segment(path).places[name][0]), id=name)
            for name in ("doc", "index", "lengths", "unit", "names", "record_starts", "terms", "starts", "rows")
        ),
    ],
)
async def test_a_damaged_file_is_left_out_and_calls_for_indexing_again(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    room = room_at(tmp_path)
    await room.add(ALICE, chunk("one"))
    await room.add(ALICE, chunk("lost", "f2"))
    damage(files_of(tmp_path)[1])
    room = room_at(tmp_path)
    assert await room.find(ALICE, "one") == ["one"]
    assert await room.store.needs_reindex(ALICE, "hash")
    await room.add(ALICE, chunk("two", index=1))
    assert await texts(tmp_path) == ["one", "two"]
    assert not await is_whole(tmp_path)
    await room.store.reset(ALICE)
    await room.add(ALICE, chunk("fresh"))
    assert await is_whole(tmp_path)


@pytest.mark.parametrize("section", ["records", "vectors"])
async def test_of_a_file_with_a_damaged_chunk_the_others_are_found(tmp_path: Path, section: str) -> None:
    await room_at(tmp_path).add(ALICE, chunk("lost"), chunk("one", index=1), chunk("two", index=2))
    (path,) = files_of(tmp_path)
    flipped(path, Segment(path).places[section][0] + 3)
    assert await texts(tmp_path) == ["one", "two"]
    room = room_at(tmp_path)
    for n in range(3, 9):
        await room.add(ALICE, chunk("more", index=n))
    assert await texts(tmp_path) == ["one", "two", *["more"] * 6]
    assert not await is_whole(tmp_path)


async def test_no_text_of_a_deleted_document_stays_in_a_damaged_file(tmp_path: Path) -> None:
    room = room_at(tmp_path)
    await room.add(ALICE, chunk("one-secret"))
    await room.add(ALICE, chunk("kept", "f2"))
    flipped(files_of(tmp_path)[0], -5)
    store = FaissVectorStore(tmp_path)
    assert await store.needs_reindex(ALICE, "hash")
    assert await store.delete(ALICE, "f1") == 0
    assert b"secret" not in bytes_of(tmp_path)
    assert await texts(tmp_path, "f2") == ["kept"]
    assert not await is_whole(tmp_path)


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


async def test_an_index_of_a_newer_server_is_left_as_it_is(tmp_path: Path) -> None:
    await room_at(tmp_path).add(ALICE, chunk("one"))
    path = tmp_path / ALICE.user / "manifest.json"
    kept = path.read_text()
    path.write_text(json.dumps({**json.loads(kept), "version": 3}))
    with pytest.raises(StorageFailed, match="newer"):
        await room_at(tmp_path).add(ALICE, chunk("two"))
    path.write_text(kept)
    assert await texts(tmp_path) == ["one"]


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


async def test_fs_4_the_files_are_json_and_plain_arrays_and_nothing_else(tmp_path: Path) -> None:
    room = room_at(tmp_path)
    await room.add(ALICE, chunk("one", page=3), chunk("two", "f2"))
    for path in files_of(tmp_path, "*.*"):
        content = path.read_bytes()
        if path.suffix == ".json":
            assert isinstance(json.loads(content), dict)
        else:
            assert path.suffix == ".seg"
            assert content.startswith(MAGIC)
            kinds = {np.dtype(kind).kind for _, _, kind, _ in json.loads(_description(content))["sections"].values()}
            assert kinds <= {"u", "f"}


def _description(content: bytes) -> bytes:
    start = int.from_bytes(content[-24:-16], "little")
    return content[start:-24]


async def test_fs_1_a_file_id_never_becomes_a_path(tmp_path: Path) -> None:
    room = room_at(tmp_path / "vectors")
    bad_ids = ("../../escape", "/etc/passwd", "a\x00b", "x" * 500, "", "pending", "lock")
    for bad in bad_ids:
        await room.add(ALICE, DocumentChunk(bad, "a.txt", 0, f"text {bad}"))
        assert [each.file_id for each in await room.store.chunks(ALICE, bad)] == [bad]
    assert [path.name for path in tmp_path.iterdir()] == ["vectors"]
    assert await room.store.count(ALICE) == len(bad_ids)
    names = {path.name for path in files_of(tmp_path / "vectors", "*") if path.is_file()} - {"lock", "manifest.json"}
    assert all(index_folder.SEGMENT.fullmatch(name) for name in names)


async def test_fs_1_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    room = room_at(tmp_path / "vectors")
    await room.add(ALICE, chunk("one"))
    (segment,) = files_of(tmp_path / "vectors")
    secret = tmp_path / "secret"
    shutil.move(segment, secret)
    segment.symlink_to(secret)
    with pytest.raises(StorageFailed):
        await room_at(tmp_path / "vectors").store.count(ALICE)


async def test_iso_4_a_deleted_document_leaves_no_byte_of_text_name_or_vector_behind(tmp_path: Path) -> None:
    room = room_at(tmp_path)
    secret = DocumentChunk("f1", "my-secret.pdf", 0, "first-secret", heading=("of secret",), label="secret")
    await room.add(ALICE, secret, chunk("kept", "f2"))
    vector = (await room.embedder.embed_documents([secret.text]))[0].astype("<f4").tobytes()
    assert vector in bytes_of(tmp_path)
    await room.add(ALICE, chunk("second-secret", index=1))
    await room.add(ALICE, chunk("replaced-secret", "f2", 5))
    await room.add(ALICE, chunk("something else", "f2", 5))
    await room.store.delete(ALICE, "f1")
    everything = bytes_of(tmp_path)
    assert b"kept" in everything
    assert b"secret" not in everything
    assert vector not in everything


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


async def test_adding_writes_a_small_file_instead_of_all_again(tmp_path: Path) -> None:
    room = room_at(tmp_path)
    await room.add(ALICE, *(chunk(f"text {n}", index=n) for n in range(80)))
    (segment,) = files_of(tmp_path)
    before = (segment.stat().st_ino, segment.read_bytes())
    for n in range(12):
        await room.add(ALICE, chunk("two", index=100 + n))
    assert (segment.stat().st_ino, segment.read_bytes()) == before
    assert len(files_of(tmp_path)) <= 4


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


async def test_open_indexes_together_keep_within_a_number_of_bytes(tmp_path: Path) -> None:
    store = FaissVectorStore(tmp_path, max_open_bytes=40_000)
    room = Room(store, HashEmbedder())
    handles = len(list(Path("/proc/self/fd").iterdir()))
    for n in range(12):
        await room.add(Owner("default", f"user-{n}"), *(chunk(f"text {i}", index=i) for i in range(40)))
    assert sum(entry.cost for entry in store._open.values()) <= 40_000
    assert 1 <= len(store._open) <= 4
    assert len(list(Path("/proc/self/fd").iterdir())) - handles <= 4


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


async def test_what_a_cancelled_caller_began_never_overtakes_a_later_call(tmp_path: Path) -> None:
    room = room_at(tmp_path)
    for n in range(5):
        adding = asyncio.create_task(room.add(ALICE, *(chunk(f"text {i}", index=i) for i in range(200))))
        await asyncio.sleep(0.002 * n)
        adding.cancel()
        await room.store.delete(ALICE, "f1")
        assert await room.store.count(ALICE) == 0
    await asyncio.wait([adding])
    assert await texts(tmp_path) == []
