"""The default vector store: one index an owner and collection, on disk, searched by FAISS and by words."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from backend.models.documents import DocumentChunk, Hit
from backend.models.errors import NotFound
from backend.models.run import DEFAULT_TENANT, Owner
from backend.vector_store.checks import check_ids, storage_error
from backend.vector_store.turns import in_turn

if TYPE_CHECKING:
    from backend.config.settings import Settings
    from backend.embeddings.port import FloatArray
    from backend.vector_store.disk_index import DiskIndex
    from backend.vector_store.words import Words

log = logging.getLogger("hearth.vectors")

COLLECTIONS = "collections"
"""In an owner's folder, beside the main index: a folder for each collection."""
MAX_OPEN = 64
"""Indexes that stay open."""
MAX_OPEN_BYTES = 64 << 20
"""What all of them together may take in memory when they were searched; one alone may take more."""
MAX_OPEN_FILES = 300
NICE = 10
"""How much the upkeep of large indexes stands back behind everything else, as in nice(1)."""

T = TypeVar("T")


def create(settings: Settings) -> FaissVectorStore:
    return FaissVectorStore(settings.vectors_dir)


class FaissVectorStore:
    """Each owner's chunks live in a folder of their own and are searched in an index of their own.

    Every call runs in a thread; calls of one index follow one another. Several processes may share the folder.
    Indexes up to 50,000 chunks are searched exactly, larger ones by graphs that are built in the background.
    """

    def __init__(self, folder: Path, *, max_open: int = MAX_OPEN, max_open_bytes: int = MAX_OPEN_BYTES) -> None:
        self._folder = folder
        self._max_open = max_open
        self._max_open_bytes = max_open_bytes
        self._open: OrderedDict[tuple[Owner, str], _Open] = OrderedDict()
        self._words: Words | None = None
        self._upkeep: asyncio.Task[None] | None = None
        self._stop = threading.Event()

    async def add(
        self,
        owner: Owner,
        chunks: Sequence[DocumentChunk],
        vectors: FloatArray,
        recipe: str,
        *,
        collection: str = "",
    ) -> None:
        """Raises InvalidRequest for vectors that do not fit, StorageFull or StorageFailed when the disk refuses."""
        if chunks:
            await self._call(owner, collection, lambda index: index.add(chunks, vectors, recipe))

    async def search(
        self,
        owner: Owner,
        vector: FloatArray | None,
        text: str,
        limit: int,
        files: Collection[str] | None = None,
        *,
        collection: str = "",
    ) -> list[Hit]:
        """Of chunks with the same text only the best is found. `parts` has `dense`, the cosine, and `lexical`, BM25."""
        return await self._call(owner, collection, lambda index: index.search(vector, text, limit, files))

    async def chunks(
        self, owner: Owner, file_id: str, *, first: int = 0, last: int | None = None, collection: str = ""
    ) -> list[DocumentChunk]:
        return await self._call(owner, collection, lambda index: index.chunks_of(file_id, first, last))

    async def delete(self, owner: Owner, file_id: str, *, collection: str = "") -> int:
        return await self._call(owner, collection, lambda index: index.delete(file_id))

    async def count(self, owner: Owner, *, collection: str = "") -> int:
        return await self._call(owner, collection, lambda index: index.count())

    async def recipe(self, owner: Owner, *, collection: str = "") -> str | None:
        return await self._call(owner, collection, lambda index: index.recipe())

    async def needs_reindex(self, owner: Owner, recipe: str, *, collection: str = "") -> bool:
        return await self._call(owner, collection, lambda index: index.needs_reindex(recipe))

    async def swap(self, owner: Owner, staged: str, *, collection: str = "") -> None:
        """Raises NotFound when nothing is staged."""
        if not staged or staged == collection:
            raise NotFound("There is no such index.")
        source, target = self._entry(owner, staged), self._entry(owner, collection)
        ordered = (source, target) if staged < collection else (target, source)
        if not await self._in_turn(owner, ordered, lambda: self._take_over(target, source)):
            raise NotFound("There is no such index.")

    async def reset(self, owner: Owner, *, collection: str = "") -> None:
        await self._call(owner, collection, lambda index: index.remove() if collection else index.reset())

    async def aclose(self) -> None:
        self._stop.set()
        if self._upkeep is not None:
            await asyncio.wait([self._upkeep])
        self._open.clear()

    # ---- open indexes -------------------------------------------------------------------------

    async def _call(self, owner: Owner, collection: str, work: Callable[[DiskIndex], T]) -> T:
        entry = self._entry(owner, collection)
        result = await self._in_turn(owner, [entry], lambda: self._guarded(entry, work))
        self._close_oldest(owner, collection)
        if entry.is_behind and self._upkeep is None and not self._stop.is_set():
            self._upkeep = asyncio.create_task(self._keep_up(owner, entry))
        return result

    @staticmethod
    async def _in_turn(owner: Owner, entries: Sequence[_Open], work: Callable[[], T]) -> T:
        try:
            return await in_turn([entry.lock for entry in entries], work)
        except OSError as error:
            log.error("The vector index of %s failed: %s", owner.user, error)
            raise storage_error(error) from error

    def _guarded(self, entry: _Open, work: Callable[[DiskIndex], T]) -> T:
        """In a thread."""
        from backend.vector_store.upkeep import next_job

        with entry.guard:
            index = self._index(entry)
            with index.guard:
                result = work(index)
                entry.is_behind = next_job(index) is not None
                entry.cost, entry.files = index.cost, len(index.segments)
        return result

    def _take_over(self, target: _Open, source: _Open) -> bool:
        """Both locks are held, so no other swap holds one guard and waits for the other."""
        with source.guard, target.guard:
            into, staged = self._index(target), self._index(source)
            with into.guard, staged.guard:
                return into.take_over(staged)

    def _index(self, entry: _Open) -> DiskIndex:
        """The guard of the entry held."""
        from backend.vector_store.disk_index import DiskIndex
        from backend.vector_store.words import Words

        if entry.index is None:
            self._words = self._words or Words()
            entry.index = DiskIndex(entry.folder, self._words)
        return entry.index

    def _entry(self, owner: Owner, collection: str) -> _Open:
        key = (owner, collection)
        entry = self._open.get(key)
        if entry is None:
            entry = self._open[key] = _Open(self._folder_of(owner, collection))
        self._open.move_to_end(key)
        return entry

    def _close_oldest(self, owner: Owner, collection: str) -> None:
        """Closing an index only forgets memory, but one that is at work stays, or it would be opened twice."""
        for key in list(self._open):
            entries = list(self._open.values())
            if (
                len(entries) <= self._max_open
                and sum(entry.cost for entry in entries) <= self._max_open_bytes
                and sum(entry.files for entry in entries) <= MAX_OPEN_FILES
            ):
                return
            if key != (owner, collection) and not self._open[key].lock.locked():
                del self._open[key]

    def _folder_of(self, owner: Owner, collection: str) -> Path:
        """Raises NotFound for ids that are not server-made. `@` keeps tenants apart from users of the default one."""
        check_ids(owner, collection)
        folder = self._folder if owner.tenant == DEFAULT_TENANT else self._folder / f"@{owner.tenant}"
        return folder / owner.user / COLLECTIONS / collection if collection else folder / owner.user

    # ---- upkeep -------------------------------------------------------------------------------

    async def _keep_up(self, owner: Owner, entry: _Open) -> None:
        """Work off what one index is behind with, in a thread of its own that stands back behind all others."""
        from backend.vector_store import upkeep

        index = entry.index
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "hearth-index-upkeep", initializer=_stand_back) as pool:
            try:
                while index is not None and await loop.run_in_executor(pool, upkeep.run, index, self._stop.is_set):
                    pass
            except OSError as error:
                log.error("The upkeep of the vector index of %s failed: %s", owner.user, error)
            finally:
                entry.is_behind = False
                self._upkeep = None


@dataclass(slots=True)
class _Open:
    """`cost` in bytes of memory, `files` that are open; `is_behind` when there is upkeep to do."""

    folder: Path
    index: DiskIndex | None = None
    cost: int = 0
    files: int = 0
    is_behind: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    guard: threading.Lock = field(default_factory=threading.Lock)


def _stand_back() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
