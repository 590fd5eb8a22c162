"""The built-in model over the tools of the house: which calls their own proposals lead to."""

from __future__ import annotations

from typing import Any, cast

import pytest

from backend.core.toolbox import ToolRegistry
from backend.models.messages import Message
from backend.models.run import Owner, RunContext
from backend.models.tools import ToolSpec
from backend.tools.data_analysis import DataAnalysis
from backend.tools.math_calculator import MathCalculator
from backend.tools.rag_retriever import RagRetriever
from tests.llm.asking import calls_of, said, user

CONTEXT = RunContext(Owner("default", "u1"), "run", None, "req", documents=("handbook.pdf", "sales.csv"))
HANDBOOK = ["handbook.pdf"]


def specs() -> tuple[ToolSpec, ...]:
    """Proposing needs none of a tool's services."""
    nothing = cast("Any", None)
    tools = [DataAnalysis(nothing, nothing), MathCalculator(nothing), RagRetriever(nothing, nothing)]
    return ToolRegistry(tools).toolbox(CONTEXT).specs()


CASES: list[tuple[list[str], list[tuple[str, dict[str, Any]]]]] = [
    (["What is 12*7?"], [("math_calc", {"expression": "12*7"})]),
    (["Solve x^2 - 5x + 6 = 0"], [("math_calc", {"expression": "x^2 - 5x + 6 = 0"})]),
    (["Berechne die Wurzel aus 144"], [("math_calc", {"expression": "sqrt(144)"})]),
    (
        ["How many vacation days do employees get?"],
        [("rag_retrieval", {"query": "How many vacation days do employees get?"})],
    ),
    (["What is the average price in sales.csv?"], [("data_analysis", {"file": "sales.csv"})]),
    (['Analyse [{"a":1},{"a":2}] and compute the mean of a'], [("data_analysis", {"data": '[{"a":1},{"a":2}]'})]),
    (
        ["What is 12*7 and what does the handbook say about vacation?"],
        [("math_calc", {"expression": "12*7"}), ("rag_retrieval", {"files": HANDBOOK})],
    ),
    (["What is 12*7?", "12*7 = 84", "divide that by 4"], [("math_calc", {"expression": "84 / 4"})]),
    (
        ["How many metres are 5 miles?", "8047 m", "and in km?"],
        [("math_calc", {"expression": "convert_to(5*miles, km)"})],
    ),
    (
        ["What does the handbook say about vacation?", "28 days", "and about sick leave?"],
        [("rag_retrieval", {"query": "What does the handbook say about sick leave", "files": HANDBOOK})],
    ),
]


@pytest.mark.parametrize(("turns", "expected"), CASES, ids=[turns[-1][:40] for turns, _ in CASES])
async def test_the_tools_of_the_house_are_called(turns: list[str], expected: list[tuple[str, dict[str, Any]]]) -> None:
    messages: list[Message] = [user(text) if i % 2 == 0 else said(text) for i, text in enumerate(turns)]
    calls = await calls_of(*messages, tools=specs())
    assert [name for name, _ in calls] == [name for name, _ in expected]
    for (_, given), (_, wanted) in zip(calls, expected, strict=True):
        assert {key: given.get(key) for key in wanted} == wanted
