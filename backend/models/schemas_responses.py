"""The wire bodies of /v1/responses. Items and tools stay plain objects: they are checked one by one, by kind."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from backend.models.schemas import BudgetIn, Wire

MAX_ITEMS = 4096
MAX_TOOLS = 512
Metadata = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=512)]],
    Field(max_length=16),
]
"""The caller's own notes on an object: at most 16 pairs of strings."""


class TextFormatIn(Wire):
    """What the text must be; unlike in chat completions, the schema stands beside the type."""

    type: Literal["text", "json_object", "json_schema"]
    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")] | None = None
    description: str | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class TextIn(Wire):
    format: TextFormatIn | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class ReasoningIn(Wire):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    summary: Literal["auto", "concise", "detailed", "none"] | None = None
    generate_summary: Literal["auto", "concise", "detailed"] | None = None


class ConversationIn(Wire):
    id: Annotated[str, Field(max_length=128)]


class ResponseStreamOptionsIn(Wire):
    """Accepted as a whole: nothing is padded here, so there is nothing to switch off."""

    include_obfuscation: bool | None = None


class ResponseRequest(Wire):
    """Body of POST /v1/responses. `agent`, `budget` and the lists of tools by name are Hearth's own."""

    model: Annotated[str, Field(min_length=1, max_length=256)]
    input: str | Annotated[list[dict[str, Any]], Field(max_length=MAX_ITEMS)] | None = None
    instructions: str | None = None
    previous_response_id: Annotated[str, Field(max_length=128)] | None = None
    conversation: Annotated[str, Field(max_length=128)] | ConversationIn | None = None
    tools: Annotated[list[dict[str, Any]], Field(max_length=MAX_TOOLS)] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    max_output_tokens: Annotated[int, Field(ge=16)] | None = None
    max_tool_calls: Annotated[int, Field(ge=0)] | None = None
    text: TextIn | None = None
    reasoning: ReasoningIn | None = None
    include: Annotated[list[str], Field(max_length=64)] | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: ResponseStreamOptionsIn | None = None
    background: bool | None = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: Metadata | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    user: Annotated[str, Field(max_length=512)] | None = None
    safety_identifier: Annotated[str, Field(max_length=512)] | None = None
    prompt_cache_key: Annotated[str, Field(max_length=512)] | None = None
    prompt_cache_retention: str | None = None
    service_tier: str | None = None
    prompt: dict[str, Any] | None = None
    agent: Literal["auto", "chat", "react", "plan_execute", "documents"] | str | None = None
    budget: BudgetIn | None = None
    enabled_tools: Annotated[list[str], Field(max_length=200)] | None = None
    disabled_tools: Annotated[list[str], Field(max_length=200)] | None = None
    confirmed_tools: Annotated[list[str], Field(max_length=200)] | None = None

    @property
    def conversation_id(self) -> str | None:
        """The id of the conversation, whichever way it was given."""
        return self.conversation.id if isinstance(self.conversation, ConversationIn) else self.conversation

    @property
    def stored(self) -> bool:
        """Whether the response is kept, which is the default of this interface."""
        return self.store is not False
