"""The built-in model driving the real agents: from a question to a cited answer, with no language model anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from pydantic import BaseModel

from backend.core.agent import Agent
from backend.core.agent_graph import create_agent as create_planner
from backend.core.react_agent import create_agent as create_react
from backend.core.toolbox import ToolRegistry
from backend.llm.builtin import MODEL, BuiltinModel
from backend.llm.port import Model, Sampling
from backend.models.messages import Event, Finished, Message, StepPlanned, TextDelta, ToolFinished
from backend.models.run import Owner, RunContext
from backend.models.tools import Proposal, Source, ToolResult
from backend.tools.port import BaseTool
from tests.fakes.toy_specs import WordEmbedder, propose_documents, propose_math

AGENTS = {"react": create_react, "plan_execute": create_planner}
PASSAGES = (
    ("Every employee is entitled to 28 vacation days per year. Unused days expire on 31 March.", 3),
    ("Sick leave must be reported before 9 a.m.", 4),
)


def fresh_context() -> RunContext:
    """Made when a test runs: its deadline counts from then."""
    return RunContext(Owner("default", "u1"), "run", None, "req", documents=("handbook.pdf",), fence="f" * 20)


class MathArgs(BaseModel):
    expression: str


class QueryArgs(BaseModel):
    query: str


@dataclass
class ToyMath(BaseTool):
    """Adds, subtracts and multiplies two integers; everything else is an error."""

    name: str = "math_calc"
    description: str = "Calculates exactly."
    timeout_s: float = 5.0
    Args = MathArgs
    asked: list[str] = field(default_factory=list)

    async def run(self, arguments: Any, context: RunContext) -> ToolResult:
        self.asked.append(arguments.expression)
        plain = arguments.expression.replace("(", "").replace(")", "").replace(" ", "")
        for sign in "*+-":
            left, found, right = plain.partition(sign)
            if found and left.isdigit() and right.isdigit():
                a, b = int(left), int(right)
                value = {"*": a * b, "+": a + b, "-": a - b}[sign]
                return ToolResult(f"{plain} = {value}", {"exact": str(value), "numeric": value})
        return ToolResult("", error="This expression cannot be calculated.")

    def propose(self, query: str, context: RunContext) -> Sequence[Proposal]:
        return propose_math(query)


@dataclass
class ToyRetriever(BaseTool):
    name: str = "rag_retrieval"
    description: str = "Finds passages in the user's documents."
    timeout_s: float = 5.0
    untrusted: bool = True
    Args = QueryArgs

    async def run(self, arguments: Any, context: RunContext) -> ToolResult:
        sources = tuple(
            Source(
                "document", f"handbook.pdf, p. {page}", text, f"/files/f1/view#page={page}", "f1", "handbook.pdf", page
            )
            for text, page in PASSAGES
        )
        return ToolResult(f"{len(sources)} passages", sources=sources)

    def propose(self, query: str, context: RunContext) -> Sequence[Proposal]:
        return propose_documents(query)


async def answer(
    agent_name: str, query: str, *earlier: Message, sampling: Sampling | None = None
) -> tuple[str, list[Event], ToyMath]:
    math = ToyMath()
    model = BuiltinModel(WordEmbedder())
    registry = ToolRegistry([math, ToyRetriever()])
    served = Model(model, await model.describe(MODEL), sampling or Sampling())
    context = fresh_context()
    agent: Agent = AGENTS[agent_name](served, registry.toolbox(context))
    async with asyncio.timeout(20):
        events = [event async for event in agent.run([*earlier, Message("user", query)], context)]
    return "".join(event.text for event in events if isinstance(event, TextDelta)), events, math


both = pytest.mark.parametrize("agent", list(AGENTS))


@both
async def test_a_calculation_is_answered(agent: str) -> None:
    text, events, _ = await answer(agent, "What is 12*7?")
    assert text == "12*7 = 84"
    assert events[-1] == Finished("stop")


@both
async def test_two_parts_are_answered_with_a_citation(agent: str) -> None:
    query = "What is 12*7 and how many vacation days does the handbook grant an employee?"
    text, events, _ = await answer(agent, query)
    assert text == "12*7 = 84\n\nEvery employee is entitled to 28 vacation days per year. [1]"
    assert len([event for event in events if isinstance(event, ToolFinished)]) == 2


@both
async def test_a_dependent_part_computes_with_the_earlier_value(agent: str) -> None:
    text, _, math = await answer(agent, "What is 12*7 and then add 16 to the result")
    assert [asked.replace("(", "").replace(")", "").replace(" ", "") for asked in math.asked] == ["12*7", "84+16"]
    assert text.endswith("84+16 = 100")


@both
async def test_what_the_documents_do_not_say_is_not_invented(agent: str) -> None:
    text, _, _ = await answer(agent, "What does the handbook say about parking spaces?")
    assert "do not contain" in text
    assert "[1]" not in text


@both
async def test_a_failing_tool_is_told_and_tried_once(agent: str) -> None:
    text, events, math = await answer(agent, "What is 2^3?")
    assert "This expression cannot be calculated." in text
    assert isinstance(events[-1], Finished)
    assert len(set(math.asked)) == 1


@both
async def test_a_query_without_need_of_tools_gets_the_introduction(agent: str) -> None:
    text, events, _ = await answer(agent, "Sing me a song")
    assert "built-in model" in text
    assert events[-1] == Finished("stop")


async def test_a_follow_up_runs_on_the_turn_before() -> None:
    earlier = (Message("user", "What is 12*7?"), Message("assistant", "12*7 = 84"))
    text, _, _ = await answer("react", "subtract 4 from that", *earlier)
    assert text == "84-4 = 80"


async def test_the_plan_is_shown_with_its_dependency() -> None:
    _, events, _ = await answer("plan_execute", "What is 12*7 and then add 16 to the result")
    planned = [event for event in events if isinstance(event, StepPlanned)]
    assert [(step.id, step.depends_on) for step in planned] == [("s1", ()), ("s2", ("s1",))]


@both
@pytest.mark.parametrize(
    ("query", "begin"), [("What is 12*7?", "12*7"), ("What does the handbook say about vacation?", "Every employee is")]
)
async def test_the_answer_is_cut_at_max_tokens(agent: str, query: str, begin: str) -> None:
    text, events, _ = await answer(agent, query, sampling=Sampling(max_tokens=3))
    assert text == begin
    assert events[-1] == Finished("length")
