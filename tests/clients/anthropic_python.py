"""The official Anthropic SDK for Python, at the Messages door."""

from __future__ import annotations

from typing import Any

import anthropic
from checks import (
    AGENT_MODEL,
    CHAT_MODEL,
    DOCUMENT,
    GREETING,
    KEY,
    NO_MODEL,
    OFFLINE_KEY,
    OFFLINE_URL,
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
    raises,
)
from pydantic import BaseModel

row = Client("anthropic-python", "Anthropic SDK for Python", "anthropic")
row.lacks("embeddings", "vector_stores", "responses", "completions")
client = anthropic.Anthropic(base_url=URL, api_key=KEY, max_retries=0)
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


class Person(BaseModel):
    name: str
    age: int


def user(content: Any) -> Any:
    return [{"role": "user", "content": content}]


def ask(content: Any, model: str = CHAT_MODEL, through: Any = client, **fields: Any) -> Any:
    return through.messages.create(**({"model": model, "max_tokens": 500, "messages": user(content)} | fields))


def text_of(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@row.check("models")
def models() -> None:
    assert CHAT_MODEL in [model.id for model in client.models.list()]
    assert client.models.retrieve(CHAT_MODEL).id == CHAT_MODEL


@row.check("chat")
async def chat() -> None:
    done = ask(GREETING, system="Be brief.")
    assert GREETING in text_of(done) and done.stop_reason == "end_turn" and done.usage.output_tokens > 0
    async with anthropic.AsyncAnthropic(base_url=URL, auth_token=KEY, api_key=None, max_retries=0) as other:
        again = await other.messages.create(model=CHAT_MODEL, max_tokens=500, messages=user(GREETING))
    assert text_of(again) == text_of(done)
    assert client.messages.count_tokens(model=CHAT_MODEL, messages=user(GREETING)).input_tokens > 0


@row.check("stream")
def stream() -> None:
    with client.messages.stream(model=CHAT_MODEL, max_tokens=500, messages=user(SLOW_GREETING)) as helper:
        pieces = list(helper.text_stream)
        final = helper.get_final_message()
    assert SLOW_GREETING in joined(pieces) and text_of(final) == "".join(pieces)
    kinds = [event.type for event in ask(SLOW_GREETING, stream=True)]
    assert kinds[0] == "message_start" and kinds[-1] == "message_stop", kinds


@row.check("tools")
def tools() -> None:
    with client.messages.stream(
        model=CHAT_MODEL, max_tokens=500, messages=user(WEATHER_QUESTION), tools=[WEATHER]
    ) as helper:
        streamed = helper.get_final_message()
    for asked in (ask(WEATHER_QUESTION, tools=[WEATHER]), streamed):
        assert asked.stop_reason == "tool_use"
        (call,) = [block for block in asked.content if block.type == "tool_use"]
        assert call.input == {"city": "Paris"}
        result = {"type": "tool_result", "tool_use_id": call.id, "content": WEATHER_REPORT}
        history = [*user(WEATHER_QUESTION), {"role": "assistant", "content": asked.content}, *user([result])]
        assert WEATHER_REPORT in text_of(ask(None, messages=history, tools=[WEATHER]))


@row.check("structured")
def structured() -> None:
    done = client.messages.parse(model=CHAT_MODEL, max_tokens=500, messages=user(PERSON_QUESTION), output_format=Person)
    assert done.parsed_output == Person(name="Ada Lovelace", age=36)


@row.check("images")
def images() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": RED_DOT.partition(",")[2]}
    parts = [{"type": "image", "source": source}, {"type": "text", "text": GREETING}]
    assert GREETING in text_of(ask(parts, VISION_MODEL))


@row.check("files")
def files() -> None:
    made = client.files.upload(file=("cat.txt", DOCUMENT.encode()))
    assert client.files.download(made.id).read() == DOCUMENT.encode()
    client.files.delete(made.id)


@row.check("agent")
def agent() -> None:
    done = ask(PRODUCT_QUESTION, AGENT_MODEL)
    assert PRODUCT in plain(text_of(done)) and done.stop_reason == "end_turn"
    with client.messages.stream(model=AGENT_MODEL, max_tokens=500, messages=user(PRODUCT_QUESTION)) as helper:
        assert PRODUCT in plain(text_of(helper.get_final_message()))


@row.check("builtin")
def builtin() -> None:
    offline = anthropic.Anthropic(base_url=OFFLINE_URL, api_key=OFFLINE_KEY, max_retries=0)
    assert PRODUCT in plain(text_of(ask(PRODUCT_QUESTION, AGENT_MODEL, offline)))


@row.check("errors")
def errors() -> None:
    stranger = anthropic.Anthropic(base_url=URL, api_key=WRONG_KEY, max_retries=0)
    raises(anthropic.AuthenticationError, lambda: ask("Hi", through=stranger))
    raises(anthropic.NotFoundError, lambda: ask("Hi", NO_MODEL))
    raises(anthropic.BadRequestError, lambda: ask("Hi", extra_body={"temperature": 9}))


row.run()
