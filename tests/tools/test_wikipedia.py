"""`wikipedia` against a double of the MediaWiki API on a real socket."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import ValidationError

from backend.core.toolbox import Toolbox, ToolOutcome
from backend.tools.wikipedia_tool import Arguments, Wikipedia, find_subject, first_sentences
from tests.doubles.services import mediawiki
from tests.doubles.services.http_double import HttpDouble, Reply
from tests.fakes.tools import run_context


@pytest.fixture
async def service() -> AsyncIterator[HttpDouble]:
    async with HttpDouble(mediawiki.answer).running() as double:
        yield double


@pytest.fixture
async def tool(service: HttpDouble) -> AsyncIterator[Wikipedia]:
    tool = Wikipedia(service.url, "me@example.org")
    yield tool
    await tool.aclose()


async def asked(tool: Wikipedia, **arguments: Any) -> ToolOutcome:
    return await Toolbox({"wikipedia": tool}, run_context()).call("wikipedia", arguments)


async def test_the_summary_is_the_first_sentences_and_cited(tool: Wikipedia, service: HttpDouble) -> None:
    outcome = await asked(tool, query="Marie Curie", sentences=2)
    source = outcome.result.sources[0]
    assert source.quote.startswith("Maria Salomea")
    assert source.quote.endswith("1867 in Warsaw.")
    assert source.url == "https://en.wikipedia.org/wiki/Marie_Curie"
    assert outcome.result.data["sections"] == ["Life", "Early years", "Awards"]
    assert service.requests[0].headers["user-agent"] == "Hearth/0.1.0 (me@example.org)"


async def test_a_redirect_leads_to_the_article(tool: Wikipedia) -> None:
    assert (await asked(tool, query="Madame Curie")).result.data["title"] == "Marie Curie"


async def test_words_that_are_no_title_are_searched(tool: Wikipedia) -> None:
    assert (await asked(tool, query="polish radioactivity physicist")).result.data["title"] == "Marie Curie"


async def test_one_section_can_be_read(tool: Wikipedia) -> None:
    outcome = await asked(tool, query="Marie Curie", section="awards")
    assert outcome.result.sources[0].quote.startswith("Nobel Prize in Physics (1903)")


async def test_a_section_that_is_not_there_names_those_that_are(tool: Wikipedia) -> None:
    error = (await asked(tool, query="Marie Curie", section="Cars")).error
    assert "no section 'cars'" in (error or "")
    assert "Awards" in (error or "")


async def test_a_name_with_several_meanings_offers_them(tool: Wikipedia) -> None:
    outcome = await asked(tool, query="Mercury")
    assert outcome.result.data["disambiguation"] is True
    assert "Mercury (element); Mercury (planet)" in outcome.result.text
    assert outcome.result.sources == ()


@pytest.mark.parametrize("query", ["Zzzyx", "<bad|title>", "|||", "a\u0000b"])
async def test_nothing_found_is_said_so(tool: Wikipedia, query: str) -> None:
    assert "has no article on" in ((await asked(tool, query=query)).error or "")


async def test_the_edition_is_the_one_named_or_that_of_the_query(service: HttpDouble) -> None:
    tool = Wikipedia(service.url + "/{language}", "")
    for arguments in ({"query": "Mercury", "language": "German"}, {"query": "wer war die Frau von Pierre"}):
        await asked(tool, **arguments)
        assert service.requests[-1].path == "/de/w/api.php"
    await tool.aclose()


@pytest.mark.parametrize("bad", ["evil.example/", "a", "en.evil", "..", "en/../x", "x" * 30])
def test_net_1_a_language_can_never_be_part_of_an_address(bad: str) -> None:
    with pytest.raises(ValidationError):
        Arguments(query="x", language=bad)


async def test_asking_again_is_answered_from_memory(tool: Wikipedia, service: HttpDouble) -> None:
    await asked(tool, query="Marie Curie")
    before = len(service.requests)
    await asked(tool, query="Marie Curie", sentences=1)
    assert len(service.requests) == before


@pytest.mark.parametrize(
    ("faults", "sentence"),
    [
        pytest.param([Reply({"error": {"code": "maxlag", "info": "Waiting"}})], "is busy", id="maxlag"),
        pytest.param([Reply({"error": {"code": "badvalue", "info": "/srv/x"}})], "refused the question", id="error"),
        pytest.param([Reply(b"", 429, {"retry-after": "600"})], "allows no more requests", id="throttled"),
        pytest.param([Reply(b"<html>")], "cannot be read", id="html"),
        pytest.param([Reply([])], "refused the question", id="another_shape"),
        pytest.param([Reply({"query": {"pages": ["x", {"title": 3}]}})], None, id="odd_pages"),
    ],
)
async def test_a_failing_service_becomes_a_sentence(
    tool: Wikipedia, service: HttpDouble, faults: list[Reply], sentence: str | None
) -> None:
    service.faults = faults
    error = (await asked(tool, query="Marie Curie")).error
    assert error is None if sentence is None else sentence in (error or "")
    assert "/srv" not in (error or "")


@pytest.mark.parametrize(
    ("query", "subject"),
    [
        ("What does Wikipedia say about Marie Curie?", "Marie Curie"),
        ("wikipedia: Marie Curie", "Marie Curie"),
        ("search wikipedia for the Eiffel Tower", "the Eiffel Tower"),
        ("Look up Marie Curie on Wikipedia", "Marie Curie"),
        ("Wikipedia article about black holes", "black holes"),
        ("Who was Marie Curie according to Wikipedia", "Marie Curie"),
        ("Suche Marie Curie auf Wikipedia", "Marie Curie"),
        ("Cherche Marie Curie sur Wikipédia", "Marie Curie"),
        ("Busca Marie Curie en Wikipedia", "Marie Curie"),
        ("Who was Marie Curie?", None),
        ("wikipedia", None),
    ],
)
def test_the_subject_is_taken_from_the_query(query: str, subject: str | None) -> None:
    assert find_subject(query) == subject


def test_finding_the_subject_is_quick_on_hostile_text() -> None:
    clock = time.perf_counter()
    for text in ("wikipedia" * 20_000, "a " * 50_000 + "on wikipedia", "search " * 20_000):
        find_subject(text)
    assert time.perf_counter() - clock < 0.5


@pytest.mark.parametrize(
    ("text", "count", "expected"),
    [
        ("One. Two. Three.", 2, "One. Two."),
        ("Dr. Smith came. He left.", 1, "Dr. Smith came."),
        ("Am 3. Mai kam er. Er blieb.", 1, "Am 3. Mai kam er."),
        ("Line one\nLine two", 1, "Line one"),
        ("No end", 3, "No end"),
        ("", 3, ""),
    ],
)
def test_sentences_are_counted_as_people_do(text: str, count: int, expected: str) -> None:
    assert first_sentences(text, count) == expected
