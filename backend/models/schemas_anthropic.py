"""The wire bodies of Anthropic's Messages API: what a client may send. Unknown fields are ignored.

A block is one flat model for all its types: which fields a type needs is checked where blocks become messages, so
that blocks of types this server has no use for (results of tools that ran elsewhere) pass through unharmed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from backend.models.schemas import BudgetIn, Wire

AnthropicToolName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,128}$")]


def _as_blocks(value: Any) -> Any:
    """A string is shorthand for one block of text; a lone object (results of server tools) for a list of it."""
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    return [value] if isinstance(value, dict) else value


def _as_source(value: Any) -> Any:
    """The source of a search result is a plain text that says where it came from."""
    return {"type": "name", "data": value} if isinstance(value, str) else value


class SourceIn(Wire):
    """Where the bytes of a picture or document are: `data` (base64, or the text itself), an address, or a file."""

    type: str
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    file_id: str | None = None


class LeafBlockIn(Wire):
    """A block that holds no further blocks: text or a picture."""

    type: str
    text: str | None = None
    source: Annotated[SourceIn | None, BeforeValidator(_as_source)] = None


LeafBlocks = Annotated[list[LeafBlockIn], BeforeValidator(_as_blocks, json_schema_input_type=str | list[LeafBlockIn])]


class DocumentSourceIn(SourceIn):
    content: LeafBlocks | None = None


class InnerBlockIn(LeafBlockIn):
    """A block as it may stand in a tool's result: also documents and search results."""

    source: Annotated[
        DocumentSourceIn | None,
        BeforeValidator(_as_source, json_schema_input_type=DocumentSourceIn | str | None),
    ] = None
    content: LeafBlocks | None = None
    title: str | None = None
    context: str | None = None


InnerBlocks = Annotated[
    list[InnerBlockIn],
    BeforeValidator(_as_blocks, json_schema_input_type=str | list[InnerBlockIn] | dict[str, Any]),
]


class BlockIn(InnerBlockIn):
    """A block of a message: also calls of tools, their results, and thinking."""

    content: InnerBlocks | None = None  # type: ignore[assignment]
    id: str | None = None
    name: str | None = None
    input: dict[str, Any] | None = None
    tool_use_id: str | None = None
    is_error: bool | None = None
    thinking: str | None = None


Blocks = Annotated[list[BlockIn], BeforeValidator(_as_blocks, json_schema_input_type=str | list[BlockIn])]


class AnthropicMessageIn(Wire):
    role: Literal["user", "assistant", "system"]
    content: Blocks


class AnthropicToolIn(Wire):
    """A tool of the caller's (`type` absent or `custom`), or one that the server runs, by its dated type."""

    type: str | None = None
    name: AnthropicToolName | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    strict: bool | None = None
    max_uses: Annotated[int, Field(ge=1)] | None = None
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None


class AnthropicToolChoiceIn(Wire):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class ThinkingIn(Wire):
    """`budget_tokens` says how hard to think; `display` whether the thinking is shown."""

    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    budget_tokens: Annotated[int, Field(ge=1024)] | None = None
    display: Literal["summarized", "omitted"] | None = None


class OutputFormatIn(Wire):
    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")


class OutputConfigIn(Wire):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormatIn | None = None


class CountTokensRequest(Wire):
    """Body of POST /v1/messages/count_tokens."""

    model: Annotated[str, Field(min_length=1, max_length=256)]
    messages: Annotated[list[AnthropicMessageIn], Field(min_length=1, max_length=10_000)]
    system: LeafBlocks | None = None
    tools: Annotated[list[AnthropicToolIn], Field(max_length=1000)] | None = None
    tool_choice: AnthropicToolChoiceIn | None = None
    thinking: ThinkingIn | None = None
    output_config: OutputConfigIn | None = None
    output_format: OutputFormatIn | None = None
    """The older place of `output_config.format`."""
    mcp_servers: list[dict[str, Any]] | None = None


class MessagesRequest(CountTokensRequest):
    """Body of POST /v1/messages. From `agent` on the fields are Hearth's own, as in chat completions."""

    max_tokens: Annotated[int, Field(ge=1)]
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0, le=10_000)] | None = None
    stop_sequences: Annotated[list[Annotated[str, Field(min_length=1)]], Field(max_length=64)] | None = None
    stream: bool | None = None
    agent: Annotated[str, Field(max_length=64)] | None = None
    session_id: Annotated[str, Field(max_length=128)] | None = None
    store: bool | None = None
    budget: BudgetIn | None = None
    enabled_tools: Annotated[list[str], Field(max_length=200)] | None = None
    disabled_tools: Annotated[list[str], Field(max_length=200)] | None = None
    confirmed_tools: Annotated[list[str], Field(max_length=200)] | None = None
