"""GET /v1/models and one of them: what clients that list models first depend on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
import pytest_asyncio

from backend.api.routes.models import as_openai
from backend.llm.port import ModelInfo
from tests.api.house import House, open_house

LIST = "/v1/models"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with open_house(tmp_path_factory.mktemp("house")) as opened:
        yield opened


async def test_list_has_every_required_key_and_begins_with_what_chats(house: House) -> None:
    answer = (await house.client.get(LIST)).json()
    assert set(answer) == {"object", "data"}
    assert answer["object"] == "list"
    ids = [model["id"] for model in answer["data"]]
    ways = ["hearth", "hearth-chat", "hearth-react", "hearth-plan", "hearth-documents"]
    assert ids == [*ways, "hearth-builtin", "all-MiniLM-L6-v2"]
    for model in answer["data"]:
        assert set(model) == {"id", "object", "created", "owned_by", "hearth"}
        assert (model["object"], model["owned_by"]) == ("model", "hearth")
        assert 1_600_000_000 < model["created"] < 4_000_000_000
        assert model["hearth"]["context_length"] > 0
    kinds = [model["hearth"]["kind"] for model in answer["data"]]
    assert kinds == ["chat"] * 6 + ["embedding"]
    assert answer["data"][-1]["hearth"]["capabilities"] == ["embedding"]


async def test_each_model_of_the_list_is_found_by_its_id(house: House) -> None:
    for model in (await house.client.get(LIST)).json()["data"]:
        for path in (model["id"], quote(model["id"], safe=""), "".join(f"%{ord(char):02X}" for char in model["id"])):
            answer = await house.client.get(f"{LIST}/{path}")
            assert (answer.status_code, answer.json()) == (200, model)


@pytest.mark.parametrize("name", ["hearth-embedding", "text-embedding-3-small"])
async def test_names_of_the_servers_own_embedder_are_found(house: House, name: str) -> None:
    model = (await house.client.get(f"{LIST}/{name}")).json()
    assert (model["id"], model["hearth"]["kind"]) == (name, "embedding")


@pytest.mark.parametrize(
    "path",
    [
        "nope",
        "org/name:1b",
        "org%2Fname%3A1b",
        "..%2f..%2fetc%2Fpasswd",
        "a%20b",
        "%F0%9F%90%88",
        "hearth/",
        "x" * 5_000,
    ],
)
async def test_unknown_id_is_not_found_in_the_envelope(house: House, path: str) -> None:
    answer = await house.client.get(f"{LIST}/{path}")
    if path == "hearth/":
        assert answer.status_code == 200, "a slash at the end means the same"
        return
    assert answer.status_code == 404
    error = answer.json()["error"]
    assert (error["type"], error["param"], error["code"]) == ("invalid_request_error", "model", "model_not_found")
    assert len(error["message"]) < 400


@pytest.mark.parametrize("method", ["DELETE", "POST", "PUT", "PATCH"])
async def test_models_can_only_be_read(house: House, method: str) -> None:
    answer = await house.client.request(method, f"{LIST}/hearth")
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]
    assert answer.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", [LIST, f"{LIST}/hearth"])
async def test_models_need_a_key(house: House, path: str) -> None:
    answer = await house.stranger.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("model", ["all-MiniLM-L6-v2", "hearth-embedding", "text-embedding-3-small"])
async def test_chat_with_the_embedder_is_refused_saying_what_it_is(house: House, model: str) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    for stream in (False, True):
        answer = await house.client.post("/v1/chat/completions", json={**body, "stream": stream})
        assert answer.status_code == 400
        error = answer.json()["error"]
        assert error["param"] == "model"
        assert "embedding model" in error["message"]
        assert model in error["message"]


async def test_a_model_that_tells_no_time_was_not_made_in_1970() -> None:
    info = ModelInfo("m", "p", frozenset({"completion", "embedding"}), 2048)
    made = as_openai(info)
    assert made["created"] > 1_600_000_000
    assert made["hearth"] == {"kind": "chat", "capabilities": ["completion", "embedding"], "context_length": 2048}
