"""Scoring all rows of an index's segments for a query: BM25 over passages and chunks, and cosines."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from backend.vector_store import dense

if TYPE_CHECKING:
    from backend.embeddings.port import FloatArray
    from backend.vector_store.hnsw import Graph
    from backend.vector_store.segment_files import Array, Segment

Mask = npt.NDArray[np.bool_]
Scored = list[tuple[int, float]]
"""Rows, counted through all segments, and their scores, best first."""

K1 = 1.5
B = 0.75
OWN_SHARE = 0.3
"""How much of a chunk's lexical score comes from its own words, the rest from those of its passage."""


class Ranking:
    """All rows of several segments under one numbering; made anew when a segment changes.

    Score of a passage for a query, summed over the query's words (a repeated word counts again):
    idf * tf / (tf + k1 * (1 - b + b * length / average length)), idf = ln(1 + (N - df + 0.5) / (df + 0.5)),
    with k1 = 1.5 and b = 0.75 and numbers of all segments together. A chunk scores 0.7 times its passage's score and
    0.3 times its own by the same formula: long units tell best what a text is about, short ones where it is said.

    Source: Robertson and Zaragoza, The Probabilistic Relevance Framework (2009), in the form Lucene has since 8.0.
    Cost: reads the postings of the query's words and one number for each row.
    """

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = segments
        self._starts = [0]
        units, shift = [np.empty(0, dtype=np.uint32)], 0
        for segment in segments:
            self._starts.append(self._starts[-1] + segment.rows)
            units.append(segment.unit + np.uint32(shift))
            shift += len(segment.unit_lengths)
        self._unit = np.concatenate(units)
        self._alive = _joined([segment.alive for segment in segments], bool)
        self._row_damping = _damping(_joined([s.row_lengths for s in segments], np.float32), self._alive.sum())
        lengths = _joined([segment.unit_lengths for segment in segments], np.float32)
        used = _joined([segment.unit_rows for segment in segments], np.float32) > 0
        self._units = int(used.sum())
        self._unit_damping = _damping(lengths, self._units)
        self.count = int(self._alive.sum())
        self.languages = frozenset[str]().union(*(segment.languages for segment in segments))

    # ---- rows ---------------------------------------------------------------------------------

    def place(self, row: int) -> tuple[Segment, int]:
        """Which segment a row is in, and its number there."""
        number = bisect_right(self._starts, row) - 1
        return self.segments[number], row - self._starts[number]

    def row_of(self, file_id: str, index: int) -> int | None:
        for segment, start in zip(self.segments, self._starts, strict=False):
            for row in segment.rows_of(file_id).tolist():
                if segment.index[row] == index:
                    return start + int(row)
        return None

    def masks(self, files: Collection[str] | None) -> list[Mask | None]:
        """For each segment which rows belong to the files; None where all do."""
        if files is None:
            return [None] * len(self.segments)
        wanted = frozenset(files)
        masks: list[Mask | None] = []
        for segment in self.segments:
            found = segment.docs.keys() & wanted
            if len(found) == len(segment.docs):
                masks.append(None)
                continue
            documents = np.zeros(len(segment.names), dtype=bool)
            documents[[segment.docs[file_id] for file_id in found]] = True
            masks.append(documents[segment.doc] & segment.alive)
        return masks

    # ---- vectors ------------------------------------------------------------------------------

    def nearest(
        self, query: FloatArray, limit: int, masks: Sequence[Mask | None], graph_of: Callable[[Segment], Graph | None]
    ) -> Scored:
        """The rows with the highest cosines."""
        rows: list[Array] = []
        scores: list[FloatArray] = []
        for segment, mask, start in zip(self.segments, masks, self._starts, strict=False):
            if mask is not None and not mask.any():
                continue
            graph = graph_of(segment) if mask is None else None
            found, cosines = dense.nearest(segment, graph, query, limit, mask)
            rows.append(found + start)
            scores.append(cosines)
        return _best(_joined(rows, np.int64), _joined(scores, np.float32), limit)

    def cosines(self, query: FloatArray, rows: Iterable[int]) -> dict[int, float]:
        """Those of given rows."""
        local: dict[int, list[int]] = {}
        for row in rows:
            local.setdefault(bisect_right(self._starts, row) - 1, []).append(row)
        found: dict[int, float] = {}
        for number, own in local.items():
            chosen = np.array(own) - self._starts[number]
            found.update(zip(own, dense.cosines(self.segments[number], query, chosen).tolist(), strict=True))
        return found

    # ---- words --------------------------------------------------------------------------------

    def lexical(self, words: Sequence[tuple[tuple[int, ...], int]], limit: int, masks: Sequence[Mask | None]) -> Scored:
        """The rows that say most about the words, with scores above 0; words as `Words.query` gives them.

        `masks` limit what is found, not what the word statistics are taken from.
        """
        if not words or not self.count:
            return []
        units = np.zeros(len(self._unit_damping), dtype=np.float32)
        own = np.zeros(len(self._unit), dtype=np.float32)
        for (rows, counts), times in self._postings(words):
            weight = np.float32(times * _rarity(self.count, len(rows)))
            own[rows] += weight * counts / (counts + self._row_damping[rows])
            places, sums = self._by_unit(rows, counts)
            weight = np.float32(times * _rarity(self._units, len(places)))
            units[places] += weight * sums / (sums + self._unit_damping[places])
        scores = np.float32(1 - OWN_SHARE) * units[self._unit] + np.float32(OWN_SHARE) * own
        found = self._alive & (scores > 0)
        for mask, start, end in zip(masks, self._starts, self._starts[1:], strict=False):
            if mask is not None:
                found[start:end] &= mask
        rows = np.flatnonzero(found)
        return _best(rows, scores[rows], limit)

    def _by_unit(self, rows: Array, counts: Array) -> tuple[Array, Array]:
        """Passages that a term stands in, and how often."""
        sums = np.bincount(self._unit[rows], weights=counts, minlength=len(self._unit_damping))
        places = np.flatnonzero(sums)
        return places, sums[places].astype(np.float32)

    def _postings(self, words: Sequence[tuple[tuple[int, ...], int]]) -> Iterable[tuple[tuple[Array, Array], int]]:
        """For each word the rows it stands in and how often, through all segments, erased rows left out."""
        terms = np.array([term for group, _ in words for term in group], dtype=np.uint64)
        owners = [word for word, (group, _) in enumerate(words) for _ in group]
        rows: list[list[Array]] = [[] for _ in words]
        counts: list[list[Array]] = [[] for _ in words]
        for segment, base in zip(self.segments, self._starts, strict=False):
            for place, start, end in segment.postings.find(terms):
                here, often = segment.postings.rows[start:end], segment.postings.counts[start:end]
                if segment.count < segment.rows:
                    left = segment.alive[here]
                    here, often = here[left], often[left]
                rows[owners[place]].append(here.astype(np.int64) + base)
                counts[owners[place]].append(often)
        for own_rows, own_counts, (_, times) in zip(rows, counts, words, strict=True):
            if own_rows:
                yield (np.concatenate(own_rows), np.concatenate(own_counts).astype(np.float32)), times


def _rarity(count: int, having: int) -> float:
    having = min(having, count)
    return math.log(1 + (count - having + 0.5) / (having + 0.5))


def _damping(lengths: FloatArray, count: float) -> FloatArray:
    average = max(1.0, float(lengths.sum()) / max(1, int(count)))
    damping: FloatArray = np.float32(K1 * (1 - B)) + np.float32(K1 * B / average) * lengths
    return damping


def _joined(arrays: Sequence[Array], kind: Any) -> Array:
    return np.concatenate(arrays) if arrays else np.empty(0, dtype=kind)


def _best(rows: Array, scores: FloatArray, limit: int) -> Scored:
    """The highest first, equal ones in the order of rows."""
    if len(rows) > limit:
        threshold = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        stays = np.flatnonzero(scores >= threshold)
        rows, scores = rows[stays], scores[stays]
    order = np.lexsort((rows, -scores))[:limit]
    return list(zip(rows[order].tolist(), scores[order].tolist(), strict=True))
