"""What every worker does, over the real one and the fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from backend.models.errors import WorkerFailed
from backend.workers.port import Limits, Worker
from backend.workers.process import ProcessWorker
from tests.fakes.worker import InlineWorker

JOBS = "tests.workers.sample_jobs"
PACKAGES = ("tests.workers",)


@pytest.fixture(params=["process", "inline"])
async def worker(request: pytest.FixtureRequest) -> AsyncIterator[Worker]:
    made: Worker = ProcessWorker(packages=PACKAGES) if request.param == "process" else InlineWorker(packages=PACKAGES)
    yield made
    await made.aclose()


async def failure(worker: Worker, job: str, payload: dict[str, Any], limits: Limits | None = None) -> WorkerFailed:
    with pytest.raises(WorkerFailed) as raised:
        await worker.run(f"{JOBS}:{job}", payload, limits=limits or Limits())
    return raised.value


async def test_a_job_returns_its_result(worker: Worker) -> None:
    assert await worker.run(f"{JOBS}:add", {"a": 2, "b": 3}, limits=Limits()) == 5


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"n": None, "t": True, "i": -5, "f": 1.5}, id="scalars"),
        pytest.param({"deep": [{"a": [1, [2, {"b": {}}]]}]}, id="nested"),
        pytest.param({"text": "ünïcødé 🙂 \u0000 \n"}, id="unicode"),
        pytest.param({"large": "x" * 900_000}, id="larger-than-a-socket-buffer"),
    ],
)
async def test_json_values_come_back_unchanged(worker: Worker, values: dict[str, Any]) -> None:
    assert await worker.run(f"{JOBS}:echo", values, limits=Limits()) == values


async def test_a_refusal_reaches_the_caller_word_for_word(worker: Worker) -> None:
    error = await failure(worker, "refuse", {"sentence": "The file is empty."})
    assert (error.reason, error.message) == ("refused", "The file is empty.")


async def test_an_exception_becomes_a_generic_error_that_quotes_nothing(worker: Worker) -> None:
    error = await failure(worker, "fail", {"secret": "hunter2"})
    assert error.reason == "error"
    assert "hunter2" not in error.message


async def test_a_result_that_is_not_json_is_an_error(worker: Worker) -> None:
    assert (await failure(worker, "not_json", {})).reason == "error"


async def test_a_result_above_the_limit_is_refused(worker: Worker) -> None:
    error = await failure(worker, "big", {"size": 5000}, Limits(output_bytes=4096))
    assert error.reason == "refused"


async def test_a_progress_value_above_the_limit_is_refused(worker: Worker) -> None:
    assert (await failure(worker, "talk_big", {"size": 5000}, Limits(output_bytes=4096))).reason == "refused"


async def test_a_job_that_is_late_fails_as_timeout(worker: Worker) -> None:
    error = await failure(worker, "sleep", {"seconds": 0.6}, Limits(seconds=0.1))
    assert error.reason == "timeout"
    assert "0.1 seconds" in error.message


async def test_a_generator_reports_progress_in_order_and_returns_its_value(worker: Worker) -> None:
    seen: list[Any] = []
    result = await worker.run(f"{JOBS}:count", {"to": 4}, limits=Limits(), on_progress=seen.append)
    await asyncio.sleep(0)
    assert (seen, result) == ([0, 1, 2, 3], "done")


async def test_progress_may_go_unheard(worker: Worker) -> None:
    assert await worker.run(f"{JOBS}:count", {"to": 2}, limits=Limits()) == "done"


async def test_jobs_run_side_by_side(worker: Worker) -> None:
    sums = await asyncio.gather(
        *(worker.run(f"{JOBS}:add", {"a": n, "b": n}, limits=Limits(seconds=20)) for n in range(8))
    )
    assert sums == [2 * n for n in range(8)]


@pytest.mark.parametrize(
    "job",
    [
        "os:system",
        "backend.workers.zygote:main",
        "backend.workers.jobs.math_job:evaluate",
        "tests.workers:add",
        "tests.workers.sample_jobs",
        "tests.workers.sample_jobs:_private",
        "tests.workers.sample_jobs:add.__globals__",
        "tests.workers.sample_jobs:add:add",
        "tests.workers..sample_jobs:add",
        "",
    ],
)
async def test_names_outside_the_job_packages_are_no_jobs(worker: Worker, job: str) -> None:
    with pytest.raises(ValueError, match="not a job"):
        await worker.run(job, {}, limits=Limits())


@pytest.mark.parametrize("name", ["Refusal", "loaded_by", "time", "missing"])
async def test_what_a_job_module_imports_cannot_be_called(worker: Worker, name: str) -> None:
    """The form `Refusal` is not even a name; the others are refused where they are looked up."""
    with pytest.raises((ValueError, WorkerFailed)):
        await worker.run(f"{JOBS}:{name}", {}, limits=Limits())
