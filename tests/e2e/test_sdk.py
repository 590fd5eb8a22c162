"""The official OpenAI SDK against a real server, by changing base_url and nothing else."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

import openai
import pytest

from tests.doubles.ollama_process import OllamaDouble
from tests.server import HearthServer

_OPEN: list[openai.OpenAI] = []


def sdk(server: HearthServer, key: str | None = None) -> openai.OpenAI:
    client = openai.OpenAI(base_url=f"{server.url}/v1", api_key=key or server.key, max_retries=0)
    _OPEN.append(client)
    return client


@pytest.fixture(autouse=True)
def _close_clients() -> Iterator[None]:
    yield
    while _OPEN:
        _OPEN.pop().close()


def test_models_start_with_hearth_and_include_ollamas(online: HearthServer) -> None:
    ids = [model.id for model in sdk(online).models.list()]
    assert ids[0] == "hearth"
    assert {"hearth-chat", "hearth-react", "hearth-plan", "llama3.2:3b", "hearth-builtin"} <= set(ids)
    assert ids.index("nomic-embed-text:latest") > ids.index("hearth-builtin"), "what cannot chat comes last"


def test_one_model_by_an_id_with_a_colon(online: HearthServer) -> None:
    assert sdk(online).models.retrieve("llama3.2:3b").object == "model"


def test_chat_not_streamed(online: HearthServer) -> None:
    done = sdk(online).chat.completions.create(
        model="llama3.2:3b", messages=[{"role": "user", "content": "Good morning to you"}]
    )
    assert "Good morning to you" in (done.choices[0].message.content or "")
    assert done.choices[0].finish_reason == "stop"
    assert done.usage is not None and done.usage.total_tokens > 0
    assert done.model == "llama3.2:3b"
    assert done._request_id


def test_chat_streamed_text_equals_the_whole(online: HearthServer) -> None:
    stream = sdk(online).chat.completions.create(
        model="llama3.2:3b",
        messages=[{"role": "user", "content": "Grüße 👋 an alle"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "Grüße 👋 an alle" in text
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None and chunks[-1].choices == []
    assert len({chunk.id for chunk in chunks}) == 1


def test_naive_loop_over_choices_never_meets_an_empty_list(online: HearthServer) -> None:
    for chunk in sdk(online).chat.completions.create(
        model="hearth", messages=[{"role": "user", "content": "What is 12*7?"}], stream=True
    ):
        assert isinstance(chunk.choices[0].delta.content, str | None)


def test_math_question_runs_math_calc(online: HearthServer, double: OllamaDouble) -> None:
    done = sdk(online).chat.completions.create(
        model="hearth", messages=[{"role": "user", "content": "What is 1234 * 5678?"}]
    )
    message = done.choices[0].message
    hearth = message.model_extra["hearth"]  # type: ignore[index]
    assert hearth["route"]["task"] == "agentic"
    assert [step["name"] for step in hearth["steps"]] == ["math_calc"]
    assert hearth["steps"][0]["status"] == "completed"
    assert "7006652" in (message.content or "").replace(",", "")
    assert message.tool_calls is None, "the server's own tools must never look like the caller's"


def test_two_part_question_goes_through_plan_execute(online: HearthServer) -> None:
    done = sdk(online).chat.completions.create(
        model="hearth",
        messages=[
            {
                "role": "user",
                "content": 'Do both: [[tool:math_calc:{"expression":"2^10"}]] and '
                '[[tool:math_calc:{"expression":"81/9"}]]',
            }
        ],
        extra_body={"agent": "plan_execute"},
    )
    hearth = done.choices[0].message.model_extra["hearth"]  # type: ignore[index]
    assert hearth["route"]["agent"] == "plan_execute"
    assert [step["name"] for step in hearth["steps"]] == ["math_calc", "math_calc"]
    assert {step["status"] for step in hearth["steps"]} == {"completed"}


def test_live_steps_arrive_before_the_answer(online: HearthServer) -> None:
    stream = sdk(online).chat.completions.create(
        model="hearth-react", messages=[{"role": "user", "content": "What is 17 * 23?"}], stream=True
    )
    kinds: list[str] = []
    finish: dict[str, object] = {}
    for chunk in stream:
        event = (chunk.model_extra or {}).get("hearth_event")
        if event:
            kinds.append(event["type"])
        elif chunk.choices[0].delta.content:
            kinds.append("text")
        if chunk.choices[0].finish_reason:
            finish = (chunk.choices[0].delta.model_extra or {})["hearth"]
    assert kinds.index("tool_started") < kinds.index("tool_finished") < kinds.index("text")
    assert finish["run_id"] and finish["session_id"]


def test_callers_own_tools_come_back_as_tool_calls(online: HearthServer) -> None:
    tool = {
        "type": "function",
        "function": {
            "name": "open_door",
            "description": "Opens a door",
            "parameters": {"type": "object", "properties": {"which": {"type": "string"}}, "required": ["which"]},
        },
    }
    messages = [{"role": "user", "content": 'Please [[tool:open_door:{"which":"front"}]]'}]
    done = sdk(online).chat.completions.create(model="hearth", messages=messages, tools=[tool])  # type: ignore[arg-type]
    assert done.choices[0].finish_reason == "tool_calls"
    call = done.choices[0].message.tool_calls[0]  # type: ignore[index]
    assert call.function.name == "open_door"  # type: ignore[union-attr]
    assert json.loads(call.function.arguments) == {"which": "front"}  # type: ignore[union-attr]
    messages += [
        done.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "opened"},
    ]
    again = sdk(online).chat.completions.create(model="hearth", messages=messages, tools=[tool])  # type: ignore[arg-type]
    assert "opened" in (again.choices[0].message.content or "")


@pytest.mark.parametrize("encoding", ["default", "float", "base64"])
def test_embeddings(offline: HearthServer, encoding: str) -> None:
    extra = {} if encoding == "default" else {"encoding_format": encoding}
    answer = sdk(offline).embeddings.create(
        model="all-MiniLM-L6-v2",
        input=["a cat on the mat", "a kitten on the rug", "quarterly tax report"],
        **extra,  # type: ignore[arg-type]
    )
    rows = [row.embedding for row in answer.data]
    if encoding == "base64":
        import base64

        rows = [list(struct.unpack("<384f", base64.b64decode(row))) for row in rows]  # type: ignore[arg-type]
    assert [len(row) for row in rows] == [384] * 3
    near, far = (sum(a * b for a, b in zip(rows[0], other, strict=True)) for other in rows[1:])
    assert near > far + 0.2
    assert answer.usage.prompt_tokens > 0


def test_embeddings_with_fewer_dimensions_keep_unit_length(offline: HearthServer) -> None:
    answer = sdk(offline).embeddings.create(model="all-MiniLM-L6-v2", input="hello", dimensions=64)
    row = answer.data[0].embedding
    assert len(row) == 64
    assert sum(x * x for x in row) == pytest.approx(1.0, abs=1e-4)


def test_bad_key_is_an_authentication_error(online: HearthServer) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        sdk(online, "sk-wrong").models.list()
    assert caught.value.code == "invalid_api_key"
    assert caught.value.request_id


def test_unknown_model_is_a_not_found_error(online: HearthServer) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        sdk(online).chat.completions.create(model="nope:1b", messages=[{"role": "user", "content": "hi"}])
    assert caught.value.code == "model_not_found"


def test_bad_request_names_the_field(online: HearthServer) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        sdk(online).chat.completions.create(model="hearth", messages=[{"role": "user", "content": "hi"}], temperature=9)
    assert caught.value.param == "temperature"


def test_streamed_failures_before_the_first_byte_are_http_errors(online: HearthServer) -> None:
    with pytest.raises(openai.NotFoundError):
        sdk(online).chat.completions.create(model="nope:1b", messages=[{"role": "user", "content": "hi"}], stream=True)


def test_builtin_model_names_itself(offline: HearthServer) -> None:
    done = sdk(offline).chat.completions.create(
        model="hearth", messages=[{"role": "user", "content": "What is 18% of 2450?"}]
    )
    assert done.model == "hearth-builtin"
    assert "441" in (done.choices[0].message.content or "")
