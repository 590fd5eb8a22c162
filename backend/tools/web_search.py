"""`web_search`: what the web has to say, from the first search engine that the operator has set up."""

from __future__ import annotations

import importlib.util
import logging
import re
import time
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, Field

from backend.config.settings import Settings
from backend.models.errors import ServiceFailed
from backend.models.run import RunContext
from backend.models.tools import Proposal, Source, ToolResult
from backend.tools.port import BaseTool, ToolServices, Unavailable
from backend.tools.web_search_cues import find_searches
from backend.tools.web_search_ddgs import KeylessEngines
from backend.tools.web_search_port import Hit, Question, Recency, SearchEngine, distinct
from backend.tools.web_search_searxng import SearXNG
from backend.tools.web_search_tavily import Tavily

log = logging.getLogger("hearth.web")

MAX_KEPT = 256
_DESCRIPTION = (
    "Searches the web and returns titles, addresses, excerpts and dates. Use it for news, prices, current events and "
    "anything that may have changed lately or that no other tool knows; not for the user's own documents."
)


def create(services: ToolServices) -> WebSearch | Unavailable:
    settings = services.settings
    engines = engines_of(settings)
    if engines:
        return WebSearch(engines, keep_s=settings.search_cache_seconds)
    reason = "no search engine is set up: set TAVILY_API_KEY, SEARXNG_URL, or WEB_SEARCH_KEYLESS=true"
    if settings.web_search_keyless:
        reason = "WEB_SEARCH_KEYLESS needs the Python package ddgs (optional group search), which is not installed"
    return Unavailable("web_search", _DESCRIPTION, reason)


def engines_of(settings: Settings) -> list[SearchEngine]:
    """The engines that the settings name, in the order in which they are asked."""
    engines: list[SearchEngine] = []
    if settings.tavily_api_key is not None:
        engines.append(Tavily(settings.tavily_api_key.get_secret_value(), settings.tavily_url))
    if settings.searxng_url is not None:
        engines.append(SearXNG(settings.searxng_url, contact=settings.service_contact))
    if settings.web_search_keyless and importlib.util.find_spec("ddgs") is not None:
        engines.append(KeylessEngines())
    return engines


def _as_host(value: Any) -> Any:
    """Models write `https://docs.python.org/3/` or nothing where a host name belongs."""
    if not isinstance(value, str) or not value.strip():
        return None
    return re.sub(r"^(?:https?://)?(?:www\.)?|[/?#:].*$", "", value.strip().lower())


class Arguments(BaseModel):
    query: str = Field(min_length=1, max_length=400, description="A few words, as one would type into a search engine.")
    max_results: int = Field(default=5, ge=1, le=20, description="How many results to return.")
    recency: Recency | None = Field(default=None, description="Only pages of the last day, week, month or year.")
    site: Annotated[str | None, BeforeValidator(_as_host)] = Field(
        default=None,
        max_length=253,
        pattern=r"^[a-z0-9-]+(?:\.[a-z0-9-]+)+$",
        description="Only pages of this site, e.g. docs.python.org.",
    )


class WebSearch(BaseTool):
    name = "web_search"
    description = _DESCRIPTION
    Args: ClassVar[type[BaseModel]] = Arguments
    timeout_s = 40.0
    untrusted = True
    outbound = True

    def __init__(self, engines: Sequence[SearchEngine], *, keep_s: float = 900.0) -> None:
        """`engines` are asked in this order until one answers; results are kept for `keep_s` seconds."""
        self._engines = tuple(engines)
        self._keep_s = keep_s
        self._kept: dict[tuple[str, Question], tuple[float, list[Hit]]] = {}
        """By engine and question; public results, nothing of any user."""

    async def run(self, arguments: Arguments, context: RunContext) -> ToolResult:
        """`data`: {engine, query, results: [{title, url, content, score, date}]}. Raises ServiceFailed."""
        question = Question(" ".join(arguments.query.split()), arguments.max_results, arguments.recency, arguments.site)
        failed: ServiceFailed | None = None
        for engine in self._engines:
            try:
                return _result(engine.name, question, await self._ask(engine, question))
            except ServiceFailed as error:
                log.warning("web search: %s", error.message)
                failed = failed or error
        raise failed or ServiceFailed("No search engine is set up.")

    def propose(self, query: str, context: RunContext) -> Sequence[Proposal]:
        return [
            Proposal(
                {"query": found.query, **({"recency": found.recency} if found.recency else {})},
                found.confidence,
                found.reason,
            )
            for found in find_searches(query)
        ]

    async def aclose(self) -> None:
        for engine in self._engines:
            await engine.aclose()

    async def _ask(self, engine: SearchEngine, question: Question) -> list[Hit]:
        key = (engine.name, question)
        at, hits = self._kept.get(key, (float("-inf"), []))
        if time.monotonic() - at < self._keep_s:
            return hits
        hits = distinct(await engine.search(question), question)
        self._kept.pop(key, None)
        while len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        if self._keep_s > 0:
            self._kept[key] = (time.monotonic(), hits)
        return hits


def _result(engine: str, question: Question, hits: Sequence[Hit]) -> ToolResult:
    rows = [
        {"title": hit.title, "url": hit.url, "content": hit.content, "score": hit.score, "date": hit.date}
        for hit in hits
    ]
    data = {"engine": engine, "query": question.query, "results": rows}
    if not hits:
        return ToolResult(f"The web search ({engine}) found nothing for {question.query!r}: try other words.", data)
    lines = [f"{len(hits)} result{'s' if len(hits) > 1 else ''} of a web search ({engine}) for {question.query!r}:"]
    lines += [f"- {hit.title}{f' ({hit.date})' if hit.date else ''}: {hit.url}" for hit in hits]
    sources = tuple(Source("web", hit.title, hit.content or hit.title, hit.url, score=hit.score) for hit in hits)
    return ToolResult("\n".join(lines), data, sources)
