"""Quotations of an answer, compared with the passages that they are attributed to."""

from __future__ import annotations

import time

import pytest

from backend.core.citations import Checked, checked_citations
from backend.core.citations_text import Passage, parts_of, plain
from backend.models.tools import Source

LEAVE = (
    "## Leave\n\nEvery employee has **30 days** of paid\nleave per calen-\ndar year. It is taken in whole days.\n\n"
    "| Grade | Days of extra leave |\n|---|---|\n| senior | 5 |\n\nThe oﬃce is closed “between the years”."
)
NOTICE = "The notice period is three months to the end of a quarter. It’s given in writing — by letter."
SOURCES = [
    Source(
        "document", "handbook.pdf, p. 3", LEAVE, "/files/f1/view#page=3", "f1", "handbook.pdf", 3,
        start=100, end=100 + len(LEAVE), line=9, heading=("Rules for every day at work",),
    ),
    Source("document", "contract.txt", NOTICE, "/files/f2/view#line=4", "f2", "contract.txt", start=0, end=len(NOTICE),
           line=4),
]  # fmt: skip


def checked(answer: str, question: str = "") -> Checked:
    return checked_citations(answer, SOURCES, question)


def held(answer: str) -> list[tuple[int, str, bool]]:
    """Marker, file and whether it is narrowed to quoted words."""
    return [(each.index, each.source.filename or "", each.quoted) for each in checked(answer).citations]


@pytest.mark.parametrize(
    ("answer", "quote"),
    [
        ('"The notice period is three months to the end of a quarter" [2].', "The notice period"),
        ("“the NOTICE period is   three months” [2]", "The notice period"),
        ("«The notice period is three months» [2]", "The notice period"),
        ("»The notice period is three months« [2]", "The notice period"),
        ("„The notice period is three months“ [2]", "The notice period"),
        ('„The notice period is three months" [2]', "The notice period"),
        ("‘The notice period is three months’ [2]", "The notice period"),
        ("As [2] has it: “The notice period is three months.” So be it.", "The notice period"),
        ("“The notice period is three months.” [2] Something else is so [1].", "The notice period"),
        ("“The notice period … end of a quarter” [2]", "The notice period"),
        ("“The notice [...] to the end of a quarter.” [2]", "The notice"),
        ("“The notice [that is given] is three months” [2]", "The notice"),
        ("“It's given in writing - by letter” [2]", "It’s given"),
        ("It says [2]:\n\n> The notice period is three months\n> to the end of a quarter.\n\nSo.", "The notice"),
        ("> The notice period is three months to the end of a quarter. [2]", "The notice"),
        ("> The notice period is three months to the end of a quarter.\n\n— contract.txt [2]", "The notice"),
        ("“The notice period is three months [2].”", "The notice"),
        ("- “The notice period is three months.” (line 4) [2]", "The notice period"),
    ],
)  # fmt: skip
def test_a_quotation_narrows_its_citation_to_the_words_of_the_passage(answer: str, quote: str) -> None:
    citation = next(each for each in checked(answer).citations if each.index == 2)
    assert citation.quoted and citation.source.quote.startswith(quote)
    start, end = citation.source.start, citation.source.end
    assert start is not None and end is not None and NOTICE[start:end] == citation.source.quote


def test_the_place_counts_from_the_page_and_the_line_moves_along() -> None:
    (citation,) = checked("“every employee has 30 days of paid leave per calendar year” [1]").citations
    source = citation.source
    assert source.quote == "Every employee has **30 days** of paid\nleave per calen-\ndar year"
    assert (source.start, source.end) == (100 + LEAVE.index("Every"), 100 + LEAVE.index(". It is"))
    assert (source.line, source.page, source.url) == (11, 3, "/files/f1/view#page=3")


@pytest.mark.parametrize(
    "quoted",
    [
        pytest.param("Every employee has 30 days of paid leave", id="emphasis and line ends"),
        pytest.param("leave per calendar year", id="hyphen at a line's end"),
        pytest.param("Days of extra leave senior 5", id="rows of a table"),
        pytest.param("The office is closed 'between the years'", id="ligature and quotes"),
    ],
)
def test_markup_and_typesetting_do_not_count(quoted: str) -> None:
    assert checked(f"“{quoted}” [1]").citations[0].quoted


@pytest.mark.parametrize(
    "quoted",
    [
        pytest.param("Every employee has 35 days of paid leave", id="another number"),
        pytest.param("0 days of paid leave per calendar year", id="a number cut in front"),
        pytest.param("very employee has 30 days of paid leave", id="a word cut in front"),
        pytest.param("Every employee has 30 days of paid leave per cal", id="a word cut at the end"),
        pytest.param("The leave per calendar year is 30 days … whole days", id="words in another order"),
        pytest.param("It is taken in whole days … every employee has 30 days", id="parts in another order"),
        pytest.param("Every employee has 30 days of leave", id="a word left out in silence"),
    ],
)
def test_words_that_are_not_in_the_passage_drop_the_citation(quoted: str) -> None:
    result = checked(f"The handbook says: “{quoted}” [1]. Notice takes three months [2].")
    assert [each.index for each in result.citations] == [2]
    assert result.dropped == 1


def test_words_of_another_source_move_the_citation_there() -> None:
    (citation,) = checked("“The notice period is three months” [1].").citations
    assert (citation.index, citation.source.filename, citation.quoted) == (1, "contract.txt", True)
    assert citation.note == "The words stand in contract.txt, not in source 1."


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(
            "“Every employee has 30 days of paid leave” [1] and “the notice period is three months” [2].",
            [(1, "handbook.pdf", True), (2, "contract.txt", True)],
            id="each its own",
        ),
        pytest.param(
            "[1] says “every employee has 30 days of paid leave”, and [2] “the notice period is three months”.",
            [(1, "handbook.pdf", True), (2, "contract.txt", True)],
            id="marker in front",
        ),
        pytest.param(
            "“The notice period is three months” [1, 2].",
            [(1, "handbook.pdf", False), (2, "contract.txt", True)],
            id="one of several numbers",
        ),
        pytest.param("“The notice period is twelve months at least” [1][2].", [], id="side by side they fall together"),
        pytest.param("Notice is “three months” [1].", [(1, "handbook.pdf", False)], id="too short to be checked"),
        pytest.param(
            "`“The notice period is twelve months at least”` [2].", [(2, "contract.txt", False)], id="in code"
        ),
        pytest.param(
            "See “Rules for every day at work” [1].", [(1, "handbook.pdf", False)], id="a heading's words"
        ),
        pytest.param(
            "> **Note:** ask the works council before you do anything [2].", [(2, "contract.txt", False)], id="an aside"
        ),
        pytest.param(
            "It was said “you never get any leave here”. Leave is taken in days [1].",
            [(1, "handbook.pdf", False)],
            id="in a sentence without a marker",
        ),
        pytest.param(
            "- Every employee has 30 days of paid leave per calendar year. [1]",
            [(1, "handbook.pdf", True)],
            id="a sentence copied without marks",
        ),
    ],
)  # fmt: skip
def test_which_marker_a_quotation_belongs_to(answer: str, expected: list[tuple[int, str, bool]]) -> None:
    assert held(answer) == expected


def test_words_of_the_question_are_no_quotation() -> None:
    question = "Is it true that nobody ever gets any leave?"
    assert checked("That “nobody ever gets any leave” is not so [1].", question).dropped == 0


def test_a_passage_that_is_not_the_page_text_keeps_its_own_place() -> None:
    source = Source("document", "t.csv", "head\nrow with several words in it", start=500, end=520, line=40)
    (citation,) = checked_citations("“row with several words in it” [1]", [source]).citations
    assert (citation.source.quote, citation.source.start) == ("row with several words in it", 500)


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Die Kündigungsfrist beträgt drei Monate.", "die kündigungsfrist beträgt drei monate"),
        ("Re\u0301sume\u0301 des faits de la cause", "résumé des faits de la cause"),
        ("会議は毎週月曜日の午前九時に始まります。", "毎週月曜日の午前九時に始まり"),
        ("Straße und Weg in der Stadt", "STRASSE und Weg in der Stadt"),
    ],
)
def test_other_languages(text: str, quoted: str) -> None:
    assert Passage(text).locate(parts_of(quoted)) is not None


@pytest.mark.parametrize(
    "answer",
    [
        "“" * 40_000,
        '"a b c d e f g h i j" ' * 3_000 + "[1]",
        "> a [1]\n" * 10_000,
        "[1]" * 20_000,
        "« » " * 20_000,
        ". [1] “" * 10_000,
        "- " * 40_000 + "[1]",
        ("word - " * 20_000) + " [1]",
    ],
    ids=range(8),
)
def test_hostile_answers_are_read_in_reasonable_time(answer: str) -> None:
    begin = time.process_time()
    checked(answer + " [1]")
    assert time.process_time() - begin < 2.0


def test_plain_text_leaves_letters_and_figures() -> None:
    assert plain("“The ﬁrst — **30 %** of_it…”") == "thefirst-30%ofit..."
