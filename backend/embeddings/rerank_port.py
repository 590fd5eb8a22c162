"""The port of models that judge how well passages answer a query, better than their vectors tell, and slower."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class Reranker(Protocol):
    """Made by `create(settings, name)` of a file of this folder; loads and connects on first use, off the loop.

    Raises UpstreamError and its kinds when it lives in another process, ServiceFailed when it cannot be loaded.
    """

    name: str
    """As in RERANK_MODEL, e.g. `ollama:qwen3:4b`."""

    async def scores(self, query: str, passages: Sequence[str]) -> list[float]:
        """How well each passage answers the query, in [0, 1], in the order given. An empty list gives one."""
        ...

    async def aclose(self) -> None: ...
