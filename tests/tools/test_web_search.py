"""`web_search` against doubles of Tavily and SearXNG on real sockets, and a stand-in for the keyless library."""

from __future__ import annotations

import inspect
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import ValidationError

from backend.config.settings import load_settings
from backend.core.toolbox import Toolbox, ToolOutcome
from backend.models.errors import ServiceFailed, SettingsError
from backend.tools.port import Unavailable
from backend.tools.web_search import Arguments, WebSearch, create, engines_of
from backend.tools.web_search_cues import find_searches
from backend.tools.web_search_ddgs import KeylessEngines
from backend.tools.web_search_port import Hit, Question, SearchEngine, date_of, distinct, hit_of, normalised
from backend.tools.web_search_searxng import SearXNG
from backend.tools.web_search_tavily import Tavily
from tests.doubles.services import searxng, tavily
from tests.doubles.services.http_double import HttpDouble, Reply
from tests.fakes.tools import FENCE, run_context


@pytest.fixture
async def service() -> AsyncIterator[HttpDouble]:
    async with HttpDouble(tavily.answer).running() as double:
        yield double


@pytest.fixture
async def searx() -> AsyncIterator[HttpDouble]:
    async with HttpDouble(searxng.answer).running() as double:
        yield double


@pytest.fixture
async def tool(service: HttpDouble) -> AsyncIterator[WebSearch]:
    tool = WebSearch([Tavily(tavily.KEY, service.url, timeout_s=1.0)])
    yield tool
    await tool.aclose()


@pytest.fixture
async def searx_tool(searx: HttpDouble) -> AsyncIterator[WebSearch]:
    tool = WebSearch([SearXNG(searx.url, timeout_s=1.0)])
    yield tool
    await tool.aclose()


async def asked(tool: WebSearch, **arguments: Any) -> ToolOutcome:
    return await Toolbox({"web_search": tool}, run_context()).call("web_search", arguments)


# ---- results ------------------------------------------------------------------------------------------


async def test_results_have_title_address_text_score_and_date(tool: WebSearch) -> None:
    outcome = await asked(tool, query="volcano news")
    assert outcome.error is None
    assert outcome.result.data["engine"] == "Tavily"
    best, second = outcome.result.data["results"]
    assert (best["title"], best["score"]) == ("Volcanoes", 0.99)
    assert second == {
        "title": "Volcano wakes",
        "url": "https://news.example/volcano?utm_source=x",
        "content": "The volcano woke on Monday. Nobody was hurt.",
        "score": 0.91,
        "date": "2026-11-16",
    }
    source = outcome.result.sources[1]
    assert (source.kind, source.url, source.score) == ("web", second["url"], 0.91)
    assert source.quote == second["content"]
    assert second["url"] in outcome.result.text


async def test_what_was_asked_for_reaches_tavily(tool: WebSearch, service: HttpDouble) -> None:
    await asked(tool, query=" volcano   news ", max_results=3, recency="week", site="https://www.News.example/x")
    sent = service.requests[0].json()
    assert (sent["query"], sent["max_results"], sent["time_range"]) == ("volcano news", 3, "week")
    assert sent["include_domains"] == ["news.example"]
    assert service.requests[0].headers["authorization"] == f"Bearer {tavily.KEY}"
    assert "x-tavily-access-mode" not in service.requests[0].headers


async def test_what_was_asked_for_reaches_searxng(searx_tool: WebSearch, searx: HttpDouble) -> None:
    outcome = await asked(searx_tool, query="python", recency="month", site="docs.example")
    assert searx.requests[0].query == {
        "q": "site:docs.example python",
        "format": "json",
        "safesearch": "1",
        "language": "en",
        "time_range": "month",
    }
    assert [row["url"] for row in outcome.result.data["results"]] == ["https://docs.example/python"]


async def test_scores_of_searxng_are_relative_to_the_best(searx_tool: WebSearch) -> None:
    rows = (await asked(searx_tool, query="python")).result.data["results"]
    assert [(row["score"], row["date"]) for row in rows] == [(1.0, "2026-11-01"), (0.25, None)]


async def test_nothing_found_is_no_error(tool: WebSearch, searx_tool: WebSearch) -> None:
    for each in (tool, searx_tool):
        outcome = await asked(each, query="qwxyz")
        assert outcome.error is None
        assert "found nothing" in outcome.result.text
        assert outcome.result.data["results"] == []


async def test_inj_1_results_are_fenced_and_their_template_tokens_are_broken(tool: WebSearch) -> None:
    observation = (await asked(tool, query="volcano")).observation
    first, *_, last = observation.split("\n")
    assert FENCE in first and "web_search" in first and FENCE in last
    assert "<|im_start|>" not in observation and "rupture" in observation
    assert (tool.untrusted, tool.outbound) == (True, True)


def test_the_same_page_is_listed_once_and_fullest() -> None:
    hits = [
        Hit("a", "https://x.example/p?utm_source=n&b=1&a=2", "short", 0.5),
        Hit("b", "http://www.X.example:80/p/?a=2&b=1#top", "a longer text", 0.9, "2026-01-01"),
        Hit("c", "https://y.example/", "other", 0.7),
    ]
    kept = distinct(hits, Question("q", 5))
    assert [(hit.title, hit.score, hit.date) for hit in kept] == [("b", 0.9, "2026-01-01"), ("c", 0.7, None)]
    assert len(distinct(hits, Question("q", 1))) == 1
    assert [hit.title for hit in distinct(hits, Question("q", 5, site="y.example"))] == ["c"]


def test_different_pages_stay_apart() -> None:
    urls = ["https://x.example/a", "https://x.example/b", "https://x.example/a?p=1", "https://z.x.example/a"]
    assert len({normalised(url) for url in urls}) == 4


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,x", "ftp://x/", "//x.example", "https://u:p@x.example/", "", None, 7,
     "https://", "https://a b.example/", "https://x.example/\n"],
)  # fmt: skip
def test_net_1_a_result_without_a_plain_web_address_is_dropped(url: Any) -> None:
    row = {"title": "t", "url": url, "content": "c"}
    hit = hit_of(row, ("title", "url", "content"), 0)
    assert hit is None or hit.url == "https://x.example/"


@pytest.mark.parametrize(("score", "rank", "kept"), [(0.4, 0, 0.4), (7, 0, 1.0), (-1, 0, 0.0), (float("nan"), 0, 1.0),
                                                     ("0.9", 5, 0.5), (None, 0, 1.0), (True, 5, 0.5)])  # fmt: skip
def test_scores_lie_between_0_and_1(score: Any, rank: int, kept: float) -> None:
    hit = hit_of({"u": "https://x.example/"}, ("t", "u", "c"), rank, score)
    assert hit is not None
    assert (hit.score, hit.title, hit.content) == (kept, "https://x.example/", "")


@pytest.mark.parametrize(
    ("given", "date"),
    [
        ("2026-11-18T08:00:00Z", "2026-11-18"),
        ("Tue, 18 Nov 2025 08:00:00 GMT", "2025-11-18"),
        ("yesterday", None),
        ("2026-99-99", None),
        (17, None),
        (None, None),
        ("x" * 100_000, None),
    ],
    ids=["iso", "mail", "words", "impossible", "number", "none", "long"],
)
def test_dates_are_read_where_they_are_dates(given: Any, date: str | None) -> None:
    assert date_of(given) == date


# ---- memory -------------------------------------------------------------------------------------------


async def test_asking_again_is_answered_from_memory(tool: WebSearch, service: HttpDouble) -> None:
    await asked(tool, query="volcano")
    again = await asked(tool, query="volcano")
    assert (len(service.requests), len(again.result.sources)) == (1, 2)
    await asked(tool, query="volcano", recency="day")
    assert len(service.requests) == 2


async def test_failures_are_not_kept(tool: WebSearch, service: HttpDouble) -> None:
    service.faults.append(tavily.refusal(429, "slow down"))
    assert (await asked(tool, query="volcano")).error
    assert (await asked(tool, query="volcano")).error is None


async def test_memory_is_bounded_and_can_be_switched_off(service: HttpDouble) -> None:
    class Counting:
        name = "counting"
        asked = 0

        async def search(self, question: Question) -> list[Hit]:
            self.asked += 1
            return []

        async def aclose(self) -> None:
            return None

    engine = Counting()
    tool = WebSearch([engine])
    for n in range(400):
        await tool.run(Arguments(query=f"q{n}"), run_context())
    assert len(tool._kept) <= 256
    without = WebSearch([engine], keep_s=0)
    engine.asked = 0
    for _ in range(2):
        await without.run(Arguments(query="q"), run_context())
    assert (engine.asked, without._kept) == (2, {})


# ---- failures -----------------------------------------------------------------------------------------

HTML = {"content-type": "text/html"}


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (tavily.refusal(401, "Unauthorized"), "administrator has to check it"),
        (tavily.refusal(403, "Forbidden"), "check its plan"),
        (tavily.refusal(432, "plan limit"), "check its plan"),
        (tavily.refusal(433, "pay as you go limit"), "check its plan"),
        (tavily.refusal(429, "blocked"), "no more searches for now"),
        (tavily.refusal(400, "Query is too long"), "use other words"),
        (Reply({"detail": "text"}, 400), "use other words"),
        (tavily.refusal(500, "boom"), "error (500)"),
        (Reply(b"<html>502</html>", 502, HTML), "error (502)"),
        (Reply(b"", 302, {"location": "http://127.0.0.1/"}), "error (302)"),
        (Reply(b"", 204), "cannot be read"),
        (Reply(b"<html>", 200, HTML), "cannot be read"),
        (Reply([1, 2]), "cannot be read"),
        (Reply({"results": [1]}), "cannot be read"),
        (Reply({"results": None}), "cannot be read"),
        (Reply(b"x" * 99, cut=True), "cannot be reached"),
        (Reply({"results": []}, delay_s=5), "within 1 seconds"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.status}",
)
async def test_what_goes_wrong_at_tavily_is_said_in_a_sentence(
    tool: WebSearch, service: HttpDouble, fault: Reply, sentence: str
) -> None:
    service.faults.append(fault)
    outcome = await asked(tool, query="volcano")
    assert sentence in (outcome.error or "")
    assert tavily.KEY not in outcome.observation


@pytest.mark.parametrize(
    ("faults", "sentence"),
    [
        ([Reply(b"no", 403, HTML)], "add json to search.formats"),
        ([Reply(b"", 429), Reply(b"", 429)], "try again later"),
        ([Reply(b"<html>", 200, HTML)], "cannot be read"),
        ([Reply([1])], "cannot be read"),
        ([Reply({"results": [], "unresponsive_engines": [["brave", "timeout"]]})], "None of the engines"),
        ([Reply({"results": []}, delay_s=5)], "within 1 seconds"),
    ],
    ids=["format off", "busy", "html", "list", "engines down", "slow"],
)
async def test_what_goes_wrong_at_searxng_is_said_in_a_sentence(
    searx_tool: WebSearch, searx: HttpDouble, faults: list[Reply], sentence: str
) -> None:
    searx.faults.extend(faults)
    assert sentence in ((await asked(searx_tool, query="python")).error or "")


async def test_rows_that_are_no_results_are_passed_over(searx_tool: WebSearch, searx: HttpDouble) -> None:
    rows: list[Any] = [1, {"url": 3}, {"url": "https://x.example/", "title": None, "score": "high"}]
    searx.faults.append(Reply({"results": rows}))
    assert [row["url"] for row in (await asked(searx_tool, query="python")).result.data["results"]] == [
        "https://x.example/"
    ]


async def test_the_next_engine_is_asked_when_one_fails(service: HttpDouble, searx: HttpDouble) -> None:
    engines: list[SearchEngine] = [Tavily("wrong-key-0000", service.url), SearXNG(searx.url)]
    tool = WebSearch(engines)
    outcome = await asked(tool, query="python")
    assert outcome.result.data["engine"] == "SearXNG"
    searx.faults.append(Reply(b"", 403))
    assert "Tavily refused the server's key" in ((await asked(tool, query="python two")).error or "")
    await tool.aclose()


async def test_proxies_of_the_environment_are_ignored(tool: WebSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "TAVILY_HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await asked(tool, query="volcano")).error is None


# ---- without a key --------------------------------------------------------------------------------------


async def test_the_keyless_library_is_asked_as_it_wants_to_be() -> None:
    given: list[tuple[str, dict[str, Any]]] = []

    def text(query: str, **options: Any) -> list[dict[str, Any]]:
        given.append((query, options))
        return [
            {"title": "Eins", "href": "https://x.example/1", "body": "b"},
            {"title": "Zwei", "href": "https://x.example/2"},
        ]

    hits = await KeylessEngines(text).search(Question("wie hoch ist der Berg", 4, "week", "x.example"))
    assert [(hit.title, hit.score) for hit in hits] == [("Eins", 1.0), ("Zwei", 0.8333)]
    assert given == [("site:x.example wie hoch ist der Berg", {"region": "de-de", "timelimit": "w", "max_results": 4})]


def test_the_installed_keyless_library_takes_these_options() -> None:
    from ddgs import DDGS

    assert {"region", "timelimit", "max_results"} <= set(inspect.signature(DDGS._search_sync).parameters)


async def test_what_goes_wrong_without_a_key_is_said_in_a_sentence() -> None:
    from ddgs.exceptions import DDGSException, RatelimitException, TimeoutException

    def failing(error: Exception) -> KeylessEngines:
        def text(query: str, **options: Any) -> list[dict[str, Any]]:
            raise error

        return KeylessEngines(text)

    for error, sentence in [
        (RatelimitException("202"), "no more searches"),
        (TimeoutException("late"), "did not answer"),
        (DDGSException("boom"), "cannot be reached"),
    ]:
        with pytest.raises(ServiceFailed, match=sentence):
            await failing(error).search(Question("q", 5))
    assert await failing(DDGSException("No results found.")).search(Question("q", 5)) == []


async def test_a_keyless_search_that_hangs_is_given_up() -> None:
    def text(query: str, **options: Any) -> list[dict[str, Any]]:
        time.sleep(0.4)
        return []

    with pytest.raises(ServiceFailed, match="did not answer"):
        await KeylessEngines(text, timeout_s=0.05).search(Question("q", 5))


# ---- settings ---------------------------------------------------------------------------------------------


def made_from(**settings: Any) -> list[str]:
    return [engine.name for engine in engines_of(load_settings(_env_file=None, **settings))]


def test_engines_come_in_order_of_what_is_set() -> None:
    assert made_from() == []
    assert made_from(tavily_api_key="  ", searxng_url="") == []
    everything = made_from(tavily_api_key=tavily.KEY, searxng_url="http://s:8080", web_search_keyless=True)
    assert everything == ["Tavily", "SearXNG", "public search engines"]


def test_without_an_engine_the_tool_says_what_to_set() -> None:
    class Services:
        settings = load_settings(_env_file=None)

    made = create(Services())  # type: ignore[arg-type]
    assert isinstance(made, Unavailable)
    for name in ("TAVILY_API_KEY", "SEARXNG_URL", "WEB_SEARCH_KEYLESS"):
        assert name in made.reason


def test_an_empty_key_never_reaches_the_library() -> None:
    with pytest.raises(ValueError, match="key"):
        Tavily("  ", "https://api.tavily.com")


@pytest.mark.parametrize(
    ("setting", "value"),
    [("tavily_api_key", "my secret key"), ("searxng_url", "ftp://x"), ("fetch_allowed_hosts", "http://wiki/"),
     ("fetch_allowed_hosts", "*"), ("search_cache_seconds", -1), ("web_search_keyless", "perhaps")],
)  # fmt: skip
def test_a_bad_setting_stops_the_start_without_showing_a_key(setting: str, value: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(_env_file=None, **{setting: value})
    assert setting.upper() in caught.value.message
    assert "my secret" not in caught.value.message


@pytest.mark.parametrize("bad", [{"query": ""}, {"query": "x", "max_results": 0}, {"query": "x", "max_results": 21},
                                 {"query": "x", "recency": "hour"}, {"query": "x", "site": "not a host"}])  # fmt: skip
def test_arguments_are_checked(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Arguments(**bad)


# ---- proposals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "query", "sure"),
    [
        ("Search the web for the best pizza in Naples", "the best pizza in Naples", True),
        ("google how much a new roof costs", "how much a new roof costs", True),
        ("find reviews of the new phone online and summarize them", "reviews of the new phone", True),
        ("What's the latest news about Mars?", "latest news about Mars", True),
        ("Suche im Internet nach günstigen Flügen nach Rom", "günstigen Flügen nach Rom", True),
        ("Cherche sur internet le prix du cuivre", "le prix du cuivre", True),
        ("Busca en internet recetas de paella y dime la mejor", "recetas de paella", True),
        ("Cerca su internet le ultime notizie", "le ultime notizie", True),
        ("Pesquise na internet a história do fado", "a história do fado", True),
        ("zoek op internet naar fietsen", "fietsen", True),
        ("poszukaj w internecie przepisów", "przepisów", True),
        ("What is the current price of Bitcoin?", "What is the current price of Bitcoin", False),
        ("Wer hat gestern das Spiel gewonnen?", "Wer hat gestern das Spiel gewonnen", False),
        ("search for vintage lamps", "vintage lamps", False),
    ],
)
def test_a_search_is_proposed(text: str, query: str, sure: bool) -> None:
    [found] = find_searches(text)
    assert found.query == query
    assert (found.confidence >= 0.8) is sure


@pytest.mark.parametrize(
    "text",
    ["search my documents for vacation", "explain binary search", "how do I search the web?", "what is 2+2", "hello",
     "write a poem about the internet", "what does wikipedia say about Mars", "what is the weather today in Rome", "",
     "What is the capital of France?", "Was steht in meinen Dokumenten über aktuelle Preise?"],
)  # fmt: skip
def test_nothing_is_proposed(text: str) -> None:
    assert find_searches(text) == []


@pytest.mark.parametrize("text", ["search " * 300, "google " + "a " * 900, "find " + "web " * 300, "news " * 300])
def test_crooked_texts_are_judged_quickly(text: str) -> None:
    start = time.perf_counter()
    find_searches(text)
    assert time.perf_counter() - start < 0.5
