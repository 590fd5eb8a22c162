"""Every way in which a body of /v1/responses can be wrong: status, type, code, and the field by its name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.api.responses_request import named_as_here
from backend.models.errors import HearthError, InvalidRequest, NotFound, UnsupportedParameter
from tests.api.responses_bodies import CALL, CODE, FILES, HI, NOTES, OUTPUT, PICTURE, WEB, F, plan


def refused(**fields: Any) -> HearthError:
    with pytest.raises(HearthError) as caught:
        plan(**fields)
    return caught.value


UNSUPPORTED, INVALID, PARTS = "unsupported_parameter", "invalid_value", "unsupported_content"


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": list(parts)}]}


def schema(**fields: Any) -> dict[str, Any]:
    return {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, **fields}}}


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    # fields
    "no model": ({"model": None}, "model", INVALID),
    "model no text": ({"model": 5}, "model", INVALID),
    "input no text": ({"input": 5}, "input", INVALID),
    "no input": ({"input": None}, "input", "missing_required_parameter"),
    "empty input": ({"input": []}, "input", "missing_required_parameter"),
    "instructions no text": ({"instructions": [HI]}, "instructions", INVALID),
    "tokens too few": ({"max_output_tokens": 15}, "max_output_tokens", INVALID),
    "tool calls negative": ({"max_tool_calls": -1}, "max_tool_calls", INVALID),
    "temperature": ({"temperature": 2.1}, "temperature", INVALID),
    "top_p": ({"top_p": -0.1}, "top_p", INVALID),
    "top_logprobs": ({"top_logprobs": 21}, "top_logprobs", INVALID),
    "effort": ({"reasoning": {"effort": "huge"}}, "reasoning.effort", INVALID),
    "verbosity": ({"text": {"verbosity": "loud"}}, "text.verbosity", INVALID),
    "truncation": ({"truncation": "middle"}, "truncation", INVALID),
    "metadata no object": ({"metadata": []}, "metadata", INVALID),
    "metadata too many": ({"metadata": {str(n): "x" for n in range(17)}}, "metadata", INVALID),
    "metadata value too long": ({"metadata": {"a": "x" * 513}}, "metadata.a", INVALID),
    "metadata value no text": ({"metadata": {"a": 1}}, "metadata.a", INVALID),
    "stream no truth": ({"stream": "soon"}, "stream", INVALID),
    "prompt template": ({"prompt": {"id": "pmpt_1"}}, "prompt", UNSUPPORTED),
    "two pasts": (
        {"previous_response_id": "resp_1", "conversation": "conv_1"},
        "previous_response_id",
        "mutually_exclusive_parameters",
    ),
    "background unstored": ({"background": True, "store": False}, "background", INVALID),
    # text.format
    "format type": ({"text": {"format": {"type": "xml"}}}, "text.format.type", INVALID),
    "format nameless": (schema(name=None), "text.format.name", "missing_required_parameter"),
    "format without schema": (schema(schema=None), "text.format.schema", "missing_required_parameter"),
    "format schema broken": (schema(schema={"$ref": "http://x"}), "text.format.schema", INVALID),
    # items
    "item no object": ({"input": ["hi"]}, "input.0", INVALID),
    "item type unknown": ({"input": [HI, {"type": "computer_call"}]}, "input.1.type", INVALID),
    "item type no text": ({"input": [{"type": {}}]}, "input.0.type", INVALID),
    "item type missing": ({"input": [{"content": "hi"}]}, "input.0.type", INVALID),
    "role": ({"input": [{"role": "tool", "content": "hi"}]}, "input.0.role", INVALID),
    "content missing": ({"input": [{"role": "user"}]}, "input.0.content", INVALID),
    "content no text": ({"input": [{"role": "user", "content": 5}]}, "input.0.content", INVALID),
    "part no object": ({"input": [{"role": "user", "content": ["hi"]}]}, "input.0.content.0.type", PARTS),
    "part unknown": (user({"type": "input_audio"}), "input.0.content.0.type", PARTS),
    "part without text": (user({"type": "input_text"}), "input.0.content.0.text", INVALID),
    "picture of the assistant": (
        {"input": [{"role": "assistant", "content": [{"type": "input_image", "image_url": PICTURE}]}]},
        "input.0.content.0.type",
        PARTS,
    ),
    "picture nowhere": (user({"type": "input_image"}), "input.0.content.0.image_url", INVALID),
    "picture twice": (
        user({"type": "input_image", "image_url": PICTURE, "file_id": "file-1"}),
        "input.0.content.0.image_url",
        INVALID,
    ),
    "picture as in chat": (
        user({"type": "input_image", "image_url": {"url": PICTURE}}),
        "input.0.content.0.image_url",
        INVALID,
    ),
    "picture no base64": (
        user({"type": "input_image", "image_url": "data:image/png;base64,***"}),
        "input.0.content.0.image_url",
        INVALID,
    ),
    "picture of a kind unknown": (
        user({"type": "input_image", "image_url": "data:image/tiff;base64,AAAA"}),
        "input.0.content.0.image_url",
        INVALID,
    ),
    "picture detail": (
        user({"type": "input_image", "image_url": PICTURE, "detail": "all"}),
        "input.0.content.0.detail",
        INVALID,
    ),
    "file nowhere": (user({"type": "input_file"}), "input.0.content.0.file_data", INVALID),
    "file nameless": (user({"type": "input_file", "file_data": "QQ=="}), "input.0.content.0.filename", INVALID),
    "file no base64": (
        user({"type": "input_file", "file_data": "***", "filename": "a.txt"}),
        "input.0.content.0.file_data",
        INVALID,
    ),
    "file id odd": (user({"type": "input_file", "file_id": "../x"}), "input.0.content.0.file_id", INVALID),
    "reference odd": ({"input": [{"type": "item_reference", "id": "a b"}]}, "input.0.id", INVALID),
    # calls
    "call nameless": ({"input": [HI, {**CALL, "name": None}, OUTPUT]}, "input.1.name", INVALID),
    "call without id": ({"input": [HI, {**CALL, "call_id": ""}, OUTPUT]}, "input.1.call_id", INVALID),
    "call arguments": ({"input": [HI, {**CALL, "arguments": {}}, OUTPUT]}, "input.1.arguments", INVALID),
    "call twice": ({"input": [HI, CALL, OUTPUT, CALL, OUTPUT]}, "input.3.call_id", INVALID),
    "call unanswered": ({"input": [HI, CALL]}, "input", INVALID),
    "call passed over": ({"input": [HI, CALL, HI]}, "input", INVALID),
    "output of no call": ({"input": [HI, OUTPUT]}, "input.1.call_id", INVALID),
    "output twice": ({"input": [HI, CALL, OUTPUT, OUTPUT]}, "input.3.call_id", INVALID),
    "output no text": ({"input": [HI, CALL, {**OUTPUT, "output": 42}]}, "input.2.output", INVALID),
    "output part": ({"input": [HI, CALL, {**OUTPUT, "output": [{"type": "x"}]}]}, "input.2.output.0.type", PARTS),
    "approval request nameless": (
        {"input": [{"type": "mcp_approval_request", "arguments": "{}", "server_label": "notes"}]},
        "input.0.name",
        INVALID,
    ),
    "approval undecided": (
        {"input": [{"type": "mcp_approval_response", "approval_request_id": "mcpr_1"}]}, "input.0.approve", INVALID,
    ),
    "approval of nothing": (
        {"input": [{"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}]},
        "input.0.approval_request_id", INVALID,
    ),
    "nothing to answer": ({"input": [{"role": "assistant", "content": "hi"}]}, "input", INVALID),
    # tools
    "tool type": ({"tools": [F, {"type": "image_generation"}]}, "tools[1].type", UNSUPPORTED),
    "tool type missing": ({"tools": [{}]}, "tools[0].type", UNSUPPORTED),
    "tool as in chat": ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0].name", INVALID),
    "function name": ({"tools": [{**F, "name": "a b"}]}, "tools[0].name", INVALID),
    "function twice": ({"tools": [F, F]}, "tools[1].name", INVALID),
    "function parameters": ({"tools": [{**F, "parameters": "x"}]}, "tools[0].parameters", INVALID),
    "function description": ({"tools": [{**F, "description": 1}]}, "tools[0].description", INVALID),
    "function strict": ({"tools": [{**F, "strict": "yes"}]}, "tools[0].strict", INVALID),
    "function schema": (
        {"tools": [{**F, "strict": True, "parameters": {"$ref": "http://x"}}]}, "tools[0].parameters", INVALID,
    ),
    "stores missing": ({"tools": [{"type": "file_search"}]}, "tools[0].vector_store_ids", INVALID),
    "stores empty": ({"tools": [{**FILES, "vector_store_ids": []}]}, "tools[0].vector_store_ids", INVALID),
    "store odd": ({"tools": [{**FILES, "vector_store_ids": ["a/b"]}]}, "tools[0].vector_store_ids[0]", INVALID),
    "results too many": ({"tools": [{**FILES, "max_num_results": 51}]}, "tools[0].max_num_results", INVALID),
    "filters": ({"tools": [{**FILES, "filters": {"type": "x"}}]}, "tools[0].filters.type", INVALID),
    "threshold": (
        {"tools": [{**FILES, "ranking_options": {"score_threshold": 2}}]},
        "tools[0].ranking_options.score_threshold", INVALID,
    ),
    "file search twice": ({"tools": [FILES, FILES]}, "tools[1].type", INVALID),
    "domains": ({"tools": [{**WEB, "filters": {"allowed_domains": ["x.org"]}}]}, "tools[0].filters", UNSUPPORTED),
    "context size": ({"tools": [{**WEB, "search_context_size": "all"}]}, "tools[0].search_context_size", INVALID),
    "not available": ({"tools": [CODE]}, "tools[0].type", "tool_unavailable"),
    "container by id": ({"tools": [{**CODE, "container": "cntr_1"}]}, "tools[0].container", UNSUPPORTED),
    "container odd": ({"tools": [{**CODE, "container": {"type": "own"}}]}, "tools[0].container", INVALID),
    "label missing": ({"tools": [{"type": "mcp"}]}, "tools[0].server_label", INVALID),
    "label unknown": ({"tools": [{**NOTES, "server_label": "x"}]}, "tools[0].server_label", INVALID),
    "server down": ({"tools": [{**NOTES, "server_label": "down"}]}, "tools[0].server_label", "tool_unavailable"),
    "connector": (
        {"tools": [{"type": "mcp", "server_label": "x", "connector_id": "connector_gmail"}]},
        "tools[0].connector_id", UNSUPPORTED,
    ),
    "allowed tools": ({"tools": [{**NOTES, "allowed_tools": ["none"]}]}, "tools[0].allowed_tools", INVALID),
    "approval": ({"tools": [{**NOTES, "require_approval": "later"}]}, "tools[0].require_approval", INVALID),
    # tool_choice
    "choice unknown": ({"tools": [F], "tool_choice": "some"}, "tool_choice", INVALID),
    "choice of nothing": ({"tool_choice": "required"}, "tool_choice", INVALID),
    "choice not declared": (
        {"tools": [F], "tool_choice": {"type": "function", "name": "g"}}, "tool_choice", INVALID,
    ),
    "choice of a type not declared": ({"tools": [F], "tool_choice": {"type": "file_search"}}, "tool_choice", INVALID),
    "choice of a type unknown": ({"tools": [F], "tool_choice": {"type": "custom"}}, "tool_choice", INVALID),
    "choice of another server": (
        {"tools": [NOTES], "tool_choice": {"type": "mcp", "server_label": "x"}}, "tool_choice", INVALID,
    ),
    "allowed mode": (
        {"tools": [F], "tool_choice": {"type": "allowed_tools", "mode": "x", "tools": [F]}}, "tool_choice", INVALID,
    ),
    "allowed nothing": (
        {"tools": [F], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}, "tool_choice", INVALID,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_refused_by_its_name(name: str) -> None:
    fields, param, code = WRONG[name]
    error = refused(**fields)
    assert (error.status, error.type, error.param, error.code) == (400, "invalid_request_error", param, code)
    assert error.message.endswith(".")


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest", "https://example.org/a.png", "file:///etc/passwd"])
def test_net_1_pictures_and_files_are_never_fetched(url: str) -> None:
    error = refused(**user({"type": "input_image", "image_url": url}))
    assert isinstance(error, InvalidRequest) and error.param == "input.0.content.0.image_url"
    error = refused(**user({"type": "input_file", "file_url": url}))
    assert isinstance(error, UnsupportedParameter) and error.param == "input.0.content.0.file_url"


@pytest.mark.parametrize("label", ["notes", "hearth", "theirs"])
def test_net_2_no_server_is_connected_to_out_of_a_request(label: str) -> None:
    error = refused(tools=[{"type": "mcp", "server_label": label, "server_url": "http://169.254.169.254/mcp"}])
    assert isinstance(error, UnsupportedParameter) and error.param == "tools[0].server_url"


def test_iso_2_picture_of_somebody_else_is_not_found() -> None:
    error = refused(**user({"type": "input_image", "file_id": "file-1"}))
    assert isinstance(error, NotFound) and error.param == "input.0.content.0.file_id"


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("messages.3.content", "input"),
        ("response_format", "text.format"),
        ("response_format.json_schema.schema", "text.format.schema"),
        ("logprobs", "top_logprobs"),
        ("reasoning_effort", "reasoning.effort"),
        ("max_completion_tokens", "max_output_tokens"),
        ("input.0.content.1.file_id", "input.0.content.1.file_id"),
        ("model", "model"),
        (None, None),
    ],
)
def test_errors_name_the_fields_of_this_interface(theirs: str | None, ours: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught, named_as_here():
        raise InvalidRequest("No.", param=theirs)
    assert caught.value.param == ours


KEYS = st.sampled_from(
    ["type", "role", "content", "id", "call_id", "name", "arguments", "output", "text", "image_url", "file_id",
     "file_data", "filename", "summary", "approve", "approval_request_id", "server_label", "allowed_tools", "tools",
     "require_approval", "vector_store_ids", "container", "filters", "mode", "parameters", "strict", "server_url",
     "encrypted_content", "detail", "reason", "function", "tool_names", "never", "phase", "annotations"]
)  # fmt: skip
WORDS = st.sampled_from(
    ["message", "user", "assistant", "function_call", "function_call_output", "item_reference", "reasoning",
     "mcp_approval_request", "mcp_approval_response", "mcp_call", "input_text", "input_image", "input_file", "mcp",
     "function", "file_search", "web_search", "code_interpreter", "auto", "allowed_tools", "notes", "hearth", "c1",
     "compaction", "never", "output_text", "refusal", PICTURE]
)  # fmt: skip
LEAVES = WORDS | st.none() | st.booleans() | st.integers() | st.text(max_size=5)
ANYTHING = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=6
)
OBJECTS = st.lists(st.dictionaries(KEYS, ANYTHING, max_size=8), max_size=4)


@given(items=OBJECTS, tools=OBJECTS, choice=ANYTHING)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_flow_5_whatever_comes_is_understood_or_refused(items: Any, tools: Any, choice: Any) -> None:
    try:
        plan(input=[HI, *items], tools=tools, tool_choice=choice)
    except HearthError as error:
        assert 400 <= error.status < 500 and error.message
