"""The probabilities of tokens: before the text they make up, each once, and never those of thinking."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from backend.llm.ollama import OllamaProvider
from backend.llm.ollama_logprobs import ScoredParser, tokens_of
from backend.llm.ollama_stream import AnswerParser, Expected
from backend.llm.port import ChatRequest
from backend.models.errors import UnsupportedParameter
from backend.models.messages import Event, Finished, Message, ReasoningDelta, TextDelta, TokenLogprob, TokenLogprobs
from tests.doubles.ollama_process import OllamaDouble, reply
from tests.llm.providing import settings
from tests.llm.raw_upstream import last, line


def scored(text: str, **fields: Any) -> bytes:
    """A line whose text is one token."""
    told = text or fields.get("thinking", "")
    entry = {"token": told, "logprob": -0.5, "bytes": list(told.encode())}
    return line(text, logprobs=[entry], **fields)


def read(data: bytes, size: int | None = None, **expected: Any) -> list[Event]:
    parser = ScoredParser(Expected("m", **expected))
    size = size or len(data)
    events = [event for at in range(0, len(data), size) for event in parser.feed(data[at : at + size])]
    return events + parser.finish()


def tokens(events: list[Event]) -> list[str]:
    return [token.token for event in events if isinstance(event, TokenLogprobs) for token in event.tokens]


@pytest.mark.parametrize("size", [None, 1, 50])
def test_tokens_come_before_their_text_however_the_bytes_are_cut(size: int | None) -> None:
    events = read(scored("For") + scored("ty") + scored("-two") + last(), size)
    assert tokens(events) == ["For", "ty", "-two"]
    so_far = ""
    for event in events:
        if isinstance(event, TokenLogprobs):
            so_far = "".join(token.token for token in event.tokens)
        elif isinstance(event, TextDelta):
            assert event.text == so_far
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == "Forty-two"


def test_tokens_of_thinking_are_left_out() -> None:
    events = read(scored("", thinking="Let me") + scored("", thinking=" see.") + scored("Yes.") + last())
    assert tokens(events) == ["Yes."]
    assert "".join(e.text for e in events if isinstance(e, ReasoningDelta)) == "Let me see."


@pytest.mark.parametrize("size", [None, 1])
def test_tokens_of_thinking_inside_the_text_are_left_out(size: int | None) -> None:
    data = b"".join(scored(piece) for piece in ("<th", "ink>", "Hm", "</think>", "\n", "Yes", ".")) + last()
    assert tokens(read(data, size)) == ["Yes", "."]


def test_tokens_that_come_on_a_line_without_text_go_with_the_next_text() -> None:
    a, b = ([{"token": token, "logprob": -1}] for token in "ab")
    assert tokens(read(line("", logprobs=a) + line("ab", logprobs=b) + last())) == ["a", "b"]


def test_tokens_of_a_tool_call_are_left_out() -> None:
    call = [{"function": {"name": "f", "arguments": {}}}]
    entry = [{"token": "{", "logprob": -1}]
    assert tokens(read(line("", logprobs=entry) + line("", tool_calls=call) + last(), tools=frozenset({"f"}))) == []


@pytest.mark.parametrize("field", ["content", "thinking"])
def test_a_server_that_gives_none_is_told_apart_at_its_first_text(field: str) -> None:
    first = line("Forty") if field == "content" else line("", thinking="Hm")
    parser = ScoredParser(Expected("m"))
    with pytest.raises(UnsupportedParameter) as caught:
        parser.feed(first + line("-two"))
    assert caught.value.param == "logprobs"


def test_without_the_wish_nothing_is_told() -> None:
    parser = AnswerParser(Expected("m"))
    assert parser.feed(scored("a") + last()) == [TextDelta("a")]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"token": "a", "logprob": -1}], [TokenLogprob("a", -1.0)]),
        ([{"token": "a", "logprob": -1, "bytes": [97]}], [TokenLogprob("a", -1.0, (97,))]),
        ([{"token": "a", "logprob": -1, "bytes": [300]}], [TokenLogprob("a", -1.0)]),
        (
            [{"token": "a", "logprob": -1, "top_logprobs": [{"token": "b", "logprob": -2}]}],
            [TokenLogprob("a", -1.0, None, (TokenLogprob("b", -2.0),))],
        ),
        ([{"token": 5, "logprob": -1}, {"token": "a"}, "x", None], []),
        (None, []),
        ({"token": "a"}, []),
    ],
    ids=["least", "bytes", "no bytes", "top", "broken", "null", "no list"],
)
def test_entries_are_read_softly(value: Any, expected: list[TokenLogprob]) -> None:
    assert tokens_of(value) == expected


# ---- with the double --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def process() -> Iterator[OllamaDouble]:
    with OllamaDouble() as double:
        yield double


@pytest.fixture
async def provider(process: OllamaDouble) -> AsyncIterator[OllamaProvider]:
    process.reset()
    provider = OllamaProvider(settings(process.url))
    yield provider
    await provider.aclose()


def ask(logprobs: int | None, model: str = "llama3.2:3b") -> ChatRequest:
    return ChatRequest(model, (Message("user", "one two"),), logprobs=logprobs)


async def test_they_are_asked_for_and_given(provider: OllamaProvider, process: OllamaDouble) -> None:
    events = [event async for event in provider.stream(ask(3))]
    assert "".join(tokens(events)) == "You said: one two"
    assert isinstance(events[-1], Finished)
    told = [token for event in events if isinstance(event, TokenLogprobs) for token in event.tokens]
    assert all(len(token.top) == 3 and token.bytes == tuple(token.token.encode()) for token in told)
    body = process.log("/api/chat")[0]["body"]
    body = json.loads(body) if isinstance(body, str) else body
    assert (body["logprobs"], body["top_logprobs"]) == (True, 3)


async def test_thinking_models_give_those_of_the_answer(provider: OllamaProvider, process: OllamaDouble) -> None:
    process.script(reply("Two words.", thinking="Let me see."))
    events = [event async for event in provider.stream(ask(0, "qwen3:8b"))]
    assert "".join(tokens(events)) == "Two words."


async def test_an_old_ollama_is_refused_before_any_event(provider: OllamaProvider, process: OllamaDouble) -> None:
    process.configure(version="0.12.3")
    with pytest.raises(UnsupportedParameter) as caught:
        await anext(provider.stream(ask(0)))
    assert caught.value.param == "logprobs"
    assert len(process.log("/api/chat")) == 1, "not tried again"


async def test_nothing_is_asked_for_without_the_wish(provider: OllamaProvider, process: OllamaDouble) -> None:
    events = [event async for event in provider.stream(ask(None))]
    assert not tokens(events) and "logprobs" not in process.log("/api/chat")[0]["body"]
