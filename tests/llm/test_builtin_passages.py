"""Picking sentences with the embedder of the house: what answers, what is only near, what is silence."""

from __future__ import annotations

import pytest

from backend.embeddings.minilm import MiniLM
from backend.llm.builtin_lines import units
from backend.llm.builtin_passages import Passage, best_sentences, clean

PASSAGES = [
    Passage(text, number)
    for number, text in enumerate(
        (
            """Annual leave
Every employee is entitled to 28 vacation days per calendar year. Unused days expire on 31 March of the following
year. They can be paid out only when the contract ends.

Sick leave
Employees who are ill must tell their manager before 9 a.m. A doctor's certificate is needed from the third day of
illness.""",
            """Travel
Travel expenses must be approved by the head of department in advance. Hotels are reimbursed up to 120 euros per
night. Train journeys are booked in second class. The policy was updated in May 2024.""",
            """Remote work
Staff may work from home up to three days a week. The office is open from 7 a.m. to 8 p.m. Meals in the canteen cost
4.50 euros.""",
            """Kündigung
Die Kündigungsfrist beträgt drei Monate zum Quartalsende. Während der Probezeit beträgt sie zwei Wochen. Jeder
Mitarbeiter hat Anspruch auf 30 Urlaubstage im Jahr.""",
        ),
        1,
    )
]

ANSWERED = [
    ("How many vacation days do employees get?", "28 vacation days", 1),
    ("What happens to unused leave?", "expire on 31 March", 1),
    ("Who approves travel expenses?", "head of department", 2),
    ("What is the maximum price for a hotel?", "120 euros", 2),
    ("How often may staff work remotely?", "three days a week", 3),
    ("When does the office open?", "7 a.m.", 3),
    ("What does the handbook say about vacation?", "28 vacation days", 1),
    ("Wie lang ist die Kündigungsfrist?", "drei Monate", 4),
    ("Wie viele Urlaubstage habe ich?", "30 Urlaubstage", 4),
]
SILENT = [
    "What is the capital of France?",
    "Who won the world cup in 2014?",
    "What is the CEO's salary?",
    "Is there a gym in the office?",
    "What is the dress code?",
    "How do I reset my password?",
    "Wer ist der Geschäftsführer?",
    "Which programming language does the team use?",
]


@pytest.fixture(scope="module")
def embedder() -> MiniLM:
    return MiniLM()


@pytest.mark.parametrize(("question", "inside", "marker"), ANSWERED, ids=[question for question, _, _ in ANSWERED])
async def test_the_answering_sentence_is_found(question: str, inside: str, marker: int, embedder: MiniLM) -> None:
    found = await best_sentences(question, PASSAGES, embedder)
    assert found.certain
    assert inside in found.sentences[0].text
    assert found.sentences[0].marker == marker


@pytest.mark.parametrize("question", SILENT)
async def test_a_question_the_passages_do_not_answer_gets_no_sentence(question: str, embedder: MiniLM) -> None:
    assert (await best_sentences(question, PASSAGES, embedder)).sentences == ()


async def test_a_near_miss_is_offered_only_as_the_nearest(embedder: MiniLM) -> None:
    found = await best_sentences("How many days of parental leave do fathers get?", PASSAGES, embedder)
    assert not found.certain
    assert len(found.sentences) == 1


async def test_a_summary_says_different_things(embedder: MiniLM) -> None:
    found = await best_sentences("Summarise my documents", PASSAGES, embedder)
    assert 2 <= len(found.sentences) <= 4
    assert len({sentence.text for sentence in found.sentences}) == len(found.sentences)


async def test_the_same_sentence_of_overlapping_chunks_is_quoted_once(embedder: MiniLM) -> None:
    twice = [Passage("The key is under the mat.", 1), Passage("The key is under the mat. Water the plants.", 2)]
    found = await best_sentences("Where is the key?", twice, embedder)
    assert [sentence.text for sentence in found.sentences] == ["The key is under the mat."]


async def test_a_sentence_that_leans_on_the_one_before_brings_it_along(embedder: MiniLM) -> None:
    text = "The pump P-7 stands in the cellar. It must be serviced every six months."
    found = await best_sentences("How often must it be serviced?", [Passage(text, 1)], embedder)
    assert [sentence.text[:8] for sentence in found.sentences] == ["The pump", "It must "]


async def test_nothing_comes_of_nothing(embedder: MiniLM) -> None:
    assert (await best_sentences("What?", [], embedder)).sentences == ()
    assert (await best_sentences("", PASSAGES, embedder)).sentences == ()


def test_fences_of_code_are_no_part_of_a_sentence() -> None:
    assert units("How it is called:\n```sh\ndecode -x file\n```\nMore of it.") == [
        "How it is called:", "decode -x file", "More of it.",
    ]  # fmt: skip
    assert clean("Ask for help. ```") == "Ask for help."


@pytest.mark.parametrize(
    ("question", "text", "filename", "expected"),
    [
        ("What is the mileage of HB-K 202?", "Plate: HB-K 201; Mileage: 88210\nPlate: HB-K 202; Mileage: 143900",
         "data.xlsx", "Plate: HB-K 202; Mileage: 143900"),
        ("What is the value of MAX_ATTEMPTS in retry.py?", "import time\n\nMAX_ATTEMPTS = 7\n\nBASE_DELAY = 0.25",
         "retry.py", "MAX_ATTEMPTS = 7"),
        ("Darf ich einen Hund halten?", "Haustiere\n\nHunde dürfen nur mit Zustimmung gehalten werden.",
         "vertrag.txt", "Hunde dürfen nur mit Zustimmung gehalten werden."),
    ],
    ids=["a number plate", "a constant", "a dog, in German"],
)  # fmt: skip
async def test_what_is_asked_for_in_other_forms_is_found_for_certain(
    question: str, text: str, filename: str, expected: str, embedder: MiniLM
) -> None:
    found = await best_sentences(question, [Passage(text, 1, filename)], embedder)
    assert ([sentence.text for sentence in found.sentences], found.certain) == ([expected], True)


def test_a_long_sentence_is_cut_and_foreign_markers_lose_their_brackets() -> None:
    assert clean("- as shown in [3, 4] and 【5】") == "as shown in (3, 4) and (5)"
    assert len(clean("word " * 200)) <= 320


KETTLE = [
    Passage(text, number, "kettle.pdf")
    for number, text in enumerate(
        (
            "The Meridian Kettle handbook explains how to use your Meridian kettle. It was written by Dana Ferrell.",
            "The Meridian kettle holds 1.7 litres of water. Never overfill the kettle.",
            "Descale the Meridian kettle every 3 months.",
            "The warranty period is 30 months. Repairs are done by Meridian only.",
        ),
        1,
    )
]


@pytest.mark.parametrize(
    ("question", "inside"),
    [
        ("How long is the warranty of the Meridian kettle?", "30 months"),
        ("Who wrote the kettle handbook?", "written by Dana Ferrell"),
        ("How much water does the Meridian kettle hold?", "1.7 litres"),
        ("How often should I descale the kettle?", "every 3 months"),
    ],
)
async def test_words_that_all_passages_have_do_not_choose_the_sentence(
    question: str, inside: str, embedder: MiniLM
) -> None:
    found = await best_sentences(question, KETTLE, embedder)
    assert found.certain
    assert inside in found.sentences[-1].text
    assert len({sentence.marker for sentence in found.sentences}) == 1


async def test_the_subject_alone_is_no_answer(embedder: MiniLM) -> None:
    found = await best_sentences("Who is the CEO of Meridian?", KETTLE, embedder)
    assert not found.sentences or not found.certain


@pytest.mark.parametrize(
    ("question", "text", "answer"),
    [
        (
            "What is the hotel limit in Berlin?",
            "| City | Hotel limit |\n| --- | --- |\n| Berlin | 140 |\n| Oslo | 180 |",
            "City: Berlin, Hotel limit: 140",
        ),
        (
            "How many CPUs does the server have?",
            "server.name: atlas\nserver.cpu: 16\nserver.disk.size: 2 TB",
            "server.cpu: 16",
        ),
        (
            "Who is the captain of the boat?",
            "team[0].name: Ada\nteam[0].role: captain of the boat\n\nteam[1].name: Bo\nteam[1].role: cook",
            "name: Ada, role: captain of the boat",
        ),
    ],
    ids=["table", "values", "records"],
)
async def test_rows_and_values_are_shown_by_themselves(question: str, text: str, answer: str, embedder: MiniLM) -> None:
    found = await best_sentences(question, [Passage(text, 1)], embedder)
    assert [sentence.text for sentence in found.sentences] == [answer]


def test_a_row_without_its_head_keeps_its_cells() -> None:
    assert units("| Berlin | 140 |\n| Oslo | |") == ["Berlin, 140", "Oslo"]
