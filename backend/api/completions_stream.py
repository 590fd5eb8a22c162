"""Events to `text_completion` objects: the frames of a stream, and the one body."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

import orjson

from backend.api.openai_stream import DONE, fingerprint
from backend.models.messages import Event, Finished, OfChoice, TextDelta, TokenLogprob, TokenLogprobs
from backend.tasks.summary import RunSummary
from backend.utils.ids import timed_id

_dumps = orjson.dumps


def head_of(model: str) -> dict[str, Any]:
    """What all frames of a completion, or its one body, have in common."""
    moment = time.time()
    return {
        "id": timed_id("cmpl-", moment),
        "object": "text_completion",
        "created": int(moment),
        "model": model,
        "system_fingerprint": fingerprint(model),
    }


class CompletionChunks:
    """Encodes streamed completions; with several choices their events come as OfChoice. A piece of text costs one
    template."""

    def __init__(self, model: str, echoes: Sequence[str], *, include_usage: bool) -> None:
        """`echoes` has one text a choice, which stands before its answer; most are empty."""
        self._echoes = echoes
        self._include_usage = include_usage
        self._head = b"data: " + _dumps(head_of(model))[:-1]
        usage = b',"usage":null' if include_usage else b""
        self._before = self._head + b',"choices":[{"text":'
        self._after = b',"logprobs":null,"finish_reason":null}]' + usage + b"}\n\n"
        self._end = b"}]" + usage + b"}\n\n"
        self._scores = [Scores() for _ in echoes]
        self._summaries = [RunSummary() for _ in echoes]
        self._unfinished = len(echoes)

    def opening(self) -> bytes:
        """The prompts that were wanted back."""
        return b"".join(self._text(index, echo) for index, echo in enumerate(self._echoes) if echo)

    def encode(self, event: Event) -> bytes:
        """The frames of one event; empty when a client has no use for it."""
        index, inner = choice_of(event)
        if type(inner) is TextDelta:
            scores = self._scores[index].taken(inner.text)
            return self._text(index, inner.text) if scores is None else self._chunk(index, inner.text, scores=scores)
        if type(inner) is TokenLogprobs:
            self._scores[index].take(inner.tokens)
            return b""
        self._summaries[index].note(inner)
        return self._finish(index, inner) if type(inner) is Finished else b""

    def failed(self, error: dict[str, Any]) -> bytes:
        """An error frame, as the SDKs raise it; the stream is over then, without the mark of a whole answer."""
        return b"data: " + _dumps(error) + b"\n\n"

    def _text(self, index: int, text: str) -> bytes:
        return self._before + _dumps(text) + b',"index":%d' % index + self._after

    def _chunk(self, index: int, text: str, *, scores: Any = None, finish: str | None = None) -> bytes:
        choice = {"text": text, "index": index, "logprobs": scores, "finish_reason": finish}
        return self._head + b',"choices":[' + _dumps(choice)[:-1] + self._end

    def _finish(self, index: int, event: Finished) -> bytes:
        frames = self._chunk(index, "", finish=event.reason)
        self._unfinished -= 1
        if self._unfinished:
            return frames
        if self._include_usage:
            first, *others = self._summaries
            frames += self._head + b',"choices":[],"usage":' + _dumps(first.usage_json(*others)) + b"}\n\n"
        return frames + DONE


async def completion_body(
    events: AsyncGenerator[Event, None], model: str, echoes: Sequence[str], *, scored: bool
) -> dict[str, Any]:
    """The body of completions that are not streamed. `scored`: with the probabilities of their tokens."""
    texts: list[list[str]] = [[] for _ in echoes]
    tokens: list[list[TokenLogprob]] = [[] for _ in echoes]
    summaries = [RunSummary() for _ in echoes]
    async with aclosing(events):
        async for event in events:
            index, inner = choice_of(event)
            if type(inner) is TextDelta:
                texts[index].append(inner.text)
            elif type(inner) is TokenLogprobs:
                tokens[index] += inner.tokens
            else:
                summaries[index].note(inner)
    choices = [
        {
            "text": echo + "".join(texts[index]),
            "index": index,
            "logprobs": logprobs_json(tokens[index], 0) if scored else None,
            "finish_reason": reason_of(summaries[index]),
        }
        for index, echo in enumerate(echoes)
    ]
    first, *others = summaries
    return {**head_of(model), "choices": choices, "usage": first.usage_json(*others)}


def choice_of(event: Event) -> tuple[int, Event]:
    """Which choice an event is of, and the event itself; a lone choice has no number."""
    return (event.index, event.event) if type(event) is OfChoice else (0, event)


def reason_of(summary: RunSummary) -> str:
    return summary.finished.reason if summary.finished is not None else "stop"


class Scores:
    """The probabilities that wait for the text they belong to; counts how far the text has come."""

    __slots__ = ("_offset", "_tokens")

    def __init__(self) -> None:
        self._tokens: list[TokenLogprob] = []
        self._offset = 0

    def take(self, tokens: Sequence[TokenLogprob]) -> None:
        self._tokens += tokens

    def taken(self, text: str) -> dict[str, Any] | None:
        """What belongs to this piece of text; None when nothing does."""
        if not self._tokens:
            return None
        told = logprobs_json(self._tokens, self._offset)
        self._offset += len(text)
        self._tokens = []
        return told


def logprobs_json(tokens: Sequence[TokenLogprob], offset: int) -> dict[str, Any]:
    """The older `logprobs` object: one list a property. `offset` is where the first token begins, in characters."""
    offsets: list[int] = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token.token)
    return {
        "tokens": [token.token for token in tokens],
        "token_logprobs": [token.logprob for token in tokens],
        "top_logprobs": [{other.token: other.logprob for other in token.top} for token in tokens],
        "text_offset": offsets,
    }
