"""Finding the markers of an answer that point at sources the run really saw."""

from __future__ import annotations

import pytest

from backend.core.citations import checked_citations, resolve_citations
from backend.models.tools import Source

TARIFF = """# Prices

| Article | Price per unit | Minimum order |
| --- | --- | --- |
| Bolt M8 | 0.32 euros | 500 |
| Panel P9 | 61.20 euros | 12 |

Every article is sold by the piece."""
SOURCES = [Source("document", f"file{n}.pdf", f"passage {n}") for n in (1, 2, 3)]


def found(answer: str) -> list[tuple[int, str]]:
    return [(each.index, answer[each.start : each.end]) for each in resolve_citations(answer, SOURCES)]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param("Thirty days [1].", [(1, "[1]")], id="one"),
        pytest.param("A[1] and B [3][2].", [(1, "[1]"), (3, "[3]"), (2, "[2]")], id="several"),
        pytest.param("Both [1, 2].", [(1, "[1, 2]"), (2, "[1, 2]")], id="list"),
        pytest.param("All [1-3].", [(1, "[1-3]"), (2, "[1-3]"), (3, "[1-3]")], id="range"),
        pytest.param("Twice [2,2].", [(2, "[2,2]")], id="repeated in one marker"),
        pytest.param("So 【1】 and 【2†handbook】.", [(1, "【1】"), (2, "【2†handbook】")], id="lenticular"),
        pytest.param("No [0], no [4], but [2, 9].", [(2, "[2, 9]")], id="numbers without a source"),
        pytest.param("Range [2-999].", [(2, "[2-999]"), (3, "[2-999]")], id="range beyond the end"),
        pytest.param("Backwards [3-1].", [], id="backwards"),
        pytest.param("`a[1]` is code, [1] is not.", [(1, "[1]")], id="inline code"),
        pytest.param("```py\nx[1]\n```\nSee [2].", [(2, "[2]")], id="code block"),
        pytest.param("See [2].\n```py\nx[1]", [(2, "[2]")], id="open code block"),
        pytest.param("A stray ` tick [1].\n\nAnother ` one [2].", [(1, "[1]"), (2, "[2]")], id="stray ticks"),
        pytest.param("[x] [1a] [] [ 1 ]", [(1, "[ 1 ]")], id="not numbers"),
        pytest.param("Ümläut 🎉 [1]", [(1, "[1]")], id="offsets count characters"),
        pytest.param("", [], id="empty"),
    ],
)
def test_markers_are_resolved(answer, expected):
    assert found(answer) == expected


def test_a_citation_carries_its_source():
    (citation,) = resolve_citations("See [2].", SOURCES)
    assert citation.source is SOURCES[1]
    assert (citation.start, citation.end) == (4, 7)


@pytest.mark.parametrize(
    ("answer", "quote"),
    [
        ("Article: Panel P9, Price per unit: 61.20 euros, Minimum order: 12 [1]", "| Panel P9 | 61.20 euros | 12 |"),
        ("The Panel P9 costs 61.20 euros, 12 of them at least [1].", "| Panel P9 | 61.20 euros | 12 |"),
        ("The Panel P9 costs 161.20 euros, 12 of them at least [1].", TARIFF),
        ("Article, Price per unit, Minimum order: these are its columns [1].", TARIFF),
    ],
    ids=["by its columns", "in a sentence", "another number", "the head"],
)
def test_a_row_of_a_table_that_is_told_is_quoted(answer: str, quote: str) -> None:
    source = Source("document", "a.docx", TARIFF, url="/files/f/view", start=0, end=len(TARIFF), line=1)
    (citation,) = checked_citations(answer, [source]).citations
    assert citation.source.quote == quote
    assert citation.source.url == ("/files/f/view#line=6" if quote != TARIFF else "/files/f/view")


def test_without_sources_nothing_is_cited():
    assert resolve_citations("See [1].", []) == ()


@pytest.mark.parametrize(
    "text", ["[" * 50_000, "`" * 50_000, "[1," * 20_000, "[1" + " " * 50_000, "【1†" * 20_000, "` a" * 20_000]
)
def test_hostile_text_is_read_in_reasonable_time(text):
    import time

    begin = time.process_time()
    resolve_citations(text, SOURCES)
    assert time.process_time() - begin < 1.0
