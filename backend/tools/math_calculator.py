"""The calculator: exact and numeric mathematics, worked out in a killable process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from backend.models.run import RunContext
from backend.models.tools import Proposal, ToolResult
from backend.tools.port import BaseTool, ToolServices
from backend.utils.math_text import find_expressions, to_expression
from backend.workers.port import Limits, Worker

JOB = "backend.workers.jobs.math_job:evaluate"
LIMITS = Limits(seconds=5.0, memory_mb=1024, output_bytes=262_144)
MAX_SHOWN = 1000
"""Characters of a result that are shown in the text; `data` has it whole."""


def create(services: ToolServices) -> MathCalculator:
    return MathCalculator(services.worker)


class Arguments(BaseModel):
    expression: str = Field(
        min_length=1,
        max_length=2000,
        description="One expression or equation, e.g. 2+3*4, 18% of 2450, solve(x^2-4, x), diff(sin(x)*x, x), "
        "integrate(x^2, (x, 0, 3)), det(Matrix([[1,2],[3,4]])), convert_to(5*mile, km), N(pi, 50)",
    )


class MathCalculator(BaseTool):
    name = "math_calc"
    description = (
        "Works out mathematics exactly and numerically: arithmetic, percentages, algebra, equations, systems and "
        "inequalities, derivatives, integrals, limits, series, sums, matrices, number theory, units of measure. "
        "Use it for every calculation instead of computing in your head; not for statistics of tables."
    )
    Args: ClassVar[type[BaseModel]] = Arguments
    timeout_s = 20.0
    """More than the 5 seconds of the calculation: the process may have to start, and others may be first."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def run(self, arguments: Any, context: RunContext) -> ToolResult:
        """Raises WorkerFailed, whose message says what was wrong with the expression or that it took too long."""
        given = " ".join(arguments.expression.split())
        result = await self._worker.run(JOB, {"expression": to_expression(given)}, limits=LIMITS)
        data = {
            "expression": given,
            "exact": result["exact"],
            "numeric": result["numeric"],
            "latex": result["latex"],
        }
        return ToolResult(_sentence(given, result), data)

    def propose(self, query: str, context: RunContext) -> Sequence[Proposal]:
        return [
            Proposal({"expression": found.expression}, found.confidence, "an expression that can be worked out")
            for found in find_expressions(query)
        ]


def _sentence(given: str, result: dict[str, Any]) -> str:
    """`18% of 2450 = 441`; `x^2 = 3 → x = -sqrt(3) or x = sqrt(3); numerically x = …`."""
    question = given.rstrip("?=. ")
    text = f"{_cut(question, 200)} {result['sign']} {_cut(result['exact'], MAX_SHOWN)}"
    if result["numeric"]:
        joint = "; numerically " if result["sign"] == "→" else " ≈ "
        text += joint + _cut(result["numeric"], MAX_SHOWN)
    return text


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[: limit // 2]}…{text[-limit // 10 :]} ({len(text):,} characters)"
