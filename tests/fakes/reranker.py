"""A reranker without a model: the share of the query's words that a passage has."""

from __future__ import annotations

from collections.abc import Sequence


class WordReranker:
    """`error`, when set, is raised instead; `asked` are the passages of each call."""

    def __init__(self) -> None:
        self.name = "words"
        self.asked: list[tuple[str, ...]] = []
        self.error: Exception | None = None
        self.closed = False

    async def scores(self, query: str, passages: Sequence[str]) -> list[float]:
        self.asked.append(tuple(passages))
        if self.error is not None:
            raise self.error
        wanted = set(query.casefold().split())
        return [len(wanted & set(text.casefold().split())) / max(1, len(wanted)) for text in passages]

    async def aclose(self) -> None:
        self.closed = True
