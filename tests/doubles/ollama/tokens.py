"""Counting and fitting: 4 bytes of rendered UTF-8 are one token, an image is 768."""

from __future__ import annotations

import json
from typing import Any

from tests.doubles.ollama.decoding import ApiError
from tests.doubles.ollama.profile import Profile
from tests.doubles.ollama.validation import Call

BYTES_PER_TOKEN = 4
IMAGE_TOKENS = 768
DEFAULT_NUM_KEEP = 4


def count(text: str) -> int:
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def window(options: dict[str, Any], default: int, trained: int, *, vision: bool = False) -> int:
    """The effective `num_ctx`: the request's, else the server's default, within the model's limits."""
    wanted = int(options.get("num_ctx") or default)
    return max(2048 if vision else 4, min(wanted, trained))


def render(messages: list[dict[str, Any]], tools: list[dict[str, Any]], *, raw: bool = False) -> str:
    """The prompt the imaginary model sees; what `_debug_render_only` returns and what is counted."""
    if raw:
        return "".join(str(message.get("content", "")) for message in messages)
    parts = [f"<|tools|>{json.dumps(tools, separators=(',', ':'))}\n"] if tools else []
    for message in messages:
        parts.append(f"<|{message['role']}|>{message.get('content', '')}")
        if message.get("tool_calls"):
            parts.append(json.dumps(message["tool_calls"], separators=(",", ":"), ensure_ascii=False))
        parts.append("\n")
    return "".join(parts)


def prompt_tokens(messages: list[dict[str, Any]], tools: list[dict[str, Any]], *, raw: bool = False) -> int:
    images = sum(len(message.get("images") or ()) for message in messages)
    return count(render(messages, tools, raw=raw)) + images * IMAGE_TOKENS


def fit(call: Call, num_ctx: int, profile: Profile) -> tuple[list[dict[str, Any]], int]:
    """The messages that remain and the size of their prompt in tokens.

    Oldest non-system messages go first, system messages and the last one stay. What then still does not fit is cut
    to half the window (rendered) or refused (native, or rendered with `shift` off): ApiError 400.
    """
    messages = call.messages
    tokens = prompt_tokens(messages, call.tools, raw=call.raw)
    if call.truncate:
        messages, tokens = _without_oldest(call, num_ctx, tokens)
    if tokens <= num_ctx:
        return messages, tokens
    if call.record.is_native(profile):
        raise ApiError(400, exceeds_context(tokens, num_ctx), while_generating=True)
    if not call.shift:
        text = "the prompt is longer than the context length currently available to the model; increase num_ctx"
        raise ApiError(400, text, while_generating=True)
    keep = max(0, int(call.options.get("num_keep", DEFAULT_NUM_KEEP)))
    return messages, max(min(keep, num_ctx), num_ctx // 2)


def _without_oldest(call: Call, num_ctx: int, tokens: int) -> tuple[list[dict[str, Any]], int]:
    messages = call.messages
    first = 0
    while tokens > num_ctx and first < len(call.messages) - 1:
        first += 1
        older_system = [message for message in call.messages[:first] if message["role"] == "system"]
        messages = older_system + call.messages[first:]
        tokens = prompt_tokens(messages, call.tools, raw=call.raw)
    return messages, tokens


def exceeds_context(tokens: int, num_ctx: int) -> str:
    """The engine's own error object, as text: it travels inside the `error` string."""
    inner = {
        "code": 400,
        "message": f"request ({tokens} tokens) exceeds the available context size ({num_ctx} tokens), "
        "try increasing it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": tokens,
        "n_ctx": num_ctx,
    }
    return json.dumps({"error": inner}, separators=(",", ":"))
