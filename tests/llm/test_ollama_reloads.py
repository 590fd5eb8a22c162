"""The window as Ollama sees it: the model is loaded anew only when it must grow, and never beyond the memory."""

from __future__ import annotations

import asyncio
import logging

import pytest

from backend.llm.ollama import OllamaProvider
from backend.llm.port import ChatRequest, ResponseFormat, Sampling
from backend.models.errors import HearthError
from backend.models.messages import Message, TextDelta
from backend.models.tools import ToolSpec
from tests.doubles.ollama_process import OllamaDouble, reply
from tests.llm.providing import settings

LLAMA, QWEN = "llama3.2:3b", "qwen3:8b"
MATH = ToolSpec("math_calc", "Arithmetic", {"type": "object", "properties": {"expression": {"type": "string"}}})
SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}


@pytest.fixture(scope="module")
def process():
    with OllamaDouble() as double:
        yield double


@pytest.fixture
def double(process):
    process.reset()
    return process


@pytest.fixture
async def provider(double):
    provider = OllamaProvider(settings(double.url))
    yield provider
    await provider.aclose()


async def answer_of(provider, *messages, model=LLAMA, **fields):
    stream = provider.stream(ChatRequest(model, messages or (Message("user", "hello"),), **fields))
    return "".join([event.text async for event in stream if isinstance(event, TextDelta)])


def sized(characters):
    return Message("user", "x" * characters)


def windows(double):
    return [entry["body"]["options"]["num_ctx"] for entry in double.log("/api/chat")]


async def test_every_kind_of_call_shares_one_window(double, provider):
    kinds = [
        {},
        {"tools": (MATH,)},
        {"tools": (MATH,), "tool_choice": "required"},
        {"response_format": ResponseFormat("json_schema", "a", SCHEMA), "sampling": Sampling(temperature=0)},
        {"response_format": ResponseFormat("json_object"), "sampling": Sampling(max_tokens=64, seed=1)},
        {"sampling": Sampling(stop=("x",), presence_penalty=1.0)},
        {"reasoning_effort": "low"},
        {"reasoning_effort": "none", "step": "route"},
    ]
    for fields in kinds * 2:
        await answer_of(provider, model=QWEN, **fields)
    assert set(windows(double)) == {4096}
    assert double.stats()["reloads"] == {}
    assert {"num_ctx"} == {
        key
        for entry in double.log("/api/chat")
        for key in entry["body"]["options"]
        if key in ("num_ctx", "num_gpu", "num_batch", "num_thread", "main_gpu", "use_mmap", "num_keep")
    }


async def test_growing_conversation_costs_one_load_a_step_and_none_on_the_way_back(double, provider):
    for characters in (100, 9000, 12_000, 20_000, 40_000, 100, 20_000):
        await answer_of(provider, sized(characters))
    assert windows(double) == [4096, 4096, 8192, 8192, 16_384, 16_384, 16_384]
    assert double.stats()["total_reloads"] == 2


async def test_answer_room_of_a_hundred_thousand_tokens_does_not_fill_the_memory(double, provider):
    await answer_of(provider, sampling=Sampling(max_tokens=100_000))
    assert windows(double) == [32_768]
    assert double.log("/api/chat")[0]["body"]["options"]["num_predict"] == 100_000


async def test_two_sizes_at_once_do_not_take_the_window_from_each_other(double, provider):
    double.configure(num_parallel=4)
    double.models([{"name": LLAMA, "context_length": 131_072, "load_seconds": 0.3, "capabilities": ["completion"]}])
    await provider.describe(LLAMA)
    large = asyncio.create_task(answer_of(provider, sized(40_000)))
    await asyncio.to_thread(double.wait_for_log, lambda log: any(entry["path"] == "/api/chat" for entry in log))
    await asyncio.gather(*(answer_of(provider, sized(10)) for _ in range(3)), large)
    assert windows(double) == [16_384] * 4
    assert double.stats()["total_loads"] == 1


async def test_window_the_model_is_loaded_with_already_is_taken_over(double, provider):
    other = OllamaProvider(settings(double.url, ollama_num_ctx=8192))
    await answer_of(other)
    await other.aclose()
    await answer_of(provider)
    assert windows(double) == [8192, 8192]
    assert double.stats()["total_reloads"] == 0


async def test_window_too_large_for_the_memory_is_halved_and_remembered(double, provider):
    short = "model requires more system memory (9.1 GiB) than is available (3.1 GiB)"
    double.script(reply(error=short, status=500, times=1))
    history = (sized(40_000), Message("assistant", "ok"), Message("user", "and now?"))
    assert "and now?" in await answer_of(provider, *history)
    assert windows(double) == [16_384, 8192]
    assert "and now?" in await answer_of(provider, *history)
    assert windows(double)[2:] == [8192], "not tried again"


async def test_memory_that_never_suffices_is_said(double, provider):
    double.script(reply(error="llama-server: out-of-memory during startup", status=500))
    with pytest.raises(HearthError, match=r"memory.*smaller") as caught:
        await answer_of(provider, sized(40_000))
    assert caught.value.code == "out_of_memory"
    assert windows(double)[0] == 16_384
    assert len(windows(double)) <= 5


async def test_prompt_that_ollama_found_longer_is_fitted_with_more_caution(double, provider):
    text = '{"error":{"code":400,"message":"exceeds the available context size","type":"exceed_context_size_error"}}'
    double.script(reply(error=text, status=400, times=1))
    messages = [m for n in range(40) for m in (sized(3000), Message("assistant", f"a{n}"))]
    await answer_of(provider, *messages, Message("user", "now"))
    first, second = (len(entry["body"]["messages"]) for entry in double.log("/api/chat"))
    assert second < first
    assert windows(double) == [32_768, 32_768]


@pytest.mark.parametrize(
    ("read", "warned"),
    [(300, True), (2048, True), (2700, False)],
    ids=["far less", "half the window", "all of it"],
)
async def test_prompt_of_which_ollama_read_only_a_part_is_logged(double, caplog, read, warned):
    double.script(reply("fine", prompt_eval_count=read))
    provider = OllamaProvider(settings(double.url, ollama_num_ctx=4096))
    with caplog.at_level(logging.WARNING, "hearth.ollama"):
        await answer_of(provider, sized(11_000), sampling=Sampling(max_tokens=10))
    await provider.aclose()
    assert any("dropped the rest" in each.message for each in caplog.records) is warned
