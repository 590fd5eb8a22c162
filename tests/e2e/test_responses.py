"""What /v1/responses says and streams, through the official SDK against a real server."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from openai import OpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from tests.doubles.ollama_process import OllamaDouble, fault, reply, sequence, tool_call
from tests.server import HearthServer, upload_and_wait

pytestmark = pytest.mark.slow
MODEL = "llama3.2:3b"
STRICT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
PNG = base64.b64encode(
    base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
).decode()
SENSOR: Any = {
    "type": "function",
    "name": "read_sensor",
    "description": "Reads a sensor.",
    "parameters": {
        "type": "object",
        "properties": {"room": {"type": "string"}},
        "required": ["room"],
        "additionalProperties": False,
    },
    "strict": True,
}


@pytest.fixture
def client(online: HearthServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{online.url}/v1", api_key=online.key, max_retries=0) as made:
        yield made


@pytest.fixture
def web(online: HearthServer) -> Iterator[httpx.Client]:
    with online.client() as signed_in:
        yield signed_in


def raw_events(web: httpx.Client, **body: Any) -> list[dict[str, Any]]:
    """The events as they stand on the wire, each taken by the official types as it is."""
    with web.stream("POST", "/v1/responses", json={"model": MODEL, "stream": True, **body}) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = answer.read().decode()
    events = []
    for frame in text.split("\n\n"):
        if frame and not frame.startswith(":"):
            name, data = frame.split("\n")
            events.append(json.loads(data.removeprefix("data: ")))
            assert name == f"event: {events[-1]['type']}"
            STRICT.validate_python(events[-1], strict=True)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


# ---- text ---------------------------------------------------------------------------------------


def test_whole_response(client: OpenAI) -> None:
    done = client.responses.create(model=MODEL, input="Good morning to you", metadata={"a": "b"})
    assert "Good morning to you" in done.output_text and done.status == "completed"
    assert done.usage is not None and done.usage.total_tokens == done.usage.input_tokens + done.usage.output_tokens > 0
    assert done.model == MODEL and done.metadata == {"a": "b"} and done.id.startswith("resp_")
    Response.model_validate(done.to_dict(), strict=True)


def test_stream_by_hand_adds_up_to_the_response(client: OpenAI) -> None:
    text, last = "", None
    for event in client.responses.create(model=MODEL, input="Grüße 👋 an alle", stream=True):
        if event.type == "response.output_text.delta":
            text += event.delta
        last = event
    assert last is not None and last.type == "response.completed"
    assert last.response.output_text == text and "Grüße 👋 an alle" in text


def test_stream_helper_gives_the_final_response(client: OpenAI) -> None:
    with client.responses.stream(model=MODEL, input="Good morning to you") as events:
        seen = [event.type for event in events]
        done = events.get_final_response()
    assert seen[:2] == ["response.created", "response.in_progress"] and seen[-1] == "response.completed"
    assert (
        "Good morning to you" in done.output_text and client.responses.retrieve(done.id).output_text == done.output_text
    )


def test_parse_reads_the_answer_into_a_type(client: OpenAI) -> None:
    class City(BaseModel):
        name: str
        people: int

    done = client.responses.parse(model=MODEL, input="Which city?", text_format=City)
    assert isinstance(done.output_parsed, City)
    with client.responses.stream(model=MODEL, input="Which city?", text_format=City) as events:
        for _ in events:
            pass
        assert isinstance(events.get_final_response().output_parsed, City)


def test_answer_that_reaches_its_limit_is_incomplete(client: OpenAI, double: OllamaDouble) -> None:
    double.script(reply("one two three", done_reason="length"))
    done = client.responses.create(model=MODEL, input="Count.", max_output_tokens=16)
    assert done.status == "incomplete" and done.incomplete_details is not None
    assert done.incomplete_details.reason == "max_output_tokens"
    assert double.log("/api/chat")[-1]["body"]["options"]["num_predict"] == 16


def test_thinking_is_a_reasoning_item(web: httpx.Client, double: OllamaDouble) -> None:
    double.script(reply("42", thinking="six times seven"))
    events = raw_events(web, model="qwen3:8b", input="What?", agent="chat", reasoning={"effort": "high"})
    item = events[-1]["response"]["output"][0]
    assert item["type"] == "reasoning" and item["summary"][0]["text"] == "six times seven"
    assert [each["type"] for each in events[-1]["response"]["output"]] == ["reasoning", "message"]
    assert events[-1]["response"]["usage"]["output_tokens_details"]["reasoning_tokens"] >= 0


def test_log_probabilities_come_with_the_text(client: OpenAI, web: httpx.Client) -> None:
    included: Any = ["message.output_text.logprobs"]
    part: Any = client.responses.create(model=MODEL, input="Hi", top_logprobs=2, include=included).output[0]
    assert "".join(each.token for each in part.content[0].logprobs) == part.content[0].text
    deltas = [each for each in raw_events(web, input="Hi", top_logprobs=2) if each["type"].endswith("text.delta")]
    assert all("".join(one["token"] for one in each["logprobs"]) == each["delta"] for each in deltas)


# ---- what goes in -----------------------------------------------------------------------------------


def test_items_of_all_roles_reach_the_model(client: OpenAI, double: OllamaDouble) -> None:
    client.responses.create(
        model=MODEL,
        instructions="Be kind.",
        input=[
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "input_text", "text": "One?"}]},
            {"role": "assistant", "content": "Two."},
            {"type": "message", "role": "user", "content": "Three?"},
        ],
    )
    messages = double.log("/api/chat")[-1]["body"]["messages"]
    assert [(each["role"], each["content"]) for each in messages] == [
        ("system", "Be kind.\n\nBe brief."),
        ("user", "One?"),
        ("assistant", "Two."),
        ("user", "Three?"),
    ]


def test_picture_reaches_a_model_that_sees_and_no_other(client: OpenAI, double: OllamaDouble) -> None:
    asked: Any = [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "What is it?"},
                {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
            ],
        }
    ]
    client.responses.create(model="llava:7b", input=asked)
    assert double.log("/api/chat")[-1]["body"]["messages"][-1]["images"] == [PNG]
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model=MODEL, input=asked)
    assert caught.value.param == "input" and caught.value.code == "unsupported_content"


def test_stored_picture_is_named_by_its_id(client: OpenAI, double: OllamaDouble) -> None:
    file = client.files.create(file=("dot.png", base64.b64decode(PNG)), purpose="vision")
    part: Any = {"type": "input_image", "file_id": file.id, "detail": "low"}
    client.responses.create(model="llava:7b", input=[{"role": "user", "content": [part]}])
    assert double.log("/api/chat")[-1]["body"]["messages"][-1]["images"] == [PNG]


def test_file_is_read_with_the_question(client: OpenAI, double: OllamaDouble) -> None:
    data = base64.b64encode(b"The gate code is 4711.").decode()
    part: Any = {"type": "input_file", "filename": "note.txt", "file_data": f"data:text/plain;base64,{data}"}
    ask: Any = [{"role": "user", "content": [part, {"type": "input_text", "text": "What is the code?"}]}]
    client.responses.create(model=MODEL, input=ask)
    assert "4711" in double.log("/api/chat")[-1]["body"]["messages"][-1]["content"]


@pytest.mark.parametrize("truncation", ["auto", "disabled"])
def test_what_does_not_fit_is_left_out_or_refused(client: OpenAI, double: OllamaDouble, truncation: Any) -> None:
    turns: list[Any] = [
        {"role": role, "content": f"{n} " + "word " * 400} for n in range(10) for role in ("user", "assistant")
    ]
    asked: list[Any] = [*turns, {"role": "user", "content": "Go on."}]
    if truncation == "auto":
        done = client.responses.create(model="tinyllama:latest", input=asked, truncation=truncation)
        assert done.truncation == "auto"
        assert len(double.log("/api/chat")[-1]["body"]["messages"]) < len(asked)
        return
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="tinyllama:latest", input=asked, truncation=truncation)
    assert (caught.value.param, caught.value.code) == ("input", "context_length_exceeded")


# ---- tools -------------------------------------------------------------------------------------------


def test_function_call_streams_and_its_output_is_answered(client: OpenAI, double: OllamaDouble) -> None:
    call = reply(None, tool_call("read_sensor", {"room": "cellar"}))
    double.script(sequence(call, reply("11 degrees.")))
    with client.responses.stream(model=MODEL, input="How warm is it?", tools=[SENSOR]) as events:
        kinds = [event.type for event in events]
        first = events.get_final_response()
    assert "response.function_call_arguments.delta" in kinds
    made: Any = first.output[-1]
    assert made.type == "function_call" and json.loads(made.arguments) == {"room": "cellar"}
    second = client.responses.create(
        model=MODEL,
        tools=[SENSOR],
        input=[
            {"role": "user", "content": "How warm is it?"},
            made.to_dict(),
            {"type": "function_call_output", "call_id": made.call_id, "output": "11"},
        ],
    )
    assert second.output_text == "11 degrees."


def test_forced_function_is_called(client: OpenAI) -> None:
    done = client.responses.create(
        model=MODEL, input="Hello", tools=[SENSOR], tool_choice={"type": "function", "name": "read_sensor"}
    )
    call: Any = done.output[-1]
    assert (call.type, call.name) == ("function_call", "read_sensor")


def test_file_search_answers_from_its_collection(client: OpenAI, web: httpx.Client, double: OllamaDouble) -> None:
    inside = upload_and_wait(web, "inside.txt", b"The blue whale of the museum weighs 150 tonnes.")
    upload_and_wait(web, "outside.txt", b"The blue whale of the zoo weighs 3 tonnes.")
    store = client.vector_stores.create(name="museum", file_ids=[inside["file_id"]])
    double.script(
        sequence(
            reply(None, tool_call("rag_retrieval", {"query": "weight of the blue whale"})),
            reply("It weighs 150 tonnes [1]."),
        )
    )
    events = raw_events(
        web,
        input="How heavy is the blue whale?",
        tools=[{"type": "file_search", "vector_store_ids": [store.id]}],
        tool_choice={"type": "file_search"},
        include=["file_search_call.results"],
    )
    kinds = [event["type"].removeprefix("response.") for event in events]
    for step in ("file_search_call.in_progress", "file_search_call.searching", "file_search_call.completed"):
        assert step in kinds
    search, message = events[-1]["response"]["output"]
    assert search["type"] == "file_search_call" and search["queries"] == ["weight of the blue whale"]
    assert {hit["filename"] for hit in search["results"]} == {"inside.txt"}
    (annotation,) = message["content"][0]["annotations"]
    assert annotation["type"] == "file_citation" and annotation["filename"] == "inside.txt"
    assert message["content"][0]["text"][annotation["index"] :].startswith("[1]")
    assert "response.output_text.annotation.added" in [event["type"] for event in events]
    tools = double.log("/api/chat")[0]["body"]["tools"]
    assert [tool["function"]["name"] for tool in tools] == ["rag_retrieval"]


def test_unknown_collection_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.responses.create(
            model=MODEL, input="Hi", tools=[{"type": "file_search", "vector_store_ids": ["vs_" + "0" * 32]}]
        )


def test_servers_own_tool_is_an_mcp_call(client: OpenAI, double: OllamaDouble) -> None:
    double.script(sequence(reply(None, tool_call("math_calc", {"expression": "6*7"})), reply("It is 42.")))
    own: Any = {"type": "mcp", "server_label": "hearth", "allowed_tools": ["math_calc"], "require_approval": "never"}
    with client.responses.stream(model=MODEL, input="What is 6*7?", tools=[own]) as events:
        kinds = [event.type for event in events]
        done = events.get_final_response()
    call: Any = done.output[0]
    assert (call.type, call.server_label, call.name, call.output) == ("mcp_call", "hearth", "math_calc", "6*7 = 42")
    assert "response.mcp_call.completed" in kinds and done.output_text == "It is 42."


def test_code_interpreter_runs_code_and_shows_its_outputs(web: httpx.Client, double: OllamaDouble) -> None:
    code = "print(6 * 7)"
    double.script(sequence(reply(None, tool_call("python_code", {"code": code})), reply("42.")))
    tool = {"type": "code_interpreter", "container": {"type": "auto"}}
    events = raw_events(web, input="Work it out.", tools=[tool], include=["code_interpreter_call.outputs"])
    written = [each["delta"] for each in events if each["type"] == "response.code_interpreter_call_code.delta"]
    item = events[-1]["response"]["output"][0]
    assert item["type"] == "code_interpreter_call" and item["code"] == code == "".join(written)
    assert item["outputs"][0]["type"] == "logs" and "42" in item["outputs"][0]["logs"]


def test_agents_are_models_here_too(client: OpenAI) -> None:
    done = client.responses.create(model="hearth", input="What is 1234 * 5678?")
    assert "mcp_call" in [item.type for item in done.output] and "7006652" in done.output_text.replace(",", "")


def test_callers_and_servers_tools_side_by_side(client: OpenAI, double: OllamaDouble) -> None:
    both = [tool_call("math_calc", {"expression": "6*7"}), tool_call("read_sensor", {"room": "cellar"})]
    double.script(sequence(reply(None, *both), reply("42, and it is 11 degrees.")))
    own: Any = {"type": "mcp", "server_label": "hearth", "allowed_tools": ["math_calc"]}
    first = client.responses.create(model=MODEL, input="6*7, and how warm is it?", tools=[own, SENSOR])
    assert [item.type for item in first.output] == ["mcp_call", "function_call"]
    call: Any = first.output[-1]
    second = client.responses.create(
        model=MODEL,
        previous_response_id=first.id,
        tools=[own, SENSOR],
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "11"}],
    )
    assert second.output_text == "42, and it is 11 degrees."


# ---- refusals and failures ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"tools": [{"type": "image_generation"}]}, "tools[0].type", "unsupported_parameter"),
        ({"input": [{"type": "computer_call"}]}, "input.0.type", "invalid_value"),
        ({"max_output_tokens": 3}, "max_output_tokens", "invalid_value"),
        ({"background": True, "store": False}, "background", "invalid_value"),
        (
            {"tools": [{"type": "mcp", "server_label": "x", "server_url": "http://127.0.0.1:1/mcp"}]},
            "tools[0].server_url",
            "unsupported_parameter",
        ),
    ],
)
def test_refusals_come_before_the_first_byte(client: OpenAI, fields: dict[str, Any], param: str, code: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**{"model": MODEL, "input": "Hi", "stream": True, **fields})
    assert (caught.value.param, caught.value.code, caught.value.type) == (param, code, "invalid_request_error")


def test_unknown_model_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.responses.create(model="nobody:1b", input="Hi")
    assert caught.value.code == "model_not_found"


def test_failure_in_the_middle_is_told_in_the_stream(web: httpx.Client, double: OllamaDouble) -> None:
    double.script(fault("incomplete_chunked", after_chunks=2))
    events = raw_events(web, input="Tell me something long about the sea.")
    assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
    assert events[-1]["response"]["status"] == "failed" and events[-1]["response"]["error"]["code"] == "server_error"
