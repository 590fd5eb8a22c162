"""A provider over scripted sockets, and ways to ask it."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager

from backend.config.settings import load_settings
from backend.llm.ollama import OllamaProvider
from backend.llm.port import ChatRequest
from backend.models.errors import HearthError
from backend.models.messages import Message, TextDelta
from backend.models.tools import ToolSpec
from tests.llm.raw_upstream import RawUpstream, model_info, says, serving

CLOCK = ToolSpec("clock", "The time", {"type": "object", "properties": {}})
THINKER = {"capabilities": ["completion", "tools", "thinking"], "model_info": model_info(40960)}


def settings(*urls, **more):
    limits = {"ollama_timeout": 2.0, "ollama_gap_timeout": 0.5, "ollama_model": None, "ollama_num_ctx": None}
    return load_settings(_env_file=None, ollama_host=urls, **(limits | more))


@asynccontextmanager
async def provider_of(*upstreams, **more):
    provider = OllamaProvider(settings(*(upstream.url for upstream in upstreams), **more))
    try:
        yield provider
    finally:
        await provider.aclose()


@asynccontextmanager
async def serving_provider(*scripts, models=None, **more):
    upstream = RawUpstream(scripts=list(scripts) or [says("Hi")])
    if models:
        upstream.models = models
    async with serving(upstream), provider_of(upstream, **more) as provider:
        yield upstream, provider


def ask(text="hello", model="m", **fields):
    return ChatRequest(model, (Message("user", text),), **fields)


async def events_of(provider, request=None):
    return [event async for event in provider.stream(request or ask())]


async def text_of(provider, request=None):
    return "".join(e.text for e in await events_of(provider, request) if isinstance(e, TextDelta))


async def until(true):
    """Wait until something holds, at most 5 s."""
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


def free_url():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


async def until_failure(provider, request=None):
    """The events before the failure, and the failure."""
    seen = []
    try:
        async for event in provider.stream(request or ask()):
            seen.append(event)  # noqa: PERF401 - what came before the failure counts
    except HearthError as error:
        return seen, error
    raise AssertionError(f"no failure after {seen}")
