"""The older text completions: bodies as questions, events as `text_completion` objects."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest

from backend.api.completions_request import Asked, asked_in
from backend.api.completions_stream import CompletionChunks, completion_body, logprobs_json
from backend.api.deps import checked
from backend.models.errors import InvalidRequest
from backend.models.messages import (
    Event,
    Finished,
    OfChoice,
    ReasoningDelta,
    TextDelta,
    TokenLogprob,
    TokenLogprobs,
    Usage,
)
from backend.models.schemas_completions import MAX_PROMPTS, CompletionRequest

GOOD: dict[str, Any] = {"model": "m", "prompt": "Once"}


def asked(**change: Any) -> Asked:
    return asked_in(checked({**GOOD, **change}, CompletionRequest))


def test_a_prompt_is_a_plain_question_that_is_not_kept() -> None:
    (question,) = asked(temperature=0.5, stop="END", user="u").questions
    assert [(message.role, message.content) for message in question.messages] == [("user", "Once")]
    assert (question.agent, question.store, question.tools, question.logprobs) == ("chat", False, (), None)
    assert (question.sampling.max_tokens, question.sampling.temperature, question.sampling.stop) == (16, 0.5, ("END",))


def test_each_prompt_gets_n_choices_in_order() -> None:
    every = asked(prompt=["a", "b"], n=2, echo=True, seed=7)
    assert [question.messages[0].content for question in every.questions] == ["a", "a", "b", "b"]
    assert [question.sampling.seed for question in every.questions] == [7, 8, 7, 8]
    assert every.echoes == ("a", "a", "b", "b")
    assert asked(prompt=["a", "b"]).echoes == ("", "")


def test_nulls_and_foreign_fields_are_taken() -> None:
    optional = set(CompletionRequest.model_fields) - set(GOOD)
    assert len(asked(**dict.fromkeys(optional), keep_alive="5m", options={}).questions) == 1


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"model": None}, "model", "invalid_value"),
        ({"prompt": None}, "prompt", "invalid_value"),
        ({"prompt": 5}, "prompt", "invalid_value"),
        ({"prompt": {}}, "prompt", "invalid_value"),
        ({"prompt": []}, "prompt", "invalid_value"),
        ({"prompt": ["a", 5]}, "prompt", "invalid_value"),
        ({"prompt": [1, 2]}, "prompt", "unsupported_parameter"),
        ({"prompt": [[1, 2], [3]]}, "prompt", "unsupported_parameter"),
        ({"prompt": ["a"] * (MAX_PROMPTS + 1)}, "prompt", "unsupported_parameter"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_tokens": "many"}, "max_tokens", "invalid_value"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"top_p": 2}, "top_p", "invalid_value"),
        ({"presence_penalty": 3}, "presence_penalty", "invalid_value"),
        ({"frequency_penalty": -3}, "frequency_penalty", "invalid_value"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 100}, "n", "unsupported_parameter"),
        ({"n": 2, "best_of": 1}, "best_of", "invalid_value"),
        ({"n": 2, "best_of": 3}, "best_of", "unsupported_parameter"),
        ({"logprobs": 6}, "logprobs", "invalid_value"),
        ({"logprobs": 1, "echo": True}, "logprobs", "unsupported_parameter"),
        ({"logit_bias": {"1": 5}}, "logit_bias", "unsupported_parameter"),
        ({"stop": ["a"] * 5}, "stop", "invalid_value"),
        ({"seed": "x"}, "seed", "invalid_value"),
        ({"stream": "perhaps"}, "stream", "invalid_value"),
        ({"stream_options": 5}, "stream_options", "invalid_value"),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else "",
)
def test_refusals_name_the_field(change: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        asked(**change)
    error = refused.value
    assert (error.status, error.type, error.param, error.code) == (400, "invalid_request_error", param, code)


# ---- answers ------------------------------------------------------------------------------------


def of(index: int, *events: Event) -> list[Event]:
    return [OfChoice(index, event) for event in events]


TWO: list[Event] = [
    *of(1, ReasoningDelta("hm"), TextDelta("B ")),
    *of(0, TextDelta("A"), Usage(4, 1), Finished("length")),
    *of(1, TextDelta('"é"'), Usage(5, 2), Finished("stop")),
]
SCORED = (
    TokenLogprob("up", -0.5, None, (TokenLogprob("up", -0.5), TokenLogprob("on", -1.5))),
    TokenLogprob("on", -0.25),
)


def frames(events: Sequence[Event], echoes: Sequence[str], *, include_usage: bool = False) -> list[dict[str, Any]]:
    encoder = CompletionChunks("m", echoes, include_usage=include_usage)
    raw = encoder.opening() + b"".join(encoder.encode(event) for event in events)
    assert raw.endswith(b"data: [DONE]\n\n")
    out = [json.loads(part.removeprefix("data: ")) for part in raw.decode().split("\n\n")[:-2]]
    assert len({(frame["id"], frame["created"], frame["model"], frame["object"]) for frame in out}) == 1
    return out


async def whole(events: Sequence[Event], echoes: Sequence[str], *, scored: bool = False) -> dict[str, Any]:
    async def given() -> AsyncGenerator[Event, None]:
        for event in events:
            yield event

    return await completion_body(given(), "m", echoes, scored=scored)


@pytest.mark.parametrize("echoes", [("", ""), ("p", "q")], ids=["plain", "echoed"])
async def test_stream_and_body_say_the_same(echoes: tuple[str, str]) -> None:
    body = await whole(TWO, echoes)
    assert body["object"] == "text_completion" and body["id"].startswith("cmpl-")
    choices = [(choice["index"], choice["text"], choice["finish_reason"]) for choice in body["choices"]]
    assert choices == [(0, echoes[0] + "A", "length"), (1, echoes[1] + 'B "é"', "stop")]
    out = frames(TWO, echoes)
    for index, text, reason in choices:
        mine = [choice for frame in out for choice in frame["choices"] if choice["index"] == index]
        assert "".join(choice["text"] for choice in mine) == text
        assert [choice["finish_reason"] for choice in mine] == [None] * (len(mine) - 1) + [reason]
        assert all(set(choice) == {"text", "index", "logprobs", "finish_reason"} for choice in mine)


async def test_usage_is_the_sum_of_all_choices() -> None:
    usage = (await whole(TWO, ("", "")))["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (9, 3, 12)


@pytest.mark.parametrize("wanted", [True, False])
def test_usage_in_a_stream_only_when_asked(wanted: bool) -> None:
    out = frames(TWO, ("", ""), include_usage=wanted)
    assert ("usage" in out[0]) is wanted
    if wanted:
        assert out[-1]["choices"] == [] and out[-1]["usage"]["total_tokens"] == 12
        assert all(frame["usage"] is None for frame in out[:-1])
    else:
        assert all(frame["choices"] for frame in out)


async def test_probabilities_stand_beside_their_text() -> None:
    events = of(
        0, TokenLogprobs(SCORED[:1]), TextDelta("up"), TokenLogprobs(SCORED[1:]), TextDelta("on"), Finished("stop")
    )
    expected = {
        "tokens": ["up", "on"], "token_logprobs": [-0.5, -0.25],
        "top_logprobs": [{"up": -0.5, "on": -1.5}, {}], "text_offset": [0, 2],
    }  # fmt: skip
    assert logprobs_json(SCORED, 0) == expected
    assert (await whole(events, [""], scored=True))["choices"][0]["logprobs"] == expected
    told = [f["choices"][0]["logprobs"] for f in frames(events, [""]) if f["choices"][0]["logprobs"]]
    assert {key: [each for part in told for each in part[key]] for key in expected} == expected


async def test_a_lone_choice_needs_no_number() -> None:
    events: list[Event] = [TextDelta("a"), Usage(1, 1), Finished("stop")]
    assert (await whole(events, [""]))["choices"][0]["text"] == "a"
    assert [frame["choices"][0]["text"] for frame in frames(events, [""])] == ["a", ""]


def test_a_failure_in_mid_answer_has_no_mark_of_a_whole_one() -> None:
    error = {"error": {"message": "m", "type": "server_error", "param": None, "code": "upstream_cut"}}
    raw = CompletionChunks("m", [""], include_usage=False).failed(error)
    assert json.loads(raw.removeprefix(b"data: ")) == error and b"[DONE]" not in raw
