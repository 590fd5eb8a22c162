"""Reading a plan, refusing a bad one, filling in results, and planning without a model."""

from __future__ import annotations

import time

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.core.json_text import first_json, first_object
from backend.core.plan import (
    CLAUSES,
    MAX_STEPS,
    PlanProblem,
    Step,
    cut_up,
    filled,
    plan_schema,
    propose_plan,
    read_plan,
    renamed,
    short_value,
)
from backend.core.toolbox import ToolOutcome
from backend.models.tools import Proposal, Source, ToolResult, ToolSpec
from tests.fakes.tools import EchoTool, LookupTool, toolbox_of

TOOLS = ("add", "echo")


def text_of(*steps: dict, key: str = "steps") -> str:
    filled_in = [
        {"id": f"s{n}", "tool": "add", "input": {}, "depends_on": [], "purpose": "", **s}
        for n, s in enumerate(steps, 1)
    ]
    return orjson.dumps({key: filled_in}).decode()


def outcome(text: str = "", data: object = None, *sources: Source) -> ToolOutcome:
    return ToolOutcome("add", {}, ToolResult(text, data, sources), text, 0.0, 0.0)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(text_of({"input": {"a": 1}}), id="as asked"),
        pytest.param(f"```json\n{text_of({'input': {'a': 1}})}\n```", id="fenced"),
        pytest.param(f"Here is the plan:\n{text_of({'input': {'a': 1}})}\nGood luck!", id="talk around"),
        pytest.param('[{"id": "s1", "tool": "add", "input": {"a": 1}}]', id="bare list"),
        pytest.param(text_of({"input": '{"a": 1}'}), id="input as text"),
        pytest.param('{"steps": [{"tool": "add", "arguments": {"a": 1}}]}', id="no id, other name"),
        pytest.param('{"steps": [{"id": "s1", "tool": " add ", "input": {"a": 1}, "depends_on": null},]}', id="comma"),
    ],
)
def test_a_plan_is_read_through_the_usual_decoration(text):
    assert read_plan(text, TOOLS) == (Step("s1", "add", {"a": 1}, (), ""),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("I would rather not.", "must be one JSON object", id="no JSON"),
        pytest.param('{"steps": [{"id": "s1", "to', "must be one JSON object", id="cut off"),
        pytest.param('{"steps": "none"}', "must be one JSON object", id="steps are no list"),
        pytest.param(text_of({"tool": "rm"}), "no tool 'rm'", id="unknown tool"),
        pytest.param(text_of({}, {"id": "s1"}), "used twice", id="id used twice"),
        pytest.param(text_of({"depends_on": ["s9"]}), "does not exist", id="unknown dependency"),
        pytest.param(text_of({"input": {"a": "{{s7}}"}}), "does not exist", id="unknown placeholder"),
        pytest.param(text_of({"depends_on": ["s1"]}), "wait for each other", id="waits for itself"),
        pytest.param(text_of({"depends_on": ["s2"]}, {"depends_on": ["s1"]}), "wait for each other", id="cycle of two"),
        pytest.param(
            text_of({}, {"depends_on": ["s4"]}, {"depends_on": ["s2"]}, {"input": {"a": "{{s3}}"}}),
            "wait for each other",
            id="cycle through a placeholder",
        ),
        pytest.param(text_of({"input": [1]}), "must be an object", id="input is a list"),
        pytest.param(text_of(*[{}] * (MAX_STEPS + 1)), "at most 12", id="too many steps"),
    ],
)
def test_a_bad_plan_is_refused_with_its_reason(text, says):
    with pytest.raises(PlanProblem, match=says):
        read_plan(text, TOOLS)


@pytest.mark.parametrize(
    ("given", "ids", "needs"),
    [
        pytest.param([{"id": None}, {"id": ""}], ["s1", "s2"], [(), ()], id="missing"),
        pytest.param([{"id": "s2"}, {}], ["s2", "s3"], [(), ()], id="missing beside one that is taken"),
        pytest.param([{"id": 1}, {"id": 2, "depends_on": [1]}], ["1", "2"], [(), ("1",)], id="numbers"),
        pytest.param([{}, {"depends_on": 1}], ["s1", "s2"], [(), ("s1",)], id="the number of a step"),
        pytest.param(
            [{"id": "find it!"}, {"depends_on": ["find it!"]}], ["s1", "s2"], [(), ("s1",)], id="cannot be referred to"
        ),
        pytest.param([{"id": "x" * 1_000}, {}], ["s1", "s2"], [(), ()], id="endless"),
    ],
)
def test_ids_are_repaired(given, ids, needs):
    items = [{"tool": "add", "input": {}} | each for each in given]
    steps = read_plan(orjson.dumps({"steps": items}).decode(), TOOLS)
    assert [step.id for step in steps] == ids
    assert [step.depends_on for step in steps] == needs


@pytest.mark.parametrize("name", ["Add", "functions.add", " ADD "])
def test_a_tools_name_is_read_through_its_decoration(name):
    assert read_plan(text_of({"tool": name}), TOOLS)[0].tool == "add"


def test_a_plan_of_a_megabyte_is_read_or_refused_quickly():
    started = time.process_time()
    for text in ("[{" * 500_000, '{"steps": [' + "{}, " * 250_000, "{" * 1_000_000, '{"a": ' * 160_000):
        with pytest.raises(PlanProblem):
            read_plan(text, TOOLS)
    assert time.process_time() - started < 5


def test_results_fill_an_input_only_so_far():
    step = Step("s2", "echo", {"a": "{{s1}} " * 5_000})
    value = filled(step, {"s1": outcome("y" * 4_000)})["a"]
    assert len(value) < 100_000
    assert value.endswith("{{s1}} ")


def test_drafts_for_different_results_are_different_calls():
    first, second = (Step(f"s{n}", "add", {"a": 0}, (needs,)) for n, needs in ((2, "s1"), (4, "s3")))
    assert first.key != second.key
    assert first.key == Step("s9", "add", {"a": 0}, ("s1",)).key


def test_a_placeholder_is_a_dependency():
    steps = read_plan(text_of({}, {"input": {"a": ["x {{ s1.rows }} y"]}}), TOOLS)
    assert steps[1].depends_on == ("s1",)


def test_steps_of_earlier_rounds_may_be_depended_upon():
    assert read_plan(text_of({"id": "s5", "depends_on": ["s1"]}), TOOLS, ["s1"])[0].depends_on == ("s1",)


def test_ids_of_earlier_rounds_are_not_reused():
    new = read_plan(text_of({}, {"input": {"a": "{{s1}} of {{s9}}"}, "depends_on": ["s9"]}), TOOLS, ["s1", "s2", "s9"])
    first, second = renamed(new, ["s1", "s2", "s9"])
    assert not {first.id, second.id} & {"s1", "s2", "s9"}
    assert second.input == {"a": f"{{{{{first.id}}}}} of {{{{s9}}}}"}
    assert set(second.depends_on) == {first.id, "s9"}


@pytest.mark.parametrize(
    ("result", "value"),
    [
        pytest.param(outcome("The sum is 3.", {"numeric": "3", "exact": "3/1"}), "3", id="numeric first"),
        pytest.param(outcome("x", {"exact": "sqrt(2)"}), "sqrt(2)", id="then exact"),
        pytest.param(outcome("x", {"numeric": None, "exact": 2.5}), "2.5", id="a number"),
        pytest.param(outcome("Rain.", {"rows": [1]}), "Rain.", id="else the text"),
        pytest.param(
            outcome("1 hit", None, Source("document", "t", "The passage.")), "1 hit\nThe passage.", id="quote"
        ),
    ],
)
def test_the_short_value_of_a_result(result, value):
    assert short_value(result) == value


def test_placeholders_are_filled_in_wherever_they_stand():
    step = Step("s2", "echo", {"a": "{{s1}}", "b": ["{{ s1 }} and {{s1.rows}}"], "c": 5, "d": "{{s8}}"})
    results = {"s1": outcome("t", {"numeric": "3", "rows": [1, 2]})}
    assert filled(step, results) == {"a": "3", "b": ["3 and [1,2]"], "c": 5, "d": "{{s8}}"}


def test_a_filled_in_text_is_not_filled_in_again():
    step = Step("s3", "echo", {"a": "{{s1}}"})
    assert filled(step, {"s1": outcome("{{s2}}"), "s2": outcome("secret")}) == {"a": "{{s2}}"}


def test_the_schema_names_the_tools_and_requires_every_field():
    step = plan_schema(["add"])["properties"]["steps"]["items"]
    assert step["properties"]["tool"]["enum"] == ["add"]
    assert set(step["required"]) == {"id", "tool", "input", "depends_on", "purpose"}


# ---- without a model ----------------------------------------------------------------------------


def test_the_tools_proposals_for_the_parts_become_steps():
    specs = toolbox_of(EchoTool(), LookupTool()).specs()
    steps = propose_plan("echo one and echo two. How much vacation do I get?", specs)
    assert [(step.tool, dict(step.input)) for step in steps] == [
        ("echo", {"text": "one"}),
        ("echo", {"text": "two"}),
        ("lookup", {"query": "How much vacation do I get?"}),
    ]
    assert [step.id for step in steps] == ["s1", "s2", "s3"]
    assert not any(step.depends_on for step in steps)


def test_the_whole_query_is_kept_when_its_parts_find_no_more():
    steps = propose_plan("How much vacation and how much sugar?", toolbox_of(LookupTool()).specs())
    assert [dict(step.input) for step in steps] == [{"query": "How much vacation and how much sugar?"}]


def test_without_a_proposal_there_is_no_step():
    assert propose_plan("Hello!", toolbox_of(EchoTool(), LookupTool()).specs()) == ()


def test_unsure_proposals_are_left_out():
    spec = ToolSpec("x", "", {}, lambda query: [Proposal({"q": query}, 0.3)])
    assert propose_plan("anything at all", [spec, ToolSpec("no_opinion", "", {})]) == ()


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("What is 2+2?", ()),
        ("Add 2 and 3, then tell me the weather.", ("Add 2", "tell me the weather.")),
        ("What is 2+2? What is 3+3?", ("What is 2+2?", "What is 3+3?")),
        ("Rechne 2+2 und zeige das Wetter", ("Rechne 2+2", "zeige das Wetter")),
    ],
)
def test_the_parts_of_a_query(query, parts):
    assert cut_up(query, CLAUSES) == parts


# ---- JSON in text -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('x {"a": {"b": [1, 2]}} y {"c": 3}', {"a": {"b": [1, 2]}}),
        ('[{"a": 1}] tail', [{"a": 1}]),
        ("[]", []),
        ('As in [1]: {"a": 1}', {"a": 1}),
        ('Put {x} there: {"a": 1}', {"a": 1}),
        ('{"a": {"b": 1}', None),
        ("{'a': True, 'b': None}", {"a": True, "b": None}),
        ('{"a": [1, 2,],}', {"a": [1, 2]}),
        ('{"a": 1', None),
        ("nothing here", None),
        ("", None),
        ("{" * 3_000, None),
        ("[" * 100_000, None),
        ("{'a': __import__('os').system('true')}", None),
    ],
)
def test_the_first_json_of_a_text(text, value):
    assert first_json(text) == value


def test_a_list_is_no_object():
    assert first_object('[{"a": 1}]') is None


WORDS = st.text(st.characters(codec="utf-8"))


@settings(deadline=None, max_examples=50)
@given(st.dictionaries(WORDS, st.integers(-1000, 1000) | WORDS | st.lists(st.booleans())))
def test_any_object_survives_a_fence(value):
    assert first_json(f"Sure:\n```json\n{orjson.dumps(value).decode()}\n```\nDone.") == value


@settings(deadline=None, max_examples=50)
@given(st.text())
def test_any_text_is_read_without_an_exception(text):
    first_json(text)
