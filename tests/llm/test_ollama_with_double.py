"""The provider against the Ollama double: every fault it knows, in all versions it plays."""

import asyncio
import json
from pathlib import Path

import pytest

from backend.llm.ollama import OllamaProvider
from backend.llm.port import ChatRequest, ResponseFormat, Sampling
from backend.models.errors import (
    ContextTooLong,
    HearthError,
    InvalidRequest,
    ModelFault,
    ModelNotFound,
    UpstreamBusy,
    UpstreamCut,
    UpstreamError,
    UpstreamTimeout,
)
from backend.models.messages import Finished, Message, ReasoningDelta, TextDelta, ToolCall, ToolCallMade, Usage
from backend.models.tools import ToolSpec
from tests.doubles.ollama.faults import KINDS
from tests.doubles.ollama_process import OllamaDouble, fault, reply, tool_call
from tests.llm.providing import settings

MATH = ToolSpec(
    "math_calc",
    "Arithmetic",
    {"type": "object", "properties": {"expression": {"type": "string"}}, "required": ["expression"]},
)
QUESTION = "hé 😀 there"
ECHO = f"You said: {QUESTION}"
LLAMA, QWEN = "llama3.2:3b", "qwen3:8b"


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
    provider = OllamaProvider(settings(double.url, ollama_timeout=1.0, ollama_gap_timeout=0.5))
    yield provider
    await provider.aclose()


def ask(text=QUESTION, model=LLAMA, **fields):
    return ChatRequest(model, (Message("user", text),), **fields)


async def events_of(provider, request=None):
    return [event async for event in provider.stream(request or ask())]


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def calls_of(events):
    return [event.call for event in events if isinstance(event, ToolCallMade)]


@pytest.mark.parametrize(
    "kind",
    [
        "bytewise",
        "coalesce",
        "split_line",
        "split_utf8",
        "blank_lines",
        "no_final_newline",
        "gzip",
        "wrong_content_type",
        "final_carries_text",
        "extra_fields",
        "null_fields",
        "counters_absent",
    ],
)
async def test_text_is_the_same_over_every_odd_network(double, provider, kind):
    double.script(fault(kind, match={"path": "/api/chat"}))
    events = await events_of(provider)
    assert text_of(events) == ECHO
    assert [type(event) for event in events[-2:]] == [Usage, Finished]
    assert events[-2].prompt_tokens > 0
    assert events[-2].estimated is (kind in ("counters_absent", "null_fields"))


@pytest.mark.parametrize("version", ["0.5", "0.8", "0.12.3", "0.12.11", "0.33"])
async def test_every_version_answers_and_calls_tools(double, provider, version):
    double.configure(version=version)
    assert text_of(await events_of(provider)) == ECHO
    calls = calls_of(await events_of(provider, ask('[[tool:math_calc:{"expression":"6*7"}]]', tools=(MATH,))))
    if version == "0.5":
        assert "tools" not in (await provider.describe(LLAMA)).capabilities
    assert [(call.name, json.loads(call.arguments)) for call in calls] == [("math_calc", {"expression": "6*7"})]
    assert calls[0].id


@pytest.mark.parametrize(
    ("kind", "fields", "error"),
    [
        ("html_502", {}, UpstreamError),
        ("empty_403", {}, UpstreamError),
        ("unauthorized_401", {}, UpstreamError),
        ("busy_503", {}, UpstreamBusy),
        ("terminated_500", {}, UpstreamError),
        ("crashed_500", {}, UpstreamError),
        ("out_of_memory_500", {}, UpstreamError),
        ("bad_tool_call_500", {}, ModelFault),
        ("nested_error", {}, ContextTooLong),
        ("redirect", {"location": "http://127.0.0.1:1/"}, UpstreamError),
        ("not_json", {}, UpstreamError),
        ("closed", {}, UpstreamCut),
        ("stall", {}, UpstreamTimeout),
        ("stall", {"after_chunks": "headers"}, UpstreamTimeout),
        ("reset", {}, UpstreamCut),
        ("incomplete_chunked", {}, UpstreamCut),
        ("eof_without_done", {}, UpstreamCut),
        ("error_line", {}, UpstreamError),
        ("nested_error_line", {}, HearthError),
        ("empty_answer", {}, ModelFault),
        ("models_null", {}, ModelNotFound),
    ],
)
async def test_ups_1_every_failure_is_a_defined_error(double, provider, kind, fields, error):
    path = "/api/tags" if kind == "models_null" else "/api/chat"
    double.script(fault(kind, match={"path": path}, **fields))
    with pytest.raises(error) as caught:
        await asyncio.wait_for(events_of(provider), 5)
    for leaked in ("127.0.0.1", "/root", "llama-server", "llama runner", "exit status"):
        assert leaked not in caught.value.message


@pytest.mark.parametrize("kind", ["busy_503", "terminated_500", "crashed_500", "html_502", "closed"])
async def test_ups_2_two_passing_failures_are_survived(double, provider, kind):
    double.script(fault(kind, match={"path": "/api/chat"}, times=2))
    assert text_of(await events_of(provider)) == ECHO


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("tool_calls_spread", {}),
        ("final_carries_tool_calls", {}),
        ("repeated_ids", {}),
        ("absent_ids", {}),
        ("zero_index", {}),
        ("string_arguments", {}),
        *(("calls_as_text", {"form": form}) for form in ("object", "parameters", "fenced", "tag", "array")),
        ("calls_as_text", {"form": "function"}),
    ],
)
async def test_calls_come_out_whole_and_with_unique_ids(double, provider, kind, fields):
    two = [tool_call("math_calc", {"expression": text}) for text in ("6*7", "1+1")]
    double.script(reply("", *two, faults=fault(kind, **fields)))
    events = await events_of(provider, ask(tools=(MATH,)))
    calls = calls_of(events)
    assert [json.loads(call.arguments) for call in calls] == [{"expression": "6*7"}, {"expression": "1+1"}]
    assert len({call.id for call in calls}) == 2
    assert events[-1] == Finished("tool_calls")


async def test_several_calls_written_in_a_row_are_all_made(double, provider):
    double.script(
        reply("", tool_call("math_calc", {"expression": "6*7"}), faults=fault("calls_as_text", form="several"))
    )
    assert len(calls_of(await events_of(provider, ask(tools=(MATH,))))) == 2


async def test_calls_inside_prose_stay_text(double, provider):
    prose = fault("calls_as_text", form="prose")
    double.script(reply("", tool_call("math_calc", {"expression": "6*7"}), faults=prose))
    events = await events_of(provider, ask(tools=(MATH,)))
    assert calls_of(events) == []
    assert "math_calc" in text_of(events)


@pytest.mark.parametrize("kind", ["think_in_content", "think_tag_split", "think_no_opener"])
async def test_thinking_in_the_content_never_reaches_the_answer(double, provider, kind):
    double.script(reply("It is 42.", faults=fault(kind, text="Six times seven.")))
    events = await events_of(provider, ask(model=QWEN))
    assert text_of(events).strip() == "It is 42."
    assert "Six times seven." in "".join(e.text for e in events if isinstance(e, ReasoningDelta))


async def test_thinking_alone_is_followed_by_an_answer_without(double, provider):
    double.script(fault("thinking_only", times=1))
    events = await events_of(provider, ask(model=QWEN))
    assert text_of(events)
    assert [entry["body"].get("think") for entry in double.log("/api/chat")] == [None, False]


async def test_unicode_oddities_come_through(double, provider):
    double.script(fault("unicode_oddities"))
    assert "\u0085" in text_of(await events_of(provider))


async def test_line_of_several_mebibytes_is_read(double, provider):
    double.script(fault("long_line", mib=4))
    assert len(text_of(await events_of(provider))) >= 4 * 1024 * 1024


async def test_structured_answer_fits_the_schema(double, provider):
    schema = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}
    events = await events_of(provider, ask(response_format=ResponseFormat("json_schema", "a", schema)))
    assert json.loads(text_of(events)).keys() == {"answer"}


async def test_json_answer_of_endless_blanks_ends(double, provider):
    double.script(fault("endless_whitespace"))
    request = ask(response_format=ResponseFormat("json_object"))
    try:
        events = await asyncio.wait_for(events_of(provider, request), 5)
    except ModelFault:
        return
    assert isinstance(events[-1], Finished)


async def test_results_of_calls_are_accepted_by_the_server(double, provider):
    call = ToolCall("call_1", "math_calc", '{"expression":"6*7"}')
    messages = (
        Message("system", "A"),
        Message("user", "6*7?"),
        Message("system", "B"),
        Message("assistant", "", tool_calls=(call,)),
        Message("tool", "42", tool_call_id="call_1", name="math_calc"),
    )
    assert "42" in text_of(await events_of(provider, ChatRequest(LLAMA, messages, tools=(MATH,))))


async def test_model_is_never_loaded_anew_while_the_window_suffices(double, provider):
    for sampling in (Sampling(), Sampling(temperature=0, max_tokens=5), Sampling(seed=1, stop=("x",))):
        await events_of(provider, ask(sampling=sampling))
    await events_of(provider, ask(response_format=ResponseFormat("json_object")))
    assert double.stats()["total_reloads"] == 0


async def test_long_conversation_is_not_cut_by_the_server(double, provider):
    history = [Message(role, f"{n} " + "word " * 200) for n in range(20) for role in ("user", "assistant")]
    await events_of(provider, ChatRequest(LLAMA, (Message("system", "S"), *history, Message("user", QUESTION))))
    entry = double.log("/api/chat")[-1]
    assert entry["kept_messages"] == len(entry["body"]["messages"]) == 42


async def test_conversation_beyond_the_trained_window_loses_its_oldest_turns_only(double, provider):
    history = [Message(role, f"{n} " + "word " * 200) for n in range(20) for role in ("user", "assistant")]
    messages = (Message("system", "S"), *history, Message("user", QUESTION))
    await events_of(provider, ChatRequest("tinyllama:latest", messages))
    entry = double.log("/api/chat")[-1]
    sent = entry["body"]["messages"]
    assert entry["kept_messages"] == len(sent) < 42
    assert (sent[0]["content"], sent[1]["role"], sent[-1]["content"]) == ("S", "user", QUESTION)


@pytest.mark.parametrize("model", [QWEN, LLAMA])
async def test_prompt_too_long_for_the_model_is_refused_before_it_is_sent(double, provider, model):
    with pytest.raises(ContextTooLong):
        await events_of(provider, ask("x" * 800_000, model=model))
    assert double.log("/api/chat") == []


async def test_capabilities_are_respected(double, provider):
    with pytest.raises(InvalidRequest) as caught:
        await events_of(provider, ask(model="tinyllama", tools=(MATH,)))
    assert caught.value.code == "tools_unsupported"
    assert text_of(await events_of(provider, ask(model="tinyllama", reasoning_effort="high")))
    assert "think" not in double.log("/api/chat")[-1]["body"]


async def test_chat_models_are_listed_without_the_embedders(provider):
    chat = {info.id for info in await provider.list_models()}
    embedding = {info.id for info in await provider.embedding_models()}
    assert {LLAMA, QWEN, "tinyllama:latest", "llava:7b"} == chat
    assert {"nomic-embed-text:latest", "all-minilm:latest"} == embedding


async def test_ups_3_cancelled_answer_is_disconnected_within_a_second(double, provider):
    task = asyncio.create_task(events_of(provider, ask("[[tokens:1000]] [[delay:50]]")))
    await asyncio.to_thread(double.wait_for_log, lambda log: any(e["path"] == "/api/chat" for e in log))
    await asyncio.sleep(0.2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.to_thread(
        double.wait_for_log, lambda log: any(e["path"] == "/api/chat" and e["disconnected_at"] for e in log), 1.0
    )
    assert double.stats()["active_requests"] == 0


def test_faults_of_the_double_are_all_looked_at_here_or_harmless_to_the_provider():
    source = Path(__file__).read_text(encoding="utf-8")
    elsewhere = {
        "status", "delay_headers", "delay_chunks", "done_reason", "wrong_arguments", "unknown_tool", "empty_name",
        "truncated_arguments", "duplicate_calls", "endless_repetition", "endless_text", "json_cut", "json_fenced",
    }  # fmt: skip
    assert {kind for kind in KINDS if f'"{kind}"' not in source} <= elsewhere
