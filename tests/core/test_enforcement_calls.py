"""tool_choice, parallel_tool_calls and arguments that can be relied upon, whatever the model does."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from backend.core.enforced_calls import as_text
from backend.llm.port import ChatRequest, Sampling
from backend.models.errors import InvalidRequest, ModelFault, UnsupportedParameter, UpstreamUnreachable
from backend.models.messages import Finished, Message, TextDelta, ToolCall, Usage
from backend.models.tools import ToolSpec
from tests.core.enforcement_helpers import CLOCK, OBJECT, PERSON, WEATHER, Answer, answered, asked, read, schema_format
from tests.fakes.model import ScriptedModel, Turn, call, format_name

BOTH = (WEATHER, CLOCK)
NO_TOOLS = InvalidRequest("The model cannot call tools.", param="tools", code="tools_unsupported")
OSLO = '{"city":"Oslo"}'
STRICT = replace(WEATHER, strict=True)


def raw(name: str, arguments: str, call_id: str = "") -> ToolCall:
    return ToolCall(call_id, name, arguments)


# ---- none ------------------------------------------------------------------------------------------


async def test_none_shows_no_tools_and_text_that_looks_like_a_call_stays_text() -> None:
    said = '{"name": "get_weather", "arguments": {"city": "Oslo"}}'
    model = ScriptedModel([said])
    answer = await answered(model, asked(tools=BOTH, tool_choice="none"))
    assert (answer.text, answer.calls, answer.finished.reason) == (said, [], "stop")
    assert model.requests[0].tools == ()


async def test_none_lets_no_call_out_even_if_the_model_makes_one() -> None:
    model = ScriptedModel([["It is mild.", call("get_weather", city="Oslo")]])
    answer = await answered(model, asked(tools=BOTH, tool_choice="none"))
    assert (answer.text, answer.calls, answer.finished.reason) == ("It is mild.", [], "stop")
    assert len(answer.usage) == 1


async def test_none_with_nothing_but_a_call_is_an_error() -> None:
    model = ScriptedModel([call("get_weather", city="Oslo")])
    with pytest.raises(ModelFault, match="tool_choice is none"):
        await answered(model, asked(tools=BOTH, tool_choice="none"))


# ---- auto ------------------------------------------------------------------------------------------


async def test_auto_streams_text_as_it_comes() -> None:
    model = ScriptedModel(["one two three"])
    answer = await answered(model, asked(tools=BOTH), streamed=True)
    assert answer.deltas == ["one ", "two ", "three"]
    assert answer.finished.reason == "stop"


async def test_auto_passes_calls_on_as_they_are() -> None:
    model = ScriptedModel([["Let me see. ", raw("get_weather", '{ "city": "Oslo" }', "call_7"), call("get_time")]])
    answer = await answered(model, asked(tools=BOTH))
    assert answer.made == [("get_weather", '{ "city": "Oslo" }'), ("get_time", "{}")]
    assert answer.calls[0].id == "call_7"
    assert (answer.text, answer.finished.reason, len(model.requests)) == ("Let me see. ", "tool_calls", 1)


async def test_identical_calls_of_a_turn_come_out_once() -> None:
    model = ScriptedModel(
        [
            [
                raw("get_weather", '{"city":"Oslo","days":1}'),
                raw("get_weather", '{ "days": 1, "city": "Oslo" }'),
                raw("get_weather", '{"city":"Rome"}'),
            ]
        ]
    )
    answer = await answered(model, asked(tools=BOTH))
    assert [json.loads(each.arguments)["city"] for each in answer.calls] == ["Oslo", "Rome"]


async def test_without_parallel_calls_only_the_first_comes_out() -> None:
    model = ScriptedModel([[call("get_weather", city="Oslo"), call("get_time")]])
    answer = await answered(model, asked(tools=BOTH, parallel_tool_calls=False))
    assert answer.made == [("get_weather", OSLO)]


async def test_ids_are_never_empty_and_unique_in_the_conversation() -> None:
    def turn(_request: ChatRequest) -> Turn:
        return [_made("get_weather", "call_1", city="Oslo"), _made("get_time", "same"), _made("get_time", "same", z=1)]

    history = (
        Message("user", "Weather?"),
        Message("assistant", tool_calls=(ToolCall("call_1", "get_weather", OSLO),)),
        Message("tool", "mild", tool_call_id="call_1"),
    )
    answer = await answered(ScriptedModel([turn]), asked(*history, tools=BOTH))
    ids = [each.id for each in answer.calls]
    assert len({*ids, "call_1"}) == 4 and all(ids)


def _made(name: str, call_id: str, **arguments: Any) -> Any:
    from backend.models.messages import ToolCallMade

    return ToolCallMade(ToolCall(call_id, name, json.dumps(arguments)))


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        ('{"city": "Oslo", "days": "3"}', {"city": "Oslo", "days": 3}),
        ('"{\\"city\\": \\"Oslo\\"}"', {"city": "Oslo"}),
        ('{"city": "Oslo",}', {"city": "Oslo"}),
        ("{'city': 'Oslo'}", {"city": "Oslo"}),
        ("", {}),
        ('{"days": 30}', {"days": 30}),
        ('{"city": 5, "days": "many"}', {"city": 5, "days": "many"}),
    ],
    ids=[
        "number as text",
        "json in json",
        "trailing comma",
        "single quotes",
        "nothing",
        "misfit is the caller's to check",
        "misfit that cannot be put right",
    ],
)
async def test_arguments_of_a_tool_that_is_not_strict_are_json(given: str, passed: dict[str, Any]) -> None:
    model = ScriptedModel([raw("get_weather", given)])
    answer = await answered(model, asked(tools=BOTH))
    assert json.loads(answer.calls[0].arguments) == passed
    assert len(model.requests) == 1


@pytest.mark.parametrize("given", ['{"city": "Os', "Oslo", "[1]", '{"a": ' * 5000], ids=["cut", "word", "list", "deep"])
async def test_arguments_that_are_no_object_are_asked_for_once_more(given: str) -> None:
    model = ScriptedModel([["Well. ", raw("get_weather", given, "call_9")], OSLO])
    answer = await answered(model, asked(tools=BOTH))
    assert answer.made == [("get_weather", OSLO)]
    assert (answer.text, answer.calls[0].id, len(answer.usage)) == ("Well. ", "call_9", 2)
    second = model.requests[1]
    assert format_name(second) == "tool_arguments" and second.tools == () and second.sampling.temperature == 0.0


async def test_broken_arguments_never_come_out() -> None:
    model, answer = ScriptedModel([[call("get_time"), raw("get_weather", '{"city')], "still no JSON"]), Answer()
    with pytest.raises(ModelFault, match="arguments for the tool get_weather"):
        await read(model, asked(tools=BOTH), answer)
    assert answer.calls == []


async def test_strict_arguments_must_fit_the_schema() -> None:
    model = ScriptedModel([raw("get_weather", '{"city":"Oslo","days":30}'), '{"city":"Oslo","days":7}'])
    answer = await answered(model, asked(tools=(STRICT,)))
    assert answer.made == [("get_weather", '{"city":"Oslo","days":7}')]
    model = ScriptedModel(repeat=raw("get_weather", '{"city":"Oslo","days":30}'))
    with pytest.raises(ModelFault, match="days"):
        await answered(model, asked(tools=(STRICT,)))


async def test_a_turn_of_very_many_broken_calls_is_not_repaired_one_by_one() -> None:
    model = ScriptedModel([[raw("get_weather", f"broken {n}") for n in range(4)]])
    with pytest.raises(ModelFault):
        await answered(model, asked(tools=BOTH))
    assert len(model.requests) == 1


async def test_calls_of_tools_that_were_not_offered_are_left_out() -> None:
    model = ScriptedModel([[call("delete_everything"), call("functions.get_time")]])
    assert (await answered(model, asked(tools=BOTH))).made == [("get_time", "{}")]
    model = ScriptedModel([["Hello.", call("delete_everything")]])
    answer = await answered(model, asked(tools=BOTH))
    assert (answer.text, answer.finished.reason) == ("Hello.", "stop")


async def test_nothing_but_an_unknown_call_lets_the_model_choose_again() -> None:
    model = ScriptedModel([call("delete_everything"), '{"tool":"get_weather"}', OSLO])
    assert (await answered(model, asked(tools=BOTH))).made == [("get_weather", OSLO)]
    model = ScriptedModel([call("delete_everything"), '{"tool":"answer_in_words"}', "Hello there."])
    answer = await answered(model, asked(tools=BOTH))
    assert (answer.text, answer.finished.reason, len(answer.usage)) == ("Hello there.", "stop", 3)


async def test_errors_of_the_provider_pass_through() -> None:
    with pytest.raises(UpstreamUnreachable):
        await answered(ScriptedModel([UpstreamUnreachable("gone")]), asked(tools=BOTH, tool_choice="required"))


# ---- required and named ----------------------------------------------------------------------------


@pytest.mark.parametrize("choice", ["required", "get_weather"])
async def test_a_demanded_call_made_at_once_costs_one_request(choice: str) -> None:
    model = ScriptedModel([["Sure, ", call("get_weather", city="Oslo")]])
    answer = await answered(model, asked(tools=BOTH, tool_choice=choice))
    assert (answer.made, answer.text, answer.finished.reason) == ([("get_weather", OSLO)], "", "tool_calls")
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    "first",
    ["It is mild in Oslo.", call("get_time"), raw("get_weather", '{"town": 3}'), ModelFault("unreadable call")],
    ids=["words", "another tool", "arguments that do not fit", "fault of the model"],
)
async def test_a_named_call_that_did_not_come_is_built_from_its_arguments_schema(first: Any) -> None:
    model = ScriptedModel([first, OSLO])
    answer = await answered(model, asked(tools=BOTH, tool_choice="get_weather"), streamed=True)
    assert (answer.made, answer.text, answer.finished.reason) == ([("get_weather", OSLO)], "", "tool_calls")
    second = model.requests[1]
    assert format_name(second) == "tool_arguments"
    assert second.sampling.temperature == 0.0
    assert "get_weather" in second.messages[-1].content


async def test_a_required_call_that_did_not_come_is_chosen_and_then_built() -> None:
    model = ScriptedModel(["It is mild.", '{"tool":"get_weather"}', OSLO])
    answer = await answered(model, asked(tools=BOTH, tool_choice="required"))
    assert (answer.made, answer.text, len(answer.usage)) == ([("get_weather", OSLO)], "", 3)
    choice = model.requests[1].response_format
    assert choice is not None and choice.schema is not None
    assert choice.schema["properties"]["tool"]["enum"] == ["get_weather", "get_time"]


async def test_built_arguments_are_put_right_where_nothing_is_lost() -> None:
    model = ScriptedModel(["no", '```json\n{"city":"Oslo","days":"3","mood":1}\n```'])
    tool = replace(WEATHER, parameters={**WEATHER.parameters, "additionalProperties": False})
    answer = await answered(model, asked(tools=(tool,), tool_choice="required"))
    assert json.loads(answer.calls[0].arguments) == {"city": "Oslo", "days": 3}


@pytest.mark.parametrize("second", ["no", '{"town": 3}', ModelFault("nothing")], ids=["words", "misfit", "fault"])
async def test_a_demanded_call_that_cannot_be_had_is_an_error_naming_the_tool(second: Any) -> None:
    model, answer = ScriptedModel(["no", second]), Answer()
    with pytest.raises(ModelFault, match="get_weather") as caught:
        await read(model, asked(tools=(WEATHER,), tool_choice="required"), answer)
    assert answer.events == [], "nothing was sent, so it is an HTTP error in a stream, too"
    assert caught.value.headers["x-should-retry"] == "false"


async def test_a_provider_without_structured_output_makes_it_the_same_error() -> None:
    model = ScriptedModel(["no", UnsupportedParameter("no JSON here", param="response_format")])
    with pytest.raises(ModelFault, match="did not call get_weather"):
        await answered(model, asked(tools=(WEATHER,), tool_choice="required"))


async def test_a_demanded_call_cut_by_the_limit_ends_as_length() -> None:
    model = ScriptedModel(["no", [TextDelta('{"city": "Os'), Finished("length")]])
    request = asked(tools=(WEATHER,), tool_choice="required", sampling=Sampling(max_tokens=4))
    answer = await answered(model, request)
    assert (answer.calls, answer.text, answer.finished.reason) == ([], "", "length")
    assert "get_weather" in (answer.finished.detail or "")


async def test_a_model_that_talks_without_end_instead_of_calling_is_not_heard_out() -> None:
    model = ScriptedModel([[TextDelta("and so on ")] * 5000, OSLO])
    answer = await answered(model, asked(tools=(WEATHER,), tool_choice="required"))
    assert answer.made == [("get_weather", OSLO)]
    assert model.events_sent < 1000 and answer.usage[0].estimated


async def test_only_one_demanded_call_without_parallel_calls() -> None:
    model = ScriptedModel([[call("get_time"), call("get_weather", city="Oslo")]])
    request = asked(tools=BOTH, tool_choice="required", parallel_tool_calls=False)
    assert (await answered(model, request)).made == [("get_time", "{}")]


async def test_a_tool_whose_schema_is_no_schema_can_still_be_demanded() -> None:
    odd = ToolSpec("odd", "", {"type": "dict", "properties": {"x": {"$ref": "http://127.0.0.1:9/x"}}})
    model = ScriptedModel(["no", '{"x": 1}'])
    answer = await answered(model, asked(tools=(odd,), tool_choice="odd"))
    assert answer.made == [("odd", '{"x": 1}')]
    assert "http://127.0.0.1:9/x" in model.requests[1].messages[-1].content, "told, never fetched"


# ---- models that know no tools ---------------------------------------------------------------------


async def test_a_model_without_tools_chooses_by_structured_output() -> None:
    model = ScriptedModel([NO_TOOLS, '{"tool":"get_weather"}', OSLO])
    answer = await answered(model, asked(tools=BOTH))
    assert (answer.made, answer.finished.reason) == ([("get_weather", OSLO)], "tool_calls")
    assert "The weather of a city." in model.requests[1].messages[-1].content


async def test_a_model_without_tools_may_answer_in_words_which_stream() -> None:
    model = ScriptedModel([NO_TOOLS, '{"tool":"answer_in_words"}', "Good morning to you."])
    answer = await answered(model, asked(tools=BOTH), streamed=True)
    assert answer.deltas == ["Good ", "morning ", "to ", "you."]
    assert len(answer.usage) == 2
    assert model.requests[2].tools == () and model.requests[2].response_format is None


async def test_a_model_without_tools_is_asked_for_a_named_call_straight_and_repaired_once() -> None:
    model = ScriptedModel([NO_TOOLS, '{"city": 1.5, "days": 99}', OSLO])
    answer = await answered(model, asked(tools=BOTH, tool_choice="get_weather"))
    assert answer.made == [("get_weather", OSLO)]
    assert [format_name(each) for each in model.requests[1:]] == ["tool_arguments"] * 2


async def test_a_model_without_tools_sees_earlier_calls_as_words() -> None:
    history = (
        Message("user", "Weather?"),
        Message("assistant", "One moment.", tool_calls=(ToolCall("c", "get_weather", OSLO),)),
        Message("tool", "mild", tool_call_id="c"),
    )
    model = ScriptedModel([NO_TOOLS, '{"tool":"answer_in_words"}', "Mild."])
    await answered(model, asked(*history, tools=BOTH))
    assert as_text(history)[1:] == (
        Message("assistant", 'One moment.\nI called the tool get_weather with {"city":"Oslo"}.'),
        Message("user", "Result of the tool get_weather:\nmild"),
    )
    assert model.requests[2].messages == as_text(history)


# ---- tools and a response_format together ----------------------------------------------------------


async def test_with_a_format_the_tools_come_first_and_no_grammar_binds_the_calls() -> None:
    model = ScriptedModel([["Let me look.", call("get_weather", city="Oslo")]])
    answer = await answered(model, asked(tools=BOTH, response_format=schema_format(PERSON)), streamed=True)
    assert (answer.made, answer.text, answer.finished.reason) == ([("get_weather", OSLO)], "", "tool_calls")
    first = model.requests[0]
    assert first.response_format is None and first.tools == BOTH
    assert '"required":["name","age"]' in first.messages[-1].content


@pytest.mark.parametrize(
    ("said", "requests"),
    [
        ([' {"name": "Ada", "age": 36} '], 1),
        (['```json\n{"name": "Ada", "age": 36}\n```'], 1),
        (["She is 36.", '{"name": "Ada", "age": 36}'], 2),
    ],
    ids=["fits", "fence", "repaired by the format"],
)
async def test_with_a_format_an_answer_in_words_has_it(said: list[str], requests: int) -> None:
    model = ScriptedModel(list(said))
    answer = await answered(model, asked(tools=BOTH, response_format=schema_format(PERSON)), streamed=True)
    assert (answer.text, answer.finished.reason) == ('{"name": "Ada", "age": 36}', "stop")
    assert len(model.requests) == len(answer.usage) == requests
    if requests == 2:
        assert format_name(model.requests[1]) == "answer" and model.requests[1].tools == ()


async def test_with_a_format_that_cannot_be_had_it_is_an_error() -> None:
    with pytest.raises(ModelFault, match="response_format"):
        await answered(ScriptedModel(repeat="words"), asked(tools=BOTH, response_format=OBJECT))


async def test_with_a_format_a_model_without_tools_gets_both() -> None:
    model = ScriptedModel([NO_TOOLS, '{"tool":"answer_in_words"}', '{"a": 1}'])
    assert (await answered(model, asked(tools=BOTH, response_format=OBJECT))).text == '{"a": 1}'


async def test_usage_is_one_for_every_call() -> None:
    model = ScriptedModel([["no", Usage(3, 1)], [OSLO, Usage(5, 2)]])
    answer = await answered(model, asked(tools=(WEATHER,), tool_choice="required"))
    assert [(each.prompt_tokens, each.completion_tokens) for each in answer.usage] == [(3, 1), (5, 2)]
