"""Chunks keep to the structure of a page, know their place in it, and lose nothing."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.utils.chunking import Chunker, Piece

SENTENCE = "The keeper of the lamp climbs the stairs at dusk. "
WORDS = st.sampled_from(
    [
        "# Head",
        "## Deeper",
        "word",
        "a b c.",
        "| a | b |",
        "| --- | --- |",
        "```",
        "- item",
        "x = 1",
        "  y",
        "漢字。",
        "👩‍🚀",
        "",
    ]
)
PAGES = st.lists(WORDS, max_size=60).map("\n".join) | st.text(max_size=300)


def cut(text: str, form: str = "markdown", size: int = 200, overlap: int = 40) -> list[Piece]:
    return list(Chunker(size, overlap).pieces(text, form))


def check(text: str, pieces: list[Piece], size: int) -> None:
    at = 0
    for piece in pieces:
        assert piece.text == piece.head + text[piece.start : piece.end]
        assert piece.line == text.count("\n", 0, piece.start) + 1
        assert piece.text.strip() and len(piece.text) <= size
        assert not text[at : piece.start].strip(), "something between two pieces is lost"
        assert piece.end > at, "a piece brings nothing new"
        at = piece.end
    assert not text[at:].strip(), "the end is lost"


@settings(max_examples=60, deadline=None)
@given(text=PAGES, form=st.sampled_from(["markdown", "plain", "code"]), size=st.integers(20, 120))
def test_pieces_hold_the_whole_page_in_order_at_their_places(text: str, form: str, size: int) -> None:
    check(text, cut(text, form, size, size // 4), size)


@pytest.mark.parametrize("form", ["markdown", "plain", "code"])
@pytest.mark.parametrize("text", ["", " \n\t \n", "\n" * 1000], ids=["nothing", "blanks", "newlines"])
def test_of_nothing_there_are_no_pieces(text: str, form: str) -> None:
    assert cut(text, form) == []


def test_headings_go_with_what_follows_them_and_stand_above_what_comes_later() -> None:
    text = f"# House\n\n## Rooms\n\n{SENTENCE * 3}\n\n{SENTENCE * 3}\n\n## Garden\n\n{SENTENCE * 3}\n"
    first, second, garden = cut(text)
    assert (first.heading, second.heading, garden.heading) == ((), ("House", "Rooms"), ("House",))
    assert first.text.startswith("# House\n\n## Rooms\n\nThe keeper") and garden.text.startswith("## Garden\n\nThe")


def test_headings_hold_over_pages_until_another_of_their_level() -> None:
    chunker = Chunker(200, 40)
    pages = ["# House\n\n### Attic\n\nDusty.", "Still dusty.", "## Cellar", "Wet.", "# Barn\n\nHay.", "More hay."]
    found = [[piece.heading for piece in chunker.pieces(page, "markdown")] for page in pages]
    assert found[1] == [("House", "Attic")]
    assert found[3] == [("House", "Cellar")]
    assert found[5] == [("Barn",)]


def test_a_heading_is_bounded_and_without_marks() -> None:
    chunker = Chunker(1000, 0)
    list(chunker.pieces(f"# **Bold** {'long ' * 100}#", "markdown"))
    ((heading,),) = (piece.heading for piece in chunker.pieces("text", "markdown"))
    assert heading.startswith("Bold") and heading.endswith("…") and len(heading) <= 120


@pytest.mark.parametrize("text", ["#hashtag", "#", "####### seven", "    # code", "a # b"])
def test_what_only_looks_like_a_heading_is_none(text: str) -> None:
    chunker = Chunker(1000, 0)
    list(chunker.pieces(text, "markdown"))
    assert next(chunker.pieces("next", "markdown")).heading == ()


def test_underlined_headings_count_and_rules_do_not() -> None:
    chunker = Chunker(1000, 0)
    list(chunker.pieces("Title\n=====\n\nPart\n----\n\nText over\ntwo lines\n---\n\n---\n", "markdown"))
    assert next(chunker.pieces("next", "markdown")).heading == ("Title", "Part")


def test_a_hash_in_code_is_no_heading() -> None:
    chunker = Chunker(1000, 0)
    list(chunker.pieces("# Real\n\n```sh\n# comment\n```\n", "markdown"))
    assert next(chunker.pieces("next", "markdown")).heading == ("Real",)


def test_small_neighbours_share_a_piece_but_not_across_an_equal_heading() -> None:
    text = f"## A\n\n{SENTENCE}\n\n{SENTENCE}\n\n## B\n\n{SENTENCE}"
    assert [piece.text.count("##") for piece in cut(text)] == [1, 1]


def test_tiny_sections_are_joined() -> None:
    text = "".join(f"## Q{n}\n\nYes.\n\n" for n in range(12))
    assert len(cut(text)) <= 4


@pytest.mark.parametrize(
    "block",
    ["| a | b |\n| --- | --- |\n" + "| one | two |\n" * 9, "```py\n" + "call(1)\n\n" * 16 + "```"],
    ids=["table", "code"],
)
def test_tables_and_code_stay_whole_where_they_fit(block: str) -> None:
    block = block.strip()
    text = f"{SENTENCE * 3}\n\n{block}\n\n{SENTENCE * 3}"
    assert len(block) <= 200 and any(block in piece.text for piece in cut(text))


def test_parts_of_a_long_table_each_have_its_head_and_whole_rows() -> None:
    head = "| name | price |\n| --- | ---: |\n"
    rows = [f"| thing {n} | {n}.50 |" for n in range(60)]
    text = f"# Prices\n\nIn euros.\n\n{head}" + "\n".join(rows) + "\n\nAll sold."
    pieces = cut(text)
    check(text, pieces, 200)
    parts = [piece for piece in pieces if "thing" in piece.text]
    assert all(head in part.text for part in parts) and len(parts) > 5
    assert all(part.head == head and part.heading == ("Prices",) for part in parts[1:])
    assert [row for part in parts for row in part.text.split("\n") if "thing" in row] == rows
    assert text[parts[3].start :].startswith("| thing")


def test_a_table_with_a_huge_head_or_row_is_cut_all_the_same() -> None:
    wide = "|" + " column |" * 60
    text = f"{wide}\n|{' --- |' * 60}\n{wide}\n| short |\n"
    pieces = cut(text)
    check(text, pieces, 200)
    assert not any(piece.head for piece in pieces)


def test_a_paragraph_a_little_too_long_becomes_two_halves() -> None:
    text = SENTENCE * 22
    first, second = cut(text, "plain", 1000, 200)
    assert min(len(first.text), len(second.text)) > 500
    assert text[second.start - 2 : second.start] == ". " and first.end - 200 <= second.start < first.end


def test_only_long_texts_overlap_and_at_a_sentence() -> None:
    short = "\n\n".join([SENTENCE.strip() * 3] * 6)
    assert all(one.end <= other.start for one, other in pairwise(cut(short, "plain")))
    long = cut(SENTENCE * 30, "plain", 200, 60)
    assert all(one.end > other.start for one, other in pairwise(long))
    assert all(piece.text.startswith("The keeper") for piece in long)


def test_a_text_that_repeats_itself_keeps_its_places() -> None:
    text = "ab " * 2000
    check(text, cut(text, "plain"), 200)


def test_cjk_is_cut_after_its_sentences() -> None:
    pieces = cut("灯台守は夕暮れに階段を上る。" * 60, "plain")
    assert len(pieces) > 4 and all(piece.text.endswith("。") for piece in pieces)


def test_emoji_and_accents_are_not_taken_apart() -> None:
    for text in ("👩‍🚀" * 300, "e\u0301" * 400, "🇫🇷" * 3 + "🏳️‍🌈" * 200):
        assert all(piece.text[0] not in "\u200d\ufe0f\u0301" for piece in cut(text, "plain"))


def test_code_is_cut_between_its_definitions_with_their_indent() -> None:
    methods = "\n\n".join(f"    def step_{n}(self):\n        return {n} + {n}" for n in range(12))
    text = f"import os\n\n\ndef first():\n    return 1\n\n\nclass Walker:\n{methods}\n"
    pieces = cut(text, "code")
    check(text, pieces, 200)
    assert pieces[0].text.startswith("import os") and "class" not in pieces[0].text
    later = [piece for piece in pieces if "step_" in piece.text][1:]
    assert later and all(piece.text.startswith("    def step_") for piece in later)
    assert all(piece.heading == ("class Walker",) for piece in later)


def test_a_closing_bracket_after_a_blank_line_belongs_to_what_it_closes() -> None:
    (piece, _) = cut("const a = {\n  b: 1,\n\n};\n\n" + "other();\n" * 20, "code")
    assert piece.text.endswith("};")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("word " * 60_000, "plain"),
        ("x" * 400_000, "plain"),
        ("漢" * 100_000, "markdown"),
        (" " * 1_000_000 + "x", "markdown"),
        ("\n" * 1_000_000 + "x", "code"),
        ("".join(f"# Heading {n}\n" for n in range(30_000)), "markdown"),
        ("|" * 1_000_000, "markdown"),
        ("|-|\n" * 60_000, "markdown"),
        ("```\n" * 60_000, "markdown"),
        ("`" * 1_000_000, "markdown"),
        ("- item\n" * 50_000, "markdown"),
        ("a\n\n" * 80_000, "plain"),
        ("#" * 1_000_000, "markdown"),
    ],
    ids=[
        "words",
        "word",
        "cjk",
        "blanks",
        "newlines",
        "headings",
        "pipes",
        "tables",
        "fences",
        "ticks",
        "list",
        "a",
        "#",
    ],
)
def test_long_monotonous_pages_take_time_in_proportion(text: str, form: str) -> None:
    began = time.process_time()
    half = cut(text[: len(text) // 2], form, 1000, 200)
    middle = time.process_time()
    pieces = cut(text, form, 1000, 200)
    # Twice the text, twice the time; a square would be four times, of seconds.
    assert time.process_time() - middle < 3.5 * (middle - began) + 0.5
    assert len(pieces) >= len(half) and pieces[-1].end >= len(text.rstrip()) - 1
