"""The encoding of events: every frame a whole chunk, text unchanged, details exactly once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from backend.api.openai_body import CompletionBody, chat_completion
from backend.api.openai_stream import ChatChunks, Head, ScoredChunks, SeveralChunks, fingerprint
from backend.api.sse import EventStream
from backend.models.errors import UpstreamCut, UpstreamUnreachable
from backend.models.messages import (
    Event,
    Finished,
    OfChoice,
    ReasoningDelta,
    Route,
    RouteChosen,
    Sources,
    StepPlanned,
    TextDelta,
    TokenLogprob,
    TokenLogprobs,
    ToolCall,
    ToolCallMade,
    ToolFinished,
    ToolStarted,
    Usage,
)
from backend.models.run import Owner, RunContext
from backend.models.tools import Citation, Source

CONTEXT = RunContext(Owner("default", "u1"), "run_1", "s1", "req_1", base_url="http://127.0.0.1:8000")
SOURCE = Source("document", "a.pdf, p. 3", "the passage", "/files/f1/view#page=3", "f1", "a.pdf", 3, 0.9)
AGENT_RUN: list[Event] = [
    RouteChosen(Route("agentic", "react", "arithmetic", 0.9, 0.001)),
    ReasoningDelta("let me see"),
    StepPlanned("t1", 0, "math_calc", {"expression": "1+1"}),
    ToolStarted("t1", 0, "math_calc", {"expression": "1+1"}, 1.0),
    ToolFinished("t1", 0, "math_calc", {"expression": "1+1"}, "completed", "2", 1.0, 0.5),
    TextDelta("It is 2 "),
    TextDelta("[1]."),
    Sources((Citation(1, SOURCE, 8, 11),)),
    Usage(10, 5),
    Usage(7, 3, step="plan"),
    Finished("stop"),
]


async def stream(events: list[Event | Exception]) -> AsyncGenerator[Event, None]:
    for event in events:
        if isinstance(event, Exception):
            raise event
        yield event


def frames(events: list[Event], *, include_usage: bool = False) -> list[dict[str, Any]]:
    encoder = ChatChunks(CONTEXT, "m", include_usage=include_usage)
    raw = encoder.opening() + b"".join(encoder.encode(event) for event in events)
    assert raw.endswith(b"data: [DONE]\n\n")
    return [json.loads(part[6:]) for part in raw.decode().split("\n\n") if part and part != "data: [DONE]"]


def test_every_frame_is_a_chunk_with_one_choice() -> None:
    for frame in frames(AGENT_RUN):
        assert frame["object"] == "chat.completion.chunk" and len(frame["choices"]) == 1
        choice = frame["choices"][0]
        assert set(choice) == {"index", "delta", "logprobs", "finish_reason"} and choice["index"] == 0
    assert (
        len({(f["id"], f["created"], f["model"]) for f in frames([TextDelta("a"), TextDelta("b"), Finished("stop")])})
        == 1
    )


@pytest.mark.parametrize(
    "text", ["plain", 'quo"te', "back\\slash", "new\nline", "emoji 👋", "\u2028 \u0085", "<b>&", "\x00\x1f"]
)
def test_text_arrives_as_it_was_sent(text: str) -> None:
    out = frames([TextDelta(text), Finished("stop")])
    assert "".join(f["choices"][0]["delta"].get("content", "") for f in out) == text


def test_details_come_once_in_the_finish_chunk() -> None:
    out = frames(AGENT_RUN)
    with_hearth = [f for f in out if "hearth" in f["choices"][0]["delta"]]
    assert with_hearth == [out[-1]] and out[-1]["choices"][0]["finish_reason"] == "stop"
    delta = out[-1]["choices"][0]["delta"]
    assert delta["annotations"] == [
        {
            "type": "url_citation",
            "url_citation": {
                "start_index": 8, "end_index": 11, "title": "a.pdf, p. 3",
                "url": "http://127.0.0.1:8000/files/f1/view#page=3",
            },
        }
    ]  # fmt: skip
    step = delta["hearth"]["steps"][0]
    assert step["status"] == "completed" and step["duration_ms"] == 500 and step["output_preview"] == "2"
    assert delta["hearth"]["usage_by_step"][1]["step"] == "plan"
    assert out[-1]["session_id"] == "s1" and out[-1]["run_id"] == "run_1"


def test_live_events_are_a_top_level_key_on_empty_chunks() -> None:
    live = [f for f in frames(AGENT_RUN) if "hearth_event" in f]
    assert [f["hearth_event"]["type"] for f in live] == ["route", "step_planned", "tool_started", "tool_finished"]
    assert all(f["choices"][0]["delta"] == {"content": ""} for f in live)


def test_plain_chat_has_no_live_events() -> None:
    out = frames([RouteChosen(Route("chat", "chat", "small talk", 0.9)), TextDelta("hi"), Finished("stop")])
    assert not [f for f in out if "hearth_event" in f]


def test_reasoning_goes_under_both_names_and_not_into_content() -> None:
    delta = next(f["choices"][0]["delta"] for f in frames(AGENT_RUN) if "reasoning" in f["choices"][0]["delta"])
    assert delta == {"reasoning_content": "let me see", "reasoning": "let me see"}


@pytest.mark.parametrize("asked", [True, False])
def test_usage_chunk_only_when_asked(asked: bool) -> None:
    encoder = ChatChunks(CONTEXT, "m", include_usage=asked)
    raw = b"".join(encoder.encode(event) for event in AGENT_RUN).decode()
    parts = [json.loads(p[6:]) for p in raw.split("\n\n") if p and "[DONE]" not in p]
    if asked:
        assert parts[-1]["choices"] == []
        usage = parts[-1]["usage"]
        assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (17, 8, 25)
        assert usage["completion_tokens_details"]["reasoning_tokens"] == 0
        assert usage["prompt_tokens_details"]["cached_tokens"] == 0
        assert all(part["usage"] is None for part in parts[:-1])
    else:
        assert 'usage":' not in raw.replace("usage_by_step", "")


def test_callers_tool_calls_have_index_id_and_name_in_the_first_delta() -> None:
    calls: list[Event] = [ToolCallMade(ToolCall(f"c{n}", "f", '{"a":1}')) for n in range(2)]
    out = frames([*calls, Finished("tool_calls")])
    deltas = [f["choices"][0]["delta"]["tool_calls"][0] for f in out if "tool_calls" in f["choices"][0]["delta"]]
    assert [d["index"] for d in deltas] == [0, 0, 1, 1]
    assert deltas[0] == {"index": 0, "id": "c0", "type": "function", "function": {"name": "f", "arguments": ""}}
    assert deltas[1] == {"index": 0, "function": {"arguments": '{"a":1}'}}
    assert out[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_body_of_an_answer_that_is_not_streamed() -> None:
    body = await chat_completion(stream(list(AGENT_RUN)), CompletionBody(CONTEXT, Head("m")))
    choice = body["choices"][0]
    assert set(choice) == {"index", "message", "logprobs", "finish_reason"}
    assert choice["message"]["content"] == "It is 2 [1]." and choice["message"]["refusal"] is None
    assert choice["message"]["hearth"]["citations"][0]["quote"] == "the passage"
    assert body["usage"]["total_tokens"] == 25 and body["session_id"] == "s1"


class Socket:
    """The server's side of one connection."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.gone = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    async def run(self, events: AsyncGenerator[Event, None]) -> None:
        response = EventStream(events, ChatChunks(CONTEXT, "m", include_usage=False), {})
        await response({"type": "http", "method": "POST", "path": "/", "headers": []}, self.receive, self.send)  # type: ignore[arg-type]

    @property
    def body(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()


async def test_failure_before_the_first_event_is_an_http_status() -> None:
    socket = Socket()
    route = RouteChosen(Route("chat", "chat", "why not", 0.5))
    await socket.run(stream([route, UpstreamUnreachable("Start Ollama.")]))
    assert socket.sent[0]["status"] == 503 and "Start Ollama." in socket.body


async def test_failure_after_the_first_event_is_an_error_frame_without_a_finish() -> None:
    socket = Socket()
    await socket.run(stream([TextDelta("half"), UpstreamCut("It broke off.")]))
    assert socket.sent[0]["status"] == 200
    last = json.loads(socket.body.strip().split("\n\n")[-1][6:])
    assert last["error"]["message"] == "It broke off." and '"finish_reason":"stop"' not in socket.body
    assert socket.sent[-1]["more_body"] is False


async def test_unexpected_failure_tells_nothing_about_itself() -> None:
    socket = Socket()
    await socket.run(stream([TextDelta("half"), RuntimeError("/secret/path")]))
    assert "secret" not in socket.body and '"error"' in socket.body


async def test_client_that_leaves_cancels_the_work() -> None:
    socket, closed = Socket(), asyncio.Event()

    async def endless() -> AsyncGenerator[Event, None]:
        try:
            while True:
                yield TextDelta("x")
                await asyncio.sleep(0.001)
        finally:
            closed.set()

    running = asyncio.create_task(socket.run(endless()))
    await asyncio.sleep(0.02)
    socket.gone.set()
    await asyncio.wait_for(running, 1)
    assert closed.is_set()


# ---- probabilities, several answers, the older form of calls ------------------------------------------

SCORED: list[Event] = [
    TokenLogprobs((TokenLogprob("Yes", -0.1, (89, 101, 115), (TokenLogprob("No", -2.5),)),)),
    TextDelta("Yes"),
    TokenLogprobs((TokenLogprob(".", -0.2),)),
    TokenLogprobs((TokenLogprob("!", -0.3),)),
    TextDelta(".!"),
    Usage(3, 2, 1),
    Finished("stop"),
]
YES = {
    "token": "Yes", "logprob": -0.1, "bytes": [89, 101, 115],
    "top_logprobs": [{"token": "No", "logprob": -2.5, "bytes": None}],
}  # fmt: skip


def parsed(raw: bytes) -> list[dict[str, Any]]:
    assert raw.endswith(b"data: [DONE]\n\n") and raw.count(b"[DONE]") == 1
    return [json.loads(part[6:]) for part in raw.decode().split("\n\n") if part and part != "data: [DONE]"]


def test_probabilities_stand_beside_the_text_they_belong_to() -> None:
    encoder = ScoredChunks(CONTEXT, "m", include_usage=False)
    out = parsed(encoder.opening() + b"".join(encoder.encode(event) for event in SCORED))
    told = [(f["choices"][0]["delta"].get("content"), f["choices"][0]["logprobs"]) for f in out]
    assert told[1] == ("Yes", {"content": [YES], "refusal": None})
    assert [each["token"] for each in told[2][1]["content"]] == [".", "!"]
    assert [logprobs for _, logprobs in (told[0], told[-1])] == [None, None]


async def test_probabilities_of_a_whole_answer_are_one_list() -> None:
    body = await chat_completion(stream(list(SCORED)), CompletionBody(CONTEXT, Head("m")))
    logprobs = body["choices"][0]["logprobs"]
    assert logprobs["content"][0] == YES and len(logprobs["content"]) == 3 and logprobs["refusal"] is None
    assert body["usage"]["completion_tokens_details"]["reasoning_tokens"] == 1


SEVERAL: list[Event] = [
    OfChoice(1, TextDelta("b")),
    OfChoice(0, TextDelta("a")),
    OfChoice(1, Usage(5, 1)),
    OfChoice(1, Finished("length")),
    OfChoice(0, TextDelta("!")),
    OfChoice(0, Usage(5, 2)),
    OfChoice(0, Finished("stop")),
]


def several(*, include_usage: bool) -> list[dict[str, Any]]:
    head = Head("m")
    choices = [ChatChunks(CONTEXT, "m", include_usage=include_usage, head=head, index=index) for index in range(2)]
    encoder = SeveralChunks(choices)
    return parsed(encoder.opening() + b"".join(encoder.encode(event) for event in SEVERAL))


def test_several_answers_interleave_by_index_in_one_stream() -> None:
    out = several(include_usage=True)
    assert len({(f["id"], f["created"], f["system_fingerprint"]) for f in out}) == 1
    *chunks, last = out
    assert all(len(f["choices"]) == 1 and f["usage"] is None for f in chunks)
    assert (last["choices"], last["usage"]["prompt_tokens"], last["usage"]["completion_tokens"]) == ([], 10, 3)
    per_choice: dict[int, list[dict[str, Any]]] = {}
    for frame in chunks:
        per_choice.setdefault(frame["choices"][0]["index"], []).append(frame["choices"][0])
    for index, text, reason in ((0, "a!", "stop"), (1, "b", "length")):
        mine = per_choice[index]
        assert mine[0]["delta"]["role"] == "assistant"
        assert "".join(choice["delta"].get("content", "") for choice in mine) == text
        assert [choice["finish_reason"] for choice in mine if choice["finish_reason"]] == [reason]
        assert mine[-1]["finish_reason"] == reason and "hearth" in mine[-1]["delta"]


def test_several_answers_without_usage_end_with_the_last_finish() -> None:
    out = several(include_usage=False)
    assert out[-1]["choices"][0]["finish_reason"] == "stop" and all("usage" not in f for f in out)


async def test_several_answers_make_one_body_in_the_order_of_their_index() -> None:
    body = await chat_completion(stream(list(SEVERAL)), CompletionBody(CONTEXT, Head("m"), 2))
    assert [(c["index"], c["message"]["content"], c["finish_reason"]) for c in body["choices"]] == [
        (0, "a!", "stop"), (1, "b", "length"),
    ]  # fmt: skip
    assert body["usage"]["total_tokens"] == 13


def test_older_form_of_calls_streams_a_function_call() -> None:
    encoder = ChatChunks(CONTEXT, "m", include_usage=False, older_calls=True)
    events: list[Event] = [ToolCallMade(ToolCall("c1", "f", '{"a":1}')), Finished("tool_calls")]
    out = parsed(encoder.opening() + b"".join(encoder.encode(event) for event in events))
    deltas = [f["choices"][0]["delta"] for f in out]
    assert [d["function_call"] for d in deltas if "function_call" in d] == [
        {"name": "f", "arguments": ""}, {"arguments": '{"a":1}'},
    ]  # fmt: skip
    assert out[-1]["choices"][0]["finish_reason"] == "function_call" and "tool_calls" not in str(out)


async def test_older_form_of_calls_in_a_whole_answer() -> None:
    events: list[Event] = [ToolCallMade(ToolCall("c1", "f", '{"a":1}')), Finished("tool_calls")]
    body = await chat_completion(stream(events), CompletionBody(CONTEXT, Head("m"), older_calls=True))
    choice = body["choices"][0]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert choice["message"]["content"] is None and choice["finish_reason"] == "function_call"


def test_fingerprint_stays_with_the_weights() -> None:
    assert fingerprint("m") == fingerprint("m") != fingerprint("n")
    assert all(f["system_fingerprint"] == fingerprint("m") for f in frames([TextDelta("a"), Finished("stop")]))
