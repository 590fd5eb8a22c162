"""Cosines of a query with the vectors of segments: all of them, some of them, or the nearest by a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from backend.embeddings.port import FloatArray
    from backend.vector_store.hnsw import Graph
    from backend.vector_store.segment_files import Array, Segment

FEW = 0.25
"""Below this share of a segment's rows, allowed ones are read by themselves rather than with all between them."""


def nearest(
    segment: Segment, graph: Graph | None, query: FloatArray, limit: int, allowed: npt.NDArray[np.bool_] | None
) -> tuple[Array, FloatArray]:
    """Rows and cosines of the best, in no order: exact, or of nearly all the best where a graph is searched.

    `allowed` tells for each row whether it may be found, erased ones excluded; a graph is asked only without it.
    """
    if allowed is None and graph is not None:
        rows = graph.nearest(query, limit, None if segment.count == segment.rows else segment.alive)
    else:
        wanted = segment.alive if allowed is None else allowed
        few = np.flatnonzero(wanted)
        if len(few) >= FEW * segment.rows:
            scores = all_cosines(segment, query)
            return _best(few, scores if len(few) == segment.rows else scores[few], limit)
        rows = few
    return _best(rows, cosines(segment, query, rows), limit)


def all_cosines(segment: Segment, query: FloatArray) -> FloatArray:
    """One thread: several for one query wait for each other longer than they compute. 1.1 ms for 10,000 x 384."""
    import faiss

    out = np.empty(segment.rows, dtype=np.float32)
    library: Any = faiss
    pointers = [library.swig_ptr(each) for each in (out, query, segment.vectors)]
    library.fvec_inner_products_ny(*pointers, segment.dimension, segment.rows)
    return _numbers(out)


def cosines(segment: Segment, query: FloatArray, rows: Array) -> FloatArray:
    if not len(rows):
        return np.empty(0, dtype=np.float32)
    found: FloatArray = np.einsum("ij,j->i", segment.vectors[rows], query)
    return _numbers(found)


def _numbers(scores: FloatArray) -> FloatArray:
    """Damaged vectors may hold anything; they must not be found."""
    if not np.isfinite(scores.sum()):
        np.nan_to_num(scores, copy=False, nan=-1.0, posinf=-1.0, neginf=-1.0)
    return scores


def _best(rows: Array, scores: FloatArray, limit: int) -> tuple[Array, FloatArray]:
    if len(rows) <= limit:
        return rows, scores
    chosen = np.argpartition(scores, len(scores) - limit)[len(scores) - limit :]
    return rows[chosen], scores[chosen]
