"""Ingestion: pages can be found before the last is read, and whatever fails leaves nothing half there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from backend.models.documents import Document
from backend.models.errors import StorageFull, TooLarge, UpstreamUnreachable, WorkerFailed
from backend.models.run import SERVER, Owner
from backend.storage.stores import Stores
from backend.workers.port import Limits
from tests.fakes.embedder import HashEmbedder
from tests.fakes.stores import fake_stores
from tests.fakes.vector_store import InMemoryVectorStore
from tests.fakes.worker import InlineWorker
from tests.tasks.library import ALICE, BOB, Library, parts

PDF = b"%PDF-1.7\n" + b"x" * 5000


def page(number: int, text: str, *, scanned: bool = False, done: float | None = None) -> dict[str, Any]:
    """What the job that reads a file yields for a page of one chunk."""
    piece = {"text": text, "start": 0, "end": len(text), "line": 1, "heading": []}
    fields = {"number": number, "text": text, "unit": "page", "label": "", "form": "plain", "scanned": scanned}
    return {**fields, "chunks": [piece] if text else [], "done": done}


class ScriptedWorker:
    """Plays the job that reads a file: `pages` come at once, those after a None when `go` is set; then `error`."""

    def __init__(self, *pages: dict[str, Any] | None, error: WorkerFailed | None = None) -> None:
        self.pages = pages
        self.error = error
        self.go = asyncio.Event()
        self.scans: list[int] = []
        self.ended = False

    async def run(
        self,
        job: str,
        payload: Mapping[str, Any],
        *,
        limits: Limits,
        on_progress: Callable[[Any], None] | None = None,
    ) -> Any:
        if job.endswith(":read_page"):
            self.scans.append(payload["page"])
            return {"number": payload["page"], "text": f"recognised words of page {payload['page']}"}
        assert on_progress is not None
        try:
            for each in self.pages:
                if each is None:
                    await self.go.wait()
                else:
                    on_progress(each)
            if self.error is not None:
                raise self.error
            return {"pages": len(self.pages), "characters": 1}
        finally:
            self.ended = True

    async def aclose(self) -> None:
        return None


async def wait_until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not await condition():
            await asyncio.sleep(0.005)


async def nothing_of(library: Library, document: Document, owner: Owner = ALICE) -> None:
    """No chunk, page or byte of a document is left."""
    assert await library.vectors.chunks(owner, document.file_id) == []
    assert (owner, document.file_id) not in library.stores.documents.texts  # type: ignore[attr-defined]
    assert not (library.stores.documents.folder / document.file_id).exists()  # type: ignore[attr-defined]


async def test_first_pages_are_found_before_the_last_are_read(tmp_path: Path) -> None:
    worker = ScriptedWorker(
        *(page(n, f"early words {n}", done=n / 100) for n in range(1, 51)), None, page(51, "late words", done=1.0)
    )
    library = Library(tmp_path, worker=worker)
    document = await library.upload("a.pdf", PDF)

    async def some() -> bool:
        return await library.vectors.count(ALICE) >= 32

    await wait_until(some)
    assert not worker.ended
    vector = await library.embedder.embed_query("early words 3")
    assert (await library.vectors.search(ALICE, vector, "early words 3", 3))[0].chunk.page is not None
    assert (await library.stores.documents.get(ALICE, document.file_id)).status == "processing"
    worker.go.set()
    states = [state async for state in library.ingest.events(ALICE, document.file_id)]
    assert (states[-1].status, states[-1].chunks, states[-1].pages) == ("ready", 51, 52)
    assert [chunk.index for chunk in await library.vectors.chunks(ALICE, document.file_id)] == list(range(51))
    assert len(await library.stores.documents.pages(ALICE, document.file_id)) == 51
    await library.aclose()


class Counting(HashEmbedder):
    """Notes how many texts had been counted when the first were embedded."""

    counted = 0
    before_first: int | None = None

    def count_tokens(self, texts: Any) -> int:
        self.counted += 1
        return super().count_tokens(texts)

    async def embed_documents(self, texts: Any) -> Any:
        if self.before_first is None:
            self.before_first = self.counted
        return await super().embed_documents(texts)


async def test_beginning_of_one_long_page_is_found_before_its_end_is_fitted(tmp_path: Path) -> None:
    embedder = Counting(window=12)
    library = Library(tmp_path, embedder=embedder, chunk_size=100, chunk_overlap=0)
    text = "\n\n".join(f"Paragraph {n} speaks of {n} horses and as many carts." for n in range(600))
    document = await library.upload("long.txt", text)
    states = [state async for state in library.ingest.events(ALICE, document.file_id)]
    assert states[-1].status == "ready"
    assert embedder.before_first is not None and embedder.counted > 3 * embedder.before_first
    chunks = await library.vectors.chunks(ALICE, document.file_id)
    assert [chunk.index for chunk in chunks] == list(range(len(chunks))) and len(chunks) == states[-1].chunks
    await library.aclose()


async def test_progress_never_goes_back_and_chunks_count_what_is_found(tmp_path: Path) -> None:
    library = Library(tmp_path, chunk_size=100, chunk_overlap=0)
    text = "\n\n".join(f"Paragraph {n} speaks of {n} horses and as many carts." for n in range(4000))
    document = await library.upload("long.txt", text)
    states = [state async for state in library.ingest.events(ALICE, document.file_id)]
    shown = [(state.progress, state.chunks) for state in states]
    assert shown == sorted(shown) and states[-1].progress == 1.0
    assert states[-1].chunks == await library.vectors.count(ALICE) > 1000
    await library.aclose()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        pytest.param(WorkerFailed("x", reason="timeout"), "too much time or memory", id="timeout"),
        pytest.param(WorkerFailed("x", reason="memory"), "too much time or memory", id="memory"),
        pytest.param(WorkerFailed("x", reason="crashed"), "damaged", id="crashed"),
        pytest.param(WorkerFailed("It is encrypted.", reason="refused"), "encrypted", id="refused"),
    ],
)
async def test_up_3_worker_killed_half_way_leaves_nothing_and_the_rest_is_found(
    tmp_path: Path, error: WorkerFailed, words: str
) -> None:
    library = Library(tmp_path)
    other = await library.put("other.txt", "What is there stays there.")
    bad = ScriptedWorker(*(page(n, f"words {n}") for n in range(1, 60)), error=error)
    again = Library(tmp_path, library.stores, library.vectors, worker=bad)
    file_id = await again.put("bad.pdf", PDF)
    document = await library.stores.documents.get(ALICE, file_id)
    assert document.status == "failed" and words in (document.error or "") and document.chunks == 0
    await nothing_of(library, document)
    assert len(await library.vectors.chunks(ALICE, other)) == 1
    await library.aclose()
    await again.aclose()


async def test_document_deleted_during_ingestion_leaves_nothing(tmp_path: Path) -> None:
    worker = ScriptedWorker(*(page(n, f"words {n}") for n in range(1, 60)), None)
    library = Library(tmp_path, worker=worker)
    document = await library.upload("a.pdf", PDF)

    async def some() -> bool:
        return await library.vectors.count(ALICE) > 0

    await wait_until(some)
    await library.ingest.delete(ALICE, document.file_id)
    await nothing_of(library, document)
    assert worker.ended and await library.stores.documents.list_documents(ALICE) == ([], 0)
    await library.aclose()


class Stopped(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("at", ["index", "tables", "documents"])
async def test_deletion_that_a_crash_interrupts_is_finished_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    library = Library(tmp_path)
    file_id = await library.put("a.txt", "some words")

    async def die(*_: Any, **__: Any) -> None:
        raise Stopped

    store = {"index": library.vectors, "tables": library.stores.tables, "documents": library.stores.documents}[at]
    with monkeypatch.context() as patched, pytest.raises(Stopped):
        patched.setattr(store, "delete", die)
        await library.ingest.delete(ALICE, file_id)
    assert await library.stores.documents.get_many(ALICE, [file_id]) == {}, "nobody finds what is left of it"
    after = Library(tmp_path, library.stores, library.vectors)
    assert await after.ingest.sweep() == 1
    assert await after.vectors.chunks(ALICE, file_id) == [] and not (tmp_path / file_id).exists()
    assert await after.ingest.sweep() == 0
    await after.aclose()


async def test_document_can_be_deleted_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(tmp_path)
    file_id = await library.put("a.txt", "some words")

    async def refuse(*_: Any) -> None:
        raise StorageFull("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(library.stores.documents, "update", refuse)
        await library.ingest.delete(ALICE, file_id)
    assert await library.vectors.chunks(ALICE, file_id) == []
    assert await library.stores.documents.list_documents(ALICE) == ([], 0)
    await library.aclose()


class FullDisk(InMemoryVectorStore):
    """Refuses to add from the `fails_at`-th call on."""

    fails_at = 1
    adds = 0

    async def add(self, *arguments: Any, **named: Any) -> None:
        self.adds += 1
        if self.adds >= self.fails_at:
            raise StorageFull("The disk is full, so this was not saved; free some space and try again.")
        await super().add(*arguments, **named)


@pytest.mark.parametrize("fails_at", [1, 2])
async def test_disk_full_while_adding_fails_the_document_alone(tmp_path: Path, fails_at: int) -> None:
    vectors = FullDisk()
    vectors.fails_at = fails_at
    worker = ScriptedWorker(*(page(n, f"words {n}") for n in range(1, 60)))
    library = Library(tmp_path, vectors=vectors, worker=worker)
    document = await library.stores.documents.get(ALICE, await library.put("a.pdf", PDF))
    assert document.status == "failed" and "disk is full" in (document.error or "")
    await nothing_of(library, document)
    await library.aclose()


async def test_disk_full_while_saving_pages_leaves_no_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(tmp_path)

    async def refuse(*_: Any) -> None:
        raise StorageFull("The disk is full.")

    monkeypatch.setattr(library.stores.documents, "save_pages", refuse)
    document = await library.stores.documents.get(ALICE, await library.put("a.txt", "some words"))
    assert document.status == "failed"
    await nothing_of(library, document)
    await library.aclose()


async def test_state_that_cannot_be_written_is_made_good_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library(tmp_path)

    async def refuse(*_: Any) -> None:
        raise StorageFull("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(library.stores.documents, "update", refuse)
        document = await library.upload("a.txt", "some words")
        await asyncio.wait(set(library.ingest._jobs.values()))
    assert (await library.stores.documents.get(ALICE, document.file_id)).status == "processing"
    after = Library(tmp_path, library.stores, library.vectors)
    await after.ingest.resume()
    states = [state async for state in after.ingest.events(ALICE, document.file_id)]
    assert states[-1].status == "ready" and len(await after.vectors.chunks(ALICE, document.file_id)) == 1
    await library.aclose()
    await after.aclose()


async def test_interrupted_ingestion_is_resumed_without_doubled_chunks(tmp_path: Path) -> None:
    worker = ScriptedWorker(*(page(n, f"words {n}") for n in range(1, 60)), None)
    library = Library(tmp_path, worker=worker)
    document = await library.upload("a.pdf", PDF)

    async def some() -> bool:
        return await library.vectors.count(ALICE) > 0

    await wait_until(some)
    await library.aclose()
    whole = ScriptedWorker(*(page(n, f"words {n}") for n in range(1, 50)))
    after = Library(tmp_path, library.stores, library.vectors, worker=whole)
    await after.ingest.resume()
    states = [state async for state in after.ingest.events(ALICE, document.file_id)]
    assert states[-1].status == "ready"
    assert [each.text for each in await after.vectors.chunks(ALICE, document.file_id)] == [
        f"words {n}" for n in range(1, 50)
    ]
    await after.aclose()


async def test_upload_while_stopping_is_taken_up_by_the_next_process(tmp_path: Path) -> None:
    library = Library(tmp_path)
    await library.ingest.aclose()
    document = await library.upload("a.txt", "some words")
    assert document.status == "processing" and not library.ingest.is_working_on(ALICE, document.file_id)
    after = Library(tmp_path, library.stores, library.vectors)
    await after.ingest.resume()
    states = [state async for state in after.ingest.events(ALICE, document.file_id)]
    assert states[-1].status == "ready"
    await after.aclose()


async def test_up_5_same_bytes_twenty_times_at_once_are_one_document(tmp_path: Path) -> None:
    library = Library(tmp_path)
    documents = await asyncio.gather(*(library.upload(f"{n}.txt", "the same words") for n in range(20)))
    assert len({document.file_id for document in documents}) == 1
    states = [state async for state in library.ingest.events(ALICE, documents[0].file_id)]
    assert states[-1].status == "ready"
    assert len(await library.vectors.chunks(ALICE, documents[0].file_id)) == 1
    await library.aclose()


async def test_files_of_one_name_are_documents_of_their_own(tmp_path: Path) -> None:
    library = Library(tmp_path)
    first, second = await library.put("same.txt", "first words"), await library.put("same.txt", "second words")
    assert first != second and await library.vectors.count(ALICE) == 2
    await library.aclose()


async def test_up_5_quotas_of_documents_and_bytes_refuse_an_upload_and_keep_nothing(tmp_path: Path) -> None:
    library = Library(tmp_path, max_documents_per_user=2)
    for number in range(2):
        await library.put(f"{number}.txt", f"words {number}")
    with pytest.raises(TooLarge, match="2 documents") as refusal:
        await library.upload("3.txt", "more words")
    assert refusal.value.code == "quota_exceeded"
    await library.put("again.txt", "words 1")
    await library.put("theirs.txt", "words of bob", owner=BOB)
    assert (await library.stores.documents.list_documents(ALICE))[1] == 2
    await library.aclose()
    small = Library(tmp_path / "small", max_storage_mb_per_user=0.001)
    with pytest.raises(TooLarge, match="MB together"):
        await small.upload("a.txt", "x" * 2000)
    await small.aclose()


async def test_up_5_quota_of_chunks_fails_the_document_with_nothing_half_there(tmp_path: Path) -> None:
    worker = ScriptedWorker(*(page(n, f"words {n}") for n in range(1, 120)))
    library = Library(tmp_path, worker=worker, max_chunks_per_user=100)
    document = await library.stores.documents.get(ALICE, await library.put("a.pdf", PDF))
    assert document.status == "failed" and "100 passages" in (document.error or "")
    await nothing_of(library, document)
    await library.aclose()


async def test_one_file_that_cannot_be_embedded_does_not_fail_those_embedded_with_it(tmp_path: Path) -> None:
    class Picky(HashEmbedder):
        async def embed_documents(self, texts: Any) -> Any:
            if any("poison" in text for text in texts):
                raise UpstreamUnreachable("The embedder refused.")
            return await super().embed_documents(texts)

    library = Library(tmp_path, embedder=Picky())
    names = ["good words", "poison words", "other words"]
    documents = await asyncio.gather(*(library.upload(f"{n}.txt", text) for n, text in enumerate(names)))
    ends = [[state async for state in library.ingest.events(ALICE, one.file_id)][-1].status for one in documents]
    assert ends == ["ready", "failed", "ready"]
    await library.aclose()


async def test_small_files_are_read_together_and_a_bad_one_only_spoils_itself(tmp_path: Path) -> None:
    worker = InlineWorker()
    library = Library(tmp_path, worker=worker)
    texts = [f"# Note {n}\n\nwords {n}" for n in range(10)]
    documents = await asyncio.gather(
        *(library.upload(f"{n}.md", text) for n, text in enumerate(texts)), library.upload("blank.txt", " \n ")
    )
    ends = [[state async for state in library.ingest.events(ALICE, one.file_id)][-1] for one in documents]
    assert [end.status for end in ends] == ["ready"] * 10 + ["failed"]
    assert "No text" in (ends[-1].error or "")
    jobs = [job for job, _ in worker.calls]
    assert len(jobs) < 6 and all(job.endswith("parse_each") for job in jobs)
    await library.aclose()


@pytest.fixture(params=[True, False], ids=["tesseract", "without tesseract"])
def tesseract(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    there: bool = request.param
    monkeypatch.setattr("backend.tasks.ingest_pages.tesseract_path", lambda: "/usr/bin/tesseract" if there else None)
    return there


async def test_scanned_pages_are_read_in_their_place_or_named(tmp_path: Path, tesseract: bool) -> None:
    worker = ScriptedWorker(page(1, "typed"), page(2, "", scanned=True), page(3, "more"), page(4, "", scanned=True))
    library = Library(tmp_path, worker=worker)
    document = await library.stores.documents.get(ALICE, await library.put("a.pdf", PDF))
    found = [(chunk.page, chunk.text) for chunk in await library.vectors.chunks(ALICE, document.file_id)]
    assert document.status == "ready"
    if tesseract:
        assert [number for number, _ in found] == [1, 2, 3, 4] and "recognised words of page 2" in found[1][1]
        assert document.note is None and worker.scans == [2, 4]
    else:
        assert found == [(1, "typed"), (3, "more")] and worker.scans == []
        assert (document.note or "").startswith("Pages 2 and 4 are scans and were not read")
    await library.aclose()


async def test_document_of_nothing_but_scans_fails_without_tesseract_alone(tmp_path: Path, tesseract: bool) -> None:
    refused = WorkerFailed("No text was found in the file.", reason="refused")
    worker = ScriptedWorker(page(1, "", scanned=True), page(2, "", scanned=True), error=refused)
    library = Library(tmp_path, worker=worker)
    document = await library.stores.documents.get(ALICE, await library.put("a.pdf", PDF))
    if tesseract:
        assert (document.status, document.chunks) == ("ready", 2)
    else:
        assert document.status == "failed" and "install tesseract" in (document.error or "")
    await library.aclose()


async def test_unfinished_documents_of_an_earlier_process_are_nobody_elses(tmp_path: Path) -> None:
    stores: Stores = fake_stores(tmp_path)
    await stores.documents.receive(BOB, "b.txt", parts(b"words of bob"), 1000)
    library = Library(tmp_path, stores)
    await library.ingest.resume()
    (document,), _ = await stores.documents.list_documents(BOB)
    assert [state async for state in library.ingest.events(BOB, document.file_id)][-1].status == "ready"
    assert await library.vectors.count(ALICE) == 0 and await stores.documents.owners(SERVER) == [BOB]
    await library.aclose()
