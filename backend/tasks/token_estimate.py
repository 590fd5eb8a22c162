"""About how many tokens a prompt will be, where nobody counts them: local servers have no tokenizer to ask."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import orjson

from backend.models.messages import Message
from backend.models.tools import ToolSpec

BYTES_PER_TOKEN = 4
"""UTF-8 bytes a token, as in English prose."""
MESSAGE_TOKENS = 8
"""What a chat template puts around one message."""
IMAGE_TOKENS = 768


def estimated_tokens(messages: Iterable[Message], tools: Sequence[ToolSpec] = ()) -> int:
    """Tokens of a prompt with these messages and tools, at least 1."""
    size = fixed = 0
    for message in messages:
        size += _bytes(message.content) + _bytes(message.reasoning) + _bytes(message.attached)
        size += sum(len(call.name) + _bytes(call.arguments) for call in message.tool_calls)
        fixed += MESSAGE_TOKENS + IMAGE_TOKENS * len(message.images)
    for tool in tools:
        size += len(tool.name) + _bytes(tool.description) + len(orjson.dumps(tool.parameters))
    return max(1, fixed + -(-size // BYTES_PER_TOKEN))


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
