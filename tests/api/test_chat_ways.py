"""Which way a request goes by what it asks for: web search, files for a model that only searches, several answers."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.api.house import House, open_house

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with open_house(tmp_path_factory.mktemp("house"), web_search_keyless=True) as opened:
        yield opened


async def ask(house: House, content: Any = "hello there", **fields: Any) -> dict[str, Any]:
    body = {"model": "hearth", "messages": [{"role": "user", "content": content}], **fields}
    answer = await house.client.post(CHAT, json=body)
    assert answer.status_code == 200, answer.text
    done: dict[str, Any] = answer.json()
    return done


def way(done: dict[str, Any]) -> str | None:
    route = done["choices"][0]["message"]["hearth"]["route"]
    return route["agent"] if route is not None else None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "react"),
        ({"model": "hearth-plan"}, "plan_execute"),
        ({"agent": "plan_execute"}, "plan_execute"),
        ({"agent": "auto"}, "react"),
    ],
    ids=["by itself", "by model", "by agent", "auto"],
)
async def test_a_wish_for_the_web_is_answered_by_an_agent(house: House, fields: dict[str, Any], expected: str) -> None:
    done = await ask(house, web_search_options={"search_context_size": "low"}, **fields)
    assert way(done) == expected and not done["choices"][0]["message"]["hearth"]["steps"]


async def test_a_model_id_for_plain_chat_and_a_wish_for_the_web_do_not_go_together(house: House) -> None:
    body = {"model": "hearth-chat", "messages": [{"role": "user", "content": "x"}], "web_search_options": {}}
    answer = await house.client.post(CHAT, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "web_search_options")


async def test_several_answers_are_plain_completions(house: House) -> None:
    done = await ask(house, "What is 6*7?", n=2)
    assert way(done) is None and [choice["index"] for choice in done["choices"]] == [0, 1]


async def test_the_built_in_model_searches_a_file_by_its_id(house: House) -> None:
    text = b"The pavilion is open from nine in the morning.\n\nDogs are not allowed in the pavilion."
    files = {"file": ("rules.txt", text), "purpose": (None, "user_data")}
    made = (await house.client.post("/v1/files", files=files)).json()
    parts = [{"type": "text", "text": "When is the pavilion open?"}, {"type": "file", "file": {"file_id": made["id"]}}]
    done = await ask(house, parts)
    message = done["choices"][0]["message"]
    assert "nine" in message["content"] and way(done) == "react"
    assert [step["name"] for step in message["hearth"]["steps"]] == ["rag_retrieval"]
    stored = (await house.client.get(f"/api/conversations/{done['session_id']}")).json()
    assert stored["messages"][0]["content"] == "When is the pavilion open?"


async def test_a_file_sent_to_the_built_in_model_is_refused_with_what_to_do_instead(house: House) -> None:
    data = "data:text/plain;base64," + base64.b64encode(b"x").decode()
    part = {"type": "file", "file": {"filename": "a.txt", "file_data": data}}
    body = {"model": "hearth", "messages": [{"role": "user", "content": [part]}]}
    error = (await house.client.post(CHAT, json=body)).json()["error"]
    assert error["param"] == "messages.0.content.0.file" and "file_id" in error["message"]
