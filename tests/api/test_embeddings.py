"""POST /v1/embeddings: what it answers, and what it refuses with which words."""

from __future__ import annotations

import base64
import dataclasses
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from backend.api.routes import embeddings
from backend.tasks.embedding_task import Embeddings, EmbeddingTask
from tests.api.house import House, open_house
from tests.fakes.embedder import HashEmbedder

OWN = "all-MiniLM-L6-v2"
URL = "/v1/embeddings"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with open_house(tmp_path_factory.mktemp("house")) as opened:
        yield opened


async def vectors(house: House, texts: Any, **extra: Any) -> np.ndarray:
    answer = await house.client.post(URL, json={"model": OWN, "input": texts, **extra}, timeout=60)
    assert answer.status_code == 200, answer.text
    return np.array([row["embedding"] for row in answer.json()["data"]])


async def test_answer_has_the_shape_of_the_contract(house: House) -> None:
    body = {"model": "hearth", "input": ["cat", "dog"], "encoding_format": None, "dimensions": None, "user": None,
            "priority": 3, "keep_alive": "5m"}  # fmt: skip
    answer = await house.client.post(URL, json=body)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    made = answer.json()
    assert set(made) == {"object", "data", "model", "usage"}
    assert (made["object"], made["model"]) == ("list", OWN)
    assert [(row["object"], row["index"], len(row["embedding"])) for row in made["data"]] == [
        ("embedding", 0, 384),
        ("embedding", 1, 384),
    ]
    assert made["usage"]["prompt_tokens"] == made["usage"]["total_tokens"] == 6


async def test_base64_holds_the_same_numbers_as_little_endian_float32(house: House) -> None:
    texts = [f"text {n}" for n in range(17)]
    plain = await vectors(house, texts)
    answer = await house.client.post(URL, json={"model": OWN, "input": texts, "encoding_format": "base64"})
    rows = [row["embedding"] for row in answer.json()["data"]]
    assert all(isinstance(row, str) for row in rows)
    decoded = np.array([np.frombuffer(base64.b64decode(row), dtype="<f4") for row in rows])
    assert np.array_equal(decoded, plain.astype(np.float32))


@pytest.mark.parametrize("dimensions", [1, 5, 256, 384])
async def test_dimensions_cut_and_keep_unit_length(house: House, dimensions: int) -> None:
    rows = await vectors(house, ["a cat on a mat", "taxes"], dimensions=dimensions)
    whole = await vectors(house, ["a cat on a mat", "taxes"])
    assert rows.shape == (2, dimensions)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    cut = whole[:, :dimensions]
    assert np.allclose(rows, cut / np.linalg.norm(cut, axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "param", "says"),
    [
        ({"input": ""}, "input", "empty"),
        ({"input": []}, "input", "list"),
        ({"input": ["a", ""]}, "input", "item 1"),
        ({"input": ["a", 3]}, "input", "item 1"),
        ({"input": [["a"]]}, "input", "item 0"),
        ({"input": {"text": "a"}}, "input", "list"),
        ({"input": None}, "input", "list"),
        ({"input": 3.5}, "input", "list"),
        ({"input": [1, 2, 3]}, "input", "check_embedding_ctx_length=False"),
        ({"input": [[1, 2], [3]]}, "input", "check_embedding_ctx_length=False"),
        ({"input": ["a"] * 2049}, "input", "2048"),
        ({"input": ["a", "word " * 9_000]}, "input", "9002 tokens"),
        ({"input": "different words " * 100_000}, "input", "8192 tokens"),
        ({"dimensions": 0}, "dimensions", "1"),
        ({"dimensions": 385}, "dimensions", "384"),
        ({"dimensions": "many"}, "dimensions", "integer"),
        ({"encoding_format": "int8"}, "encoding_format", "base64"),
        ({"model": "hearth-chat"}, "model", "hearth-chat"),
        ({"model": "hearth-builtin"}, "model", "hearth-builtin"),
        ({"model": ""}, "model", "character"),
        ({"model": 3}, "model", "string"),
        ({"model": None}, "model", "string"),
    ],
    ids=lambda value: str(value)[:60],
)
async def test_bad_requests_are_refused_naming_the_field(
    house: House, change: dict[str, Any], param: str, says: str
) -> None:
    answer = await house.client.post(URL, json={"model": OWN, "input": "cat", **change})
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert error["code"] in ("invalid_value", "context_length_exceeded")
    assert says in error["message"]
    assert len(error["message"]) < 300


@pytest.mark.parametrize("missing", ["model", "input"])
async def test_missing_fields_are_named(house: House, missing: str) -> None:
    body = {"model": OWN, "input": "cat"}
    del body[missing]
    answer = await house.client.post(URL, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, missing)


async def test_unknown_model_is_not_found(house: House) -> None:
    answer = await house.client.post(URL, json={"model": "org/none:1b", "input": "cat"})
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", "model", "model_not_found")
    assert "org/none:1b" in error["message"]


async def test_auth_9_nothing_is_read_without_a_key(house: House) -> None:
    answer = await house.stranger.post(URL, content=b"not json")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


async def test_a_text_longer_than_the_window_is_embedded_to_its_end(house: House) -> None:
    start = "The cat sleeps on the warm windowsill. " * 30
    rows = await vectors(
        house, [start, start + "Interest rates and taxes rise. " * 30, "Interest rates and taxes rise."]
    )
    assert float(rows[2] @ rows[1]) > float(rows[2] @ rows[0]) + 0.2
    answer = await house.client.post(URL, json={"model": OWN, "input": "word " * 700})
    assert answer.json()["usage"]["prompt_tokens"] == 702


async def test_a_body_of_megabytes_is_read(house: House) -> None:
    """As LangChain sends it: a thousand passages of a thousand characters are more than a mebibyte."""
    body = json.dumps({"model": OWN, "input": ["[{" * 700] * 1_000, "dimensions": 0}).encode()
    assert len(body) > 1_400_000
    answer = await house.client.post(URL, content=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "dimensions"), "read, and only then refused"
    answer = await house.client.post(URL, content=b" " * (9 * 1_048_576))
    assert answer.status_code == 413


async def test_flow_2_the_most_texts_keep_their_order_and_are_written_off_the_event_loop(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = HashEmbedder("own", 384)
    task = EmbeddingTask(fast, house.services.catalog, lambda provider, model: fast)
    monkeypatch.setattr(house.app.state, "services", dataclasses.replace(house.services, embedding=task))
    threads: list[int] = []
    written = embeddings.encoded

    def noting(made: Embeddings, *, as_text: bool) -> bytes:
        threads.append(threading.get_ident())
        return written(made, as_text=as_text)

    monkeypatch.setattr(embeddings, "encoded", noting)
    texts = [f"{n} apples and {n % 13} pears" for n in range(2_048)]
    answer = await house.client.post(URL, json={"model": "own", "input": texts}, timeout=120)
    rows = np.array([row["embedding"] for row in answer.json()["data"]], dtype=np.float32)
    assert np.array_equal(rows, await fast.embed_documents(texts)), "bit by bit, in their order"
    assert [row["index"] for row in answer.json()["data"]] == list(range(2_048))
    assert threads[0] != threading.get_ident()
