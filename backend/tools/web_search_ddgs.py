"""Public search engines without a key, through the package `ddgs` (optional group `search`)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from backend.models.errors import ServiceFailed
from backend.tools.web_search_port import Hit, Question, hit_of
from backend.utils.language import detect_language

log = logging.getLogger("hearth.web")

AT_ONCE = 4
"""Threads; further searches wait."""
_REGIONS = {"de": "de-de", "fr": "fr-fr", "es": "es-es", "it": "it-it", "pt": "pt-pt", "nl": "nl-nl"}

TextSearch = Callable[..., list[dict[str, Any]]]
"""`DDGS.text`: rows of title, href and body."""


class KeylessEngines:
    name = "public search engines"

    def __init__(self, text_search: TextSearch | None = None, *, timeout_s: float = 15.0) -> None:
        """`text_search` stands in for the library's."""
        self._text_search = text_search
        self._timeout_s = timeout_s
        self._free = asyncio.Semaphore(AT_ONCE)

    async def search(self, question: Question) -> list[Hit]:
        """See the port."""
        try:
            async with asyncio.timeout(self._timeout_s), self._free:
                rows = await asyncio.to_thread(self._ask, question)
        except TimeoutError:
            raise ServiceFailed(
                f"The search engines did not answer within {self._timeout_s:g} seconds: try again."
            ) from None
        hits = [hit_of(row, ("title", "href", "body"), n) for n, row in enumerate(rows) if isinstance(row, dict)]
        return [hit for hit in hits if hit is not None]

    def _ask(self, question: Question) -> list[dict[str, Any]]:
        from ddgs import DDGS
        from ddgs.exceptions import DDGSException, RatelimitException, TimeoutException

        search = self._text_search or DDGS(timeout=max(1, int(self._timeout_s * 0.6))).text
        try:
            return search(
                f"site:{question.site} {question.query}" if question.site else question.query,
                region=_REGIONS.get(detect_language(question.query), "us-en"),
                timelimit=question.recency[0] if question.recency else None,
                max_results=question.limit,
            )
        except TimeoutException:
            raise TimeoutError from None
        except RatelimitException:
            raise ServiceFailed("The search engines allow no more searches for now: try again later.") from None
        except DDGSException as error:
            if "no results" in str(error).lower():
                return []
            log.info("search without a key: %r", error)
            raise ServiceFailed("The search engines cannot be reached or refuse to answer: try again later.") from None

    async def aclose(self) -> None:
        return None
