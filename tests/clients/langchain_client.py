"""LangChain: ChatOpenAI (chat completions and Responses), OpenAI (legacy completions), OpenAIEmbeddings."""

from __future__ import annotations

from typing import Any

import openai
from checks import (
    AGENT_MODEL,
    BASE_URL,
    CHAT_MODEL,
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
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings
from pydantic import BaseModel

row = Client("langchain", "LangChain (langchain-openai)", "langchain-openai")
row.lacks("models", "files", "vector_stores")


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"18 degrees and sunny in {city}"


def model(name: str = CHAT_MODEL, **fields: Any) -> ChatOpenAI:
    return ChatOpenAI(**({"base_url": BASE_URL, "api_key": KEY, "max_retries": 0, "model": name} | fields))


@row.check("chat")
async def chat() -> None:
    said = model().invoke([("system", "Be brief."), ("user", GREETING)])
    assert GREETING in said.text and said.usage_metadata is not None
    assert (await model().ainvoke(GREETING)).text.endswith(GREETING)


@row.check("stream")
async def stream() -> None:
    pieces = list(model(stream_usage=True).stream(SLOW_GREETING))
    assert SLOW_GREETING in joined(piece.text for piece in pieces)
    assert any(piece.usage_metadata for piece in pieces)
    assert SLOW_GREETING in joined([piece.text async for piece in model().astream(SLOW_GREETING)])


def tool_loop(bound: Any) -> None:
    messages: list[Any] = [HumanMessage(WEATHER_QUESTION)]
    asked = bound.invoke(messages)
    (call,) = asked.tool_calls
    result = get_weather.invoke(call)
    assert isinstance(asked, AIMessage) and isinstance(result, ToolMessage)
    assert WEATHER_REPORT in bound.invoke([*messages, asked, result]).text


@row.check("tools")
def tools() -> None:
    bound = model().bind_tools([get_weather])
    tool_loop(bound)
    whole: Any = None
    for piece in bound.stream(WEATHER_QUESTION):
        whole = piece if whole is None else whole + piece
    assert whole.tool_calls[0]["args"] == {"city": "Paris"}


@row.check("structured")
def structured() -> None:
    for method in ("json_schema", "function_calling"):
        made = model().with_structured_output(Person, method=method).invoke(PERSON_QUESTION)
        assert made == Person(name="Ada Lovelace", age=36), (method, made)


@row.check("images")
def images() -> None:
    parts: list[Any] = [{"type": "text", "text": GREETING}, {"type": "image_url", "image_url": {"url": RED_DOT}}]
    assert GREETING in model(VISION_MODEL).invoke([HumanMessage(parts)]).text


@row.check("embeddings")
def embeddings() -> None:
    made = OpenAIEmbeddings(
        base_url=BASE_URL, api_key=KEY, model=EMBEDDING_MODEL, check_embedding_ctx_length=False, max_retries=0
    )
    assert [len(item) for item in made.embed_documents(["a cat", "a dog"])] == [EMBEDDING_SIZE] * 2
    assert len(made.embed_query("a cat")) == EMBEDDING_SIZE


@row.check("responses")
def responses() -> None:
    through = model(use_responses_api=True)
    assert GREETING in through.invoke(GREETING).text
    assert GREETING in "".join(piece.text for piece in through.stream(GREETING))
    tool_loop(through.bind_tools([get_weather]))
    assert through.with_structured_output(Person).invoke(PERSON_QUESTION) == Person(name="Ada Lovelace", age=36)
    kept = model(use_responses_api=True, use_previous_response_id=True)
    first = kept.invoke(GREETING)
    assert kept.invoke([HumanMessage(GREETING), first, HumanMessage("And again")]).text


@row.check("completions")
def completions() -> None:
    legacy = OpenAI(base_url=BASE_URL, api_key=KEY, model=CHAT_MODEL, max_retries=0)
    assert GREETING in legacy.invoke(GREETING)
    assert GREETING in "".join(legacy.stream(GREETING))


@row.check("agent")
def agent() -> None:
    said = model(AGENT_MODEL).invoke(PRODUCT_QUESTION)
    assert PRODUCT in plain(said.text) and not said.tool_calls
    assert PRODUCT in plain("".join(piece.text for piece in model(AGENT_MODEL).stream(PRODUCT_QUESTION)))


@row.check("builtin")
def builtin() -> None:
    offline = model(AGENT_MODEL, base_url=OFFLINE_BASE_URL, api_key=OFFLINE_KEY)
    assert PRODUCT in plain(offline.invoke(PRODUCT_QUESTION).text)


@row.check("errors")
def errors() -> None:
    raises(openai.AuthenticationError, lambda: model(api_key=WRONG_KEY).invoke("Hi"))
    raises(openai.NotFoundError, lambda: model(NO_MODEL).invoke("Hi"))


row.run()
