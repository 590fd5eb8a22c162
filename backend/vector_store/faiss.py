"""The default vector store: one exact FAISS index an owner in memory, built from the owner's files when opened."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from backend.models.documents import DocumentChunk, Hit
from backend.models.errors import StorageFailed, StorageFull
from backend.models.run import DEFAULT_TENANT, Owner
from backend.vector_store.checks import check_ids
from backend.vector_store.owner_index import OwnerIndex

if TYPE_CHECKING:
    from backend.config.settings import Settings
    from backend.embeddings.port import FloatArray

log = logging.getLogger("hearth.vectors")

COLLECTIONS = "collections"
"""In an owner's folder, beside the main index: a folder for each collection."""
MAX_OPEN = 32
"""Indexes that stay in memory."""
MAX_OPEN_CHUNKS = 200_000
"""Chunks of all of them together; about 4 KB each."""

T = TypeVar("T")


def create(settings: Settings) -> FaissVectorStore:
    return FaissVectorStore(settings.vectors_dir)


class FaissVectorStore:
    """Each owner's chunks live in a folder of their own and are searched in an index of their own.

    Every call runs in a thread; calls of one owner follow one another. Several processes may share the folder.
    """

    def __init__(self, folder: Path, *, max_open: int = MAX_OPEN) -> None:
        self._folder = folder
        self._max_open = max_open
        self._open: OrderedDict[tuple[Owner, str], _Open] = OrderedDict()

    async def add(
        self,
        owner: Owner,
        chunks: Sequence[DocumentChunk],
        vectors: FloatArray,
        embedder: str,
        *,
        collection: str = "",
    ) -> None:
        """Raises InvalidRequest for vectors that do not fit, StorageFull or StorageFailed when the disk refuses."""
        if chunks:
            await self._call(owner, collection, lambda index: index.add(chunks, vectors, embedder))

    async def search(
        self,
        owner: Owner,
        vector: FloatArray,
        text: str,
        limit: int,
        files: Collection[str] | None = None,
        *,
        collection: str = "",
    ) -> list[Hit]:
        """Of chunks with the same text only the best is found. `parts` has `dense`, the cosine, and `lexical`, BM25."""
        return await self._call(owner, collection, lambda index: index.search(vector, text, limit, files))

    async def chunks(self, owner: Owner, file_id: str, *, collection: str = "") -> list[DocumentChunk]:
        return await self._call(owner, collection, lambda index: index.chunks_of(file_id))

    async def delete(self, owner: Owner, file_id: str, *, collection: str = "") -> int:
        return await self._call(owner, collection, lambda index: index.delete(file_id))

    async def count(self, owner: Owner, *, collection: str = "") -> int:
        return await self._call(owner, collection, lambda index: index.count())

    async def needs_reindex(self, owner: Owner, embedder: str, *, collection: str = "") -> bool:
        return await self._call(owner, collection, lambda index: index.needs_reindex(embedder))

    async def reset(self, owner: Owner, *, collection: str = "") -> None:
        await self._call(owner, collection, lambda index: index.remove() if collection else index.reset())

    async def aclose(self) -> None:
        self._open.clear()

    async def _call(self, owner: Owner, collection: str, work: Callable[[OwnerIndex], T]) -> T:
        entry = self._entry(owner, collection)
        async with entry.lock:
            try:
                return await asyncio.to_thread(_guarded, entry.index, work)
            except OSError as error:
                log.error("The vector index of %s failed: %s", owner.user, error)
                raise _storage_error(error) from error

    def _entry(self, owner: Owner, collection: str) -> _Open:
        """The open index. Closing another only forgets memory, so it may happen at any time."""
        key = (owner, collection)
        entry = self._open.get(key)
        if entry is None:
            entry = self._open[key] = _Open(OwnerIndex(self._folder_of(owner, collection), FlatIndex))
        self._open.move_to_end(key)
        while len(self._open) > 1 and (
            len(self._open) > self._max_open
            or sum(len(each.index.chunks) for each in self._open.values()) > MAX_OPEN_CHUNKS
        ):
            self._open.popitem(last=False)
        return entry

    def _folder_of(self, owner: Owner, collection: str) -> Path:
        """Raises NotFound for ids that are not server-made. `@` keeps tenants apart from users of the default one."""
        check_ids(owner, collection)
        folder = self._folder if owner.tenant == DEFAULT_TENANT else self._folder / f"@{owner.tenant}"
        return folder / owner.user / COLLECTIONS / collection if collection else folder / owner.user


@dataclass(slots=True)
class _Open:
    index: OwnerIndex
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class FlatIndex:
    """Exact cosines by FAISS, one thread a search. About 0.8 ms at 10,000 vectors of 384 dimensions."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension
        self._index: Any = None

    def add(self, rows: Sequence[int], vectors: FloatArray) -> None:
        import faiss
        import numpy as np

        if self._index is None:
            self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(self._dimension))
        self._index.add_with_ids(np.ascontiguousarray(vectors, dtype=np.float32), np.array(rows, dtype=np.int64))

    def remove(self, rows: Collection[int]) -> None:
        import numpy as np

        self._index.remove_ids(np.array(list(rows), dtype=np.int64))

    def nearest(self, vector: FloatArray, limit: int, allowed: Collection[int] | None) -> list[tuple[int, float]]:
        import faiss
        import numpy as np

        if self._index is None or (allowed is not None and not allowed):
            return []
        chosen: Any = None
        if allowed is not None:
            # By keyword: assigned as an attribute, the selector would be freed before the search reads it.
            among = faiss.IDSelectorBatch(np.array(sorted(allowed), dtype=np.int64))
            chosen = faiss.SearchParameters(sel=among)  # type: ignore[call-arg]
        # Per thread, so at every search: several threads for one query wait for each other longer than they compute.
        faiss.omp_set_num_threads(1)
        query = np.ascontiguousarray(vector, dtype=np.float32).reshape(1, -1)
        cosines, rows = self._index.search(query, min(limit, self._index.ntotal), params=chosen)
        return [(row, cosine) for row, cosine in zip(rows[0].tolist(), cosines[0].tolist(), strict=True) if row >= 0]

    def vector(self, row: int) -> FloatArray:
        found: FloatArray = self._index.reconstruct(row)
        return found


def _guarded(index: OwnerIndex, work: Callable[[OwnerIndex], T]) -> T:
    """A cancelled caller leaves its thread running: the next one waits here for it."""
    with index.guard:
        return work(index)


def _storage_error(error: OSError) -> StorageFailed:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull("The disk is full, so the document index could not be changed; free some space.")
    return StorageFailed("The document index could not be read or written; the server's log says why.")
