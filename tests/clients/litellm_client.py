"""LiteLLM as a library, with its `openai/` provider."""

from __future__ import annotations

import os
from typing import Any

# Otherwise it fetches its table of prices when it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import json
import time

import litellm
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
    raises,
)
from pydantic import BaseModel

row = Client("litellm", "LiteLLM")
HERE = {"api_base": BASE_URL, "api_key": KEY}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Person(BaseModel):
    name: str
    age: int


def user(content: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": content}]


def ask(content: Any, model: str = CHAT_MODEL, **fields: Any) -> Any:
    return litellm.completion(**({"model": f"openai/{model}", "messages": user(content), **HERE} | fields))


@row.check("models")
def models() -> None:
    ids = litellm.get_valid_models(check_provider_endpoint=True, custom_llm_provider="openai", **HERE)
    assert any(CHAT_MODEL in name for name in ids), ids


@row.check("chat")
async def chat() -> None:
    assert GREETING in ask(GREETING).choices[0].message.content
    done = await litellm.acompletion(model=f"openai/{CHAT_MODEL}", messages=user(GREETING), **HERE)
    assert GREETING in done.choices[0].message.content and done.usage.total_tokens > 0


@row.check("stream")
def stream() -> None:
    chunks = list(ask(SLOW_GREETING, stream=True, stream_options={"include_usage": True}))
    assert SLOW_GREETING in joined(chunk.choices[0].delta.content for chunk in chunks if chunk.choices)
    rebuilt = litellm.stream_chunk_builder(chunks)
    assert SLOW_GREETING in rebuilt.choices[0].message.content and rebuilt.usage.total_tokens > 0


@row.check("tools")
def tools() -> None:
    for asked in (
        ask(WEATHER_QUESTION, tools=[WEATHER]),
        litellm.stream_chunk_builder(list(ask(WEATHER_QUESTION, tools=[WEATHER], stream=True))),
    ):
        (call,) = asked.choices[0].message.tool_calls
        assert json.loads(call.function.arguments) == {"city": "Paris"}
        result = {"role": "tool", "tool_call_id": call.id, "content": WEATHER_REPORT}
        messages = [*user(WEATHER_QUESTION), asked.choices[0].message, result]
        assert WEATHER_REPORT in ask(None, messages=messages, tools=[WEATHER]).choices[0].message.content


@row.check("structured")
def structured() -> None:
    done = ask(PERSON_QUESTION, response_format=Person)
    assert Person.model_validate_json(done.choices[0].message.content).age == 36


@row.check("images")
def images() -> None:
    parts = [{"type": "text", "text": GREETING}, {"type": "image_url", "image_url": {"url": RED_DOT}}]
    assert GREETING in ask(parts, VISION_MODEL).choices[0].message.content


@row.check("embeddings")
def embeddings() -> None:
    made = litellm.embedding(model=f"openai/{EMBEDDING_MODEL}", input=["a cat", "a dog"], **HERE)
    assert [len(item["embedding"]) for item in made.data] == [EMBEDDING_SIZE] * 2


@row.check("files")
def files() -> None:
    here = {**HERE, "custom_llm_provider": "openai"}
    made = litellm.create_file(file=("cat.txt", DOCUMENT.encode()), purpose="assistants", **here)
    assert litellm.file_retrieve(file_id=made.id, **here).filename == "cat.txt"
    assert litellm.file_content(file_id=made.id, **here).content == DOCUMENT.encode()
    assert made.id in [file.id for file in litellm.file_list(**here)]
    assert litellm.file_delete(file_id=made.id, **here).deleted


@row.check("vector_stores")
def vector_stores() -> None:
    from litellm import vector_store_files
    from litellm.vector_stores import main as vector_stores

    here = {**HERE, "custom_llm_provider": "openai"}
    file = litellm.create_file(file=("cat.txt", DOCUMENT.encode()), purpose="assistants", **here)
    store = vector_stores.create(name="office", file_ids=[file.id], **here)
    deadline = time.monotonic() + 30
    while vector_stores.retrieve(vector_store_id=store["id"], **here)["status"] == "in_progress":
        assert time.monotonic() < deadline, "the file is not searchable yet"
        time.sleep(0.05)
    added = vector_store_files.list(vector_store_id=store["id"], **here)
    assert [item["id"] for item in added["data"]] == [file.id]
    found = vector_stores.search(vector_store_id=store["id"], query=DOCUMENT_QUESTION, **here)
    assert DOCUMENT_FACT in found["data"][0]["content"][0]["text"]
    vector_stores.delete(vector_store_id=store["id"], **here)
    litellm.file_delete(file_id=file.id, **here)


@row.check("responses")
def responses() -> None:
    model = f"openai/{CHAT_MODEL}"
    done = litellm.responses(model=model, input=GREETING, **HERE)
    assert GREETING in done.output_text
    again = litellm.responses(model=model, input="And again", previous_response_id=done.id, **HERE)
    assert again.status == "completed"
    kinds = [str(event.type) for event in litellm.responses(model=model, input=GREETING, stream=True, **HERE)]
    assert "completed" in kinds[-1].lower(), kinds


@row.check("completions")
def completions() -> None:
    model = f"text-completion-openai/{CHAT_MODEL}"
    assert GREETING in litellm.text_completion(model=model, prompt=GREETING, max_tokens=200, **HERE).choices[0].text
    pieces = litellm.text_completion(model=model, prompt=GREETING, max_tokens=200, stream=True, **HERE)
    assert GREETING in "".join(piece.choices[0].text or "" for piece in pieces if piece.choices)


@row.check("agent")
def agent() -> None:
    message = ask(PRODUCT_QUESTION, AGENT_MODEL).choices[0].message
    assert PRODUCT in plain(message.content) and not message.tool_calls
    chunks = ask(PRODUCT_QUESTION, AGENT_MODEL, stream=True)
    assert PRODUCT in plain("".join(chunk.choices[0].delta.content or "" for chunk in chunks))


@row.check("builtin")
def builtin() -> None:
    done = ask(PRODUCT_QUESTION, AGENT_MODEL, api_base=OFFLINE_BASE_URL, api_key=OFFLINE_KEY)
    assert PRODUCT in plain(done.choices[0].message.content)


@row.check("errors")
def errors() -> None:
    raises(litellm.AuthenticationError, lambda: ask("Hi", api_key=WRONG_KEY))
    raises(litellm.NotFoundError, lambda: ask("Hi", NO_MODEL))
    raises(litellm.BadRequestError, lambda: ask("Hi", temperature=9))
    # It knows this one by the words of the message.
    raises(litellm.ContextWindowExceededError, lambda: ask("word " * 20_000, "tinyllama:latest"))
    raises(litellm.exceptions.MidStreamFallbackError, lambda: list(ask(BROKEN_QUESTION, stream=True)))


row.run()
