"""A plain chat completion: straight to the model, and nothing in between unless the request makes demands."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace

from backend.core.enforcement import enforced, is_demanding
from backend.llm.port import ChatRequest, ModelProvider
from backend.models.messages import Event, Message
from backend.models.run import RunContext
from backend.tasks.attachments import as_read


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
        request = replace(self.request, messages=as_read(messages))
        if not is_demanding(request):
            return self.provider.stream(request)
        return enforced(self.provider, request, streamed=self.streamed)

    def other(self, number: int) -> ChatTask:
        """The task of a further answer to the same request. A seed is moved on, or all answers would be one."""
        sampling = self.request.sampling
        if sampling.seed is None:
            return self
        return replace(self, request=replace(self.request, sampling=replace(sampling, seed=sampling.seed + number)))
