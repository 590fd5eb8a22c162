"""Reading queries: sentences, parts, questions, follow-ups, names of tools, languages."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.utils.follow_ups import complete_follow_up, is_follow_up
from backend.utils.language import content_words, detect_language, stem, stems
from backend.utils.query_text import (
    MAX_PARTS,
    compared,
    find_tool_name,
    has_inline_data,
    is_greeting,
    is_question,
    is_request,
    is_thanks,
    numbers,
    put_value,
    refers_back,
    sentences,
    split_parts,
)

SENTENCES = [
    ("One. Two! Three?", ["One.", "Two!", "Three?"]),
    ("Dr. Smith paid 3.50 dollars. Why?", ["Dr. Smith paid 3.50 dollars.", "Why?"]),
    ("See p. 3 for details. Done.", ["See p. 3 for details.", "Done."]),
    ("It ends on 3. Mai 2024. Danach gilt es nicht.", ["It ends on 3. Mai 2024.", "Danach gilt es nicht."]),
    ("A line that a PDF\nbroke in the middle. Next.", ["A line that a PDF broke in the middle.", "Next."]),
    ("An exam-\nple of a hyphen.", ["An example of a hyphen."]),
    ("Vacation\nEach employee has 28 days.", ["Vacation", "Each employee has 28 days."]),
    ("- first\n- second", ["- first", "- second"]),
    ("Open from 7 a.m. to 8 p.m. daily.", ["Open from 7 a.m. to 8 p.m. daily."]),
    ("これは文です。次の文です。", ["これは文です。", "次の文です。"]),
    ("", []),
    (" \n … ", []),
]


@pytest.mark.parametrize(("text", "expected"), SENTENCES, ids=[text[:25] or "empty" for text, _ in SENTENCES])
def test_sentences_end_where_a_reader_ends_them(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


PARTS = [
    ("What is 12*7?", [("What is 12*7?", False)]),
    (
        "What is 12*7 and what does the handbook say?",
        [("What is 12*7", False), ("what does the handbook say?", False)],
    ),
    ("What is 15% of 240 and then multiply that by 3", [("What is 15% of 240", False), ("multiply that by 3", True)]),
    ("Do this:\n1. compute 2+2\n2. find the policy", [("compute 2+2", False), ("find the policy", False)]),
    ("(a) compute 2+2 (b) find the policy", [("compute 2+2", False), ("find the policy", False)]),
    (
        "Calculate 3+4, solve x^2=4 and find the policy.",
        [("Calculate 3+4", False), ("solve x^2=4", False), ("find the policy.", False)],
    ),
    (
        "Berechne 5+5 und multipliziere das Ergebnis mit 3.",
        [("Berechne 5+5", False), ("multipliziere das Ergebnis mit 3.", True)],
    ),
    ("Combien font 3*4 et que dit le manuel ?", [("Combien font 3*4", False), ("que dit le manuel ?", False)]),
    ("¿Cuánto es 5*5 y multiplícalo por 2?", [("¿Cuánto es 5*5", False), ("multiplícalo por 2?", True)]),
    ("Quanto fa 3*4 e cosa dice il manuale?", [("Quanto fa 3*4", False), ("cosa dice il manuale?", False)]),
    ("Find documents that mention cats and dogs", [("Find documents that mention cats and dogs", False)]),
    (
        "If 5*7 > 30, then tell me the policy and find its date",
        [("If 5*7 > 30, then tell me the policy and find its date", False)],
    ),
    ("min and max of 3, 9, -2", [("min and max of 3, 9, -2", False)]),
    ("What is the sum and count of 1, 2, 3?", [("What is the sum and count of 1, 2, 3?", False)]),
    ('Search for "salt and find pepper"', [('Search for "salt and find pepper"', False)]),
    ('Analyse [{"a": 1}, {"a": 2}]', [('Analyse [{"a": 1}, {"a": 2}]', False)]),
    ("Run ```\nprint(1)\n\nprint(2)\n``` please", [("Run ```\nprint(1)\n\nprint(2)\n``` please", False)]),
    ("", []),
]


@pytest.mark.parametrize(("query", "expected"), PARTS, ids=[query[:30] or "empty" for query, _ in PARTS])
def test_a_query_falls_apart_where_a_new_request_begins(query: str, expected: list[tuple[str, bool]]) -> None:
    assert [(part.text, part.depends) for part in split_parts(query)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "What now?",
        "Was ist das",
        "何ですか",
        "你好吗",
        "ما هذا؟",
        "¿Cuándo",
        "how much is it",
        "Quand part le train",
        "est-ce vrai",
    ],
)
def test_questions_are_seen_in_any_language(text: str) -> None:
    assert is_question(text)


@pytest.mark.parametrize("text", ["I like tea.", "Danke", "Das Wetter ist schön.", "", "Je suis là."])
def test_statements_are_no_questions(text: str) -> None:
    assert not is_question(text)


@pytest.mark.parametrize(
    "text", ["Find the contract", "Please calculate 3*4", "berechne das", "Trouve le contrat", "Busca esto"]
)
def test_imperatives_are_requests(text: str) -> None:
    assert is_request(text)
    assert not is_question(text)


@pytest.mark.parametrize(
    "text",
    [
        "and in Rome?",
        "What about Berlin?",
        "and the second one?",
        "und in km?",
        "Et pour Paris ?",
        "¿y en Madrid?",
        "what about it?",
    ],
)
def test_follow_ups_lean_on_the_turn_before(text: str) -> None:
    assert is_follow_up(text)


@pytest.mark.parametrize("text", ["What is 12*7?", "Who wrote Faust?", "", "Find the contract of last year", "hello"])
def test_whole_queries_are_no_follow_ups(text: str) -> None:
    assert not is_follow_up(text)


COMPLETED = [
    ("What's the weather in Paris?", "and in Rome?", "What's the weather in Rome"),
    ("What's the weather in Paris?", "what about Berlin?", "What's the weather in Berlin"),
    ("What is the square root of 16?", "and of 25?", "What is the square root of 25"),
    ("What is the square root of 16?", "and 25?", "What is the square root of 25"),
    ("How long is 5 miles in metres?", "and in km?", "How long is 5 miles in km"),
    ("Wie wird das Wetter in Hamburg?", "und in Köln?", "Wie wird das Wetter in Köln"),
    ("What does the handbook say about vacation?", "and sick leave?", "What does the handbook say about sick leave"),
]


@pytest.mark.parametrize(("before", "text", "whole"), COMPLETED, ids=[f"{b[:15]}>{t}" for b, t, _ in COMPLETED])
def test_a_follow_up_is_read_as_a_whole_query(before: str, text: str, whole: str) -> None:
    readings = complete_follow_up(before, text)
    assert readings[0] == whole
    assert before.rstrip("?") in readings[-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("multiply that by 3", "multiply 7 by 3"),
        ("add 3 to the result", "add 3 to 7"),
        ("multipliziere das Ergebnis mit 3", "multipliziere 7 mit 3"),
        ("divise le résultat par 2", "divise 7 par 2"),
        ("multiplícalo por 2", "multiplíca 7 por 2"),
        ("nothing here", "nothing here"),
    ],
)
def test_a_value_takes_the_place_of_what_refers_to_it(text: str, expected: str) -> None:
    assert put_value(text, "7") == expected
    assert refers_back(text) is (text != expected)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Compare plan A and plan B in my documents", ("plan A", "plan B", "in my documents")),
        ("What is the difference between RAM and ROM?", ("RAM", "ROM", "")),
        ("Vergleiche Tarif A mit Tarif B", ("Tarif A", "Tarif B", "")),
        ("What is 3*4?", None),
    ],
)
def test_the_two_sides_of_a_comparison_are_found(query: str, expected: tuple[str, str, str] | None) -> None:
    assert compared(query) == expected


@pytest.mark.parametrize(
    "text", ["use weather for Oslo", "with the weather tool", "Nutze weather", "Utilise le tool weather"]
)
def test_a_tool_is_recognised_by_its_name(text: str) -> None:
    assert find_tool_name(text, "weather")


@pytest.mark.parametrize("text", ["The weather is nice", "I whether or not", "weathering"])
def test_an_ordinary_word_is_not_the_name_of_a_tool(text: str) -> None:
    assert not find_tool_name(text, "weather")


def test_a_name_with_an_underscore_needs_no_verb() -> None:
    assert find_tool_name("math_calc: 3*4", "math_calc")
    assert find_tool_name("please use math calc", "math_calc")


def test_inline_data_is_seen() -> None:
    assert has_inline_data('mean of [{"a": 1}]')
    assert has_inline_data("name,age\nAda,36\nBob,41")
    assert not has_inline_data("What is the mean, and why?")


def test_numbers_are_taken_as_written() -> None:
    assert numbers("add 3,5 and -2 to 10% of x2") == ["3,5", "-2", "10%"]


def test_greetings_and_thanks() -> None:
    assert is_greeting("Hello there!") and is_greeting("Guten Morgen") and not is_greeting("Hello, what is 3*4?")
    assert is_thanks("ok, thanks a lot!") and not is_thanks("ok what is 3*4?")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What does the handbook say about vacation?", "en"),
        ("Was steht im Handbuch über Urlaub?", "de"),
        ("Que dit le manuel sur les congés ?", "fr"),
        ("¿Qué dice el manual sobre las vacaciones?", "es"),
        ("Cosa dice il manuale sulle ferie?", "it"),
        ("O que diz o manual sobre as férias?", "pt"),
        ("12*7", "en"),
        ("plot sin(x)", "en"),
        ("x y x y", "en"),
        ("Danke", "de"),
        ("¿Cuándo?", "es"),
        ("", "en"),
    ],
)
def test_the_language_is_guessed_from_little_words(text: str, language: str) -> None:
    assert detect_language(text) == language


def test_content_words_leave_the_little_ones_out() -> None:
    assert content_words("What does the handbook say about 28 vacation days?") == ["handbook", "28", "vacation", "days"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("employees", "employee"),
        ("approves", "approved"),
        ("policies", "policy"),
        ("tage", "tagen"),
        ("congés", "congé"),
    ],
)
def test_inflected_forms_share_a_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


def test_different_words_keep_different_stems() -> None:
    assert len(stems("parental vacation parking password")) == 4


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400))
def test_any_text_can_be_read(text: str) -> None:
    parts = split_parts(text)
    assert len(parts) <= MAX_PARTS
    assert all(part.text.strip() in text or part.text in text for part in parts)
    sentences(text)
    complete_follow_up(text, text)
    compared(text)
    put_value(text, "1")
    assert isinstance(is_follow_up(text), bool)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 50_000,
        "[{" * 25_000,
        "and " * 20_000,
        "compare " + "a and " * 20_000,
        '"' * 50_000,
        "\n1. " * 20_000,
        "1." * 30_000,
        "A\n" * 30_000,
    ],
    ids=["brackets", "braces", "and", "compare", "quotes", "list", "dots", "lines"],
)
def test_long_hostile_text_is_read_in_linear_time(text: str) -> None:
    clock = time.perf_counter()
    split_parts(text)
    sentences(text)
    is_request(text)
    is_follow_up(text)
    has_inline_data(text)
    detect_language(text)
    assert time.perf_counter() - clock < 3


@pytest.mark.parametrize("around", [("use weather ", ""), ("", " use weather")], ids=["before", "behind"])
def test_tool_named_beside_a_pasted_text_is_found_without_reading_all_of_it(around: tuple[str, str]) -> None:
    text = ("what is 3 + 4 and how many files? " * 25_000).join(around)
    began = time.process_time()
    found = find_tool_name(text, "weather")
    assert found is not None and found.group() == "use weather"
    assert find_tool_name(text, "sql_query") is None
    assert time.process_time() - began < 0.2
