"""Making a long conversation short: the user's own words stay, the rest becomes a summary."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

import orjson

from backend.models.errors import InvalidRequest
from backend.models.messages import Message, TextDelta, Usage
from backend.models.run import Owner
from backend.tasks.answering import Answering, Question
from backend.tasks.token_estimate import estimated_tokens

BUILTIN = "builtin"
MAX_SUMMARY_CHARS = 40_000
EXTRACT_TURNS = 40
EXTRACT_CHARS = 400
ASKED = (
    "Summarise this conversation up to here for somebody who has to go on with it: what was found out, what was"
    " decided, what is still open; names, numbers and wording that matter. Answer with the summary alone."
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s")


@dataclass(frozen=True, slots=True)
class Compacted:
    """A summary and what it cost in tokens."""

    summary: str
    input_tokens: int
    output_tokens: int


async def compacted(answering: Answering, owner: Owner, question: Question, request_id: str) -> Compacted:
    """A summary of the question's messages by its model; the built-in model's are sentences of the conversation.

    Raises what Answering.prepare and the model raise.
    """
    resolved = await answering.catalog.resolve(question.model)
    if resolved.info.provider == BUILTIN:
        summary = extract(question.messages)
        return Compacted(summary, estimated_tokens(question.messages), estimated_tokens([Message("user", summary)]))
    asked = replace(question, messages=(*question.messages, Message("user", ASKED)), agent="chat", store=False)
    answer = await answering.prepare(owner, asked, request_id)
    text: list[str] = []
    prompt = completion = 0
    async with aclosing(answer.events) as events:
        async for event in events:
            if type(event) is TextDelta:
                text.append(event.text)
            elif type(event) is Usage:
                prompt, completion = prompt + event.prompt_tokens, completion + event.completion_tokens
    return Compacted("".join(text)[:MAX_SUMMARY_CHARS], prompt, completion)


def extract(messages: Sequence[Message]) -> str:
    """The beginnings of what the assistant said, oldest first: the user's turns stay whole anyway."""
    said = [message.content for message in messages if message.role == "assistant" and message.content.strip()]
    return "\n".join(f"- {_beginning(text)}" for text in said[-EXTRACT_TURNS:])


def _beginning(text: str) -> str:
    """Whole sentences, as many as there is room for."""
    line = " ".join(text.split())
    if len(line) <= EXTRACT_CHARS:
        return line
    ends = [found.start() for found in _SENTENCE_END.finditer(line, 0, EXTRACT_CHARS)]
    return line[: ends[-1]] if ends else line[: EXTRACT_CHARS - 1] + "…"


def sealed(summary: str) -> str:
    """A summary as the opaque text that travels to the client and back. It hides nothing: it is the caller's own."""
    return base64.urlsafe_b64encode(orjson.dumps({"version": 1, "summary": summary})).decode()


def opened(content: str, param: str) -> str:
    """The other way. Raises InvalidRequest naming `param` for what `sealed` has not made."""
    try:
        value = orjson.loads(base64.b64decode(content, altchars=b"-_", validate=True))
        if isinstance(value["summary"], str):
            return value["summary"][:MAX_SUMMARY_CHARS]
    except (binascii.Error, ValueError, KeyError, TypeError):
        pass
    raise InvalidRequest(
        "This compaction was not made by this server: leave the item out.", param=param, code="invalid_value"
    )
