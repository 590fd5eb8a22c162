"""Searching collections: which documents count, in which index each is, and one scale for what is found."""

from __future__ import annotations

import time
from collections.abc import Collection as Several
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from backend.embeddings.port import Embedder
from backend.models.attribute_filters import Attribute, Filter, matches
from backend.models.collections import ANYTHING, Collection, SearchLimits
from backend.models.documents import DocumentChunk, Hit
from backend.models.errors import InvalidRequest, ToolUnavailable
from backend.models.run import Owner
from backend.storage.collection_store import CollectionStore
from backend.storage.document_store import DocumentStore
from backend.vector_store.port import VectorStore

if TYPE_CHECKING:
    from backend.embeddings.port import FloatArray

PIECES = 1024
"""A chunk of a collection's own index is stored in pieces that the embedder reads whole; piece p of chunk c has the
index c * PIECES + p, and the pieces put together are the chunk."""
WORDS_HALF = 6.0
"""BM25 score that counts half: a passage with two or three rare words of the query reaches about it."""
MOST_HITS = 150


@dataclass(frozen=True, slots=True)
class Scope:
    """Where is searched: ids of documents in the owner's main index, and by collection those in its own index."""

    main: frozenset[str] = frozenset()
    own: Mapping[str, frozenset[str]] = field(default_factory=dict)
    attributes: Mapping[str, Mapping[str, Attribute]] = field(default_factory=dict)
    """By document."""

    @property
    def files(self) -> frozenset[str]:
        return self.main.union(*self.own.values())

    def within(self, file_ids: Several[str]) -> Scope:
        """Only these of them."""
        wanted = frozenset(file_ids)
        own = {collection: kept for collection, ids in self.own.items() if (kept := ids & wanted)}
        return Scope(self.main & wanted, own, self.attributes)


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk with its score in [0, 1], which means the same in every index and for every query."""

    chunk: DocumentChunk
    score: float
    attributes: Mapping[str, Attribute]


class CollectionSearch:
    """Used by the HTTP route and by the tool alike."""

    def __init__(
        self, collections: CollectionStore, documents: DocumentStore, vectors: VectorStore, embedder: Embedder
    ) -> None:
        self._collections = collections
        self._documents = documents
        self._vectors = vectors
        self._embedder = embedder

    async def resolve(self, owner: Owner, ids: Iterable[str]) -> list[Collection]:
        """See `resolve`."""
        return await resolve(self._collections, owner, ids)

    async def scope(
        self,
        owner: Owner,
        collections: Sequence[Collection],
        wanted: Filter | None = None,
        files: Several[str] = (),
    ) -> Scope:
        """See `scope_of`."""
        return await scope_of(self._documents, owner, collections, wanted, files)

    async def search(
        self, owner: Owner, scope: Scope, queries: Sequence[str], limit: int, limits: SearchLimits = ANYTHING
    ) -> list[Found]:
        """The best chunks for any of the queries, best first, each once. Raises ToolUnavailable."""
        best: dict[tuple[str, str], Found] = {}
        for query in queries:
            vector = await self._embedder.embed_query(query)
            for found in await self._of_one(owner, scope, vector, query, limit):
                key = (found.chunk.file_id, found.chunk.text)
                if found.score >= limits.threshold and (key not in best or best[key].score < found.score):
                    best[key] = found
        return sorted(best.values(), key=lambda found: -found.score)[: limits.max_results or limit]

    async def _of_one(self, owner: Owner, scope: Scope, vector: FloatArray, query: str, limit: int) -> list[Found]:
        out: list[Found] = []
        if scope.main:
            hits = await self._hits(owner, vector, query, 2 * limit, scope.main, "")
            out += [Found(hit.chunk, relevance(hit), scope.attributes.get(hit.chunk.file_id, {})) for hit in hits]
        for collection_id, files in scope.own.items():
            hits = await self._hits(owner, vector, query, 3 * limit, files, collection_id)
            scores: dict[tuple[str, int], float] = {}
            for hit in hits:
                key = (hit.chunk.file_id, hit.chunk.index // PIECES)
                scores[key] = max(scores.get(key, 0.0), relevance(hit))
            ranked = sorted(scores.items(), key=lambda pair: -pair[1])[:limit]
            for (file_id, number), score in ranked:
                chunk = await self._whole(owner, collection_id, file_id, number)
                if chunk is not None:
                    out.append(Found(chunk, score, scope.attributes.get(file_id, {})))
        return out

    async def _hits(
        self, owner: Owner, vector: FloatArray, query: str, limit: int, files: Several[str], collection: str
    ) -> list[Hit]:
        if await self._vectors.needs_reindex(owner, self._embedder.name, collection=collection):
            raise ToolUnavailable(
                "The documents are not searchable until they have been indexed again.", code="index_outdated"
            )
        return await self._vectors.search(owner, vector, query, min(limit, MOST_HITS), files, collection=collection)

    async def _whole(self, owner: Owner, collection: str, file_id: str, number: int) -> DocumentChunk | None:
        """The chunk that the pieces with this number make up; None when it was removed meanwhile."""
        chunks = await self._vectors.chunks(owner, file_id, collection=collection)
        parts = [each for each in chunks if each.index // PIECES == number]
        return replace(parts[0], index=number, text="".join(part.text for part in parts)) if parts else None


def relevance(hit: Hit) -> float:
    """How well a chunk fits in [0, 1]: half by its cosine, half by its words, neither compared with other chunks.

    The fused score of a search will not do: it stretches each ranking to [0, 1], so that the best of a search always
    has about 1, however little it has to do with the query.
    """
    words = max(0.0, hit.parts.get("lexical", 0.0))
    dense = min(1.0, max(0.0, hit.parts.get("dense", hit.score)))
    return (dense + words / (words + WORDS_HALF)) / 2


async def resolve(store: CollectionStore, owner: Owner, ids: Iterable[str]) -> list[Collection]:
    """The collections with these ids. Raises NotFound, InvalidRequest for one that has expired."""
    found: list[Collection] = []
    for collection_id in ids:
        collection = await store.get(owner, collection_id)
        if collection.is_expired(time.time()):
            raise InvalidRequest("The vector store has expired: make another.", code="vector_store_expired")
        found.append(collection)
    return found


async def scope_of(
    documents: DocumentStore,
    owner: Owner,
    collections: Sequence[Collection],
    wanted: Filter | None = None,
    files: Several[str] = (),
) -> Scope:
    """The documents of these collections that can be searched now and pass the filter, and `files` besides."""
    members = [(each.id, file) for each in collections for file in each.files.values()]
    there = await documents.get_many(owner, {*files, *(file.file_id for _, file in members)})
    ready = {file_id for file_id, document in there.items() if document.status == "ready"}
    main: set[str] = {file_id for file_id in files if file_id in ready}
    own: dict[str, set[str]] = {}
    attributes: dict[str, Mapping[str, Attribute]] = {}
    for collection_id, file in members:
        if file.file_id not in ready or file.state == "cancelled" or not matches(wanted, file.attributes):
            continue
        if file.chunking is None:
            main.add(file.file_id)
        elif file.state == "indexed":
            own.setdefault(collection_id, set()).add(file.file_id)
        else:
            continue
        attributes.setdefault(file.file_id, file.attributes)
    return Scope(frozenset(main), {key: frozenset(ids) for key, ids in own.items()}, attributes)


async def names_in(
    store: CollectionStore,
    documents: DocumentStore,
    owner: Owner,
    files: Several[str] | None,
    collection_ids: Sequence[str],
    wanted: Filter | None = None,
) -> tuple[str, ...]:
    """File names of the ready documents that a run limited to these may know of, newest first.

    Raises NotFound, InvalidRequest for a collection that has expired.
    """
    if not collection_ids:
        return await documents.ready_names(owner, files=files)
    scope = await scope_of(documents, owner, await resolve(store, owner, collection_ids), wanted, files or ())
    return await documents.ready_names(owner, files=scope.files)
