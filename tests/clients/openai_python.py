"""The official OpenAI SDK for Python; the same script for both major versions."""

from __future__ import annotations

import io
import json
from typing import Any

import openai
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
    OTHER_DOCUMENT,
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

MAJOR = openai.__version__.split(".")[0]
row = Client(f"openai-python-{MAJOR}", f"OpenAI SDK for Python {MAJOR}.x", "openai")
client = openai.OpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0)


class Person(BaseModel):
    name: str
    age: int


WEATHER_PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER: Any = {
    "type": "function",
    "function": {"name": "get_weather", "description": "The weather in a city", "parameters": WEATHER_PARAMETERS},
}


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


@row.check("models")
def models() -> None:
    ids = [model.id for model in client.models.list()]
    assert AGENT_MODEL in ids and CHAT_MODEL in ids, ids
    assert client.models.retrieve(CHAT_MODEL).id == CHAT_MODEL


@row.check("chat")
async def chat() -> None:
    done = client.chat.completions.create(model=CHAT_MODEL, messages=user(GREETING))
    assert GREETING in (done.choices[0].message.content or ""), done
    assert done.usage is not None and done.usage.total_tokens > 0
    async with openai.AsyncOpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0) as other:
        again = await other.chat.completions.create(model=CHAT_MODEL, messages=user(GREETING))
    assert again.choices[0].message.content == done.choices[0].message.content


@row.check("stream")
def stream() -> None:
    chunks = list(
        client.chat.completions.create(
            model=CHAT_MODEL, messages=user(SLOW_GREETING), stream=True, stream_options={"include_usage": True}
        )
    )
    assert SLOW_GREETING in joined(chunk.choices[0].delta.content for chunk in chunks if chunk.choices)
    assert chunks[-1].usage is not None
    with client.chat.completions.stream(model=CHAT_MODEL, messages=user(SLOW_GREETING)) as helper:
        kinds = [event.type for event in helper]
        final = helper.get_final_completion()
    assert "content.delta" in kinds and kinds[-1] == "content.done", kinds
    assert SLOW_GREETING in (final.choices[0].message.content or "")


@row.check("tools")
def tools() -> None:
    messages = user(WEATHER_QUESTION)
    done = client.chat.completions.create(model=CHAT_MODEL, messages=messages, tools=[WEATHER])
    assert done.choices[0].finish_reason == "tool_calls"
    answer_after_call(messages, done.choices[0].message)
    with client.chat.completions.stream(model=CHAT_MODEL, messages=user(WEATHER_QUESTION), tools=[WEATHER]) as helper:
        streamed = helper.get_final_completion()
    answer_after_call(user(WEATHER_QUESTION), streamed.choices[0].message)


def answer_after_call(messages: list[Any], asked: Any) -> None:
    """The second half of the loop: send the result, read the answer."""
    (call,) = asked.tool_calls
    assert call.function.name == "get_weather" and json.loads(call.function.arguments) == {"city": "Paris"}
    result = {"role": "tool", "tool_call_id": call.id, "content": WEATHER_REPORT}
    messages = [*messages, asked.model_dump(exclude_none=True), result]
    done = client.chat.completions.create(model=CHAT_MODEL, messages=messages, tools=[WEATHER])
    assert WEATHER_REPORT in (done.choices[0].message.content or ""), done


@row.check("structured")
def structured() -> None:
    done = client.chat.completions.parse(model=CHAT_MODEL, messages=user(PERSON_QUESTION), response_format=Person)
    assert done.choices[0].message.parsed == Person(name="Ada Lovelace", age=36), done
    strict: Any = openai.pydantic_function_tool(Person, name="person")
    called = client.chat.completions.parse(
        model=CHAT_MODEL, messages=user(PERSON_QUESTION), tools=[strict], tool_choice="required"
    )
    (call,) = called.choices[0].message.tool_calls or []
    assert call.function.parsed_arguments == Person(name="Ada Lovelace", age=36)


@row.check("images")
def images() -> None:
    content = [{"type": "text", "text": GREETING}, {"type": "image_url", "image_url": {"url": RED_DOT}}]
    asked: Any = [{"role": "user", "content": content}]
    done = client.chat.completions.create(model=VISION_MODEL, messages=asked)
    assert GREETING in (done.choices[0].message.content or "")
    raises(openai.BadRequestError, lambda: client.chat.completions.create(model=CHAT_MODEL, messages=asked))


@row.check("embeddings")
def embeddings() -> None:
    texts = ["a cat on the mat", "a kitten on the rug", "quarterly tax report"]
    rows = [item.embedding for item in client.embeddings.create(model=EMBEDDING_MODEL, input=texts).data]
    assert [len(item) for item in rows] == [EMBEDDING_SIZE] * 3
    near, far = (sum(a * b for a, b in zip(rows[0], other, strict=True)) for other in rows[1:])
    assert near > far, (near, far)
    short = client.embeddings.create(model=EMBEDDING_MODEL, input="cat", dimensions=64, encoding_format="float")
    assert len(short.data[0].embedding) == 64


@row.check("files")
def files() -> None:
    made = client.files.create(file=("cat.txt", DOCUMENT.encode()), purpose="assistants")
    try:
        assert made.filename == "cat.txt" and made.bytes == len(DOCUMENT.encode())
        assert client.files.retrieve(made.id).id == made.id
        assert client.files.wait_for_processing(made.id, poll_interval=0.05, max_wait_seconds=30).status == "processed"
        assert made.id in [file.id for file in client.files.list(purpose="assistants", limit=1)]
        assert client.files.content(made.id).read() == DOCUMENT.encode()
    finally:
        assert client.files.delete(made.id).deleted
    raises(openai.NotFoundError, lambda: client.files.retrieve(made.id))


@row.check("vector_stores")
def vector_stores() -> None:
    store = client.vector_stores.create(name="office")
    try:
        added = client.vector_stores.files.upload_and_poll(vector_store_id=store.id, file=document("cat.txt"))
        assert added.status == "completed", added.last_error
        batch = client.vector_stores.file_batches.upload_and_poll(
            vector_store_id=store.id, files=[document("dog.txt", OTHER_DOCUMENT)]
        )
        assert batch.file_counts.completed == 1, batch
        assert client.vector_stores.retrieve(store.id).file_counts.completed == 2
        found = client.vector_stores.search(store.id, query=DOCUMENT_QUESTION).data
        assert DOCUMENT_FACT in found[0].content[0].text and 0 <= found[0].score <= 1
        asked = client.responses.create(
            model=AGENT_MODEL,
            input=DOCUMENT_QUESTION,
            tools=[{"type": "file_search", "vector_store_ids": [store.id]}],
            include=["file_search_call.results"],
        )
        assert "file_search_call" in [item.type for item in asked.output], asked.output
    finally:
        for file in client.vector_stores.files.list(store.id):
            client.files.delete(file.id)
        assert client.vector_stores.delete(store.id).deleted


def document(name: str, text: str = DOCUMENT) -> Any:
    return (name, io.BytesIO(text.encode()))


@row.check("responses")
def responses() -> None:
    first = client.responses.create(model=CHAT_MODEL, input=GREETING)
    assert GREETING in first.output_text and first.status == "completed"
    second = client.responses.create(model=CHAT_MODEL, input="And again", previous_response_id=first.id)
    assert client.responses.retrieve(second.id).output_text == second.output_text
    with client.responses.stream(model=CHAT_MODEL, input=GREETING) as helper:
        kinds = [event.type for event in helper]
        final = helper.get_final_response()
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed", kinds
    assert GREETING in final.output_text and final.usage is not None
    parsed = client.responses.parse(model=CHAT_MODEL, input=PERSON_QUESTION, text_format=Person)
    assert parsed.output_parsed == Person(name="Ada Lovelace", age=36)
    tool: Any = {"type": "function", "name": "get_weather", "parameters": WEATHER_PARAMETERS, "strict": True}
    asked = client.responses.create(model=CHAT_MODEL, input=WEATHER_QUESTION, tools=[tool])
    (call,) = [item for item in asked.output if item.type == "function_call"]
    assert json.loads(call.arguments) == {"city": "Paris"}
    told = client.responses.create(
        model=CHAT_MODEL,
        previous_response_id=asked.id,
        tools=[tool],
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": WEATHER_REPORT}],
    )
    assert WEATHER_REPORT in told.output_text
    conversation = client.conversations.create()
    client.responses.create(model=CHAT_MODEL, input=GREETING, conversation=conversation.id)
    assert len(list(client.conversations.items.list(conversation.id))) == 2
    client.conversations.delete(conversation.id)
    client.responses.delete(first.id)
    raises(openai.NotFoundError, lambda: client.responses.retrieve(first.id))


@row.check("completions")
def completions() -> None:
    done = client.completions.create(model=CHAT_MODEL, prompt=GREETING, max_tokens=200)
    assert GREETING in done.choices[0].text
    pieces = client.completions.create(model=CHAT_MODEL, prompt=GREETING, max_tokens=200, stream=True)
    assert "".join(piece.choices[0].text for piece in pieces if piece.choices) == done.choices[0].text


@row.check("agent")
def agent() -> None:
    done = client.chat.completions.create(model=AGENT_MODEL, messages=user(PRODUCT_QUESTION))
    message = done.choices[0].message
    assert PRODUCT in plain(message.content) and not message.tool_calls
    with client.chat.completions.stream(model=AGENT_MODEL, messages=user(PRODUCT_QUESTION)) as helper:
        final = helper.get_final_completion().choices[0].message
    assert PRODUCT in plain(final.content) and not final.tool_calls


@row.check("builtin")
def builtin() -> None:
    offline = openai.OpenAI(base_url=OFFLINE_BASE_URL, api_key=OFFLINE_KEY, max_retries=0)
    done = offline.chat.completions.create(model=AGENT_MODEL, messages=user(PRODUCT_QUESTION))
    assert PRODUCT in plain(done.choices[0].message.content)
    chunks = offline.chat.completions.create(model=AGENT_MODEL, messages=user(PRODUCT_QUESTION), stream=True)
    assert PRODUCT in plain("".join(chunk.choices[0].delta.content or "" for chunk in chunks))


@row.check("errors")
def errors() -> None:
    stranger = openai.OpenAI(base_url=BASE_URL, api_key=WRONG_KEY, max_retries=0)
    refused = raises(openai.AuthenticationError, lambda: stranger.models.list())
    assert refused.code == "invalid_api_key" and refused.request_id
    unknown = raises(openai.NotFoundError, lambda: client.chat.completions.create(model=NO_MODEL, messages=user("Hi")))
    assert unknown.code == "model_not_found"
    bad = raises(
        openai.BadRequestError,
        lambda: client.chat.completions.create(model=CHAT_MODEL, messages=user("Hi"), temperature=9),
    )
    assert bad.param == "temperature"
    broken = client.chat.completions.create(model=CHAT_MODEL, messages=user(BROKEN_QUESTION), stream=True)
    raises(openai.APIError, lambda: list(broken))


row.run()
