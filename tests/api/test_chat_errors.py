"""Everything that can be wrong with a request to POST /v1/chat/completions: status, type, code and param of each."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.api.house import House, open_house

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT = "/v1/chat/completions"
GOOD: dict[str, Any] = {"model": "hearth-builtin", "messages": [{"role": "user", "content": "hello there"}]}
FUNCTION = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
CALLED = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
DONE = {"role": "tool", "tool_call_id": "c1", "content": "y"}
USER = {"role": "user", "content": "x"}
PIXEL = "data:image/png;base64,iVBORw0KGgo="
INVALID, UNSUPPORTED, CONTENT = "invalid_value", "unsupported_parameter", "unsupported_content"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with open_house(tmp_path_factory.mktemp("house")) as opened:
        yield opened


def said(*parts: dict[str, Any], role: str = "user") -> dict[str, Any]:
    """A body with one message of these content parts."""
    asked = [] if role == "user" else [{"role": "user", "content": "hi"}]
    return {"messages": [*asked, {"role": role, "content": list(parts)}]}


def history(*behind: dict[str, Any], calls: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A body with a question, the calls that it led to, and what came behind them."""
    return {"messages": [USER, {"role": "assistant", "content": None, "tool_calls": calls or [CALLED]}, *behind]}


def file(**fields: Any) -> dict[str, Any]:
    return said({"type": "file", "file": fields})


def data_url(data: bytes, media_type: str = "text/plain") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


ROWS: dict[str, tuple[dict[str, Any], str, str]] = {
    # body
    "model-missing": ({"model": None}, INVALID, "model"),
    "model-empty": ({"model": ""}, INVALID, "model"),
    "model-no-text": ({"model": 5}, INVALID, "model"),
    "messages-missing": ({"messages": None}, INVALID, "messages"),
    "messages-empty": ({"messages": []}, INVALID, "messages"),
    "messages-no-list": ({"messages": "hi"}, INVALID, "messages"),
    "message-no-object": ({"messages": ["hi"]}, INVALID, "messages.0"),
    "no-user-message": ({"messages": [{"role": "assistant", "content": "only"}]}, INVALID, "messages"),
    "role-unknown": ({"messages": [{"role": "wizard", "content": "hi"}]}, INVALID, "messages.0.role"),
    "content-missing": ({"messages": [{"role": "user"}]}, INVALID, "messages.0.content"),
    "content-number": ({"messages": [{"role": "user", "content": 5}]}, INVALID, "messages.0.content"),
    # content parts
    "part-unknown": (said({"type": "video"}), CONTENT, "messages.0.content.0.type"),
    "part-audio": (said({"type": "input_audio", "input_audio": {}}), CONTENT, "messages.0.content.0.type"),
    "part-text-no-text": (said({"type": "text", "text": 1}), INVALID, "messages.0.content.0.text"),
    "part-image-of-system": (
        said({"type": "image_url", "image_url": {"url": PIXEL}}, role="system"), CONTENT, "messages.1.content.0.type"
    ),
    "part-file-of-assistant": (
        said({"type": "file", "file": {"file_id": "x"}}, role="assistant"), CONTENT, "messages.1.content.0.type"
    ),
    "image-by-address": (
        said({"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/x.png"}}), INVALID,
        "messages.0.content.0.image_url",
    ),
    "image-of-unknown-kind": (
        said({"type": "image_url", "image_url": {"url": "data:image/tiff;base64,AAAA"}}), INVALID,
        "messages.0.content.0.image_url",
    ),
    "image-no-base64": (
        said({"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}}), INVALID,
        "messages.0.content.0.image_url",
    ),
    "image-without-url": (said({"type": "image_url"}), INVALID, "messages.0.content.0.image_url"),
    "image-to-a-model-that-sees-none": (
        said({"type": "image_url", "image_url": {"url": PIXEL}}), CONTENT, "messages.0.content"
    ),
    "file-nothing": (file(), INVALID, "messages.0.content.0.file"),
    "file-twice": (file(file_id="x", file_data="QQ=="), INVALID, "messages.0.content.0.file"),
    "file-no-base64": (
        file(file_data="data:text/plain;base64,%%", filename="a.txt"), INVALID, "messages.0.content.0.file.file_data"
    ),
    "file-to-a-model-that-reads-none": (
        file(file_data=data_url(b"x"), filename="a.txt"), CONTENT, "messages.0.content.0.file"
    ),
    # history of calls
    "calls-of-a-user": (
        {"messages": [{"role": "user", "content": "x", "tool_calls": [CALLED]}]}, INVALID, "messages.0.tool_calls"
    ),
    "result-without-id": (
        {"messages": [{"role": "user", "content": "x"}, {"role": "tool", "content": "y"}]}, INVALID,
        "messages.1.tool_call_id",
    ),
    "result-of-no-function": (
        {"messages": [{"role": "user", "content": "x"}, {"role": "function", "name": "f", "content": "y"}]}, INVALID,
        "messages.1.name",
    ),
    "result-of-no-call": (
        {"messages": [{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "c1", "content": "y"}]},
        INVALID, "messages.1.tool_call_id",
    ),
    "result-of-another-call": (
        history({"role": "tool", "tool_call_id": "c2", "content": "y"}), INVALID, "messages.2.tool_call_id"
    ),
    "result-behind-the-next-turn": (history(DONE, USER, DONE), INVALID, "messages.4.tool_call_id"),
    "call-without-result": (history(), INVALID, "messages.1.tool_calls"),
    "call-without-result-before-the-next-turn": (history(USER, DONE), INVALID, "messages.1.tool_calls"),
    "second-call-without-result": (
        history(DONE, calls=[CALLED, {**CALLED, "id": "c2"}]), INVALID, "messages.1.tool_calls"
    ),
    # sampling
    "temperature-high": ({"temperature": 3}, INVALID, "temperature"),
    "temperature-text": ({"temperature": "hot"}, INVALID, "temperature"),
    "top_p": ({"top_p": 1.5}, INVALID, "top_p"),
    "presence_penalty": ({"presence_penalty": -3}, INVALID, "presence_penalty"),
    "frequency_penalty": ({"frequency_penalty": 2.5}, INVALID, "frequency_penalty"),
    "max_tokens": ({"max_tokens": 0}, INVALID, "max_tokens"),
    "max_completion_tokens": ({"max_completion_tokens": -1}, INVALID, "max_completion_tokens"),
    "stop-five": ({"stop": ["a"] * 5}, INVALID, "stop"),
    "stop-number": ({"stop": 7}, INVALID, "stop"),
    "seed": ({"seed": 2**63}, INVALID, "seed"),
    "logit_bias": ({"logit_bias": {"1": 5}}, UNSUPPORTED, "logit_bias"),
    "n-nought": ({"n": 0}, INVALID, "n"),
    "n-nine": ({"n": 9}, UNSUPPORTED, "n"),
    "n-too-many": ({"n": 129}, INVALID, "n"),
    "n-of-an-agent": ({"n": 2, "agent": "react"}, UNSUPPORTED, "n"),
    "logprobs-of-a-model-without": ({"logprobs": True}, UNSUPPORTED, "logprobs"),
    "logprobs-of-an-agent": ({"logprobs": True, "agent": "react"}, UNSUPPORTED, "logprobs"),
    "logprobs-with-a-form": ({"logprobs": True, "response_format": FORMAT}, UNSUPPORTED, "logprobs"),
    "top_logprobs-alone": ({"top_logprobs": 2}, INVALID, "top_logprobs"),
    "top_logprobs-many": ({"logprobs": True, "top_logprobs": 21}, INVALID, "top_logprobs"),
    "reasoning_effort": ({"reasoning_effort": "zzz"}, INVALID, "reasoning_effort"),
    "verbosity": ({"verbosity": "loud"}, INVALID, "verbosity"),
    # tools
    "tool-custom": ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, UNSUPPORTED, "tools.0.type"),
    "tool-without-function": ({"tools": [{"type": "function"}]}, UNSUPPORTED, "tools.0.type"),
    "tool-name": (
        {"tools": [{"type": "function", "function": {"name": "bad name!"}}]}, INVALID, "tools.0.function.name"
    ),
    "tool-name-twice": ({"tools": [FUNCTION, FUNCTION]}, INVALID, "tools.1.function.name"),
    "tool_choice-without-tools": ({"tool_choice": "required"}, INVALID, "tool_choice"),
    "tool_choice-named-without-tools": (
        {"tool_choice": {"type": "function", "function": {"name": "f"}}}, INVALID, "tool_choice"
    ),
    "tool_choice-unknown-word": ({"tools": [FUNCTION], "tool_choice": "maybe"}, INVALID, "tool_choice"),
    "tool_choice-custom": (
        {"tools": [FUNCTION], "tool_choice": {"type": "custom", "custom": {"name": "f"}}}, INVALID, "tool_choice"
    ),
    "tool_choice-of-no-tool": (
        {"tools": [FUNCTION], "tool_choice": {"type": "function", "function": {"name": "g"}}}, INVALID, "tool_choice"
    ),
    "tool_choice-of-an-agent": (
        {"tools": [FUNCTION], "tool_choice": "required", "agent": "react"}, UNSUPPORTED, "tool_choice"
    ),
    "allowed_tools-empty": (
        {"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}},
        INVALID, "tool_choice.allowed_tools",
    ),
    "allowed_tools-of-no-tool": (
        {
            "tools": [FUNCTION],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "g"}}]},
            },
        },
        INVALID, "tool_choice.allowed_tools",
    ),
    "functions-name-twice": ({"functions": [{"name": "f"}, {"name": "f"}]}, INVALID, "functions.1.name"),
    "functions-and-tools": ({"functions": [{"name": "f"}], "tools": [FUNCTION]}, INVALID, "functions"),
    "function_call-of-none": (
        {"functions": [{"name": "f"}], "function_call": {"name": "g"}}, INVALID, "function_call"
    ),
    "function_call-unknown-word": (
        {"functions": [{"name": "f"}], "function_call": "required"}, INVALID, "function_call"
    ),
    "function_call-without-functions": ({"function_call": {"name": "f"}}, INVALID, "function_call"),
    # the form of the answer
    "response_format-type": ({"response_format": {"type": "xml"}}, INVALID, "response_format.type"),
    "response_format-no-schema": (
        {"response_format": {"type": "json_schema"}}, INVALID, "response_format.json_schema.schema"
    ),
    "response_format-of-the-built-in-agent": (
        {"response_format": FORMAT, "agent": "react"}, UNSUPPORTED, "response_format"
    ),
    "modalities-audio": ({"modalities": ["text", "audio"]}, UNSUPPORTED, "modalities"),
    "modalities-without-text": ({"modalities": ["image"]}, UNSUPPORTED, "modalities"),
    "stream-no-truth-value": ({"stream": "perhaps"}, INVALID, "stream"),
    # what is kept
    "metadata-no-object": ({"metadata": "x"}, INVALID, "metadata"),
    "metadata-many": ({"metadata": {str(n): "x" for n in range(17)}}, INVALID, "metadata"),
    "metadata-long-key": ({"metadata": {"k" * 65: "x"}}, INVALID, "metadata"),
    "metadata-long-value": ({"metadata": {"k": "x" * 513}}, INVALID, "metadata.k"),
    "metadata-number": ({"metadata": {"k": 1}}, INVALID, "metadata.k"),
    # ours
    "agent-unknown": ({"agent": "wizard"}, INVALID, "agent"),
    "tool-unknown": ({"agent": "react", "enabled_tools": ["nope"]}, INVALID, "enabled_tools"),
    "web-search-of-a-plain-completion": (
        {"agent": "chat", "web_search_options": {}}, UNSUPPORTED, "web_search_options"
    ),
    "web-search-switched-off": (
        {"web_search_options": {}, "disabled_tools": ["web_search"]}, UNSUPPORTED, "web_search_options"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "code", "param"), ROWS.values(), ids=ROWS)
async def test_bad_requests_are_400_and_name_the_field(
    house: House, change: dict[str, Any], code: str, param: str
) -> None:
    answer = await house.client.post(CHAT, json={**GOOD, "stream": True, **change})
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (answer.status_code, error["type"], error["code"], error["param"]) == (
        400, "invalid_request_error", code, param,
    ), error  # fmt: skip
    assert error["message"].endswith((".", "!")) and answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param(history(DONE), id="answered"),
        pytest.param(history(DONE, DONE), id="answered-twice"),
        pytest.param(history(DONE, USER), id="went-on"),
        pytest.param(
            history({**DONE, "tool_call_id": "c2"}, DONE, calls=[CALLED, {**CALLED, "id": "c2"}]), id="in-any-order"
        ),
        pytest.param(
            {"messages": [USER, {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}, USER]},
            id="older-form",
        ),
    ],
)
async def test_whole_histories_of_calls_are_taken(house: House, messages: dict[str, Any]) -> None:
    answer = await house.client.post(CHAT, json={**GOOD, "agent": "chat", **messages})
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        pytest.param({"model": "nope"}, "model_not_found", "model", id="model"),
        pytest.param(
            file(file_id="file-nope") | {"agent": "react"}, "not_found", "messages.0.content.0.file.file_id", id="file"
        ),
        pytest.param({"session_id": "nope"}, "not_found", None, id="session"),
    ],
)
async def test_what_is_not_there_is_404(house: House, change: dict[str, Any], code: str, param: str | None) -> None:
    answer = await house.client.post(CHAT, json={**GOOD, "stream": True, **change})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"], error["param"]) == (
        404, "invalid_request_error", code, param,
    ), error  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "status", "code"),
    [
        pytest.param(b"", 400, "invalid_json", id="empty"),
        pytest.param(b"{", 400, "invalid_json", id="cut"),
        pytest.param(b"[]", 400, "invalid_json", id="list"),
        pytest.param(b'{"a":' * 100 + b"1" + b"}" * 100, 400, "invalid_json", id="deep"),
        pytest.param(json.dumps({**GOOD, "x": "y" * 1_100_000}).encode(), 413, "too_large", id="large"),
    ],
)
async def test_bodies_that_cannot_be_read(house: House, raw: bytes, status: int, code: str) -> None:
    answer = await house.client.post(CHAT, content=raw)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"], error["param"]) == (
        status, "invalid_request_error", code, None,
    )  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"tools": [5] * 300_000}, id="tools"),
        pytest.param({"messages": [{"role": "user", "content": [5] * 300_000}]}, id="parts"),
        pytest.param({"messages": [{"role": "x"}] * 4000}, id="messages"),
        pytest.param({"logit_bias": {str(n): "x" for n in range(50_000)}}, id="logit_bias"),
    ],
)
async def test_flow_5_a_body_full_of_mistakes_is_refused_at_its_first(house: House, change: dict[str, Any]) -> None:
    body = json.dumps({**GOOD, **change}).encode()
    began = time.process_time()
    answer = await house.client.post(CHAT, content=body)
    assert answer.status_code == 400
    # To tell of every one of them takes seconds, in which nobody else is served.
    assert time.process_time() - began < 1.0


async def test_no_key_and_a_wrong_key_are_401(house: House) -> None:
    for headers in ({}, {"authorization": "Bearer sk-wrong"}, {"authorization": "Basic x"}):
        answer = await house.stranger.post(CHAT, json=GOOD, headers=headers)
        error = answer.json()["error"]
        assert (answer.status_code, error["type"], error["code"], error["param"]) == (
            401, "invalid_request_error", "invalid_api_key", None,
        )  # fmt: skip


async def test_other_methods_are_405(house: House) -> None:
    answer = await house.client.put(CHAT, json=GOOD)
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")


NULLS = [
    "stream", "stream_options", "temperature", "top_p", "presence_penalty", "frequency_penalty", "max_tokens",
    "max_completion_tokens", "n", "stop", "seed", "logprobs", "top_logprobs", "response_format", "tools", "tool_choice",
    "parallel_tool_calls", "modalities", "reasoning_effort", "functions", "function_call", "logit_bias", "verbosity",
    "service_tier", "web_search_options", "metadata", "store", "audio", "prediction", "user", "safety_identifier",
    "prompt_cache_key", "prompt_cache_retention", "moderation", "agent", "session_id", "budget",
]  # fmt: skip
FOREIGN: dict[str, Any] = {
    "top_k": 5, "min_p": 0.1, "typical_p": 1, "repeat_penalty": 1.1, "repetition_penalty": 1.1, "num_ctx": 1,
    "num_predict": 2, "keep_alive": "5m", "options": {"x": 1}, "think": True, "format": "json",
    "chat_template_kwargs": {}, "enable_thinking": False, "guided_json": {}, "cache_prompt": True, "chat_id": "x",
    "conversation_id": "x", "extra_body": {}, "extra_headers": {}, "provider": {}, "transforms": [], "usage": True,
    "reasoning": {"effort": "low"}, "prediction": {"type": "content", "content": "x"}, "audio": {"voice": "x"},
    "service_tier": "flex", "user": "me", "safety_identifier": "s", "prompt_cache_key": "k",
    "prompt_cache_retention": "24h", "prompt_cache_options": {}, "moderation": {}, "modalities": ["text"],
    "stream_options": {"include_obfuscation": True}, "verbosity": "low", "stop": "", "n": 1, "logprobs": False,
    "top_logprobs": 0, "tool_choice": "none", "parallel_tool_calls": True, "logit_bias": {},
}  # fmt: skip


async def test_nulls_and_foreign_fields_are_accepted(house: House) -> None:
    for extra in (dict.fromkeys(NULLS), FOREIGN):
        answer = await house.client.post(CHAT, json={**GOOD, **extra})
        assert answer.status_code == 200, answer.text
        done = answer.json()
        assert done["service_tier"] == "default" and done["system_fingerprint"].startswith("fp_")
