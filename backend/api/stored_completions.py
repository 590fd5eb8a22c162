"""Keeping a chat completion whose request says `store: true`: the object it is kept as, and when."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import anyio

from backend.api.chat_request import checked_metadata
from backend.api.openai_body import CompletionBody
from backend.models.errors import HearthError
from backend.models.messages import Event
from backend.models.schemas import ChatCompletionRequest, MessageIn

log = logging.getLogger("hearth.completions")

ECHOED = (
    "temperature",
    "top_p",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "tools",
    "tool_choice",
    "response_format",
)
"""Fields of the request that a kept completion repeats."""

Save = Callable[[dict[str, Any]], Awaitable[None]]


def as_kept(completion: dict[str, Any], body: ChatCompletionRequest, request_id: str) -> dict[str, Any]:
    """The completion with what is kept of its request."""
    given = body.model_dump(include=set(ECHOED), by_alias=True, exclude_unset=True)
    return {
        **completion,
        **{name: given.get(name) for name in ECHOED},
        "request_id": request_id,
        "metadata": checked_metadata(body.metadata),
    }


def messages_kept(messages: list[MessageIn]) -> list[dict[str, Any]]:
    """The messages as they are listed: a text as `content`, anything else as `content_parts`."""
    kept = []
    for message in messages:
        given = message.model_dump(exclude_none=True, exclude={"content"})
        is_text = not isinstance(message.content, list)
        kept.append(
            {
                "name": None,
                **given,
                "content": message.content if is_text else None,
                "content_parts": None if is_text else message.content,
            }
        )
    return kept


async def keeping(events: AsyncGenerator[Event, None], body: CompletionBody, save: Save) -> AsyncGenerator[Event, None]:
    """The events of a streamed answer, gathered on their way; it is kept before the client learns that it is over."""
    async with aclosing(events):
        async for event in events:
            body.take(event)
            if body.is_finished:
                with anyio.CancelScope(shield=True):
                    await kept_or_told(body.whole(), save)
            yield event


async def kept_or_told(completion: dict[str, Any], save: Save) -> None:
    """Keep it; the answer itself is good whether or not the disk takes it, so that a failure only goes to the log."""
    try:
        await save(completion)
    except HearthError as error:
        log.error("the completion %s could not be kept: %s", completion["id"], error.message)
