"""The calculator: exact and numeric mathematics, worked out in a killable process."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Context
from typing import Any, ClassVar

from pydantic import BaseModel, Field

from backend.models.run import RunContext
from backend.models.tools import Proposal, ToolResult
from backend.tools.math_cues import expressions
from backend.tools.port import BaseTool, ToolServices
from backend.utils.math_text import to_expression
from backend.workers.port import Limits, Worker

JOB = "backend.workers.jobs.math_job:evaluate"
LIMITS = Limits(seconds=5.0, memory_mb=1024, output_bytes=262_144)
SIGNIFICANT = 10
"""Digits of an inexact number that are shown in the text."""
_DECIMAL = re.compile(r"\d+\.\d+(?:e[+-]?\d+)?")
_LONG_FRACTION = re.compile(r"(?=.{30})-?\d+/\d+")
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
        result = await self._worker.run(JOB, {"expression": to_expression(given), "asked": given}, limits=LIMITS)
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
            for found in expressions(query)
        ]


def _sentence(given: str, result: dict[str, Any]) -> str:
    """`18% of 2450 = 441`; `x^2 = 3 → x = -sqrt(3) or x = sqrt(3); numerically x = …`."""
    question = _cut(given.rstrip("?=. "), 200)
    sign, exact, numeric = result["sign"], result["exact"], result["numeric"]
    if numeric and (sign == "≈" or _LONG_FRACTION.fullmatch(exact)):
        return f"{question} ≈ {_cut(_rounded(numeric), MAX_SHOWN)}"
    text = f"{question} {sign} {_cut(_rounded(exact) if '≈' in exact else exact, MAX_SHOWN)}"
    if numeric:
        text += ("; numerically " if sign == "→" else " ≈ ") + _cut(_rounded(numeric), MAX_SHOWN)
    return text


def _rounded(text: str) -> str:
    """Every decimal in the text to ten significant digits, or to its whole part where that is longer."""
    return _DECIMAL.sub(_round, text)


def _round(found: re.Match[str]) -> str:
    written = found.group()
    digits = max(SIGNIFICANT, len(written.partition(".")[0]))
    value = Context(prec=digits).create_decimal(written)
    if "e" in written:
        return f"{value.normalize():e}"
    short = f"{value:f}"
    return short.rstrip("0").rstrip(".") if "." in short else short


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[: limit // 2]}…{text[-limit // 10 :]} ({len(text):,} characters)"
