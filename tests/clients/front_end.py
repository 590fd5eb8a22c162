"""A chat front end in the manner of those that list the models first, then stream, titles and follow-ups included."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from checks import (
    AGENT_MODEL,
    BROKEN_QUESTION,
    CHAT_MODEL,
    DOCUMENT,
    EMBEDDING_MODEL,
    EMBEDDING_SIZE,
    GREETING,
    KEY,
    OFFLINE_KEY,
    OFFLINE_URL,
    PAGE,
    PERSON_QUESTION,
    PRODUCT,
    PRODUCT_QUESTION,
    RED_DOT,
    SLOW_GREETING,
    URL,
    VISION_MODEL,
    WEATHER_QUESTION,
    WEATHER_REPORT,
    WRONG_KEY,
    Client,
    joined,
    plain,
)

row = Client("front-end", "Chat front end (models, then stream)", release="simulated")
row.lacks("vector_stores", "responses", "completions")
FOREIGN = {
    "session_id": None,
    "chat_id": "0f1e2d3c",
    "id": "4b5a6978",
    "background_tasks": {"title_generation": True, "tags_generation": True, "follow_up_generation": True},
    "features": {"web_search": False, "code_interpreter": False, "image_generation": False, "memory": False},
    "variables": {"{{USER_NAME}}": "Ada"},
    "model_item": {"id": CHAT_MODEL, "object": "model"},
    "params": {},
    "filter_ids": [],
    "tool_ids": None,
    "files": None,
    "options": {"num_ctx": 8192},
    "keep_alive": "5m",
    "top_k": 40,
    "min_p": 0.05,
    "repeat_penalty": 1.1,
    "num_ctx": 8192,
    "think": None,
    "format": None,
    "stop": None,
    "seed": None,
    "temperature": None,
    "logit_bias": None,
    "reasoning_effort": None,
}
"""Fields of its own and explicit nulls, as such programs send them along."""


class FrontEnd:
    """One keep-alive connection with the headers of a browser's page."""

    def __init__(self, url: str = URL, key: str = KEY) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        self._headers = {
            "authorization": f"Bearer {key}",
            "origin": PAGE,
            "content-type": "application/json",
            "accept": "text/event-stream, application/json",
        }

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> http.client.HTTPResponse:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        self._connection.request(method, f"/v1{path}", data, self._headers | headers)
        return self._connection.getresponse()

    def models(self) -> list[str]:
        answer = self.call("GET", "/models")
        assert answer.status == 200, answer.read()
        return [model["id"] for model in json.load(answer)["data"]]

    def pieces(self, model: str, messages: list[dict[str, Any]], **fields: Any) -> list[str]:
        """The text of a stream, read line by line; a frame with an error raises RuntimeError."""
        body = {**FOREIGN, "model": model, "messages": messages, "stream": True, **fields}
        answer = self.call("POST", "/chat/completions", body)
        assert answer.status == 200, answer.read()
        assert answer.getheader("content-type", "").startswith("text/event-stream")
        found = []
        for line in iter(answer.readline, b""):
            text = line.decode().strip()
            if not text.startswith("data: ") or text == "data: [DONE]":
                continue
            frame = json.loads(text.removeprefix("data: "))
            if "error" in frame:
                answer.read()
                raise RuntimeError(frame["error"]["message"])
            found += [choice["delta"].get("content") or "" for choice in frame["choices"]]
        return found

    def whole(self, model: str, content: Any, **fields: Any) -> dict[str, Any]:
        body = {**FOREIGN, "model": model, "messages": user(content), "stream": False, **fields}
        answer = self.call("POST", "/chat/completions", body)
        assert answer.status == 200, answer.read()
        message: dict[str, Any] = json.load(answer)["choices"][0]["message"]
        return message


def user(content: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


@row.check("models")
def models() -> None:
    page = FrontEnd()
    ids = page.models()
    assert AGENT_MODEL in ids and CHAT_MODEL in ids
    # The page may run elsewhere: its browser asks first, without a key.
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
    allowed = page.call("OPTIONS", "/chat/completions", authorization="", **asked)
    assert allowed.status in (200, 204), allowed.read()


@row.check("chat")
def chat() -> None:
    page = FrontEnd()
    question = f"Write a title of three words for this: {GREETING}"
    assert GREETING in page.whole(page.models()[1], question)["content"]


@row.check("stream")
def stream() -> None:
    page = FrontEnd()
    model = next(name for name in page.models() if name == CHAT_MODEL)
    messages = [{"role": "system", "content": "Be brief."}, *user(SLOW_GREETING)]
    said = joined(page.pieces(model, messages, stream_options={"include_usage": True}))
    assert SLOW_GREETING in said
    messages += [{"role": "assistant", "content": said}, *user("And once more")]
    assert "And once more" in "".join(page.pieces(model, messages))


@row.check("tools")
def tools() -> None:
    page = FrontEnd()
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": parameters}}
    message = page.whole(CHAT_MODEL, WEATHER_QUESTION, tools=[tool])
    (call,) = message["tool_calls"]
    result = {"role": "tool", "tool_call_id": call["id"], "content": WEATHER_REPORT}
    messages = [*user(WEATHER_QUESTION), message, result]
    assert WEATHER_REPORT in "".join(page.pieces(CHAT_MODEL, messages, tools=[tool]))


@row.check("structured")
def structured() -> None:
    said = FrontEnd().whole(CHAT_MODEL, PERSON_QUESTION, response_format={"type": "json_object"})
    assert json.loads(said["content"])["age"] == 36


@row.check("images")
def images() -> None:
    parts = [{"type": "text", "text": GREETING}, {"type": "image_url", "image_url": {"url": RED_DOT}}]
    assert GREETING in "".join(FrontEnd().pieces(VISION_MODEL, user(parts)))


@row.check("embeddings")
def embeddings() -> None:
    answer = FrontEnd().call("POST", "/embeddings", {"model": EMBEDDING_MODEL, "input": ["a cat", "a dog"]})
    assert [len(item["embedding"]) for item in json.load(answer)["data"]] == [EMBEDDING_SIZE] * 2


@row.check("files")
def files() -> None:
    page = FrontEnd()
    head = '--x\r\ncontent-disposition: form-data; name="{}"{}\r\n\r\n'
    form = head.format("purpose", "") + "assistants\r\n"
    form += head.format("file", '; filename="cat.txt"\r\ncontent-type: text/plain') + DOCUMENT + "\r\n--x--\r\n"
    kind = {"content-type": "multipart/form-data; boundary=x"}
    made = json.load(page.call("POST", "/files", form.encode(), **kind))
    assert made["filename"] == "cat.txt", made
    assert page.call("GET", f"/files/{made['id']}/content").read() == DOCUMENT.encode()
    assert json.load(page.call("DELETE", f"/files/{made['id']}"))["deleted"] is True


@row.check("agent")
def agent() -> None:
    assert PRODUCT in plain("".join(FrontEnd().pieces(AGENT_MODEL, user(PRODUCT_QUESTION))))


@row.check("builtin")
def builtin() -> None:
    page = FrontEnd(OFFLINE_URL, OFFLINE_KEY)
    assert PRODUCT in plain("".join(page.pieces(page.models()[0], user(PRODUCT_QUESTION))))


@row.check("errors")
def errors() -> None:
    refused = FrontEnd(key=WRONG_KEY).call("GET", "/models")
    assert refused.status == 401 and json.load(refused)["error"]["code"] == "invalid_api_key"
    assert refused.getheader("access-control-allow-origin") is not None, "a page elsewhere must be able to read why"
    try:
        FrontEnd().pieces(CHAT_MODEL, user(BROKEN_QUESTION))
    except RuntimeError as error:
        assert str(error)
    else:
        raise AssertionError("the stream broke off without a word")


row.run()
