"""The port every model provider implements: list, describe, stream."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from backend.models.messages import Event, Message
from backend.models.tools import ToolSpec

if TYPE_CHECKING:
    from backend.config.settings import Settings
    from backend.embeddings.port import Embedder

Capability = Literal["completion", "tools", "thinking", "vision", "embedding", "insert", "structured"]
ToolChoice = Literal["auto", "none", "required"] | str
"""`auto`, `none`, `required`, or the name of the one tool that must be called."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model as its provider describes it. `context_length` is the trained window in tokens."""

    id: str
    provider: str
    capabilities: frozenset[str]
    context_length: int
    created: int = 0
    """Seconds since the epoch, 0 when unknown."""
    size: int = 0
    """Bytes on disk, 0 when unknown."""
    owned_by: str = "library"
    capabilities_known: bool = True
    """False where the provider cannot tell them: then only trying does."""


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """What the answer must be. `schema` is a JSON schema for `json_schema`, else None; `name` labels it."""

    type: Literal["text", "json_object", "json_schema"]
    name: str = ""
    schema: Mapping[str, Any] | None = None
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Sampling:
    """Per-request options; None means the provider's default. `max_tokens` counts generated tokens."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One model call. Load-time options (window, keep-alive) are the provider's business, never the caller's."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    sampling: Sampling = field(default_factory=Sampling)
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    step: str = "answer"
    """Copied into the Usage event."""
    logprobs: int | None = None
    """How many of the likeliest tokens to tell beside each token, 0 to 20; None: no TokenLogprobs at all."""
    keep_whole: bool = False
    """Refuse a conversation that does not fit the window, instead of leaving out its oldest turns."""
    suffix: str | None = None
    """Fill in what belongs between the one message and this text, instead of answering. A model without the
    capability `insert` raises UnsupportedParameter naming `suffix`."""


@dataclass(frozen=True, slots=True)
class ModelServices:
    """What a provider may use. A provider is one file in this folder with `create(services) -> ModelProvider`."""

    settings: Settings
    embedder: Embedder


class ModelProvider(Protocol):
    """Serves one or more models.

    `stream` yields TextDelta, ReasoningDelta and ToolCallMade as they come, then one Usage, then exactly one
    Finished (reason `tool_calls` when a call was made). It raises a member of UpstreamError, ModelNotFound,
    ContextTooLong or InvalidRequest; before the first event when it can. Closing the generator closes the
    upstream connection at once. With `logprobs` a TokenLogprobs comes before each TextDelta; a provider that has
    none raises UnsupportedParameter naming `logprobs`.
    """

    name: str

    async def list_models(self) -> list[ModelInfo]:
        """Chat models that can be asked now, best default first. Raises UpstreamUnreachable."""
        ...

    async def describe(self, model: str) -> ModelInfo:
        """One model, cached for a short time. Raises ModelNotFound, UpstreamUnreachable."""
        ...

    def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]: ...

    async def aclose(self) -> None: ...


@runtime_checkable
class EmbeddingProvider(ModelProvider, Protocol):
    """A provider that also has models for embeddings; `backend/embeddings` has an adapter of the provider's name."""

    async def embedding_models(self) -> list[ModelInfo]:
        """Models that make embeddings. Raises UpstreamError."""
        ...


@dataclass(frozen=True, slots=True)
class Model:
    """A provider and one of its models: what an agent is handed."""

    provider: ModelProvider
    info: ModelInfo
    sampling: Sampling = field(default_factory=Sampling)
    """The caller's options, for the calls that write the answer."""
    reasoning_effort: str | None = None
    parallel_tool_calls: bool = True
    """Whether one turn may make several calls."""

    def stream(
        self,
        messages: tuple[Message, ...],
        *,
        tools: tuple[ToolSpec, ...] = (),
        tool_choice: ToolChoice = "auto",
        sampling: Sampling | None = None,
        response_format: ResponseFormat | None = None,
        step: str = "answer",
    ) -> AsyncGenerator[Event, None]:
        """Ask this model; see ModelProvider.stream. `sampling` None means the caller's."""
        return self.provider.stream(
            ChatRequest(
                model=self.info.id,
                messages=messages,
                tools=tools,
                tool_choice=tool_choice,
                parallel_tool_calls=self.parallel_tool_calls,
                sampling=self.sampling if sampling is None else sampling,
                response_format=response_format,
                reasoning_effort=self.reasoning_effort,
                step=step,
            )
        )
