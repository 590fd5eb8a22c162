"""Joining two rankings: the arithmetic, and what happens at its edges."""

from __future__ import annotations

import pytest

from backend.models.documents import Hit
from backend.vector_store.fusion import distinct, fuse
from tests.vector_store.conftest import chunk


def test_scores_are_stretched_and_averaged() -> None:
    dense = [("a", 0.9), ("b", 0.5), ("c", 0.1)]
    lexical = [("b", 12.0), ("d", 2.0)]
    assert fuse([dense, lexical]) == [
        ("b", pytest.approx(0.75)),
        ("a", pytest.approx(0.5)),
        ("c", pytest.approx(0.0)),
        ("d", pytest.approx(0.0)),
    ]


def test_an_empty_ranking_has_no_vote() -> None:
    assert fuse([[("a", 0.9), ("b", 0.4)], []]) == [("a", pytest.approx(1.0)), ("b", pytest.approx(0.0))]
    assert fuse([[], []]) == []


def test_equal_scores_count_one() -> None:
    assert fuse([[("a", 0.3)], [("a", 7.0)]]) == [("a", pytest.approx(1.0))]


@pytest.mark.parametrize("lexical", [[], [("c", 3.0)], [("c", 3.0), ("a", 1.0), ("b", 0.5)]])
def test_scores_stay_between_0_and_1(lexical: list[tuple[str, float]]) -> None:
    fused = fuse([[("a", -0.2), ("b", 0.7), ("c", 1.0000001)], lexical])
    assert all(0 <= score <= 1 for _, score in fused)


def test_of_hits_that_say_the_same_the_first_stays() -> None:
    hits = [Hit(chunk("A  text", "f1"), 0.9), Hit(chunk("a\ntext", "f2"), 0.8), Hit(chunk("other", "f3"), 0.7)]
    assert [hit.chunk.file_id for hit in distinct(hits)] == ["f1", "f3"]
