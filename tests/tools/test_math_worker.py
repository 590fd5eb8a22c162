"""The calculator in its real process: what the bounds let through is still stopped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from backend.models.errors import WorkerFailed
from backend.models.run import Owner, RunContext
from backend.tools.math_calculator import JOB, Arguments, MathCalculator
from backend.workers.port import Limits
from backend.workers.process import ProcessWorker

pytestmark = pytest.mark.asyncio(loop_scope="module")
CONTEXT = RunContext(Owner("default", "u1"), "run", None, "request")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def worker() -> AsyncIterator[ProcessWorker]:
    made = ProcessWorker()
    yield made
    await made.aclose()


@pytest.mark.slow
@pytest.mark.parametrize(
    "expression",
    [
        pytest.param("integrate(sin(x^x)*exp(cos(x))*log(x+tan(x)), x)", id="integral without end"),
        pytest.param("factorint(1000000000000000003*1000000007^0*999999999989)", id="hard factors"),
        pytest.param("solve(x^40 + y*x^17 - sin(y)*x + tan(x) + 1, x)", id="equation without end"),
        pytest.param("simplify((sin(x)+cos(y)+tan(z))^12*(sin(y)-cos(x))^12)", id="simplify"),
        pytest.param("expand((a+b+c+x+y)^18)*expand((a+b+c+x+y)^18)", id="large expansion"),
        pytest.param("exp(log(2)*10^13)", id="hidden power"),
        pytest.param("integrate(1/(x^30+x+1), x)", id="rational integral"),
        pytest.param("Sum(2^(2^n), (n, 1, 13))", id="sum of towers"),
    ],
)
async def test_math_3_whatever_gets_past_the_bounds_ends_in_time(worker: ProcessWorker, expression: str) -> None:
    await worker.run(JOB, {"expression": "1+1"}, limits=Limits(seconds=10))
    clock = time.monotonic()
    try:
        await worker.run(JOB, {"expression": expression}, limits=Limits(seconds=0.8, memory_mb=512))
    except WorkerFailed as failed:
        assert failed.reason in {"timeout", "memory", "refused"}
    assert time.monotonic() - clock < 2.5
    assert (await worker.run(JOB, {"expression": "1+1"}, limits=Limits(seconds=10)))["exact"] == "2"


async def test_math_3_a_calculation_without_end_is_reported_as_such(worker: ProcessWorker) -> None:
    with pytest.raises(WorkerFailed) as failed:
        await worker.run(
            JOB,
            {"expression": "integrate(sin(x^x)*exp(cos(x))*log(x+tan(x)), x)"},
            limits=Limits(seconds=0.4, memory_mb=512),
        )
    assert failed.value.reason == "timeout"


async def test_math_3_the_event_loop_stays_free_meanwhile(worker: ProcessWorker) -> None:
    hard = {"expression": "integrate(sin(x^x)*exp(cos(x))*log(x+tan(x)), x)"}
    task = asyncio.create_task(worker.run(JOB, hard, limits=Limits(seconds=0.5)))
    worst, last = 0.0, time.monotonic()
    while not task.done():
        await asyncio.sleep(0.005)
        worst, last = max(worst, time.monotonic() - last), time.monotonic()
    assert worst < 0.25
    with pytest.raises(WorkerFailed):
        await task


async def test_math_1_the_process_that_calculates_holds_no_secret(
    worker: ProcessWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_KEY", "canary-4711")
    await worker.run(JOB, {"expression": "1+1"}, limits=Limits(seconds=10))
    (pid,) = worker.zygotes().values()
    assert b"canary-4711" not in Path(f"/proc/{pid}/environ").read_bytes()


async def test_the_tool_answers_through_the_real_process(worker: ProcessWorker) -> None:
    result = await MathCalculator(worker).run(Arguments(expression="18% of 2450"), CONTEXT)
    assert result.text == "18% of 2450 = 441"
