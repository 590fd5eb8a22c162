"""An owner's index is made again, in the background, when embedder or splitting changed or something of it was lost.

The new one is staged beside the old, which goes on serving until the new one takes its place in one step. It is made
from the stored pages; a file is read again only where they are missing or were stored by an older server.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from backend.config.settings import Settings
from backend.embeddings.port import Embedder
from backend.models.documents import READING, Document, DocumentChunk, PageText
from backend.models.errors import HearthError, NotFound, StorageFailed
from backend.models.run import SERVER, Owner
from backend.storage.document_store import DocumentStore, every_document
from backend.tasks.fitting import fitted
from backend.tasks.ingest_index import EMBED_BATCH, STAGED, IndexLine, Renewal
from backend.tasks.ingest_kinds import FileKinds
from backend.tasks.ingest_pages import PageReader, Reading, as_chunk, vars_of
from backend.utils.chunking import Chunker
from backend.vector_store.port import VectorStore

log = logging.getLogger("hearth.reindex")

LOCK = "reindex.lock"
FIRST_PAUSE, LONGEST_PAUSE = 60.0, 3600.0
"""Seconds until a failed attempt is made again."""
CHECK_SECONDS = 2.0
"""How often an index that is as it should be is looked at."""
LOOK_SECONDS = 2.0
"""How often it is looked whether another process is done."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an index is: documents done, and documents there are."""

    done: int
    total: int


class Reindexer:
    """At most one job an owner, one after another. `progress` tells of those that run or wait."""

    def __init__(
        self,
        settings: Settings,
        documents: DocumentStore,
        vectors: VectorStore,
        embedder: Embedder,
        recipe: str,
        reader: PageReader,
        kinds: FileKinds,
        line: IndexLine,
    ) -> None:
        self._settings = settings
        self._documents = documents
        self._vectors = vectors
        self._embedder = embedder
        self._recipe = recipe
        self._reader = reader
        self._kinds = kinds
        self._line = line
        self._jobs: dict[Owner, asyncio.Task[None]] = {}
        self._checked: dict[Owner, float] = {}
        self._checking: dict[Owner, asyncio.Lock] = {}
        self._one_at_a_time = asyncio.Semaphore(1)
        self._sweep: asyncio.Task[None] | None = None
        self.progress: dict[Owner, Progress] = {}
        self.first_pause = FIRST_PAUSE

    def start(self) -> None:
        """Look through the indexes of all owners, in the background."""
        self._sweep = asyncio.create_task(self._look_through())

    def status(self) -> str | None:
        """A few words for an operator, about nobody in particular; None when nothing is to be made again."""
        if not self.progress:
            return None
        done, total = (sum(getattr(one, each) for one in self.progress.values()) for each in ("done", "total"))
        return f"{done} of {total} documents"

    async def due(self, owner: Owner) -> bool:
        """Whether the owner's index is to be made again."""
        return await self._vectors.needs_reindex(owner, self._recipe)

    async def check(self, owner: Owner) -> bool:
        """Begin to make the owner's index again, if it is to be; whether that goes on. Waits for no more than that."""
        async with self._checking.setdefault(owner, asyncio.Lock()):
            if owner in self._jobs:
                return True
            now = time.monotonic()
            if now - self._checked.get(owner, -CHECK_SECONDS) < CHECK_SECONDS:
                return False
            if not await self.due(owner):
                self._checked[owner] = now
                return False
            async with self._line.alone(owner):
                renewal = Renewal(await self._vectors.recipe(owner))
                self._line.begin(owner, renewal)
            self.progress[owner] = Progress(0, 0)
            job = self._jobs[owner] = asyncio.create_task(self._run(owner, renewal))
            job.add_done_callback(lambda _: self._ended(owner))
            return True

    async def settled(self, owner: Owner) -> None:
        """Wait until nothing goes on with the owner's index."""
        while (job := self._jobs.get(owner)) is not None:
            await asyncio.wait({job})
            await asyncio.sleep(0)

    async def aclose(self) -> None:
        """Stop; the next start goes on with what is staged."""
        tasks = [*self._jobs.values(), *([self._sweep] if self._sweep is not None else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _ended(self, owner: Owner) -> None:
        self._jobs.pop(owner, None)
        self.progress.pop(owner, None)

    async def _look_through(self) -> None:
        for owner in await self._documents.owners(SERVER):
            try:
                if not await self.check(owner):
                    await self._discard(owner)
            except HearthError as error:
                log.error("the index of %s could not be looked at: %s", owner.user, error.message)

    async def _discard(self, owner: Owner) -> None:
        """Remove what an interrupted process staged for an index that is as it should be."""
        async with self._line.alone(owner):
            if owner not in self._jobs and await self._vectors.recipe(owner, collection=STAGED) is not None:
                await self._vectors.reset(owner, collection=STAGED)

    async def _run(self, owner: Owner, renewal: Renewal) -> None:
        pause = self.first_pause
        while True:
            try:
                async with self._one_at_a_time:
                    if await self._attempt(owner, renewal):
                        return
                pause = LOOK_SECONDS
            except HearthError as error:
                log.error(
                    "The index of %s could not be made again (%s) The old one goes on serving; next try in %d s.",
                    owner.user, error.message, pause,
                )  # fmt: skip
                with contextlib.suppress(HearthError):
                    # On a full disk there is more use for its room.
                    async with self._line.alone(owner):
                        await self._vectors.reset(owner, collection=STAGED)
                pause = min(LONGEST_PAUSE, pause)
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, 4 * pause)

    async def _attempt(self, owner: Owner, renewal: Renewal) -> bool:
        """Whether the index is as it should be now."""
        if not await self.due(owner):  # another process has done it
            self._line.end(owner)
            return True
        with _alone(self._settings.data_dir / LOCK) as mine:
            if mine:
                renewal.is_over = None
                await self._build(owner)
                return True
        renewal.is_over = partial(self._is_as_it_should_be, owner)
        return False

    async def _is_as_it_should_be(self, owner: Owner) -> bool:
        return not await self.due(owner)

    # ---- making it -------------------------------------------------------------------------------

    async def _build(self, owner: Owner) -> None:
        if await self._vectors.needs_reindex(owner, self._recipe, collection=STAGED):
            async with self._line.alone(owner):
                await self._vectors.reset(owner, collection=STAGED)
        counts: dict[str, int] = {}
        log.info("the index of %s is made again with %s", owner.user, self._recipe)
        while True:
            todo = [one for one in await self._ready(owner) if one.file_id not in counts]
            if not todo and await self._swapped(owner, counts):
                break
            for document in todo:
                self.progress[owner] = Progress(len(counts), len(counts) + len(todo))
                counts[document.file_id] = await self._one(owner, document)
                todo = todo[1:]
        log.info("the index of %s has been made again: %d documents", owner.user, len(counts))
        for file_id, count in counts.items():
            await self._count(owner, file_id, count)

    async def _swapped(self, owner: Owner, counts: dict[str, int]) -> bool:
        """Put the staged index in place, unless a document has become ready meanwhile."""
        async with self._line.alone(owner):
            if any(one.file_id not in counts for one in await self._ready(owner)):
                return False
            try:
                await self._vectors.swap(owner, STAGED)
            except NotFound:
                await self._vectors.reset(owner)
            self._line.end(owner)
            return True

    async def _ready(self, owner: Owner) -> list[Document]:
        return [one for one in await every_document(self._documents, owner) if one.status == "ready"]

    async def _count(self, owner: Owner, file_id: str, count: int) -> None:
        """Keep how many chunks a document has now."""
        with contextlib.suppress(NotFound):
            document = await self._documents.get(owner, file_id)
            if document.status == "ready" and document.chunks != count:
                await self._documents.update(owner, replace(document, chunks=count))

    async def _one(self, owner: Owner, document: Document) -> int:
        """Stage a document, but for what is staged already; how many chunks it has."""

        async def alive() -> bool:
            return bool(await self._documents.get_many(owner, [document.file_id]))

        try:
            pages = await self._pages(owner, document)
            chunks = await self._chunks(document, pages)
        except NotFound:
            return 0
        there = {
            each.index: each.context_text
            for each in await self._vectors.chunks(owner, document.file_id, collection=STAGED)
        }
        wanted = [each for each in chunks if there.get(each.index) != each.context_text]
        if there.keys() - {each.index for each in chunks}:
            async with self._line.alone(owner):
                await self._vectors.delete(owner, document.file_id, collection=STAGED)
            wanted = chunks
        for start in range(0, len(wanted), EMBED_BATCH):
            await self._line.add(owner, wanted[start : start + EMBED_BATCH], alive)
        return len(chunks)

    async def _chunks(self, document: Document, pages: list[PageText]) -> list[DocumentChunk]:
        chunker = Chunker(self._settings.chunk_size, self._settings.chunk_overlap)
        found: list[DocumentChunk] = []
        for page in pages:
            pieces = await asyncio.to_thread(lambda page: list(chunker.pieces(page.text, page.form)), page)
            found += [as_chunk(document, page, vars_of(piece)) for piece in pieces]
        return await fitted(found, self._embedder)

    async def _pages(self, owner: Owner, document: Document) -> list[PageText]:
        """The stored pages, read anew where they are too old. Raises NotFound when the document is gone."""
        stored = await self._documents.pages(owner, document.file_id)
        if stored and document.reading == READING:
            return stored
        try:
            path = (await self._documents.path(owner, document.file_id)).resolve()
            loader = await self._kinds.loader_for(owner, document)
            reading = Reading()
            async with aclosing(self._reader.pages(owner, document, path, loader, reading)) as read:
                pages = [each.page async for each in read]
            await self._documents.save_pages(owner, document.file_id, pages)
            now = await self._documents.get(owner, document.file_id)
            await self._documents.update(owner, replace(now, reading=READING, pages=reading.count))
            return pages
        except StorageFailed:
            raise
        except HearthError as error:
            log.warning("%s could not be read again, its old pages stay: %s", document.file_id, error.message)
            return stored


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Whether no other process makes indexes again in this data folder, which holds until the end."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageFailed(f"The data folder cannot be written ({error.strerror}).") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
    finally:
        os.close(handle)
