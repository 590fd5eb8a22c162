"""What does not fit an embedder is cut further: nothing lost, places exact, heads of tables repeated."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.utils.chunking_fit import SHORTEST, Piece, estimated_tokens, refit
from backend.utils.split_text import even_parts


def words(limit: int):  # type: ignore[no-untyped-def]
    return lambda text: len(text.split()) <= limit


def whole(text: str, heading: tuple[str, ...] = ()) -> Piece:
    return Piece(text, 0, len(text), 1, heading)


@settings(max_examples=60, deadline=None)
@given(
    text=st.lists(st.sampled_from(["one", "two.", "\n", "\n\n", "| a |", "漢字"]), min_size=1, max_size=80).map(
        " ".join
    ),
    limit=st.integers(3, 30),
)
def test_all_parts_fit_and_hold_the_whole(text: str, limit: int) -> None:
    text = text.strip()
    parts = refit(whole(text), words(limit))
    at = 0
    for part in parts:
        assert part.text == part.head + text[part.start : part.end]
        assert part.line == text.count("\n", 0, part.start) + 1
        assert words(limit)(part.context_text) or part.end - part.start <= SHORTEST
        assert not text[at : part.start].strip()
        at = part.end
    assert not text[at:].strip()


def test_what_fits_stays_as_it_is() -> None:
    piece = whole("a few words", ("Head",))
    assert refit(piece, words(10)) == [piece]


def test_parts_are_about_equal() -> None:
    lengths = [len(part.text) for part in refit(whole("word " * 100 + "end"), words(60))]
    assert len(lengths) == 2 and max(lengths) < 1.3 * min(lengths)


def test_rows_after_a_cut_have_their_tables_head() -> None:
    head = "| a | b |\n|---|---|\n"
    text = "Prices:\n\n" + head + "\n".join(f"| {n} | x |" for n in range(40))
    first, *later = refit(whole(text), words(80))
    assert first.text.startswith("Prices") and len(later) >= 2
    assert all(part.head == head and part.text.count("---") == 2 for part in later)


def test_a_part_with_a_repeated_head_keeps_it_when_it_is_cut_again() -> None:
    head, rows = "| a |\n|---|\n", "\n".join(f"| {n} |" for n in range(40))
    piece = Piece(head + rows, 500, 500 + len(rows), 30)
    parts = refit(piece, words(60))
    assert len(parts) > 1 and all(part.head == head for part in parts)
    assert parts[0].start == 500 and parts[-1].end == piece.end and parts[1].line > 30


def test_headings_never_take_the_room_of_the_text() -> None:
    heading = tuple(f"{level} {'word ' * 15}".strip() for level in "abc")
    parts = refit(whole("text " * 100, heading), words(100))
    assert all(len(part.heading) < 3 and part.text.count("text") > 20 for part in parts)


def test_an_embedder_that_nothing_fits_still_ends() -> None:
    parts = refit(whole("word " * 50, ("Head",)), lambda text: False)
    assert "".join(part.text for part in parts).replace(" ", "") == "word" * 50


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("plain English words " * 20, 60, 110),
        ("漢字" * 50, 100, 105),
        ("12.50; " * 40, 100, 200),
        ("привет " * 10, 50, 80),
    ],
    ids=["prose", "cjk", "figures", "cyrillic"],
)
def test_tokens_are_estimated_by_what_a_text_is_made_of(text: str, least: int, most: int) -> None:
    assert least <= estimated_tokens(text) <= most


@given(text=st.text(max_size=200), count=st.integers(1, 9))
def test_even_parts_put_together_are_the_text(text: str, count: int) -> None:
    parts = even_parts(text, count)
    assert "".join(parts) == text and len(parts) <= max(1, count)
