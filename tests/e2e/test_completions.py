"""The older text completions through the official SDK, against a real server."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from tests.doubles.ollama_process import OllamaDouble, fault, reply
from tests.server import HearthServer

MODEL = "llama3.2:3b"


@pytest.fixture
def sdk(online: HearthServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{online.url}/v1", api_key=online.key, max_retries=0) as client:
        yield client


def test_a_completion(sdk: openai.OpenAI, online: HearthServer) -> None:
    with online.client() as web:
        before = web.get("/api/conversations").json()["total"]
        done = sdk.completions.create(model=MODEL, prompt="Once upon a time", max_tokens=100)
        assert web.get("/api/conversations").json()["total"] == before
    assert done.object == "text_completion" and done.model == MODEL
    assert [(each.text, each.finish_reason) for each in done.choices] == [("You said: Once upon a time", "stop")]
    assert done.usage is not None and done.usage.total_tokens > 0
    assert done._request_id


def test_sixteen_tokens_where_no_limit_is_given(sdk: openai.OpenAI) -> None:
    done = sdk.completions.create(model="hearth", prompt="[[tokens:50]]")
    assert done.choices[0].finish_reason == "length"
    assert done.usage is not None and done.usage.completion_tokens == 16


def test_streamed_text_equals_the_whole(sdk: openai.OpenAI) -> None:
    chunks = list(
        sdk.completions.create(
            model=MODEL, prompt="Grüße 👋", max_tokens=50, stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == "You said: Grüße 👋"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None and chunks[-1].choices == []


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_every_prompt_is_a_choice_of_its_own(sdk: openai.OpenAI, stream: bool) -> None:
    texts = ["", "", "", ""]
    asked = {"model": MODEL, "prompt": ["one", "two"], "n": 2, "echo": True, "max_tokens": 50}
    if stream:
        for chunk in sdk.completions.create(**asked, stream=True):  # type: ignore[call-overload]
            texts[chunk.choices[0].index] += chunk.choices[0].text
    else:
        for choice in sdk.completions.create(**asked).choices:  # type: ignore[call-overload]
            texts[choice.index] = choice.text
    assert texts == ["oneYou said: one"] * 2 + ["twoYou said: two"] * 2


def test_probabilities_of_tokens(sdk: openai.OpenAI) -> None:
    (choice,) = sdk.completions.create(model=MODEL, prompt="Hi", logprobs=2).choices
    told = choice.logprobs
    assert told is not None and told.tokens and "".join(told.tokens) == choice.text
    assert len(told.token_logprobs or ()) == len(told.text_offset or ()) == len(told.tokens)
    assert all(len(top) == 2 for top in told.top_logprobs or ())


def test_what_is_sent_to_the_model(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    double.script(reply("END of it"))
    sdk.completions.create(model="qwen3:8b", prompt="Once", stop=["X"], seed=7, temperature=0.1, max_tokens=9)
    sent = double.log("/api/chat")[-1]["body"]
    assert sent["messages"] == [{"role": "user", "content": "Once"}] and sent["think"] is False
    options = sent["options"]
    assert (options["stop"], options["seed"], options["temperature"], options["num_predict"]) == (["X"], 7, 0.1, 9)


def test_a_gap_is_filled_in_by_a_model_that_can(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    double.models(["llama3.2:3b", {"name": "coder:1b", "capabilities": ["completion", "insert"]}])
    double.script(reply("a + b", match={"path": "/api/generate"}))
    stream = sdk.completions.create(
        model="coder:1b",
        prompt="def add(a, b):\n    return ",
        suffix="\n\nprint(add(1, 2))",
        max_tokens=20,
        stream=True,
    )
    assert "".join(chunk.choices[0].text for chunk in stream) == "a + b"
    sent = double.log("/api/generate")[-1]["body"]
    assert (sent["prompt"], sent["suffix"]) == ("def add(a, b):\n    return ", "\n\nprint(add(1, 2))")
    assert "messages" not in sent and sent["options"]["num_predict"] == 20


@pytest.mark.parametrize("model", [MODEL, "hearth-builtin"])
def test_a_gap_is_refused_by_a_model_that_cannot(sdk: openai.OpenAI, model: str) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.completions.create(model=model, prompt="x", suffix="y")
    assert (refused.value.param, refused.value.code) == ("suffix", "unsupported_parameter")


def test_an_unknown_model_is_404(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        sdk.completions.create(model="no-such-model", prompt="x")
    assert refused.value.code == "model_not_found"


def test_ups_1_one_failing_answer_fails_the_request(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    double.script(fault("crashed_500", match={"contains": "two"}, times=9))
    with pytest.raises(openai.InternalServerError):
        sdk.completions.create(model=MODEL, prompt=["one", "two", "three"])


def test_ups_1_a_failure_in_mid_answer_raises_in_the_sdk(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    double.script(fault("incomplete_chunked", after_chunks=2))
    with pytest.raises(openai.APIError):
        list(sdk.completions.create(model=MODEL, prompt="one two three four", stream=True))


def test_ups_3_all_answers_stop_when_the_client_leaves(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    stream = sdk.completions.create(
        model=MODEL, prompt=["[[tokens:2000]] [[delay:20]]"] * 3, max_tokens=2000, stream=True
    )
    next(iter(stream))
    stream.close()
    double.wait_for_log(lambda log: sum(each["path"] == "/api/chat" for each in log) > 0, 5.0)
    double.wait_for_log(lambda log: all(each["finished_at"] or each["disconnected_at"] for each in log), 3.0)
    assert double.stats()["active_requests"] == 0
