"""Scores, places, filters and rewritten queries, each by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backend.models.documents import Document, DocumentChunk, Hit
from backend.models.errors import InvalidRequest
from backend.models.messages import Message
from backend.models.run import Owner
from backend.tools.retrieval_filters import Narrowing, _fits, matching, moment_of
from backend.tools.retrieval_passages import Passage, joined, source_of, title_of, url_of
from backend.tools.retrieval_query import earlier_turns, plain_query, rewritten, whole_query
from backend.tools.retrieval_scores import Candidate, diverse, is_relevant, relevance, relevant, words_of

ALICE = Owner("default", "alice-1")


def chunk(text: str = "text", index: int = 0, **known: object) -> DocumentChunk:
    return DocumentChunk("f1", str(known.pop("filename", "a.txt")), index, text, **known)  # type: ignore[arg-type]


def candidate(text: str, score: float, vector: list[float] | None = None, **parts: float) -> Candidate:
    unit = None if vector is None else np.array(vector, dtype=np.float32) / np.float32(np.linalg.norm(vector))
    return Candidate(ALICE, "", chunk(text), score, parts, unit)


# ---- scores -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"dense": 0.6, "lexical": 2.0}, {"dense": 0.5, "lexical": 2.0}),
        ({"dense": 0.5, "lexical": 3.0}, {"dense": 0.5, "lexical": 2.0}),
        ({"dense": 0.9, "lexical": 60.0}, {"dense": 0.9, "lexical": 30.0}),
        ({"lexical": 3.0}, {"lexical": 2.0}),
        ({"dense": 0.1}, {"dense": -0.4}),
    ],
)
def test_relevance_grows_with_each_part(better: dict[str, float], worse: dict[str, float]) -> None:
    one, other = (relevance(Hit(chunk(), 0.5, parts), 3) for parts in (better, worse))
    assert 0 <= other < one < 1


def test_relevance_does_not_depend_on_the_length_of_the_query_or_on_other_hits() -> None:
    assert relevance(Hit(chunk(), 1.0, {"dense": 0.4, "lexical": 12.0}), 4) == pytest.approx(
        relevance(Hit(chunk(), 0.1, {"dense": 0.4, "lexical": 24.0}), 8)
    )


@pytest.mark.parametrize(
    ("text", "parts", "counts"),
    [
        ("something else", {"dense": 0.35}, True),
        ("something else", {"dense": 0.25, "lexical": 2.0}, False),
        ("annual reports", {"dense": 0.2, "lexical": 2.0}, True),
        ("annual reports", {"dense": 0.05, "lexical": 2.0}, False),
        ("annual leave", {"dense": 0.05, "lexical": 2.0}, True),
        ("the employees' leaves", {"lexical": 1.0}, True),
        ("something else", {"lexical": 1.0}, False),
    ],
)
def test_what_has_nothing_to_do_with_the_query_is_told_apart(text: str, parts: dict[str, float], counts: bool) -> None:
    query = words_of("How many days of annual leave does an employee have?")
    assert query >= {"annual", "leave", "employee", "days"}
    assert is_relevant(candidate(text, 0.5, **parts), query) is counts


def test_a_chunk_that_has_what_the_passages_of_its_document_lack_completes_them() -> None:
    found = [
        candidate("Dogs and cats need the written consent.", 0.46, dense=0.4),
        candidate("The landlord lets the flat on the second floor.", 0.23, dense=0.13),
        candidate("Keep the flat clean.", 0.1, dense=0.1),
        candidate("Who is allowed to travel first class.", 0.1, dense=0.05),
        replace(candidate("A flat fee.", 0.09, dense=0.05), chunk=replace(chunk("A flat fee."), file_id="file-other")),
    ]
    query = words_of("Am I allowed to have a dog in the flat?")
    assert [each.chunk.text for each in relevant(found, query)] == [
        "Dogs and cats need the written consent.",
        "The landlord lets the flat on the second floor.",
        "Who is allowed to travel first class.",
    ]
    assert relevant(found[1:], query) == []


def test_copies_are_left_out_and_the_rest_keeps_its_order() -> None:
    found = diverse(
        [
            candidate("a", 0.9, [1, 0, 0]),
            candidate("a again", 0.89, [1, 0.01, 0]),
            candidate("b", 0.6, [0.6, 0.8, 0]),
            candidate("c", 0.5, [0, 0, 1]),
        ],
        3,
    )
    assert [each.chunk.text for each in found] == ["a", "b", "c"]
    assert all("mmr" in each.parts for each in found)


def test_a_passage_of_its_own_comes_before_one_that_nearly_repeats() -> None:
    pool = [candidate("a", 0.9, [1, 0]), candidate("near", 0.5, [0.9, 0.43]), candidate("new", 0.48, [0, 1])]
    assert [each.chunk.text for each in diverse(pool, 2)] == ["a", "new"]


@pytest.mark.parametrize("vectors", [[None, None], [[1.0, 0.0], [1.0, 0.0, 0.0]]], ids=["none", "two embedders"])
def test_without_comparable_vectors_the_same_words_are_copies(vectors: list[list[float] | None]) -> None:
    found = diverse([candidate("Same  words", 0.9, vectors[0]), candidate("same words", 0.8, vectors[1])], 5)
    assert [each.score for each in found] == [0.9]


def test_nothing_stays_nothing() -> None:
    assert diverse([], 5) == []


# ---- places -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "title", "fragment"),
    [
        ({"filename": "handbook.pdf", "page": 3}, "handbook.pdf, p. 3", "#page=3"),
        ({"filename": "deck.pptx", "page": 4, "unit": "slide"}, "deck.pptx, slide 4", "#page=4"),
        ({"filename": "book.xlsx", "page": 2, "unit": "sheet", "label": "Q3"}, "book.xlsx, sheet Q3", "#page=2"),
        ({"filename": "b.epub", "page": 2, "unit": "chapter", "label": " "}, "b.epub, chapter 2", "#page=2"),
        ({"filename": "notes.md", "line": 120}, "notes.md, line 120", "#line=120"),
        ({"filename": "notes.md"}, "notes.md", ""),
        ({"filename": "x.xlsx", "page": 1, "unit": "sheet", "label": "a\nb"}, "x.xlsx, sheet a b", "#page=1"),
    ],
)
def test_a_place_is_named_as_people_do(known: dict[str, object], title: str, fragment: str) -> None:
    made = chunk(**known)
    assert (title_of(made), url_of(made)) == (title, f"/files/f1/view{fragment}")


def test_a_source_has_all_that_a_citation_needs() -> None:
    made = chunk("text", page=2, unit="sheet", label="Q3", heading=("A", "B"), start=5, end=9, line=3)
    source = source_of(Passage(ALICE, made, 0.51239, {"dense": 0.123456}))
    assert (source.unit, source.label, source.heading, source.line) == ("sheet", "Q3", ("A", "B"), 3)
    assert (source.start, source.end, source.score, source.parts) == (5, 9, 0.5124, {"dense": 0.1235})


def test_texts_are_joined_without_what_they_share() -> None:
    assert joined(["one two three four five", "three four five six"]) == "one two three four five six"
    assert joined(["one", "two"]) == "one\ntwo"


# ---- filters ------------------------------------------------------------------------------------


def document(filename: str = "a.pdf", content_type: str = "application/pdf", created_at: float = 1000.0) -> Document:
    return Document(filename, filename, content_type, 1, "0" * 64, created_at, "ready")


@pytest.mark.parametrize("types", [("pdf",), (".PDF",), ("application/pdf",), ("application/*",), ("xlsx", "pdf")])
def test_a_kind_of_file_is_named_in_many_ways(types: tuple[str, ...]) -> None:
    assert _fits(document(), Narrowing(types=types))
    assert not _fits(document("a.txt", "text/plain"), Narrowing(types=types))


@pytest.mark.parametrize(
    ("kind", "filename"),
    [("spreadsheets", "a.xlsx"), ("Excel", "a.xlsx"), ("slides", "a.pptx"), ("emails", "a.eml"), ("word", "a.docx")],
)
def test_kinds_have_the_names_that_people_use(kind: str, filename: str) -> None:
    assert _fits(document(filename, "application/octet-stream"), Narrowing(types=(kind,)))
    assert not _fits(document("a.pdf"), Narrowing(types=(kind,)))


def test_times_of_upload_include_the_first_and_not_the_last() -> None:
    assert _fits(document(), Narrowing(after=1000.0))
    assert not _fits(document(), Narrowing(before=1000.0))
    assert _fits(document(), Narrowing(after=999.0, before=1001.0))


@pytest.mark.parametrize("name", ["a.pdf", "A.PDF", "a"])
def test_a_document_is_found_by_its_name(name: str) -> None:
    assert matching([document(), document("b.pdf")], name) == [document()]


def test_dates_are_utc_unless_they_say_otherwise() -> None:
    assert moment_of("1970-01-02", "after") == 86_400
    assert moment_of("1970-01-02T01:00:00+01:00", "after") == 86_400


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "2026", "9" * 40])
def test_what_is_no_date_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        moment_of(text, "after")
    assert refused.value.param == "after"


# ---- queries ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "query", "expected"),
    [
        ("How many days of leave are there in Munich?", "and in Berlin?", "How many days of leave are there in Berlin"),
        ("How do I renew my passport?", "how long does it take?", "How do I renew my passport. how long does it take?"),
        ("What does error E12 mean?", "and E17?", "What does error E17 mean"),
        ("How many days of leave are there?", "And how high is the deposit?", "how high is the deposit?"),
        ("How many days of leave are there?", "Who approves travel expenses?", "Who approves travel expenses?"),
        ("thanks!", "and in Berlin?", "and in Berlin?"),
        ("x" * 600, "and in Berlin?", "and in Berlin?"),
    ],
)
def test_a_follow_up_is_completed_and_nothing_else(before: str, query: str, expected: str) -> None:
    assert whole_query(query, [before]) == expected


def test_a_chain_of_follow_ups_is_traced_back() -> None:
    turns = ["and in Berlin?", "How many days of leave are there in Munich?"]
    assert whole_query("and in Hamburg?", turns) == "How many days of leave are there in Hamburg"


@pytest.mark.parametrize(
    ("query", "plain"),
    [
        ("Hello, could you please tell me how long the warranty is?", "how long the warranty is?"),
        ("Kannst du mir bitte sagen, wie lange die Garantie gilt?", "wie lange die Garantie gilt?"),
        ("please", "please"),
        ("warranty period", "warranty period"),
        ("so what?", "so what?"),
    ],
)
def test_courtesies_are_left_out(query: str, plain: str) -> None:
    assert plain_query(query) == plain


def test_several_queries_are_the_turns_of_a_conversation() -> None:
    assert rewritten(["How many days of leave are there in Munich?", "and in Berlin?"]) == [
        "How many days of leave are there in Munich?",
        "How many days of leave are there in Berlin",
    ]


def test_only_the_users_turns_before_the_last_are_looked_at() -> None:
    said = [
        ("user", "one"),
        ("assistant", "no"),
        ("user", "two"),
        ("user", "three"),
        ("user", "four"),
        ("user", "five"),
    ]
    messages = [Message(role, text) for role, text in said]  # type: ignore[arg-type]
    assert earlier_turns(messages) == ("four", "three", "two")
    assert earlier_turns([]) == ()
