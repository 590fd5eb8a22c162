"""Chroma, embedded in this process (optional group): one collection an index, words searched beside it by BM25.

One process only: Chroma's embedded client does not share its folder. Start Hearth with one worker, or use FAISS.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from backend.models.documents import DocumentChunk, Hit
from backend.models.errors import SettingsError, StorageFailed
from backend.models.run import Owner
from backend.vector_store.checks import check_ids, check_query, checked_rows, encodable, other_embedder
from backend.vector_store.fusion import POOL, distinct, fuse

if TYPE_CHECKING:
    from backend.config.settings import Settings
    from backend.embeddings.port import FloatArray
    from backend.vector_store.lexical import LexicalIndex

FOLDER = "@chroma"
"""Beside the folders of FAISS; `@` keeps it apart from any owner's id."""
MAX_OPEN = 32
WRITE_BATCH = 1000

T = TypeVar("T")


def create(settings: Settings) -> ChromaVectorStore:
    """Raises SettingsError when the optional group is not installed."""
    if importlib.util.find_spec("chromadb") is None:
        raise SettingsError(
            "VECTOR_DB_TYPE=chroma needs a package that is not installed: pip install 'hearth[chroma]'."
        )
    return ChromaVectorStore(settings.vectors_dir / FOLDER)


class ChromaVectorStore:
    """Chroma keeps chunks and vectors; the words of an owner's chunks are read into memory at the first search."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._client: Any = None
        self._starting = threading.Lock()
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
        """Raises InvalidRequest for vectors that do not fit."""
        if chunks:
            await self._call(owner, collection, lambda shelf: shelf.add(chunks, vectors, embedder))

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
        return await self._call(owner, collection, lambda shelf: shelf.search(vector, text, limit, files))

    async def chunks(self, owner: Owner, file_id: str, *, collection: str = "") -> list[DocumentChunk]:
        return await self._call(owner, collection, lambda shelf: shelf.chunks_of(file_id))

    async def delete(self, owner: Owner, file_id: str, *, collection: str = "") -> int:
        return await self._call(owner, collection, lambda shelf: shelf.delete(file_id))

    async def count(self, owner: Owner, *, collection: str = "") -> int:
        return await self._call(owner, collection, lambda shelf: len(shelf.chunks))

    async def needs_reindex(self, owner: Owner, embedder: str, *, collection: str = "") -> bool:
        return await self._call(owner, collection, lambda shelf: bool(shelf.chunks) and shelf.embedder != embedder)

    async def reset(self, owner: Owner, *, collection: str = "") -> None:
        await self._call(owner, collection, lambda shelf: shelf.reset())

    async def aclose(self) -> None:
        client, self._client = self._client, None
        self._open.clear()
        if client is not None:
            await asyncio.to_thread(client.close)

    async def _call(self, owner: Owner, collection: str, work: Callable[[_Shelf], T]) -> T:
        check_ids(owner, collection)
        key = (owner, collection)
        entry = self._open.setdefault(key, _Open())
        self._open.move_to_end(key)
        while len(self._open) > MAX_OPEN:
            oldest = next(iter(self._open))
            if self._open[oldest].lock.locked():
                break
            del self._open[oldest]
        async with entry.lock:
            return await asyncio.to_thread(self._work, _collection_name(owner, collection), entry, work)

    def _work(self, name: str, entry: _Open, work: Callable[[_Shelf], T]) -> T:
        """In a thread. A cancelled caller leaves its thread running: the next one waits here for it."""
        import chromadb.errors

        with entry.guard:
            try:
                if entry.shelf is None:
                    entry.shelf = _Shelf(self._started(), name)
                return work(entry.shelf)
            except chromadb.errors.ChromaError as error:
                entry.shelf = None
                raise StorageFailed("The document index could not be read or written.") from error

    def _started(self) -> Any:
        with self._starting:
            if self._client is None:
                import chromadb
                from chromadb.config import Settings as ChromaSettings

                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._folder.chmod(0o700)
                self._client = chromadb.PersistentClient(
                    path=str(self._folder), settings=ChromaSettings(anonymized_telemetry=False)
                )
            return self._client


class _Shelf:
    """One owner's collection and its words. `embedder` is empty while there is no collection."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name
        self.embedder = ""
        self._dimension = 0
        self._collection: Any = None
        self._clear()
        self._load()

    def add(self, chunks: Sequence[DocumentChunk], vectors: FloatArray, embedder: str) -> None:
        rows = checked_rows(chunks, vectors)
        self._prepare(embedder, rows.shape[1])
        latest = {_key(chunk): row for row, chunk in enumerate(chunks)}
        for start in range(0, len(latest), WRITE_BATCH):
            keys = list(islice(latest, start, start + WRITE_BATCH))
            batch = [encodable(chunks[latest[key]]) for key in keys]
            self._collection.upsert(
                ids=keys,
                embeddings=rows[[latest[key] for key in keys]],
                documents=[chunk.text for chunk in batch],
                metadatas=[_metadata(chunk) for chunk in batch],
            )
            for key, chunk in zip(keys, batch, strict=True):
                self._remember(key, chunk)

    def search(self, vector: FloatArray, text: str, limit: int, files: Collection[str] | None) -> list[Hit]:
        if not self.chunks or limit < 1:
            return []
        check_query(vector, self._dimension)
        wanted = None if files is None else sorted(set(files) & self._files.keys())
        allowed = None if wanted is None else {key for file_id in wanted for key in self._files[file_id]}
        if allowed is not None and not allowed:
            return []
        pool = max(POOL, 2 * limit)
        dense = self._nearest(vector, pool, wanted, len(self.chunks if allowed is None else allowed))
        lexical = self._lexical.search(text, pool, allowed)
        fused = fuse([dense, lexical])
        words, cosines = dict(lexical), dict(dense)
        cosines.update(self._cosines([key for key, _ in fused if key not in cosines], vector))
        hits = (
            Hit(self.chunks[key], score, {"dense": cosines[key], "lexical": words.get(key, 0.0)})
            for key, score in fused
        )
        return list(islice(distinct(hits), limit))

    def chunks_of(self, file_id: str) -> list[DocumentChunk]:
        return sorted((self.chunks[key] for key in self._files.get(file_id, ())), key=lambda chunk: chunk.index)

    def delete(self, file_id: str) -> int:
        keys = list(self._files.get(file_id, ()))
        if keys:
            self._collection.delete(where={"file_id": file_id})
            for key in keys:
                del self.chunks[key]
                self._lexical.remove(key)
            del self._files[file_id]
        return len(keys)

    def reset(self) -> None:
        if self._collection is not None:
            self._client.delete_collection(self._name)
        self._collection, self.embedder, self._dimension = None, "", 0
        self._clear()

    def _clear(self) -> None:
        from backend.vector_store.lexical import LexicalIndex

        self.chunks: dict[str, DocumentChunk] = {}
        self._files: dict[str, set[str]] = {}
        self._lexical: LexicalIndex[str] = LexicalIndex()

    def _load(self) -> None:
        import chromadb.errors

        try:
            self._collection = self._client.get_collection(self._name, embedding_function=None)
        except chromadb.errors.NotFoundError:
            return
        about = self._collection.metadata or {}
        self.embedder, self._dimension = str(about.get("embedder", "")), int(about.get("dimension", 0))
        found = self._collection.get(include=["documents", "metadatas"])
        for key, text, known in zip(found["ids"], found["documents"], found["metadatas"], strict=True):
            page = known.get("page")
            chunk = DocumentChunk(str(known["file_id"]), str(known["filename"]), int(known["index"]), text or "", page)
            self._remember(key, chunk)

    def _prepare(self, embedder: str, dimension: int) -> None:
        """Make sure that there is a collection for these vectors. Raises InvalidRequest when another made it."""
        if self._collection is not None and (self.embedder, self._dimension) != (embedder, dimension):
            if self.chunks:
                raise other_embedder(self.embedder, self._dimension, embedder, dimension)
            self.reset()
        if self._collection is None:
            self._collection = self._client.create_collection(
                self._name,
                embedding_function=None,
                configuration={"hnsw": {"space": "cosine"}},
                metadata={"embedder": embedder, "dimension": dimension},
            )
            self.embedder, self._dimension = embedder, dimension

    def _remember(self, key: str, chunk: DocumentChunk) -> None:
        self.chunks[key] = chunk
        self._files.setdefault(chunk.file_id, set()).add(key)
        self._lexical.add(key, chunk.text)

    def _nearest(self, vector: FloatArray, limit: int, files: list[str] | None, most: int) -> list[tuple[str, float]]:
        """Keys and cosines, best first."""
        found = self._collection.query(
            query_embeddings=vector.reshape(1, -1),
            n_results=min(limit, most),
            where=None if files is None else {"file_id": {"$in": files}},
            include=["distances"],
        )
        return [
            (key, 1.0 - float(distance)) for key, distance in zip(found["ids"][0], found["distances"][0], strict=True)
        ]

    def _cosines(self, keys: list[str], vector: FloatArray) -> Iterable[tuple[str, float]]:
        """Cosines of chunks that only their words brought up."""
        if not keys:
            return []
        found = self._collection.get(ids=keys, include=["embeddings"])
        return [(key, float(row @ vector)) for key, row in zip(found["ids"], found["embeddings"], strict=True)]


@dataclass(slots=True)
class _Open:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    guard: Any = field(default_factory=threading.Lock)
    shelf: _Shelf | None = None


def _collection_name(owner: Owner, collection: str) -> str:
    """Hashed: Chroma's rules for names are not those of our ids, and two owners must never share one."""
    whole = "/".join([owner.tenant, owner.user, *([collection] if collection else [])])
    return "owner-" + hashlib.sha256(whole.encode()).hexdigest()[:48]


def _key(chunk: DocumentChunk) -> str:
    return f"{chunk.file_id}:{chunk.index}"


def _metadata(chunk: DocumentChunk) -> dict[str, str | int]:
    known: dict[str, str | int] = {"file_id": chunk.file_id, "filename": chunk.filename, "index": chunk.index}
    return known if chunk.page is None else {**known, "page": chunk.page}
