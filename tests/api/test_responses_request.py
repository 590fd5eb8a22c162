"""The body of /v1/responses: what it means."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from openai.types.responses import Response

from backend.api.responses_items import checked_items, input_items
from backend.api.responses_tools import ServerTool, ServerTools
from backend.models.attribute_filters import Comparison
from backend.models.messages import Image, Message
from backend.models.schemas_responses import ResponseRequest
from tests.api.responses_bodies import CALL, CODE, FILES, HI, NOTES, OUTPUT, PICTURE, PNG, WEB, F, G, plan


def said(*items: dict[str, Any], **fields: Any) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in plan(input=list(items), **fields).question.messages]


# ---- input --------------------------------------------------------------------------------------------


def test_text_becomes_one_user_message_with_an_id() -> None:
    (item,) = input_items(ResponseRequest(model="m", input="hi"))
    assert item.pop("id").startswith("msg_")
    assert item == {
        "type": "message",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_text", "text": "hi"}],
    }


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([HI], [("user", "hi")]),
        ([{"type": "message", **HI}], [("user", "hi")]),
        ([{"role": "developer", "content": "be kind"}, HI], [("system", "be kind"), ("user", "hi")]),
        ([HI, {"role": "system", "content": "be kind"}], [("user", "hi"), ("system", "be kind")]),
        ([{"role": "developer", "content": "say hi"}], [("user", "say hi")]),
        (
            [{"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]}],
            [("user", "a\nb")],
        ),
        (
            [HI, {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
                  "content": [{"type": "output_text", "text": "hello", "annotations": [], "logprobs": None}]}, HI],
            [("user", "hi"), ("assistant", "hello"), ("user", "hi")],
        ),
        (
            [HI, {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}, HI],
            [("user", "hi"), ("assistant", "no"), ("user", "hi")],
        ),
        (
            [HI, {"role": "assistant", "content": "one"}, {"role": "assistant", "content": "two"}, HI],
            [("user", "hi"), ("assistant", "one\n\ntwo"), ("user", "hi")],
        ),
        (
            [{"type": "reasoning", "id": "rs_1", "summary": []}, HI, {"type": "web_search_call", "id": "ws_1"},
             {"type": "file_search_call", "id": "fs_1", "queries": ["a"], "results": None},
             {"type": "code_interpreter_call", "id": "ci_1", "code": "1", "container_id": "c", "outputs": None},
             {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "x", "tools": []},
             {"type": "mcp_call", "id": "mcp_1", "name": "n", "arguments": "{}", "server_label": "x"}],
            [("user", "hi")],
        ),
    ],
    ids=["bare", "typed", "developer", "system late", "only instructions", "parts", "assistant", "refusal",
         "assistant twice", "passed over"],
)  # fmt: skip
def test_items_become_messages(items: list[dict[str, Any]], expected: list[tuple[str, str]]) -> None:
    assert said(*items) == expected


def test_instructions_come_first_and_earlier_items_before_the_new() -> None:
    earlier = checked_items([{"role": "user", "content": "one"}, {"role": "assistant", "content": "two"}], "items")
    messages = plan(earlier, instructions="be kind").question.messages
    assert [(m.role, m.content) for m in messages] == [
        ("system", "be kind"),
        ("user", "one"),
        ("assistant", "two"),
        ("user", "hi"),
    ]


def test_function_calls_and_their_outputs_belong_to_one_turn() -> None:
    second = {**CALL, "call_id": "c2", "name": "g"}
    outputs = [OUTPUT, {**OUTPUT, "call_id": "c2", "output": [{"type": "input_text", "text": "43"}]}]
    messages = plan(input=[HI, {"role": "assistant", "content": "wait"}, CALL, second, *outputs]).question.messages
    assert [message.role for message in messages] == ["user", "assistant", "tool", "tool"]
    assert messages[1].content == "wait" and [call.id for call in messages[1].tool_calls] == ["c1", "c2"]
    assert [(m.tool_call_id, m.name, m.content) for m in messages[2:]] == [("c1", "f", "42"), ("c2", "g", "43")]


def test_output_may_answer_a_call_of_the_response_before() -> None:
    earlier = checked_items([HI, CALL], "items")
    assert plan(earlier, input=[OUTPUT]).question.messages[-1].content == "42"


def test_ids_are_kept_and_made_where_there_are_none() -> None:
    given = [{**HI, "id": "msg_abc"}, {**HI, "id": "../etc"}, CALL, OUTPUT]
    ids = [item["id"] for item in checked_items(given, "input")]
    assert ids[0] == "msg_abc"
    assert [each.partition("_")[0] for each in ids[1:]] == ["msg", "fc", "fco"]


@pytest.mark.parametrize(
    "reference", [{"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}], ids=["typed", "bare"]
)
def test_reference_stays_for_whoever_knows_the_items(reference: dict[str, Any]) -> None:
    assert checked_items([reference], "input") == [{"type": "item_reference", "id": "msg_1"}]


def test_pictures_come_inside_the_request_or_by_file_id() -> None:
    parts = [
        {"type": "input_text", "text": "what is this?"},
        {"type": "input_image", "image_url": PICTURE},
        {"type": "input_image", "file_id": "file-1", "detail": "high"},
    ]
    stored = Image("image/jpeg", b"stored")
    (message,) = plan(input=[{"role": "user", "content": parts}], pictures={"file-1": stored}).question.messages
    assert message.images == (Image("image/png", base64.b64decode(PNG)), stored)


@pytest.mark.parametrize("data", ["{}", "data:application/pdf;base64,{}"], ids=["bare", "data url"])
def test_files_are_attached_to_their_message(data: str) -> None:
    content = base64.b64encode(b"words").decode()
    parts = [
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_file", "filename": "a.pdf", "file_data": data.format(content)},
    ]
    asked = plan(input=[HI, {"role": "user", "content": parts}], instructions="be kind").question
    by_id, sent = asked.attachments
    assert (by_id.message, by_id.file_id, by_id.param) == (2, "file-1", "input.1.content.0")
    assert (sent.message, sent.filename, sent.data) == (2, "a.pdf", b"words")


# ---- what else the question holds -----------------------------------------------------------------------


def test_options_of_the_request_reach_the_question() -> None:
    question = plan(
        temperature=0.5, top_p=0.9, max_output_tokens=100, reasoning={"effort": "high"}, parallel_tool_calls=False,
        max_tool_calls=3, budget={"tool_calls": 5, "seconds": 9}, store=False, stream=True,
    ).question  # fmt: skip
    sampling = question.sampling
    assert (sampling.temperature, sampling.top_p, sampling.max_tokens) == (0.5, 0.9, 100)
    assert question.reasoning_effort == "high" and not question.parallel_tool_calls
    assert question.budget["tool_calls"] == 3 and question.budget["seconds"] == 9
    assert not question.store and question.streamed


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [({}, None), ({"top_logprobs": 3}, 3), ({"top_logprobs": 0}, None),
     ({"include": ["message.output_text.logprobs"]}, 0)],
    ids=["not asked", "top", "none", "included"],
)  # fmt: skip
def test_log_probabilities(fields: dict[str, Any], wanted: int | None) -> None:
    assert plan(**fields).question.logprobs == wanted


def test_text_format_stands_flat() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    wanted = plan(text={"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}})
    found = wanted.question.response_format
    assert found is not None and (found.type, found.name, found.schema, found.strict) == (
        "json_schema",
        "n",
        schema,
        True,
    )
    assert plan(text={"format": {"type": "json_object"}}).question.response_format is not None
    assert plan(text={"format": {"type": "text"}, "verbosity": "low"}).question.response_format is None


def test_every_optional_field_may_be_null() -> None:
    fields = dict.fromkeys((name for name in ResponseRequest.model_fields if name not in ("model", "input")), None)
    assert plan(**fields).question.messages == (Message("user", "hi"),)


def test_foreign_fields_are_ignored() -> None:
    assert plan(num_ctx=1, keep_alive="5m", moderation={"x": 1}, context_management=[{"type": "compaction"}])


# ---- tools -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "agent", "server", "functions", "choice"),
    [
        ({}, None, None, [], "auto"),
        ({"tools": [F]}, None, None, ["f"], "auto"),
        ({"tools": [F], "tool_choice": "required"}, None, None, ["f"], "required"),
        ({"tools": [F, G], "tool_choice": {"type": "function", "name": "g"}}, None, None, ["g"], "g"),
        ({"tools": [FILES]}, "react", {"rag_retrieval"}, [], "auto"),
        ({"tools": [WEB]}, "react", {"web_search", "fetch_url"}, [], "auto"),
        ({"tools": [{"type": "web_search_preview_2025_03_11"}]}, "react", {"web_search", "fetch_url"}, [], "auto"),
        ({"tools": [FILES, F]}, "react", {"rag_retrieval"}, ["f"], "auto"),
        ({"tools": [FILES], "model": "hearth-plan"}, "plan_execute", {"rag_retrieval"}, [], "auto"),
        ({"tools": [FILES], "model": "hearth-chat"}, "react", {"rag_retrieval"}, [], "auto"),
        ({"tools": [FILES], "agent": "plan_execute"}, "plan_execute", {"rag_retrieval"}, [], "auto"),
        ({"tools": [FILES], "tool_choice": "none"}, "chat", set(), [], "none"),
        ({"tools": [FILES, F], "tool_choice": "none"}, None, set(), ["f"], "none"),
        ({"tool_choice": "none"}, "chat", None, [], "none"),
        ({"tools": [FILES, WEB], "tool_choice": {"type": "file_search"}}, "react", {"rag_retrieval"}, [], "auto"),
        ({"tools": [FILES, F], "tool_choice": {"type": "function", "name": "f"}}, None, set(), ["f"], "f"),
        ({"tools": [NOTES]}, "react", {"notes_shout", "notes_erase"}, [], "auto"),
        ({"tools": [{**NOTES, "allowed_tools": ["shout"]}]}, "react", {"notes_shout"}, [], "auto"),
        ({"tools": [{**NOTES, "allowed_tools": {"tool_names": ["notes_shout"]}}]}, "react", {"notes_shout"}, [],
         "auto"),
        ({"tools": [{**NOTES, "allowed_tools": []}]}, "chat", set(), [], "auto"),
        ({"tools": [{**NOTES, "server_url": "http://10.0.0.5/mcp"}]}, "react", {"notes_shout", "notes_erase"}, [],
         "auto"),
        ({"tools": [{"type": "mcp", "server_label": "hearth", "allowed_tools": ["math_calc"]}]}, "react",
         {"math_calc"}, [], "auto"),
        ({"tools": [NOTES, WEB], "tool_choice": {"type": "mcp", "server_label": "notes", "name": "shout"}}, "react",
         {"notes_shout"}, [], "auto"),
        ({"tools": [F, G, WEB], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [
            {"type": "function", "name": "g"}]}}, None, set(), ["g"], "auto"),
        ({"tools": [F, G, WEB], "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [
            {"type": "function", "name": "g"}]}}, None, set(), ["g"], "required"),
        ({"tools": [FILES], "enabled_tools": ["web_search"]}, "react", set(), [], "auto"),
        ({"enabled_tools": ["web_search"]}, None, {"web_search"}, [], "auto"),
    ],
)  # fmt: skip
def test_inj_2_declared_tools_are_the_only_ones_of_the_run(
    fields: dict[str, Any], agent: str | None, server: set[str] | None, functions: list[str], choice: str
) -> None:
    question = plan(**fields).question
    assert question.agent == agent and question.enabled_tools == server
    assert [spec.name for spec in question.tools] == functions and question.tool_choice == choice


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"tools": [FILES], "tool_choice": "required"}, ["`rag_retrieval`"]),
        ({"tools": [FILES, WEB], "tool_choice": {"type": "web_search_preview"}}, ["`web_search`", "`fetch_url`"]),
        ({"tools": [FILES, F], "tool_choice": "required"}, ["`rag_retrieval`", "`f`"]),
    ],
    ids=["required", "by type", "both kinds"],
)
def test_tool_that_has_to_be_used_is_told_to_the_agent(fields: dict[str, Any], words: list[str]) -> None:
    told = plan(instructions="be kind", **fields).question.messages[0]
    assert told.role == "system" and all(word in told.content for word in words) and "be kind" not in told.content


def test_file_search_names_collections_and_narrows_them() -> None:
    filters = {"type": "eq", "key": "year", "value": 2026}
    tool = {**FILES, "max_num_results": 3, "filters": filters, "ranking_options": {"score_threshold": 0.4}}
    question = plan(tools=[tool]).question
    assert question.collections == ("vs_1",) and question.search.max_results == 3
    assert question.search.threshold == 0.4 and question.search.wanted == Comparison("eq", "year", 2026)


def test_files_of_the_code_interpreter_are_named_to_the_agent() -> None:
    question = plan(tools=[CODE], offered=ServerTools({"python_code": ServerTool("python_code")})).question
    assert question.files == {"file-1"} and "file-1" in question.messages[0].content


@pytest.mark.parametrize(
    ("approval", "confirmed"),
    [
        (None, set()),
        ("always", set()),
        ("never", {"notes_shout", "notes_erase"}),
        ({"never": {"tool_names": ["erase"]}}, {"notes_erase"}),
        ({"always": {"tool_names": ["erase"]}}, set()),
    ],
    ids=["default", "always", "never", "some never", "some always"],
)
def test_inj_2_approval_of_calls(approval: Any, confirmed: set[str]) -> None:
    found = plan(tools=[{**NOTES, "require_approval": approval}])
    assert found.question.confirmed_tools == confirmed
    assert found.unconfirmed == {"notes_erase"} - confirmed


@pytest.mark.parametrize("approve", [True, False])
def test_inj_2_answer_to_a_request_for_approval(approve: bool) -> None:
    request = {
        "type": "mcp_approval_request", "id": "mcpr_1", "server_label": "notes", "name": "erase",
        "arguments": '{"id":1}',
    }  # fmt: skip
    answer = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": approve, "reason": "Fine."}
    found = plan(checked_items([HI, request], "items"), input=[answer], tools=[NOTES])
    assert found.question.confirmed_tools == ({"notes_erase"} if approve else set())
    last = found.question.messages[-1]
    assert last.role == "user" and "erase" in last.content and "Fine." in last.content
    assert ("not agree" in last.content) is not approve


# ---- the echo ---------------------------------------------------------------------------------------------


def test_echo_has_every_key_of_the_newest_response_type() -> None:
    ours = {"id", "object", "created_at", "status", "completed_at", "error", "incomplete_details", "model", "output",
            "usage"}  # fmt: skip
    missing = set(Response.model_fields) - ours - set(plan().echo)
    assert not missing


def test_echo_repeats_the_request_with_its_gaps_filled() -> None:
    echo = plan(
        tools=[F, {**WEB, "search_context_size": "high"}, {**NOTES, "headers": {"x": "secret"}, "authorization": "s"}],
        metadata={"a": "b"}, conversation={"id": "conv_1"}, text={"verbosity": "low"}, truncation="auto",
        reasoning={"effort": "low", "summary": "auto"}, user="u", instructions="be kind",
    ).echo  # fmt: skip
    function, web, mcp = echo["tools"]
    assert function == {**F, "strict": False, "description": None}
    assert web["search_context_size"] == "high" and web["user_location"] is None
    assert mcp["headers"] is None and "authorization" not in mcp and mcp["require_approval"] == "always"
    assert echo["metadata"] == {"a": "b"} and echo["conversation"] == {"id": "conv_1"} and echo["user"] == "u"
    assert echo["text"] == {"format": {"type": "text"}, "verbosity": "low"} and echo["instructions"] == "be kind"
    assert echo["reasoning"] == {"effort": "low", "summary": "auto"} and echo["tool_choice"] == "auto"
    assert (echo["temperature"], echo["top_p"], echo["store"], echo["background"]) == (1.0, 1.0, True, False)
