"""Embedding by Ollama: what is sent, and what becomes of its refusals and its silences."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Sequence

import numpy as np
import pytest

from backend.config.settings import Settings
from backend.embeddings import ollama
from backend.embeddings.ollama import OllamaEmbedder
from backend.models.errors import (
    SettingsError,
    UpstreamBusy,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from tests.doubles.ollama_process import OllamaDouble, fault

EMBED = {"path": "/api/embed"}


Make = Callable[..., OllamaEmbedder]


@pytest.fixture
async def make(ollama_double: OllamaDouble) -> AsyncIterator[Make]:
    """Makes embedders that ask the double, and closes them."""
    made: list[OllamaEmbedder] = []

    def embedder(model: str = "all-minilm", hosts: Sequence[str] = (), timeout_s: float = 30.0) -> OllamaEmbedder:
        made.append(OllamaEmbedder(model, hosts or [ollama_double.url], timeout_s=timeout_s))
        return made[-1]

    yield embedder
    for each in made:
        await each.aclose()


def closed_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_settings_become_an_embedder() -> None:
    made = ollama.create(Settings(_env_file=None), "bge-m3")
    assert made.name == "ollama:bge-m3"
    with pytest.raises(SettingsError, match="names no model"):
        ollama.create(Settings(_env_file=None), " ")


async def test_texts_go_in_batches_of_at_most_32(ollama_double: OllamaDouble, make: Make) -> None:
    embedder = make()
    vectors = await embedder.embed_documents([f"text {n}" for n in range(70)])
    bodies = [entry["body"] for entry in ollama_double.log("/api/embed")]
    assert [len(body["input"]) for body in bodies] == [32, 32, 6]
    assert all(body["model"] == "all-minilm" and body["truncate"] is True for body in bodies)
    assert vectors.shape == (70, 384)


async def test_dimensions_are_asked_for_once(ollama_double: OllamaDouble, make: Make) -> None:
    embedder = make("nomic-embed-text")
    assert (await embedder.dimensions(), await embedder.dimensions()) == (768, 768)
    assert len(ollama_double.log("/api/embed")) == 1


SHOW = {"path": "/api/show"}


@pytest.mark.parametrize(
    ("body", "window"),
    [
        ('{"model_info": {"general.architecture": "bert", "bert.context_length": 512}}', 512),
        ('{"model_info": {"general.architecture": "bert", "bert.context_length": 384}}', 384),
        ('{"model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40960}}', 2048),
        ('{"model_info": {"general.architecture": "bert", "bert.context_length": "many"}}', 512),
        ('{"model_info": {"general.architecture": "bert", "bert.context_length": -1}}', 512),
        ('{"model_info": {}}', 512),
        ('{"model_info": null}', 512),
        ("[]", 512),
        ("no json", 512),
    ],
)
async def test_the_window_is_what_ollama_says_within_bounds(
    ollama_double: OllamaDouble, make: Make, body: str, window: int
) -> None:
    ollama_double.script(fault("status", status=200, body=body, match=SHOW))
    embedder = make()
    assert embedder.window == 512
    await embedder.dimensions()
    await embedder.dimensions()
    assert embedder.window == window
    assert len(ollama_double.log("/api/show")) == 1


async def test_vectors_that_are_not_normal_are_normalised(ollama_double: OllamaDouble, make: Make) -> None:
    body = '{"model": "m", "embeddings": [[3.0, 4.0]]}'
    ollama_double.script(fault("status", status=200, body=body, match=EMBED))
    embedder = make()
    assert np.allclose(await embedder.embed_query("x"), [0.6, 0.8])


async def test_a_refused_batch_is_halved_until_the_texts_pass(ollama_double: OllamaDouble, make: Make) -> None:
    too_long = fault("status", status=400, error="the input length exceeds the context length", match=EMBED, times=1)
    ollama_double.script(too_long, too_long)
    embedder = make()
    texts = [f"text {n}" for n in range(8)]
    vectors = await embedder.embed_documents(texts)
    assert [len(entry["body"]["input"]) for entry in ollama_double.log("/api/embed")] == [8, 4, 2, 2, 4]
    ollama_double.reset()
    assert np.allclose(vectors, await embedder.embed_documents(texts), atol=1e-6)


async def test_a_text_too_long_by_itself_is_cut_in_half_until_it_passes(
    ollama_double: OllamaDouble, make: Make
) -> None:
    too_long = fault("status", status=400, error="the input length exceeds the context length", match=EMBED, times=2)
    ollama_double.script(too_long)
    embedder = make()
    await embedder.embed_query("abcdefgh" * 100)
    sent = [entry["body"]["input"][0] for entry in ollama_double.log("/api/embed")]
    assert [len(text) for text in sent] == [800, 400, 200]


async def test_a_refusal_that_no_cutting_mends_is_an_error_with_its_reason(
    ollama_double: OllamaDouble, make: Make
) -> None:
    ollama_double.script(fault("status", status=400, error="embedding contains NaN or Inf values", match=EMBED))
    embedder = make()
    with pytest.raises(UpstreamError, match="NaN or Inf"):
        await embedder.embed_documents(["long text " * 40, "other"])
    assert len(ollama_double.log("/api/embed")) < 10


async def test_a_missing_model_says_how_to_get_it(ollama_double: OllamaDouble, make: Make) -> None:
    embedder = make("bge-m3")
    with pytest.raises(UpstreamError, match="ollama pull bge-m3"):
        await embedder.embed_query("x")


@pytest.mark.parametrize(
    ("kind", "fields", "error"),
    [
        ("crashed_500", {}, UpstreamError),
        ("html_502", {}, UpstreamError),
        ("busy_503", {}, UpstreamBusy),
        ("not_json", {}, UpstreamError),
        ("empty_403", {}, UpstreamError),
        ("closed", {}, UpstreamError),
        ("redirect", {"location": "http://example.com/"}, UpstreamError),
        ("status", {"status": 200, "body": '{"embeddings": []}'}, UpstreamError),
        ("status", {"status": 200, "body": '{"embeddings": [[]]}'}, UpstreamError),
        ("status", {"status": 200, "body": '{"embeddings": [["x", "y"]]}'}, UpstreamError),
        ("status", {"status": 200, "body": '{"embeddings": [[1.0, null]]}'}, UpstreamError),
        ("status", {"status": 200, "body": '{"embeddings": {"0": [1.0]}}'}, UpstreamError),
        ("status", {"status": 200, "body": '{"error": "odd"}'}, UpstreamError),
        ("status", {"status": 200, "body": "[1, 2]"}, UpstreamError),
    ],
)
async def test_useless_answers_are_upstream_errors(
    ollama_double: OllamaDouble, make: Make, kind: str, fields: dict[str, object], error: type[UpstreamError]
) -> None:
    ollama_double.script(fault(kind, match=EMBED, **fields))
    embedder = make()
    with pytest.raises(error) as caught:
        await embedder.embed_query("x")
    assert type(caught.value) is error


async def test_a_silent_server_is_a_timeout(ollama_double: OllamaDouble, make: Make) -> None:
    ollama_double.script(fault("delay_headers", ms=3000, match=EMBED))
    embedder = make(timeout_s=0.2)
    with pytest.raises(UpstreamTimeout):
        await embedder.embed_query("x")


async def test_an_unreachable_server_says_so(make: Make) -> None:
    embedder = make("bge-m3", [closed_port()])
    with pytest.raises(UpstreamUnreachable, match="OLLAMA_HOST"):
        await embedder.embed_query("x")


async def test_of_several_hosts_the_first_that_answers_is_kept(ollama_double: OllamaDouble, make: Make) -> None:
    embedder = make("all-minilm", [closed_port(), ollama_double.url])
    await embedder.embed_query("x")
    assert embedder._hosts[0] == ollama_double.url
    await embedder.embed_query("y")


async def test_a_model_that_changes_its_dimensions_is_an_error(ollama_double: OllamaDouble, make: Make) -> None:
    embedder = make()
    await embedder.dimensions()
    ollama_double.script(fault("status", status=200, body='{"embeddings": [[1.0, 0.0]]}', match=EMBED))
    with pytest.raises(UpstreamError, match="restart"):
        await embedder.embed_query("x")


async def test_after_closing_it_can_be_used_again(ollama_double: OllamaDouble, make: Make) -> None:
    embedder = make()
    await embedder.aclose()
    await embedder.embed_query("x")
    await embedder.aclose()
    await embedder.embed_query("x")
