"""tool_choice, parallel_tool_calls and response_format, as the official OpenAI SDK sees them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import openai
import pytest
from pydantic import BaseModel, Field

from tests.doubles.ollama_process import OllamaDouble, fault, reply, tool_call
from tests.server import HearthServer

MODEL = "llama3.2:3b"
NO_TOOLS_MODEL = "tinyllama:latest"


class Person(BaseModel):
    name: str
    age: int
    mood: Literal["good", "bad"]


class Coded(BaseModel):
    code: str = Field(pattern="^[A-Z]{3}$")


GOOD = {"name": "Ada", "age": 36, "mood": "good"}
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city"],
        },
    },
}
CLOCK: Any = {
    "type": "function",
    "function": {"name": "get_time", "description": "The time", "parameters": {"type": "object", "properties": {}}},
}
CALLED = tool_call("get_weather", {"city": "Oslo"})


@pytest.fixture
def sdk(online: HearthServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{online.url}/v1", api_key=online.key, max_retries=0) as client:
        yield client


def user(text: str) -> Any:
    return [{"role": "user", "content": text}]


def formats_asked(double: OllamaDouble) -> list[Any]:
    return [entry["body"].get("format") for entry in double.log("/api/chat")]


# ---- tool_choice -----------------------------------------------------------------------------------


def test_required_is_kept_by_a_model_that_calls(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    done = sdk.chat.completions.create(
        model=MODEL,
        messages=user('Please [[tool:get_weather:{"city":"Rome"}]]'),
        tools=[WEATHER, CLOCK],
        tool_choice="required",
    )
    call: Any = done.choices[0].message.tool_calls[0]  # type: ignore[index]
    assert (call.function.name, json.loads(call.function.arguments)) == ("get_weather", {"city": "Rome"})
    assert done.choices[0].finish_reason == "tool_calls" and call.id
    assert formats_asked(double) == [None]


@pytest.mark.parametrize("choice", ["required", "named"])
def test_a_demanded_call_comes_from_a_model_that_only_talks(
    sdk: openai.OpenAI, double: OllamaDouble, choice: str
) -> None:
    double.script(reply("The weather is fine everywhere.", match={"has_tools": True}))
    named: Any = {"type": "function", "function": {"name": "get_weather"}}
    done = sdk.chat.completions.create(
        model=MODEL,
        messages=user("How is it in Oslo?"),
        tools=[WEATHER, CLOCK],
        tool_choice="required" if choice == "required" else named,
    )
    message = done.choices[0].message
    assert message.content is None
    call: Any = message.tool_calls[0]  # type: ignore[index]
    assert call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments)["city"], str)
    assert len(formats_asked(double)) == (3 if choice == "required" else 2)
    assert done.usage is not None
    used = sum(entry["prompt_tokens"] for entry in double.log("/api/chat"))
    assert done.usage.prompt_tokens == used, "every call is counted"


def test_a_demanded_call_in_a_stream_holds_the_text_back(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    double.script(reply("I would rather talk about it.", match={"has_tools": True}))
    with sdk.chat.completions.stream(
        model=MODEL, messages=user("How is it?"), tools=[WEATHER], tool_choice="required"
    ) as stream:
        final: Any = stream.get_final_completion()
    choice = final.choices[0]
    assert not choice.message.content
    assert choice.message.tool_calls[0].function.name == "get_weather"
    assert choice.finish_reason == "tool_calls"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_demanded_call_that_cannot_be_had_is_one_clear_error(
    sdk: openai.OpenAI, double: OllamaDouble, streamed: bool
) -> None:
    double.script(reply("I only talk."))
    with pytest.raises(openai.InternalServerError) as caught:
        sdk.chat.completions.create(
            model=MODEL,
            messages=user("How is it?"),
            tools=[WEATHER],
            tool_choice="required",
            stream=streamed,  # type: ignore[call-overload]
        )
    assert caught.value.status_code == 502 and caught.value.code == "model_fault"
    assert "get_weather" in caught.value.message
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_none_makes_no_call(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    done = sdk.chat.completions.create(
        model=MODEL,
        messages=user('Please [[tool:get_weather:{"city":"Rome"}]]'),
        tools=[WEATHER],
        tool_choice="none",
    )
    assert done.choices[0].message.tool_calls is None
    assert done.choices[0].finish_reason == "stop" and done.choices[0].message.content
    assert "tools" not in double.log("/api/chat")[0]["body"]


def test_parallel_tool_calls_false_gives_the_first_alone(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    double.script(reply(None, CALLED, tool_call("get_time", {})))
    done = sdk.chat.completions.create(
        model=MODEL, messages=user("Both."), tools=[WEATHER, CLOCK], parallel_tool_calls=False
    )
    assert [call.function.name for call in done.choices[0].message.tool_calls] == ["get_weather"]  # type: ignore


# ---- what models do wrong with calls ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "calls"),
    [("duplicate_calls", 1), ("absent_ids", 1), ("string_arguments", 1), ("repeated_ids", 1), ("wrong_arguments", 1)],
)
def test_calls_come_out_whole_once_and_with_an_id(
    sdk: openai.OpenAI, double: OllamaDouble, kind: str, calls: int
) -> None:
    double.script({"reply": {"tool_calls": [CALLED]}, "fault": {"kind": kind}})
    made = sdk.chat.completions.create(model=MODEL, messages=user("Oslo?"), tools=[WEATHER]).choices[0].message
    assert made.tool_calls is not None and len(made.tool_calls) == calls
    assert all(call.id for call in made.tool_calls)
    arguments = json.loads(made.tool_calls[0].function.arguments)  # type: ignore[union-attr]
    assert arguments["city"] == "Oslo"


def test_a_call_of_an_unknown_tool_alone_lets_the_model_choose_again(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    double.script({"reply": {"tool_calls": [CALLED]}, "fault": {"kind": "unknown_tool"}, "times": 1})
    made = sdk.chat.completions.create(model=MODEL, messages=user("Oslo?"), tools=[WEATHER]).choices[0].message
    assert [call.function.name for call in made.tool_calls or ()] == ["get_weather"]  # type: ignore[union-attr]


def test_a_model_without_tools_can_be_given_some(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    done = sdk.chat.completions.create(model=NO_TOOLS_MODEL, messages=user("Oslo?"), tools=[WEATHER])
    assert done.choices[0].finish_reason == "tool_calls"
    assert done.choices[0].message.tool_calls[0].function.name == "get_weather"  # type: ignore
    assert all("tools" not in entry["body"] for entry in double.log("/api/chat"))
    double.reset()
    double.script(reply('{"tool": "answer_in_words"}', match={"has_format": True}))
    done = sdk.chat.completions.create(model=NO_TOOLS_MODEL, messages=user("Hello there"), tools=[WEATHER])
    assert done.choices[0].message.content == "You said: Hello there"


# ---- response_format -------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [Person, Coded])
def test_parse_gives_the_model(sdk: openai.OpenAI, double: OllamaDouble, model: Any) -> None:
    if model is Coded:
        double.script(reply('{"code": "abc"}', times=1), reply('{"code": "ABC"}'))
    done = sdk.chat.completions.parse(model=MODEL, messages=user("Who?"), response_format=model)
    assert isinstance(done.choices[0].message.parsed, model)


FAULTS: dict[str, Any] = {
    "fence in prose": [{"reply": {"content": json.dumps(GOOD)}, "fault": {"kind": "json_fenced"}}],
    "prose, then repaired": [reply("Her name is Ada.", times=1), reply(json.dumps(GOOD))],
    "field missing, then repaired": [reply('{"name": "Ada"}', times=1), reply(json.dumps(GOOD))],
    "white space, then repaired": [{"fault": {"kind": "endless_whitespace"}, "times": 2}, reply(json.dumps(GOOD))],
    "ran on to the window's end": [
        {"reply": {"content": json.dumps(GOOD)}, "fault": {"kind": "json_cut"}, "times": 1},
        reply(json.dumps(GOOD)),
    ],
    "grammar refused": [
        fault("status", status=500, error='invalid format: expected "json" or a valid JSON Schema object', times=1),
        reply(json.dumps(GOOD)),
    ],
}


@pytest.mark.parametrize("script", FAULTS.values(), ids=FAULTS.keys())
def test_parse_survives(sdk: openai.OpenAI, double: OllamaDouble, script: list[Any]) -> None:
    double.script(*script)
    done = sdk.chat.completions.parse(model=MODEL, messages=user("Who?"), response_format=Person)
    assert done.choices[0].message.parsed == Person(name="Ada", age=36, mood="good")


@pytest.mark.parametrize(
    "script", [FAULTS["fence in prose"], FAULTS["prose, then repaired"], [reply(json.dumps(GOOD))]], ids=range(3)
)
def test_a_streamed_answer_parses(sdk: openai.OpenAI, double: OllamaDouble, script: list[Any]) -> None:
    double.script(*script)
    with sdk.chat.completions.stream(model=MODEL, messages=user("Who?"), response_format=Person) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == Person(name="Ada", age=36, mood="good")


def test_a_streamed_answer_that_its_grammar_guarantees_comes_token_by_token(
    sdk: openai.OpenAI, double: OllamaDouble
) -> None:
    double.script(reply(json.dumps(GOOD), delay_ms=20))
    deltas = 0
    with sdk.chat.completions.stream(model=MODEL, messages=user("Who?"), response_format=Person) as stream:
        for event in stream:
            deltas += event.type == "content.delta"
    assert deltas >= 5


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_what_is_never_json_is_one_clear_error(sdk: openai.OpenAI, double: OllamaDouble, streamed: bool) -> None:
    double.script(reply("Never."))
    with pytest.raises(openai.InternalServerError) as caught:
        sdk.chat.completions.create(
            model=MODEL,
            messages=user("Who?"),
            response_format={"type": "json_object"},
            stream=streamed,  # type: ignore[call-overload]
        )
    assert (caught.value.status_code, caught.value.code) == (502, "model_fault")
    assert "response_format" in caught.value.message
    assert len(formats_asked(double)) == 2


def test_a_live_answer_that_goes_wrong_ends_with_an_error_frame(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    double.script(reply('{"name": "Ada", "age": thirty-six}', delay_ms=20))
    text = ""
    with pytest.raises(openai.APIError, match="without streaming"):
        for chunk in sdk.chat.completions.create(
            model=MODEL, messages=user("Who?"), response_format={"type": "json_object"}, stream=True
        ):
            text += chunk.choices[0].delta.content or ""
    assert text == '{"name": "Ada", "age":'


def test_the_callers_token_limit_is_length_and_no_repair(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    double.script(reply(json.dumps(GOOD)))
    with pytest.raises(openai.LengthFinishReasonError):
        sdk.chat.completions.parse(model=MODEL, messages=user("Who?"), response_format=Person, max_tokens=4)
    assert len(formats_asked(double)) == 1
    chunks = list(
        sdk.chat.completions.create(
            model=MODEL,
            messages=user("Who?"),
            response_format={"type": "json_object"},
            max_tokens=4,
            stream=True,
        )
    )
    assert chunks[-1].choices[0].finish_reason == "length"


def test_tools_and_a_format_together(sdk: openai.OpenAI, double: OllamaDouble) -> None:
    double.script(
        reply(None, CALLED, match={"has_tools": True, "last_role": "user"}),
        reply("It is mild in Oslo.", match={"has_tools": True}),
        reply(json.dumps(GOOD)),
    )
    messages = user("Oslo?")
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "p", "schema": Person.model_json_schema()}}
    first = sdk.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER], response_format=wanted)
    call: Any = first.choices[0].message.tool_calls[0]  # type: ignore[index]
    assert call.function.name == "get_weather"
    assert formats_asked(double) == [None], "a grammar would bind the call"
    messages += [
        first.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "mild"},
    ]
    second = sdk.chat.completions.create(model=MODEL, messages=messages, tools=[WEATHER], response_format=wanted)
    assert Person.model_validate_json(second.choices[0].message.content or "").name == "Ada"
    assert second.choices[0].finish_reason == "stop"


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"$ref": "http://127.0.0.1:9/x"}, "only places in this schema"),
        ({"$ref": "#"}, "refers to itself"),
        ({"type": "objekt"}, "type must be one of"),
        ({"type": "string", "pattern": "("}, "pattern"),
        ({"properties": {f"p{n}": {"description": "x" * 100} for n in range(6_000)}}, "too large"),
    ],
    ids=["remote", "endless", "invalid", "pattern", "very large"],
)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_bad_schema_is_a_400_naming_the_field(
    sdk: openai.OpenAI, double: OllamaDouble, schema: dict[str, Any], said: str, streamed: bool
) -> None:
    with pytest.raises(openai.BadRequestError, match=said) as caught:
        sdk.chat.completions.create(
            model=MODEL,
            messages=user("Who?"),
            response_format={"type": "json_schema", "json_schema": {"name": "p", "schema": schema}},
            stream=streamed,  # type: ignore[call-overload]
        )
    assert caught.value.param == "response_format.json_schema.schema"
    assert double.log("/api/chat") == []


def test_a_bad_schema_of_a_strict_tool_is_a_400_naming_it(sdk: openai.OpenAI) -> None:
    tool: Any = {"type": "function", "function": {"name": "x", "strict": True, "parameters": {"type": "objekt"}}}
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(model=MODEL, messages=user("Who?"), tools=[WEATHER, tool])
    assert caught.value.param == "tools.1.function.parameters"


# ---- the built-in model ----------------------------------------------------------------------------


def test_the_builtin_model_keeps_tool_choice_or_says_why_not(offline: HearthServer) -> None:
    search: Any = {
        "type": "function",
        "function": {
            "name": "search",
            "description": "Searches the web",
            "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
        },
    }
    with openai.OpenAI(base_url=f"{offline.url}/v1", api_key=offline.key, max_retries=0) as client:
        done = client.chat.completions.create(
            model="hearth-builtin", messages=user("Tell me about Mars"), tools=[search], tool_choice="required"
        )
        call: Any = done.choices[0].message.tool_calls[0]  # type: ignore[index]
        assert call.function.name == "search" and "Mars" in json.loads(call.function.arguments)["query"]
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.parse(model="hearth-builtin", messages=user("Who?"), response_format=Person)
        assert caught.value.param == "response_format"
        assert "language model" in caught.value.message
