"""response_format: valid JSON or a clear error, whatever the model writes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backend.llm.port import ModelInfo, ResponseFormat, Sampling
from backend.models.errors import InvalidRequest, ModelFault, UnsupportedParameter
from backend.models.messages import Finished, Message, ReasoningDelta, TextDelta, Usage
from tests.core.enforcement_helpers import OBJECT, PERSON, Answer, answered, asked, read, schema_format
from tests.fakes.model import ScriptedModel

GOOD = '{"name": "Ada", "age": 36}'
PERSON_FORMAT = schema_format(PERSON)
PATTERNED = schema_format(
    {"type": "object", "properties": {"code": {"type": "string", "pattern": "^[A-Z]{3}$"}}, "required": ["code"]}
)


def pieces(text: str, size: int = 4) -> list[TextDelta]:
    return [TextDelta(text[i : i + size]) for i in range(0, len(text), size)]


def cut_at_limit(text: str) -> list[Any]:
    return [*pieces(text), Finished("length", "The token limit was reached.")]


# ---- what fits, and what is made to fit ------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "said",
    [
        GOOD,
        f"\n\n  {GOOD}\n",
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}\n```\nI hope that helps.",
        f"\ufeff{GOOD}",
        f"{GOOD}\n\nAs you can see, she is 36.",
        f'{GOOD}{{"name": "Bob", "age": 1}}',
    ],
    ids=["bare", "blanks around", "fence", "fence and prose", "byte order mark", "prose behind", "a second value"],
)
async def test_the_text_is_the_json_and_nothing_else(said: str, streamed: bool) -> None:
    model = ScriptedModel([pieces(said)])
    answer = await answered(model, asked(response_format=PERSON_FORMAT), streamed=streamed)
    assert answer.text == GOOD
    assert answer.finished.reason == "stop"
    assert len(model.requests) == len(answer.usage) == 1


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    "said",
    [f"Here you are:\n```json\n{GOOD}\n```\nEnjoy!", f"Sure! {GOOD}", f"The set {{1, 2}} is no answer, but {GOOD} is."],
    ids=["fence in prose", "after prose", "after braces in prose"],
)
async def test_json_among_words_is_found_without_a_second_call(said: str, streamed: bool) -> None:
    model = ScriptedModel([pieces(said)])
    assert (await answered(model, asked(response_format=PERSON_FORMAT), streamed=streamed)).text == GOOD
    assert len(model.requests) == 1


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("She is called Ada and is 36 years old.", "it is not one JSON object"),
        ("", ""),
        ('["Ada", 36]', "it is not one JSON object"),
        ("{'name': 'Ada', 'age': 36}", "it is not one JSON object"),
    ],
    ids=["prose", "nothing", "a list", "single quotes"],
)
async def test_a_wrong_beginning_is_repaired_once(said: str, told: str, streamed: bool) -> None:
    model = ScriptedModel([pieces(said), pieces(GOOD)])
    answer = await answered(model, asked(response_format=PERSON_FORMAT), streamed=streamed)
    assert answer.text == GOOD
    second = model.requests[1]
    assert second.sampling.temperature == 0.0
    assert second.response_format is not None and second.response_format.type == "json_schema"
    if said:
        assert second.messages[-2] == Message("assistant", said)
        assert told in second.messages[-1].content


async def test_a_schema_mismatch_is_repaired_with_the_reason() -> None:
    model = ScriptedModel(['{"name": "Ada", "age": "old"}', GOOD])
    answer = await answered(model, asked(response_format=PERSON_FORMAT))
    assert answer.text == GOOD
    assert "age: 'old' is not of type 'integer'" in model.requests[1].messages[-1].content


async def test_a_repairs_tokens_are_counted() -> None:
    model = ScriptedModel([["prose", Usage(10, 5)], [GOOD, Usage(30, 7, step="repair")]])
    answer = await answered(model, asked(response_format=PERSON_FORMAT))
    assert [(u.prompt_tokens, u.completion_tokens) for u in answer.usage] == [(10, 5), (30, 7)]
    assert model.requests[1].step == "repair"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_what_cannot_be_repaired_is_an_error_before_any_text(streamed: bool) -> None:
    model, answer = ScriptedModel(["I would rather not.", "No, really."]), Answer()
    with pytest.raises(ModelFault, match="does not fit response_format") as caught:
        await read(model, asked(response_format=PERSON_FORMAT), answer, streamed=streamed)
    assert answer.text == ""
    assert len(model.requests) == 2, "one repair, no more"
    assert caught.value.headers["x-should-retry"] == "false", "clients repeat a 502 blindly"


async def test_a_fault_of_the_model_itself_is_asked_again() -> None:
    model = ScriptedModel([ModelFault("The model gave only white space."), GOOD])
    assert (await answered(model, asked(response_format=PERSON_FORMAT))).text == GOOD


async def test_other_errors_of_the_provider_pass_through() -> None:
    model = ScriptedModel([UnsupportedParameter("no JSON here", param="response_format")])
    with pytest.raises(UnsupportedParameter):
        await answered(model, asked(response_format=PERSON_FORMAT))


async def test_a_grammar_the_server_refuses_is_said_in_words_instead() -> None:
    model = ScriptedModel([InvalidRequest("Ollama cannot work with this", param="response_format"), GOOD])
    answer = await answered(model, asked(response_format=PERSON_FORMAT), streamed=True)
    assert answer.text == GOOD
    second = model.requests[1]
    assert second.response_format is not None and second.response_format.type == "json_object"
    assert '"required":["name","age"]' in second.messages[-1].content
    assert len(answer.deltas) == 1, "nothing guarantees the schema any more, so it is checked first"


async def test_thinking_is_passed_on_at_once() -> None:
    model = ScriptedModel([[ReasoningDelta("Hm."), GOOD]])
    answer = await answered(model, asked(response_format=PERSON_FORMAT))
    assert isinstance(answer.events[0], ReasoningDelta)


@pytest.mark.parametrize("said", ["[1]", "12", '"text"', "true"])
async def test_json_object_means_an_object(said: str) -> None:
    model = ScriptedModel([said, '{"a": 1}'])
    assert (await answered(model, asked(response_format=OBJECT))).text == '{"a": 1}'
    assert len(model.requests) == 2


async def test_a_schema_of_any_type_takes_a_number() -> None:
    model = ScriptedModel([" 42 "])
    assert (await answered(model, asked(response_format=schema_format({"type": "number"})))).text == "42"


async def test_text_as_format_is_no_demand() -> None:
    model = ScriptedModel(["Good morning."])
    assert (await answered(model, asked(response_format=ResponseFormat("text")))).text == "Good morning."


# ---- limits of tokens ------------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_json_cut_by_the_callers_limit_is_passed_on_as_length(streamed: bool) -> None:
    model = ScriptedModel([cut_at_limit('{"name": "Ad')])
    request = asked(response_format=PERSON_FORMAT, sampling=Sampling(max_tokens=5))
    answer = await answered(model, request, streamed=streamed)
    assert answer.text == '{"name": "Ad'
    assert answer.finished.reason == "length"
    assert len(model.requests) == 1


async def test_a_whole_value_is_a_stop_though_the_limit_was_met_behind_it() -> None:
    model = ScriptedModel([cut_at_limit(GOOD + " and so")])
    answer = await answered(model, asked(response_format=PERSON_FORMAT, sampling=Sampling(max_tokens=5)))
    assert (answer.text, answer.finished.reason) == (GOOD, "stop")


async def test_an_answer_that_ran_on_to_the_models_own_limit_is_asked_again_once() -> None:
    model = ScriptedModel([cut_at_limit('{"name": "Ad'), GOOD])
    assert (await answered(model, asked(response_format=PERSON_FORMAT))).text == GOOD
    model = ScriptedModel(repeat=cut_at_limit('{"name": "Ad'))
    answer = await answered(model, asked(response_format=PERSON_FORMAT))
    assert (answer.text, answer.finished.reason, len(model.requests)) == ('{"name": "Ad', "length", 2)


@pytest.mark.parametrize("head", ["", '{"name": "Ada",'], ids=["from the start", "after a beginning"])
async def test_white_space_without_end_is_stopped_and_asked_again(head: str) -> None:
    model = ScriptedModel([[head or " ", *[TextDelta("\n  ")] * 5000], GOOD])
    answer = await answered(model, asked(response_format=PERSON_FORMAT))
    assert answer.text == GOOD
    assert model.events_sent < 500, "the stream was closed early"
    assert answer.usage[0].estimated, "the counters never came"


async def test_white_space_up_to_the_callers_limit_is_asked_again() -> None:
    model = ScriptedModel([cut_at_limit('{"name":' + " " * 120), GOOD])
    request = asked(response_format=PERSON_FORMAT, sampling=Sampling(max_tokens=50))
    assert (await answered(model, request)).text == GOOD


async def test_white_space_twice_is_an_error() -> None:
    model = ScriptedModel(repeat=[" " * 100] * 50)
    with pytest.raises(ModelFault, match="came to no end"):
        await answered(model, asked(response_format=OBJECT))


async def test_what_follows_the_json_is_not_waited_for() -> None:
    model = ScriptedModel([[GOOD, *[TextDelta("and so on ")] * 5000]])
    answer = await answered(model, asked(response_format=PERSON_FORMAT))
    assert (answer.text, answer.finished.reason) == (GOOD, "stop")
    assert model.events_sent < 100 and model.closed_early == 1


# ---- live streams ----------------------------------------------------------------------------------


async def test_what_the_grammar_guarantees_goes_out_while_it_is_written() -> None:
    model = ScriptedModel([pieces(GOOD)])
    answer = await answered(model, asked(response_format=PERSON_FORMAT), streamed=True)
    assert len(answer.deltas) > 5
    model = ScriptedModel([pieces(GOOD)])
    answer = await answered(model, asked(response_format=PERSON_FORMAT), streamed=False)
    assert len(answer.deltas) == 1, "unstreamed, nothing is gained by it and a repair would be lost"


@pytest.mark.parametrize(
    ("form", "capabilities"),
    [(PATTERNED, {"completion", "structured"}), (OBJECT, {"completion"})],
    ids=["keyword no grammar keeps", "model without structured output"],
)
async def test_what_is_not_guaranteed_is_held_back_until_it_is_checked(
    form: ResponseFormat, capabilities: set[str]
) -> None:
    info = ModelInfo("scripted:1b", "scripted", frozenset(capabilities), 32_768)
    model = ScriptedModel([pieces('{"code": "abc"'), pieces('{"code": "ABC"}')], info)
    answer = await answered(model, asked(response_format=form), streamed=True)
    assert answer.deltas == ['{"code": "ABC"}']


async def test_a_fence_does_not_stop_a_live_stream() -> None:
    model = ScriptedModel([pieces(f"```json\n{GOOD}\n```", 3)])
    answer = await answered(model, asked(response_format=PERSON_FORMAT), streamed=True)
    assert answer.text == GOOD
    assert len(answer.deltas) > 5


async def test_the_end_of_a_live_answer_waits_for_the_verdict() -> None:
    model, answer = ScriptedModel([pieces('{"name": "Ada"}')]), Answer()
    with pytest.raises(ModelFault, match="'age' is a required property"):
        await read(model, asked(response_format=PERSON_FORMAT), answer, streamed=True)
    assert answer.text and not answer.text.endswith("}")


async def test_json_that_breaks_after_its_beginning_was_sent_is_an_error() -> None:
    model, answer = ScriptedModel([pieces('{"name": "Ada", oops')]), Answer()
    with pytest.raises(ModelFault, match="without streaming"):
        await read(model, asked(response_format=PERSON_FORMAT), answer, streamed=True)
    assert answer.text.startswith('{"name": "Ada"')


async def test_another_object_behind_a_broken_one_is_never_taken_for_it() -> None:
    model, answer = ScriptedModel([pieces('{"name": oops ' + GOOD)]), Answer()
    with pytest.raises(ModelFault):
        await read(model, asked(response_format=PERSON_FORMAT), answer, streamed=True)


async def test_live_white_space_without_end_ends_as_length() -> None:
    model = ScriptedModel([[*pieces('{"name": "Ada",'), *[TextDelta("  ")] * 5000]])
    answer = await answered(model, asked(response_format=PERSON_FORMAT), streamed=True)
    assert (answer.text, answer.finished.reason) == ('{"name": "Ada",', "length")


async def test_a_closed_stream_closes_the_models_stream() -> None:
    from backend.core.enforcement import enforced

    model = ScriptedModel([pieces(GOOD * 1)])
    events = enforced(model, asked(response_format=PERSON_FORMAT), streamed=True)
    await anext(events)
    await events.aclose()
    assert model.closed_early == 1


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_large_answers_stay_linear(streamed: bool) -> None:
    rows = json.dumps({"rows": [{"name": f"n{i}", "age": i} for i in range(2000)]})
    schema = {"type": "object", "properties": {"rows": {"type": "array", "items": PERSON}}, "required": ["rows"]}
    model = ScriptedModel([pieces(rows, 200)])
    assert (await answered(model, asked(response_format=schema_format(schema)), streamed=streamed)).text == rows
