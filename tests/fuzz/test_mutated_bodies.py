"""Valid bodies of every route, spoilt in every way: never a 5xx, never a hang, never a refusal without the envelope."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.api.openapi import ANTHROPIC
from backend.api.openapi_examples import REQUESTS
from tests.api.house import House, open_house
from tests.fuzz.examples import effort

pytestmark = pytest.mark.slow

LONGEST_S = 20.0

RAW = {
    "@surrogate": r'"\ud83d"',
    "@pair-turned-round": r'"\udc00\ud83d"',
    "@nul": r'"a\u0000b"',
    "@nan": "NaN",
    "@infinity": "-Infinity",
    "@overflow": "1e999",
    "@huge": "9" * 400,
    "@exact": "9223372036854775808",
    "@deep": "[" * 60 + "]" * 60,
    "@deeper": "[" * 5000 + "]" * 5000,
    "@twice": '{"type":"text","type":"image_url","role":"user","role":"tool"}',
    "@bytes": '"\\u00ff\\ufffe\\ufeff"',
    "@broken": '{"a":',
}
"""Values that no JSON library would write, as they stand in the body."""

junk = st.one_of(
    st.sampled_from(sorted(RAW)),
    st.sampled_from(
        [None, True, False, 0, -1, 1, 2**31, 2**63 - 1, -(2**63), 10**25, 0.5, -0.0, 1e-320, 1e308, "", " ", "\n",
         "null", "../../etc/passwd", "a" * 5000, "🦊" * 300, "\u202e\u0000\u2028", "data:image/png;base64,!!!", "http://[::1",
         "{{7*7}}", "%s%n", [], {}, [None], [[]], [{}], {"": ""}, {"type": None}, {"type": "text"}, [1, "a", None, {}]]
    ),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    ),
)  # fmt: skip


def places(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The address of everything inside a body, the whole included."""
    found = [here]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        found += places(each, (*here, key))
    return found


def replaced(value: Any, where: tuple[Any, ...], new: Any) -> Any:
    if not where:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[where[0]] = replaced(value[where[0]], where[1:], new)
    return copy


def removed(value: Any, where: tuple[Any, ...]) -> Any:
    holder = value
    for key in where[:-1]:
        holder = holder[key]
    copy = dict(holder) if isinstance(holder, dict) else list(holder)
    del copy[where[-1]]
    return replaced(value, where[:-1], copy)


def repeated(value: Any, where: tuple[Any, ...], times: int) -> Any:
    holder = value
    for key in where:
        holder = holder[key]
    return replaced(value, where, [holder] * times)


@st.composite
def spoilt(draw: st.DrawFn, examples: list[Any], fields: list[str]) -> bytes:
    """One of the examples with one to three changes, as bytes."""
    body = draw(st.sampled_from(examples))
    for _ in range(draw(st.integers(1, 3))):
        where = draw(st.sampled_from(places(body)))
        change = draw(st.sampled_from(["replace", "replace", "add", "remove", "repeat"]))
        if change == "replace":
            body = replaced(body, where, draw(junk))
        elif change == "remove" and where:
            body = removed(body, where)
        elif change == "repeat":
            body = repeated(body, where, draw(st.integers(2, 40)))
        elif isinstance(body, dict) and fields:
            body = {**body, draw(st.sampled_from(fields)): draw(junk)}
    text = json.dumps(body)
    for name, raw in RAW.items():
        text = text.replace(f'"{name}"', raw)
    return text.encode()


@dataclass(frozen=True, slots=True)
class Fuzzed:
    """A house, the loop it lives in, and ids of things that are there."""

    runner: asyncio.Runner
    house: House
    ids: dict[str, str]
    fields: dict[str, list[str]]

    def send(self, method: str, path: str, body: bytes) -> httpx.Response:
        async def ask() -> httpx.Response:
            async with asyncio.timeout(LONGEST_S):
                return await self.house.client.request(
                    method,
                    path.format(**self.ids),
                    content=body,
                    headers={"content-type": "application/json", "accept": "application/json, text/event-stream"},
                )

        return self.runner.run(ask())


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    with asyncio.Runner() as runner:
        opening = open_house(tmp_path_factory.mktemp("fuzzed"), agent_timeout=10)
        house = runner.run(opening.__aenter__())
        ids = runner.run(things(house.client))
        yield Fuzzed(runner, house, ids, known_fields(house))
        runner.run(opening.__aexit__(None, None, None))


UPLOAD = {"filename": "a.txt", "bytes": 1, "purpose": "assistants", "mime_type": "text/plain"}


async def things(client: httpx.AsyncClient) -> dict[str, str]:
    """Something of each kind, where the kind exists."""
    ids = {"name": "math_calc", "batch_id": "vsfb_x", "item_id": "msg_x", "number": "1"}
    chat = {"model": "hearth-builtin", "messages": [{"role": "user", "content": "hello"}], "store": True}
    told = (await client.post("/v1/chat/completions", json=chat)).json()
    ids |= {"completion_id": told["id"], "session_id": told["session_id"]}
    uploaded = await client.post("/api/files/upload", files={"file": ("cats.txt", b"Cats sit on mats.")})
    ids["file_id"] = uploaded.json()["file_id"]
    for name, path, body in (
        ("conversation_id", "/v1/conversations", {}),
        ("vector_store_id", "/v1/vector_stores", {"name": "x"}),
        ("response_id", "/v1/responses", {"model": "hearth-builtin", "input": "hi"}),
        (
            "upload_id",
            "/v1/uploads",
            {"filename": "a.txt", "bytes": 1, "purpose": "assistants", "mime_type": "text/plain"},
        ),
    ):
        made = await client.post(path, json=body)
        ids[name] = made.json()["id"]
    return {**ids, "collection_id": ids["vector_store_id"]}


def known_fields(house: House) -> dict[str, list[str]]:
    """The fields of each body, those that no example shows among them."""
    found = {}
    for path, operations in house.app.openapi()["paths"].items():
        for method, operation in operations.items():
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            found[f"{method.upper()} {path}"] = sorted(schema.get("properties", {}))
    return found


def judged(path: str, answer: httpx.Response, sent: bytes) -> None:
    """What must hold of every answer."""
    told = f"{path} answered {answer.status_code} {answer.text[:300]} to {sent[:1500]!r}"
    if answer.status_code < 400:
        return
    assert answer.status_code < 500 or answer.status_code == 503, told
    body = answer.json()
    if path in ANTHROPIC:
        assert body["type"] == "error" and set(body["error"]) >= {"type", "message"}, told
    elif path != "/mcp" or "error" not in body or "jsonrpc" not in body:
        assert set(body["error"]) == {"message", "type", "param", "code"}, told
        assert isinstance(body["error"]["message"], str) and isinstance(body["error"]["type"], str), told
    assert "Traceback" not in answer.text, told


DOORS = sorted(set(REQUESTS) - {"POST /api/auth/login"})
"""Signing in is left out: wrong passwords make the door wait, as they should."""


@pytest.mark.parametrize("door", DOORS)
def test_flow_5_spoilt_bodies(fuzzed: Fuzzed, door: str) -> None:
    method, path = door.split()
    examples = [
        {**body, "model": "hearth-builtin"} if body.get("model") == "hearth" else body
        for body in REQUESTS[door].values()
    ]

    @effort(12)
    @given(spoilt(examples, fuzzed.fields.get(door, [])))
    def spoil(body: bytes) -> None:
        judged(path, fuzzed.send(method, path, body), body)

    spoil()
    assert fuzzed.house.admission.running == 0, "a place was not given back"
