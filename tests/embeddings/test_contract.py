"""What every embedder promises, run over the fake, the built-in model and Ollama's (by its double)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest

from backend.embeddings.minilm import MiniLM
from backend.embeddings.ollama import OllamaEmbedder
from backend.embeddings.port import Embedder
from backend.models.errors import ContextTooLong
from tests.doubles.ollama_process import OllamaDouble
from tests.fakes.embedder import HashEmbedder

TEXTS = [
    "The cat sleeps on the warm windowsill.",
    "Interest rates were raised by the central bank.",
    "A cat is asleep on the windowsill.",
    "",
    "short",
    "Ein Satz mit Umlauten: äöü und ß 🎉.",
    "broken \udfff character",
    "word " * 700,
]


@pytest.fixture(params=["fake", "minilm", "ollama"])
async def embedder(
    request: pytest.FixtureRequest, minilm: MiniLM, ollama_double: OllamaDouble
) -> AsyncIterator[Embedder]:
    if request.param == "minilm":
        yield minilm
        return
    made = HashEmbedder() if request.param == "fake" else OllamaEmbedder("all-minilm", [ollama_double.url])
    yield made
    await made.aclose()


async def test_rows_have_unit_length_and_the_order_of_the_texts(embedder: Embedder) -> None:
    vectors = await embedder.embed_documents(TEXTS)
    assert vectors.shape == (len(TEXTS), await embedder.dimensions())
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    for text, row in zip(TEXTS, vectors, strict=True):
        assert float((await embedder.embed_query(text)) @ row) > 0.9999


async def test_similar_texts_are_nearer_than_others(embedder: Embedder) -> None:
    cat, bank, same_cat = (await embedder.embed_documents(TEXTS))[:3]
    assert float(cat @ same_cat) > float(cat @ bank) + 0.2


async def test_no_texts_give_no_rows(embedder: Embedder) -> None:
    vectors = await embedder.embed_documents([])
    assert vectors.shape == (0, await embedder.dimensions())
    assert vectors.dtype == np.float32


async def test_a_query_is_one_vector(embedder: Embedder) -> None:
    vector = await embedder.embed_query("cat")
    assert vector.shape == (await embedder.dimensions(),)
    assert vector.dtype == np.float32


async def test_tokens_are_counted(embedder: Embedder) -> None:
    await embedder.embed_query("cat")
    assert embedder.count_tokens([]) == 0
    assert embedder.count_tokens(["one two three"]) >= 3
    assert embedder.count_tokens(["one two three", "four five"]) > embedder.count_tokens(["one two three"])


async def test_more_texts_than_a_batch_keep_their_order(embedder: Embedder) -> None:
    texts = [f"{'long ' * (n % 7)}sentence number {n}" for n in range(75)]
    vectors = await embedder.embed_documents(texts)
    for n in (0, 6, 31, 32, 74):
        cosines = vectors @ await embedder.embed_query(texts[n])
        assert cosines[n] == pytest.approx(1, abs=1e-4)


async def test_whole_texts_have_the_vectors_of_texts_and_their_tokens(embedder: Embedder) -> None:
    texts = ["cat", "A cat is asleep on the windowsill.", "broken \udfff character"]
    whole = await embedder.embed_whole(texts)
    assert np.allclose(whole.vectors, await embedder.embed_documents(texts), atol=1e-6)
    assert whole.tokens >= 10
    assert (await embedder.embed_whole([])).vectors.shape == (0, await embedder.dimensions())


async def test_a_whole_text_of_pages_counts_to_its_end(embedder: Embedder) -> None:
    pages = "The cat sleeps on the warm windowsill. " * 300
    vectors = (await embedder.embed_whole([pages, pages + "Interest rates and taxes rise in the bank. " * 300])).vectors
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert float(vectors[0] @ vectors[1]) < 0.97
    bank = await embedder.embed_query("Interest rates and taxes rise in the bank.")
    assert float(bank @ vectors[1]) > float(bank @ vectors[0]) + 0.1


async def test_a_text_too_long_for_all_is_refused_by_its_place(embedder: Embedder) -> None:
    await embedder.check_lengths(["word " * 8_000, "x" * 20_000])
    with pytest.raises(ContextTooLong, match=r"input\[1\] .*tokens.*8192") as caught:
        await embedder.check_lengths(["short", "different words " * 9_000, "word " * 9_000])
    assert caught.value.param == "input"


async def test_the_window_is_known_once_the_dimensions_are(embedder: Embedder) -> None:
    await embedder.dimensions()
    assert embedder.window >= 256
    assert embedder.count_tokens(["word " * embedder.window]) >= embedder.window
