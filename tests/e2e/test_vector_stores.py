"""Files and vector stores by the official SDK against a real server; kill -9 in the middle of indexing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.server import HearthServer

LIGHTHOUSE = b"The lighthouse was built in 1873 by two brothers from Bergen."
GATE = b"Visitors park their cars behind the north gate, next to the chestnut tree."


def sdk(server: HearthServer, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0)


@pytest.fixture(scope="module")
def client(offline: HearthServer) -> Iterator[openai.OpenAI]:
    with sdk(offline, offline.add_user("shelves")) as made:
        yield made


@pytest.fixture(scope="module")
def store(client: openai.OpenAI) -> str:
    """A store with two files: one as all documents are searched, one with chunks of its own."""
    made = client.vector_stores.create(name="Town", metadata={"kind": "test"})
    first = client.vector_stores.files.upload_and_poll(
        vector_store_id=made.id, file=("lighthouse.txt", LIGHTHOUSE), attributes={"year": 1873, "sea": True}
    )
    second = client.vector_stores.files.upload_and_poll(
        vector_store_id=made.id,
        file=("gate.md", GATE),
        attributes={"year": 1990},
        chunking_strategy={"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 0}},
    )
    assert (first.status, second.status) == ("completed", "completed")
    return made.id


def test_a_file_from_creating_to_deleting(client: openai.OpenAI) -> None:
    made = client.files.create(
        file=("../notes.txt", b"Kept for an hour."),
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert (made.filename, made.bytes, made.purpose) == ("notes.txt", 17, "user_data")
    assert made.expires_at == made.created_at + 3600
    done = client.files.wait_for_processing(made.id, poll_interval=0.02)
    assert (done.id, done.status) == (made.id, "processed")
    assert client.files.content(made.id).read() == b"Kept for an hour."
    assert client.files.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(made.id)


def test_files_are_listed_page_by_page_to_the_end(client: openai.OpenAI) -> None:
    made = [client.files.create(file=(f"{n}.jsonl", b"line %d" % n), purpose="batch").id for n in range(5)]
    assert [file.id for file in client.files.list(purpose="batch", limit=2)] == made[::-1]
    assert [file.id for file in client.files.list(purpose="batch", limit=2, order="asc")] == made
    for file in client.files.list(purpose="batch", limit=2):
        client.files.delete(file.id)
    assert list(client.files.list(purpose="batch")) == []


def test_an_image_is_processed_without_being_read(client: openai.OpenAI) -> None:
    made = client.files.create(file=("a.png", b"\x89PNG\r\n\x1a\n"), purpose="vision")
    assert made.status == "processed" and made.status_details is None


def test_a_file_in_parts(client: openai.OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "parts.txt"
    path.write_bytes(b"All in all it is one text. " * 100)
    done = client.uploads.upload_file_chunked(file=path, mime_type="text/plain", purpose="assistants", part_size=1000)
    assert done.status == "completed" and done.file is not None
    assert client.files.content(done.file.id).read() == path.read_bytes()


def test_search_finds_by_meaning_and_by_filter(client: openai.OpenAI, store: str) -> None:
    found = client.vector_stores.search(store, query="Where can guests leave their automobile?").data
    assert found[0].filename == "gate.md" and found[0].content[0].text == GATE.decode()
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
    assert all(0 <= hit.score <= 1 for hit in found)
    filtered = client.vector_stores.search(
        store,
        query=["who built the lighthouse", "cars"],
        filters={
            "type": "and",
            "filters": [{"type": "lt", "key": "year", "value": 1900}, {"type": "eq", "key": "sea", "value": True}],
        },
    )
    assert [hit.filename for hit in filtered.data] == ["lighthouse.txt"]
    assert filtered.data[0].attributes == {"year": 1873, "sea": True}


def test_a_batch_of_uploads(client: openai.OpenAI, store: str) -> None:
    batch = client.vector_stores.file_batches.upload_and_poll(
        store,
        files=[("b1.txt", b"Bananas are yellow."), ("b2.txt", b"Cucumbers are green."), ("b3.zip", b"PK\x03\x04")],
    )
    assert (batch.status, batch.file_counts.completed, batch.file_counts.failed) == ("completed", 2, 1)
    listed = client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store, filter="failed")
    (failed,) = list(listed)
    assert failed.last_error is not None and failed.last_error.code == "invalid_file"
    for file in client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store, limit=1):
        client.vector_stores.files.delete(file.id, vector_store_id=store)
    assert client.vector_stores.retrieve(store).file_counts.total == 2


def test_stores_are_deleted_while_they_are_listed(client: openai.OpenAI, store: str) -> None:
    for number in range(5):
        client.vector_stores.create(name=f"short-lived {number}")
    for each in client.vector_stores.list(limit=2):
        if each.name.startswith("short-lived"):
            client.vector_stores.delete(each.id)
    assert [each.id for each in client.vector_stores.list()] == [store]


def test_a_deleted_file_leaves_the_store(client: openai.OpenAI, store: str) -> None:
    file = client.vector_stores.files.upload_and_poll(vector_store_id=store, file=("x.txt", b"Zeppelins hum."))
    assert client.vector_stores.search(store, query="zeppelins").data[0].filename == "x.txt"
    client.files.delete(file.id)
    assert "x.txt" not in [hit.filename for hit in client.vector_stores.search(store, query="zeppelins").data]
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.files.retrieve(file.id, vector_store_id=store)


def test_iso_3_one_users_files_and_stores_do_not_exist_for_another(
    offline: HearthServer, client: openai.OpenAI, store: str
) -> None:
    file = next(iter(client.vector_stores.files.list(store)))
    with sdk(offline, offline.add_user("nosy")) as nosy:
        assert list(nosy.files.list()) == [] and list(nosy.vector_stores.list()) == []
        calls: list[Any] = [
            lambda: nosy.files.retrieve(file.id),
            lambda: nosy.files.content(file.id),
            lambda: nosy.files.delete(file.id),
            lambda: nosy.vector_stores.retrieve(store),
            lambda: nosy.vector_stores.search(store, query="lighthouse"),
            lambda: nosy.vector_stores.delete(store),
            lambda: nosy.vector_stores.create(file_ids=[file.id]),
        ]
        for call in calls:
            with pytest.raises(openai.NotFoundError):
                call()


def test_an_answer_from_a_store_alone(client: openai.OpenAI, store: str) -> None:
    """The other documents of the user are neither searched nor named."""
    other = client.files.create(file=("other.txt", b"The lighthouse was torn down in 1999."), purpose="user_data")
    client.files.wait_for_processing(other.id, poll_interval=0.02)
    response = client.responses.create(
        model="hearth",
        input="When was the lighthouse built, according to my documents?",
        tools=[{"type": "file_search", "vector_store_ids": [store]}],
        include=["file_search_call.results"],
    )
    assert "1873" in response.output_text
    searches = [item for item in response.output if item.type == "file_search_call"]
    assert searches
    names = {result.filename for search in searches for result in search.results or []}
    assert "lighthouse.txt" in names and "other.txt" not in names
    client.files.delete(other.id)


@pytest.mark.slow
def test_indexing_goes_on_after_kill_9(tmp_path: Path) -> None:
    rules = "\n\n".join(
        f"Rule {n}: whatever is called thing-{n} has to be stored on shelf {7 * n} of the hall." for n in range(150)
    )
    with HearthServer(tmp_path) as server:
        with sdk(server, server.key) as client:
            file = client.files.create(file=("rules.md", rules.encode()), purpose="assistants")
            assert client.files.wait_for_processing(file.id, poll_interval=0.05).status == "processed"
            chunking: Any = {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 50}
            store = client.vector_stores.create(
                file_ids=[file.id], chunking_strategy={"type": "static", "static": chunking}
            )
            assert store.status == "in_progress"
            segments = tmp_path / "data" / "vector_db"
            deadline = time.monotonic() + 30
            while not list(segments.rglob(f"{store.id}/0*/*.seg")):
                assert time.monotonic() < deadline, "indexing did not begin"
                time.sleep(0.01)
            assert client.vector_stores.retrieve(store.id).status == "in_progress"
        server.kill()
        server.start()
        with sdk(server, server.key) as client:
            done = client.vector_stores.files.poll(file.id, vector_store_id=store.id)
            assert (done.status, done.last_error) == ("completed", None)
            assert client.vector_stores.retrieve(store.id).status == "completed"
            for number in (3, 74, 149):
                hits = client.vector_stores.search(store.id, query=f"On which shelf is thing-{number}?").data
                assert any(f"thing-{number} has to be stored on shelf {7 * number} " in h.content[0].text for h in hits)
