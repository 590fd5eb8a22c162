"""Chroma, embedded in this process (optional group): it keeps the vectors, an index of our own beside it the texts.

One process only: Chroma's embedded client does not share its folder. Start Hearth with one worker, or use FAISS.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from backend.models.documents import DocumentChunk, Hit
from backend.models.errors import NotFound, SettingsError, StorageFailed
from backend.models.run import Owner
from backend.vector_store.checks import check_ids, storage_error
from backend.vector_store.turns import in_turn

if TYPE_CHECKING:
    from backend.config.settings import Settings
    from backend.embeddings.port import FloatArray
    from backend.vector_store.chroma_shelf import Shelf
    from backend.vector_store.words import Words

FOLDER = "@chroma"
"""Beside the folders of FAISS; `@` keeps it apart from any owner's id."""
TEXTS = "texts"
"""In that folder: for each index a folder with its texts and their words."""
MAX_OPEN = 32

T = TypeVar("T")


def create(settings: Settings) -> ChromaVectorStore:
    """Raises SettingsError when the optional group is not installed."""
    if importlib.util.find_spec("chromadb") is None:
        raise SettingsError(
            "VECTOR_DB_TYPE=chroma needs a package that is not installed: pip install 'hearth[chroma]'."
        )
    return ChromaVectorStore(settings.vectors_dir / FOLDER)


class ChromaVectorStore:
    """Every call runs in a thread; calls of one index follow one another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._client: Any = None
        self._words: Words | None = None
        self._starting = threading.Lock()
        self._open: OrderedDict[tuple[Owner, str], _Open] = OrderedDict()

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
            await self._call(owner, collection, lambda shelf: shelf.add(chunks, vectors, recipe))

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
        return await self._call(owner, collection, lambda shelf: shelf.search(vector, text, limit, files))

    async def chunks(
        self, owner: Owner, file_id: str, *, first: int = 0, last: int | None = None, collection: str = ""
    ) -> list[DocumentChunk]:
        return await self._call(owner, collection, lambda shelf: shelf.texts.chunks_of(file_id, first, last))

    async def delete(self, owner: Owner, file_id: str, *, collection: str = "") -> int:
        return await self._call(owner, collection, lambda shelf: shelf.delete(file_id))

    async def count(self, owner: Owner, *, collection: str = "") -> int:
        return await self._call(owner, collection, lambda shelf: shelf.texts.count())

    async def recipe(self, owner: Owner, *, collection: str = "") -> str | None:
        return await self._call(owner, collection, lambda shelf: shelf.texts.recipe())

    async def needs_reindex(self, owner: Owner, recipe: str, *, collection: str = "") -> bool:
        return await self._call(owner, collection, lambda shelf: shelf.needs_reindex(recipe))

    async def swap(self, owner: Owner, staged: str, *, collection: str = "") -> None:
        """Raises NotFound when nothing is staged."""
        if not staged or staged == collection:
            raise NotFound("There is no such index.")
        source, target = self._entry(owner, staged), self._entry(owner, collection)
        ordered = (source, target) if staged < collection else (target, source)

        def take_over() -> bool:
            return self._work(source, lambda taken: self._work(target, lambda shelf: shelf.take_over(taken)))

        if not await in_turn([entry.lock for entry in ordered], take_over):
            raise NotFound("There is no such index.")

    async def reset(self, owner: Owner, *, collection: str = "") -> None:
        await self._call(owner, collection, lambda shelf: shelf.reset())

    async def aclose(self) -> None:
        client, self._client = self._client, None
        self._open.clear()
        if client is not None:
            await asyncio.to_thread(client.close)

    async def _call(self, owner: Owner, collection: str, work: Callable[[Shelf], T]) -> T:
        entry = self._entry(owner, collection)
        return await in_turn([entry.lock], lambda: self._work(entry, work))

    def _entry(self, owner: Owner, collection: str) -> _Open:
        check_ids(owner, collection)
        key = (owner, collection)
        entry = self._open.get(key)
        if entry is None:
            entry = self._open[key] = _Open(_name(owner, collection))
        self._open.move_to_end(key)
        while len(self._open) > MAX_OPEN:
            oldest = next(iter(self._open))
            if self._open[oldest].lock.locked():
                break
            del self._open[oldest]
        return entry

    def _work(self, entry: _Open, work: Callable[[Shelf], T]) -> T:
        """In a thread."""
        import chromadb.errors

        with entry.guard:
            try:
                if entry.shelf is None:
                    entry.shelf = self._opened(entry.name)
                return work(entry.shelf)
            except chromadb.errors.ChromaError as error:
                entry.shelf = None
                raise StorageFailed("The document index could not be read or written.") from error
            except OSError as error:
                entry.shelf = None
                raise storage_error(error) from error

    def _opened(self, name: str) -> Shelf:
        from backend.vector_store.chroma_shelf import Shelf
        from backend.vector_store.words import Words

        with self._starting:
            if self._client is None:
                import chromadb
                from chromadb.config import Settings as ChromaSettings

                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._folder.chmod(0o700)
                self._client = chromadb.PersistentClient(
                    path=str(self._folder), settings=ChromaSettings(anonymized_telemetry=False)
                )
            self._words = self._words or Words()
            return Shelf(self._client, name, self._folder / TEXTS / name, self._words)


@dataclass(slots=True)
class _Open:
    name: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    guard: Any = field(default_factory=threading.Lock)
    shelf: Shelf | None = None


def _name(owner: Owner, collection: str) -> str:
    """Hashed: Chroma's rules for names are not those of our ids, and two owners must never share one."""
    whole = "/".join([owner.tenant, owner.user, *([collection] if collection else [])])
    return "owner-" + hashlib.sha256(whole.encode()).hexdigest()[:48]
