"""Joining the dense and the lexical ranking into one: min-max score fusion, half and half."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

from backend.models.documents import Hit

POOL = 100
"""Hits taken from each ranking before they are joined."""

Key = TypeVar("Key", bound=Hashable)


def fuse(rankings: Sequence[Sequence[tuple[Key, float]]]) -> list[tuple[Key, float]]:
    """One ranking out of several, best first, scores in [0, 1]; equal scores keep the order of the first ranking.

    The scores of each ranking are stretched to [0, 1] by its own lowest and highest, and averaged with equal
    weights; a key that a ranking does not hold counts 0 there. Empty rankings have no vote. Where all scores of a
    ranking are equal they count 1.

    Source: Lee, Analyses of Multiple Evidence Combination (SIGIR 1997), as weighted CombSUM.
    """
    voting = [ranking for ranking in rankings if ranking]
    fused: dict[Key, float] = {}
    for ranking in voting:
        lowest, highest = min(score for _, score in ranking), max(score for _, score in ranking)
        spread = highest - lowest
        for key, score in ranking:
            share = (score - lowest) / spread if spread > 0 else 1.0
            fused[key] = fused.get(key, 0.0) + share / len(voting)
    return sorted(((key, min(1.0, score)) for key, score in fused.items()), key=lambda pair: -pair[1])


def distinct(hits: Iterable[Hit]) -> Iterator[Hit]:
    """The hits without later ones that say the same; case and spacing do not count."""
    seen: set[str] = set()
    for hit in hits:
        text = " ".join(hit.chunk.text.casefold().split())
        if text not in seen:
            seen.add(text)
            yield hit
