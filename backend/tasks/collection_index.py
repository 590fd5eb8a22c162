"""Collections that split their files in their own way: made in the background, and again after a restart."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_right
from contextlib import aclosing
from dataclasses import replace
from operator import itemgetter

from backend.embeddings.port import Embedder
from backend.models.collections import Chunking, Collection, CollectionFile, FileFailure
from backend.models.documents import Document, DocumentChunk, IndexRecipe, PageText
from backend.models.errors import HearthError, NotFound
from backend.models.run import SERVER, Owner
from backend.storage.collection_store import CollectionStore
from backend.storage.document_store import DocumentStore
from backend.tasks.fitting import reads_whole
from backend.tasks.ingest_task import EMBED_BATCH, IngestTask
from backend.tools.collection_search import PIECES
from backend.utils.chunking_blocks import Outline
from backend.utils.split_text import CHARS_PER_TOKEN, pieces, window_places
from backend.vector_store.port import VectorStore

log = logging.getLogger("hearth.collections")

PIECE_CHARS = 800
"""Characters of a piece that is embedded by itself: about 200 tokens, which every embedder reads whole."""
SHORTEST = 32
"""Characters below which a piece is not halved further."""
FLOAT_BYTES = 4


STAGED = "renew-"
"""Before the id of a collection: under which its index is made again."""


class _Gone(Exception):
    """The file is not to be indexed any more: taken out, cancelled, or its collection deleted."""


class CollectionIndexer:
    """At most one job a collection, which takes its waiting files one after another."""

    def __init__(
        self,
        collections: CollectionStore,
        documents: DocumentStore,
        vectors: VectorStore,
        embedder: Embedder,
        ingest: IngestTask,
    ) -> None:
        self._collections = collections
        self._documents = documents
        self._vectors = vectors
        self._embedder = embedder
        self._ingest = ingest
        self._recipe = recipe_of(embedder)
        self._embedding = asyncio.Semaphore(1)
        self._jobs: dict[tuple[Owner, str], asyncio.Task[None]] = {}
        self._again: set[tuple[Owner, str]] = set()
        """Jobs that may have looked for waiting files just before another one came."""

    def start(self, owner: Owner, collection: Collection) -> None:
        """Take up the files that wait, if any."""
        if _next(collection) is not None:
            self._run((owner, collection.id))

    def _run(self, key: tuple[Owner, str]) -> None:
        if key in self._jobs:
            self._again.add(key)
            return
        job = self._jobs[key] = asyncio.create_task(self._work(*key))
        job.add_done_callback(lambda _: self._ended(key, job))

    def _ended(self, key: tuple[Owner, str], job: asyncio.Task[None]) -> None:
        self._jobs.pop(key, None)
        again = key in self._again
        self._again.discard(key)
        if again and not job.cancelled():
            self._run(key)

    async def resume(self) -> None:
        """Take up what an earlier process left half done, and make again what another embedder made."""
        for owner, collection in await self._collections.everyones(SERVER):
            if self._has_older(collection):
                self._run((owner, collection.id))
            else:
                self.start(owner, collection)

    async def renew(self, owner: Owner, collection: Collection) -> None:
        """Begin to make the collection's own index again if it was damaged; what is left of it serves until then."""
        has_own = any(file.state == "indexed" for file in collection.files.values())
        if has_own and await self._vectors.needs_reindex(owner, self._recipe, collection=collection.id):
            self._run((owner, collection.id))

    async def settled(self, owner: Owner, collection_id: str) -> None:
        """Wait until nothing goes on with the collection's index."""
        while (job := self._jobs.get((owner, collection_id))) is not None:
            await asyncio.wait({job})
            await asyncio.sleep(0)

    def _has_older(self, collection: Collection) -> bool:
        indexed = [file.embedder for file in collection.files.values() if file.state == "indexed"]
        return any(made_with != self._recipe for made_with in indexed)

    async def _is_outdated(self, owner: Owner, collection_id: str) -> bool:
        if self._has_older(await self._collections.get(owner, collection_id)):
            return True
        return await self._vectors.needs_reindex(owner, self._recipe, collection=collection_id)

    async def stop(self, owner: Owner, collection_id: str) -> None:
        """End the job of a collection that is to be deleted."""
        job = self._jobs.get((owner, collection_id))
        if job is not None:
            job.cancel()
            await asyncio.wait({job})
        await self._vectors.reset(owner, collection=f"{STAGED}{collection_id}")

    async def aclose(self) -> None:
        """Stop what runs; it is taken up again at the next start."""
        jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel()
        if jobs:
            await asyncio.wait(jobs)

    async def _work(self, owner: Owner, collection_id: str) -> None:
        try:
            if await self._is_outdated(owner, collection_id):
                await self._renewed(owner, collection_id)
            while (file := _next(await self._collections.get(owner, collection_id))) is not None:
                await self._one(owner, collection_id, file)
        except NotFound:
            log.info("%s was deleted while it was indexed", collection_id)
            await self._vectors.reset(owner, collection=collection_id)
        except HearthError as error:
            # The disk refuses to keep what became of a file: the next start tries again.
            log.error("indexing %s stopped: %s", collection_id, error.message)

    async def _renewed(self, owner: Owner, collection_id: str) -> None:
        """Make the index again beside the old one, which serves until the new one takes its place.

        Raises NotFound when the collection is gone, and what the disk refuses; the old one stays then.
        """
        log.warning("the index of %s is made again", collection_id)
        staged = f"{STAGED}{collection_id}"
        collection = await self._collections.get(owner, collection_id)
        await self._vectors.reset(owner, collection=staged)
        done: dict[str, CollectionFile] = {}
        try:
            for file in [file for file in collection.files.values() if file.state == "indexed"]:
                try:
                    done[file.file_id] = await self._index(owner, collection_id, file, staged)
                except _Gone:
                    await self._vectors.delete(owner, file.file_id, collection=staged)
            if await self._vectors.count(owner, collection=staged):
                await self._vectors.swap(owner, staged, collection=collection_id)
            else:
                await self._vectors.reset(owner, collection=collection_id)
        except HearthError:
            await self._vectors.reset(owner, collection=staged)
            raise

        def note(now: Collection) -> Collection:
            for file_id, file in done.items():
                if file_id in now.files and now.files[file_id].chunking == file.chunking:
                    now = now.with_file(replace(file, attributes=now.files[file_id].attributes))
            return now

        after = await self._collections.change(owner, collection_id, note)
        for file_id in done.keys() - after.files.keys():
            # It was taken out while the new index was made.
            await self._vectors.delete(owner, file_id, collection=collection_id)

    async def _one(self, owner: Owner, collection_id: str, file: CollectionFile) -> None:
        """Index one file and note what became of it. Raises NotFound when the collection is gone."""
        try:
            done = await self._index(owner, collection_id, file, collection_id)
        except _Gone:
            await self._vectors.delete(owner, file.file_id, collection=collection_id)
            if not await self._documents.get_many(owner, [file.file_id]):
                await self._collections.change(owner, collection_id, lambda now: taken_out(now, file.file_id))
            return
        except HearthError as error:
            log.warning("indexing %s for %s failed: %s", file.file_id, collection_id, error.message)
            await self._vectors.delete(owner, file.file_id, collection=collection_id)
            done = replace(file, state="failed", failure=FileFailure("server_error", error.message))

        def note(collection: Collection) -> Collection:
            now = collection.files.get(file.file_id)
            if now is None or not now.is_to_index or now.chunking != file.chunking:
                return collection
            return collection.with_file(replace(done, attributes=now.attributes))

        after = await self._collections.change(owner, collection_id, note)
        if file.file_id not in after.files:
            await self._vectors.delete(owner, file.file_id, collection=collection_id)

    async def _index(self, owner: Owner, collection_id: str, file: CollectionFile, target: str) -> CollectionFile:
        """Put the file into the index under `target`; the file as it is to be noted. Raises _Gone."""
        assert file.chunking is not None
        document = await self._settled(owner, file.file_id)
        failure = failure_of(document)
        if failure is not None:
            return replace(file, state="failed", failure=failure)
        pages = await self._documents.pages(owner, file.file_id)
        await self._embedder.dimensions()  # which makes its window known, where another process knows it
        chunks = await asyncio.to_thread(self._split, document, pages, file.chunking)
        await self._vectors.delete(owner, file.file_id, collection=target)
        size = 0
        for start in range(0, len(chunks), EMBED_BATCH):
            await self._check(owner, collection_id, file)
            batch = chunks[start : start + EMBED_BATCH]
            async with self._embedding:
                vectors = await self._embedder.embed_documents([chunk.context_text for chunk in batch])
            await self._vectors.add(owner, batch, vectors, self._recipe, collection=target)
            size += sum(len(chunk.text.encode("utf-8", "replace")) for chunk in batch) + vectors.size * FLOAT_BYTES
        await self._check(owner, collection_id, file)
        return replace(file, state="indexed", failure=None, usage_bytes=size, embedder=self._recipe)

    async def _settled(self, owner: Owner, file_id: str) -> Document:
        """The document once nothing goes on with it. Raises _Gone."""
        try:
            async with aclosing(self._ingest.events(owner, file_id)) as states:
                seen = [document async for document in states]
        except NotFound:
            raise _Gone from None
        return seen[-1]

    async def _check(self, owner: Owner, collection_id: str, file: CollectionFile) -> None:
        """Raises _Gone, and NotFound when the collection is deleted.

        Going on when another process has indexed it meanwhile is right: what that one wrote may have been removed here.
        """
        now = (await self._collections.get(owner, collection_id)).files.get(file.file_id)
        if now is None or now.state == "cancelled" or now.chunking != file.chunking:
            raise _Gone

    def _split(self, document: Document, pages: list[PageText], chunking: Chunking) -> list[DocumentChunk]:
        """Pieces of the chunks of each page. In a thread: it takes a while for a long text."""
        out: list[DocumentChunk] = []
        outline = Outline()
        number = 0
        size, overlap = (CHARS_PER_TOKEN * each for each in (chunking.max_tokens, chunking.overlap_tokens))
        for page in pages:
            paths = outline.paths(page.text, page.form)
            line, at = 1, 0
            for start, end in window_places(page.text, size, overlap):
                if not page.text[start:end].strip():
                    continue
                line, at = line + page.text.count("\n", at, start) - page.text.count("\n", start, at), start
                heading = paths[bisect_right(paths, start, key=itemgetter(0)) - 1][1]
                chunk = DocumentChunk(
                    document.file_id,
                    document.filename,
                    number * PIECES,
                    page.text[start:end],
                    page.number,
                    page.unit,
                    page.label,
                    heading,
                    start,
                    end,
                    line,
                )
                out += self._pieces(chunk)
                number += 1
        return out

    def _pieces(self, chunk: DocumentChunk) -> list[DocumentChunk]:
        """Pieces that the embedder reads whole, headings included; put together they are the chunk."""
        out: list[DocumentChunk] = []
        waiting = pieces(chunk.text, PIECE_CHARS)[::-1]
        start, line = chunk.start, chunk.line
        while waiting:
            text = waiting.pop()
            piece = replace(
                chunk, index=chunk.index + len(out), text=text, start=start, end=start + len(text), line=line
            )
            if len(text) > SHORTEST and not reads_whole(self._embedder, piece.context_text):
                if piece.heading and not reads_whole(self._embedder, replace(piece, text="").context_text * 2):
                    # Headings that take half of what is read would leave ever smaller pieces.
                    chunk = replace(chunk, heading=())
                    waiting.append(text)
                else:
                    waiting += pieces(text, (len(text) + 1) // 2)[::-1]
                continue
            out.append(piece)
            start, line = piece.end, line + text.count("\n")
        return out


def recipe_of(embedder: Embedder) -> str:
    """What the indexes of collections with a splitting of their own are made with; each file has its own sizes."""
    return str(IndexRecipe(embedder.name, PIECE_CHARS, 0))


def failure_of(document: Document) -> FileFailure | None:
    """Why a document cannot be searched; None for one that can be, or will be."""
    if document.status == "kept":
        return FileFailure("unsupported_file", "The file holds no text that can be searched.")
    if document.status == "failed":
        return FileFailure("invalid_file", document.error or "The file could not be read.")
    return None


def taken_out(collection: Collection, file_id: str) -> Collection:
    """Without the file, if it is there."""
    return collection.without(file_id) if file_id in collection.files else collection


def _next(collection: Collection) -> CollectionFile | None:
    """The file that has waited longest."""
    return next((file for file in collection.files.values() if file.is_to_index), None)
