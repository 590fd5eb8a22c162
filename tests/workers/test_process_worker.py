"""What only processes can do: be killed, limited, kept apart."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from backend.config.settings import Settings
from backend.models.errors import WorkerFailed
from backend.workers.port import Limits
from backend.workers.process import JOBS_AT_ONCE, ProcessWorker, create

JOBS = "tests.workers.sample_jobs"


@pytest.fixture
async def worker() -> AsyncIterator[ProcessWorker]:
    made = ProcessWorker(packages=("tests.workers",))
    yield made
    await made.aclose()


async def run(worker: ProcessWorker, job: str, *, limits: Limits | None = None, **payload: Any) -> Any:
    return await worker.run(f"{JOBS}:{job}", payload, limits=limits or Limits(seconds=5))


async def reason(worker: ProcessWorker, job: str, *, limits: Limits | None = None, **payload: Any) -> str:
    with pytest.raises(WorkerFailed) as raised:
        await run(worker, job, limits=limits, **payload)
    return raised.value.reason


def alive(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until(condition: Any, seconds: float = 3.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.01)
    return True


async def children_of(worker: ProcessWorker) -> set[str]:
    (pid,) = worker.zygotes().values()
    return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


async def test_nothing_is_started_before_the_first_job() -> None:
    worker = create(Settings(_env_file=None))  # type: ignore[call-arg]
    assert worker.zygotes() == {}
    await worker.aclose()


async def test_every_job_has_a_fresh_process_forked_from_one_warm_one(worker: ProcessWorker) -> None:
    first, second = await run(worker, "who"), await run(worker, "who")
    assert first["pid"] != second["pid"]
    assert first["parent"] == second["parent"] == first["loaded_by"] == worker.zygotes()[JOBS]
    assert first["group"] == first["pid"]


async def test_nothing_secret_is_in_a_workers_environment(
    worker: ProcessWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SECRET_KEY", "TAVILY_API_KEY", "OPENAI_API_KEY", "ANYTHING"):
        monkeypatch.setenv(name, "canary-4711")
    seen = await run(worker, "surroundings")
    assert set(seen["environ"]) == {"PATH", "LANG", "PYTHONPATH", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"}
    assert "canary-4711" not in orjson.dumps(seen).decode()
    assert seen["cwd"] == "/"


async def test_a_child_never_leaves_a_compiled_module_cut_short_by_its_limits(worker: ProcessWorker) -> None:
    assert (await run(worker, "surroundings"))["writes_bytecode"] is False


async def test_a_child_holds_only_its_own_socket(worker: ProcessWorker, tmp_path: Path) -> None:
    with (tmp_path / "private").open("w") as open_file:
        seen = await run(worker, "surroundings")
        assert open_file.name not in seen["descriptors"]
    assert sorted(d.split(":")[0] for d in seen["descriptors"]) == ["/dev/null", "/dev/null", "/dev/null", "socket"]


async def test_math_3_limits_are_set_before_the_job_runs(worker: ProcessWorker) -> None:
    seen = await run(worker, "limits", limits=Limits(seconds=2, memory_mb=100))
    assert seen["RLIMIT_CPU"] == [2, 3]
    assert 100 * 1024**2 < seen["RLIMIT_AS"][0] < 600 * 1024**2
    assert seen["RLIMIT_FSIZE"][0] <= 65_536
    assert seen["RLIMIT_CORE"] == [0, 0]


@pytest.mark.parametrize("job", ["spin", "swallow_everything", "stubborn", "long_c_call"])
async def test_math_3_a_job_that_never_ends_is_killed_in_time(worker: ProcessWorker, job: str) -> None:
    await run(worker, "add", a=1, b=1)
    clock = time.monotonic()
    assert await reason(worker, job, limits=Limits(seconds=0.3)) == "timeout"
    assert time.monotonic() - clock < 1.5
    assert await until(lambda: not Path(f"/proc/{worker.zygotes()[JOBS]}/task").exists() or _childless(worker))


def _childless(worker: ProcessWorker) -> bool:
    pid = worker.zygotes()[JOBS]
    return not Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@pytest.mark.parametrize("job", ["allocate", "hoard"])
async def test_math_3_a_job_that_wants_too_much_memory_fails_as_memory(worker: ProcessWorker, job: str) -> None:
    assert await reason(worker, job, limits=Limits(seconds=5, memory_mb=64)) == "memory"


@pytest.mark.parametrize("job", ["abort", "segfault", "leave"])
async def test_a_job_that_dies_fails_as_crashed_and_the_next_one_works(worker: ProcessWorker, job: str) -> None:
    assert await reason(worker, job) == "crashed"
    assert await run(worker, "add", a=1, b=1) == 2


async def test_a_job_cannot_write_a_large_file(worker: ProcessWorker, tmp_path: Path) -> None:
    assert await reason(worker, "write_file", folder=str(tmp_path)) == "error"
    assert (tmp_path / "big").stat().st_size <= 65_536


async def test_the_log_names_the_kind_and_place_of_a_failure_but_quotes_no_input(
    worker: ProcessWorker, caplog: pytest.LogCaptureFixture
) -> None:
    assert await reason(worker, "fail", secret="canary-4711") == "error"
    assert "KeyError at sample_jobs.py" in caplog.text
    assert "canary-4711" not in caplog.text


async def test_cancelling_a_run_kills_its_child_at_once(worker: ProcessWorker) -> None:
    await run(worker, "add", a=1, b=1)
    task = asyncio.create_task(run(worker, "sleep", seconds=60, limits=Limits(seconds=100)))
    assert await until(lambda: not _childless(worker))
    (child,) = await children_of(worker)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await until(lambda: not alive(int(child)), 1.0)
    assert await run(worker, "add", a=1, b=1) == 2


async def test_cancelling_while_the_zygote_starts_leaves_it_to_the_others(worker: ProcessWorker) -> None:
    first = asyncio.create_task(run(worker, "add", a=1, b=1))
    second = asyncio.create_task(run(worker, "add", a=2, b=2))
    await asyncio.sleep(0.01)
    first.cancel()
    assert await second == 4
    with contextlib.suppress(asyncio.CancelledError):
        await first


@pytest.mark.parametrize("job", ["grandchild", "fork_and_leave"])
async def test_a_killed_or_finished_job_takes_its_offspring_with_it(
    worker: ProcessWorker, tmp_path: Path, job: str
) -> None:
    mark = tmp_path / "pid"
    with contextlib.suppress(WorkerFailed):
        await run(worker, job, mark=str(mark), limits=Limits(seconds=0.5))
    assert await until(lambda: not alive(int(mark.read_text())))


async def test_at_most_so_many_jobs_run_at_once_and_the_rest_in_order(worker: ProcessWorker, tmp_path: Path) -> None:
    most, done = 0, list[int]()

    async def one(number: int) -> None:
        await run(worker, "sleep", seconds=0.1, mark=str(tmp_path / "mark"), limits=Limits(seconds=20))
        done.append(number)

    jobs = [asyncio.create_task(one(number)) for number in range(6)]
    while not all(job.done() for job in jobs):
        if worker.zygotes():
            most = max(most, len(await children_of(worker)))
        await asyncio.sleep(0.005)
    assert most == JOBS_AT_ONCE
    assert [number // JOBS_AT_ONCE for number in done] == [0, 0, 1, 1, 2, 2]


async def test_a_job_cancelled_in_the_queue_never_runs(worker: ProcessWorker, tmp_path: Path) -> None:
    busy = [asyncio.create_task(run(worker, "sleep", seconds=0.2)) for _ in range(JOBS_AT_ONCE)]
    await asyncio.sleep(0)
    waiting = asyncio.create_task(run(worker, "sleep", seconds=0.0, mark=str(tmp_path / "mark")))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.gather(*busy)
    assert await run(worker, "add", a=1, b=1) == 2
    assert not (tmp_path / "mark").exists()


async def test_time_in_the_queue_does_not_count(worker: ProcessWorker) -> None:
    limits = Limits(seconds=0.8)
    assert await asyncio.gather(*(run(worker, "sleep", seconds=0.3, limits=limits) for _ in range(6))) == ["slept"] * 6


async def test_a_dead_zygote_fails_running_jobs_and_is_replaced(worker: ProcessWorker) -> None:
    await run(worker, "add", a=1, b=1)
    before = worker.zygotes()[JOBS]
    task = asyncio.create_task(run(worker, "sleep", seconds=60, limits=Limits(seconds=100)))
    assert await until(lambda: not _childless(worker))
    await asyncio.sleep(0.1)
    (child,) = await children_of(worker)
    os.kill(before, signal.SIGKILL)
    with pytest.raises(WorkerFailed) as raised:
        await task
    assert raised.value.reason == "crashed"
    assert await until(lambda: not alive(int(child)))
    assert await run(worker, "add", a=2, b=2) == 4
    assert worker.zygotes()[JOBS] != before


async def test_a_zygote_that_died_unnoticed_costs_the_caller_nothing(worker: ProcessWorker) -> None:
    for _ in range(3):
        await run(worker, "add", a=1, b=1)
        os.kill(worker.zygotes()[JOBS], signal.SIGKILL)
        assert await run(worker, "add", a=2, b=2) == 4


async def test_an_idle_zygote_is_ended_and_comes_back_when_needed() -> None:
    worker = ProcessWorker(packages=("tests.workers",), idle_seconds=0.1)
    await run(worker, "add", a=1, b=1)
    pid = worker.zygotes()[JOBS]
    assert await until(lambda: not alive(pid))
    assert worker.zygotes() == {}
    assert await run(worker, "add", a=1, b=1) == 2
    await worker.aclose()


async def test_a_job_longer_than_the_idle_time_is_left_alone() -> None:
    worker = ProcessWorker(packages=("tests.workers",), idle_seconds=0.05)
    assert await run(worker, "sleep", seconds=0.3) == "slept"
    await worker.aclose()


async def test_closing_ends_every_process_and_fails_what_runs(worker: ProcessWorker) -> None:
    await run(worker, "add", a=1, b=1)
    zygote = worker.zygotes()[JOBS]
    task = asyncio.create_task(run(worker, "sleep", seconds=60, limits=Limits(seconds=100)))
    assert await until(lambda: not _childless(worker))
    (child,) = await children_of(worker)
    await worker.aclose()
    with pytest.raises(WorkerFailed):
        await task
    assert not alive(zygote)
    assert await until(lambda: not alive(int(child)))
    with pytest.raises(WorkerFailed, match="stopping"):
        await run(worker, "add", a=1, b=1)


async def test_the_zygote_ends_with_the_server() -> None:
    """A server that is killed outright leaves no process behind."""
    code = (
        "import asyncio, os, signal\n"
        "from backend.workers.process import ProcessWorker\n"
        "from backend.workers.port import Limits\n"
        "async def main():\n"
        "    worker = ProcessWorker(packages=('tests.workers',))\n"
        f"    who = await worker.run('{JOBS}:who', {{}}, limits=Limits())\n"
        f"    asyncio.create_task(worker.run('{JOBS}:sleep', {{'seconds': 60}}, limits=Limits(seconds=90)))\n"
        "    await asyncio.sleep(0.3)\n"
        "    child = open(f\"/proc/{who['parent']}/task/{who['parent']}/children\").read().split()[0]\n"
        "    print(who['parent'], child, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    out, _ = await process.communicate()
    for pid in out.split():
        assert await until(lambda pid=int(pid): not alive(pid))
