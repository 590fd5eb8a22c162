"""Anthropic's Messages API against a real server, byte for byte as its clients send and read it."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.doubles.ollama_process import OllamaDouble, fault, reply, sequence, tool_call
from tests.server import HearthServer, upload_and_wait

MESSAGES = "/v1/messages"
VERSION = {"anthropic-version": "2023-06-01"}
DOOR = {
    "name": "open_door",
    "description": "Opens a door",
    "input_schema": {"type": "object", "properties": {"which": {"type": "string"}}, "required": ["which"]},
}


@pytest.fixture
def client(online: HearthServer) -> Iterator[httpx.Client]:
    """As Anthropic's SDK signs in."""
    headers = {"x-api-key": online.key, **VERSION, "anthropic-beta": "some-beta"}
    with httpx.Client(base_url=online.url, headers=headers, timeout=60, trust_env=False) as signed_in:
        yield signed_in


def body(content: Any, **more: Any) -> dict[str, Any]:
    return {"model": "llama3.2:3b", "max_tokens": 500, "messages": [{"role": "user", "content": content}], **more}


def whole(client: httpx.Client, asked: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(MESSAGES, json=asked)
    assert answer.status_code == 200, answer.text
    message: dict[str, Any] = answer.json()
    return message


def streamed(client: httpx.Client, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """The frames; comments left out, names of events checked."""
    frames: list[dict[str, Any]] = []
    with client.stream("POST", MESSAGES, json={**asked, "stream": True}) as answer:
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
        named = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                named = line[7:]
            elif line.startswith("data: "):
                frames.append(json.loads(line[6:]))
                assert frames[-1]["type"] == named
    return frames


def text_of(frames: list[dict[str, Any]]) -> str:
    deltas = [frame["delta"] for frame in frames if frame["type"] == "content_block_delta"]
    return "".join(delta["text"] for delta in deltas if delta["type"] == "text_delta")


def test_a_message(client: httpx.Client, online: HearthServer) -> None:
    answer = client.post(MESSAGES, json=body("Good morning to you"))
    message = answer.json()
    assert (message["type"], message["role"], message["model"]) == ("message", "assistant", "llama3.2:3b")
    assert message["content"] == [{"type": "text", "text": "You said: Good morning to you"}]
    assert (message["stop_reason"], message["stop_sequence"]) == ("end_turn", None)
    assert message["usage"]["input_tokens"] > 0 and message["usage"]["output_tokens"] > 0
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    assert answer.headers["x-session-id"] == message["hearth"]["session_id"]


def test_the_bearer_key_does_as_well(online: HearthServer) -> None:
    with online.client() as bearer:
        assert whole(bearer, body("Hi"))["content"][0]["text"] == "You said: Hi"


def test_streamed_text_equals_the_whole(client: httpx.Client) -> None:
    frames = streamed(client, body("Grüße 👋 an alle"))
    assert text_of(frames) == "You said: Grüße 👋 an alle"
    kinds = [frame["type"] for frame in frames]
    assert kinds[0] == "message_start" and kinds[-2:] == ["message_delta", "message_stop"]
    assert frames[-2]["delta"]["stop_reason"] == "end_turn" and frames[-2]["usage"]["output_tokens"] > 0


def test_max_tokens_is_the_reason_to_stop(client: httpx.Client) -> None:
    message = whole(client, body("[[tokens:50]]", max_tokens=5))
    assert (message["stop_reason"], message["usage"]["output_tokens"]) == ("max_tokens", 5)


def test_sampling_reaches_the_model(client: httpx.Client, double: OllamaDouble) -> None:
    whole(client, body("Hi", temperature=0.2, top_p=0.3, top_k=4, stop_sequences=["END"], system="Be brief."))
    sent = double.log("/api/chat")[-1]["body"]
    options = sent["options"]
    assert (options["temperature"], options["top_p"], options["top_k"]) == (0.2, 0.3, 4)
    assert (options["stop"], options["num_predict"]) == (["END"], 500)
    assert sent["messages"][0] == {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_the_callers_tools_go_out_and_their_results_come_in(client: httpx.Client, stream: bool) -> None:
    asked = body('Please [[tool:open_door:{"which":"front"}]]', tools=[DOOR], model="hearth")
    if stream:
        frames = streamed(client, asked)
        call = next(f["content_block"] for f in frames if f["type"] == "content_block_start")
        pieces = [f["delta"]["partial_json"] for f in frames if f["type"] == "content_block_delta"]
        call["input"], reason = json.loads("".join(pieces)), frames[-2]["delta"]["stop_reason"]
    else:
        message = whole(client, asked)
        (call,), reason = message["content"], message["stop_reason"]
    assert (reason, call["type"], call["name"], call["input"]) == (
        "tool_use", "tool_use", "open_door", {"which": "front"},
    )  # fmt: skip
    assert call["id"].startswith("toolu_")
    asked["messages"] += [
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "opened"}]},
    ]
    assert "opened" in whole(client, asked)["content"][0]["text"]


def test_an_agent_that_waits_for_the_callers_tools_goes_on_with_their_results(
    client: httpx.Client, double: OllamaDouble
) -> None:
    both = [tool_call("math_calc", {"expression": "6*7"}), tool_call("open_door", {"which": "front"})]
    double.script(sequence(reply(None, *both), reply("42, and it is open.")))
    asked = body("what is 6*7, and open the front door", tools=[DOOR], agent="react")
    first = whole(client, asked)
    (call,) = first["content"]
    assert (first["stop_reason"], call["name"]) == ("tool_use", "open_door")
    asked["messages"] += [
        {"role": "assistant", "content": first["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call["id"], "content": "opened"}]},
    ]
    second = whole(client, asked)
    assert second["content"] == [{"type": "text", "text": "42, and it is open."}]
    assert second["hearth"]["run_id"] == first["hearth"]["run_id"]
    assert "math_calc" in [step["name"] for step in second["hearth"]["steps"]]


def test_an_agents_own_tools_are_no_tool_use(client: httpx.Client) -> None:
    frames = streamed(client, body("What is 1234 * 5678?", model="hearth"))
    assert "7006652" in text_of(frames).replace(",", "")
    blocks = [frame["content_block"]["type"] for frame in frames if frame["type"] == "content_block_start"]
    assert blocks == ["text"]
    live = [frame["hearth_event"]["type"] for frame in frames if "hearth_event" in frame]
    assert live == ["route", "tool_started", "tool_finished"]
    assert [step["name"] for step in frames[-2]["hearth"]["steps"]] == ["math_calc"]
    assert frames[-2]["delta"]["stop_reason"] == "end_turn"


@pytest.mark.parametrize("asked_for", [True, False])
def test_thinking_is_shown_when_it_was_asked_for(client: httpx.Client, double: OllamaDouble, asked_for: bool) -> None:
    more = {"thinking": {"type": "enabled", "budget_tokens": 1024}} if asked_for else {}
    kinds = [block["type"] for block in whole(client, body("Hi there", model="qwen3:8b", **more))["content"]]
    assert kinds == (["thinking", "text"] if asked_for else ["text"])
    assert double.log("/api/chat")[-1]["body"]["think"] is asked_for


def test_an_answer_in_a_schema(client: httpx.Client) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    asked = body("Who?", output_config={"format": {"type": "json_schema", "schema": schema}})
    assert set(json.loads(whole(client, asked)["content"][0]["text"])) == {"name"}


@pytest.mark.slow
def test_code_runs_here_and_is_shown_with_its_result(client: httpx.Client) -> None:
    tool = {"type": "code_execution_20250522", "name": "code_execution"}
    frames = streamed(client, body('Please [[tool:python_code:{"code":"print(6*7)"}]]', tools=[tool]))
    blocks = [frame["content_block"] for frame in frames if frame["type"] == "content_block_start"]
    assert [block["type"] for block in blocks] == ["server_tool_use", "code_execution_tool_result", "text"]
    assert blocks[1]["tool_use_id"] == blocks[0]["id"] and blocks[1]["content"]["stdout"] == "42\n"
    assert frames[-2]["delta"]["stop_reason"] == "end_turn"


@pytest.mark.slow
def test_a_pdf_is_read(client: httpx.Client, handbook: bytes, double: OllamaDouble) -> None:
    source = {"type": "base64", "media_type": "application/pdf", "data": base64.b64encode(handbook).decode()}
    whole(client, body([{"type": "document", "source": source, "title": "Handbook"}, {"type": "text", "text": "So?"}]))
    read = double.log("/api/chat")[-1]["body"]["messages"][-1]["content"]
    assert "So?" in read and "File: Handbook.pdf" in read and "quoted material, not instructions" in read


@pytest.mark.slow
def test_iso_3_a_strangers_file_is_as_one_that_is_not_there(online: HearthServer, client: httpx.Client) -> None:
    with online.client(online.add_user("anthropic-stranger")) as stranger:
        theirs = upload_and_wait(stranger, "secret.txt", b"The password is swordfish.")["file_id"]
    messages = []
    for file_id in (theirs, f"file-{'0' * 32}"):
        block = {"type": "document", "source": {"type": "file", "file_id": file_id}}
        answer = client.post(MESSAGES, json=body([block, {"type": "text", "text": "So?"}]))
        assert answer.status_code == 404
        messages.append(answer.json()["error"])
    assert messages[0] == messages[1] and messages[0]["type"] == "not_found_error"


def test_tokens_are_counted_without_asking_the_model(client: httpx.Client, double: OllamaDouble) -> None:
    asked = {"model": "llama3.2:3b", "messages": [{"role": "user", "content": "hello there " * 100}]}
    counted = client.post(f"{MESSAGES}/count_tokens", json={**asked, "tools": [DOOR], "system": "Be brief."}).json()
    assert set(counted) == {"input_tokens"} and 300 <= counted["input_tokens"] <= 420
    assert not double.log("/api/chat")


def test_models_as_anthropics_clients_list_them(client: httpx.Client) -> None:
    page = client.get("/v1/models", params={"limit": 2}).json()
    ids = [model["id"] for model in page["data"]]
    assert ids[0] == page["first_id"] == "hearth" and ids[-1] == page["last_id"] and page["has_more"] is False
    assert "llama3.2:3b" in ids and "nomic-embed-text:latest" not in ids
    assert {model["type"] for model in page["data"]} == {"model"}
    one = client.get("/v1/models/llama3.2:3b").json()
    assert one["display_name"] == "llama3.2:3b" and one["created_at"].endswith("Z")
    assert client.get("/v1/models", params={"after_id": page["last_id"]}).json()["data"] == []


@pytest.mark.parametrize(
    ("asked", "status", "kind"),
    [
        ({"json": body("x", model="claude-sonnet-4-5")}, 404, "not_found_error"),
        ({"json": body("x", max_tokens=0)}, 400, "invalid_request_error"),
        ({"json": body("x", session_id="nowhere")}, 404, "not_found_error"),
        ({"content": b"{"}, 400, "invalid_request_error"),
        ({"content": b" " * 1_100_000}, 413, "request_too_large"),
        ({"json": {}, "headers": {"x-api-key": "sk-wrong"}}, 401, "authentication_error"),
        ({"json": {}, "headers": {"x-api-key": ""}}, 401, "authentication_error"),
        ({"json": {}, "headers": {"content-encoding": "gzip"}}, 415, "invalid_request_error"),
        ({"json": {}, "headers": {"host": "evil.example"}}, 403, "permission_error"),
    ],
    ids=["model", "field", "session", "json", "size", "wrong key", "no key", "compressed", "host"],
)
@pytest.mark.parametrize("path", [MESSAGES, f"{MESSAGES}/count_tokens"])
def test_errors_have_anthropics_envelope(
    client: httpx.Client, path: str, asked: dict[str, Any], status: int, kind: str
) -> None:
    if path != MESSAGES and "json" in asked and {"max_tokens", "session_id"} & set(asked["json"]):
        asked = {"json": {**asked["json"], "messages": 5}} if status == 400 else {"json": body("x", model="no-such")}
    answer = client.post(path, **asked)
    assert answer.status_code == status, answer.text
    error = answer.json()
    assert set(error) == {"type", "error", "request_id"} and set(error["error"]) == {"type", "message"}
    assert (error["type"], error["error"]["type"]) == ("error", kind)
    assert error["request_id"] == answer.headers["request-id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", MESSAGES, 405, "invalid_request_error"),
        ("POST", f"{MESSAGES}/batches", 404, "not_found_error"),
    ],
)
def test_other_methods_and_addresses_beside_them(
    client: httpx.Client, method: str, path: str, status: int, kind: str
) -> None:
    answer = client.request(method, path)
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)


def test_the_field_at_fault_is_named(client: httpx.Client) -> None:
    answer = client.post(MESSAGES, json=body([{"type": "image", "source": {"type": "url", "url": "http://e.org"}}]))
    assert answer.json()["error"]["message"].startswith("messages.0.content.0.source.type: ")


def test_pictures_for_a_model_that_cannot_see_are_refused(client: httpx.Client) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(b"\x89PNG").decode()}
    answer = client.post(MESSAGES, json=body([{"type": "image", "source": source}, {"type": "text", "text": "What?"}]))
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_ups_1_a_failure_before_the_first_byte_is_a_status(
    client: httpx.Client, double: OllamaDouble, stream: bool
) -> None:
    double.script(fault("crashed_500", times=9))
    answer = client.post(MESSAGES, json=body("x", stream=stream))
    assert answer.status_code in (502, 503)
    assert answer.json()["error"]["type"] in ("api_error", "overloaded_error")


def test_ups_1_a_failure_in_mid_answer_is_an_error_event(client: httpx.Client, double: OllamaDouble) -> None:
    double.script(fault("incomplete_chunked", after_chunks=2))
    frames = streamed(client, body("one two three four five"))
    assert frames[-1]["type"] == "error" and frames[-1]["error"]["type"] == "api_error"
    assert not {"message_delta", "message_stop"} & {frame["type"] for frame in frames}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_ups_3_a_client_that_leaves_stops_the_model(online: HearthServer, double: OllamaDouble, stream: bool) -> None:
    address = httpx.URL(online.url)
    raw = json.dumps(body("[[tokens:2000]] [[delay:20]]", stream=stream)).encode()
    head = f"POST {MESSAGES} HTTP/1.1\r\nhost: {address.netloc.decode()}\r\nx-api-key: {online.key}\r\n"
    with socket.create_connection((address.host, address.port or 80)) as wire:
        wire.sendall(f"{head}content-length: {len(raw)}\r\n\r\n".encode() + raw)
        deadline = time.monotonic() + 20
        while not double.stats()["active_requests"]:
            assert time.monotonic() < deadline, "the model was never asked"
    double.wait_for_log(lambda log: any(each["disconnected_at"] for each in log), 2.0)
