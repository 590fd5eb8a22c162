"""Text in pieces: nothing lost, nothing too long, cut where it hurts least."""

from __future__ import annotations

import random

import pytest

from backend.utils.split_text import WORD_CHARS, pieces, windows


def nonsense(seed: int) -> str:
    chance = random.Random(seed)
    return "".join(chance.choice("abc   .\n。é👋") for _ in range(chance.randint(0, 2000)))


@pytest.mark.parametrize("seed", range(40))
def test_pieces_put_together_are_the_text(seed: int) -> None:
    text, size = nonsense(seed), 10 + seed * 7
    cut = pieces(text, size)
    assert "".join(cut) == text
    assert all(len(piece) <= size for piece in cut)


@pytest.mark.parametrize("seed", range(40))
def test_windows_hold_the_whole_text_and_overlap(seed: int) -> None:
    text, size = nonsense(seed), 100 + seed * 7
    overlap = size // 2
    at = 0
    for number, window in enumerate(windows(text, size, overlap)):
        assert len(window) <= size
        start = text.find(window, max(0, at - overlap)) if number else 0
        assert max(0, at - overlap) <= start <= max(0, at - overlap + WORD_CHARS + 1), "a gap, or hardly an overlap"
        at = start + len(window)
    assert at == len(text)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("aaaa bbbb.\n\ncccc dddd eeee", "aaaa bbbb.\n\n"),
        ("aaaa bbbb c\ncccc dddd eeee", "aaaa bbbb c\n"),
        ("aaaa bbbb. cccc dddd eeee", "aaaa bbbb. "),
        ("aaaabbbbcc cccc dddd eeee", "aaaabbbbcc cccc "),
        ("a" * 30, "a" * 16),
    ],
    ids=["paragraph", "line", "sentence", "word", "nothing"],
)
def test_the_best_place_is_taken(text: str, first: str) -> None:
    assert pieces(text, 16)[0] == first


def test_five_megabytes_take_no_time_worth_telling() -> None:
    assert len(windows(("word " * 200 + "\n\n") * 5000, 3200, 1600)) > 1000
