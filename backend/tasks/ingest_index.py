"""Where chunks are embedded, one batch at a time for everybody, and put into the index that is to have them."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.embeddings.port import Embedders
from backend.models.documents import DocumentChunk, embedder_of
from backend.models.errors import HearthError, TooLarge
from backend.models.run import Owner
from backend.storage.document_store import QUOTA_EXCEEDED
from backend.vector_store.port import VectorStore

if TYPE_CHECKING:
    from backend.embeddings.port import FloatArray

log = logging.getLogger("hearth.ingest")

EMBED_BATCH = 32
ADDS_AT_ONCE = 2
"""Batches that are being written while the next one is embedded."""
RECOUNT_ADDS = 64
STAGED = "reindex-main"
"""The collection under which an owner's main index is made again; no id of a collection is like it."""


@dataclass(slots=True)
class Renewal:
    """The index of an owner is being made again. `recipe` is the serving one's; None when it serves nothing."""

    recipe: str | None
    is_over: Callable[[], Awaitable[bool]] | None = None
    """Asked before each write where another process is at it."""


@dataclass(slots=True)
class _Request:
    owner: Owner
    chunks: Sequence[DocumentChunk]
    done: asyncio.Future[None]
    alive: Callable[[], Awaitable[bool]] | None
    """Only for what is made again: whether its document is still there."""


class IndexLine:
    """First come, first served. Batches of several documents are embedded in one call and written in one step.

    While the index of an owner is made again, what is new goes into the staged one, and into the one that still
    serves where the embedder that made it can be had.
    """

    def __init__(self, vectors: VectorStore, embedders: Embedders, recipe: str, max_chunks: int) -> None:
        self._vectors = vectors
        self._embedders = embedders
        self._recipe = recipe
        self._max_chunks = max_chunks
        self._waiting: deque[_Request] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._adding = asyncio.Semaphore(ADDS_AT_ONCE)
        self._adds: set[asyncio.Task[None]] = set()
        self._gates: dict[Owner, asyncio.Lock] = {}
        self._renewals: dict[Owner, Renewal] = {}
        self._epochs: dict[Owner, int] = {}
        self._counts: dict[Owner, tuple[int, int]] = {}
        """Chunks that an owner has at most, and how often some were added."""

    # ---- for those who put chunks in -------------------------------------------------------------

    async def add(
        self, owner: Owner, chunks: Sequence[DocumentChunk], alive: Callable[[], Awaitable[bool]] | None = None
    ) -> None:
        """Embed and keep up to EMBED_BATCH chunks of one document; they can be found when this returns.

        With `alive` they go into the staged index alone, and only as long as it says so. Raises TooLarge when the
        owner would have too many chunks, and what the embedder and the store raise. Nothing is kept of a call that is
        cancelled once `remove` has returned.
        """
        request = _Request(owner, chunks, asyncio.get_running_loop().create_future(), alive)
        self._waiting.append(request)
        if self._worker is None:
            self._start()
        await request.done

    async def remove(self, owner: Owner, file_id: str) -> None:
        """Remove every chunk of a file, wherever it is: in what an earlier or another process has staged, too."""
        async with self.alone(owner):
            await self._vectors.delete(owner, file_id)
            await self._vectors.delete(owner, file_id, collection=STAGED)

    def alone(self, owner: Owner) -> asyncio.Lock:
        """Held while the owner's main index changes."""
        return self._gates.setdefault(owner, asyncio.Lock())

    # ---- for him who makes an index again ----------------------------------------------------------

    def begin(self, owner: Owner, renewal: Renewal) -> None:
        """From now on everything new goes into the staged index as well."""
        self._renewals[owner] = renewal
        self._epochs[owner] = self.epoch(owner) + 1

    def end(self, owner: Owner) -> None:
        """The staged index has taken its place."""
        self._renewals.pop(owner, None)

    def epoch(self, owner: Owner) -> int:
        """Another number when an index began to be made again: what was put in before is not in the new one."""
        return self._epochs.get(owner, 0)

    # ---- inside ----------------------------------------------------------------------------------

    def _start(self) -> None:
        self._worker = asyncio.create_task(self._work())
        self._worker.add_done_callback(self._ended)

    async def _work(self) -> None:
        while self._waiting:
            batch = self._taken()
            try:
                pairs = await self._embedded(batch)
                await self._adding.acquire()
                add = asyncio.create_task(self._keep(pairs))
                self._adds.add(add)
                add.add_done_callback(self._added)
                batch = []
            finally:
                _leave(batch)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        self._worker = None
        if worker.cancelled():
            _leave(self._waiting)
        elif self._waiting:
            self._start()

    def _added(self, add: asyncio.Task[None]) -> None:
        self._adds.discard(add)
        self._adding.release()

    def _taken(self) -> list[_Request]:
        """The next requests that make a batch together; one at least."""
        batch: list[_Request] = []
        size = 0
        while self._waiting and (not batch or size + len(self._waiting[0].chunks) <= EMBED_BATCH):
            request = self._waiting.popleft()
            if not request.done.done():
                batch.append(request)
                size += len(request.chunks)
        return batch

    async def _embedded(self, batch: list[_Request]) -> list[tuple[_Request, FloatArray]]:
        """Requests with their vectors; one that cannot be embedded has been told so and is left out."""
        found: list[tuple[_Request, FloatArray]] = []
        texts = [chunk.context_text for request in batch for chunk in request.chunks]
        try:
            vectors = await self._embedders.current.embed_documents(texts)
        except HearthError as error:
            if len(batch) == 1:
                _fail(batch[0], error)
                return []
            # The others are not to suffer from one.
            return [pair for request in batch for pair in await self._embedded([request])]
        start = 0
        for request in batch:
            found.append((request, vectors[start : start + len(request.chunks)]))
            start += len(request.chunks)
        return found

    async def _keep(self, batch: list[tuple[_Request, FloatArray]]) -> None:
        try:
            for owner in dict.fromkeys(request.owner for request, _ in batch):
                mine = [pair for pair in batch if pair[0].owner == owner]
                fresh = [pair for pair in mine if pair[0].alive is None]
                for group in [fresh, *([pair] for pair in mine if pair[0].alive is not None)]:
                    if group:
                        await self._keep_group(owner, group)
        finally:
            _leave([request for request, _ in batch])

    async def _keep_group(self, owner: Owner, group: list[tuple[_Request, FloatArray]]) -> None:
        """Chunks of one owner, in one step where they all fit."""
        older = await self._older(owner, group)
        async with self.alone(owner):
            group = [pair for pair in group if not pair[0].done.done() and await _is_alive(pair[0])]
            try:
                await self._put(owner, group, older)
            except HearthError as error:
                if len(group) == 1:
                    _fail(group[0][0], error)
                    return
                for pair in group:
                    try:
                        await self._put(owner, [pair], older)
                    except HearthError as own:
                        _fail(pair[0], own)
        for request, _ in group:
            if not request.done.done():
                request.done.set_result(None)

    async def _put(
        self, owner: Owner, group: list[tuple[_Request, FloatArray]], older: dict[int, FloatArray] | None
    ) -> None:
        import numpy as np

        if not group:
            return
        chunks = [chunk for request, _ in group for chunk in request.chunks]
        vectors = np.concatenate([each for _, each in group])
        staged_alone = group[0][0].alive is not None
        renewal = self._renewals.get(owner)
        if renewal is not None and renewal.is_over is not None and await renewal.is_over():
            self.end(owner)
            renewal = None
        if not staged_alone:
            await self._check_room(owner, len(chunks))
        if renewal is None:
            await self._vectors.add(owner, chunks, vectors, self._recipe)
            return
        await self._vectors.add(owner, chunks, vectors, self._recipe, collection=STAGED)
        if staged_alone or older is None or renewal.recipe is None:
            return
        try:
            await self._vectors.add(
                owner, chunks, np.concatenate([older[id(request)] for request, _ in group]), renewal.recipe
            )
        except HearthError as error:
            log.warning("what is new is found only when the index has been made again: %s", error.message)

    async def _older(self, owner: Owner, group: list[tuple[_Request, FloatArray]]) -> dict[int, FloatArray] | None:
        """The vectors that the serving index of an owner takes, by the identity of the request; None without them."""
        renewal = self._renewals.get(owner)
        if renewal is None or renewal.recipe is None or group[0][0].alive is not None:
            return None
        embedder = await self._embedders.named(embedder_of(renewal.recipe))
        if embedder is None:
            return None
        if embedder is self._embedders.current:
            return {id(request): vectors for request, vectors in group}
        try:
            return {
                id(request): await embedder.embed_documents([chunk.context_text for chunk in request.chunks])
                for request, _ in group
            }
        except HearthError as error:
            log.warning("the embedder of an older index failed: %s", error.message)
            return None

    async def _check_room(self, owner: Owner, more: int) -> None:
        count, adds = self._counts.get(owner, (0, 0))
        if adds % RECOUNT_ADDS == 0 or count + more > self._max_chunks:
            count = await self._vectors.count(owner)
        if count + more > self._max_chunks:
            raise TooLarge(
                f"Your documents would have more than {self._max_chunks:,} passages together: delete some first.",
                code=QUOTA_EXCEEDED,
            )
        self._counts[owner] = (count + more, adds + 1)

    async def aclose(self) -> None:
        """End what runs."""
        tasks = [*self._adds, *([self._worker] if self._worker is not None else [])]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def _is_alive(request: _Request) -> bool:
    return request.alive is None or await request.alive()


def _fail(request: _Request, error: HearthError) -> None:
    if not request.done.done():
        request.done.set_exception(error)


def _leave(requests: Iterable[_Request]) -> None:
    """Nobody waits for ever for what has ended."""
    for request in requests:
        if not request.done.done():
            request.done.cancel()
