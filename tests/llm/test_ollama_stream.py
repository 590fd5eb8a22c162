"""An /api/chat answer read from its bytes, in every shape it can take."""

import json

import pytest

from backend.llm.ollama_errors import NoAnswerYet
from backend.llm.ollama_stream import AnswerParser, Ending, Expected, LineSplitter
from backend.models.errors import (
    ContextTooLong,
    InvalidRequest,
    ModelFault,
    UpstreamCut,
    UpstreamError,
    UpstreamTimeout,
)
from backend.models.messages import ReasoningDelta, TextDelta, ToolCallMade
from tests.llm.raw_upstream import call, last, line

TOOLS = frozenset({"get_weather", "clock"})


def read(data, size=None, **expected):
    """All events of an answer cut into pieces of `size` bytes, adjacent deltas joined, and the ending."""
    parser = AnswerParser(Expected("m", **expected))
    size = size or len(data) or 1
    events = [event for at in range(0, len(data), size) for event in parser.feed(data[at : at + size])]
    events += parser.finish()
    return joined(events), parser.ending


def joined(events):
    out = []
    for event in events:
        if out and isinstance(event, (TextDelta, ReasoningDelta)) and type(out[-1]) is type(event):
            out[-1] = type(event)(out[-1].text + event.text)
        else:
            out.append(event)
    return out


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def calls_of(events):
    return [(event.call.name, json.loads(event.call.arguments)) for event in events if isinstance(event, ToolCallMade)]


PLAIN = line("Forty") + line("-two") + last()


def test_deltas_counters_and_ending():
    events, ending = read(PLAIN)
    assert events == [TextDelta("Forty-two")]
    assert ending == Ending("stop", 57, 6)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_text_is_the_same_however_the_bytes_are_cut(size):
    text = "Grüße 你好 👩‍👩‍👧 \u0085 \u2028 \x00 end"
    data = b"".join(
        (json.dumps(json.loads(line(piece)), ensure_ascii=False).encode() + b"\n") for piece in (text, text)
    )
    events, _ = read(data + last(), size)
    assert text_of(events) == text * 2


def test_deltas_of_one_read_are_one_event():
    parser = AnswerParser(Expected("m"))
    assert parser.feed(line("a") + line("b") + line("c")) == [TextDelta("abc")]
    assert parser.feed(line("d")) == [TextDelta("d")]


def test_nothing_waits_for_the_next_read():
    parser = AnswerParser(Expected("m", tools=TOOLS))
    assert [parser.feed(line(word)) for word in ("To", "kyo")] == [[TextDelta("To")], [TextDelta("kyo")]]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\n\r\n \n" + PLAIN, "Forty-two"),
        (PLAIN.rstrip(b"\n"), "Forty-two"),
        (line("a\u0085b\u2028c") + last(), "a\u0085b\u2028c"),
        (line("a") + last(text="b"), "ab"),
        (line(None) + line("a") + line("") + last(), "a"),
        (b'{"model":"m","message":null,"done":false}\n' + PLAIN, "Forty-two"),
        (b'{"model":"m","message":{"content":"x","new":{"y":[1]}},"done":false,"z":1}\n' + last(), "x"),
        (line("x" * 2_000_000) + last(), "x" * 2_000_000),
        (b'{"message":{"content":"a\\ud83d"},"done":false}\n' + last(), "a\ufffd"),
        (b'{"message":{"content":"a\xff"},"done":false}\n' + last(), "a\ufffd"),
        (b'{"message":{"content":"\\ud83d\\ude00"},"done":false}\n' + last(), "😀"),
        (PLAIN + line("late"), "Forty-two"),
    ],
    ids=[
        "blank lines",
        "no newline at the end",
        "Unicode line breaks",
        "text in the final line",
        "null content",
        "null message",
        "unknown fields",
        "line of 2 MB",
        "half a surrogate pair",
        "bytes that are not UTF-8",
        "escaped pair",
        "lines after the end",
    ],
)
@pytest.mark.parametrize("size", [None, 4096])
def test_odd_but_valid_answers_are_read(data, text, size):
    assert text_of(read(data, size)[0]) == text


@pytest.mark.parametrize(
    ("data", "ending"),
    [
        (line("a") + last("length"), Ending("length", 57, 6)),
        (line("a") + last(None), Ending("stop", 57, 6)),
        (line("a") + last("surprise"), Ending("stop", 57, 6)),
        (line("a") + line(done=True, done_reason="stop"), Ending("stop", None, None)),
        (line("a") + last(prompt_eval_count=0, eval_count=None), Ending("stop", None, None)),
    ],
    ids=["length", "reason absent", "reason unknown", "counters absent", "counters zero or null"],
)
def test_endings(data, ending):
    assert read(data)[1] == ending


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", UpstreamCut),
        (line("") * 3, UpstreamCut),
        (line("")[:-20], UpstreamCut),
        (last("load"), NoAnswerYet),
        (last("unload"), NoAnswerYet),
        (b'{"error":"an error was encountered while running the model: unexpected EOF"}\n', UpstreamError),
        (b'{"error":"error parsing tool call: raw=\'{\'"}\n', ModelFault),
        (b'{"error":"timed out waiting for llama runner to start"}\n', UpstreamTimeout),
        (
            b'{"error":"{\\"error\\":{\\"message\\":\\"m\\",\\"type\\":\\"exceed_context_size_error\\"}}"}\n',
            ContextTooLong,
        ),
        (b'{"error":{"message":"m does not support tools"}}\n', InvalidRequest),
        (b"<html><body>Bad gateway</body></html>\n", UpstreamError),
        (b"<!doctype html>", UpstreamError),
        (b'{"a":{}', UpstreamCut),
        (b"[1]\n", UpstreamError),
        (b'"text"\n', UpstreamError),
        (b'{"hello":"world"}\n', UpstreamError),
        (b"{" * 100_000 + b"\n", UpstreamError),
    ],
    ids=[
        "no bytes",
        "no final line",
        "half a line",
        "only loaded",
        "only unloaded",
        "crash",
        "malformed call",
        "load timeout",
        "nested error",
        "error object",
        "HTML line",
        "HTML end",
        "half a line that ends with a brace",
        "list",
        "string",
        "something else",
        "deep nesting",
    ],
)
@pytest.mark.parametrize("size", [None, 1000])
def test_ups_1_unusable_answers_are_defined_errors(data, error, size):
    with pytest.raises(error) as caught:
        read(data, size)
    assert isinstance(caught.value, UpstreamCut) is (error is UpstreamCut)


def test_ups_1_end_of_bytes_after_text_is_a_cut_never_a_stop():
    parser = AnswerParser(Expected("m"))
    assert parser.feed(line("half")) == [TextDelta("half")]
    with pytest.raises(UpstreamCut):
        parser.finish()


def test_text_before_an_error_line_in_the_same_read_is_given_out_first():
    parser = AnswerParser(Expected("m"))
    assert parser.feed(line("half") + b'{"error":"boom"}\n') == [TextDelta("half")]
    assert isinstance(parser.failure, UpstreamError)


def test_ups_1_line_beyond_the_limit_is_refused_in_bounded_memory():
    lines = LineSplitter(limit=1000)
    with pytest.raises(UpstreamError, match="too long"):
        for _ in range(10):
            lines.feed(b"x" * 300)


def test_error_texts_of_ollama_are_not_passed_on():
    with pytest.raises(UpstreamError) as caught:
        read(b'{"error":"open /root/.ollama/models/blobs/sha256-6a07: permission denied at 10.0.0.7:11434"}\n')
    assert "/root" not in caught.value.message
    assert "10.0.0.7" not in caught.value.message


# ---- thinking -----------------------------------------------------------------------------------


def test_thinking_field_comes_out_as_reasoning():
    events, _ = read(line("", thinking="Hm") + line("", thinking="m.") + line("42") + last())
    assert events == [ReasoningDelta("Hmm."), TextDelta("42")]


def test_thinking_and_text_of_one_read_keep_their_order():
    parser = AnswerParser(Expected("m"))
    events = parser.feed(line("", thinking="a") + line("b") + line("", thinking="c") + line("d"))
    assert events == [ReasoningDelta("a"), TextDelta("b"), ReasoningDelta("c"), TextDelta("d")]


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("<think>Hmm.</think>42", "Hmm.", "42"),
        ("\n<think>\nHmm.\n</think>\n\n42", "Hmm.\n", "42"),
        ("<think></think>42", "", "42"),
        ("<think>a < b </thin</think>42", "a < b </thin", "42"),
        ("a <think>b</think>", "", "a <think>b</think>"),
        ("<thing>", "", "<thing>"),
        ("<", "", "<"),
        ("  42 ", "", "  42 "),
    ],
    ids=["block", "with blank lines", "empty", "lookalikes", "not leading", "another tag", "half a tag", "blanks kept"],
)
def test_leading_think_block_is_reasoning_however_it_is_cut(text, thinking, answer, size):
    data = b"".join(line(text[at : at + size]) for at in range(0, len(text), size))
    events, _ = read(data + last())
    reasoning = "".join(event.text for event in events if isinstance(event, ReasoningDelta))
    assert (reasoning.strip(), text_of(events)) == (thinking.strip(), answer)


@pytest.mark.parametrize("size", [1, 4, 1000])
def test_missing_opener_is_tolerated_for_models_that_think(size):
    text = "Hmm, 6*7.</think>\n42"
    data = b"".join(line(text[at : at + size]) for at in range(0, len(text), size))
    assert read(data + last(), opener_may_lack=True)[0] == [ReasoningDelta("Hmm, 6*7."), TextDelta("42")]
    assert text_of(read(data + last())[0]) == text


def test_text_held_for_a_missing_opener_is_released_on_demand():
    parser = AnswerParser(Expected("m", opener_may_lack=True))
    assert parser.feed(line("42")) == []
    assert parser.holding
    assert parser.release() == [TextDelta("42")]
    assert parser.feed(line("!")) == [TextDelta("!")]


def test_nothing_is_held_once_thinking_came_in_its_own_field():
    parser = AnswerParser(Expected("m", opener_may_lack=True, inside=True))
    parser.feed(line("", thinking="Hm"))
    assert parser.feed(line("42")) == [TextDelta("42")]


def test_template_that_opens_thinking_makes_the_text_begin_as_reasoning():
    parser = AnswerParser(Expected("m", inside=True))
    assert parser.feed(line("Hm")) == [ReasoningDelta("Hm")]
    assert parser.feed(line("m</think>42")) == [ReasoningDelta("m"), TextDelta("42")]


# ---- tool calls ---------------------------------------------------------------------------------


def test_calls_of_several_lines_and_of_the_final_line_are_all_made():
    oslo, bergen = call("get_weather", {"city": "Oslo"}, id="a"), call("get_weather", {"city": "Bergen"}, id="a")
    data = line("Let me see.", tool_calls=[oslo]) + last(tool_calls=[bergen])
    events, ending = read(data, tools=TOOLS)
    assert events[0] == TextDelta("Let me see.")
    assert calls_of(events) == [("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Bergen"})]
    assert events[1].call.id == "a"
    assert len({event.call.id for event in events[1:]}) == 2
    assert ending.reason == "stop"


def test_ids_of_the_conversation_so_far_are_not_used_again():
    events, _ = read(line("", tool_calls=[call("clock", {}, id="a")]) + last(), used_ids={"a"})
    assert events[0].call.id != "a"


def test_only_the_first_call_is_kept_when_the_caller_wants_one():
    data = line("", tool_calls=[call("clock", {}), call("get_weather", {})]) + last()
    assert calls_of(read(data, one_call=True)[0]) == [("clock", {})]


def test_calls_cut_by_the_token_limit_are_not_made():
    events, ending = read(line("", tool_calls=[call("clock", '{"a":')]) + last("length"))
    assert events == []
    assert ending == Ending("length", 57, 6, calls_lost=True)


TEXTUAL = '<tool_call>{"name":"clock","arguments":{"zone":"UTC"}}</tool_call>'


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_calls_written_as_text_are_made_when_tools_were_offered(size):
    data = b"".join(line(TEXTUAL[at : at + size]) for at in range(0, len(TEXTUAL), size)) + last()
    assert calls_of(read(data, tools=TOOLS)[0]) == [("clock", {"zone": "UTC"})]
    assert read(data, tools=TOOLS)[0][0].call.id.startswith("call_")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (line(TEXTUAL) + last(), {}),
        (line(TEXTUAL) + last(), {"tools": {"get_weather"}}),
        (line(TEXTUAL + " ok") + last(), {"tools": TOOLS}),
        (line(TEXTUAL) + last("length"), {"tools": TOOLS}),
    ],
    ids=["no tools offered", "another tool", "text after it", "cut by the limit"],
)
def test_other_text_that_looks_like_a_call_stays_text(data, expected):
    events, _ = read(data, **expected)
    assert text_of(events).startswith(TEXTUAL)
    assert calls_of(events) == []


def test_text_is_not_promoted_beside_a_structured_call():
    events, _ = read(line(TEXTUAL) + line("", tool_calls=[call("clock", {})]) + last(), tools=TOOLS)
    assert text_of(events) == TEXTUAL
    assert calls_of(events) == [("clock", {})]


def test_call_written_after_a_think_block_is_made():
    events, _ = read(line("<think>Hm</think>" + TEXTUAL) + last(), tools=TOOLS)
    assert events[0] == ReasoningDelta("Hm")
    assert calls_of(events) == [("clock", {"zone": "UTC"})]


# ---- JSON ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pieces", "text", "reason"),
    [
        (['{"a":', "1}"], '{"a":1}', "stop"),
        (["\n \n", '{"a":1}'], '{"a":1}', "stop"),
        (['{"a":1}', *["\n" * 50] * 10], '{"a":1}', "stop"),
        (['{"a":', *[" " * 50] * 10], '{"a":', "length"),
    ],
    ids=["plain", "leading blanks", "blanks without end after it", "blanks without end inside"],
)
def test_json_answer_ends_when_only_white_space_follows(pieces, text, reason):
    events, ending = read(b"".join(line(piece) for piece in pieces) + last(), size=150, json=True)
    assert text_of(events).rstrip() == text
    assert ending.reason == reason


def test_ups_1_json_answer_of_nothing_but_blanks_is_the_model_s_fault():
    with pytest.raises(ModelFault):
        read(line(" " * 100) * 5, json=True)
