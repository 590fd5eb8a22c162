"""Uploaded files become searchable, in the background, and again after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from backend.config.settings import Settings
from backend.embeddings.port import Embedder
from backend.loaders.port import Loader
from backend.models.documents import READ_PURPOSES, Document, DocumentChunk, PageText, Terms
from backend.models.errors import HearthError, InvalidRequest, NotFound, UnsupportedFile, WorkerFailed
from backend.models.run import SERVER, Owner
from backend.storage.document_store import DocumentStore
from backend.tasks.table_import import TableImport
from backend.utils.names import clean_filename
from backend.vector_store.port import VectorStore
from backend.workers.port import Limits, Worker

log = logging.getLogger("hearth.ingest")

PARSE_JOB = "backend.loaders.parse_job:parse"
PARSE_LIMITS = Limits(seconds=30.0, memory_mb=512, output_bytes=64 * 1_048_576)
PARSERS_AT_ONCE = 2
INGESTIONS_OF_ONE_OWNER = 2
"""Further files of the same owner wait for these; another owner's do not."""
EMBED_BATCH = 32
HEAD_BYTES = 8192
PARSED_SHARE = 0.3
"""Parsing counts for this much of the progress shown; embedding is the rest."""
TABLE_SHARE = 0.4
"""What making tables counts for, after parsing, in files that hold any."""
PROGRESS_SECONDS = 0.5
SETTLED = ("ready", "failed", "kept")
"""States in which nothing goes on with a document."""
IMAGES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


class IngestTask:
    """Takes uploads in and works them off. One instance serves the process."""

    def __init__(
        self,
        settings: Settings,
        documents: DocumentStore,
        vectors: VectorStore,
        embedder: Embedder,
        worker: Worker,
        loaders: Sequence[Loader],
        tables: TableImport,
    ) -> None:
        self._settings = settings
        self._documents = documents
        self._vectors = vectors
        self._embedder = embedder
        self._worker = worker
        self._loaders = loaders
        self._tables = tables
        self._parsing = asyncio.Semaphore(PARSERS_AT_ONCE)
        self._embedding = asyncio.Semaphore(1)
        self._turns: dict[Owner, asyncio.Semaphore] = {}
        self._jobs: dict[tuple[Owner, str], asyncio.Task[None]] = {}
        self._watchers: dict[tuple[Owner, str], set[asyncio.Event]] = {}
        self.when_deleted: list[Callable[[Owner, str], Awaitable[None]]] = []
        """Called with the id of each document that is to go, so that nothing elsewhere outlives it."""

    async def upload(
        self,
        owner: Owner,
        filename: str,
        parts: AsyncIterator[bytes],
        terms: Callable[[], Terms] = Terms,
        *,
        keep_refused: bool = False,
    ) -> Document:
        """Store a file and start its ingestion, if it is to be read. The same bytes again give back what is there.

        Files that are not to be read are kept as they came; so are images of `user_data`, which are for looking at.
        With `keep_refused` a file that should be read and cannot be is known as failed, otherwise it leaves nothing.
        Raises TooLarge, UnsupportedFile, InvalidRequest (empty), StorageFull; nothing is left behind then.
        """
        document = await self._documents.receive(owner, filename, parts, self._settings.max_upload_bytes, terms)
        if document.status in ("processing", *SETTLED) or (owner, document.file_id) in self._jobs:
            return document
        if document.purpose not in READ_PURPOSES:
            return await self._keep(owner, document)
        try:
            loader = await self._loader_for(owner, document)
        except UnsupportedFile as error:
            if document.purpose == "user_data" and await self._image_type(owner, document) is not None:
                return await self._keep(owner, document)
            if keep_refused:
                await self._fail(owner, document, error.message)
                return await self._documents.get(owner, document.file_id)
            await self._documents.delete(owner, document.file_id)
            raise
        document = replace(document, content_type=loader.content_type, status="processing", error=None)
        await self._documents.update(owner, document)
        self._start(owner, document, loader)
        return document

    async def document(self, owner: Owner, file_id: str) -> Document:
        """Raises NotFound."""
        return await self._documents.get(owner, file_id)

    async def resume(self) -> None:
        """Start again what an earlier process left half done."""
        for owner, document in await self._documents.unfinished(SERVER):
            if document.purpose not in READ_PURPOSES:
                await self._keep(owner, document)
                continue
            try:
                loader = await self._loader_for(owner, document)
            except (UnsupportedFile, NotFound) as error:
                await self._save(owner, replace(document, status="failed", error=error.message))
                continue
            log.info("ingestion of %s is taken up again", document.file_id)
            self._start(owner, document, loader)

    async def upload_each(
        self, owner: Owner, files: AsyncIterator[tuple[str, AsyncIterator[bytes]]], most: int
    ) -> list[Document]:
        """Take in the files of one request, all or none: when one is refused, the new ones before it are removed.

        Raises what `upload` raises, with the refused file's name, and InvalidRequest for more than `most` files.
        """
        began = time.time()
        stored: list[Document] = []
        try:
            async for filename, parts in files:
                if len(stored) >= most:
                    raise InvalidRequest(f"Send at most {most} files in one request; none was kept.", param="file")
                try:
                    stored.append(await self.upload(owner, filename, parts))
                except HearthError as error:
                    if stored:
                        error.message = f"{clean_filename(filename)}: {error.message} None of the files was kept."
                    error.param = error.param or "file"
                    raise
        except HearthError:
            for document in stored:
                if document.created_at >= began:
                    await self.delete(owner, document.file_id)
            raise
        return stored

    async def delete(self, owner: Owner, file_id: str) -> None:
        """Remove a document and every trace of it, also while it is being ingested. Raises NotFound."""
        await self._documents.get(owner, file_id)
        await self._remove(owner, file_id)

    async def sweep(self) -> int:
        """Remove every document whose time is over; how many."""
        expired = await self._documents.expired(SERVER)
        for owner, document in expired:
            with contextlib.suppress(NotFound):
                await self._remove(owner, document.file_id)
        return len(expired)

    async def _remove(self, owner: Owner, file_id: str) -> None:
        job = self._jobs.get((owner, file_id))
        if job is not None:
            job.cancel()
            await asyncio.wait({job})
        # Before the document itself: what is interrupted here can be asked for again.
        for follower in self.when_deleted:
            await follower(owner, file_id)
        await self._documents.delete(owner, file_id)
        await self._vectors.delete(owner, file_id)
        await self._tables.delete(owner, file_id)
        self._notify((owner, file_id))

    async def events(self, owner: Owner, file_id: str) -> AsyncGenerator[Document, None]:
        """The document now, and again whenever something changed, until it is ready, failed, kept or gone.

        Raises NotFound before the first value.
        """
        key = (owner, file_id)
        changed = asyncio.Event()
        self._watchers.setdefault(key, set()).add(changed)
        try:
            while True:
                changed.clear()
                document = await self._documents.get(owner, file_id)
                yield document
                if document.status in SETTLED:
                    return
                await changed.wait()
        finally:
            self._watchers[key].discard(changed)
            if not self._watchers[key]:
                del self._watchers[key]

    async def aclose(self) -> None:
        """Stop what runs; it is taken up again at the next start."""
        jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel()
        if jobs:
            await asyncio.wait(jobs)

    async def _loader_for(self, owner: Owner, document: Document) -> Loader:
        head = await self._head(owner, document)
        extension = PurePosixPath(document.filename).suffix.lower()
        known = [loader for loader in self._loaders if extension in loader.extensions]
        for loader in known:
            if loader.accepts(head, extension):
                return loader
        if known:
            raise UnsupportedFile(f"The file is named {extension} but its content is something else: check the file.")
        kinds = ", ".join(sorted({each for loader in self._loaders for each in loader.extensions}))
        what = f"{extension[:20]} files" if extension else "files without an extension"
        raise UnsupportedFile(f"Hearth cannot read {what}: upload one of {kinds}.")

    async def _head(self, owner: Owner, document: Document) -> bytes:
        path = await self._documents.path(owner, document.file_id)
        return await asyncio.to_thread(_head, path)

    async def _image_type(self, owner: Owner, document: Document) -> str | None:
        """By its first bytes; None when it is no image."""
        head = await self._head(owner, document)
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return "image/webp"
        return next((kind for mark, kind in IMAGES if head.startswith(mark)), None)

    async def _keep(self, owner: Owner, document: Document) -> Document:
        """Leave a document as it came."""
        kind = await self._image_type(owner, document) or document.content_type
        document = replace(document, status="kept", content_type=kind, progress=1.0, error=None)
        return await self._progress(owner, document)

    def _start(self, owner: Owner, document: Document, loader: Loader) -> None:
        key = (owner, document.file_id)
        job = asyncio.create_task(self._ingest(owner, document, loader))
        self._jobs[key] = job
        job.add_done_callback(lambda _: self._ended(key))

    def _ended(self, key: tuple[Owner, str]) -> None:
        self._jobs.pop(key, None)
        if all(owner != key[0] for owner, _ in self._jobs):
            self._turns.pop(key[0], None)

    async def _ingest(self, owner: Owner, document: Document, loader: Loader) -> None:
        try:
            async with self._turns.setdefault(owner, asyncio.Semaphore(INGESTIONS_OF_ONE_OWNER)):
                done = await self._work(owner, document, loader)
        except NotFound:
            log.info("%s was deleted while it was ingested", document.file_id)
            return
        except HearthError as error:
            log.warning("ingestion of %s failed: %s", document.file_id, error.message)
            await self._fail(owner, document, _reason(error))
            return
        await self._save(owner, done)

    async def _work(self, owner: Owner, document: Document, loader: Loader) -> Document:
        if await self._vectors.needs_reindex(owner, self._embedder.name):
            await self._reindex(owner)
        await self._vectors.delete(owner, document.file_id)
        document = await self._progress(owner, replace(document, status="processing", progress=0.01))
        async with self._parsing:
            pages, chunks, total = await self._parse(owner, document, loader)
            begun = PARSED_SHARE
            if self._tables.kind_of(document) is not None:
                document = await self._make_tables(owner, document)
                begun += TABLE_SHARE
        await self._documents.save_pages(owner, document.file_id, pages)
        for start in range(0, len(chunks), EMBED_BATCH):
            batch = chunks[start : start + EMBED_BATCH]
            # One batch at a time, first come first served: a long document cannot hold up a short one.
            async with self._embedding:
                vectors = await self._embedder.embed_documents([chunk.text for chunk in batch])
            await self._vectors.add(owner, batch, vectors, self._embedder.name)
            done = begun + (1 - begun) * (start + len(batch)) / len(chunks)
            document = await self._progress(
                owner, replace(document, progress=min(done, 0.99), chunks=start + len(batch), pages=total)
            )
        return replace(document, status="ready", progress=1.0, chunks=len(chunks), pages=total, error=None)

    async def _make_tables(self, owner: Owner, document: Document) -> Document:
        """The document's tables, telling every half second how far that is; the document with a note on them."""
        path = await self._documents.path(owner, document.file_id)
        heard = [0.0]
        work = asyncio.ensure_future(
            self._tables.take_in(owner, document, path.resolve(), lambda done: heard.__setitem__(0, float(done)))
        )
        try:
            while not (await asyncio.wait({work}, timeout=PROGRESS_SECONDS))[0]:
                done = PARSED_SHARE + TABLE_SHARE * heard[0]
                document = await self._progress(owner, replace(document, progress=done))
            return replace(document, note=work.result(), progress=PARSED_SHARE + TABLE_SHARE)
        finally:
            # Whoever is cancelled here leaves no worker behind.
            work.cancel()
            await asyncio.wait({work})

    async def _parse(
        self, owner: Owner, document: Document, loader: Loader
    ) -> tuple[list[PageText], list[DocumentChunk], int | None]:
        pages: list[PageText] = []
        chunks: list[DocumentChunk] = []

        def take(part: Any) -> None:
            pages.append(PageText(part["page"], part["text"]))
            for text in part["chunks"]:
                chunks.append(DocumentChunk(document.file_id, document.filename, len(chunks), text, part["page"]))

        path = await self._documents.path(owner, document.file_id)
        result = await self._worker.run(
            PARSE_JOB,
            {
                "path": str(path.resolve()),
                "loader": loader.name,
                "chunk_size": self._settings.chunk_size,
                "chunk_overlap": self._settings.chunk_overlap,
            },
            limits=PARSE_LIMITS,
            on_progress=take,
        )
        return pages, chunks, result["pages"]

    async def _reindex(self, owner: Owner) -> None:
        """The index was made by another embedder: empty it and take every ready document in again."""
        await self._vectors.reset(owner)
        documents, more = await self._documents.list_after(owner)
        while more:
            further, more = await self._documents.list_after(owner, after=documents[-1].file_id)
            documents += further
        log.info("re-indexing %d documents of %s with %s", len(documents), owner.user, self._embedder.name)
        for document in documents:
            if document.status == "ready" and (owner, document.file_id) not in self._jobs:
                again = replace(document, status="processing", progress=0.0)
                await self._documents.update(owner, again)
                self._start(owner, again, await self._loader_for(owner, again))

    async def _fail(self, owner: Owner, document: Document, reason: str) -> None:
        await self._vectors.delete(owner, document.file_id)
        await self._tables.delete(owner, document.file_id)
        await self._save(owner, replace(document, status="failed", error=reason, chunks=0, progress=0.0))
        with contextlib.suppress(NotFound):
            await self._documents.drop_content(owner, document.file_id)

    async def _progress(self, owner: Owner, document: Document) -> Document:
        await self._documents.update(owner, document)
        self._notify((owner, document.file_id))
        return document

    async def _save(self, owner: Owner, document: Document) -> None:
        try:
            await self._progress(owner, document)
        except NotFound:
            log.info("%s was deleted while it was ingested", document.file_id)
            await self._vectors.delete(owner, document.file_id)
            await self._tables.delete(owner, document.file_id)

    def _notify(self, key: tuple[Owner, str]) -> None:
        for watcher in self._watchers.get(key, ()):
            watcher.set()


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)


def _reason(error: HearthError) -> str:
    if isinstance(error, WorkerFailed) and error.reason in ("error", "crashed"):
        return "The file is damaged and could not be read."
    if isinstance(error, WorkerFailed) and error.reason in ("timeout", "memory"):
        return "Reading the file took too much time or memory, so it was stopped."
    return error.message
