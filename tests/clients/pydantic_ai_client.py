"""pydantic-ai: OpenAIChatModel, OpenAIResponsesModel and OpenAIEmbeddingModel."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

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
)
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, Embedder, NativeOutput, PromptedOutput
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

row = Client("pydantic-ai", "pydantic-ai", "pydantic-ai-slim")
row.lacks("models", "files", "vector_stores", "completions")


class Person(BaseModel):
    """A person."""

    name: str
    age: int


ADA = Person(name="Ada Lovelace", age=36)


def agent(
    name: str = CHAT_MODEL, kind: Any = OpenAIChatModel, base_url: str = BASE_URL, key: str = KEY, **fields: Any
) -> Agent[Any, Any]:
    return Agent(kind(name, provider=OpenAIProvider(base_url=base_url, api_key=key)), **fields)


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"18 degrees and sunny in {city}"


async def streamed(of: Agent[Any, Any], question: str, join: Callable[[list[str]], str] = "".join) -> str:
    async with of.run_stream(question) as result:
        return join([piece async for piece in result.stream_text(delta=True, debounce_by=None)])


@row.check("chat")
async def chat() -> None:
    first = await agent(instructions="Be brief.").run(GREETING)
    assert GREETING in first.output
    again = await agent().run("And again", message_history=first.all_messages())
    assert "And again" in again.output


@row.check("stream")
async def stream() -> None:
    assert SLOW_GREETING in await streamed(agent(), SLOW_GREETING, joined)


@row.check("tools")
async def tools() -> None:
    assert WEATHER_REPORT in (await agent(tools=[get_weather]).run(WEATHER_QUESTION)).output
    assert WEATHER_REPORT in await streamed(agent(tools=[get_weather]), WEATHER_QUESTION)


@row.check("structured")
async def structured() -> None:
    for output in (Person, NativeOutput(Person), PromptedOutput(Person)):
        done = await agent(output_type=output).run(PERSON_QUESTION)
        assert done.output == ADA, output


@row.check("images")
async def images() -> None:
    picture = BinaryContent(base64.b64decode(RED_DOT.partition(",")[2]), media_type="image/png")
    assert GREETING in (await agent(VISION_MODEL).run([GREETING, picture])).output


@row.check("embeddings")
async def embeddings() -> None:
    provider = OpenAIProvider(base_url=BASE_URL, api_key=KEY)
    made = await Embedder(OpenAIEmbeddingModel(EMBEDDING_MODEL, provider=provider)).embed_documents(["a cat", "a dog"])
    assert [len(item) for item in made.embeddings] == [EMBEDDING_SIZE] * 2


@row.check("responses")
async def responses() -> None:
    kind = OpenAIResponsesModel
    assert GREETING in (await agent(kind=kind).run(GREETING)).output
    assert GREETING in await streamed(agent(kind=kind), GREETING)
    assert WEATHER_REPORT in (await agent(kind=kind, tools=[get_weather]).run(WEATHER_QUESTION)).output
    assert (await agent(kind=kind, output_type=Person).run(PERSON_QUESTION)).output == ADA
    assert (await agent(kind=kind, output_type=NativeOutput(Person)).run(PERSON_QUESTION)).output == ADA


@row.check("agent")
async def hearth_agent() -> None:
    assert PRODUCT in plain((await agent(AGENT_MODEL).run(PRODUCT_QUESTION)).output)
    assert PRODUCT in plain(await streamed(agent(AGENT_MODEL), PRODUCT_QUESTION))


@row.check("builtin")
async def builtin() -> None:
    done = await agent(AGENT_MODEL, base_url=OFFLINE_BASE_URL, key=OFFLINE_KEY).run(PRODUCT_QUESTION)
    assert PRODUCT in plain(done.output)


@row.check("errors")
async def errors() -> None:
    for status, of in ((401, agent(key=WRONG_KEY)), (404, agent(NO_MODEL))):
        try:
            await of.run("Hi")
        except ModelHTTPError as error:
            assert error.status_code == status
            continue
        raise AssertionError(f"expected status {status}")


row.run()
