"""Small tools that propose by simple patterns, and an embedder that compares words: no model, no weights."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from backend.embeddings.port import Embedded
from backend.models.errors import UpstreamUnreachable
from backend.models.tools import Proposal, ToolSpec
from backend.utils.language import stems

if TYPE_CHECKING:
    from backend.embeddings.port import FloatArray

DIMENSIONS = 512


class WordEmbedder:
    """Texts with common words are near. Counts how often it is asked."""

    name = "words"

    def __init__(self) -> None:
        self.calls = 0

    async def dimensions(self) -> int:
        return DIMENSIONS

    async def embed_documents(self, texts: Sequence[str]) -> FloatArray:
        self.calls += 1
        if not texts:
            return np.zeros((0, DIMENSIONS), dtype=np.float32)
        return np.stack([self._vector(text) for text in texts])

    async def embed_query(self, text: str) -> FloatArray:
        self.calls += 1
        return self._vector(text)

    async def check_lengths(self, texts: Sequence[str]) -> None:
        return None

    async def embed_whole(self, texts: Sequence[str]) -> Embedded:
        return Embedded(await self.embed_documents(texts), self.count_tokens(texts))

    def count_tokens(self, texts: Sequence[str]) -> int:
        return sum(len(text.split()) for text in texts)

    async def aclose(self) -> None:
        return None

    def _vector(self, text: str) -> FloatArray:
        vector = np.zeros(DIMENSIONS, dtype=np.float32)
        for stem in stems(text):
            vector[zlib.crc32(stem.encode()) % DIMENSIONS] += 1
        length = float(np.linalg.norm(vector))
        return vector / length if length else vector


class BrokenEmbedder(WordEmbedder):
    """Every request fails, as when the embedding server is gone."""

    async def embed_documents(self, texts: Sequence[str]) -> FloatArray:
        self.calls += 1
        raise UpstreamUnreachable("The embedding server cannot be reached; start it.")

    async def embed_query(self, text: str) -> FloatArray:
        self.calls += 1
        raise UpstreamUnreachable("The embedding server cannot be reached; start it.")


class ForbiddenEmbedder(WordEmbedder):
    """Must not be touched."""

    async def embed_documents(self, texts: Sequence[str]) -> FloatArray:
        raise AssertionError("the embedder was used")

    async def embed_query(self, text: str) -> FloatArray:
        raise AssertionError("the embedder was used")


def _object(required: Sequence[str] = (), **properties: dict[str, object]) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": list(required)}


_TERM = re.compile(r"-?\d+(?:\.\d+)?(?:\s*(?:[-+*/^]|\*\*)\s*\(?-?\d+(?:\.\d+)?\)?)+")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s?(?:%|percent|Prozent) (?:of|von|de) (\d+)", re.IGNORECASE)
_ROOT = re.compile(r"square root of (\d+)|Wurzel aus (\d+)", re.IGNORECASE)


def propose_math(query: str) -> Sequence[Proposal]:
    percent, root, term = _PERCENT.search(query), _ROOT.search(query), _TERM.search(query)
    if percent:
        return (Proposal({"expression": f"{percent[1]}/100*{percent[2]}"}, 0.95),)
    if root:
        return (Proposal({"expression": f"sqrt({root[1] or root[2]})"}, 0.95),)
    if term:
        return (Proposal({"expression": term.group()}, 0.95),)
    if re.fullmatch(r"sqrt\(\S+\)", query):
        return (Proposal({"expression": query}, 0.95),)
    return ()


_WEATHER = re.compile(
    r"\b(?:weather|forecast|Wetter|météo|tiempo)\b.*?\b(?:in|for|à|en)\s+([A-Z][\w ]*?)(?=[?.!,]|$| today| tomorrow)"
)


def propose_weather(query: str) -> Sequence[Proposal]:
    found = _WEATHER.search(query)
    return (Proposal({"location": found[1]}, 0.95),) if found else ()


_DOCUMENT_CUE = re.compile(
    r"\b(?:documents?|handbook|contract|manual|report|Handbuch|Vertrag|manuel|contrat|contrato|files?|pdf)\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"^(?:what|who|when|where|which|how|was|wer|wann|wie|find|quel|combien|que|qué|cuánt)", re.IGNORECASE
)


def propose_documents(query: str) -> Sequence[Proposal]:
    if _DOCUMENT_CUE.search(query):
        return (Proposal({"query": query}, 0.85),)
    return (Proposal({"query": query}, 0.5),) if _QUESTION.match(query) else ()


def propose_data(query: str) -> Sequence[Proposal]:
    data = re.search(r"[\[{].*[\]}]", query, re.DOTALL)
    if data and re.search(r"\b(?:mean|average|analy[sz]e|sum|statistics|Mittelwert|max)\b", query, re.IGNORECASE):
        return (Proposal({"data": data.group(), "question": query}, 0.92),)
    return ()


MATH = ToolSpec(
    "math_calc",
    "Calculates exactly: arithmetic, algebra, calculus.",
    _object(["expression"], expression={"type": "string", "description": "The expression."}),
    propose_math,
)
WEATHER = ToolSpec(
    "weather",
    "The weather at a place, now and days ahead.",
    _object(["location"], location={"type": "string"}, days={"type": "integer"}),
    propose_weather,
)
DOCUMENTS = ToolSpec(
    "rag_retrieval",
    "Finds passages in the user's uploaded documents.",
    _object(["query"], query={"type": "string"}, top_k={"type": "integer"}),
    propose_documents,
)
DATA = ToolSpec(
    "data_analysis",
    "Statistics of inline or uploaded JSON or CSV data.",
    _object(data={"type": "string"}, question={"type": "string"}),
    propose_data,
)
WEB = ToolSpec(
    "web_search",
    "Searches the web for current information.",
    _object(["query"], query={"type": "string"}),
    lambda _: (),
)
SQL = ToolSpec(
    "sql_query",
    "Runs read-only SQL over the user's tables.",
    _object(["query"], query={"type": "string", "description": "One SQL statement."}),
)
ALL = (MATH, WEATHER, DOCUMENTS, DATA, WEB)
