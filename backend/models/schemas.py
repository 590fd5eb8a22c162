"""The OpenAI wire bodies as pydantic models: what a client may send. Unknown fields are kept and ignored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, StringConstraints, WithJsonSchema
from pydantic_core import CoreSchema

ToolName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


def _give_up_early(schema: Any) -> None:
    """Mark every list in this description of a type."""
    if isinstance(schema, dict):
        if schema.get("type") == "list":
            schema["fail_fast"] = True
        for part in schema.values():
            _give_up_early(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            _give_up_early(part)


class Wire(BaseModel):
    """Base of all bodies: foreign fields are accepted, as clients of local servers send many.

    A list is given up at its first bad item: to tell of each of half a million would hold up everybody for seconds.
    """

    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _give_up_early(schema)
        return schema


class FunctionCallIn(Wire):
    name: str
    arguments: str | dict[str, Any] = ""


class ToolCallIn(Wire):
    id: str = ""
    type: str = "function"
    function: FunctionCallIn


class MessageIn(Wire):
    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_calls: list[ToolCallIn] | None = None
    tool_call_id: str | None = None
    function_call: FunctionCallIn | None = None
    refusal: str | None = None
    reasoning_content: str | None = None


class FunctionIn(Wire):
    name: ToolName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class ToolIn(Wire):
    type: str
    function: FunctionIn | None = None


class JsonSchemaIn(Wire):
    name: str = "answer"
    description: str | None = None
    schema_: dict[str, Any] | None = Field(default=None, alias="schema")
    strict: bool | None = None


class ResponseFormatIn(Wire):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaIn | None = None


class StreamOptionsIn(Wire):
    include_usage: bool | None = None


class BudgetIn(Wire):
    """Limits of one run; each can only be lower than the server's own. `seconds` is wall time."""

    iterations: Annotated[int, Field(ge=1)] | None = None
    plan_rounds: Annotated[int, Field(ge=1)] | None = None
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    tool_calls: Annotated[int, Field(ge=0)] | None = None
    tokens: Annotated[int, Field(ge=1)] | None = None


LogitBias = Annotated[dict[str, Any], WithJsonSchema({"type": "object", "additionalProperties": {"type": "number"}})]
"""Refused unless empty, so its values are not looked at."""


CollectionIds = Annotated[list[Annotated[str, Field(max_length=128)]], Field(max_length=50)]


class ChatCompletionRequest(Wire):
    """Body of POST /v1/chat/completions. `agent`, `session_id`, `collections` and `budget` are Hearth's own.

    `collections`: search these instead of all documents, in this conversation from now on; empty means all again.
    `store` true keeps the completion for GET /v1/chat/completions; false keeps nothing, not even the conversation.
    """

    model: Annotated[str, Field(min_length=1, max_length=256)]
    messages: Annotated[list[MessageIn], Field(min_length=1, max_length=4096)]
    stream: bool | None = None
    stream_options: StreamOptionsIn | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    response_format: ResponseFormatIn | None = None
    tools: list[ToolIn] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    modalities: list[str] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    functions: Annotated[list[FunctionIn], Field(max_length=128)] | None = None
    function_call: str | dict[str, Any] | None = None
    logit_bias: LogitBias | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    service_tier: str | None = None
    web_search_options: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    store: bool | None = None
    agent: Literal["auto", "chat", "react", "plan_execute", "documents"] | str | None = None
    session_id: Annotated[str, Field(max_length=128)] | None = None
    collections: CollectionIds | None = None
    max_iterations: Annotated[int, Field(ge=1)] | None = None
    budget: BudgetIn | None = None
    enabled_tools: Annotated[list[str], Field(max_length=200)] | None = None
    disabled_tools: Annotated[list[str], Field(max_length=200)] | None = None
    confirmed_tools: Annotated[list[str], Field(max_length=200)] | None = None


EMBEDDING_INPUT = {
    "title": "Input",
    "description": "One text or up to 2,048; lists of token ids are refused.",
    "examples": ["The food was delicious.", ["one text", "another"]],
    "oneOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "minItems": 1, "maxItems": 2048, "items": {"type": "string", "minLength": 1}},
    ],
}


class EmbeddingRequest(Wire):
    """Body of POST /v1/embeddings."""

    model: Annotated[str, Field(min_length=1, max_length=256, examples=["hearth-embedding", "nomic-embed-text"])]
    input: Annotated[Any, WithJsonSchema(EMBEDDING_INPUT)]
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1)] | None = None
    user: str | None = None


class CompletionUpdate(Wire):
    """Body of POST /v1/chat/completions/{completion_id}; null empties the metadata."""

    metadata: dict[str, Any] | None


class RouteRequest(Wire):
    """Body of POST /api/route."""

    messages: Annotated[list[MessageIn], Field(min_length=1, max_length=4096)]
    model: str | None = None


class LoginRequest(Wire):
    username: Annotated[str, Field(max_length=256)]
    password: Annotated[str, Field(max_length=4096)]


class KeyRequest(Wire):
    name: Annotated[str, Field(max_length=100)] = ""


class ConversationChange(Wire):
    """Body of PATCH /api/conversations/{session_id}; what is left out stays."""

    title: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    collections: CollectionIds | None = None


class ToolSettingsRequest(Wire):
    """Body of PUT /api/tools/settings: the tools that may not run for this user."""

    disabled_tools: Annotated[list[str], Field(max_length=200)]


class ToolRunRequest(Wire):
    arguments: dict[str, Any] = Field(default_factory=dict)
