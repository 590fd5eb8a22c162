"""The text protocol: reading it as it streams, repairing what can be repaired, and the loop over it."""

from __future__ import annotations

import pytest

from backend.core.react_agent import create_agent
from backend.core.react_text import TextReader, as_plain, read_action
from backend.llm.port import Sampling
from backend.models.messages import Message, ReasoningDelta, TextDelta, ToolCall, Usage
from backend.models.run import Budget
from tests.core.agent_helpers import ran
from tests.fakes.model import script_of, scripted
from tests.fakes.tools import EchoTool, LookupTool, SumTool, toolbox_of

SPECS = toolbox_of(SumTool(), EchoTool()).specs()
ADD = 'Thought: I must add.\nAction: add\nAction Input: {"a": 1, "b": 2}\n'


def read(text: str, size: int = 3) -> tuple[TextReader, list[object]]:
    """Feed a text in small pieces."""
    reader = TextReader("", SPECS, "call_1")
    events: list[object] = []
    for at in range(0, len(text), size):
        events += reader.feed(TextDelta(text[at : at + size]))
        if reader.done:
            break
    events += reader.close()
    return reader, events


@pytest.mark.parametrize("size", [1, 2, 7, 1_000])
def test_an_action_is_read_however_the_text_is_cut(size):
    reader, events = read(ADD, size)
    assert reader.turn.calls == [ToolCall("call_1", "add", '{"a":1,"b":2}')]
    assert reader.turn.thought == "I must add."
    assert not [event for event in events if isinstance(event, TextDelta)]


@pytest.mark.parametrize("size", [1, 2, 7, 1_000])
def test_a_final_answer_is_read_however_the_text_is_cut(size):
    reader, events = read("Thought: I know.\nFinal Answer: It is 3.\n\nAction: none needed.", size)
    assert reader.turn.answer == "It is 3.\n\nAction: none needed."
    assert "".join(e.text for e in events if isinstance(e, TextDelta)) == reader.turn.answer
    assert "".join(e.text for e in events if isinstance(e, ReasoningDelta)).strip() == "I know."


def test_the_final_answer_streams_from_its_first_word():
    reader = TextReader("", SPECS, "c")
    assert list(reader.feed(TextDelta("Final Answer:"))) == []
    assert list(reader.feed(TextDelta(" It"))) == [TextDelta("It")]
    assert list(reader.feed(TextDelta(" is"))) == [TextDelta(" is")]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("**Thought:** x\n**Action:** add\n**Action Input:** {'a': 1, 'b': 2}", id="bold labels"),
        pytest.param('action: add\naction input: {"a": 1, "b": 2}', id="lower case"),
        pytest.param('Action: `add`\nAction Input:\n```json\n{"a": 1,\n "b": 2}\n```', id="fenced, several lines"),
        pytest.param('Action: add {"a": 1, "b": 2}', id="input on the action's line"),
        pytest.param('Action: add({"a": 1, "b": 2})', id="like a function call"),
        pytest.param('Action: {"name": "add", "arguments": {"a": 1, "b": 2}}', id="one object"),
        pytest.param('Action: {"action": "add", "action_input": {"a": 1, "b": 2}}', id="one object, other names"),
        pytest.param('Action: add\nAction Input: {"a": 1, "b": 2,}', id="trailing comma"),
        pytest.param('Action: add\nAction Input: here it is {"a": 1, "b": 2} ok', id="talk around"),
        pytest.param('I must add.\nAction: add\nAction Input: {"a": 1, "b": 2}', id="thought without label"),
        pytest.param(ADD + "Observation: 5\nFinal Answer: 5", id="imagined observation"),
        pytest.param(ADD + "Thought: it is 5\nAction: echo\nAction Input: {}", id="imagined next step"),
        pytest.param(ADD + "Final Answer: 5", id="imagined answer"),
    ],
)
def test_a_sloppy_action_is_understood(text):
    reader, events = read(text)
    assert [(each.name, each.arguments) for each in reader.turn.calls] == [("add", '{"a":1,"b":2}')]
    assert not [event for event in events if isinstance(event, TextDelta)]


def test_plain_text_is_the_input_of_a_tool_that_takes_one_text():
    reader, _ = read("Action: echo\nAction Input: hello there")
    assert reader.turn.calls == [ToolCall("call_1", "echo", '{"text":"hello there"}')]


@pytest.mark.parametrize(
    ("action", "given"),
    [
        pytest.param("add", "one and two", id="text for two numbers"),
        pytest.param("add", '{"a": 1, "b"', id="cut-off object"),
        pytest.param("echo", '{"text": ', id="cut-off object for a text"),
        pytest.param("add", "", id="no input"),
        pytest.param("None", "{}", id="no tool"),
        pytest.param("", "{}", id="no name"),
        pytest.param("add", "[1, 2]", id="a list"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_sentence(action, given):
    problem = read_action(action, given, SPECS, "c")
    assert isinstance(problem, str)
    assert problem.endswith(".")


def test_an_answer_in_the_line_of_the_thought_is_found():
    reader, _ = read("Thought: I know it. Final Answer: 42")
    assert reader.turn.answer == "42"
    assert reader.turn.thought == "I know it."


def test_text_without_any_label_is_the_answer():
    reader, events = read("It is simply 3.")
    assert reader.turn.answer == "It is simply 3."
    assert events[-1] == TextDelta("It is simply 3.")


def test_deeply_nested_input_is_refused_not_fatal():
    problem = read_action("add", "{" * 5_000, SPECS, "c")
    assert isinstance(problem, str)


async def test_the_loop_runs_over_text_alone():
    model = scripted(
        ADD, "Thought: I know.\nFinal Answer: It is 3.", tools=False, structured=False, sampling=Sampling(stop=("END",))
    )
    result = await ran(create_agent, model, [SumTool()])
    assert result.answer == "It is 3."
    assert result.tools_run == [("add", "completed")]
    first, second = script_of(model).requests
    assert first.tools == ()
    assert first.sampling.stop == ("Observation:", "END")
    assert '"required":["a","b"]' in first.messages[0].content
    assert [m.role for m in second.messages] == ["system", "user", "assistant", "user"]
    assert second.messages[-1].content == "Observation: The sum is 3."
    assert result.agent.get_trace()[0].thought == "I must add."
    assert result.finished.reason == "stop"


async def test_a_malformed_action_is_corrected_once():
    model = scripted("Action: add\nAction Input: one and two", ADD, "Final Answer: 3", tools=False, structured=False)
    result = await ran(create_agent, model, [SumTool()])
    correction = script_of(model).requests[1].messages[-1]
    assert correction.role == "user"
    assert "not one JSON object" in correction.content
    assert result.answer == "3"


async def test_what_stays_malformed_is_the_answer():
    model = scripted("Thought: It must be three.", "Thought: It is three.", tools=False, structured=False)
    result = await ran(create_agent, model, [SumTool()])
    assert result.answer == "It is three."
    assert result.finished.reason == "stop"


async def test_an_imagined_observation_ends_the_stream_and_is_still_accounted_for():
    model = scripted(ADD + "Observation: 5\n" + "blah " * 50, "Final Answer: 3", tools=False, structured=False)
    result = await ran(create_agent, model, [SumTool()])
    assert script_of(model).closed_early == 1
    assert [usage.estimated for usage in result.of(Usage)] == [True, False]
    assert "blah" not in script_of(model).requests[1].messages[-2].content
    assert result.answer == "3"


async def test_an_unknown_tool_is_told_what_there_is():
    model = scripted('Action: nope\nAction Input: {"x": 1}', "Final Answer: no", tools=False, structured=False)
    await ran(create_agent, model, [SumTool()])
    assert "the tools are add" in script_of(model).requests[1].messages[-1].content


async def test_repeated_actions_end_in_a_forced_answer():
    model = scripted(ADD, ADD, ADD, "Final Answer: 3", tools=False, structured=False)
    result = await ran(create_agent, model, [SumTool()], budget=Budget(iterations=9))
    messages = script_of(model).requests[3].messages
    assert "write the answer now" in messages[-1].content
    assert [step.error for step in result.agent.get_trace()] == [None, "refused", "refused"]
    assert result.answer == "3"


async def test_the_last_step_is_announced_and_a_call_in_it_is_not_made():
    add = SumTool()
    other = ADD.replace('"b": 2', '"b": 5')
    model = scripted(ADD, other, tools=False, structured=False)
    result = await ran(create_agent, model, [add], budget=Budget(iterations=2))
    assert "last step" in script_of(model).requests[1].messages[-1].content
    assert add.calls == [(1, 2)]
    assert "The sum is 3." in result.answer
    assert result.finished.reason == "length"


async def test_inj_1_observations_are_fenced_in_user_messages():
    model = scripted(
        'Action: lookup\nAction Input: {"query": "x"}', "Final Answer: 30 days [1].", tools=False, structured=False
    )
    result = await ran(create_agent, model, [LookupTool()])
    observation = script_of(model).requests[1].messages[-1]
    assert observation.role == "user"
    assert "<<<DATA" in observation.content
    assert "30 days" not in script_of(model).requests[1].messages[0].content
    assert result.answer == "30 days [1]."


def test_earlier_tool_turns_become_plain_text():
    turns = [Message("assistant", "", tool_calls=(ToolCall("c", "add", "{}"),)), Message("tool", "3", tool_call_id="c")]
    assert as_plain(turns) == [
        Message("assistant", "Action: add\nAction Input: {}"),
        Message("user", "Observation: 3"),
    ]
