"""What makes a found chunk worth showing: its relevance, whether that is enough, and how much it repeats others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from backend.models.documents import DocumentChunk, Hit
from backend.models.run import Owner
from backend.utils.language import content_words

if TYPE_CHECKING:
    from backend.embeddings.port import FloatArray

WORD_SCORE = 3.0
"""BM25 score of one word of the query that weighs as much as a cosine of 1. On the training questions of the
collections in docs/retrieval.md nothing between 2 and 4 orders better, and fusing by rank or by range orders worse."""
RELEVANT_COSINE = 0.3
"""From it a passage is about the query, whatever its words: of 19 in 20 questions about something else no passage of a
collection comes so near (all-MiniLM-L6-v2)."""
LIKELY_COSINE = 0.15
"""With a word in common, from this cosine on."""
ENOUGH_WORDS = 0.5
"""Share of the query's words that tell for themselves, in whichever language."""
BALANCE = 0.9
"""How much relevance counts against being unlike what was chosen before; lower values lose right passages."""
COPY = 0.95
"""Cosine from which two passages say the same: only the better one is shown."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A found chunk. `home` is whose it is, `collection` names the index it was found in, `score` is in [0, 1]."""

    home: Owner
    collection: str
    chunk: DocumentChunk
    score: float
    parts: Mapping[str, float]
    vector: FloatArray | None = None

    def with_part(self, name: str, value: float, score: float | None = None) -> Candidate:
        parts = {**self.parts, name: round(value, 4)}
        return replace(self, parts=parts, score=self.score if score is None else score)


def words_of(query: str) -> frozenset[str]:
    """The words of a query that carry meaning."""
    return frozenset(content_words(query))


def relevance(hit: Hit, words: int) -> float:
    """How well a chunk fits in [0, 1], by its cosine and its BM25 score, neither compared with other chunks.

    `words` counts those of the query that carry meaning, as BM25 adds up over them. The fused score of a search will
    not do: it stretches each ranking to [0, 1], so that the best of a search always has about 1, however little it has
    to do with the query, and scores of two indexes mean different things.
    """
    lexical = max(0.0, hit.parts.get("lexical", 0.0)) / (WORD_SCORE * max(1, words))
    dense = hit.parts.get("dense")
    together = 2 * lexical if dense is None else min(1.0, max(0.0, dense)) + lexical
    return math.tanh(together)


def relevant(candidates: Sequence[Candidate], words: frozenset[str]) -> list[Candidate]:
    """Of candidates, best first, those that have to do with the query, and what completes them.

    A question may name one thing here and another there ("a dog in the flat": the flat stands on the first page, the
    dogs on the second). So a chunk counts as well when it has a word of the query that the passages of its document do
    not have yet; each word lets in one chunk at most.
    """
    kept = [is_relevant(each, words) for each in candidates]
    had: dict[tuple[Owner, str], set[str]] = {}
    for each, counts in zip(candidates, kept, strict=True):
        if counts:
            had.setdefault(_document(each), set()).update(_shared(each, words))
    for at, each in enumerate(candidates):
        known = had.get(_document(each))
        if known is not None and not kept[at] and (new := _shared(each, words) - known):
            kept[at] = True
            known |= new
    return [each for each, counts in zip(candidates, kept, strict=True) if counts]


def _document(candidate: Candidate) -> tuple[Owner, str]:
    return candidate.home, candidate.chunk.file_id


def is_relevant(candidate: Candidate, words: frozenset[str]) -> bool:
    """Whether the chunk has anything to do with the query at all.

    The BM25 score does not tell: it may be that of the passage around the chunk.
    """
    dense = candidate.parts.get("dense")
    if dense is not None and dense >= RELEVANT_COSINE:
        return True
    shared = len(_shared(candidate, words))
    if not shared or dense is None or dense >= LIKELY_COSINE:
        return shared > 0
    return shared >= ENOUGH_WORDS * len(words)


def _shared(candidate: Candidate, words: frozenset[str]) -> set[str]:
    text = candidate.chunk.context_text.casefold()
    return {word for word in words if _root(word) in text}


def _root(word: str) -> str:
    """What inflection leaves of a word, roughly: "employees" and "employee"."""
    return word if len(word) <= 4 else word[: max(4, len(word) - 3)]


def diverse(candidates: Sequence[Candidate], limit: int) -> list[Candidate]:
    """The `limit` that together tell most, best first: each is taken for its score less its likeness to those taken.

    `candidates` come best first. Copies of what was taken are left out, however many there are.

    Source: Carbonell and Goldstein, The Use of MMR, Diversity-Based Reranking (SIGIR 1998).
    """
    import numpy as np

    known = [each.vector for each in candidates if each.vector is not None]
    if not known or len(known) < len(candidates) or len({len(vector) for vector in known}) > 1:
        return _without_copies(candidates)[:limit]
    vectors = np.stack(known)
    scores = np.array([each.score for each in candidates])
    nearest, left = np.zeros(len(candidates)), np.ones(len(candidates), dtype=bool)
    taken: list[Candidate] = []
    while len(taken) < limit and left.any():
        gains = np.where(left, BALANCE * scores - (1 - BALANCE) * nearest, -np.inf)
        best = int(gains.argmax())
        left[best] = False
        if nearest[best] < COPY:
            taken.append(candidates[best].with_part("mmr", float(gains[best])))
            # One row at a time: a product of the whole matrix starts threads that cost more than they save.
            nearest = np.maximum(nearest, vectors @ vectors[best])
    return sorted(taken, key=lambda each: -each.score)


def _without_copies(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those that do not say in the same words what a better one says; case and spacing do not count."""
    seen: dict[str, Candidate] = {}
    for each in candidates:
        seen.setdefault(" ".join(each.chunk.text.casefold().split()), each)
    return list(seen.values())
