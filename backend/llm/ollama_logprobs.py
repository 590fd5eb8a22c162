"""An /api/chat answer with the probabilities of its tokens. Apart from the parser, which every other answer takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from backend.llm.ollama_stream import AnswerParser, Expected, lenient_loads
from backend.models.errors import UnsupportedParameter
from backend.models.messages import Event, TextDelta, TokenLogprob, TokenLogprobs


class ScoredParser(AnswerParser):
    """Gives a TokenLogprobs before the text its tokens make up; tokens of thinking and of tool calls are left out.

    Raises UnsupportedParameter at the first text that comes without, as older servers give none.
    """

    __slots__ = ("_given", "_held", "_scored")

    def __init__(self, expected: Expected) -> None:
        super().__init__(expected)
        self._held: list[TokenLogprob] = []
        self._given = 0
        self._scored = False

    def _line(self, line: bytes) -> None:
        chunk = _loads(line)
        tokens = tokens_of(chunk.get("logprobs"))
        self._scored = self._scored or bool(tokens)
        if not self._scored and _has_text(chunk):
            raise logprobs_unsupported()
        text_size, thinking_size = self.text_size, self.thinking_size
        super()._line(line)
        if self.thinking_size != thinking_size:
            # What was held back has turned out to be thinking.
            self._held.clear()
            if self.text_size == text_size:
                return
        self._held += tokens

    def _take(self) -> list[Event]:
        events = super()._take()
        at = next((n for n, event in enumerate(events) if type(event) is TextDelta), None)
        if at is not None and self._held and self.text_size != self._given:
            text = "".join(event.text for event in events if type(event) is TextDelta)
            events.insert(at, TokenLogprobs(tuple(_behind_markup(self._held, text))))
            self._held.clear()
        self._given = self.text_size
        return events


def _has_text(chunk: Mapping[str, Any]) -> bool:
    message = chunk.get("message")
    if not isinstance(message, dict):
        return bool(chunk.get("response"))
    return bool(message.get("content") or message.get("thinking"))


def _behind_markup(tokens: Sequence[TokenLogprob], text: str) -> Sequence[TokenLogprob]:
    """The tokens that make up this text, without those of a closing tag and the blank lines in front of it."""
    joined = "".join(token.token for token in tokens)
    if not joined.endswith(text):
        return tokens
    before, start = len(joined) - len(text), 0
    while start < len(tokens) and len(tokens[start].token) <= before:
        before -= len(tokens[start].token)
        start += 1
    return tokens[start:]


def logprobs_unsupported() -> UnsupportedParameter:
    return UnsupportedParameter(
        "This Ollama gives no logprobs: leave logprobs out, or update Ollama to 0.12.11 or newer.", param="logprobs"
    )


def tokens_of(value: Any) -> list[TokenLogprob]:
    """The entries of a `logprobs` list; what is none is left out."""
    entries: Sequence[Any] = value if isinstance(value, list) else ()
    return [token for entry in entries if (token := _token(entry)) is not None]


def _token(entry: Any) -> TokenLogprob | None:
    if not isinstance(entry, dict):
        return None
    token, logprob, given = entry.get("token"), entry.get("logprob"), entry.get("bytes")
    if not isinstance(token, str) or not isinstance(logprob, int | float) or isinstance(logprob, bool):
        return None
    likeliest = tuple(tokens_of(entry.get("top_logprobs")))
    return TokenLogprob(token, float(logprob), _bytes(given), likeliest)


def _bytes(value: Any) -> tuple[int, ...] | None:
    if not isinstance(value, list) or not all(isinstance(each, int) and 0 <= each < 256 for each in value):
        return None
    return tuple(value)


def _loads(line: bytes) -> dict[str, Any]:
    """The object of a line; {} for what the parser itself will complain of."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        value = None if line.isspace() else lenient_loads(line)
    return value if isinstance(value, dict) else {}
