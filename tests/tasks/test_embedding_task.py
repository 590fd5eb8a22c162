"""Which embedder a name means, and how many texts are embedded without keeping others waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from backend.embeddings.port import Embedded
from backend.llm.port import ModelInfo
from backend.models.errors import (
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    UpstreamError,
    UpstreamUnreachable,
)
from backend.models.run import Owner
from backend.tasks.embedding_task import BATCH_CHARS, BATCH_TEXTS, LANES, TURNS, EmbeddingTask
from backend.tasks.model_catalog import ModelCatalog
from tests.fakes.embedder import HashEmbedder
from tests.fakes.model import ScriptedModel

ALICE, BOB = Owner("default", "alice"), Owner("default", "bob")


class Library(ScriptedModel):
    """A provider with a chat model, a model for embeddings, and one that can do both."""

    down: bool = False

    async def list_models(self) -> list[ModelInfo]:
        return [info for info in await self._all() if "completion" in info.capabilities]

    async def embedding_models(self) -> list[ModelInfo]:
        return [info for info in await self._all() if "embedding" in info.capabilities]

    async def describe(self, model: str) -> ModelInfo:
        for info in await self._all():
            if info.id in (model, f"{model}:latest"):
                return info
        raise ModelNotFound(f"There is no model {model}.", param="model")

    async def _all(self) -> list[ModelInfo]:
        if self.down:
            raise UpstreamUnreachable("It is down.")
        kinds = {"chat:1b": {"completion"}, "embed:latest": {"embedding"}, "both:1b": {"completion", "embedding"}}
        return [ModelInfo(id_, self.name, frozenset(can), 512) for id_, can in kinds.items()]


class SlowEmbedder(HashEmbedder):
    """Notes every batch, and waits for `go` before it answers."""

    def __init__(self) -> None:
        super().__init__("own")
        self.batches: list[list[str]] = []
        self.running = self.most = 0
        self.go = asyncio.Event()
        self.go.set()
        self.poisoned: dict[str, Exception | float] = {}

    async def embed_whole(self, texts: Sequence[str]) -> Embedded:
        self.batches.append(list(texts))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(0)
            await self.go.wait()
        finally:
            self.running -= 1
        whole = await super().embed_whole(texts)
        for text in texts:
            problem = self.poisoned.get(text)
            if isinstance(problem, Exception):
                raise problem
            if problem is not None:
                whole.vectors[0, 0] = problem
        return whole


class Room:
    """An embedding task with fakes; `made` are the embedders of the provider's models."""

    def __init__(self, own: HashEmbedder | None = None) -> None:
        self.own = own or SlowEmbedder()
        self.library = Library(name="library")
        self.made: list[HashEmbedder] = []
        builtin = ScriptedModel(name="builtin")
        catalog = ModelCatalog({"builtin": builtin, "library": self.library}, "auto", None, self.own.name)
        self.task = EmbeddingTask(self.own, catalog, self._make)

    def _make(self, provider: str, model: str) -> HashEmbedder:
        self.made.append(HashEmbedder(f"{provider}:{model}", 32))
        return self.made[-1]

    async def embed(self, texts: Sequence[str], model: str = "own", dimensions: int | None = None) -> Any:
        return await self.task.embed(ALICE, model, texts, dimensions)


@pytest.mark.parametrize(
    "name", ["own", "OWN", "sentence-transformers/own", "hearth", "hearth-embedding", "text-embedding-3-small"]
)
async def test_own_embedder_answers_to_its_names(name: str) -> None:
    room = Room()
    made = await room.embed(["cat"], name)
    assert (made.model, made.vectors.shape, made.tokens) == ("own", (1, 64), 1)
    assert room.made == []


@pytest.mark.parametrize("name", ["embed", "embed:latest", "both:1b"])
async def test_models_of_a_provider_answer_to_theirs_and_are_made_once(name: str) -> None:
    room = Room()
    for _ in range(2):
        made = await room.embed(["cat"], name)
    assert made.vectors.shape == (1, 32)
    assert made.model in ("embed:latest", "both:1b")
    assert [each.name for each in room.made] == [f"library:{made.model}"]
    await room.task.aclose()
    assert room.made[0].closed
    assert not room.own.closed, "it belongs to the server"


@pytest.mark.parametrize("name", ["chat:1b", "hearth-chat", "hearth-builtin"])
async def test_a_model_that_only_chats_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidRequest, match=name) as caught:
        await Room().embed(["cat"], name)
    assert caught.value.param == "model"


async def test_unknown_is_missing_and_a_provider_that_is_down_is_unreachable() -> None:
    room = Room()
    with pytest.raises(ModelNotFound):
        await room.embed(["cat"], "nope")
    room.library.down = True
    with pytest.raises(UpstreamUnreachable):
        await room.embed(["cat"], "embed")
    assert (await room.embed(["cat"])).model == "own"


async def test_list_holds_own_first_and_survives_a_provider_that_is_down() -> None:
    room = Room()
    assert [info.id for info in await room.task.list_models()] == ["own", "embed:latest", "both:1b"]
    room.library.down = True
    assert [info.id for info in await room.task.list_models()] == ["own"]


@pytest.mark.parametrize("count", [1, BATCH_TEXTS, BATCH_TEXTS + 1, 150])
async def test_many_texts_go_in_batches_and_keep_their_order(count: int) -> None:
    room = Room()
    texts = [f"text number{n} word{n % 7}" for n in range(count)]
    made = await room.embed(texts)
    assert made.vectors.shape == (count, 64)
    assert np.allclose(made.vectors, await HashEmbedder().embed_documents(texts))
    assert made.tokens == 3 * count
    assert sorted(text for batch in room.own.batches for text in batch) == sorted(texts)
    assert max(len(batch) for batch in room.own.batches) <= BATCH_TEXTS
    assert room.own.most <= LANES


async def test_long_texts_make_small_batches() -> None:
    room = Room()
    await room.embed(["x" * (BATCH_CHARS // 2), "y" * (BATCH_CHARS // 2), "z", "w" * BATCH_CHARS * 2, "v"])
    assert [len(batch) for batch in room.own.batches] == [2, 1, 1, 1]


async def test_one_users_thousands_do_not_block_anothers_single_text() -> None:
    room = Room()
    room.own.go.clear()
    big = [asyncio.create_task(room.embed([f"big {n}" for n in range(2_048)])) for _ in range(6)]
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(room.own.batches) == TURNS
    small = asyncio.create_task(room.task.embed(BOB, "own", ["small"], None))
    await asyncio.sleep(0)
    room.own.go.set()
    await asyncio.wait_for(small, 5)
    assert room.own.batches.index(["small"]) <= 2 * TURNS
    assert not any(task.done() for task in big)
    for task in big:
        task.cancel()
    await asyncio.wait(big)


async def test_leaving_stops_the_rest_and_frees_the_turns() -> None:
    room = Room()
    task = asyncio.create_task(room.embed([f"big {n}" for n in range(2_048)]))
    while len(room.own.batches) < 5:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    begun = len(room.own.batches)
    for _ in range(20):
        await asyncio.sleep(0)
    assert (len(room.own.batches), room.own.running) == (begun, 0)
    await asyncio.wait_for(room.embed(["after"]), 5)


async def test_a_failing_batch_ends_the_request_and_the_other_lane() -> None:
    room = Room()
    room.own.poisoned["t 40"] = UpstreamError("It broke.")
    with pytest.raises(UpstreamError, match="broke"):
        await room.embed([f"t {n}" for n in range(2_048)])
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(room.own.batches) < 8


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
async def test_numbers_that_are_none_never_leave(bad: float) -> None:
    room = Room()
    room.own.poisoned["bad"] = bad
    with pytest.raises(UpstreamError, match="own"):
        await room.embed(["good", "bad"])


async def test_fewer_dimensions_keep_unit_length_and_more_are_refused() -> None:
    room = Room()
    texts = [f"some words {n} and more of them" for n in range(40)]
    whole, short = (await room.embed(texts)).vectors, (await room.embed(texts, dimensions=40)).vectors
    assert short.shape == (40, 40)
    lengths = np.linalg.norm(short, axis=1)
    assert np.allclose(lengths[lengths > 0.5], 1, atol=1e-6)
    assert np.allclose(short, whole[:, :40] / np.maximum(np.linalg.norm(whole[:, :40], axis=1, keepdims=True), 1e-12))
    assert (await room.embed(texts, dimensions=64)).vectors.shape == (40, 64)
    room.own.batches.clear()
    with pytest.raises(InvalidRequest, match="at most 64") as caught:
        await room.embed(texts, dimensions=65)
    assert caught.value.param == "dimensions"
    assert len(room.own.batches) == 1, "the rest was not begun"


async def test_too_long_a_text_is_refused_before_anything_is_embedded() -> None:
    room = Room()
    with pytest.raises(ContextTooLong, match=r"input\[30\]"):
        await room.embed([*["short"] * 30, "word " * 9_000])
    assert room.own.batches == []
