"""Embedding texts for a caller, by model name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.embeddings.port import Embedder
from backend.models.errors import InvalidRequest, ModelNotFound

if TYPE_CHECKING:
    from backend.embeddings.port import FloatArray

ALIASES = frozenset({"hearth", "hearth-embedding", "text-embedding-3-small", "text-embedding-ada-002"})
"""Names under which clients may ask for the server's own embedder without knowing it."""


@dataclass(frozen=True, slots=True)
class Embeddings:
    """`vectors` has shape (n, d), float32, rows of unit length."""

    vectors: FloatArray
    model: str
    tokens: int


@dataclass(frozen=True, slots=True)
class EmbeddingTask:
    embedder: Embedder

    async def embed(self, model: str, texts: Sequence[str], dimensions: int | None) -> Embeddings:
        """The texts' vectors, cut to `dimensions` and brought back to unit length when asked.

        Raises ModelNotFound for another model's name, InvalidRequest when `dimensions` is more than there are.
        """
        if model not in ALIASES and model != self.embedder.name:
            raise ModelNotFound(
                f"The embedding model {model[:100]!r} does not exist here: use {self.embedder.name!r}.", param="model"
            )
        full = await self.embedder.dimensions()
        if dimensions is not None and dimensions > full:
            raise InvalidRequest(
                f"dimensions must be at most {full} for {self.embedder.name}.", param="dimensions", code="invalid_value"
            )
        vectors = await self.embedder.embed_documents(texts)
        if dimensions is not None and dimensions < full:
            vectors = _shortened(vectors, dimensions)
        return Embeddings(vectors, self.embedder.name, self.embedder.count_tokens(texts))


def _shortened(vectors: FloatArray, dimensions: int) -> FloatArray:
    import numpy as np

    cut = vectors[:, :dimensions]
    lengths = np.linalg.norm(cut, axis=1, keepdims=True)
    short: FloatArray = (cut / np.maximum(lengths, 1e-12)).astype("float32")
    return short
