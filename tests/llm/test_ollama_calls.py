"""Tool calls that a model wrote as text: promoted only when the whole answer is nothing else."""

import orjson
import pytest

from backend.llm.ollama_calls import CallHold, CallIds, could_be_calls, structured_calls, textual_calls
from tests.llm.raw_upstream import call

NAMES = frozenset({"get_weather", "clock"})
OSLO = [("get_weather", {"city": "Oslo"})]


def promoted(text):
    return [(name, orjson.loads(arguments)) for name, arguments in textual_calls(text, NAMES)]


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ('{"name":"get_weather","arguments":{"city":"Oslo"}}', OSLO),
        (' {"name": "get_weather", "parameters": {"city": "Oslo"}}\n', OSLO),
        ('{"name":"get_weather","arguments":"{\\"city\\":\\"Oslo\\"}"}', OSLO),
        ('{"type":"function","function":{"name":"get_weather","arguments":{"city":"Oslo"}}}', OSLO),
        ('```json\n{"name":"get_weather","arguments":{"city":"Oslo"}}\n```', OSLO),
        ('<tool_call>\n{"name":"get_weather","arguments":{"city":"Oslo"}}\n</tool_call>', OSLO),
        ("<function=get_weather><parameter=city>\nOslo\n</parameter></function>", OSLO),
        ('<function=get_weather>{"city":"Oslo"}</function>', OSLO),
        ("<tool_call><function=clock></function></tool_call>", [("clock", {})]),
        (
            '{"name":"get_weather","arguments":{"city":"Oslo"}}\n{"name":"clock","arguments":{}}',
            [*OSLO, ("clock", {})],
        ),
        ('[{"name":"get_weather","arguments":{"city":"Oslo"}}]', OSLO),
        (
            '```json\n{"name":"clock","arguments":{}}\n```\n```\n[{"name":"clock","arguments":{}}]\n```',
            [("clock", {})] * 2,
        ),
        ('```xml\n<tool_call>{"name":"clock","arguments":{}}</tool_call>\n```', [("clock", {})]),
        (
            '<tool_call>{"name":"clock","arguments":{}}</tool_call>\n<tool_call>{"name":"clock","arguments":{}}</tool_call>',
            [("clock", {}), ("clock", {})],
        ),
    ],
)
def test_text_that_is_nothing_but_calls_is_promoted(text, calls):
    assert promoted(text) == calls
    assert all(could_be_calls(text[:length], NAMES) for length in range(len(text) + 1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello",
        'I will call {"name":"clock","arguments":{}}',
        '{"name":"clock","arguments":{}} and then we see',
        '{"name":"rm_rf","arguments":{}}',
        '{"name":"clock"}',
        '{"name":"clock","arguments":[1]}',
        '{"name":"clock","arguments":{},"comment":"x"}',
        '{"city":"Oslo"}',
        '[{"name":"clock","arguments":{}}, 3]',
        '<tool_call>{"name":"clock","arguments":{}}',
        '<tool_call>{"name":"clock","arguments":{}}</tool_call> done',
        "<b>bold</b>",
        "```python\nprint(1)\n```",
        '{"name":"clock","arguments":{"a":',
        '```python\n{"name":"clock","arguments":{}}\n```',
        "<tool_call>" * 5000,
        '{"name":' * 8000,
        '{"name":"clock","arguments":{}}' * 100,
    ],
)
def test_anything_else_stays_text(text):
    assert promoted(text) == []


@pytest.mark.parametrize(
    ("text", "given_out"),
    [
        ("Hello", "Hello"),
        ('{"city', '{"city'),
        ("[1", "[1"),
        ("<b", "<b"),
        ("```py", "```py"),
        ('{"name": "Alice"', '{"name": "Alice"'),
        ('{"na', ""),
        ("<tool", ""),
        ("``", ""),
        ("  ", ""),
        ('{"name": "clock", "arg', ""),
    ],
)
def test_text_is_held_back_only_while_it_could_be_a_call(text, given_out):
    assert CallHold(NAMES).feed(text) == given_out


def test_held_text_is_given_out_whole_when_it_turns_out_to_be_text():
    hold = CallHold(NAMES)
    assert "".join([*(hold.feed(c) for c in '{"name": "Al'), hold.finish(CallIds())[1]]) == '{"name": "Al'


def test_hold_gives_up_beyond_its_limit():
    hold = CallHold(NAMES)
    assert hold.feed('{"name":"clock","arguments":{"x":"') == ""
    assert len(hold.feed("y" * 70_000)) > 70_000


@pytest.mark.parametrize(
    ("given", "kept"),
    [("call_a", True), ("", False), (None, False), (7, False), ("used", False), ("x" * 500, False)],
    ids=["fresh", "empty", "absent", "number", "used before", "too long"],
)
def test_ids_are_made_unless_fresh(given, kept):
    taken = CallIds({"used"}).take(given)
    assert (taken == given) is kept
    assert kept or taken.startswith("call_")


def test_repeated_ids_become_different():
    ids = CallIds()
    assert ids.take("call_a") == "call_a" != ids.take("call_a")


@pytest.mark.parametrize(
    "value",
    [None, "x", {}, [None], [{"function": None}], [{"function": {"name": ""}}], [{"function": {"name": 3}}]],
    ids=["null", "text", "object", "null item", "null function", "empty name", "number as name"],
)
def test_calls_without_a_name_are_left_out(value):
    assert structured_calls(value, CallIds()) == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"b": 1, "a": "ø"}, '{"b":1,"a":"ø"}'), ('{"a":1}', '{"a":1}'), (None, "{}"), ("", "{}"), ('{"a":', '{"a":')],
    ids=["object keeps its order", "JSON text", "null", "empty text", "cut text is passed on"],
)
def test_arguments_become_json_text(arguments, text):
    assert structured_calls([call("clock", arguments)], CallIds())[0].arguments == text
