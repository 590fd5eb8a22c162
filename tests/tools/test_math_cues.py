"""Calculations in everyday words: what they are rewritten to, and what is left alone."""

from __future__ import annotations

import time

import pytest

from backend.tools.math_cues import expressions
from backend.tools.math_dates import days_between

TOLD = [
    ("A jacket costs 120 euros and is reduced by 15%. What do I pay?", "120 - 15%"),
    ("The rent was 900 euros and is increased by 4%, what is it now?", "900 + 4%"),
    ("A bill of 93.60 is split between three friends; how much does each pay?", "93.60 / 3"),
    ("If I save 350 a month, how much is that in two years?", "350 * 12 * 2"),
    ("I earn 2,400 euros for 160 hours, what is that per hour?", "2,400 / 160"),
    ("I drove 210 km in 3 hours. What is that per hour?", "210 / 3"),
    ("What is half of 1,250 plus 75?", "(1/2*1,250) + 75"),
    ("what's three quarters of 96", "(3/4*96)"),
    ("What is 80 plus 19% tax?", "80 + 19%"),
    ("seven hundred and fifty minus 180", "750 - 180"),
    ("Was ist die Hälfte von 98?", "(1/2*98)"),
    ("Wie viel sind 1.250 Euro plus 19 % Mehrwertsteuer?", "1250 + 19 %"),
    ("Was ist das Doppelte von 21?", "(2*21)"),
    ("Quelle est la moitié de 74 ?", "(1/2*74)"),
    ("¿Cuánto es el 21% de 300?", "21% of 300"),
    ("¿Cuántos gramos son 2,5 kilos?", "convert_to(2.5*kilogram, gram)"),
    ("Quanto fa 18 per 7?", "18 * 7"),
    ("Qual è la radice quadrata di 81?", "sqrt(81)"),
    ("Quanto é 9 vezes 13?", "9 * 13"),
    ("Resolva 4x = 52", "4x = 52"),
    ("Solve x + y = 10 and x - y = 4", "solve([x + y = 10, x - y = 4])"),
    ("Resuelve x + y = 10 y x - y = 4", "solve([x + y = 10, x - y = 4])"),
]


@pytest.mark.parametrize(("query", "expected"), TOLD, ids=[query for query, _ in TOLD])
def test_everyday_words_are_worked_out(query: str, expected: str) -> None:
    found = expressions(query)
    assert [each.expression for each in found] == [expected]
    assert found[0].confidence >= 0.9


@pytest.mark.parametrize(
    "query",
    [
        "The room is shared by 3 people on the 2nd floor",
        "How many days a week can I work from home?",
        "Who manages the Lyon office since 2015?",
        "He was paid 40 euros a month towards internet costs",
        "What does error E5 mean?",
        "The two main points",
        "Version 1.2.3 of the 4th of May",
    ],
)
def test_ordinary_text_is_no_calculation(query: str) -> None:
    assert [each for each in expressions(query) if each.confidence >= 0.8] == []


DAYS = [
    ("How many days are there between 3 March 2024 and 20 March 2024?", "20 - 3"),
    ("How many days are between 28 January and 3 March 2024?", "(31 - 28) + 29 + 3"),
    ("Wie viele Tage liegen zwischen dem 24.12.2023 und dem 02.01.2024?", "(31 - 24) + 2"),
    ("How many days from 2023-12-30 to 2025-01-02?", "(31 - 30) + 366 + 2"),
    ("Combien de jours entre le 5 mai et le 7 juin ?", "(31 - 5) + 7"),
    ("How many days between June 1 and May 30, 2024?", "(31 - 30) + 1"),
    ("How many days between 1 February and 5 March?", None),
    ("How many days between 31 February 2024 and 5 March 2024?", None),
    ("The meeting on 3 March 2024 and the one on 20 March 2024", None),
    ("How many days of vacation do I have?", None),
]


@pytest.mark.parametrize(("query", "expected"), DAYS, ids=[query for query, _ in DAYS])
def test_days_between_dates_are_a_sum_that_can_be_checked(query: str, expected: str | None) -> None:
    assert days_between(query) == expected


@pytest.mark.parametrize("piece", ["1 ", "a ", "half of ", "5 % ", "split 3 ", "per 1 ", "20.000.", "3 a month ", "- "])
def test_long_hostile_text_takes_no_long_time(piece: str) -> None:
    clock = time.process_time()
    for size in (599, 4000, 500_000):
        expressions((piece * size)[:size])
    assert time.process_time() - clock < 10
