"""A plain chat completion: straight to the model, and nothing in between unless the request makes demands."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

from backend.core.enforcement import enforced, is_demanding
from backend.llm.port import ChatRequest, ModelProvider
from backend.models.messages import Event, Message
from backend.models.run import RunContext


@dataclass(frozen=True, slots=True)
class ChatTask:
    """`request` holds everything but the messages. The caller's own tools come back as ToolCallMade.

    `streamed`: the caller reads a stream, see enforced.
    """

    provider: ModelProvider
    request: ChatRequest
    streamed: bool = False

    def run(self, messages: Sequence[Message], context: RunContext) -> AsyncGenerator[Event, None]:
        """The provider's own stream, without a wrapper, since this is the path every token takes; only a request
        with tools or a response_format has its answer watched."""
        request = replace(self.request, messages=tuple(messages))
        if not is_demanding(request):
            return self.provider.stream(request)
        return enforced(self.provider, request, streamed=self.streamed)
