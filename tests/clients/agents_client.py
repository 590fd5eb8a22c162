"""OpenAI Agents SDK: its default (Responses) and OpenAIChatCompletionsModel, as two rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openai
from agents import (
    Agent,
    FileSearchTool,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from checks import (
    AGENT_MODEL,
    BASE_URL,
    CHAT_MODEL,
    DOCUMENT,
    DOCUMENT_FACT,
    DOCUMENT_QUESTION,
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
from openai.types.responses import ResponseTextDeltaEvent
from pydantic import BaseModel

set_tracing_disabled(True)


class Person(BaseModel):
    name: str
    age: int


@function_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"18 degrees and sunny in {city}"


def register(row: Client, kind: Any) -> None:
    """The checks of one row. `kind` is the model class that speaks one of the two APIs."""

    def agent(name: str = CHAT_MODEL, base_url: str = BASE_URL, key: str = KEY, **fields: Any) -> Agent[Any]:
        client = openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0)
        return Agent(name="Helper", instructions="Be brief.", model=kind(name, client), **fields)

    async def streamed(of: Agent[Any], question: str, join: Callable[[list[str]], str] = "".join) -> str:
        result = Runner.run_streamed(of, question)
        raw = [event.data async for event in result.stream_events() if event.type == "raw_response_event"]
        pieces = [data.delta for data in raw if isinstance(data, ResponseTextDeltaEvent)]
        assert join(pieces).endswith(result.final_output), (pieces, result.final_output)
        return str(result.final_output)

    @row.check("chat")
    async def chat() -> None:
        first = await Runner.run(agent(), GREETING)
        assert GREETING in first.final_output
        again = await Runner.run(agent(), [*first.to_input_list(), {"role": "user", "content": "And again"}])
        assert "And again" in again.final_output

    @row.check("stream")
    async def stream() -> None:
        assert SLOW_GREETING in await streamed(agent(), SLOW_GREETING, joined)

    @row.check("tools")
    async def tools() -> None:
        assert WEATHER_REPORT in (await Runner.run(agent(tools=[get_weather]), WEATHER_QUESTION)).final_output
        assert WEATHER_REPORT in await streamed(agent(tools=[get_weather]), WEATHER_QUESTION)
        must = agent(tools=[get_weather], model_settings=ModelSettings(tool_choice="required"))
        assert WEATHER_REPORT in (await Runner.run(must, WEATHER_QUESTION)).final_output

    @row.check("structured")
    async def structured() -> None:
        done = await Runner.run(agent(output_type=Person), PERSON_QUESTION)
        assert done.final_output == Person(name="Ada Lovelace", age=36)

    @row.check("images")
    async def images() -> None:
        parts = [
            {"type": "input_text", "text": GREETING},
            {"type": "input_image", "image_url": RED_DOT, "detail": "auto"},
        ]
        asked: Any = [{"role": "user", "content": parts}]
        assert GREETING in (await Runner.run(agent(VISION_MODEL), asked)).final_output

    @row.check("agent")
    async def hearth_agent() -> None:
        assert PRODUCT in plain((await Runner.run(agent(AGENT_MODEL), PRODUCT_QUESTION)).final_output)
        assert PRODUCT in plain(await streamed(agent(AGENT_MODEL), PRODUCT_QUESTION))

    @row.check("builtin")
    async def builtin() -> None:
        done = await Runner.run(agent(AGENT_MODEL, OFFLINE_BASE_URL, OFFLINE_KEY), PRODUCT_QUESTION)
        assert PRODUCT in plain(done.final_output)

    @row.check("errors")
    async def errors() -> None:
        for kinds, of in (
            (openai.AuthenticationError, agent(key=WRONG_KEY)),
            (openai.NotFoundError, agent(NO_MODEL)),
        ):
            try:
                await Runner.run(of, "Hi")
            except kinds:
                continue
            raise AssertionError(f"expected {kinds}")


through_responses = Client("openai-agents", "OpenAI Agents SDK", "openai-agents")
through_responses.lacks("models", "embeddings", "files", "completions")
register(through_responses, OpenAIResponsesModel)


@through_responses.check("vector_stores")
async def vector_stores() -> None:
    client = openai.AsyncOpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0)
    store = await client.vector_stores.create(name="office")
    file = await client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("cat.txt", DOCUMENT.encode())
    )
    search = FileSearchTool(vector_store_ids=[store.id], include_search_results=True)
    agent = Agent(name="Helper", model=OpenAIResponsesModel(AGENT_MODEL, client), tools=[search])
    done = await Runner.run(agent, DOCUMENT_QUESTION)
    assert DOCUMENT_FACT in done.final_output, done.final_output
    assert any(getattr(item.raw_item, "type", "") == "file_search_call" for item in done.new_items), done.new_items
    await client.files.delete(file.id)
    await client.vector_stores.delete(store.id)


@through_responses.check("responses")
async def responses() -> None:
    client = openai.AsyncOpenAI(base_url=BASE_URL, api_key=KEY, max_retries=0)
    agent = Agent(name="Helper", model=OpenAIResponsesModel(CHAT_MODEL, client))
    first = await Runner.run(agent, GREETING)
    again = await Runner.run(agent, "And again", previous_response_id=first.last_response_id)
    assert "And again" in again.final_output
    conversation = await client.conversations.create()
    await Runner.run(agent, GREETING, conversation_id=conversation.id)
    assert "And again" in (await Runner.run(agent, "And again", conversation_id=conversation.id)).final_output
    await client.conversations.delete(conversation.id)


through_chat = Client("openai-agents-chat", "OpenAI Agents SDK, chat model", "openai-agents")
through_chat.lacks("models", "embeddings", "files", "vector_stores", "responses", "completions")
register(through_chat, OpenAIChatCompletionsModel)

through_responses.run()
through_chat.run()
