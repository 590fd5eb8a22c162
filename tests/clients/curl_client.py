"""curl: what a person types. Every call is the plain command."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

from checks import (
    AGENT_MODEL,
    BASE_URL,
    BROKEN_QUESTION,
    CHAT_MODEL,
    DOCUMENT,
    DOCUMENT_FACT,
    DOCUMENT_QUESTION,
    EMBEDDING_MODEL,
    EMBEDDING_SIZE,
    GREETING,
    KEY,
    NO_MODEL,
    OFFLINE_BASE_URL,
    OFFLINE_KEY,
    PERSON_QUESTION,
    PRODUCT,
    PRODUCT_QUESTION,
    RED_DOT,
    SLOW_GREETING,
    VISION_MODEL,
    WEATHER_QUESTION,
    WEATHER_REPORT,
    WRONG_KEY,
    Client,
    joined,
    plain,
)

RELEASE = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout.split()[1]
row = Client("curl", "curl", release=RELEASE)
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def curl(path: str, *arguments: str, base: str = BASE_URL, key: str = KEY) -> tuple[int, str]:
    """Status and body."""
    command = ["curl", "-sS", "--max-time", "60", "-H", f"Authorization: Bearer {key}", "-w", "\n%{http_code}"]
    ended = subprocess.run([*command, *arguments, base + path], capture_output=True, text=True, check=True)
    body, _, status = ended.stdout.rpartition("\n")
    return int(status), body


def send(path: str, body: dict[str, Any], *arguments: str, **where: str) -> tuple[int, Any]:
    status, answer = curl(path, "-H", "Content-Type: application/json", "-d", json.dumps(body), *arguments, **where)
    return status, answer if body.get("stream") else json.loads(answer)


def good(path: str, body: dict[str, Any], **where: str) -> Any:
    status, answer = send(path, body, **where)
    assert status == 200, (status, answer)
    return answer


def read(path: str, *arguments: str) -> Any:
    status, answer = curl(path, *arguments)
    assert status == 200, (status, answer)
    return json.loads(answer)


def chat_body(content: Any, model: str = CHAT_MODEL, **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": content}], **fields}


def frames(text: str) -> list[dict[str, Any]]:
    """The data of a chat stream, which ends with [DONE] and names no events."""
    lines = [line for line in text.splitlines() if line and not line.startswith(":")]
    assert lines[-1] == "data: [DONE]" and all(line.startswith("data: ") for line in lines), lines
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


@row.check("models")
def models() -> None:
    assert CHAT_MODEL in [model["id"] for model in read("/models")["data"]]
    assert read(f"/models/{CHAT_MODEL}")["object"] == "model"


@row.check("chat")
def chat() -> None:
    assert GREETING in good("/chat/completions", chat_body(GREETING))["choices"][0]["message"]["content"]


@row.check("stream")
def stream() -> None:
    parts = frames(good("/chat/completions", chat_body(SLOW_GREETING, stream=True)))
    assert SLOW_GREETING in joined(part["choices"][0]["delta"].get("content") for part in parts)
    assert parts[-1]["choices"][0]["finish_reason"] == "stop" and len({part["id"] for part in parts}) == 1


@row.check("tools")
def tools() -> None:
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}
    body = chat_body(WEATHER_QUESTION, tools=[tool])
    message = good("/chat/completions", body)["choices"][0]["message"]
    (call,) = message["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"city": "Paris"}
    body["messages"] += [message, {"role": "tool", "tool_call_id": call["id"], "content": WEATHER_REPORT}]
    assert WEATHER_REPORT in good("/chat/completions", body)["choices"][0]["message"]["content"]


@row.check("structured")
def structured() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": PERSON, "strict": True}}
    done = good("/chat/completions", chat_body(PERSON_QUESTION, response_format=form))
    assert json.loads(done["choices"][0]["message"]["content"])["age"] == 36


@row.check("images")
def images() -> None:
    parts = [{"type": "text", "text": GREETING}, {"type": "image_url", "image_url": {"url": RED_DOT}}]
    done = good("/chat/completions", chat_body(parts, VISION_MODEL))
    assert GREETING in done["choices"][0]["message"]["content"]


@row.check("embeddings")
def embeddings() -> None:
    made = good("/embeddings", {"model": EMBEDDING_MODEL, "input": ["a cat", "a dog"]})
    assert [len(item["embedding"]) for item in made["data"]] == [EMBEDDING_SIZE] * 2


def upload() -> str:
    path = Path("cat.txt")
    path.write_text(DOCUMENT)
    return str(read("/files", "-F", "purpose=assistants", "-F", f"file=@{path}")["id"])


@row.check("files")
def files() -> None:
    file = upload()
    assert file in [item["id"] for item in read("/files")["data"]]
    assert curl(f"/files/{file}/content") == (200, DOCUMENT)
    assert read(f"/files/{file}", "-X", "DELETE")["deleted"] is True
    assert curl(f"/files/{file}")[0] == 404


@row.check("vector_stores")
def vector_stores() -> None:
    file = upload()
    store = good("/vector_stores", {"name": "office", "file_ids": [file]})["id"]
    deadline = time.monotonic() + 30
    while read(f"/vector_stores/{store}")["status"] == "in_progress":
        assert time.monotonic() < deadline, "the file is not searchable yet"
        time.sleep(0.05)
    found = good(f"/vector_stores/{store}/search", {"query": DOCUMENT_QUESTION})
    assert DOCUMENT_FACT in found["data"][0]["content"][0]["text"]
    assert read(f"/vector_stores/{store}", "-X", "DELETE")["deleted"] is True
    read(f"/files/{file}", "-X", "DELETE")


@row.check("responses")
def responses() -> None:
    done = good("/responses", {"model": CHAT_MODEL, "input": GREETING})
    assert GREETING in done["output"][0]["content"][0]["text"]
    text = good("/responses", {"model": CHAT_MODEL, "input": GREETING, "stream": True})
    events = [line.removeprefix("event: ") for line in text.splitlines() if line.startswith("event: ")]
    assert events[0] == "response.created" and events[-1] == "response.completed", events
    assert read(f"/responses/{done['id']}")["id"] == done["id"]


@row.check("completions")
def completions() -> None:
    done = good("/completions", {"model": CHAT_MODEL, "prompt": GREETING, "max_tokens": 200})
    assert GREETING in done["choices"][0]["text"]


@row.check("agent")
def agent() -> None:
    done = good("/chat/completions", chat_body(PRODUCT_QUESTION, AGENT_MODEL))
    assert PRODUCT in plain(done["choices"][0]["message"]["content"])


@row.check("builtin")
def builtin() -> None:
    done = good("/chat/completions", chat_body(PRODUCT_QUESTION, AGENT_MODEL), base=OFFLINE_BASE_URL, key=OFFLINE_KEY)
    assert PRODUCT in plain(done["choices"][0]["message"]["content"])


@row.check("errors")
def errors() -> None:
    for wanted, code, answer in (
        (401, "invalid_api_key", send("/chat/completions", chat_body("Hi"), key=WRONG_KEY)),
        (404, "model_not_found", send("/chat/completions", chat_body("Hi", NO_MODEL))),
        (404, "unknown_url", send("/nowhere", {})),
    ):
        assert answer[0] == wanted and answer[1]["error"]["code"] == code, answer
        assert set(answer[1]["error"]) >= {"message", "type", "param", "code"}
    status, text = send("/chat/completions", chat_body(BROKEN_QUESTION, stream=True))
    assert status == 200 and '"error"' in text.rstrip().split("\n\n")[-1 if "[DONE]" not in text else -2], text


row.run()
