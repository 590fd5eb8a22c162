"""The labelled queries the router compares with, and the nearest-neighbour vote over them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from backend.models.tools import ToolSpec

if TYPE_CHECKING:
    from backend.embeddings.port import Embedder, FloatArray

FILE = Path(__file__).with_name("routing_examples.jsonl")
NEIGHBOURS = 7
NEAR_ENOUGH = 0.28
"""Cosine below which the nearest example says nothing about a query."""
DOCUMENTS = "rag_retrieval"


@dataclass(frozen=True, slots=True)
class Example:
    """A query with its right way. `tool` names the tool it needs, or is empty for a plain completion."""

    text: str
    lang: str
    agent: str
    tool: str

    @property
    def agentic(self) -> bool:
        return self.agent != "chat"


def load_examples(path: Path = FILE) -> list[Example]:
    """The examples of a file with one JSON object a line: text, lang, agent (chat, react, plan_execute), tool."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Example(**orjson.loads(line)) for line in lines if line.strip()]


class Examples:
    """Example embeddings, made once on first need and kept; the server's own data, nobody's queries."""

    def __init__(self, embedder: Embedder, path: Path = FILE) -> None:
        self._embedder = embedder
        self._path = path
        self._lock = asyncio.Lock()
        self._examples: list[Example] = []
        self._vectors: FloatArray | None = None

    async def agentic_share(self, query: str, specs: Sequence[ToolSpec] | None, documents: bool) -> float | None:
        """How much of the neighbourhood of a query needed tools, in [0, 1]; None when nothing is near.

        Examples whose tool is not offered, or that are about documents when there are none, do not vote. Raises
        what the embedder raises.
        """
        vectors = await self._ready()
        query_vector = await self._embedder.embed_query(query)
        return vote(
            self._examples, vectors @ query_vector, None if specs is None else {s.name for s in specs}, documents
        )

    async def _ready(self) -> FloatArray:
        async with self._lock:
            if self._vectors is None:
                examples = load_examples(self._path)
                self._vectors = await self._embedder.embed_documents([example.text for example in examples])
                self._examples = examples
            return self._vectors


def vote(examples: Sequence[Example], similarity: FloatArray, tools: set[str] | None, documents: bool) -> float | None:
    """The agentic share of the nearest examples, weighted by the square of their similarity.

    Args:
        similarity: shape (n,), cosine of the query with example i.
        tools: names of the tools offered; None means all.
    """
    order = similarity.argsort()[::-1]
    chosen: list[tuple[float, bool]] = []
    for index in order.tolist():
        example = examples[index]
        if example.tool and tools is not None and example.tool not in tools:
            continue
        if example.tool == DOCUMENTS and not documents:
            continue
        chosen.append((float(similarity[index]), example.agentic))
        if len(chosen) == NEIGHBOURS:
            break
    if not chosen or chosen[0][0] < NEAR_ENOUGH:
        return None
    weights = [max(score, 0.0) ** 2 for score, _ in chosen]
    agentic = sum(weight for weight, (_, is_agentic) in zip(weights, chosen, strict=True) if is_agentic)
    return agentic / (sum(weights) or 1.0)
