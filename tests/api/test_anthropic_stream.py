"""Events as Anthropic's clients read them: blocks one after the other, text unchanged, our own tools out of the way."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from backend.api.anthropic_errors import anthropic_error, speaks_anthropic
from backend.api.anthropic_stream import MessageEvents, Shown, Thinking, message_body
from backend.models.messages import (
    Event,
    Finished,
    FinishReason,
    ReasoningDelta,
    Route,
    RouteChosen,
    StepStatus,
    TextDelta,
    ToolCall,
    ToolCallMade,
    ToolFinished,
    ToolStarted,
    Usage,
)
from backend.models.run import Owner, RunContext

CONTEXT = RunContext(Owner("default", "u1"), "run_1", "s1", "req_1", base_url="http://127.0.0.1:8000")
CALL = ToolCallMade(ToolCall("call_a", "open_door", '{"which":"front"}'))
SEARCHED = {"engine": "x", "query": "q", "results": [{"title": "T", "url": "https://e.org", "date": "2026"}]}
FAILED = {"stdout": "", "value": None, "stderr": "", "error": "ZeroDivisionError", "stopped": None}
RAN = {"stdout": "42\n", "value": "7", "stderr": "", "error": None, "stopped": None}


def step(name: str, status: StepStatus = "completed", data: Any = None, **arguments: Any) -> list[Event]:
    return [
        ToolStarted("t.1", 0, name, arguments, 1.0),
        ToolFinished("t.1", 0, name, arguments, status, "output", 1.0, 0.5, None if data else "failed", data),
    ]


def shown(thinking: Thinking = "none", *server_tools: str) -> Shown:
    return Shown(CONTEXT, "m", 11, thinking, frozenset(server_tools))


def frames(events: Sequence[Event], how: Shown | None = None) -> list[dict[str, Any]]:
    encoder = MessageEvents(how or shown())
    raw = encoder.opening() + b"".join(encoder.encode(event) for event in events)
    out = []
    for part in raw.decode().split("\n\n")[:-1]:
        named, data = part.split("\n")
        frame = json.loads(data.removeprefix("data: "))
        assert named == f"event: {frame['type']}"
        out.append(frame)
    return out


def assembled(out: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks as a client puts them together; asserts that they follow one another."""
    blocks: list[dict[str, Any]] = []
    json_text, is_open = "", False
    for frame in out:
        if frame["type"] == "content_block_start":
            assert not is_open and frame["index"] == len(blocks)
            blocks.append(dict(frame["content_block"]))
            json_text, is_open = "", True
        elif frame["type"] == "content_block_delta":
            assert is_open and frame["index"] == len(blocks) - 1
            delta, block = frame["delta"], blocks[-1]
            if delta["type"] == "input_json_delta":
                json_text += delta["partial_json"]
            else:
                key = delta["type"].removesuffix("_delta")
                block[key] += delta[key]
        elif frame["type"] == "content_block_stop":
            assert is_open and frame["index"] == len(blocks) - 1
            is_open = False
            if json_text:
                blocks[-1]["input"] = json.loads(json_text)
    assert not is_open
    return blocks


async def whole(events: Sequence[Event], how: Shown | None = None) -> dict[str, Any]:
    async def given() -> AsyncGenerator[Event, None]:
        for event in events:
            yield event

    return await message_body(given(), how or shown())


SHOWINGS: dict[str, tuple[list[Event], Shown, list[dict[str, Any]]]] = {
    "text": ([TextDelta("It "), TextDelta("is.")], shown(), [{"type": "text", "text": "It is."}]),
    "nothing": ([], shown(), []),
    "thinking nobody asked for": ([ReasoningDelta("hm"), TextDelta("a")], shown(), [{"type": "text", "text": "a"}]),
    "thinking": (
        [ReasoningDelta("h"), ReasoningDelta("m"), TextDelta("a")],
        shown("shown"),
        [{"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "a"}],
    ),
    "thinking without its text": (
        [ReasoningDelta("hm"), TextDelta("a")],
        shown("omitted"),
        [{"type": "thinking", "thinking": "", "signature": ""}, {"type": "text", "text": "a"}],
    ),
    "text and a call": (
        [TextDelta("Well."), CALL],
        shown(),
        [
            {"type": "text", "text": "Well."},
            {"type": "tool_use", "id": "toolu_call_a", "name": "open_door", "input": {"which": "front"}},
        ],
    ),
    "arguments that are no object": (
        [ToolCallMade(ToolCall("toolu_b", "f", "[1]")), ToolCallMade(ToolCall("c/d", "f", "{broken"))],
        shown(),
        [
            {"type": "tool_use", "id": "toolu_b", "name": "f", "input": {"input": [1]}},
            {"type": "tool_use", "id": "toolu_c_d", "name": "f", "input": {"input": "{broken"}},
        ],
    ),
    "a tool of ours that was not asked for": (
        [*step("web_search", data=SEARCHED, query="q"), TextDelta("a [1]")],
        shown(),
        [{"type": "text", "text": "a [1]"}],
    ),
    "a web search": (
        [*step("web_search", data=SEARCHED, query="q", max_results=5), TextDelta("a")],
        shown("none", "web_search"),
        [
            {"type": "server_tool_use", "id": "srvtoolu_t_1", "name": "web_search", "input": {"query": "q"}},
            {
                "type": "web_search_tool_result", "tool_use_id": "srvtoolu_t_1",
                "content": [{"type": "web_search_result", "url": "https://e.org", "title": "T",
                             "encrypted_content": "", "page_age": "2026"}],
            },
            {"type": "text", "text": "a"},
        ],
    ),
    "a web search that failed": (
        step("web_search", "failed", query="q"),
        shown("none", "web_search"),
        [
            {"type": "server_tool_use", "id": "srvtoolu_t_1", "name": "web_search", "input": {"query": "q"}},
            {
                "type": "web_search_tool_result", "tool_use_id": "srvtoolu_t_1",
                "content": {"type": "web_search_tool_result_error", "error_code": "unavailable"},
            },
        ],
    ),
    "code": (
        step("python_code", data=RAN, code="print(6*7)\n7"),
        shown("none", "python_code"),
        [
            {"type": "server_tool_use", "id": "srvtoolu_t_1", "name": "code_execution",
             "input": {"code": "print(6*7)\n7"}},
            {
                "type": "code_execution_tool_result", "tool_use_id": "srvtoolu_t_1",
                "content": {"type": "code_execution_result", "stdout": "42\n\n7", "stderr": "", "return_code": 0,
                            "content": []},
            },
        ],
    ),
    "code that failed": (
        step("python_code", "failed", data=FAILED, code="1/0"),
        shown("none", "python_code"),
        [
            {"type": "server_tool_use", "id": "srvtoolu_t_1", "name": "code_execution", "input": {"code": "1/0"}},
            {
                "type": "code_execution_tool_result", "tool_use_id": "srvtoolu_t_1",
                "content": {"type": "code_execution_result", "stdout": "", "stderr": "ZeroDivisionError",
                            "return_code": 1, "content": []},
            },
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SHOWINGS)
async def test_stream_and_body_show_the_same_blocks(name: str) -> None:
    events, how, blocks = SHOWINGS[name]
    events = [*events, Usage(10, 5), Finished("stop")]
    assert assembled(frames(events, how)) == blocks
    assert (await whole(events, how))["content"] == blocks


async def test_a_fetched_page_is_a_document() -> None:
    data = {"url": "https://e.org/a", "title": "A"}
    (block,) = (await whole(step("fetch_url", data=data, url="e.org/a"), shown("none", "fetch_url")))["content"][1:]
    assert block["type"] == "web_fetch_tool_result"
    fetched = block["content"]
    assert (fetched["type"], fetched["url"]) == ("web_fetch_result", "https://e.org/a")
    assert fetched["content"]["title"] == "A"
    assert fetched["content"]["source"] == {"type": "text", "media_type": "text/plain", "data": "output"}


@pytest.mark.parametrize(
    "text", ["plain", 'quo"te', "back\\slash", "new\nline", "emoji 👋", "\u2028 \u0085", "\x00\x1f"]
)
def test_text_arrives_as_it_was_sent(text: str) -> None:
    assert assembled(frames([TextDelta("a"), TextDelta(text), Finished("stop")]))[0]["text"] == "a" + text


def test_frames_come_in_anthropics_order() -> None:
    kinds = [frame["type"] for frame in frames([TextDelta("a"), TextDelta("b"), Usage(10, 5), Finished("stop")])]
    assert kinds == [
        "message_start", "ping", "content_block_start", "content_block_delta", "content_block_delta",
        "content_block_stop", "message_delta", "message_stop",
    ]  # fmt: skip


def test_message_starts_empty_with_an_estimate_and_ends_with_what_was_counted() -> None:
    out = frames([TextDelta("a"), Usage(10, 5, reasoning_tokens=2), Usage(7, 3, step="plan"), Finished("stop")])
    message = out[0]["message"]
    assert message["id"].startswith("msg_") and message["content"] == [] and message["stop_reason"] is None
    assert message["usage"] == {
        "input_tokens": 11, "output_tokens": 0, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
    }  # fmt: skip
    delta = next(frame for frame in out if frame["type"] == "message_delta")
    assert delta["usage"] == {
        "input_tokens": 17, "output_tokens": 8, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        "output_tokens_details": {"thinking_tokens": 2},
    }  # fmt: skip
    assert delta["hearth"]["run_id"] == "run_1" and delta["hearth"]["session_id"] == "s1"


@pytest.mark.parametrize(
    ("reason", "said"),
    [("stop", "end_turn"), ("length", "max_tokens"), ("tool_calls", "tool_use"), ("content_filter", "refusal")],
)
async def test_stop_reason(reason: FinishReason, said: str) -> None:
    events: list[Event] = [TextDelta("a"), Finished(reason)]
    delta = next(frame for frame in frames(events) if frame["type"] == "message_delta")["delta"]
    assert delta == {"stop_reason": said, "stop_sequence": None}
    body = await whole(events)
    assert (body["stop_reason"], body["stop_sequence"]) == (said, None)


async def test_searches_are_counted_where_the_server_makes_them() -> None:
    usage = (await whole(step("web_search", data=SEARCHED, query="q"), shown("none", "web_search")))["usage"]
    assert usage["server_tool_use"] == {"web_search_requests": 1, "web_fetch_requests": 0}


def test_live_steps_travel_in_pings() -> None:
    route = RouteChosen(Route("agentic", "react", "arithmetic", 0.9, 0.001))
    out = frames([route, *step("math_calc", data={"x": 1}, expression="1+1"), TextDelta("2"), Finished("stop")])
    live = [frame["hearth_event"]["type"] for frame in out if "hearth_event" in frame]
    assert live == ["route", "tool_started", "tool_finished"]
    assert {frame["type"] for frame in out if "hearth_event" in frame} == {"ping"}


def test_a_failure_in_mid_answer_is_an_error_event() -> None:
    inner = {"message": "It broke off.", "type": "server_error", "param": None, "code": "upstream_cut"}
    raw = MessageEvents(shown()).failed({"error": inner})
    assert raw.startswith(b"event: error\ndata: ") and raw.endswith(b"\n\n")
    assert json.loads(raw.split(b"data: ")[1]) == {
        "type": "error", "error": {"type": "api_error", "message": "It broke off."}, "request_id": "req_1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "invalid_value", "invalid_request_error"), (401, "invalid_api_key", "authentication_error"),
        (403, None, "permission_error"), (404, "model_not_found", "not_found_error"),
        (405, "method_not_allowed", "invalid_request_error"), (409, "conflict", "invalid_request_error"),
        (413, "too_large", "request_too_large"), (429, "rate_limit_exceeded", "rate_limit_error"),
        (500, "internal_error", "api_error"), (503, "overloaded", "overloaded_error"),
        (503, "upstream_busy", "overloaded_error"), (503, "upstream_unreachable", "api_error"),
        (504, "upstream_timeout", "timeout_error"), (507, "storage_full", "api_error"),
        (None, "upstream_cut", "api_error"), (None, "upstream_busy", "overloaded_error"),
        (None, "upstream_timeout", "timeout_error"),
    ],
)  # fmt: skip
def test_type_of_an_error(status: int | None, code: str | None, kind: str) -> None:
    error = {"error": {"message": "m", "type": "x", "param": None, "code": code}}
    assert anthropic_error(error, status, "req_1")["error"]["type"] == kind


@pytest.mark.parametrize(
    ("message", "param", "said"),
    [("Field required.", "a.b", "a.b: Field required."), ("a.b: Bad.", "a.b", "a.b: Bad."), ("Bad.", None, "Bad.")],
)
def test_the_field_stands_before_the_message(message: str, param: str | None, said: str) -> None:
    error = {"error": {"message": message, "type": "x", "param": param, "code": None}}
    assert anthropic_error(error, 400, "")["error"]["message"] == said


@pytest.mark.parametrize(
    ("path", "speaks"),
    [("/v1/messages", True), ("/v1/messages/count_tokens", True), ("/v1/messagesx", False), ("/v1/models", False)],
)
def test_whose_form_errors_have(path: str, speaks: bool) -> None:
    assert speaks_anthropic(path) is speaks
