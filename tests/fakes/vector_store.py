"""A vector store in memory: plain loops over all chunks of an owner, nothing on disk."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from backend.models.documents import DocumentChunk, Hit
from backend.models.errors import InvalidRequest, NotFound
from backend.models.run import Owner
from backend.utils.ids import is_safe_id

if TYPE_CHECKING:
    from backend.embeddings.port import FloatArray

_WORD = re.compile(r"[^\W_]+")


@dataclass
class _Shelf:
    recipe: str = ""
    dimension: int = 0
    chunks: dict[tuple[str, int], tuple[DocumentChunk, FloatArray]] = field(default_factory=dict)


class InMemoryVectorStore:
    """Scores are half the cosine and half the share of the query's words, instead of a fusion of rankings.

    `searches` are the (owner, text, files) of all searches so far; `error`, when set, is raised by every call.
    """

    def __init__(self) -> None:
        self.searches: list[tuple[Owner, str, tuple[str, ...] | None]] = []
        self.error: Exception | None = None
        self.closed = False
        self._shelves: dict[tuple[Owner, str], _Shelf] = {}

    async def add(
        self,
        owner: Owner,
        chunks: Sequence[DocumentChunk],
        vectors: FloatArray,
        recipe: str,
        *,
        collection: str = "",
    ) -> None:
        shelf = self._shelf(owner, collection)
        if len(chunks) != len(vectors) or not np.isfinite(vectors).all():
            raise InvalidRequest("The chunks need as many vectors of finite numbers.")
        if not chunks:
            return
        if shelf.chunks and (shelf.recipe, shelf.dimension) != (recipe, vectors.shape[1]):
            raise InvalidRequest(f"The index was made with {shelf.recipe}; index the documents again.")
        shelf.recipe, shelf.dimension = recipe, vectors.shape[1]
        for chunk, vector in zip(chunks, vectors, strict=True):
            shelf.chunks[chunk.file_id, chunk.index] = (chunk, vector)

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
        shelf = self._shelf(owner, collection)
        self.searches.append((owner, text, None if files is None else tuple(files)))
        if not shelf.chunks:
            return []
        if vector is not None and vector.shape != (shelf.dimension,):
            raise InvalidRequest("The query's vector has other dimensions than the index.")
        wanted = {word for word in _words(text) if len(word) > 3 or not word.isascii()}
        hits: list[Hit] = []
        for chunk, own in shelf.chunks.values():
            if files is None or chunk.file_id in files:
                lexical = len(wanted & _words(chunk.text)) / max(1, len(wanted))
                if vector is None:
                    hits.append(Hit(chunk, lexical, {"lexical": lexical}))
                    continue
                dense = float(own @ vector)
                score = min(1.0, max(0.0, (dense + lexical) / 2))
                hits.append(Hit(chunk, score, {"dense": dense, "lexical": lexical}, own))
        best: dict[str, Hit] = {}
        for hit in sorted(hits, key=lambda hit: -hit.score):
            best.setdefault(" ".join(hit.chunk.text.casefold().split()), hit)
        return list(best.values())[: max(0, limit)]

    async def chunks(
        self, owner: Owner, file_id: str, *, first: int = 0, last: int | None = None, collection: str = ""
    ) -> list[DocumentChunk]:
        found = (chunk for chunk, _ in self._shelf(owner, collection).chunks.values() if chunk.file_id == file_id)
        wanted = (chunk for chunk in found if chunk.index >= first and (last is None or chunk.index <= last))
        return sorted(wanted, key=lambda chunk: chunk.index)

    async def delete(self, owner: Owner, file_id: str, *, collection: str = "") -> int:
        shelf = self._shelf(owner, collection)
        gone = [key for key in shelf.chunks if key[0] == file_id]
        for key in gone:
            del shelf.chunks[key]
        return len(gone)

    async def count(self, owner: Owner, *, collection: str = "") -> int:
        return len(self._shelf(owner, collection).chunks)

    async def recipe(self, owner: Owner, *, collection: str = "") -> str | None:
        shelf = self._shelf(owner, collection)
        return shelf.recipe if shelf.chunks else None

    async def needs_reindex(self, owner: Owner, recipe: str, *, collection: str = "") -> bool:
        shelf = self._shelf(owner, collection)
        return bool(shelf.chunks) and shelf.recipe != recipe

    async def swap(self, owner: Owner, staged: str, *, collection: str = "") -> None:
        self._shelf(owner, collection)
        if not self._shelf(owner, staged).chunks:
            raise NotFound("There is no such index.")
        self._shelves[owner, collection] = self._shelves.pop((owner, staged))

    async def reset(self, owner: Owner, *, collection: str = "") -> None:
        self._shelf(owner, collection)
        self._shelves.pop((owner, collection), None)

    async def aclose(self) -> None:
        self.closed = True

    def _shelf(self, owner: Owner, collection: str) -> _Shelf:
        if self.error is not None:
            raise self.error
        if not (is_safe_id(owner.tenant) and is_safe_id(owner.user) and is_safe_id(collection or "main")):
            raise NotFound("There is no such user or collection.")
        return self._shelves.setdefault((owner, collection), _Shelf())


def _words(text: str) -> set[str]:
    """Words, and single characters of scripts other than Latin, which may know no spaces."""
    folded = text.casefold()
    return {*_WORD.findall(folded), *(character for character in folded if ord(character) > 0x2FF)}
