"""A sentence about something else is no answer, however alike it is: names, codes, years, what is counted."""

from __future__ import annotations

import time

import pytest

from backend.embeddings.minilm import MiniLM
from backend.llm.builtin_agreement import read_candidates, weigh_words
from backend.llm.builtin_passages import Passage, best_sentences
from backend.llm.builtin_question import read_question

MANUAL = """Caffino A100

The A100 has a tank of 1.2 litres. The machine switches itself off after 20 minutes.

Caffino A200

The A200 has a tank of 1.8 litres. The machine switches itself off after 30 minutes.

Cleaning

Rinse the frother every day with warm water."""
NOTES = """# Project Kestrel: status meeting

Absent: Sofia Brandt

## Decisions

- The launch is moved to 15 September 2024, because the payment module is late.
- The budget is raised to 310,000 euros."""
TABLE = """Columns: sku, product, price_eur
sku: B1; product: Desk lamp Lumo; price_eur: 39.90
sku: B2; product: Floor lamp Alta; price_eur: 89.00"""
LIBRARY = "Chaque lecteur peut emprunter huit livres et trois DVD. Les impressions coûtent 0,10 euro la page."

ANSWERED = [
    ("After how many minutes does the A200 switch itself off?", MANUAL, "30 minutes"),
    ("After how many minutes does the A100 switch itself off?", MANUAL, "20 minutes"),
    ("How often should the frother of the A100 be rinsed?", MANUAL, "every day"),
    ("When is the launch of project Kestrel?", NOTES, "15 September 2024"),
    ("How much does the Floor lamp Alta cost?", TABLE, "89.00"),
    ("Combien de livres peut-on emprunter ?", LIBRARY, "huit livres"),
]
OTHER = [
    ("How large is the tank of the A300?", MANUAL),
    ("How heavy is the A200?", MANUAL),
    ("When is the launch of project Falcon?", NOTES),
    ("What was the Kestrel budget in 2022?", NOTES),
    ("What did Sofia Brandt say about the budget?", NOTES),
    ("What is the budget in the insurance contract?", NOTES),
    ("What is the phone number of project Kestrel?", NOTES),
    ("How much does the Floor lamp Nova cost?", TABLE),
    ("What is the weight of the Floor lamp Alta?", TABLE),
    ("Combien de magazines peut-on emprunter ?", LIBRARY),
    ("Qual é o preço da impressora?", LIBRARY),
]


@pytest.fixture(scope="module")
def embedder() -> MiniLM:
    return MiniLM()


@pytest.mark.parametrize(("question", "text", "inside"), ANSWERED, ids=[question for question, *_ in ANSWERED])
async def test_the_sentence_about_the_very_thing_answers(
    question: str, text: str, inside: str, embedder: MiniLM
) -> None:
    found = await best_sentences(question, [Passage(text, 1, "paper.txt")], embedder)
    assert found.certain
    assert [inside in sentence.text for sentence in found.sentences] == [True]


@pytest.mark.parametrize(("question", "text"), OTHER, ids=[question for question, _ in OTHER])
async def test_a_sentence_about_another_thing_is_at_most_the_nearest(
    question: str, text: str, embedder: MiniLM
) -> None:
    found = await best_sentences(question, [Passage(text, 1, "paper.txt")], embedder)
    assert not found.sentences or not found.certain


async def test_another_word_for_the_same_thing_is_taken(embedder: MiniLM) -> None:
    found = await best_sentences("How long is the car park closed?", [Passage("The garage is shut.", 1)], embedder)
    assert not found.sentences or not found.certain
    text = "The wages are paid on the last day of the month."
    found = await best_sentences("When is the salary paid?", [Passage(text, 1)], embedder)
    assert found.certain and "last day" in found.sentences[0].text


@pytest.mark.parametrize("piece", ["A1 ", "1. Word\n", "a: b; ", "Name Name ", "# h\n", "word. ", "x@", "9 May "])
def test_a_long_hostile_passage_takes_no_long_time(piece: str) -> None:
    clock = time.process_time()
    asked = read_question((piece * 2000)[:2000])
    weigh_words(asked, read_candidates([((piece * 20_000)[:20_000], 1, "x.txt")]))
    assert time.process_time() - clock < 10
