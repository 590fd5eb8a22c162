"""From the wire body of a chat completion to a checked Question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from backend.api.chat_messages import attachments_of, messages_of
from backend.core.json_form import check_schema
from backend.core.schema_shape import check_parameters
from backend.llm.port import ResponseFormat, Sampling, ToolChoice
from backend.models.errors import InvalidRequest, UnsupportedParameter
from backend.models.schemas import ChatCompletionRequest, FunctionIn, ResponseFormatIn, ToolIn
from backend.models.tools import ToolSpec
from backend.tasks.answering import Question

MAX_CHOICES = 8
"""Answers to one request; each is a run of its own at the model's server."""
MAX_METADATA_PAIRS = 16
MAX_METADATA_KEY = 64
MAX_METADATA_VALUE = 512


def question_of(body: ChatCompletionRequest) -> Question:
    """Raises InvalidRequest or UnsupportedParameter naming the field."""
    _refuse_unsupported(body)
    checked_metadata(body.metadata)
    tools = _tools(body)
    tools, choice = _tool_choice(body, tools)
    return Question(
        model=body.model,
        messages=messages_of(body.messages),
        agent=body.agent,
        tools=tools,
        tool_choice=choice,
        parallel_tool_calls=body.parallel_tool_calls is not False and body.functions is None,
        response_format=_response_format(body.response_format),
        sampling=Sampling(
            temperature=body.temperature,
            top_p=body.top_p,
            max_tokens=body.max_completion_tokens or body.max_tokens,
            stop=tuple(each for each in ([body.stop] if isinstance(body.stop, str) else body.stop or ()) if each),
            seed=body.seed,
            presence_penalty=body.presence_penalty,
            frequency_penalty=body.frequency_penalty,
        ),
        reasoning_effort=body.reasoning_effort,
        session_id=body.session_id,
        collections=tuple(dict.fromkeys(body.collections or ())),
        chooses_collections=body.collections is not None,
        store=body.store is not False,
        budget=_budget(body),
        enabled_tools=None if body.enabled_tools is None else frozenset(body.enabled_tools),
        disabled_tools=frozenset(body.disabled_tools or ()),
        confirmed_tools=frozenset(body.confirmed_tools or ()),
        streamed=body.stream is True,
        n=body.n or 1,
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        attachments=attachments_of(body.messages),
        web_search=body.web_search_options is not None,
    )


def _budget(body: ChatCompletionRequest) -> dict[str, float | None]:
    """The limits the caller sets; `max_iterations` is the older name of one of them."""
    wanted: dict[str, float | None] = body.budget.model_dump() if body.budget is not None else {}
    if wanted.get("iterations") is None:
        wanted["iterations"] = body.max_iterations
    return wanted


def _refuse_unsupported(body: ChatCompletionRequest) -> None:
    """Refuse only what would change the answer's meaning silently."""
    if body.n is not None and body.n > MAX_CHOICES:
        raise UnsupportedParameter(f"n must be at most {MAX_CHOICES}: ask several times for more answers.", param="n")
    if body.top_logprobs and not body.logprobs:
        raise InvalidRequest("top_logprobs needs logprobs: true.", param="top_logprobs", code="invalid_value")
    if body.logprobs and body.response_format is not None and body.response_format.type != "text":
        raise UnsupportedParameter(
            "An answer held to a response_format has no logprobs: leave out the one or the other.", param="logprobs"
        )
    if body.functions and body.tools:
        raise InvalidRequest(
            "functions is the older form of tools: send only one of them.", param="functions", code="invalid_value"
        )
    if body.logit_bias:
        raise UnsupportedParameter("logit_bias is not available here: leave it out.", param="logit_bias")
    if body.modalities and "text" not in body.modalities:
        raise UnsupportedParameter("Only text can be answered here: ask for it in modalities.", param="modalities")
    if body.modalities and "audio" in body.modalities:
        raise UnsupportedParameter("Audio output is not available here: ask for text only.", param="modalities")


def checked_metadata(metadata: Mapping[str, Any] | None) -> dict[str, str]:
    """The pairs of a `metadata` field. Raises InvalidRequest naming the pair."""
    if metadata is None:
        return {}
    if len(metadata) > MAX_METADATA_PAIRS:
        raise InvalidRequest(
            f"metadata holds at most {MAX_METADATA_PAIRS} pairs.", param="metadata", code="invalid_value"
        )
    for key, value in metadata.items():
        if len(key) > MAX_METADATA_KEY:
            raise InvalidRequest(
                f"A key of metadata has at most {MAX_METADATA_KEY} characters.", param="metadata", code="invalid_value"
            )
        if not isinstance(value, str) or len(value) > MAX_METADATA_VALUE:
            raise InvalidRequest(
                f"A value of metadata is a string of at most {MAX_METADATA_VALUE} characters.",
                param=f"metadata.{key}",
                code="invalid_value",
            )
    return dict(metadata)


# ---- tools ----------------------------------------------------------------------------------------


def _tools(body: ChatCompletionRequest) -> tuple[ToolSpec, ...]:
    """The caller's tools; `functions` are the older way to give them."""
    if body.functions:
        given = [(function, f"functions.{index}") for index, function in enumerate(body.functions)]
    else:
        given = [(_function(tool, index), f"tools.{index}.function") for index, tool in enumerate(body.tools or ())]
    specs: dict[str, ToolSpec] = {}
    for function, where in given:
        if function.name in specs:
            raise InvalidRequest(
                f"Two tools are named {function.name!r}: rename one.", param=f"{where}.name", code="invalid_value"
            )
        specs[function.name] = _spec(function, where)
    return tuple(specs.values())


def _function(tool: ToolIn, index: int) -> FunctionIn:
    if tool.type != "function" or tool.function is None:
        raise UnsupportedParameter(
            "Only tools of type function are supported in chat completions.", param=f"tools.{index}.type"
        )
    return tool.function


def _spec(function: FunctionIn, where: str) -> ToolSpec:
    schema = function.parameters or {"type": "object", "properties": {}}
    strict = function.strict is True
    if strict:
        check_schema(schema, f"{where}.parameters")
    else:
        check_parameters(schema, f"{where}.parameters")
    return ToolSpec(function.name, function.description or "", schema, strict=strict)


def _tool_choice(body: ChatCompletionRequest, tools: tuple[ToolSpec, ...]) -> tuple[tuple[ToolSpec, ...], ToolChoice]:
    """The tools that may be called, and how they are chosen among."""
    param, choice = "tool_choice", body.tool_choice
    if body.functions or (body.function_call is not None and not body.tools and choice is None):
        param, choice = "function_call", _as_tool_choice(body.function_call)
    if choice is None or (choice in ("auto", "none") and not tools):
        return tools, "auto"
    if not tools:
        raise InvalidRequest(f"{param} needs tools: send them, or leave it out.", param=param, code="invalid_value")
    if isinstance(choice, dict):
        if choice.get("type") == "allowed_tools":
            return _allowed(choice, tools)
        return tools, _named(choice, tools, param)
    if choice not in ("auto", "none", "required"):
        raise InvalidRequest(f"{param} must be none, auto, required or a function.", param=param, code="invalid_value")
    return tools, choice


def _as_tool_choice(call: str | dict[str, Any] | None) -> str | dict[str, Any] | None:
    """The newer form of `function_call`: none, auto, or {"name": …}."""
    if isinstance(call, dict):
        return {"type": "function", "function": call}
    return "unknown" if call == "required" else call


def _named(choice: Mapping[str, Any], tools: Sequence[ToolSpec], param: str) -> str:
    function = choice.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    if choice.get("type") != "function" or not isinstance(name, str):
        raise InvalidRequest(f"{param} must name a function.", param=param, code="invalid_value")
    if name not in {tool.name for tool in tools}:
        raise InvalidRequest(
            f"{param} names {name[:64]!r}, which is not among tools.", param=param, code="invalid_value"
        )
    return name


def _allowed(choice: Mapping[str, Any], tools: Sequence[ToolSpec]) -> tuple[tuple[ToolSpec, ...], ToolChoice]:
    """`allowed_tools`: some of the tools, of which a call may or must be made. The model sees no others."""
    given = choice.get("allowed_tools")
    given = given if isinstance(given, dict) else choice
    mode, listed = given.get("mode", "auto"), given.get("tools")
    if mode not in ("auto", "required") or not isinstance(listed, list) or not listed:
        raise InvalidRequest(
            "tool_choice.allowed_tools needs mode (auto or required) and tools.",
            param="tool_choice.allowed_tools",
            code="invalid_value",
        )
    names = {_named(each if isinstance(each, dict) else {}, tools, "tool_choice.allowed_tools") for each in listed}
    return tuple(tool for tool in tools if tool.name in names), mode


# ---- the form of the answer -----------------------------------------------------------------------


def _response_format(wanted: ResponseFormatIn | None) -> ResponseFormat | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return ResponseFormat("json_object")
    kind: Literal["json_schema"] = "json_schema"
    if wanted.json_schema is None or wanted.json_schema.schema_ is None:
        raise InvalidRequest(
            "response_format.json_schema.schema is missing.",
            param="response_format.json_schema.schema",
            code="invalid_value",
        )
    given = wanted.json_schema
    check_schema(wanted.json_schema.schema_)
    return ResponseFormat(kind, given.name, given.schema_, bool(given.strict))
