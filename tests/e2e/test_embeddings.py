"""Embeddings by the official SDK, with models of Ollama by name; and its embedding models in the list."""

from __future__ import annotations

import base64
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openai
import pytest

from tests.doubles.ollama_process import OllamaDouble, fault
from tests.server import NOWHERE, HearthServer

EMBED = {"path": "/api/embed"}
TEXTS = ["The cat sleeps on the warm windowsill.", "Rates were raised by the bank.", "A cat is asleep on the sill."]


@pytest.fixture
def sdk(online: HearthServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{online.url}/v1", api_key=online.key, max_retries=0) as client:
        yield client


def rows_of(answer: openai.types.CreateEmbeddingResponse) -> np.ndarray:
    return np.array([row.embedding for row in answer.data])


@pytest.mark.parametrize("name", ["nomic-embed-text", "nomic-embed-text:latest", "NOMIC-embed-text"])
def test_an_embedding_model_of_ollama_answers_to_its_name(sdk: openai.OpenAI, double: OllamaDouble, name: str) -> None:
    answer = sdk.embeddings.create(model=name, input=TEXTS)
    rows = rows_of(answer)
    assert rows.shape == (3, 768)
    assert rows[0] @ rows[2] > rows[0] @ rows[1] + 0.2
    assert answer.model == "nomic-embed-text:latest"
    (entry,) = double.log("/api/embed")
    assert entry["body"]["truncate"] is False
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == entry["prompt_tokens"] > 0


def test_encodings_and_dimensions_are_those_of_every_model(sdk: openai.OpenAI) -> None:
    ask = sdk.embeddings.create
    plain = rows_of(ask(model="nomic-embed-text", input=TEXTS, encoding_format="float"))
    coded = ask(model="nomic-embed-text", input=TEXTS, encoding_format="base64")
    for row, text in zip(plain, coded.data, strict=True):
        assert struct.unpack("<768f", base64.b64decode(str(text.embedding))) == pytest.approx(row)
    short = rows_of(ask(model="nomic-embed-text", input=TEXTS, dimensions=100))
    cut = plain[:, :100]
    assert np.allclose(short, cut / np.linalg.norm(cut, axis=1, keepdims=True), atol=1e-5)
    with pytest.raises(openai.BadRequestError, match="768") as caught:
        ask(model="nomic-embed-text", input=TEXTS, dimensions=769)
    assert caught.value.param == "dimensions"


def test_the_most_texts_in_one_request_go_in_batches_in_their_order(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    texts = [f"{n} apples and {n + 1} pears" for n in range(2_048)]
    answer = sdk.embeddings.create(model="all-minilm", input=texts)
    rows = rows_of(answer)
    assert [row.index for row in answer.data] == list(range(2_048))
    log = double.log("/api/embed")
    assert max(len(entry["body"]["input"]) for entry in log) <= 32
    assert answer.usage.prompt_tokens == sum(entry["prompt_tokens"] for entry in log)
    for n in (0, 15, 16, 1_000, 2_047):
        assert rows[n] == pytest.approx(rows_of(sdk.embeddings.create(model="all-minilm", input=texts[n]))[0], abs=1e-5)


def test_a_model_that_only_chats_is_refused_before_ollama_is_asked(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    with pytest.raises(openai.BadRequestError, match=r"llama3\.2:3b") as caught:
        sdk.embeddings.create(model="llama3.2:3b", input="cat")
    assert caught.value.param == "model"
    assert double.log("/api/embed") == []


def test_unknown_model_is_not_found(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        sdk.embeddings.create(model="mxbai-embed-large", input="cat")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_a_model_removed_since_is_not_found_with_what_to_do(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    double.script(fault("status", status=404, error='model "all-minilm" not found', match=EMBED))
    with pytest.raises(openai.NotFoundError, match="ollama pull") as caught:
        sdk.embeddings.create(model="all-minilm", input="cat")
    assert caught.value.code == "model_not_found"


def test_a_text_longer_than_the_window_is_the_mean_of_its_parts(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    start, end = "The cat sleeps on the sill. " * 120, "Interest rates and taxes rise. " * 120
    rows = rows_of(sdk.embeddings.create(model="all-minilm", input=[start, start + end, end]))
    assert rows[1] @ rows[0] > 0.5
    assert rows[1] @ rows[2] > 0.5
    assert rows[1] @ rows[1] == pytest.approx(1, abs=1e-5)
    sent = [text for entry in double.log("/api/embed") if entry["status"] == 200 for text in entry["body"]["input"]]
    assert sum(map(len, sent)) == len(start) * 2 + len(end) * 2, "nothing was cut off"
    with pytest.raises(openai.BadRequestError, match="8192 tokens") as caught:
        sdk.embeddings.create(model="all-minilm", input=["cat", "word " * 20_000])
    assert (caught.value.param, caught.value.code) == ("input", "context_length_exceeded")


@pytest.mark.parametrize(
    ("problem", "error", "code"),
    [
        (fault("busy_503", match=EMBED), 503, "upstream_busy"),
        (fault("crashed_500", match=EMBED), 502, "upstream_error"),
        (fault("not_json", match=EMBED), 502, "upstream_error"),
        (fault("status", status=200, body='{"embeddings": [[NaN, 1.0]]}', match=EMBED), 502, "upstream_error"),
        (fault("status", status=200, body='{"embeddings": [[1e400, 1.0]]}', match=EMBED), 502, "upstream_error"),
    ],
    ids=["busy", "crashed", "not JSON", "NaN", "infinite"],
)
def test_what_ollama_fails_at_is_told_in_the_envelope(
    sdk: openai.OpenAI, double: OllamaDouble, problem: dict[str, object], error: int, code: str
) -> None:
    double.script(problem)
    with pytest.raises(openai.InternalServerError) as caught:
        sdk.embeddings.create(model="all-minilm", input="cat")
    assert (caught.value.status_code, caught.value.code) == (error, code)
    assert double.url not in str(caught.value)


def test_a_client_that_leaves_stops_the_rest(online: HearthServer, double: OllamaDouble) -> None:
    double.script(fault("delay_headers", ms=400, match=EMBED))
    with (
        openai.OpenAI(base_url=f"{online.url}/v1", api_key=online.key, max_retries=0, timeout=1.0) as client,
        pytest.raises(openai.APITimeoutError),
    ):
        client.embeddings.create(model="all-minilm", input=[f"text {n}" for n in range(2_048)])
    double.wait_for_log(lambda log: any(entry["disconnected_at"] for entry in log), 2.0)
    begun = len(double.log("/api/embed"))
    time.sleep(0.6)
    assert len(double.log("/api/embed")) == begun < 20


def test_one_users_thousands_do_not_block_anothers_single_text(online: HearthServer, double: OllamaDouble) -> None:
    other = online.add_user("embeds-little")
    double.script(fault("delay_headers", ms=50, match=EMBED))
    with (
        ThreadPoolExecutor(2) as pool,
        openai.OpenAI(base_url=f"{online.url}/v1", api_key=online.key, max_retries=0) as big,
        openai.OpenAI(base_url=f"{online.url}/v1", api_key=other, max_retries=0) as small,
    ):
        many = [f"text {n}" for n in range(512)]
        running = [pool.submit(big.embeddings.create, model="all-minilm", input=many) for _ in range(2)]
        double.wait_for_log(lambda log: sum(entry["path"] == "/api/embed" for entry in log) > 4)
        small.embeddings.create(model="all-minilm", input="one text")
        assert not any(each.done() for each in running)
        assert all(len(each.result(60).data) == 512 for each in running)


def test_without_ollama_its_models_are_unreachable_and_the_own_one_serves(offline: HearthServer) -> None:
    assert offline.environment["OLLAMA_HOST"] == NOWHERE
    with openai.OpenAI(base_url=f"{offline.url}/v1", api_key=offline.key, max_retries=0) as client:
        with pytest.raises(openai.InternalServerError) as caught:
            client.embeddings.create(model="nomic-embed-text", input="cat")
        assert (caught.value.status_code, caught.value.code) == (503, "upstream_unreachable")
        with pytest.raises(openai.NotFoundError, match="does not exist"):
            client.embeddings.create(model="text-embedding-3-large", input="cat")
        assert len(client.embeddings.create(model="text-embedding-3-small", input="cat").data[0].embedding) == 384


def test_list_names_embedding_models_last(sdk: openai.OpenAI) -> None:
    models = list(sdk.models.list())
    kinds = [(model.model_extra or {})["hearth"]["kind"] for model in models]
    assert kinds == sorted(kinds), "chat before embedding"
    assert models[0].id == "hearth"
    last = [model.id for model in models[kinds.index("embedding") :]]
    assert last[0] == "all-MiniLM-L6-v2"
    assert set(last) == {"all-MiniLM-L6-v2", "nomic-embed-text:latest", "all-minilm:latest"}
    assert all(model.created > 1_600_000_000 for model in models)
    nomic = sdk.models.retrieve("nomic-embed-text")
    assert nomic.id == "nomic-embed-text:latest"
    assert (nomic.model_extra or {})["hearth"] == {
        "kind": "embedding",
        "capabilities": ["embedding"],
        "context_length": 2048,
    }


def test_chat_with_an_embedding_model_of_ollama_is_refused(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="nomic-embed-text") as caught:
        sdk.chat.completions.create(model="nomic-embed-text", messages=[{"role": "user", "content": "hi"}])
    assert caught.value.param == "model"
    assert "embeddings" in str(caught.value)
