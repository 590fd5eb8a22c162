"""Events to the body of a chat completion that is not streamed, or that is kept."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from backend.api.openai_stream import Head, finish_reason, logprobs_json
from backend.models.messages import Event, OfChoice, ReasoningDelta, TextDelta, TokenLogprob, TokenLogprobs
from backend.models.run import RunContext
from backend.tasks.summary import RunSummary


class ChoiceBody:
    """Gathers one answer."""

    def __init__(self, context: RunContext, index: int, older_calls: bool) -> None:
        self.summary = RunSummary()
        self._context = context
        self._index = index
        self._older_calls = older_calls
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._tokens: list[TokenLogprob] = []

    def take(self, event: Event) -> None:
        if type(event) is TextDelta:
            self._text.append(event.text)
        elif type(event) is ReasoningDelta:
            self._reasoning.append(event.text)
        elif type(event) is TokenLogprobs:
            self._tokens += event.tokens
        else:
            self.summary.note(event)

    def choice(self) -> dict[str, Any]:
        """As it stands in `choices`."""
        return {
            "index": self._index,
            "message": self._message(),
            "logprobs": logprobs_json(self._tokens) if self._tokens else None,
            "finish_reason": finish_reason(self.summary.finished, self._older_calls),
        }

    def _message(self) -> dict[str, Any]:
        content = "".join(self._text)
        message: dict[str, Any] = {
            "role": "assistant",
            "content": content if content or not self.summary.calls else None,
            "refusal": None,
        }
        if self._reasoning:
            message["reasoning_content"] = message["reasoning"] = "".join(self._reasoning)
        message |= self._calls()
        message["annotations"] = self.summary.annotations(self._context.base_url)
        message["hearth"] = self.summary.as_hearth(self._context, self._context.base_url)
        return message

    def _calls(self) -> dict[str, Any]:
        calls = [made.call for made in self.summary.calls]
        if not calls:
            return {}
        functions = [{"name": call.name, "arguments": call.arguments} for call in calls]
        if self._older_calls:
            return {"function_call": functions[0]}
        return {
            "tool_calls": [
                {"id": call.id, "type": "function", "function": function}
                for call, function in zip(calls, functions, strict=True)
            ]
        }


class CompletionBody:
    """Gathers all answers to one request; with more than one their events are OfChoice."""

    def __init__(self, context: RunContext, head: Head, n: int = 1, *, older_calls: bool = False) -> None:
        self.head = head
        self._context = context
        self._choices = [ChoiceBody(context, index, older_calls) for index in range(n)]

    def take(self, event: Event) -> None:
        if isinstance(event, OfChoice):
            self._choices[event.index].take(event.event)
        else:
            self._choices[0].take(event)

    @property
    def is_finished(self) -> bool:
        """Whether every answer has come to its end."""
        return all(choice.summary.finished is not None for choice in self._choices)

    def whole(self) -> dict[str, Any]:
        first, *others = self._choices
        return {
            **self.head.fields("chat.completion"),
            "choices": [choice.choice() for choice in self._choices],
            "usage": first.summary.usage_json(*(choice.summary for choice in others)),
            "session_id": self._context.session_id,
            "run_id": self._context.run_id,
        }


async def chat_completion(events: AsyncGenerator[Event, None], body: CompletionBody) -> dict[str, Any]:
    """The body of an answer that is not streamed."""
    async with aclosing(events):
        async for event in events:
            body.take(event)
    return body.whole()
