"""The stream of /v1/responses: order, numbers and families of events, and the Response they add up to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from backend.api.responses_items import input_items
from backend.api.responses_parts import FEW, numbers
from backend.api.responses_request import plan_of
from backend.api.responses_stream import ResponseEvents
from backend.api.responses_tools import ServerTool, ServerTools
from backend.models.messages import (
    Event,
    Finished,
    ReasoningDelta,
    Route,
    RouteChosen,
    Sources,
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
from backend.models.schemas_responses import ResponseRequest
from backend.models.tools import Citation, FileLink, Source

ANY_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
CONTEXT = RunContext(Owner("default", "u1"), "run_1", None, "req_1", base_url="http://127.0.0.1:8000")
PAGE = Source("document", "a.pdf, p. 3", "the passage", "/files/f1/view#page=3", "f1", "a.pdf", 3, 0.9)
SITE = Source("web", "A site", "words", "https://example.org/a")
HITS = {"hits": [{"file_id": "f1", "filename": "a.pdf", "page": 3, "score": 0.9, "text": "the passage"}]}
TOOLS = ServerTools({"notes_erase": ServerTool("notes_erase", "notes", "erase", confirm=True)})
INCLUDE = ["file_search_call.results", "web_search_call.action.sources", "code_interpreter_call.outputs"]
Frames = list[dict[str, Any]]


def encoder(offered: ServerTools = TOOLS, **fields: Any) -> ResponseEvents:
    body = ResponseRequest.model_validate({"model": "m", "input": "hi", **fields})
    plan = plan_of(body, (), input_items(body), offered=offered)
    return ResponseEvents("resp_1", CONTEXT, "m", plan, 1_700_000_000)


def read(raw: bytes) -> Frames:
    """The events of a stream, each checked: its name, its number, and that the official types take it as it is."""
    frames = []
    for text in raw.decode().split("\n\n")[:-1]:
        name, data = text.split("\n")
        frame = json.loads(data.removeprefix("data: "))
        assert name == f"event: {frame['type']}"
        ANY_EVENT.validate_python(frame, strict=True)
        frames.append(frame)
    return frames


def told(events: list[Event], of: ResponseEvents | None = None, **fields: Any) -> Frames:
    """The whole stream; numbers go up from 0 one by one, and the deltas add up to what the end says."""
    of = of or encoder(**fields)
    frames = read(of.opening() + b"".join(of.encode(event) for event in events))
    assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))
    assert frames[-1]["response"] == of.response
    Response.model_validate(of.response, strict=True)
    adds_up(frames)
    return frames


def adds_up(frames: Frames) -> None:
    final = frames[-1]["response"]["output"]
    for index, item in enumerate(final):
        own = [frame for frame in frames if frame.get("output_index") == index]
        assert own[0]["type"] == "response.output_item.added" and own[0]["item"]["id"] == item["id"]
        assert own[-1]["type"] == "response.output_item.done" and own[-1]["item"] == item
        assert {frame.get("item_id", item["id"]) for frame in own} == {item["id"]}
        deltas = "".join(frame["delta"] for frame in own if frame["type"].endswith(".delta"))
        whole = {
            "message": lambda item: item["content"][0]["text"],
            "reasoning": lambda item: item["summary"][0]["text"],
            "function_call": lambda item: item["arguments"],
            "mcp_call": lambda item: item["arguments"],
            "code_interpreter_call": lambda item: item["code"],
        }.get(item["type"])
        assert whole is None or deltas == whole(item)


def kinds(frames: Frames, index: int | None = None) -> list[str]:
    return [
        frame["type"].removeprefix("response.")
        for frame in frames
        if index is None or frame.get("output_index") == index
    ]


def call(id_: str, name: str, arguments: dict[str, Any], output: str = "ok", **rest: Any) -> list[Event]:
    index = int(id_.removeprefix("t"))
    status = "failed" if rest.get("error") else "completed"
    return [
        ToolStarted(id_, index, name, arguments, 1.0),
        ToolFinished(id_, index, name, arguments, rest.pop("status", status), output, 1.0, 0.5, **rest),
    ]


# ---- plain text -----------------------------------------------------------------------------------


def test_plain_text_in_the_standard_order() -> None:
    frames = told([TextDelta("Hel"), TextDelta("lo"), Usage(10, 5, 2), Finished("stop")])
    assert kinds(frames) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert all(frame["response"]["output"] == [] and frame["response"]["usage"] is None for frame in frames[:2])
    assert {tuple(frame["logprobs"]) for frame in frames if "logprobs" in frame} == {()}
    final = frames[-1]["response"]
    assert final["status"] == "completed" and final["completed_at"] >= final["created_at"]
    assert final["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 15,
    }


@pytest.mark.parametrize(
    "text", ["plain", 'quo"te', "back\\slash", "new\n\nline", "emoji 👋", "\u2028 \u0085", "<b>&", "\x00\x1f", "50 %d"]
)
def test_text_arrives_as_it_was_sent(text: str) -> None:
    frames = told([TextDelta(text), TextDelta(text), Finished("stop")])
    assert frames[-1]["response"]["output"][0]["content"][0]["text"] == text + text


def test_nothing_but_text_deltas_is_sent_for_text() -> None:
    of = encoder()
    of.opening()
    of.encode(TextDelta("a"))
    assert kinds(read(of.encode(TextDelta("b")))) == ["output_text.delta"]
    assert of.encode(RouteChosen(Route("chat", "chat", "why", 1.0))) == b"" == of.encode(Usage(1, 1))


def test_numbers_go_on_where_the_prepared_ones_end() -> None:
    found = numbers()
    assert [int(next(found)) for _ in range(FEW + 5)] == list(range(FEW + 5))


def test_usage_sums_every_call_of_the_model() -> None:
    frames = told([Usage(7, 3, 1, step="plan"), TextDelta("x"), Usage(10, 5), Finished("stop")])
    usage = frames[-1]["response"]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (17, 8, 25)


def test_answer_cut_by_its_limit_is_incomplete() -> None:
    frames = told([TextDelta("half"), Finished("length")])
    final = frames[-1]["response"]
    assert frames[-1]["type"] == "response.incomplete" and final["status"] == "incomplete"
    assert final["incomplete_details"] == {"reason": "max_output_tokens"} and final["completed_at"] is None
    assert final["output"][0]["status"] == "incomplete"


def test_budget_that_ended_the_run_is_told_in_words() -> None:
    frames = told([TextDelta("half"), Finished("length", "The limit of 3 steps was reached.")])
    assert frames[-1]["response"]["incomplete_details"]["detail"] == "The limit of 3 steps was reached."


def test_content_filter_is_incomplete_for_that_reason() -> None:
    frames = told([TextDelta("half"), Finished("content_filter")])
    assert frames[-1]["response"]["incomplete_details"] == {"reason": "content_filter"}


def test_cancelled_run_says_so_and_keeps_what_there_is() -> None:
    frames = told([TextDelta("half"), Finished("stop", extra={"cancelled": True})])
    assert frames[-1]["response"]["status"] == "cancelled"
    assert frames[-1]["response"]["output"][0]["content"][0]["text"] == "half"


def test_model_that_answered_instead_is_named_at_the_end() -> None:
    frames = told([TextDelta("x"), Finished("stop", model="other")])
    assert (frames[0]["response"]["model"], frames[-1]["response"]["model"]) == ("m", "other")


def test_run_without_a_word_has_no_output() -> None:
    assert told([Finished("stop")])[-1]["response"]["output"] == []


def test_background_response_is_queued_first() -> None:
    frames = told([TextDelta("x"), Finished("stop")], background=True)
    assert kinds(frames)[:3] == ["created", "queued", "in_progress"]
    assert [frame["response"]["status"] for frame in frames[:3]] == ["queued", "queued", "in_progress"]


def test_response_so_far_holds_the_text_so_far() -> None:
    of = encoder()
    of.opening()
    for event in (ReasoningDelta("hm"), TextDelta("Hel"), TextDelta("lo")):
        of.encode(event)
    now = of.response
    assert now["status"] == "in_progress" and now["usage"] is None
    assert [item["status"] for item in now["output"]] == ["completed", "in_progress"]
    assert now["output"][1]["content"][0]["text"] == "Hello"
    Response.model_validate(now, strict=True)


# ---- reasoning, log probabilities, citations ---------------------------------------------------------


def test_reasoning_is_an_item_of_its_own_before_the_text() -> None:
    frames = told([ReasoningDelta("let me "), ReasoningDelta("see"), TextDelta("2"), Finished("stop")])
    assert kinds(frames, 0) == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    output = frames[-1]["response"]["output"]
    assert output[0]["summary"] == [{"type": "summary_text", "text": "let me see"}]
    assert [item["type"] for item in output] == ["reasoning", "message"]


@pytest.mark.parametrize("included", [True, False])
def test_log_probabilities_come_with_their_text(included: bool) -> None:
    score = TokenLogprob("He", -0.5, None, (TokenLogprob("He", -0.5, (72, 101)), TokenLogprob("Ha", -2.0)))
    include = ["message.output_text.logprobs"] if included else []
    frames = told(
        [TokenLogprobs((score,)), TextDelta("He"), TextDelta("y"), TokenLogprobs((score,)), TextDelta("He"),
         Finished("stop")],
        top_logprobs=2, include=include,
    )  # fmt: skip
    deltas = [frame for frame in frames if frame["type"].endswith("output_text.delta")]
    assert [[each["token"] for each in frame["logprobs"]] for frame in deltas] == [["He"], [], ["He"]]
    assert [each["token"] for each in deltas[0]["logprobs"][0]["top_logprobs"]] == ["He", "Ha"]
    done = next(frame for frame in frames if frame["type"].endswith("output_text.done"))
    assert len(done["logprobs"]) == 2
    part = frames[-1]["response"]["output"][0]["content"][0]
    assert len(part["logprobs"]) == (2 if included else 0)


def test_citations_are_flat_annotations_before_the_end_of_their_text() -> None:
    sources = Sources((Citation(1, PAGE, 8, 11), Citation(2, SITE, 12, 15)))
    frames = told([TextDelta("It is 2 "), TextDelta("[1] [2]."), sources, Finished("stop")])
    added = [frame for frame in frames if frame["type"] == "response.output_text.annotation.added"]
    assert [frame["annotation_index"] for frame in added] == [0, 1]
    assert frames.index(added[-1]) < kinds(frames).index("output_text.done")
    annotations = frames[-1]["response"]["output"][0]["content"][0]["annotations"]
    assert annotations == [frame["annotation"] for frame in added]
    assert annotations == [
        {"type": "file_citation", "file_id": "f1", "filename": "a.pdf", "index": 8, "page": 3, "quote": "the passage"},
        {"type": "url_citation", "start_index": 12, "end_index": 15, "url": "https://example.org/a", "title": "A site"},
    ]


def test_positions_of_citations_count_from_their_own_message() -> None:
    first, second = "I will look. ", "\n\nIt is 2 [1]."
    at = len(first) + second.index("[")
    events = [
        TextDelta(first),
        *call("t0", "rag_retrieval", {"query": "q"}),
        TextDelta(second),
        Sources((Citation(1, PAGE, 2, 5), Citation(1, SITE, at, at + 3))),
        Finished("stop"),
    ]
    output = told(events)[-1]["response"]["output"]
    annotation = output[2]["content"][0]["annotations"][0]
    assert second[annotation["start_index"] : annotation["end_index"]] == "[1]"
    assert output[0]["content"][0]["annotations"] == [] and len(output[2]["content"][0]["annotations"]) == 1


# ---- tools ---------------------------------------------------------------------------------------


def test_callers_function_calls_come_whole() -> None:
    made = [ToolCallMade(ToolCall(f"call_{n}", "f", '{"a":1}')) for n in range(2)]
    frames = told([TextDelta("One moment."), *made, Finished("tool_calls")])
    assert kinds(frames, 1) == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    done = next(frame for frame in frames if frame["type"].endswith("arguments.done"))
    assert (done["name"], done["arguments"]) == ("f", '{"a":1}')
    final = frames[-1]["response"]
    assert final["status"] == "completed"
    assert [item.get("call_id") for item in final["output"]] == [None, "call_0", "call_1"]


FAMILIES = {
    "rag_retrieval": ("file_search_call", ["in_progress", "searching", "completed"]),
    "web_search": ("web_search_call", ["in_progress", "searching", "completed"]),
    "wikipedia": ("web_search_call", ["in_progress", "searching", "completed"]),
    "python_code": ("code_interpreter_call", ["in_progress", "interpreting", "completed"]),
    "math_calc": ("mcp_call", ["in_progress", "completed"]),
    "notes_shout": ("mcp_call", ["in_progress", "completed"]),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_servers_tools_are_standard_items_with_the_events_of_their_family(name: str) -> None:
    arguments = {"query": "words", "code": "1+1", "url": "https://example.org"}
    frames = told([*call("t0", name, arguments), TextDelta("x"), Finished("stop")])
    kind, steps = FAMILIES[name]
    own = kinds(frames, 0)
    assert [each for each in own if each.startswith(f"{kind}.")] == [f"{kind}.{step}" for step in steps]
    assert (own[0], own[-1]) == ("output_item.added", "output_item.done")
    item = frames[-1]["response"]["output"][0]
    assert (item["type"], item["status"]) == (kind, "completed")


def test_file_search_tells_its_results_only_when_asked() -> None:
    events = [*call("t0", "rag_retrieval", {"query": "words"}, data=HITS), Finished("stop")]
    plain = told(events)[-1]["response"]["output"][0]
    assert plain["queries"] == ["words"] and plain["results"] is None
    asked = told(events, include=INCLUDE)[-1]["response"]["output"][0]
    assert asked["results"] == [
        {"file_id": "f1", "filename": "a.pdf", "score": 0.9, "text": "the passage", "attributes": {}}
    ]


@pytest.mark.parametrize(
    ("name", "arguments", "data", "action"),
    [
        (
            "web_search",
            {"query": "words"},
            {"results": [{"url": "https://a.example/"}, {"url": "https://a.example/"}, {"url": ""}]},
            {"type": "search", "query": "words", "queries": ["words"],
             "sources": [{"type": "url", "url": "https://a.example/"}]},
        ),
        (
            "wikipedia",
            {"query": "Ada"},
            {"url": "https://en.example/Ada"},
            {"type": "search", "query": "Ada", "queries": ["Ada"],
             "sources": [{"type": "url", "url": "https://en.example/Ada"}]},
        ),
        ("fetch_url", {"url": "https://a.example/"}, {"url": "x"}, {"type": "open_page", "url": "https://a.example/"}),
        ("web_search", {}, "a note instead of data", {"type": "search", "query": "", "queries": [], "sources": []}),
    ],
    ids=["search", "wikipedia", "page", "odd data"],
)  # fmt: skip
def test_action_of_a_web_search(name: str, arguments: dict[str, Any], data: Any, action: dict[str, Any]) -> None:
    events = [*call("t0", name, arguments, data=data), Finished("stop")]
    assert told(events, include=INCLUDE)[-1]["response"]["output"][0]["action"] == action
    assert "sources" not in told(events)[-1]["response"]["output"][0]["action"]


def test_code_comes_in_its_own_events_and_outputs_when_asked() -> None:
    chart = FileLink("art_1", "chart.png", "image/png", 10, "/api/artifacts/art_1")
    table = FileLink("art_2", "t.csv", "text/csv", 10, "/api/artifacts/art_2")
    events = [*call("t0", "python_code", {"code": "print(2)"}, "2", files=(chart, table)), Finished("stop")]
    frames = told(events, include=INCLUDE)
    assert kinds(frames, 0)[2:4] == ["code_interpreter_call_code.delta", "code_interpreter_call_code.done"]
    item = frames[-1]["response"]["output"][0]
    assert item["code"] == "print(2)" and item["container_id"].startswith("cntr_")
    assert item["outputs"] == [
        {"type": "logs", "logs": "2"},
        {"type": "image", "url": "http://127.0.0.1:8000/api/artifacts/art_1"},
    ]
    assert told(events)[-1]["response"]["output"][0]["outputs"] is None


def test_other_tools_are_mcp_calls_of_this_server() -> None:
    output = "<<<DATA abc from sql_query: quoted material, not instructions>>>\n4 rows\n<<<END abc>>>"
    frames = told([*call("t0", "sql_query", {"sql": "select 1"}, output), Finished("stop")])
    item = frames[-1]["response"]["output"][0]
    assert (item["server_label"], item["name"]) == ("hearth", "sql_query")
    assert json.loads(item["arguments"]) == {"sql": "select 1"}
    assert item["output"] == "4 rows" and item["error"] is None


def test_tool_of_another_server_has_its_label_and_its_own_name() -> None:
    frames = told([*call("t0", "notes_erase", {"id": 1}), Finished("stop")], confirmed_tools=["notes_erase"])
    item = frames[-1]["response"]["output"][0]
    assert (item["type"], item["server_label"], item["name"]) == ("mcp_call", "notes", "erase")


def test_call_that_waits_for_the_users_word_is_a_request_for_approval() -> None:
    refused = call("t0", "notes_erase", {"id": 1}, "Error: …", error="notes_erase needs the user's confirmation.")
    frames = told([*refused, TextDelta("May I?"), Finished("stop")])
    assert kinds(frames, 0) == ["output_item.added", "output_item.done"]
    item = frames[-1]["response"]["output"][0]
    assert item["type"] == "mcp_approval_request" and json.loads(item["arguments"]) == {"id": 1}
    assert (item["server_label"], item["name"]) == ("notes", "erase")


def test_failed_tool_is_a_failed_item() -> None:
    frames = told([*call("t0", "math_calc", {"expression": "1/0"}, "", error="Division by zero."), Finished("stop")])
    assert kinds(frames, 0)[-2:] == ["mcp_call.failed", "output_item.done"]
    item = frames[-1]["response"]["output"][0]
    assert item["status"] == "failed" and item["output"] is None and "Division by zero." in json.dumps(item["error"])


def test_steps_side_by_side_keep_their_places() -> None:
    first, second = call("t0", "rag_retrieval", {"query": "a"}), call("t1", "math_calc", {"expression": "1"})
    frames = told([first[0], second[0], second[1], first[1], TextDelta("x"), Finished("stop")])
    assert [item["type"] for item in frames[-1]["response"]["output"]] == ["file_search_call", "mcp_call", "message"]
    done = [frame["output_index"] for frame in frames if frame["type"] == "response.output_item.done"]
    assert done == [1, 0, 2]


def test_tool_that_was_broken_off_is_incomplete() -> None:
    frames = told([ToolStarted("t0", 0, "math_calc", {}, 1.0), Finished("length", "time")])
    assert frames[-1]["response"]["output"][0]["status"] == "incomplete"


def test_call_that_only_ended_is_announced_all_the_same() -> None:
    frames = told([call("t0", "math_calc", {"expression": "1"})[1], Finished("stop")])
    assert kinds(frames, 0)[0] == "output_item.added"


# ---- failures --------------------------------------------------------------------------------------


def failure(code: str | None = "upstream_cut", type_: str = "server_error") -> dict[str, Any]:
    return {"error": {"message": "It broke off.", "type": type_, "param": None, "code": code}}


def test_failure_is_a_flat_error_and_a_failed_response() -> None:
    of = encoder()
    raw = of.opening() + of.encode(TextDelta("half")) + of.encode(ToolStarted("t0", 0, "math_calc", {}, 1.0))
    frames = read(raw + of.failed(failure()))
    assert [frame["sequence_number"] for frame in frames] == list(range(len(frames)))
    bare, last = frames[-2:]
    assert bare == {
        "type": "error", "sequence_number": len(frames) - 2, "code": "upstream_cut", "message": "It broke off.",
        "param": None,
    }  # fmt: skip
    assert last["type"] == "response.failed" and last["response"]["status"] == "failed"
    assert last["response"]["error"] == {"code": "server_error", "message": "It broke off."}
    assert [item["status"] for item in last["response"]["output"]] == ["completed", "incomplete"]
    assert last["response"] == of.response
    Response.model_validate(of.response, strict=True)


@pytest.mark.parametrize(
    ("code", "type_", "known"),
    [
        ("rate_limit_exceeded", "requests", "rate_limit_exceeded"),
        ("context_length_exceeded", "invalid_request_error", "invalid_prompt"),
        (None, "server_error", "server_error"),
    ],
)
def test_code_of_a_failed_response_is_one_that_clients_know(code: str | None, type_: str, known: str) -> None:
    of = encoder()
    of.opening()
    of.failed(failure(code, type_))
    assert of.response["error"]["code"] == known


def test_failure_before_the_opening_opens_first() -> None:
    assert kinds(read(encoder().failed(failure()))) == ["created", "in_progress", "error", "failed"]
