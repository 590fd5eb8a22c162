"""Uploaded files become searchable, in the background, and again after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace

from backend.config.settings import Settings
from backend.embeddings.port import Embedder, Embedders, OneEmbedder
from backend.loaders.port import Loader
from backend.models.documents import READ_PURPOSES, Document, IndexRecipe, Terms
from backend.models.errors import HearthError, InvalidRequest, NotFound, StorageFailed, UnsupportedFile
from backend.models.run import SERVER, Owner
from backend.storage.document_store import DocumentStore, Quota
from backend.tasks.ingest_index import EMBED_BATCH as EMBED_BATCH
from backend.tasks.ingest_index import IndexLine
from backend.tasks.ingest_kinds import Arrival, FileKinds
from backend.tasks.ingest_pages import PageReader, is_small
from backend.tasks.ingest_work import DocumentWork, reason_of
from backend.tasks.reindex import Reindexer
from backend.tasks.table_import import TableImport
from backend.utils.fair_turns import FairTurns
from backend.utils.names import clean_filename
from backend.vector_store.port import VectorStore
from backend.workers.port import Worker

log = logging.getLogger("hearth.ingest")

INGESTIONS_OF_ONE_OWNER = 2
"""Further files of the same owner wait for these; another owner's do not."""
INGESTIONS_AT_ONCE = 12
"""Of all owners together: what bounds the text that waits in memory. Owners have their turns one after another."""
SMALL_AT_ONCE = 64
"""Small text files of one owner that are on their way together."""
SETTLED = ("ready", "failed", "kept")
"""States in which nothing goes on with a document."""


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
        embedders: Embedders | None = None,
    ) -> None:
        self._settings = settings
        self._documents = documents
        self._tables = tables
        self._kinds = FileKinds(documents, loaders)
        self._reader = PageReader(settings, worker)
        recipe = recipe_of(settings, embedder)
        self._line = IndexLine(vectors, embedders or OneEmbedder(embedder), recipe, settings.max_chunks_per_user)
        self._work = DocumentWork(documents, embedder, self._reader, self._line, tables)
        self.reindex = Reindexer(settings, documents, vectors, embedder, recipe, self._reader, self._kinds, self._line)
        self._quota = Quota(settings.max_documents_per_user, settings.max_storage_mb_per_user * 1_048_576)
        self._large = FairTurns(INGESTIONS_AT_ONCE)
        self._turns: dict[tuple[Owner, bool], asyncio.Semaphore] = {}
        self._jobs: dict[tuple[Owner, str], asyncio.Task[None]] = {}
        self._of_owner: dict[Owner, int] = {}
        self._watchers: dict[tuple[Owner, str], set[asyncio.Event]] = {}
        self._closed = False
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
        Raises TooLarge (also for a full quota), UnsupportedFile, InvalidRequest (empty), StorageFull; nothing is left
        behind then.
        """
        arrival = Arrival(self._kinds, keep_refused=keep_refused)
        document = await self._documents.receive(
            owner,
            filename,
            arrival.watch(parts),
            self._settings.max_upload_bytes,
            terms,
            self._quota,
            arrival.begin,
        )
        if arrival.refused is not None:
            await self._fail(owner, document, arrival.refused.message)
            return await self._documents.get(owner, document.file_id)
        if arrival.loader is not None:
            self._start(owner, document, arrival.loader, fresh=True)
        elif document.status == "uploaded":  # an earlier process got no further with it
            await self.take_up(owner, document)
        return document

    async def document(self, owner: Owner, file_id: str) -> Document:
        """Raises NotFound."""
        return await self._documents.get(owner, file_id)

    async def resume(self) -> None:
        """Start again what an earlier process left half done, and look for indexes that are to be made again."""
        for owner, document in await self._documents.unfinished(SERVER):
            await self.take_up(owner, document)
        self.reindex.start()

    async def take_up(self, owner: Owner, document: Document) -> None:
        """Go on with a document that an earlier process left `uploaded` or `processing`."""
        if document.purpose not in READ_PURPOSES:
            await self._keep(owner, document)
            return
        try:
            loader = await self._kinds.loader_for(owner, document)
        except (UnsupportedFile, NotFound) as error:
            await self._fail(owner, document, error.message)
            return
        log.info("ingestion of %s is taken up again", document.file_id)
        self._start(owner, replace(document, status="processing"), loader, fresh=False)

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
        document = await self._documents.get(owner, file_id)
        await self._stop(owner, file_id)
        await self._let_expire(owner, document)
        await self._remove(owner, file_id)

    async def sweep(self) -> int:
        """Remove every document whose time is over; how many."""
        expired = await self._documents.expired(SERVER)
        for owner, document in expired:
            with contextlib.suppress(NotFound):
                await self._remove(owner, document.file_id)
        return len(expired)

    async def _stop(self, owner: Owner, file_id: str) -> None:
        """End its ingestion, if that goes on."""
        job = self._jobs.get((owner, file_id))
        if job is not None:
            job.cancel()
            await asyncio.wait({job})

    async def _let_expire(self, owner: Owner, document: Document) -> None:
        """From here on it is gone for everybody, and what interrupts its removal is made good by `sweep`."""
        over = replace(document, expires_at=min(document.created_at, time.time()))
        try:
            await self._documents.update(owner, over)
        except StorageFailed:
            # On a full disk its own bytes make the room.
            await self._documents.drop_content(owner, document.file_id)
            with contextlib.suppress(StorageFailed):
                await self._documents.update(owner, over)

    async def _remove(self, owner: Owner, file_id: str) -> None:
        await self._stop(owner, file_id)
        for follower in self.when_deleted:
            await follower(owner, file_id)
        await self._line.remove(owner, file_id)
        await self._tables.delete(owner, file_id)
        # Last, as it is what tells that the rest is to be removed.
        await self._documents.delete(owner, file_id)
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

    def is_working_on(self, owner: Owner, file_id: str) -> bool:
        """Whether this process is taking the document in."""
        return (owner, file_id) in self._jobs

    async def aclose(self) -> None:
        """Stop what runs; it is taken up again at the next start, and so is what is uploaded from now on."""
        self._closed = True
        await self.reindex.aclose()
        jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel()
        if jobs:
            await asyncio.wait(jobs)
        await self._reader.aclose()
        await self._line.aclose()

    async def _keep(self, owner: Owner, document: Document) -> Document:
        """Leave a document as it came."""
        kind = await self._kinds.image_type(owner, document) or document.content_type
        document = replace(document, status="kept", content_type=kind, progress=1.0, error=None)
        return await self._tell(owner, document)

    def _start(self, owner: Owner, document: Document, loader: Loader, *, fresh: bool) -> None:
        """`fresh`: no earlier process can have left anything of it in the index."""
        key = (owner, document.file_id)
        if self._closed or key in self._jobs:
            return
        job = asyncio.create_task(self._ingest(owner, document, loader, fresh))
        self._jobs[key] = job
        self._of_owner[owner] = self._of_owner.get(owner, 0) + 1
        job.add_done_callback(lambda _: self._ended(key))

    def _ended(self, key: tuple[Owner, str]) -> None:
        self._jobs.pop(key, None)
        owner = key[0]
        self._of_owner[owner] -= 1
        if not self._of_owner[owner]:
            del self._of_owner[owner]
            for small in (False, True):
                self._turns.pop((owner, small), None)

    async def _ingest(self, owner: Owner, document: Document, loader: Loader, fresh: bool) -> None:
        small = is_small(document, loader)
        at_once = SMALL_AT_ONCE if small else INGESTIONS_OF_ONE_OWNER
        try:
            async with (
                self._turns.setdefault((owner, small), asyncio.Semaphore(at_once)),
                contextlib.nullcontext() if small else self._large.turn(owner),
            ):
                await self.reindex.check(owner)
                if not fresh:
                    await self._line.remove(owner, document.file_id)
                done = await self._work.take_in(owner, document, loader, lambda now: self._tell(owner, now))
            await self._tell(owner, done)
        except NotFound:
            log.info("%s was deleted while it was ingested", document.file_id)
            await self._clear(owner, document.file_id)
        except HearthError as error:
            log.warning("ingestion of %s failed: %s", document.file_id, error.message)
            await self._fail(owner, document, reason_of(error))

    async def _fail(self, owner: Owner, document: Document, reason: str) -> None:
        """Nothing half there, as far as the disk lets it; what it refuses is done again at the next start."""
        try:
            await self._clear(owner, document.file_id)
            await self._tell(owner, replace(document, status="failed", error=reason, chunks=0, progress=0.0, note=None))
            await self._documents.drop_content(owner, document.file_id)
        except NotFound:
            log.info("%s was deleted while it was ingested", document.file_id)
        except HearthError as error:
            log.error("what is left of %s is removed at the next start: %s", document.file_id, error.message)

    async def _clear(self, owner: Owner, file_id: str) -> None:
        """Remove what ingestion has made of a document."""
        await self._line.remove(owner, file_id)
        await self._tables.delete(owner, file_id)

    async def _tell(self, owner: Owner, document: Document) -> Document:
        await self._documents.update(owner, document)
        self._notify((owner, document.file_id))
        return document

    def _notify(self, key: tuple[Owner, str]) -> None:
        for watcher in self._watchers.get(key, ()):
            watcher.set()


def recipe_of(settings: Settings, embedder: Embedder) -> str:
    """What the main index of every owner is made with."""
    return str(IndexRecipe(embedder.name, settings.chunk_size, settings.chunk_overlap))
