"""Ingestion on a real server: uploads at once, quotas, deleting and killing in the middle, indexes made again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server import HearthServer, upload_and_wait, wait_for_document

QUOTA = 6


def book(words: str, chapters: int) -> bytes:
    """Text of about one chunk a chapter."""
    parts = [f"Chapter {n} of the {words} tells of {n} ships and of what they carried. " * 12 for n in range(chapters)]
    return "\n\n".join(parts).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HearthServer]:
    folder = tmp_path_factory.mktemp("ingestion")
    with HearthServer(folder, MAX_DOCUMENTS_PER_USER=str(QUOTA), MAX_STORAGE_MB_PER_USER="1") as server:
        yield server


def passages(client: httpx.Client, query: str) -> list[dict[str, Any]]:
    answer = client.post("/api/tools/rag_retrieval/run", json={"arguments": {"query": query, "top_k": 3}}).json()
    assert answer["error"] is None
    found: list[dict[str, Any]] = answer["sources"]
    return found


def upload(client: httpx.Client, name: str, content: bytes) -> httpx.Response:
    return client.post("/api/files/upload", files={"file": (name, content)})


def test_up_5_same_file_twenty_times_at_once_is_one_document(server: HearthServer) -> None:
    with server.client(server.add_user("twenty")) as client, ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda n: upload(client, f"{n}.txt", b"The same words for all."), range(20)))
        assert {answer.status_code for answer in answers} == {201}
        (file_id,) = {answer.json()["file_id"] for answer in answers}
        document = wait_for_document(client, file_id)
        assert (document["status"], document["chunks"]) == ("ready", 1)
        assert client.get("/api/files/documents").json()["total"] == 1


def test_up_5_full_quota_is_told_and_room_is_given_back_by_deleting(server: HearthServer) -> None:
    with server.client(server.add_user("full")) as client:
        ids = [upload(client, f"{n}.txt", f"Words of file {n}.".encode()).json()["file_id"] for n in range(QUOTA)]
        refused = upload(client, "more.txt", b"More words.")
        assert refused.status_code == 413 and refused.json()["error"]["code"] == "quota_exceeded"
        assert f"{QUOTA} documents" in refused.json()["error"]["message"]
        assert client.get("/api/files/documents").json()["total"] == QUOTA
        assert client.delete(f"/api/files/documents/{ids[0]}").status_code == 204
        large = upload(client, "large.txt", b"x " * 600_000)
        assert large.status_code == 413 and "MB together" in large.json()["error"]["message"]
        assert upload_and_wait(client, "more.txt", b"More words.")["status"] == "ready"
        assert list((server.folder / "data" / "uploads").glob("*/.incoming/*")) == []


def test_document_deleted_during_ingestion_leaves_nothing_and_the_others_are_found(server: HearthServer) -> None:
    with server.client(server.add_user("deleter")) as client:
        kept = upload_and_wait(client, "kept.txt", b"The heron nests in the reeds by the mill.")
        file_id = upload(client, "book.txt", book("GREENHERON", 300)).json()["file_id"]
        deadline = time.monotonic() + 60
        while not client.get(f"/api/files/documents/{file_id}").json()["chunks"]:
            assert time.monotonic() < deadline
        assert client.delete(f"/api/files/documents/{file_id}").status_code == 204
        found = passages(client, "Where does the heron nest?")
        assert {source["file_id"] for source in found} == {kept["file_id"]}
    left = [path for path in (server.folder / "data").rglob("*") if path.is_file() and "runs" not in path.parts]
    assert not [path for path in left if file_id in path.name or b"GREENHERON" in path.read_bytes()]


@pytest.mark.slow
def test_kill_9_while_an_index_is_made_again_goes_on_after_the_restart(tmp_path: Path) -> None:
    server = HearthServer(tmp_path, CHUNK_SIZE="1000").start()
    try:
        with server.client(server.key) as client:
            first = upload_and_wait(client, "book.txt", book("voyage", 30))
            other = upload_and_wait(client, "heron.txt", b"The heron nests in the reeds by the mill.")
        server.stop()
        server.environment["CHUNK_SIZE"] = "250"
        server.start()
        _ready(server, "reindexing", there=True)
        with server.client(server.key) as client:
            assert passages(client, "Where does the heron nest?")[0]["file_id"] == other["file_id"], (
                "the old one serves"
            )
        server.kill()
        server.start()
        _ready(server, "reindexing", there=False)
        with server.client(server.key) as client:
            document = client.get(f"/api/files/documents/{first['file_id']}").json()
            assert document["status"] == "ready" and document["chunks"] > 2 * first["chunks"]
            assert passages(client, "Where does the heron nest?")[0]["file_id"] == other["file_id"]
            again = upload_and_wait(client, "new.txt", b"The otter sleeps under the bridge.")
            assert passages(client, "Where does the otter sleep?")[0]["file_id"] == again["file_id"]
        assert "has been made again: 2 documents" in server.log() + server.errors()
    finally:
        server.stop()


def _ready(server: HearthServer, part: str, *, there: bool) -> None:
    """Wait until /health/ready has a part, or has it no more."""
    with server.client("") as client:
        deadline = time.monotonic() + 120
        while (part in client.get("/health/ready").json()) is not there:
            assert time.monotonic() < deadline, server.log()[-2000:]
            time.sleep(0.02)
