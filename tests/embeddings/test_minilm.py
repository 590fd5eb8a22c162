"""The built-in embedder: its files, its loading, its limits."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from backend.config.settings import Settings
from backend.embeddings import minilm as module
from backend.embeddings.minilm import WEIGHTS, MiniLM
from backend.models.errors import SettingsError, StorageFailed

ROOT = Path(__file__).resolve().parents[2]


def test_it_is_made_for_its_own_name_only() -> None:
    assert module.create(Settings(_env_file=None), "all-MiniLM-L6-v2").name == "all-MiniLM-L6-v2"
    with pytest.raises(SettingsError, match="EMBEDDING_MODEL"):
        module.create(Settings(_env_file=None), "all-mpnet-base-v2")


async def test_it_loads_on_first_use_and_once() -> None:
    embedder = MiniLM()
    assert not embedder.loaded
    assert await embedder.dimensions() == 384
    assert embedder.count_tokens(["four words of text"]) == 6
    assert not embedder.loaded
    await asyncio.gather(*(embedder.embed_query("cat") for _ in range(4)))
    assert embedder.loaded
    first = embedder._engine
    await embedder.embed_query("dog")
    assert embedder._engine is first
    await embedder.aclose()
    assert not embedder.loaded


async def test_the_event_loop_goes_on_while_it_works(minilm: MiniLM) -> None:
    await minilm.embed_query("load it")
    longest, last = 0.0, asyncio.get_running_loop().time()
    work = asyncio.create_task(minilm.embed_documents(["A sentence of middling length for the model. " * 8] * 24))
    while not work.done():
        await asyncio.sleep(0.005)
        now = asyncio.get_running_loop().time()
        longest, last = max(longest, now - last), now
    assert longest < 0.25


async def test_cancelling_stops_after_the_batch(minilm: MiniLM) -> None:
    work = asyncio.create_task(minilm.embed_documents(["Some sentence to embed. " * 40] * 2000))
    await asyncio.sleep(0.3)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(work, 2)
    assert (await minilm.embed_query("still works")).shape == (384,)


async def test_neighbours_in_a_call_do_not_change_a_vector(minilm: MiniLM) -> None:
    text = "Receipts for hotel costs must be handed in within thirty days."
    alone = await minilm.embed_query(text)
    crowd = ["", "word " * 700, text, "Ein anderer Satz.", "🎉" * 50, *(f"filler {n}" for n in range(30))]
    assert np.allclose((await minilm.embed_documents(crowd))[2], alone, atol=1e-6)


async def test_what_lies_beyond_256_word_pieces_changes_nothing(minilm: MiniLM) -> None:
    text = "contract " * 300
    one, other = await minilm.embed_documents([text, text + "and a very different ending about cats"])
    assert np.allclose(one, other, atol=1e-6)
    assert minilm.count_tokens([text]) == 256


async def test_a_text_of_megabytes_costs_no_more_than_its_beginning(minilm: MiniLM) -> None:
    await minilm.embed_query("load it")
    started = asyncio.get_running_loop().time()
    vectors = await minilm.embed_documents(["x" * 5_000_000, "word " * 1_000_000])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert minilm.count_tokens(["word " * 1_000_000]) == 256
    assert asyncio.get_running_loop().time() - started < 3


@pytest.mark.parametrize("name", ["model.int8.onnx", "tokenizer.json", "SHA256SUMS"])
@pytest.mark.parametrize("harm", ["changed", "missing"])
async def test_damaged_weights_are_an_error_that_names_the_file(tmp_path: Path, name: str, harm: str) -> None:
    weights = tmp_path / "weights"
    shutil.copytree(WEIGHTS, weights)
    if harm == "missing":
        (weights / name).unlink()
    else:
        content = bytearray((weights / name).read_bytes())
        content[10] ^= 1
        (weights / name).write_bytes(content)
    with pytest.raises(StorageFailed) as caught:
        await MiniLM(weights).embed_query("cat")
    assert str(tmp_path) not in caught.value.message
    assert name in caught.value.message or harm == "changed"


def test_the_repository_holds_licence_origin_and_checksums() -> None:
    assert "Apache License" in (WEIGHTS / "LICENSE").read_text(encoding="utf-8")
    assert "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db" in (WEIGHTS / "ORIGIN.md").read_text()
    for line in (WEIGHTS / "SHA256SUMS").read_text().splitlines():
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((WEIGHTS / name).read_bytes()).hexdigest() == digest


def test_importing_the_adapters_loads_no_library() -> None:
    heavy = ("numpy", "onnxruntime", "tokenizers", "faiss", "chromadb", "snowballstemmer", "torch", "aiohttp")
    program = (
        "import sys, backend.embeddings.minilm, backend.embeddings.ollama, backend.embeddings.sentence_transformers,"
        " backend.vector_store.faiss, backend.vector_store.chroma, backend.tools.rag_retriever;"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
