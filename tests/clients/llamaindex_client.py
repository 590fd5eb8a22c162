"""LlamaIndex: OpenAILike, OpenAILikeResponses and OpenAILikeEmbedding."""

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
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, TextBlock
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.prompts import PromptTemplate
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from llama_index.llms.openai_like.responses import OpenAILikeResponses
from pydantic import BaseModel

row = Client("llamaindex", "LlamaIndex (openai-like)", "llama-index-llms-openai-like")
row.lacks("models", "files", "vector_stores")


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"18 degrees and sunny in {city}"


def model(name: str = CHAT_MODEL, **fields: Any) -> OpenAILike:
    given = {"api_base": BASE_URL, "api_key": KEY, "max_retries": 0, "context_window": 8192}
    return OpenAILike(**({"model": name, "is_chat_model": True, "is_function_calling_model": True} | given | fields))


def embedder() -> OpenAILikeEmbedding:
    return OpenAILikeEmbedding(model_name=EMBEDDING_MODEL, api_base=BASE_URL, api_key=KEY, max_retries=0)


def asked(text: str) -> list[ChatMessage]:
    return [ChatMessage(role="user", content=text)]


@row.check("chat")
async def chat() -> None:
    assert GREETING in str(model().chat(asked(GREETING)).message.content)
    assert GREETING in str(await model().acomplete(GREETING))


@row.check("stream")
async def stream() -> None:
    assert SLOW_GREETING in joined(piece.delta for piece in model().stream_chat(asked(SLOW_GREETING)))
    pieces = await model().astream_chat(asked(SLOW_GREETING))
    assert SLOW_GREETING in joined([piece.delta async for piece in pieces])


@row.check("tools")
async def tools() -> None:
    for streaming in (False, True):
        agent = FunctionAgent(tools=[get_weather], llm=model(), streaming=streaming)
        assert WEATHER_REPORT in str(await agent.run(WEATHER_QUESTION)), streaming


@row.check("structured")
def structured() -> None:
    template = PromptTemplate("{question}")
    for by_format in (False, True):
        made = model(should_use_structured_outputs=by_format).structured_predict(
            Person, template, question=PERSON_QUESTION
        )
        assert made == Person(name="Ada Lovelace", age=36), by_format


@row.check("images")
def images() -> None:
    blocks = [TextBlock(text=GREETING), ImageBlock(url=RED_DOT)]
    said = model(VISION_MODEL).chat([ChatMessage(role="user", blocks=blocks)])
    assert GREETING in str(said.message.content)


@row.check("embeddings")
def embeddings() -> None:
    assert len(embedder().get_query_embedding("a cat")) == EMBEDDING_SIZE
    documents = [Document(text=text) for text in ("The office cat is called Biscuit.", "Tax is due in March.")]
    # Its own default splitter counts tokens with a table from the internet.
    splitter = SentenceSplitter(tokenizer=str.split)
    index = VectorStoreIndex.from_documents(documents, embed_model=embedder(), transformations=[splitter])
    (best,) = index.as_retriever(similarity_top_k=1).retrieve("What is the cat's name?")
    assert "Biscuit" in best.text


@row.check("responses")
def responses() -> None:
    through = OpenAILikeResponses(
        model=CHAT_MODEL, api_base=BASE_URL, api_key=KEY, max_retries=0, is_function_calling_model=True
    )
    assert GREETING in str(through.chat(asked(GREETING)).message.content)
    assert GREETING in "".join(piece.delta or "" for piece in through.stream_chat(asked(GREETING)))
    (call,) = through.get_tool_calls_from_response(through.chat_with_tools([weather_tool()], WEATHER_QUESTION))
    assert call.tool_kwargs == {"city": "Paris"}


def weather_tool() -> Any:
    from llama_index.core.tools import FunctionTool

    return FunctionTool.from_defaults(get_weather)


@row.check("completions")
def completions() -> None:
    legacy = model(is_chat_model=False, is_function_calling_model=False)
    assert GREETING in str(legacy.complete(GREETING))
    assert GREETING in "".join(piece.delta or "" for piece in legacy.stream_complete(GREETING))


@row.check("agent")
def agent() -> None:
    assert PRODUCT in plain(model(AGENT_MODEL).chat(asked(PRODUCT_QUESTION)).message.content)
    pieces = model(AGENT_MODEL).stream_chat(asked(PRODUCT_QUESTION))
    assert PRODUCT in plain("".join(piece.delta or "" for piece in pieces))


@row.check("builtin")
def builtin() -> None:
    offline = model(AGENT_MODEL, api_base=OFFLINE_BASE_URL, api_key=OFFLINE_KEY)
    assert PRODUCT in plain(offline.chat(asked(PRODUCT_QUESTION)).message.content)


@row.check("errors")
def errors() -> None:
    raises(openai.AuthenticationError, lambda: model(api_key=WRONG_KEY).chat(asked("Hi")))
    raises(openai.NotFoundError, lambda: model(NO_MODEL).chat(asked("Hi")))


row.run()
