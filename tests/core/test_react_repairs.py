"""How the ReAct loop gets over what weak models do: calls as text, silence, nonsense, repetition, excess."""

from __future__ import annotations

import json
import time

import pytest

from backend.core.react_agent import MAX_STEPS, create_agent
from backend.core.react_text import TextReader
from backend.core.stream_watch import StreamWatch, without_repetition
from backend.core.text_calls import CallHold
from backend.models.errors import ContextTooLong, ModelFault, UpstreamCut
from backend.models.messages import (
    Finished,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallMade,
    ToolFinished,
    ToolStarted,
    Usage,
)
from backend.models.run import Budget
from tests.core.agent_helpers import ran
from tests.fakes.model import Pause, call, script_of, scripted, thinking
from tests.fakes.tools import BigTool, EchoTool, FailingTool, SleepTool, SumTool, toolbox_of

NAMES = ["add", "rag_retrieval"]
CALL = '{"name": "add", "arguments": {"a": 1, "b": 2}}'


# ---- calls written as text ------------------------------------------------------------------------

AS_TEXT = [
    pytest.param(CALL, id="object"),
    pytest.param(f"```json\n{CALL}\n```", id="fenced"),
    pytest.param(f"```tool_call\n{CALL}", id="fence without an end"),
    pytest.param(f"<tool_call>\n{CALL}\n</tool_call>", id="tag"),
    pytest.param(f"<tool_call>{CALL}", id="tag without an end"),
    pytest.param(f"[{CALL}]", id="list"),
    pytest.param(f"[TOOL_CALLS] [{CALL}]", id="announced list"),
    pytest.param('{"name": "add", "parameters": {"a": 1, "b": 2}}', id="parameters"),
    pytest.param('{"tool": "add", "args": {"a": 1, "b": 2}}', id="tool and args"),
    pytest.param('{"action": "add", "action_input": {"a": 1, "b": 2}}', id="action"),
    pytest.param(f'{{"type": "function", "function": {CALL}}}', id="wrapped"),
    pytest.param('{"name": "add", "arguments": "{\\"a\\": 1, \\"b\\": 2}"}', id="arguments as text"),
    pytest.param('<function=add>{"a": 1, "b": 2}</function>', id="function tag"),
    pytest.param("<function=add><parameter=a>1</parameter><parameter=b>2</parameter></function>", id="parameter tags"),
    pytest.param("<|python_tag|>add(a=1, b=2)", id="python tag"),
    pytest.param("[add(a=1, b=2)]", id="python list"),
    pytest.param("```tool_code\nadd(a=1, b=2)\n```", id="tool code"),
]
NO_CALLS = [
    pytest.param("[1] According to the handbook", id="citation first"),
    pytest.param('{"name": "Bob", "arguments": {}}', id="an object about Bob"),
    pytest.param('{"id": 1, "name": "x"}', id="a record"),
    pytest.param("add(a=1, b=2)", id="a bare function"),
    pytest.param("[add the numbers](x)", id="a link"),
    pytest.param("```python\nprint(1)\n```", id="code"),
    pytest.param(f"Like this: {CALL}", id="talk in front"),
    pytest.param(f"{CALL} is how.", id="talk behind"),
    pytest.param("{}", id="empty object"),
    pytest.param("<b>bold</b>", id="markup"),
]


@pytest.mark.parametrize("text", AS_TEXT)
async def test_a_call_written_as_text_is_made(text):
    add = SumTool()
    result = await ran(create_agent, scripted([text], "It is 3."), [add])
    assert add.calls == [(1, 2)]
    assert result.answer == "It is 3."


async def test_several_calls_written_as_text_are_all_made():
    add = SumTool()
    text = CALL + "\n" + CALL.replace("2", "5")
    await ran(create_agent, scripted([text], "Done."), [add])
    assert add.calls == [(1, 2), (1, 5)]


@pytest.mark.parametrize("size", [1, 4, 1_000])
@pytest.mark.parametrize("text", NO_CALLS)
def test_what_only_looks_like_a_call_stays_text(text, size):
    hold = CallHold(NAMES)
    out = "".join(hold.feed(text[at : at + size]) for at in range(0, len(text), size))
    calls, rest = hold.finish()
    assert calls == []
    assert out + rest == text


@pytest.mark.parametrize("first", ["It", "add ", "[1", "1.", "<b", "```py"])
def test_an_ordinary_answer_is_let_go_with_its_first_piece(first):
    hold = CallHold(NAMES)
    released = hold.feed(first) or hold.feed("t is so\n")
    assert released
    assert not hold.open


async def test_a_call_as_text_in_the_last_step_is_not_shown_as_the_answer():
    model = scripted(call("echo", text="found"), [CALL])
    result = await ran(create_agent, model, [EchoTool(), SumTool()], budget=Budget(iterations=2))
    assert "arguments" not in result.answer
    assert "found" in result.answer
    assert result.finished.reason == "length"


# ---- only thinking, empty answers -------------------------------------------------------------------


async def test_a_turn_of_thinking_alone_is_asked_for_its_answer_with_the_tools_still_there():
    model = scripted([thinking("I should add…")], call("add", a=1, b=2), "It is 3.")
    result = await ran(create_agent, model, [SumTool()])
    second = script_of(model).requests[1]
    assert second.tools
    assert "empty" in second.messages[-1].content
    assert "empty" not in script_of(model).requests[2].messages[-1].content
    assert result.answer == "It is 3."


async def test_the_question_stays_the_last_message_when_the_model_is_nudged():
    model = scripted([], "Four.")
    await ran(create_agent, model, [], "What is two and two?")
    last = script_of(model).requests[1].messages[-1]
    assert last.role == "user"
    assert last.content.startswith("What is two and two?\n\n(Your last turn was empty.")


async def test_thinking_is_never_the_answer():
    result = await ran(create_agent, scripted([thinking("secret plan")], [thinking("secret plan")]), [EchoTool()])
    assert "secret" not in result.answer
    assert result.finished.reason == "length"


async def test_thinking_between_calls_goes_back_to_the_model():
    model = scripted([thinking("I must add."), call("add", a=1, b=2)], "It is 3.")
    await ran(create_agent, model, [SumTool()])
    assert script_of(model).requests[1].messages[-2].reasoning == "I must add."


# ---- arguments --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "made"),
    [
        pytest.param('{"a": "1", "b": "2"}', (1, 2), id="numbers as text"),
        pytest.param('"{\\"a\\": 1, \\"b\\": 2}"', (1, 2), id="object as text"),
        pytest.param('{"arguments": {"a": 1, "b": 2}}', (1, 2), id="wrapped"),
        pytest.param('{"a": 1, "b": 2, "unit": "m"}', (1, 2), id="an invented field"),
    ],
)
async def test_arguments_are_put_right_where_nothing_is_lost(arguments, made):
    add = SumTool()
    model = scripted(ToolCallMade(ToolCall("c", "add", arguments)), "Done.")
    await ran(create_agent, model, [add])
    assert add.calls == [made]


async def test_failing_turns_in_a_row_end_in_a_forced_answer():
    turns = [ToolCallMade(ToolCall(f"c{n}", "add", '{"a": ' * n)) for n in range(1, 4)]
    model = scripted(*turns, "I cannot add.")
    result = await ran(create_agent, model, [SumTool()], budget=Budget(iterations=9))
    last = script_of(model).requests[3]
    assert last.tools == ()
    assert "in a row have failed" in last.messages[-1].content
    assert result.tools_run == [("add", "failed")] * 3
    assert result.answer == "I cannot add."


async def test_a_good_call_forgives_the_failures_before_it():
    bad = [call("add", a="x", b=n) for n in range(4)]
    model = scripted(bad[0], bad[1], call("add", a=1, b=2), bad[2], bad[3], "Done.")
    result = await ran(create_agent, model, [SumTool()], budget=Budget(iterations=9))
    assert script_of(model).requests[5].tools
    assert result.finished.reason == "stop"


async def test_an_unknown_tool_is_answered_with_the_nearest_name():
    model = scripted(call("ad", a=1, b=2), "Sorry.")
    await ran(create_agent, model, [SumTool(), EchoTool()])
    said = script_of(model).requests[1].messages[-1].content
    assert "did you mean add?" in said
    assert "the tools are add, echo" in said


@pytest.mark.parametrize("native", [True, False], ids=["native", "json"])
async def test_a_megabyte_of_arguments_is_refused_and_kept_nowhere(native):
    echo, huge = EchoTool(), "".join(f"xxxxx{n} " for n in range(80_000))
    turn = call("echo", text=huge) if native else {"thought": "", "action": "echo", "action_input": {"text": huge}}
    answer = "Sorry." if native else {"thought": "", "action": "final_answer", "action_input": "Sorry."}
    model = scripted(turn, answer, tools=native)
    result = await ran(create_agent, model, [echo])
    assert echo.calls == []
    assert "too long" in script_of(model).requests[1].messages[-1].content
    assert len(repr(script_of(model).requests[1].messages)) < 20_000
    assert "xxxxx" not in repr([event for event in result.events if not isinstance(event, TextDelta)])
    assert "xxxxx" not in repr(result.agent.get_trace())
    assert result.answer == "Sorry."


async def test_a_name_of_a_megabyte_is_cut():
    model = scripted(ToolCallMade(ToolCall("c" * 10_000, "x" * 1_000_000, "{}")), "Sorry.")
    result = await ran(create_agent, model, [EchoTool()])
    assert len(repr(script_of(model).requests[1].messages)) < 20_000
    assert len(result.of(ToolStarted)[0].name) == 64
    assert result.tools_run[0][1] == "failed"


async def test_a_thousand_calls_in_one_turn_are_bounded():
    echo = EchoTool()
    model = scripted([call("echo", text=str(n)) for n in range(1_000)], "Done.")
    result = await ran(create_agent, model, [echo])
    assert len(echo.calls) == 20
    assert len(result.agent.get_trace()) == 32
    assert "20 tool calls" in (result.finished.detail or "")


async def test_inj_2_steps_and_tool_calls_are_capped_whatever_the_budget_and_the_model():
    echo = EchoTool()
    numbers = iter(range(10_000))

    def turn(request):
        return [call("echo", text=str(next(numbers))) for _ in range(3)]

    model = scripted(repeat=turn)
    await ran(create_agent, model, [echo], budget=Budget(iterations=50, tool_calls=200, tokens=10**9))
    assert len(script_of(model).requests) <= MAX_STEPS == 10
    assert len(echo.calls) <= 20


async def test_inj_2_unusable_turns_do_not_raise_the_cap():
    turns = iter([[], "x"] * 100)
    model = scripted(repeat=lambda request: next(turns), tools=False)
    await ran(create_agent, model, [EchoTool()], budget=Budget(iterations=50))
    assert len(script_of(model).requests) <= MAX_STEPS


# ---- repetition and excess -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "passage",
    [
        pytest.param("a", id="a letter"),
        pytest.param("go on, ", id="a word"),
        pytest.param("I will now look at the next part of the text.\n", id="a line"),
        pytest.param("First one thing. Then another.\n\n" * 12, id="a paragraph"),
    ],
)
async def test_endless_repetition_is_stopped_and_finished_honestly(passage):
    model = scripted([TextDelta("Here it is. "), *[TextDelta(passage)] * 20_000])
    result = await ran(create_agent, model, [EchoTool()])
    assert script_of(model).closed_early == 1
    assert result.answer.startswith("Here it is. " + passage)
    assert len(result.answer) < 6_000
    assert result.finished.reason == "length"
    assert "repeated itself" in (result.finished.detail or "")
    assert result.of(Usage)[0].estimated


async def test_endless_repetition_in_the_thinking_is_stopped_and_the_answer_asked_for():
    model = scripted([ReasoningDelta("Wait, let me check.\n")] * 5_000, "It is 3.")
    result = await ran(create_agent, model, [EchoTool()])
    assert script_of(model).closed_early == 1
    assert "repeated the same words" in script_of(model).requests[1].messages[-1].content
    assert result.answer == "It is 3."


@pytest.mark.parametrize("structured", [True, False], ids=["json", "text"])
async def test_endless_repetition_is_stopped_in_every_dialect(structured):
    opening = '{"thought": "x", "action": "final_answer", "action_input": "' if structured else "Final Answer: "
    model = scripted([TextDelta(opening), *[TextDelta("la ")] * 20_000], tools=False, structured=structured)
    result = await ran(create_agent, model, [EchoTool()])
    assert result.answer.startswith("la la")
    assert len(result.answer) < 3_000
    assert "repeated itself" in (result.finished.detail or "")


async def test_a_stream_that_its_own_server_broke_off_for_repeating_itself_ends_honestly():
    model = scripted(["It is: ", *[TextDelta("ha ")] * 40, UpstreamCut("cut")])
    result = await ran(create_agent, model, [])
    assert result.answer.startswith("It is: ha ha")
    assert result.finished.reason == "length"


async def test_a_stream_that_broke_off_for_another_reason_is_an_error():
    with pytest.raises(UpstreamCut):
        await ran(create_agent, scripted(["It is: three", UpstreamCut("cut")]), [])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("|---" * 60 + "|\n" + "| a | b |\n" * 60, id="a table"),
        pytest.param("".join(f"{n}. The same line with another number\n" for n in range(300)), id="a numbered list"),
        pytest.param("=" * 1_500 + "\n", id="a rule"),
        pytest.param("Row row row your boat\n" * 40, id="a refrain"),
    ],
)
def test_what_repeats_itself_for_a_reason_is_let_through(text):
    watch = StreamWatch()
    assert not any(watch.feed(text[at : at + 4]) for at in range(0, len(text), 4))


def test_a_repetition_is_cut_to_two_times():
    assert without_repetition("Hello there. " + "go on. " * 300).count("go on") == 2
    assert without_repetition("Nothing is said twice here, is it?") == "Nothing is said twice here, is it?"


async def test_text_without_end_is_stopped_by_the_token_budget():
    model = scripted([TextDelta(f"word{n} ") for n in range(50_000)])
    result = await ran(create_agent, model, [EchoTool()], budget=Budget(tokens=2_000))
    assert script_of(model).closed_early == 1
    assert len(result.answer) < 2_000 * 4 + 600
    assert result.finished == Finished("length", "The run's budget of 2000 tokens was used up.")


async def test_a_thought_of_a_megabyte_in_one_line_is_read_in_linear_time():
    reader = TextReader("", (), "c")
    piece, started = TextDelta("thinking about it, "), time.process_time()
    for event in [TextDelta("Thought: ")] + [piece] * 50_000:
        reader.feed(event)
    assert time.process_time() - started < 10


# ---- text without labels -----------------------------------------------------------------------------


def test_long_text_without_a_label_is_streamed_before_it_ends():
    reader = TextReader("", (), "c")
    events = [event for n in range(200) for event in reader.feed(TextDelta(f"word{n} "))]
    assert len([event for event in events if isinstance(event, TextDelta)]) > 50


def test_an_action_after_long_loose_text_is_still_made():
    reader = TextReader("", toolbox_of(SumTool()).specs(), "c")
    text = "I explain at length. " * 30 + '\nAction: add\nAction Input: {"a": 1, "b": 2}'
    events = [event for at in range(0, len(text), 3) for event in reader.feed(TextDelta(text[at : at + 3]))]
    events += reader.close()
    assert [each.name for each in reader.turn.calls] == ["add"]
    said = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert said.strip() == ("I explain at length. " * 30).strip()


def test_an_action_item_in_long_loose_text_stays_text():
    reader = TextReader("", (), "c")
    text = "I explain at length. " * 30 + "\nAction: call John tomorrow"
    events = [event for at in range(0, len(text), 3) for event in reader.feed(TextDelta(text[at : at + 3]))]
    events += reader.close()
    assert not reader.turn.calls
    assert "".join(e.text for e in events if isinstance(e, TextDelta)).endswith("Action: call John tomorrow")


async def test_a_forced_answer_without_a_label_streams():
    add = 'Action: echo\nAction Input: {"text": "x"}'
    answer = "It is quite simply the number three, as the tool has said."
    model = scripted(add, answer, tools=False, structured=False)
    result = await ran(create_agent, model, [EchoTool()], budget=Budget(iterations=2))
    assert result.answer == answer
    assert len(result.of(TextDelta)) > 5


# ---- tools that misbehave -----------------------------------------------------------------------------


async def test_a_hanging_tool_is_stopped_and_becomes_an_observation():
    sleep = SleepTool()
    sleep.timeout_s = 0.1
    model = scripted(call("sleep", seconds=60, name="a"), "It hangs.")
    result = await ran(create_agent, model, [sleep])
    assert sleep.cancelled == ["a"]
    assert "took too long" in script_of(model).requests[1].messages[-1].content
    assert result.answer == "It hangs."


async def test_a_raising_tool_beside_a_good_one_hurts_nobody(caplog):
    model = scripted([call("failing"), call("echo", text="good")], "Half of it.")
    result = await ran(create_agent, model, [FailingTool(), EchoTool()])
    assert sorted(result.tools_run) == [("echo", "completed"), ("failing", "failed")]
    assert result.answer == "Half of it."


async def test_a_huge_result_reaches_neither_the_model_nor_the_events():
    model = scripted(call("big"), "ok")
    result = await ran(create_agent, model, [BigTool()])
    finished = result.of(ToolFinished)[0]
    assert len(finished.output) < 13_000
    assert "characters cut" in finished.output


async def test_two_slow_tools_of_one_turn_take_the_time_of_one():
    model = scripted([call("sleep", seconds=0.4, name="a"), call("sleep", seconds=0.4, name="b")], "Done.")
    started = time.perf_counter()
    await ran(create_agent, model, [SleepTool()])
    assert time.perf_counter() - started < 0.75


# ---- the end of a budget ---------------------------------------------------------------------------


async def test_what_was_found_is_told_with_the_reason_when_the_model_could_not_write():
    turns = [call("echo", text="first"), call("echo", text="second"), Pause(float("inf"))]
    result = await ran(create_agent, scripted(*turns), [EchoTool()], deadline=time.monotonic() + 0.3)
    assert result.answer.startswith("The run's time was used up. I could not write a full answer.")
    assert "first" in result.answer
    assert "second" in result.answer


@pytest.mark.parametrize("structured", [True, False], ids=["json", "text"])
async def test_an_answer_cut_by_the_deadline_is_kept_in_every_dialect(structured):
    opening = '{"thought": "x", "action": "final_answer", "action_input": "' if structured else "Final Answer: "
    model = scripted(
        [TextDelta(opening), TextDelta("The first half"), Pause(float("inf"))], tools=False, structured=structured
    )
    result = await ran(create_agent, model, [EchoTool()], deadline=time.monotonic() + 0.3)
    assert result.answer == "The first half"
    assert result.finished == Finished("length", "The run's time was used up.")


async def test_a_model_fault_after_results_tells_what_was_found():
    model = scripted(*["Action: echo\nAction Input: found", ModelFault("broken")], tools=False, structured=False)
    result = await ran(create_agent, model, [EchoTool()])
    assert "found" in result.answer
    assert result.finished.reason == "length"


async def test_a_window_smaller_than_it_said_gets_shorter_results():
    model = scripted([call("big", n=n) for n in range(3)], ContextTooLong("no"), ContextTooLong("no"), "Fits.")
    result = await ran(create_agent, model, [BigTool()])
    sizes = [sum(len(m.content) for m in request.messages) for request in script_of(model).requests[1:]]
    assert sizes[0] > sizes[1] > sizes[2]
    assert result.answer == "Fits."


async def test_a_question_that_does_not_fit_at_all_is_an_error():
    with pytest.raises(ContextTooLong):
        await ran(create_agent, scripted(ContextTooLong("no")), [EchoTool()])


def test_calls_as_text_are_valid_json_for_the_toolbox():
    hold = CallHold(NAMES)
    hold.feed("[add(a=1, b='x')]")
    assert json.loads(hold.finish()[0][0][1]) == {"a": 1, "b": "x"}
