"""The wire body of the older text completions. Unknown fields are ignored."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

from backend.models.schemas import LogitBias, StreamOptionsIn, Wire

MAX_PROMPTS = 20
PROMPT = {
    "description": f"One text or up to {MAX_PROMPTS}; lists of token ids are refused.",
    "examples": ["Once upon a time", ["One text", "another"]],
    "oneOf": [
        {"type": "string"},
        {"type": "array", "minItems": 1, "maxItems": MAX_PROMPTS, "items": {"type": "string"}},
    ],
}


class CompletionRequest(Wire):
    """Body of POST /v1/completions."""

    model: Annotated[str, Field(min_length=1, max_length=256)]
    prompt: Annotated[Any, WithJsonSchema(PROMPT)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    """16 when absent, as at OpenAI."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    best_of: Annotated[int, Field(ge=1, le=128)] | None = None
    echo: bool | None = None
    suffix: str | None = None
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    logit_bias: LogitBias | None = None
    stream: bool | None = None
    stream_options: StreamOptionsIn | None = None
