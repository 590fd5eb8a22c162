"""From the wire body of Anthropic's Messages API to a checked Question."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from backend.api.anthropic_messages import Conversation, conversation_of
from backend.api.anthropic_tools import Tools, tools_of
from backend.core.json_form import check_schema
from backend.llm.port import ResponseFormat, Sampling, ToolChoice
from backend.models.errors import InvalidRequest, UnsupportedParameter
from backend.models.schemas_anthropic import (
    AnthropicToolChoiceIn,
    CountTokensRequest,
    MessagesRequest,
    ThinkingIn,
)
from backend.models.tools import ToolSpec
from backend.tasks.answering import Question

AGENT_NAME_CHARS = 64
BUDGET_EFFORTS = ((4096, "low"), (16_384, "medium"))
"""Below so many tokens of thinking, this is how hard a model is asked to think; from the last on `high`."""


def question_of(body: MessagesRequest, available: Collection[str]) -> tuple[Question, Tools]:
    """The question, and the tools it was asked with. `available` are the names of this server's tools.

    Raises InvalidRequest or UnsupportedParameter naming the field.
    """
    _refuse_unsupported(body)
    tools = tools_of(body.tools or (), available)
    choice = body.tool_choice
    server, agent = tools.server, _agent(body, tools)
    _check_names(tools.own, agent)
    conversation = conversation_in(body, continued=body.session_id is not None)
    enabled = None if body.enabled_tools is None else frozenset(body.enabled_tools)
    question = Question(
        model=body.model,
        messages=tuple(conversation.messages),
        attachments=tuple(conversation.attachments),
        agent=agent,
        tools=tools.own,
        tool_choice=_tool_choice(choice, tools),
        parallel_tool_calls=not (choice is not None and choice.disable_parallel_tool_use),
        response_format=_response_format(body),
        sampling=Sampling(
            temperature=body.temperature,
            top_p=body.top_p,
            top_k=body.top_k,
            max_tokens=body.max_tokens,
            stop=tuple(body.stop_sequences or ()),
        ),
        reasoning_effort=_effort(body),
        session_id=body.session_id,
        store=body.store is not False,
        budget=_budget(body, tools),
        enabled_tools=(enabled or frozenset()) | server if server else enabled,
        disabled_tools=frozenset(body.disabled_tools or ()),
        confirmed_tools=frozenset(body.confirmed_tools or ()),
        streamed=body.stream is True,
    )
    return question, tools


def conversation_in(body: CountTokensRequest, *, continued: bool = False) -> Conversation:
    """System prompt and turns in the house's vocabulary. Raises InvalidRequest."""
    return conversation_of(body.system or (), body.messages, continued=continued)


def shows_thinking(thinking: ThinkingIn | None) -> bool:
    """Whether the answer has blocks of thinking: only where they were asked for, as at Anthropic."""
    return thinking is not None and thinking.type != "disabled"


def _refuse_unsupported(body: MessagesRequest) -> None:
    if body.mcp_servers:
        raise UnsupportedParameter(
            "Servers of the Model Context Protocol are set up by the administrator here: leave this out.",
            param="mcp_servers",
        )


def _agent(body: MessagesRequest, tools: Tools) -> str | None:
    """The way the request asks for. Tools that the server runs need an agent to run them, and an answer that the
    caller has begun is gone on with as it is."""
    if body.agent not in (None, "auto"):
        return body.agent
    if tools.server:
        return "react"
    return "chat" if body.messages[-1].role == "assistant" else body.agent


def _check_names(tools: Sequence[ToolSpec], agent: str | None) -> None:
    """An agent knows tools by shorter names than Anthropic allows. Raises InvalidRequest."""
    if agent in (None, "auto", "chat"):
        return
    long = next((tool.name for tool in tools if len(tool.name) > AGENT_NAME_CHARS), None)
    if long is not None:
        raise InvalidRequest(
            f"Beside an agent, names of tools have at most {AGENT_NAME_CHARS} characters; {long[:80]} is longer.",
            param="tools",
            code="invalid_value",
        )


def _effort(body: MessagesRequest) -> str:
    """How hard to think. Without `thinking` not at all: clients then expect text as the first block."""
    if not shows_thinking(body.thinking) or body.thinking is None:
        return "none"
    asked = body.output_config.effort if body.output_config is not None else None
    if asked is not None:
        return asked
    budget = body.thinking.budget_tokens
    if budget is None:
        return "medium"
    return next((effort for below, effort in BUDGET_EFFORTS if budget < below), "high")


def _budget(body: MessagesRequest, tools: Tools) -> dict[str, float | None]:
    wanted: dict[str, float | None] = body.budget.model_dump() if body.budget is not None else {}
    if tools.max_calls is not None:
        wanted["tool_calls"] = min(tools.max_calls, wanted.get("tool_calls") or tools.max_calls)
    return wanted


def _tool_choice(choice: AnthropicToolChoiceIn | None, tools: Tools) -> ToolChoice:
    if choice is None or choice.type == "auto":
        return "auto"
    if choice.type == "none":
        return "none"
    if not tools.own:
        raise InvalidRequest("tool_choice needs tools of your own.", param="tool_choice", code="invalid_value")
    if choice.type == "any":
        return "required"
    if choice.name is None:
        raise InvalidRequest("Field required.", param="tool_choice.name", code="invalid_value")
    if choice.name not in {tool.name for tool in tools.own}:
        raise InvalidRequest(
            f"{choice.name[:64]!r} is not among tools.", param="tool_choice.name", code="invalid_value"
        )
    return choice.name


def _response_format(body: CountTokensRequest) -> ResponseFormat | None:
    where, wanted = "output_config.format", body.output_config.format if body.output_config is not None else None
    if wanted is None:
        where, wanted = "output_format", body.output_format
    if wanted is None:
        return None
    check_schema(wanted.schema_, f"{where}.schema")
    return ResponseFormat("json_schema", "answer", wanted.schema_, strict=True)


def own_tools(body: CountTokensRequest) -> tuple[ToolSpec, ...]:
    """The caller's own tools, for counting: those of the server are offered by the agent."""
    declared = [tool for tool in body.tools or () if tool.type in (None, "custom")]
    return tools_of(declared, ()).own
