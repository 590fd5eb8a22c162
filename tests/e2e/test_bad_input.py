"""Everything a client can get wrong, and every way the model's server can fail: a clear error, nothing lost."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.doubles.ollama_process import OllamaDouble, fault, reply
from tests.server import HearthServer

CHAT = "/v1/chat/completions"
GOOD: dict[str, Any] = {"model": "hearth", "messages": [{"role": "user", "content": "hello there"}]}


@pytest.fixture
def client(online: HearthServer) -> Iterator[httpx.Client]:
    with online.client() as signed_in:
        yield signed_in


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"]
    assert "Traceback" not in answer.text and "/work" not in answer.text and "127.0.0.1" not in error["message"]
    return error


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe", b'{"model": NaN}', b'{"model":"\\ud83d"}', b"[" * 100_000,
     b'{"a":' * 5000 + b"1" + b"}" * 5000],
    ids=["empty", "cut", "list", "null", "string", "bytes", "nan", "surrogate", "deep-list", "deep-object"],
)  # fmt: skip
def test_flow_5_malformed_json_is_400(client: httpx.Client, raw: bytes) -> None:
    answer = client.post(CHAT, content=raw)
    assert answer.status_code == 400
    assert error_of(answer)["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 5}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "wizard", "content": "hi"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "assistant", "content": "only"}]}, "messages"),
        ({"functions": [{"name": "f"}, {"name": "f"}]}, "functions.1.name"),
        ({"logit_bias": {"1": 5}}, "logit_bias"),
        ({"reasoning_effort": "zzz"}, "reasoning_effort"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages.0.content.0.type"),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "tool", "content": "y"}]}, "messages.1.tool_call_id"),
        ({"temperature": 3}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 9}, "n"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"tools": [{"type": "function", "function": {"name": "bad name!"}}]}, "tools.0.function.name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
        ({"agent": "wizard"}, "agent"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else None,
)
def test_wrong_types_name_the_field(client: httpx.Client, change: dict[str, Any], param: str) -> None:
    answer = client.post(CHAT, json={**GOOD, **change})
    assert answer.status_code == 400, answer.text
    assert error_of(answer)["param"] == param


def test_foreign_fields_and_nulls_are_tolerated(client: httpx.Client) -> None:
    body = {**GOOD, "top_k": 5, "num_ctx": 1, "options": {"x": 1}, "temperature": None, "tools": None, "stop": None,
            "stream_options": None, "user": "me", "keep_alive": "5m", "think": True}  # fmt: skip
    assert client.post(CHAT, json=body).status_code == 200


def test_up_1_prompt_of_two_megabytes_is_413(client: httpx.Client) -> None:
    answer = client.post(CHAT, json={**GOOD, "messages": [{"role": "user", "content": "word " * 400_000}]})
    assert answer.status_code == 413
    assert "MAX_BODY_KB" in error_of(answer)["message"]


def test_image_paths_and_addresses_are_never_opened(client: httpx.Client, double: OllamaDouble) -> None:
    for url in ("/etc/passwd", "file:///etc/passwd", "http://127.0.0.1:9/x.png"):
        content = [{"type": "text", "text": "what is this"}, {"type": "image_url", "image_url": {"url": url}}]
        answer = client.post(CHAT, json={"model": "llava:7b", "messages": [{"role": "user", "content": content}]})
        assert answer.status_code == 400
    assert not [entry for entry in double.log() if entry.get("path") == "/api/chat"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nope", 404), ("POST", "/v1/nope", 404), ("DELETE", "/nope", 404), ("PUT", CHAT, 405),
     ("GET", "/../etc/passwd", 404), ("GET", "/%2e%2e/backend/bootstrap.py", 404)],
)  # fmt: skip
def test_unknown_routes_and_methods_have_the_envelope(
    client: httpx.Client, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    assert answer.status_code == status
    assert error_of(answer)["code"] in ("unknown_url", "method_not_allowed")


@pytest.mark.parametrize("path", ["/", "/docs", "/health", "/v1/models", "/app.js"])
def test_head_is_answered_like_get_without_a_body(client: httpx.Client, path: str) -> None:
    answer = client.head(path)
    assert answer.status_code == 200 and answer.content == b""


def test_instructions_alone_are_answered(client: httpx.Client) -> None:
    answer = client.post(CHAT, json={"model": "hearth-chat", "messages": [{"role": "system", "content": "Say hello."}]})
    assert answer.status_code == 200 and "Say hello." in answer.text


def test_unknown_model_is_404_while_the_builtin_model_serves(offline: HearthServer) -> None:
    with offline.client() as client:
        assert client.post(CHAT, json={**GOOD, "model": "nope"}).status_code == 404
        assert client.post(CHAT, json={**GOOD, "model": "llama3.2:3b"}).status_code == 503


def test_cors_1_foreign_host_header_is_refused(client: httpx.Client) -> None:
    assert client.get("/health", headers={"host": "evil.example"}).status_code == 403


def test_oversized_headers_are_refused(client: httpx.Client) -> None:
    assert client.get("/health", headers={"x-big": "a" * 40_000}).status_code in (400, 431)


def test_ups_1_ollama_down_is_503_and_says_what_to_do(tmp_path: Any) -> None:
    with HearthServer(tmp_path, LLM_PROVIDER="ollama") as server, server.client() as client:
        answer = client.post(CHAT, json=GOOD)
        assert answer.status_code == 503
        assert "ollama serve" in error_of(answer)["message"]
        assert client.get("/health").json()["status"] == "degraded"
        assert client.get("/health/ready").status_code == 503
        streamed = client.post(CHAT, json={**GOOD, "stream": True})
        assert streamed.status_code == 503, "before the first byte a failure is an HTTP status"


def frames_of(answer: httpx.Response) -> list[str]:
    return [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]


@pytest.mark.parametrize("how", ["eof_without_done", "reset", "error_line"])
def test_ups_1_ollama_gone_in_mid_answer_is_an_error_frame_and_keeps_the_part(
    online: HearthServer, client: httpx.Client, double: OllamaDouble, how: str
) -> None:
    double.script(reply("one two three four five six", faults=fault(how, after_chunks=3)))
    answer = client.post(CHAT, json={**GOOD, "model": "hearth-chat", "stream": True})
    assert answer.status_code == 200
    frames = [json.loads(frame) for frame in frames_of(answer) if frame != "[DONE]"]
    assert "error" in frames[-1] and frames[-1]["error"]["message"]
    assert not [f for f in frames if f.get("choices") and f["choices"][0]["finish_reason"]], "no false finish"
    session = answer.headers["x-session-id"]
    stored = client.get(f"/api/conversations/{session}").json()["messages"]
    assert stored[-1]["role"] == "assistant" and stored[-1]["partial"] is True
    assert stored[-1]["content"].startswith("one")


def test_ups_1_not_streamed_failure_is_a_status(client: httpx.Client, double: OllamaDouble) -> None:
    double.script(reply("one two three four", faults=fault("eof_without_done", after_chunks=2)))
    answer = client.post(CHAT, json={**GOOD, "model": "hearth-chat"})
    assert answer.status_code == 502
    error_of(answer)


def test_ups_1_silent_ollama_is_504(client: httpx.Client, double: OllamaDouble) -> None:
    double.script(reply("never", faults=fault("stall", after_chunks="headers")))
    answer = client.post(CHAT, json={**GOOD, "model": "hearth-chat"})
    assert answer.status_code == 504


def wait_until(condition: Any, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.mark.parametrize("stream", [True, False])
def test_ups_3_client_gone_stops_ollama_within_a_second_and_keeps_the_part(
    online: HearthServer, double: OllamaDouble, stream: bool
) -> None:
    body = json.dumps({
        "model": "hearth-chat", "stream": stream,
        "messages": [{"role": "user", "content": "slow please [[tokens:500]] [[delay:50]]"}],
    }).encode()  # fmt: skip
    host, port = online.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            + f"Authorization: Bearer {online.key}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        wait_until(lambda: double.stats()["active_requests"] > 0, 5, "the double never got the request")
        if stream:
            assert b"200 OK" in raw.recv(4096)
        time.sleep(0.4)
    gone = time.monotonic()
    chat = [entry for entry in double.log() if entry["path"] == "/api/chat"]
    wait_until(
        lambda: [e for e in double.log() if e["path"] == "/api/chat"][-1].get("disconnected_at"), 1.0,
        "the upstream connection was still open a second after the client left",
    )  # fmt: skip
    assert time.monotonic() - gone < 1.0 and chat
    with online.client() as client:
        wait_until(lambda: client.get("/api/conversations").json()["total"] > 0, 2, "nothing was stored")
        newest = client.get("/api/conversations").json()["conversations"][0]["session_id"]
        wait_until(
            lambda: client.get(f"/api/conversations/{newest}").json()["messages"][-1].get("partial"), 2, "no partial"
        )


def test_agent_run_stops_when_the_client_leaves(online: HearthServer, double: OllamaDouble) -> None:
    with (
        online.client() as client,
        client.stream(
            "POST", CHAT, json={**GOOD, "model": "hearth-react", "stream": True,
                                "messages": [{"role": "user", "content": "[[tokens:500]] [[delay:50]]"}]},
        ) as answer,
    ):  # fmt: skip
        next(answer.iter_bytes())
    wait_until(
        lambda: [e for e in double.log() if e["path"] == "/api/chat"][-1].get("disconnected_at"), 1.5, "still open"
    )


def test_mid_stream_error_raises_in_the_sdk(online: HearthServer, double: OllamaDouble) -> None:
    double.script(reply("one two three four", faults=fault("error_line", after_chunks=2)))
    with (
        openai.OpenAI(base_url=f"{online.url}/v1", api_key=online.key, max_retries=0) as sdk,
        pytest.raises(openai.APIError),
    ):
        for _ in sdk.chat.completions.create(
            model="hearth-chat", messages=[{"role": "user", "content": "hi"}], stream=True
        ):
            pass


def test_many_streams_at_once_all_arrive_whole(online: HearthServer) -> None:
    results: list[str] = []

    def one(n: int) -> None:
        with online.client() as client:
            body = {"model": "hearth-chat", "messages": [{"role": "user", "content": f"number {n} ok"}], "store": False}
            results.append(client.post(CHAT, json=body).json()["choices"][0]["message"]["content"])

    threads = [threading.Thread(target=one, args=(n,)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 20 and all(any(f"number {n} ok" in text for text in results) for n in range(20))
