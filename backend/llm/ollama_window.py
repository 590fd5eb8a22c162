"""The context window: how many tokens a conversation costs, and how large a window to ask for.

Ollama has no tokenizer endpoint and drops old messages without a word, so the counting is done here, by bytes.
A window that differs from the loaded one makes Ollama load the model anew, so each model has one for all its calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from backend.models.messages import Message

MIN_WINDOW = 4096
COMFORTABLE_WINDOW = 32_768
"""History and room for a long answer make a window grow up to here: beyond it, memory is worth more than old turns."""
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
TOO_LARGE_S = 600.0
"""How long a window for which the memory did not suffice is not asked for again."""


def text_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def text_tokens(characters: int) -> int:
    """Estimate for usage, from a number of characters or bytes; 0 only for nothing."""
    return -(-characters // 4)


def message_tokens(message: Message, bytes_per_token: float) -> int:
    size = text_bytes(message.content) + text_bytes(message.reasoning)
    size += sum(len(call.name) + text_bytes(call.arguments) for call in message.tool_calls)
    return int(size / bytes_per_token) + MESSAGE_TOKENS + IMAGE_TOKENS * len(message.images)


def conversation_tokens(messages: Iterable[Message], extra_bytes: int, bytes_per_token: float) -> int:
    """Estimate for a whole prompt; `extra_bytes` is the size of the tool schemas as JSON."""
    return sum(message_tokens(m, bytes_per_token) for m in messages) + int(extra_bytes / bytes_per_token)


def choose_window(wanted: int, required: int, trained: int, at_least: int, at_most: int | None = None) -> int:
    """The window to ask for: a power of two from 4096.

    Args:
        wanted: tokens of the whole prompt and its answer; heeded up to COMFORTABLE_WINDOW.
        required: tokens without which the request cannot be asked at all; heeded up to the model's own limit.
        trained: the model's own limit; never exceeded.
        at_least: the largest window this model has had so far. A smaller one would load it anew for nothing.
        at_most: what the memory is known to suffice for; None when it never failed.
    """
    needed = max(min(wanted, COMFORTABLE_WINDOW), required)
    window = MIN_WINDOW
    while window < needed:
        window *= 2
    window = min(max(window, at_least), trained)
    return window if at_most is None else min(window, max(at_most, MIN_WINDOW))


class Windows:
    """The windows that the models have had. Names are full names.

    Also counts those that are being asked for right now: of two requests at once, the smaller one must not take the
    window away from the larger one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._worked: dict[str, int] = {}
        self._asked: dict[str, list[int]] = {}
        self._too_large: dict[str, tuple[float, int]] = {}

    def knows(self, name: str) -> bool:
        return name in self._worked

    def worked(self, name: str, window: int) -> None:
        """The model has answered with this window, or is loaded with it (0: with none)."""
        self._worked[name] = max(self._worked.get(name, 0), window)

    def too_large(self, name: str, window: int) -> None:
        """The memory did not suffice for this window."""
        self._too_large[name] = (self._clock() + TOO_LARGE_S, window)
        if self._worked.get(name, 0) >= window:
            self._worked[name] = window // 2

    def at_least(self, name: str) -> int:
        """The largest window the model has or is getting: no request may ask for less."""
        return max(self._worked.get(name, 0), *self._asked.get(name, ()), 0)

    def at_most(self, name: str) -> int | None:
        until, window = self._too_large.get(name, (0.0, 0))
        return window // 2 if until > self._clock() else None

    @contextmanager
    def asking(self, name: str, window: int) -> Iterator[None]:
        """While a request with this window is on its way."""
        asked = self._asked.setdefault(name, [])
        asked.append(window)
        try:
            yield
        finally:
            asked.remove(window)
