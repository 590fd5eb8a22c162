"""Follow-ups with the tools of the house: what is asked when the turns before are taken along."""

from __future__ import annotations

import pytest

from backend.llm.builtin_follow import whole_query
from tests.llm.test_builtin_real_tools import specs

CASES: list[tuple[str, list[str], str, str]] = [
    ("minus 56", ["What is 2^8?"], "2^8 = 256", "256 minus 56"),
    ("e diviso 4?", ["Quanto fa 20 per 5?"], "20 * 5 = 100", "100 diviso 4"),
    ("convert that to miles", ["What is 5 * 8.4 km?"], "5 * 8.4 = 42", "convert 42 km to miles"),
    (
        "add 10 to the second one",
        ["What is 15% of 200 and what is 15% of 300?"],
        "15% of 200 = 30\n\n15% of 300 = 45",
        "45 + 10",
    ),
    (
        "How much is that for 6 days?",
        ["What is the allowance for trips abroad?"],
        "The allowance is 28 euros for domestic trips and 45 euros for trips abroad. [1]",
        "45 * 6",
    ),
    ("and 20%?", ["What is 15% of 90?"], "15% of 90 = 13.5", "What is 20% of 90"),
    ("and E7?", ["What does error code E1 mean?"], "", "What does error code E7 mean"),
    ("and Turin?", ["Who manages the Lyon office?"], "", "Who manages the Turin office"),
    ("And the tenant?", ["Who is the landlord?"], "", "Who is the tenant"),
    ("And how high is the deposit?", ["thanks!", "Who is the landlord?"], "", "how high is the deposit?"),
    (
        "And for the South?",
        ["What is the total revenue for the North region in sales.csv?"],
        "",
        "What is the total revenue for the South region in sales.csv",
    ),
    ("what is 12*12?", ["How much is the deposit?"], "2,940 euros", "what is 12*12?"),
]


@pytest.mark.parametrize(("query", "earlier", "answer", "whole"), CASES, ids=[query for query, *_ in CASES])
def test_a_follow_up_is_asked_whole(query: str, earlier: list[str], answer: str, whole: str) -> None:
    assert whole_query(query, earlier, answer, specs()) == whole


def test_an_amount_that_could_be_either_is_not_guessed() -> None:
    answer = "It is 28 euros for trips and 45 euros for trips. [1]"
    whole = whole_query("How much is that for 6 days?", ["What is the allowance for trips?"], answer, specs())
    assert "* 6" not in whole
