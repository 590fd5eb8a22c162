"""The context window: how many tokens a conversation costs, how large a window to ask for, what to drop.

Ollama has no tokenizer endpoint and drops old messages without a word, so the counting is done here, by bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from backend.llm.ollama_errors import context_too_long
from backend.models.messages import Message

MIN_WINDOW = 4096
DEFAULT_ANSWER_TOKENS = 1024
"""Room kept for an answer whose length the caller did not limit."""
CAUTIOUS = 3.0
"""UTF-8 bytes a token when choosing a window: too many tokens counted only costs memory. CJK is about 3."""
LIKELY = 4.0
"""UTF-8 bytes a token in English prose: for estimates of usage, and before refusing a conversation."""
MESSAGE_TOKENS = 8
"""What a chat template puts around one message."""
IMAGE_TOKENS = 768
"""Ollama's own flat figure."""


def text_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def text_tokens(characters: int) -> int:
    """Estimate for usage, from a number of characters or bytes; 0 only for nothing."""
    return -(-characters // 4)


def message_tokens(message: Message, bytes_per_token: float) -> int:
    size = text_bytes(message.content) + sum(len(c.name) + text_bytes(c.arguments) for c in message.tool_calls)
    return int(size / bytes_per_token) + MESSAGE_TOKENS + IMAGE_TOKENS * len(message.images)


def conversation_tokens(messages: Iterable[Message], extra_bytes: int, bytes_per_token: float) -> int:
    """Estimate for a whole prompt; `extra_bytes` is the size of the tool schemas as JSON."""
    return sum(message_tokens(m, bytes_per_token) for m in messages) + int(extra_bytes / bytes_per_token)


def choose_window(needed: int, trained: int, at_least: int) -> int:
    """The window to ask for: a power of two from 4096 that holds `needed` tokens.

    Args:
        needed: tokens of prompt and answer together.
        trained: the model's own limit; never exceeded.
        at_least: the largest window this model has had so far. A smaller one would load it anew for nothing.
    """
    window = MIN_WINDOW
    while window < needed:
        window *= 2
    return min(max(window, at_least), trained)


def fit(
    messages: Sequence[Message], extra_bytes: int, window: int, answer: int, model: str, caution: float = 1.0
) -> tuple[Message, ...]:
    """The conversation without its oldest turns, so that it and `answer` tokens fit the window.

    A turn begins at a user message and is kept or dropped whole, so calls stay with their results; system
    messages and the last turn always stay.

    Args:
        caution: factor on all estimates, above 1 once Ollama has found a prompt longer than estimated.

    Raises:
        ContextTooLong: system messages and the last turn alone do not fit.
    """
    system = [m for m in messages if m.role == "system"]
    turns = _turns(m for m in messages if m.role != "system")
    room = (window - min(answer, window // 4)) / caution
    costs = [conversation_tokens(turn, 0, CAUTIOUS) for turn in turns]
    total = conversation_tokens(system, extra_bytes, CAUTIOUS) + sum(costs)
    first = 0
    while total > room and first < len(turns) - 1:
        total -= costs[first]
        first += 1
    kept = [m for turn in turns[first:] for m in turn]
    if total > room and conversation_tokens([*system, *kept], extra_bytes, LIKELY) * caution >= window:
        raise context_too_long(model)
    return (*system, *kept)


def _turns(messages: Iterable[Message]) -> list[list[Message]]:
    turns: list[list[Message]] = []
    for message in messages:
        if message.role == "user" or not turns:
            turns.append([])
        turns[-1].append(message)
    return turns
