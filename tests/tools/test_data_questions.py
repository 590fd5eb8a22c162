"""Questions about tables: rows chosen by their values, fields by other words, and what a table does not have."""

from __future__ import annotations

import pytest

from backend.workers.jobs.data_job import analyse

SALES = """month,region,units,revenue_eur
Jan,North,120,24000
Jan,South,95,19000
Feb,North,110,22500
Feb,South,130,26800"""
STAFF = """name,salary,start_year
Ada,52000,2019
Ben,41000,2021
Cleo,58000,2019"""

ANSWERED = [
    ("What is the average revenue?", SALES, "The mean of revenue_eur is 23075 (over 4 values).", 23075),
    ("Wie hoch ist der durchschnittliche Umsatz?", SALES, "The mean of revenue_eur is 23075 (over 4 values).", 23075),
    ("How many units were sold in the North region?", SALES, "Where region is North: The sum of units is 230", 230),
    ("Total revenue in Jan in the South", SALES, "Where month is Jan and region is South: The sum of", 19000),
    ("Which month has the highest total units in the North region?", SALES, "Where region is North: Jan", None),
    ("revenue per region", SALES, "The sum of revenue_eur per region: North 46500, South 45800.", None),
    ("What is the range of the units?", SALES, "The range of units is 35, from 95 to 130 (over 4 values).", None),
    ("How many months are there?", SALES, "month has 4 values.", 4),
    ("What is the average pay?", STAFF, "The mean of salary is 50333.33333 (over 3 values).", 50333.3333333333),
    ("What is the average salary in 2019?", STAFF, "Where start_year is 2019: The mean of salary is 55000", 55000),
    ("What is the most common start year?", STAFF, "The most common value of start_year is 2019 (2 times).", None),
    ("mean", "[3, 4, 8]", "The mean of value is 5 (over 3 values).", 5),
]


@pytest.mark.parametrize(("question", "data", "answer", "number"), ANSWERED, ids=[each[0] for each in ANSWERED])
def test_the_question_is_answered_from_the_rows_it_names(
    question: str, data: str, answer: str, number: float | None
) -> None:
    result = analyse(data, question=question)
    assert (result["answer"] or "").startswith(answer)
    if number is not None:
        assert result["numeric"] == pytest.approx(number)


@pytest.mark.parametrize(
    ("question", "unknown"),
    [
        ("What is the total revenue for 2023?", ["2023"]),
        ("Total units in the West region", ["West"]),
        ("What is the average salary in 2018?", ["2018"]),
    ],
)
def test_years_and_names_that_the_data_has_not_are_told(question: str, unknown: list[str]) -> None:
    result = analyse(STAFF if "salary" in question else SALES, question=question)
    assert result["answer"] is None
    assert result["unknown"] == unknown


@pytest.mark.parametrize("question", ["What is the average discount?", "What is the total bonus?"])
def test_a_statistic_of_no_field_has_no_answer(question: str) -> None:
    for data in (SALES, STAFF):
        result = analyse(data, question=question)
        assert result["answer"] is None
        assert result["unknown"] == []
