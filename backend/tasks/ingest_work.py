"""One document from its bytes to what can be searched, page after page."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from backend.embeddings.port import Embedder
from backend.loaders.port import Loader
from backend.models.documents import READING, Document, DocumentChunk, PageText
from backend.models.errors import HearthError, WorkerFailed
from backend.models.run import Owner
from backend.storage.document_store import DocumentStore
from backend.tasks.fitting import fitted
from backend.tasks.ingest_index import EMBED_BATCH, IndexLine
from backend.tasks.ingest_pages import PageReader, Reading, ReadPage
from backend.tasks.table_import import TableImport

TABLE_SHARE = 0.4
"""What making tables counts for in the progress of files that hold any; the rest is reading and embedding."""
PROGRESS_SECONDS = 0.5
FIT_BATCH = 4 * EMBED_BATCH
"""Chunks of a long page that are fitted to the embedder before the first of them can be found."""
LINGER_SECONDS = 1.0
"""How long a page waits for others to make a whole batch with."""

Tell = Callable[[Document], Awaitable[Document]]


class DocumentWork:
    """What is done to a document. `tell` stores its state and tells those who watch it."""

    def __init__(
        self,
        documents: DocumentStore,
        embedder: Embedder,
        reader: PageReader,
        line: IndexLine,
        tables: TableImport,
    ) -> None:
        self._documents = documents
        self._embedder = embedder
        self._reader = reader
        self._line = line
        self._tables = tables

    async def take_in(self, owner: Owner, document: Document, loader: Loader, tell: Tell) -> Document:
        """The document as it is when all of it can be found. Chunks of it that are there are replaced.

        Raises NotFound when it is deleted meanwhile, and HearthErrors for what is wrong with it.
        """
        while True:
            epoch = self._line.epoch(owner)
            done = await self._once(owner, document, loader, tell)
            if self._line.epoch(owner) == epoch:
                return done
            # The index began to be made again in the middle, so that half of it would be missing there.

    async def _once(self, owner: Owner, document: Document, loader: Loader, tell: Tell) -> Document:
        path = (await self._documents.path(owner, document.file_id)).resolve()
        has_tables = self._tables.kind_of(document) is not None
        steps = _Steps(self, owner, document, tell, 1 - TABLE_SHARE if has_tables else 1.0)
        pages: list[PageText] = []
        reading = Reading()
        async with aclosing(self._reader.pages(owner, document, path, loader, reading)) as read:
            async for each in read:
                pages.append(each.page)
                await steps.take(each)
        await steps.finish()
        await self._documents.save_pages(owner, document.file_id, pages)
        numbers = [page.number for page in pages if page.number is not None]
        count = reading.count if reading.count is not None else max(numbers, default=None)
        unit = pages[0].unit if pages else "page"
        document = replace(steps.document, pages=count, unit=unit, note=reading.note)
        if has_tables:
            document = await self._make_tables(owner, document, path, tell)
        return replace(document, status="ready", progress=1.0, chunks=steps.count, error=None, reading=READING)

    async def _make_tables(self, owner: Owner, document: Document, path: Path, tell: Tell) -> Document:
        """The document's tables, telling every half second how far that is; the document with a note on them."""
        heard = [0.0]
        async with self._reader.parsing:
            work = asyncio.ensure_future(
                self._tables.take_in(owner, document, path, lambda done: heard.__setitem__(0, float(done)))
            )
            try:
                while not (await asyncio.wait({work}, timeout=PROGRESS_SECONDS))[0]:
                    document = await tell(replace(document, progress=1 - TABLE_SHARE * (1 - heard[0])))
                notes = [note for note in (document.note, work.result()) if note]
                return replace(document, note=" ".join(notes) or None)
            finally:
                # Whoever is cancelled here leaves no worker behind.
                work.cancel()
                await asyncio.wait({work})

    async def fitting(self, chunks: list[DocumentChunk], first: int) -> list[DocumentChunk]:
        """The chunks as the embedder reads them whole, counted from `first`."""
        return await fitted(chunks, self._embedder, first)

    async def keep(self, owner: Owner, chunks: list[DocumentChunk]) -> None:
        await self._line.add(owner, chunks)


class _Steps:
    """Collects the chunks of a document's pages to batches, and tells how far it is."""

    def __init__(self, work: DocumentWork, owner: Owner, document: Document, tell: Tell, share: float) -> None:
        self._work = work
        self._owner = owner
        self._tell = tell
        self._share = share
        self.document = document
        self.count = 0
        """Chunks that can be found."""
        self._raw: list[DocumentChunk] = []
        self._whole: list[DocumentChunk] = []
        self._numbered = self._characters = 0
        self._done = 0.0
        self._flushed = self._told = time.monotonic()

    async def take(self, read: ReadPage) -> None:
        self._raw += read.chunks
        self._characters += len(read.page.text)
        guess = min(0.9, self._characters / max(self.document.size, 1))
        self._done = max(self._done, guess if read.done is None else read.done)
        late = time.monotonic() - self._flushed > LINGER_SECONDS
        # The last batch of a document that comes at once is kept for `finish`, which knows that it is the last.
        if len(self._raw) + len(self._whole) > EMBED_BATCH or late:
            await self._work_off(EMBED_BATCH if not late else 1)

    async def finish(self) -> None:
        self._done = 1.0
        await self._work_off(1)

    async def _work_off(self, least: int) -> None:
        """Everything that is there, but for less than `least` chunks at the end."""
        before, target = self.document.progress, self._share * self._done
        while len(self._raw) > FIT_BATCH:
            there = len(self._raw) + len(self._whole)
            await self._fit(FIT_BATCH)
            reached = before + max(0.0, target - before) * (1 - len(self._raw) / there)
            await self._flush(EMBED_BATCH, before, reached)
            before = max(before, reached)
        await self._fit(FIT_BATCH)
        await self._flush(least, before, target)

    async def _fit(self, most: int) -> None:
        raw, self._raw = self._raw[:most], self._raw[most:]
        if raw:
            whole = await self._work.fitting(raw, self._numbered)
            self._numbered += len(whole)
            self._whole += whole

    async def _flush(self, least: int, before: float, target: float) -> None:
        """Embed and keep what is fitted in batches, as long as there are `least` chunks, which makes the progress grow
        from `before` to `target`."""
        total = len(self._whole)
        while len(self._whole) >= least:
            batch, self._whole = self._whole[:EMBED_BATCH], self._whole[EMBED_BATCH:]
            await self._work.keep(self._owner, batch)
            self.count += len(batch)
            reached = before + max(0.0, target - before) * (1 - len(self._whole) / total)
            self.document = replace(self.document, chunks=self.count, progress=round(min(reached, 0.99), 4))
            now = time.monotonic()
            if now - self._told >= PROGRESS_SECONDS:
                self._told = now
                self.document = await self._tell(self.document)
        self._flushed = time.monotonic()


def reason_of(error: HearthError) -> str:
    """What a document that failed says about it."""
    if isinstance(error, WorkerFailed) and error.reason in ("error", "crashed"):
        return "The file is damaged and could not be read."
    if isinstance(error, WorkerFailed) and error.reason in ("timeout", "memory"):
        return "Reading the file took too much time or memory, so it was stopped."
    return error.message
