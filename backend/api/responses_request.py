"""From the wire body of /v1/responses and the items before it to a checked Question, and what the answer echoes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from backend.api.responses_messages import approved_calls, conversation_of
from backend.api.responses_tools import (
    OWN_TOOLS,
    Allowed,
    Declared,
    ServerTool,
    ServerTools,
    allowed_by,
    declared_tools,
    instructions_of,
)
from backend.core.json_form import check_schema
from backend.llm.port import ResponseFormat, Sampling
from backend.models.errors import HearthError, InvalidRequest
from backend.models.messages import Event, Image
from backend.models.schemas_responses import ResponseRequest, TextFormatIn
from backend.tasks.answering import Question
from backend.tasks.model_catalog import AGENT_MODELS

NO_PICTURES: Mapping[str, Image] = {}
NOT_HERE = (
    "access_programs",
    "image",
    "input_transformations",
    "moderation",
    "prompt",
    "prompt_cache_diagnostics",
    "prompt_cache_options",
    "prompt_cache_retention",
    "tool_usage",
)
"""Fields of the Response object that nothing here has a value for."""
LOGPROBS = "message.output_text.logprobs"


@dataclass(frozen=True, slots=True)
class ResponsePlan:
    """A request that has been understood. `echo` are the fields of the Response object that do not change."""

    question: Question
    echo: Mapping[str, Any]
    include: frozenset[str] = frozenset()
    background: bool = False
    tools: Mapping[str, ServerTool] = field(default_factory=dict)
    """The server's tools by name, for telling where a call went."""
    unconfirmed: frozenset[str] = frozenset()
    """Tools whose calls are put to the user instead of being made."""

    @property
    def files(self) -> frozenset[str] | None:
        return self.question.files

    @property
    def collections(self) -> tuple[str, ...]:
        return self.question.collections


def plan_of(
    body: ResponseRequest,
    earlier: Sequence[Mapping[str, Any]],
    items: Sequence[Mapping[str, Any]],
    *,
    offered: ServerTools = OWN_TOOLS,
    pictures: Mapping[str, Image] = NO_PICTURES,
) -> ResponsePlan:
    """The plan of a request whose `items` come from `input_items`, references replaced by what they refer to.

    `earlier` are the items of the previous response or the conversation, oldest first, inputs and outputs. `offered`
    are the server's tools, see `server_tools`; `pictures` those that are named by file id, see `stored_pictures`.
    Raises InvalidRequest, UnsupportedParameter or NotFound naming the field.
    """
    declared = declared_tools(body.tools or (), offered)
    allowed = allowed_by(body.tool_choice, declared, offered)
    include = frozenset(body.include or ())
    confirmed = declared.confirmed | frozenset(body.confirmed_tools or ()) | _approved(earlier, items, offered)
    told = instructions_of(allowed, declared.files)
    messages, attachments = conversation_of((told, body.instructions or ""), earlier, items, pictures)
    question = Question(
        model=body.model,
        messages=messages,
        agent=_agent(body, allowed),
        tools=allowed.functions,
        tool_choice=allowed.choice,
        parallel_tool_calls=body.parallel_tool_calls is not False,
        response_format=_response_format(body.text.format if body.text is not None else None),
        sampling=Sampling(temperature=body.temperature, top_p=body.top_p, max_tokens=body.max_output_tokens),
        reasoning_effort=body.reasoning.effort if body.reasoning is not None else None,
        store=body.stored,
        budget=_budget(body),
        enabled_tools=_enabled(body, declared, allowed),
        disabled_tools=frozenset(body.disabled_tools or ()),
        confirmed_tools=confirmed,
        files=declared.files or None,
        collections=declared.collections,
        search=declared.search,
        streamed=body.stream is True,
        logprobs=(body.top_logprobs or 0) if body.top_logprobs or LOGPROBS in include else None,
        attachments=attachments,
        keep_whole=body.truncation == "disabled",
    )
    unconfirmed = frozenset(name for name, tool in offered.able.items() if tool.confirm and name not in confirmed)
    return ResponsePlan(question, _echo(body, declared), include, body.background is True, offered.able, unconfirmed)


def _agent(body: ResponseRequest, allowed: Allowed) -> str | None:
    """Who answers: with tools of the server declared, an agent; which one, the request or the model may say."""
    if allowed.server_names:
        for wanted in (body.agent, AGENT_MODELS.get(body.model)):
            if wanted not in (None, "auto", "chat"):
                return wanted
        return "react"
    if body.agent is None and not allowed.functions and (allowed.choice == "none" or body.tools):
        # Nothing may be called, not even what the server would choose by itself.
        return "chat"
    return body.agent


def _enabled(body: ResponseRequest, declared: Declared, allowed: Allowed) -> frozenset[str] | None:
    """The server's tools that may run: those declared, if any are, and never more than the request names itself."""
    named = None if body.enabled_tools is None else frozenset(body.enabled_tools)
    if not declared.built_in:
        return named
    return allowed.server_names if named is None else allowed.server_names & named


def _approved(
    earlier: Sequence[Mapping[str, Any]], items: Sequence[Mapping[str, Any]], offered: ServerTools
) -> frozenset[str]:
    """The tools whose calls the user has just agreed to."""
    agreed = {(each["server_label"], each["name"]) for each in approved_calls(earlier, items)}
    return frozenset(name for name, tool in offered.able.items() if (tool.label, tool.own_name or name) in agreed)


def _budget(body: ResponseRequest) -> dict[str, float | None]:
    limits: dict[str, float | None] = body.budget.model_dump() if body.budget is not None else {}
    calls = [each for each in (limits.get("tool_calls"), body.max_tool_calls) if each is not None]
    return {**limits, "tool_calls": min(calls, default=None)}


def _response_format(wanted: TextFormatIn | None) -> ResponseFormat | None:
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        return ResponseFormat("json_object")
    for key, value in (("name", wanted.name), ("schema", wanted.schema_)):
        if value is None:
            raise InvalidRequest(
                f"text.format.{key} is missing.", param=f"text.format.{key}", code="missing_required_parameter"
            )
    assert wanted.schema_ is not None
    check_schema(wanted.schema_, "text.format.schema")
    return ResponseFormat("json_schema", wanted.name or "", wanted.schema_, bool(wanted.strict))


# ---- what the answer says of the request --------------------------------------------------------------------


def _echo(body: ResponseRequest, declared: Declared) -> dict[str, Any]:
    """The constant fields of the Response object, every one of them always there."""
    conversation = body.conversation_id
    return {
        **dict.fromkeys(NOT_HERE),
        "background": body.background is True,
        "conversation": None if conversation is None else {"id": conversation},
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": body.max_tool_calls,
        "metadata": dict(body.metadata or {}),
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": body.previous_response_id,
        "prompt_cache_key": body.prompt_cache_key,
        "reasoning": _reasoning(body),
        "safety_identifier": body.safety_identifier,
        "service_tier": "default",
        "store": body.stored,
        "temperature": 1.0 if body.temperature is None else body.temperature,
        "text": _text(body),
        "tool_choice": body.tool_choice or "auto",
        "tools": [dict(each) for each in declared.echo],
        "top_logprobs": body.top_logprobs or 0,
        "top_p": 1.0 if body.top_p is None else body.top_p,
        "truncation": body.truncation or "auto",
        "user": body.user,
    }


def _reasoning(body: ResponseRequest) -> dict[str, Any]:
    given = body.reasoning
    summary = None if given is None else given.summary or given.generate_summary
    return {"effort": given.effort if given is not None else None, "summary": summary if summary != "none" else None}


def _text(body: ResponseRequest) -> dict[str, Any]:
    given = body.text.format if body.text is not None else None
    wanted: dict[str, Any] = {"type": given.type if given is not None else "text"}
    if given is not None and given.type == "json_schema":
        wanted |= {
            "name": given.name,
            "description": given.description,
            "schema": given.schema_,
            "strict": given.strict is True,
        }
    return {"format": wanted, "verbosity": (body.text.verbosity if body.text is not None else None) or "medium"}


# ---- errors that name fields of another door -----------------------------------------------------------------

PARAMS: Mapping[str, str] = {
    "messages": "input",
    "response_format.json_schema": "text.format",
    "response_format": "text.format",
    "logprobs": "top_logprobs",
    "reasoning_effort": "reasoning.effort",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
}
"""Fields of chat completions, in whose words the rest of the house speaks, and what they are called here."""


@contextmanager
def named_as_here() -> Iterator[None]:
    """Let errors of the work inside name the fields of this interface."""
    try:
        yield
    except HearthError as error:
        error.param = _here(error.param)
        raise


async def events_named_as_here(events: AsyncGenerator[Event, None]) -> AsyncGenerator[Event, None]:
    """The same events, their errors in the words of this interface."""
    with named_as_here():
        async with aclosing(events) as inner:
            async for event in inner:
                yield event


def _here(param: str | None) -> str | None:
    """Message numbers are not item numbers, so only `input` is left of those."""
    for theirs, ours in PARAMS.items():
        if param == theirs or (param is not None and param.startswith(f"{theirs}.")):
            return ours if ours == "input" else ours + param[len(theirs) :]
    return param
