"""Embedding texts for a caller, by model name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from backend.embeddings.port import MAX_TOKENS, Embedded, Embedder
from backend.llm.port import ModelInfo
from backend.models.errors import InvalidRequest, UpstreamError
from backend.models.run import Owner
from backend.tasks.model_catalog import EMBEDDING_ALIASES, ModelCatalog
from backend.utils.fair_turns import FairTurns

if TYPE_CHECKING:
    from backend.embeddings.port import FloatArray

BATCH_TEXTS = 16
BATCH_CHARS = 8_192
"""What is embedded in one turn: so many texts, or as many as have so many characters together, but at least one."""
LANES = 2
"""Turns that a request may have at once: the next batch is ready when the one before is done."""
TURNS = 4
"""Turns of all requests together, for each model."""

MakeEmbedder = Callable[[str, str], Embedder]
"""From the name of a provider and one of its models."""


@dataclass(frozen=True, slots=True)
class Embeddings:
    """`vectors` has shape (n, d), float32, finite, rows of unit length. `tokens` is what the texts cost together."""

    vectors: FloatArray
    model: str
    tokens: int


class EmbeddingTask:
    """The server's own embedder, and the embedding models of the providers. Nothing is opened before it is used."""

    def __init__(self, own: Embedder, catalog: ModelCatalog, make: MakeEmbedder) -> None:
        self._own = own
        self._catalog = catalog
        self._make = make
        # As many as there are installed models, as only those get one.
        self._embedders: dict[str, Embedder] = {}
        self._turns: dict[str, FairTurns] = {}

    async def list_models(self) -> list[ModelInfo]:
        """The server's own embedder, then the providers' embedding models; providers that are down are left out."""
        own = ModelInfo(self._own.name, "hearth", frozenset({"embedding"}), MAX_TOKENS, owned_by="hearth")
        return [own, *await self._catalog.embedding_models()]

    async def embed(self, owner: Owner, model: str, texts: Sequence[str], dimensions: int | None) -> Embeddings:
        """The vectors of one or more texts in their order, cut to `dimensions` and back at unit length if asked.

        Many texts are embedded batch by batch, and the owners who wait take turns. Cancelling it stops after the
        batches that are under way.

        Raises:
            ModelNotFound: no model has this name.
            InvalidRequest: the model cannot embed, or `dimensions` is more than it has.
            ContextTooLong: a text is too long to be embedded even in parts.
            UpstreamError: the model lives in another process, which fails; and its kinds.
        """
        embedder, name = await self._chosen(model)
        await embedder.check_lengths(texts)
        turns = self._turns.setdefault(name, FairTurns(TURNS))

        async def embedded(batch: slice) -> Embedded:
            async with turns.turn(owner):
                return await embedder.embed_whole(texts[batch])

        first, *others = _batches(texts)
        done = [await embedded(first)]
        full = done[0].vectors.shape[1]
        # Known only now: no request but an embedding tells how long a model's vectors are.
        if dimensions is not None and dimensions > full:
            raise InvalidRequest(
                f"dimensions must be at most {full} for {name}.", param="dimensions", code="invalid_value"
            )
        if not others:
            return _finished(done, name, dimensions)
        done += await _all(len(others), lambda number: embedded(others[number]))
        return await asyncio.to_thread(_finished, done, name, dimensions)

    async def aclose(self) -> None:
        """Close what was opened here; the server's own embedder belongs to others."""
        embedders, self._embedders = [*self._embedders.values()], {}
        for embedder in embedders:
            await embedder.aclose()

    async def _chosen(self, model: str) -> tuple[Embedder, str]:
        """The embedder, and the name that stands in the answer."""
        if model in EMBEDDING_ALIASES or model.removeprefix("sentence-transformers/").lower() == self._own.name.lower():
            return self._own, self._own.name
        info = await self._catalog.embedding_model(model)
        if info.id not in self._embedders:
            self._embedders[info.id] = self._make(info.provider, info.id)
        return self._embedders[info.id], info.id


def _batches(texts: Sequence[str]) -> Iterator[slice]:
    start = chars = 0
    for position, text in enumerate(texts):
        if position > start and (position - start == BATCH_TEXTS or chars + len(text) > BATCH_CHARS):
            yield slice(start, position)
            start, chars = position, 0
        chars += len(text)
    yield slice(start, len(texts))


async def _all(count: int, work: Callable[[int], Awaitable[Embedded]]) -> list[Embedded]:
    """The results of `work` for 0 to count - 1, LANES at a time; the first failure ends the others."""
    found: dict[int, Embedded] = {}
    numbers = iter(range(count))

    async def lane() -> None:
        for number in numbers:
            found[number] = await work(number)

    lanes = [asyncio.ensure_future(lane()) for _ in range(LANES)]
    try:
        await asyncio.gather(*lanes)
    finally:
        for each in lanes:
            each.cancel()
    return [found[number] for number in range(count)]


def _finished(done: Sequence[Embedded], model: str, dimensions: int | None) -> Embeddings:
    """All rows, shortened if asked. Raises UpstreamError when a number among them is none."""
    import numpy as np

    whole = Embedded.stacked(done)
    vectors = whole.vectors
    if dimensions is not None and dimensions < vectors.shape[1]:
        cut = vectors[:, :dimensions]
        lengths = np.linalg.norm(cut, axis=1, keepdims=True)
        vectors = (cut / np.maximum(lengths, 1e-12)).astype(np.float32)
    if not np.isfinite(vectors).all():
        raise UpstreamError(f"The embedding model {model} gave vectors with numbers that are none; use another.")
    return Embeddings(vectors, model, whole.tokens)
