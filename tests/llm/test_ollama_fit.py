"""What is left of a conversation that is longer than its window."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.llm.ollama_fit import fit
from backend.llm.ollama_window import CAUTIOUS, conversation_tokens
from backend.models.errors import ContextTooLong
from backend.models.messages import Image, Message, ToolCall

SYSTEM = Message("system", "Be terse.")
WINDOW = 4096


def user(text, *images):
    return Message("user", text, images=images)


def said(text):
    return Message("assistant", text)


def call(number, arguments="{}"):
    return ToolCall(f"c{number}", "look_up", arguments)


def calling(*numbers):
    return Message("assistant", "", tool_calls=tuple(call(number) for number in numbers))


def result(number, text):
    return Message("tool", text, tool_call_id=f"c{number}", name="look_up")


def fitted(*messages, window=WINDOW, answer=1024, caution=1.0):
    return fit(messages, 0, window, answer, "m:latest", caution)


def turns(count, size=600):
    return [m for n in range(count) for m in (user(f"question {n} " + "q" * size), said(f"answer {n} " + "a" * size))]


def roles(messages):
    return [message.role for message in messages]


# ---- the middle ---------------------------------------------------------------------------------


def test_conversation_that_fits_is_left_alone():
    messages = (SYSTEM, *turns(3), user("now"))
    assert fitted(*messages).messages == messages


def test_middle_is_left_out_and_the_model_is_told_how_much():
    messages = (SYSTEM, *turns(20), user("now"))
    found = fitted(*messages)
    kept = found.messages
    assert kept[:2] == messages[:2], "system prompt and first question stay"
    assert kept[-5:] == messages[-5:], "so do the latest turns"
    assert kept[2].role == "assistant"
    assert kept[2].content.startswith(f"[{found.left_out} earlier messages of this conversation were left out here")
    assert len(messages) == len(kept) - 1 + found.left_out
    assert found.cut == 0


def test_roles_still_alternate_and_there_is_one_system_message():
    kept = fitted(SYSTEM, *turns(40), user("now")).messages
    assert roles(kept) == ["system", *["user", "assistant"] * (len(kept) // 2 - 1), "user"]


def test_one_message_left_out_is_said_in_the_singular():
    found = fitted(user("a"), said("b" * 10_000), user("now"))
    assert found.left_out == 1
    assert found.messages[1].content.startswith("[1 earlier message of this conversation was left out here: it does")


def test_turns_with_calls_are_kept_or_left_out_whole():
    past = [m for n in range(12) for m in (user(f"q{n}"), calling(n), result(n, "r" * 900), said(f"a{n}"))]
    kept = fitted(SYSTEM, *past, user("now")).messages
    made = {made.id for message in kept for made in message.tool_calls}
    assert made == {message.tool_call_id for message in kept if message.role == "tool"}
    assert 0 < len(made) < 12


def test_results_of_an_older_turn_are_cut_before_the_turn_is_left_out():
    past = [user("start"), said("x" * 6000), user("look"), calling(1), result(1, "r" * 30_000), said("found")]
    kept = fitted(*past, user("and the second one?")).messages
    assert [m.content for m in kept if m.role == "user"] == ["start", "look", "and the second one?"]
    assert "characters left out" in next(m.content for m in kept if m.role == "tool")


# ---- the first message --------------------------------------------------------------------------


def test_long_first_message_is_cut_before_it_costs_later_turns():
    first = user("begin " + "x" * 30_000 + " end")
    found = fitted(SYSTEM, first, said("ok"), *turns(2), user("now"))
    kept = found.messages
    assert (found.left_out, found.cut) == (0, 1)
    assert len(kept) == 8
    assert kept[1].content.startswith("begin x")
    assert kept[1].content.endswith("x end")
    assert "characters left out here to fit the context window" in kept[1].content


def test_first_message_keeps_what_the_later_turns_do_not_need():
    few, many = (
        fitted(user("x" * 30_000), said("ok"), *turns(count), user("now")).messages[0].content for count in (1, 3)
    )
    assert len(few) > len(many) > 1000


def test_first_message_is_cut_and_the_middle_left_out_when_both_are_long():
    found = fitted(user("x" * 30_000), said("ok"), *turns(20), user("now"))
    assert found.left_out > 0
    assert found.cut == 1
    assert found.messages[1].content.startswith("[")


def test_pictures_of_the_first_message_are_given_up_for_later_turns():
    pictures = [Image("image/png", b"x")] * 6
    kept = fitted(user("what is this", *pictures), said("a cat"), *turns(2), user("now")).messages
    assert kept[0].images == ()
    assert kept[0].content == "[6 pictures left out here to fit the context window]\nwhat is this"


def test_greeting_of_the_assistant_is_not_the_first_message():
    kept = fitted(said("Hello! " * 50), *turns(20), user("now")).messages
    assert roles(kept[:3]) == ["user", "assistant", "user"]
    assert kept[0].content.startswith("question 0")


def test_text_that_is_not_ascii_is_cut_between_characters():
    kept = fitted(user("日本語" * 9000), said("ok"), *turns(2), user("now")).messages
    assert "\ufffd" not in kept[0].content
    assert len(kept[0].content.encode()) < 12_000


# ---- the last turn ------------------------------------------------------------------------------


def test_last_turn_that_leaves_no_room_takes_everything_and_says_so():
    found = fitted(SYSTEM, *turns(20), user("x" * 9000))
    assert roles(found.messages) == ["system", "user"]
    note, _, text = found.messages[1].content.partition("\n\n")
    assert note.startswith("[40 earlier messages")
    assert text == "x" * 9000


def test_results_of_the_last_turn_are_cut_the_oldest_most():
    last = [user("compare"), calling(1), result(1, "a" * 9000), calling(2), result(2, "b" * 6000)]
    kept = fitted(SYSTEM, *last).messages
    assert roles(kept) == ["system", "user", "assistant", "tool", "assistant", "tool"]
    assert "characters left out" in kept[3].content
    assert kept[3].content.startswith("aaa")
    assert kept[3].content.endswith("aaa")
    assert kept[5].content == "b" * 6000


def test_results_of_one_step_are_cut_to_the_same_length():
    last = [user("compare"), calling(1, 2, 3), result(1, "a" * 9000), result(2, "b" * 20_000), result(3, "c" * 100)]
    kept = fitted(*last).messages
    assert abs(len(kept[2].content) - len(kept[3].content)) < 20
    assert kept[4].content == "c" * 100


def test_calls_with_endless_arguments_are_cut_too():
    last = [user("go"), Message("assistant", "", tool_calls=(call(1, json.dumps({"a": "x" * 1_000_000})),))]
    kept = fitted(*last, result(1, "no")).messages
    assert set(json.loads(kept[1].tool_calls[0].arguments)) == {"input"}
    assert kept[2].content == "no"


@pytest.mark.parametrize("answer", [1024, 1_000_000], ids=["usual answer", "answer longer than the window"])
def test_words_of_the_user_are_never_cut_but_refused(answer):
    with pytest.raises(ContextTooLong, match=r"last message.*m:latest.*4096 tokens.*shorten it") as caught:
        fitted(SYSTEM, *turns(3), user("x" * 40_000), answer=answer)
    assert caught.value.param == "messages"


def test_words_that_probably_fit_are_sent_whole():
    assert fitted(user("x" * 13_000)).messages == (user("x" * 13_000),)


def test_caution_leaves_more_out():
    messages = (SYSTEM, *turns(20), user("now"))
    assert fitted(*messages, caution=1.5).left_out > fitted(*messages).left_out


# ---- whatever comes -----------------------------------------------------------------------------

SIZES = st.integers(0, 9000)


@st.composite
def conversations(draw):
    """Turns as agents and clients write them: a question, steps with results, an answer but for the last turn."""
    messages = [SYSTEM] if draw(st.booleans()) else []
    count = draw(st.integers(1, 8))
    for turn in range(count):
        messages.append(user(f"q{turn} " + "q" * draw(SIZES)))
        for step in range(draw(st.integers(0, 2))):
            ids = [f"{turn}.{step}.{n}" for n in range(draw(st.integers(1, 3)))]
            messages += [calling(*ids), *(result(each, "é" * draw(SIZES)) for each in ids)]
        if turn < count - 1:
            messages.append(said("a" * draw(SIZES)))
    return messages


@settings(max_examples=150, deadline=None)
@given(conversations(), st.integers(1, 8), st.integers(1, 100_000))
def test_what_is_kept_fits_and_makes_sense(messages, size, answer):
    window = 1024 * size
    try:
        found = fit(messages, 0, window, answer, "m", 1.0)
    except ContextTooLong:
        last = max(n for n, m in enumerate(messages) if m.role == "user")
        assert conversation_tokens(messages[:1] + messages[last:], 0, 4.0) >= window // 2
        return
    kept = found.messages
    question = next(m.content for m in reversed(messages) if m.role == "user")
    assert next(m.content for m in reversed(kept) if m.role == "user").endswith(question)
    assert [m for m in kept if m.role == "system"] == [m for m in messages if m.role == "system"]
    assert kept[-1].role == messages[-1].role
    made = [made.id for m in kept for made in m.tool_calls]
    assert made == [m.tool_call_id for m in kept if m.role == "tool"]
    spoken = [m.role for m in kept if m.role in ("user", "assistant") and not m.tool_calls]
    assert all(before != after for before, after in pairwise(spoken))
    assert conversation_tokens(kept, 0, CAUTIOUS) <= window * 1.4
    assert (found.left_out == found.cut == 0) == (list(kept) == messages)
