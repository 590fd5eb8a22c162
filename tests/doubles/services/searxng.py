"""SearXNG's search in its JSON form."""

from __future__ import annotations

from typing import Any

from tests.doubles.services.http_double import Asked, Reply

RESULTS: list[dict[str, Any]] = [
    {"url": "https://docs.example/python", "title": "Python", "content": "A language.", "engine": "duckduckgo",
     "engines": ["duckduckgo", "brave"], "score": 8.0, "category": "general", "publishedDate": "2026-11-01T00:00:00"},
    {"url": "https://other.example/python", "title": "Snakes", "content": "A snake.", "engine": "brave",
     "engines": ["brave"], "score": 2.0, "category": "general", "publishedDate": None},
]  # fmt: skip


def answer(asked: Asked) -> Reply:
    if asked.path != "/search":
        return Reply(b"not found", 404, {"content-type": "text/html"})
    if asked.query.get("format") != "json":
        return Reply(b"<html>a page for people</html>", 200, {"content-type": "text/html"})
    found = RESULTS if "python" in asked.query["q"].lower() else []
    body = {
        "query": asked.query["q"],
        "number_of_results": 0,
        "results": found,
        "answers": [],
        "corrections": [],
        "infoboxes": [],
        "suggestions": [],
        "unresponsive_engines": [],
    }
    return Reply(body)
