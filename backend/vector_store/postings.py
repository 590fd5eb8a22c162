"""Which texts a term stands in, as sorted arrays: built once, read from a mapped file, merged without sorting again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping

    Ints = npt.NDArray[Any]

MAX_COUNT = 65_535


@dataclass(frozen=True, slots=True)
class Postings:
    """`terms`, uint64, ascend; rows and counts of `terms[i]` are those from `starts[i]` to `starts[i + 1]`.

    `starts`: uint64, one more than terms. `rows`: uint32. `counts`: uint16, how often the term stands in the row.
    """

    terms: Ints
    starts: Ints
    rows: Ints
    counts: Ints

    def sections(self) -> dict[str, Ints]:
        return {"terms": self.terms, "starts": self.starts, "rows": self.rows, "counts": self.counts}

    @classmethod
    def of(cls, sections: Mapping[str, Ints]) -> Postings:
        return cls(sections["terms"], sections["starts"], sections["rows"], sections["counts"])

    def find(self, terms: Ints) -> list[tuple[int, int, int]]:
        """Place in `terms`, start and end in rows and counts, for each of the terms that is here."""
        if not len(self.terms):
            return []
        places = np.minimum(np.searchsorted(self.terms, terms), len(self.terms) - 1)
        here = np.flatnonzero(self.terms[places] == terms)
        at = places[here]
        return list(zip(here.tolist(), self.starts[at].tolist(), self.starts[at + 1].tolist(), strict=True))


def build(texts: Sequence[Sequence[int]]) -> Postings:
    """Postings of the terms of each row, in any order."""
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    terms = np.fromiter((term for text in texts for term in text), dtype=np.uint64, count=int(lengths.sum()))
    rows = np.repeat(np.arange(len(texts), dtype=np.uint32), lengths)
    order = np.lexsort((rows, terms))
    terms, rows = terms[order], rows[order]
    first = np.ones(len(terms), dtype=bool)
    first[1:] = (terms[1:] != terms[:-1]) | (rows[1:] != rows[:-1])
    at = np.flatnonzero(first)
    counts = np.minimum(np.diff(np.append(at, len(terms))), MAX_COUNT).astype(np.uint16)
    distinct, starts = _runs(terms[at])
    return Postings(distinct, starts, rows[at], counts)


def merge(parts: Sequence[tuple[Postings, Ints]]) -> Postings:
    """One out of several; with each goes the new number of each of its rows, -1 for rows that are left out.

    Rows of a term come part by part. Working memory: about 20 bytes a posting of the largest part beside the result.
    """
    kept = [_renumbered(postings, numbers) for postings, numbers in parts]
    if not kept:
        return build([])
    terms = np.unique(np.concatenate([each.terms for each in kept]))
    sizes = np.zeros(len(terms), dtype=np.int64)
    places = [np.searchsorted(terms, each.terms) for each in kept]
    for each, place in zip(kept, places, strict=True):
        sizes[place] += _sizes(each)
    starts = np.concatenate(([0], np.cumsum(sizes)))
    filled = starts[:-1].copy()
    rows = np.empty(starts[-1], dtype=np.uint32)
    counts = np.empty(starts[-1], dtype=np.uint16)
    for each, place in zip(kept, places, strict=True):
        own = _sizes(each)
        target = np.arange(len(each.rows)) + np.repeat(filled[place] - each.starts[:-1].astype(np.int64), own)
        rows[target], counts[target] = each.rows, each.counts
        filled[place] += own
    return Postings(terms, starts.astype(np.uint64), rows, counts)


def _renumbered(postings: Postings, numbers: Ints) -> Postings:
    """Without rows that are left out and terms that are in no other."""
    rows = numbers[postings.rows]
    stays = rows >= 0
    if stays.all():
        return Postings(postings.terms, postings.starts, rows.astype(np.uint32), postings.counts)
    before = np.concatenate(([0], np.cumsum(stays)))
    starts = before[postings.starts.astype(np.int64)]
    used = np.flatnonzero(np.diff(starts))
    return Postings(
        postings.terms[used],
        np.append(starts[used], before[-1]).astype(np.uint64),
        rows[stays].astype(np.uint32),
        postings.counts[stays],
    )


def _sizes(postings: Postings) -> Ints:
    """How many rows each term stands in."""
    starts = postings.starts.astype(np.int64)
    return starts[1:] - starts[:-1]


def _runs(values: Ints) -> tuple[Ints, Ints]:
    """The distinct values of a sorted array and where each begins, with the end of the array behind."""
    first = np.ones(len(values), dtype=bool)
    first[1:] = values[1:] != values[:-1]
    at = np.flatnonzero(first)
    return values[at], np.append(at, len(values)).astype(np.uint64)
