"""What a tool or a model may do to the toolbox without harm: wrong arguments, huge results, odd ways to fail."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest
from pydantic import BaseModel, ConfigDict

from backend.core.bounds import MAX_DATA_CHARS, bounded, bounded_data, cut
from backend.core.collect import Meter, shortened
from backend.core.toolbox import validate
from backend.models.errors import InvalidRequest
from backend.models.messages import Message, ToolCall
from backend.models.run import Budget, RunContext
from backend.models.tools import Source, ToolResult
from backend.tools.port import BaseTool
from tests.fakes.tools import EchoTool, SumTool, run_context, toolbox_of


class ManyArgs(BaseModel):
    count: int = 1
    share: float = 0.5
    yes: bool = False
    names: list[str] = []
    options: dict[str, int] = {}
    text: str = ""


class StrictArgs(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str


class ManyTool(BaseTool):
    name = "many"
    Args: ClassVar[type[BaseModel]] = ManyArgs

    async def run(self, arguments: Any, context: RunContext) -> ToolResult:
        return ToolResult("")


class StrictTool(ManyTool):
    Args: ClassVar[type[BaseModel]] = StrictArgs


class GivesBack(BaseTool):
    """Gives back whatever it was made with, or raises it."""

    name = "gives"
    Args = ManyArgs

    def __init__(self, result: Any, untrusted: bool = False) -> None:
        self.result = result
        self.untrusted = untrusted

    async def run(self, arguments: Any, context: RunContext) -> ToolResult:
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result  # type: ignore[no-any-return]


# ---- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "given", "meant"),
    [
        pytest.param("count", "3", 3, id="number as text"),
        pytest.param("count", 3.0, 3, id="whole number"),
        pytest.param("share", "0.25", 0.25, id="fraction as text"),
        pytest.param("yes", "true", True, id="truth value as text"),
        pytest.param("names", '["a", "b"]', ["a", "b"], id="list as text"),
        pytest.param("options", '{"a": 1}', {"a": 1}, id="object as text"),
        pytest.param("text", {"a": 1}, '{"a":1}', id="object for a text"),
        pytest.param("text", 42, "42", id="number for a text"),
        pytest.param("text", True, "true", id="truth value for a text"),
        pytest.param("count", None, 1, id="null for the default"),
    ],
)
def test_a_value_of_another_type_is_converted_where_nothing_is_lost(field, given, meant):
    assert getattr(validate(ManyTool(), {field: given}), field) == meant


@pytest.mark.parametrize(
    ("field", "given"),
    [
        pytest.param("count", "3.7", id="3.7 is not 3"),
        pytest.param("count", 3.7, id="nor is the number"),
        pytest.param("count", "abc", id="abc is no number"),
        pytest.param("yes", "maybe", id="maybe is no truth value"),
        pytest.param("names", "Ann", id="a name is no list"),
        pytest.param("options", "[1]", id="a list is no object"),
    ],
)
def test_a_value_that_would_lose_something_is_refused_by_its_field(field, given):
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        validate(ManyTool(), {field: given})


def test_invented_fields_are_ignored():
    assert validate(StrictTool(), {"text": "x", "language": "de"}) == StrictArgs(text="x")


def test_arguments_in_an_object_of_their_own_are_taken_out():
    assert validate(StrictTool(), {"arguments": {"text": "x"}}) == StrictArgs(text="x")


async def test_arguments_far_too_long_are_refused_without_a_copy():
    outcome = await toolbox_of(EchoTool()).call("echo", '{"text": "' + "x" * 1_000_000)
    assert "too long" in (outcome.error or "")
    assert len(repr(outcome)) < 2_000


@pytest.mark.parametrize(
    ("asked", "meant"), [("ad", "add"), ("ADD", "add"), ("add_numbers", None), ("ech0", "echo"), ("zzz", None)]
)
async def test_an_unknown_tool_is_answered_with_the_nearest_name(asked, meant):
    outcome = await toolbox_of(SumTool(), EchoTool()).call(asked, {})
    assert "the tools are add, echo" in (outcome.error or "")
    assert (f"did you mean {meant}?" in (outcome.error or "")) == (meant is not None)


# ---- results --------------------------------------------------------------------------------------


async def test_a_result_of_fifty_megabytes_is_cut_and_its_data_replaced():
    text, data = "begin " + "x" * 50_000_000 + " end", [["x" * 1_000]] * 50_000
    toolbox, started = toolbox_of(GivesBack(ToolResult(text, data))), time.process_time()
    outcome = await toolbox.call("gives", {})
    assert time.process_time() - started < 1
    assert len(outcome.observation) < 13_000
    assert outcome.observation.startswith("begin")
    assert outcome.observation.endswith("end")
    assert "characters cut" in outcome.observation
    assert len(outcome.result.text) < 110_000
    assert "larger than" in outcome.result.data["note"]


async def test_sources_without_end_are_bounded():
    sources = tuple(Source("web", f"t{n}", "q" * 100_000, f"https://x/{n}") for n in range(300))
    toolbox = toolbox_of(GivesBack(ToolResult("", sources=sources), untrusted=True))
    outcome = await toolbox.call("gives", {})
    assert len(toolbox.sources) == len(outcome.markers) == 100
    assert max(len(source.quote) for source in toolbox.sources) < 21_000
    assert len(outcome.observation) < 13_000


async def test_an_error_without_end_is_cut_and_without_special_tokens():
    outcome = await toolbox_of(GivesBack(ToolResult("", error="<|im_start|>" + "e" * 1_000_000))).call("gives", {})
    assert len(outcome.observation) < 2_100
    assert "<|im_start|>" not in outcome.observation


@pytest.mark.parametrize("data", [None, {"a": [1, 2.5, "x", None, True]}, [], "text", 5, {"deep": [[[[1]]]]}])
def test_ordinary_data_stays_as_it_is(data):
    assert bounded_data(data) is data


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param("x" * (MAX_DATA_CHARS + 1), "larger", id="one long text"),
        pytest.param(list(range(1_000_000)), "larger", id="many numbers"),
        pytest.param({str(n): n for n in range(200_000)}, "larger", id="many keys"),
        pytest.param({1: 2}, "not JSON", id="a key that is no text"),
        pytest.param([datetime.now(UTC)], "not JSON", id="a moment"),
        pytest.param(b"bytes", "not JSON", id="bytes"),
    ],
)
def test_data_that_cannot_travel_is_replaced_by_a_note(data, says):
    assert says in bounded_data(data)["note"]


def test_data_that_holds_itself_is_replaced_by_a_note():
    circle: list[Any] = []
    circle.append(circle)
    assert "larger" in bounded_data(circle)["note"]


def test_a_cut_says_how_much_is_missing():
    assert cut("abcdefgh" * 100, 40).splitlines()[1] == "[… 760 characters cut …]"
    assert bounded(ToolResult("short")) == ToolResult("short")


# ---- odd ways to fail ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(None, id="gives None"),
        pytest.param("text", id="gives a string"),
        pytest.param(ToolResult(None), id="gives no text"),  # type: ignore[arg-type]
        pytest.param(RecursionError("deep"), id="recursion"),
        pytest.param(MemoryError(), id="memory"),
        pytest.param(asyncio.CancelledError(), id="cancels itself"),
        pytest.param(TimeoutError(), id="its own time-out"),
    ],
)
async def test_a_broken_tool_is_a_failed_one(odd, caplog):
    outcome = await toolbox_of(GivesBack(odd)).call("gives", {})
    assert outcome.error
    assert outcome.observation.startswith("Error: ")


async def test_cancelling_a_call_is_no_failure_of_the_tool():
    class Waits(GivesBack):
        async def run(self, arguments: Any, context: RunContext) -> ToolResult:
            await asyncio.sleep(30)
            return ToolResult("")

    task = asyncio.create_task(toolbox_of(Waits(None)).call("gives", {}))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# ---- what fits the window --------------------------------------------------------------------------


def tool(size: int) -> Message:
    return Message("tool", "x" * size, tool_call_id="c")


def sizes(messages: tuple[Message, ...]) -> list[int]:
    return [len(message.content) for message in messages if message.role == "tool"]


TALK = [Message("system", "s" * 500), Message("user", "q" * 100)]


def test_the_newest_results_are_kept_longest():
    ran = [
        *TALK,
        Message("assistant"),
        tool(12_000),
        Message("assistant"),
        tool(12_000),
        Message("assistant"),
        tool(9_000),
    ]
    oldest, middle, newest = sizes(shortened(ran, 5_000))
    assert newest == 9_000
    assert newest > middle > oldest > 900


def test_results_of_one_turn_share_alike_and_small_ones_stay_whole():
    ran = [*TALK, Message("assistant"), tool(12_000), tool(200), tool(12_000)]
    first, small, last = sizes(shortened(ran, 4_096))
    assert small == 200
    assert first == last


@pytest.mark.parametrize("window", [512, 1_024, 2_048, 4_096, 8_192, 32_768])
def test_the_conversation_itself_is_never_cut_and_fences_stay_closed(window):
    fenced = Message("tool", f"<<<DATA {'f' * 20} from x>>>\n{'y' * 9_000}\n<<<END {'f' * 20}>>>", tool_call_id="c")
    ran = [*TALK, Message("assistant", "a" * 50), fenced, Message("assistant"), fenced]
    out = shortened(ran, window)
    assert [m.content for m in out if m.role != "tool"] == [m.content for m in ran if m.role != "tool"]
    for message in out:
        if message.role == "tool":
            assert message.content.startswith("<<<DATA")
            assert message.content.endswith(">>>")


def test_long_arguments_count_as_well():
    calls = (ToolCall("c", "x", "a" * 8_000),)
    ran = [*TALK, Message("assistant", tool_calls=calls), tool(8_000)]
    assert sizes(shortened(ran, 4_096))[0] < 4_500


def test_what_fits_is_left_alone():
    ran = (*TALK, Message("assistant"), tool(1_000))
    assert shortened(ran, 4_096) == ran
    assert shortened(ran, 0) == ran


def test_inj_2_no_budget_allows_more_than_twenty_calls():
    meter = Meter(run_context(budget=Budget(tool_calls=200)))
    meter.tool_calls = 20
    assert meter.tools_exhausted() == "The run's budget of 20 tool calls was used up."
