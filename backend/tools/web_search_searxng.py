"""SearXNG, a search server that the operator runs, by its JSON API."""

from __future__ import annotations

from typing import Any

from backend.models.errors import ServiceFailed
from backend.tools.service_client import ServiceClient
from backend.tools.web_search_port import Hit, Question, hit_of
from backend.utils.language import detect_language


class SearXNG:
    name = "SearXNG"

    def __init__(self, url: str, *, contact: str = "", timeout_s: float = 12.0) -> None:
        self._client = _Client("SearXNG", url, contact=contact, timeout_s=timeout_s)

    async def search(self, question: Question) -> list[Hit]:
        """See the port. Scores, which are without bounds here, are taken relative to the best."""
        asked: dict[str, Any] = {
            "q": f"site:{question.site} {question.query}" if question.site else question.query,
            "format": "json",
            "safesearch": 1,
            "language": detect_language(question.query),
        }
        if question.recency:
            asked["time_range"] = question.recency
        answer = await self._client.get("/search", asked)
        rows = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            raise ServiceFailed("SearXNG answered with something that cannot be read: try again later.")
        if not rows and answer.get("unresponsive_engines"):
            raise ServiceFailed("None of the engines that SearXNG asks has answered: try again later.")
        rows = [row for row in rows if isinstance(row, dict)]
        scores = [row["score"] for row in rows if isinstance(row.get("score"), int | float)]
        best = max(scores, default=0)
        hits = []
        for rank, row in enumerate(rows):
            score = row.get("score")
            relative = score / best if isinstance(score, int | float) and best > 0 else None
            hits.append(hit_of(row, ("title", "url", "content"), rank, relative))
        return [hit for hit in hits if hit is not None]

    async def aclose(self) -> None:
        await self._client.aclose()


class _Client(ServiceClient):
    def _refused(self, status: int, body: bytes) -> ServiceFailed:
        if status == 403:
            # What SearXNG answers to a format that its settings do not list; there is no key to be wrong.
            return ServiceFailed(
                "SearXNG gives no JSON answers: the administrator has to add json to search.formats in its settings."
            )
        return super()._refused(status, body)
