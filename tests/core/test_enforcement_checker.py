"""The checker says of every text what a JSON parser would say, however it was cut."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.core.json_answer import JsonAnswer
from backend.core.json_checker import MAX_DEPTH, JsonChecker


def parsed(text: str) -> bool:
    def refused(_name: str) -> None:
        raise ValueError

    try:
        json.loads(text, parse_constant=refused)
    except ValueError:
        return False
    return True


def checked(text: str, size: int = 0, first: str = "") -> tuple[str, int]:
    """The final state and how much was taken."""
    checker, taken = JsonChecker(first), 0
    for start in range(0, len(text), size or max(1, len(text))):
        piece = text[start : start + (size or len(text))]
        took = checker.feed(piece)
        taken += took
        if took < len(piece):
            break
    return checker.finish(), taken


VALID = [
    "{}",
    "[]",
    '{"a":1}',
    ' {"a" : [1, 2.5e-3, -0, "x\\u00e9\\n\\"", true, false, null, {}]} ',
    '{"a":{"b":[[],{}]}}',
    "-12.5E+10",
    '"x"',
    "0",
    "[0,10,0.5]",
]
INVALID = [
    "", "{", "{,}", "[1,]", '{"a"}', '{"a":}', "{a:1}", "01", "[01]", ".5", "[1 2]", '{"a":1,}', '"\n"', '"\\x"',
    '"\\u12g4"', "nul", "[tru]", "-", "1.", "[1.]", "1e", "+1", "{'a':1}", "NaN", "}", "{]", "[}", '{"a":1]', '"abc',
    "[-]", "[1e+]", "1x",
]  # fmt: skip


@pytest.mark.parametrize("size", [0, 1, 2, 3])
@pytest.mark.parametrize("text", VALID)
def test_json_is_complete_however_it_is_cut(text: str, size: int) -> None:
    assert parsed(text)
    assert checked(text, size)[0] == "complete"


@pytest.mark.parametrize("size", [0, 1, 2])
@pytest.mark.parametrize("text", INVALID)
def test_what_is_no_json_is_never_complete(text: str, size: int) -> None:
    assert not parsed(text)
    assert checked(text, size)[0] != "complete"


JSON_LIKE = st.text('{}[]:,"\\u0a1-.eE+ tfnrulse\n', max_size=12)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(JSON_LIKE, st.integers(1, 5))
def test_it_agrees_with_a_parser_on_texts_that_look_like_json(text: str, size: int) -> None:
    state, taken = checked(text, size)
    assert (state == "complete" and not text[taken:].strip()) == parsed(text)


@settings(deadline=None, max_examples=50)
@given(JSON_VALUES, st.booleans(), st.integers(1, 7))
def test_every_beginning_of_json_is_open(value: object, ascii_only: bool, size: int) -> None:
    text = json.dumps({"v": value}, ensure_ascii=ascii_only)
    assert checked(text, size) == ("complete", len(text))
    for end in range(0, len(text), max(1, len(text) // 20)):
        assert checked(text[:end], size) == ("open", end)


def test_nothing_behind_the_value_is_taken() -> None:
    assert checked('{"a":1} and more') == ("complete", 7)


@pytest.mark.parametrize(
    ("first", "text", "state"), [("{", "[1]", "broken"), ("{", "{}", "complete"), ("[", "{}", "broken")]
)
def test_the_top_level_may_be_limited(first: str, text: str, state: str) -> None:
    assert checked(text, 0, first)[0] == state


def test_depth_is_bounded() -> None:
    assert checked("[" * MAX_DEPTH)[0] == "open"
    assert checked("[" * (MAX_DEPTH + 1))[0] == "broken"


def test_white_space_without_end_is_noticed_but_not_inside_strings() -> None:
    assert checked('{"a":' + " " * 300)[0] == "blank"
    assert checked('{"a":"' + " " * 300)[0] == "open"
    assert checked("[" + ", ".join(["1" + " " * 50] * 20))[0] == "open"


def test_a_long_text_costs_the_same_for_each_character() -> None:
    def seconds(count: int) -> float:
        checker, piece = JsonChecker(), '"' + "x" * 30 + '",'
        checker.feed("[")
        started = time.process_time()
        for _ in range(count):
            checker.feed(piece)
        return time.process_time() - started

    seconds(1000)
    assert seconds(20_000) < 10 * 10 * max(seconds(2_000), 1e-4)


@settings(deadline=None, max_examples=50)
@given(JSON_VALUES, st.sampled_from(["", "```json\n", "```\n\n", "  \n"]), st.integers(1, 9))
def test_what_goes_out_live_is_the_json_itself(value: object, before: str, size: int) -> None:
    text = json.dumps({"v": value}, indent=1)
    answer = JsonAnswer("{")
    said = f"{before}{text}\n```"
    out = "".join(answer.feed(said[start : start + size]) for start in range(0, len(said), size))
    assert out == answer.json == text
    assert answer.ending(length=False) == "whole"
