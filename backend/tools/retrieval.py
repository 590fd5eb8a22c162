"""The search in the users' documents: from a query to passages, the same for the tool and for every route."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from backend.embeddings.port import Embedders
from backend.embeddings.rerank_port import Reranker
from backend.models.documents import DocumentChunk, embedder_of
from backend.models.errors import HearthError, UpstreamError
from backend.models.run import Owner
from backend.storage.collection_store import CollectionStore
from backend.storage.document_store import DocumentStore
from backend.tools.collection_search import PIECES, Homed, Scope, resolve
from backend.tools.retrieval_filters import EVERYTHING, Narrowing, Picker
from backend.tools.retrieval_passages import Joiner, Passage
from backend.tools.retrieval_query import whole_query
from backend.tools.retrieval_scores import Candidate, diverse, relevance, relevant, words_of
from backend.vector_store.port import VectorStore

if TYPE_CHECKING:
    from backend.embeddings.port import FloatArray

log = logging.getLogger("hearth.retrieval")

MAX_QUERY_CHARS = 2000
"""What is searched for of a query; longer ones are pasted text."""
MIN_POOL, MAX_POOL = 50, 150
"""Chunks asked of an index, so that copies can be left out and the right ones come up in the order of relevance."""
RERANKED = 30
"""Of the candidates the reranker reads so many; those behind keep their order."""
RERANK_SECONDS = 30.0
"""How long is waited for it; after that, and after a failure, the order is the one without it, for a while."""
RERANK_REST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Found:
    """What a search came to. `query` is what was really searched for. `scope` None means all the owner's documents."""

    query: str
    passages: tuple[Passage, ...] = ()
    scope: Scope | None = None
    empty: bool = False
    """There was nothing to search in."""
    note: str = ""
    """One sentence when something was left out, such as a reranker that failed."""


@dataclass(slots=True)
class _Query:
    """A query on its way: its words, and its vector by each embedder that was needed."""

    text: str
    words: frozenset[str]
    vectors: dict[str, FloatArray | None] = field(default_factory=dict)


class Retriever:
    """One instance serves the process; it keeps nothing of any user."""

    def __init__(
        self,
        embedders: Embedders,
        vectors: VectorStore,
        documents: DocumentStore,
        collections: CollectionStore | None = None,
        reranker: Reranker | None = None,
    ) -> None:
        self._embedders = embedders
        self._vectors = vectors
        self._collections = collections
        self._reranker = reranker
        self._rests_until = 0.0
        self._joiner = Joiner(documents, vectors)
        self._documents = documents
        self.picker = Picker(documents, collections)

    async def search(
        self,
        owner: Owner,
        query: str,
        limit: int,
        wanted: Narrowing = EVERYTHING,
        *,
        earlier: Sequence[str] = (),
        join: bool = True,
        floor: bool = True,
    ) -> Found:
        """The best passages, best first, at most `limit`.

        Args:
            owner: Who asks; what others share with them is found through `wanted.collections`.
            query: In words. A follow-up is completed from `earlier`, the user's turns before it, newest first.
            limit: How many passages at most.
            wanted: What the search is limited to, and from which score on a passage counts.
            join: Make one passage of neighbouring chunks.
            floor: Leave out what has nothing to do with the query.

        Raises NotFound, InvalidRequest for files and collections that are not there.
        """
        asked = _Query(text := whole_query(query.strip()[:MAX_QUERY_CHARS], earlier), words_of(text))
        scope = await self.picker.scope(owner, wanted)
        indexes = _indexes(owner, scope)
        if not indexes:
            return Found(text, scope=scope, empty=True)
        pool = min(MAX_POOL, max(MIN_POOL, 3 * limit))
        candidates = [
            candidate
            for (home, collection), files in indexes.items()
            for candidate in await self._candidates(home, collection, files, asked, pool)
        ]
        empty = not candidates and scope is None and await self._vectors.count(owner) == 0
        candidates = await self._living(candidates)
        candidates.sort(key=lambda each: -each.score)
        if floor:
            candidates = relevant(candidates, asked.words)
        candidates, note = await self._reranked(text, candidates)
        threshold = wanted.limits.threshold
        best = diverse([each for each in candidates if each.score >= threshold], limit)
        passages = await self._passages(best, scope, join=join)
        return Found(text, tuple(passages), scope, empty, note)

    async def best_chunks(self, owner: Owner, file_id: str, query: str, limit: int) -> list[DocumentChunk]:
        """The chunks of one document that fit a query best, in the order of the document; none is too bad."""
        found = await self.search(owner, query, limit, Narrowing(only=frozenset({file_id})), join=False, floor=False)
        return sorted((passage.chunk for passage in found.passages), key=lambda chunk: chunk.index)

    async def resolve(self, owner: Owner, ids: Sequence[str]) -> list[Homed]:
        """The collections with these ids and whose each is. Raises NotFound, InvalidRequest for an expired one."""
        return [] if self._collections is None else await resolve(self._collections, owner, ids)

    async def aclose(self) -> None:
        if self._reranker is not None:
            await self._reranker.aclose()

    # ---- finding ---------------------------------------------------------------------------------

    async def _candidates(
        self, home: Owner, collection: str, files: AbstractSet[str] | None, asked: _Query, pool: int
    ) -> list[Candidate]:
        """What one index has. An index of an older recipe is searched as it was made, until it is made again."""
        recipe = await self._vectors.recipe(home, collection=collection)
        if recipe is None:
            return []
        vector = await self._vector(asked, embedder_of(recipe))
        hits = await self._vectors.search(home, vector, asked.text, pool, files, collection=collection)
        found = [
            Candidate(
                home,
                collection,
                hit.chunk,
                relevance(hit, len(asked.words)),
                {**hit.parts, "fused": hit.score},
                hit.vector,
            )
            for hit in hits
        ]
        return _best_pieces(found) if collection else found

    async def _vector(self, asked: _Query, name: str) -> FloatArray | None:
        """The query as the embedder with this name sees it; None when it cannot be had, and words alone count."""
        if name not in asked.vectors:
            embedder = await self._embedders.named(name)
            try:
                asked.vectors[name] = None if embedder is None else await embedder.embed_query(asked.text)
            except UpstreamError as error:
                log.warning("%s could not be asked, words alone are searched for: %s", name, error.message)
                asked.vectors[name] = None
        return asked.vectors[name]

    async def _living(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """Those of documents that have not been deleted or expired since they were indexed."""
        asked: dict[Owner, set[str]] = {}
        for each in candidates:
            asked.setdefault(each.home, set()).add(each.chunk.file_id)
        there = {home: await self._documents.get_many(home, ids) for home, ids in asked.items()}
        return [each for each in candidates if each.chunk.file_id in there[each.home]]

    async def _reranked(self, query: str, candidates: Sequence[Candidate]) -> tuple[list[Candidate], str]:
        """In the order of the reranker, where there is one that answers."""
        if self._reranker is None or len(candidates) < 2 or time.monotonic() < self._rests_until:
            return list(candidates), ""
        head = candidates[:RERANKED]
        try:
            async with asyncio.timeout(RERANK_SECONDS):
                scores = await self._reranker.scores(query, [each.chunk.context_text for each in head])
        except (HearthError, TimeoutError) as error:
            self._rests_until = time.monotonic() + RERANK_REST_SECONDS
            log.warning("%s could not rerank: %s", self._reranker.name, error or "it took too long")
            return list(candidates), "The reranker did not answer; the order is that of the search."
        lowest = min(scores)
        # What it has not read comes behind, in the old order.
        rest = [each.with_part("relevance", each.score, lowest * each.score) for each in candidates[RERANKED:]]
        judged = [
            each.with_part("relevance", each.score, score).with_part("rerank", score)
            for each, score in zip(head, scores, strict=True)
        ]
        return sorted(judged, key=lambda each: -each.score) + rest, ""

    # ---- showing ---------------------------------------------------------------------------------

    async def _passages(self, best: Sequence[Candidate], scope: Scope | None, *, join: bool) -> list[Passage]:
        whole = [each for each in [await self._whole(candidate) for candidate in best] if each is not None]
        if join:
            passages = await self._joiner.passages(whole)
        else:
            passages = [Passage(each.home, each.chunk, each.score, each.parts) for each in whole]
        if scope is None:
            return passages
        return [replace(each, attributes=scope.attributes.get(each.chunk.file_id, {})) for each in passages]

    async def _whole(self, candidate: Candidate) -> Candidate | None:
        """With the chunk that a piece of a collection's own index is of; None when it was removed meanwhile."""
        if not candidate.collection:
            return candidate
        number = candidate.chunk.index // PIECES
        pieces = await self._vectors.chunks(
            candidate.home,
            candidate.chunk.file_id,
            first=number * PIECES,
            last=number * PIECES + PIECES - 1,
            collection=candidate.collection,
        )
        if not pieces:
            return None
        text = "".join(piece.text for piece in pieces)
        return replace(candidate, chunk=replace(pieces[0], index=number, text=text, end=pieces[-1].end))


def _indexes(owner: Owner, scope: Scope | None) -> Mapping[tuple[Owner, str], AbstractSet[str] | None]:
    """Each index to be searched, and the files that count in it; None for all."""
    if scope is None:
        return {(owner, ""): None}
    return {**{(home, ""): ids for home, ids in scope.main.items()}, **scope.own}


def _best_pieces(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Of the pieces of one chunk the best."""
    best: dict[tuple[str, int], Candidate] = {}
    for each in sorted(candidates, key=lambda one: -one.score):
        best.setdefault((each.chunk.file_id, each.chunk.index // PIECES), each)
    return list(best.values())
