"""A plain chat completion: straight to the model, nothing in between."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

from backend.llm.port import ChatRequest, ModelProvider
from backend.models.messages import Event, Message
from backend.models.run import RunContext


@dataclass(frozen=True, slots=True)
class ChatTask:
    """`request` holds everything but the messages. The caller's own tools come back as ToolCallMade."""

    provider: ModelProvider
    request: ChatRequest

    def run(self, messages: Sequence[Message], context: RunContext) -> AsyncGenerator[Event, None]:
        """The provider's own stream: no wrapper, since this is the path every token takes."""
        return self.provider.stream(replace(self.request, messages=tuple(messages)))
