"""A worker without processes, for tests of what stands above it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from backend.models.errors import WorkerFailed
from backend.workers.job_names import JOB_PACKAGES, function_of, preload, split_job
from backend.workers.port import Limits, Refusal


class InlineWorker:
    """Runs the job's function in a thread of this process. Same reasons for failing, except `memory` and `crashed`.

    `calls` are the jobs and payloads in order. A job that is cancelled or late goes on in its thread, unheard.
    """

    def __init__(self, *, packages: Sequence[str] = JOB_PACKAGES) -> None:
        self._packages = tuple(packages)
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def run(
        self,
        job: str,
        payload: Mapping[str, Any],
        *,
        limits: Limits,
        on_progress: Callable[[Any], None] | None = None,
    ) -> Any:
        module, name = split_job(job, self._packages)
        sent = orjson.loads(orjson.dumps(dict(payload)))
        self.calls.append((job, sent))
        loop = asyncio.get_running_loop()

        def report(value: Any) -> None:
            value = _as_json(value, limits)
            if on_progress is not None:
                loop.call_soon_threadsafe(on_progress, value)

        try:
            async with asyncio.timeout(limits.seconds):
                return await asyncio.to_thread(_call, module, name, sent, limits, report)
        except TimeoutError:
            raise WorkerFailed(f"This took longer than {limits.seconds:g} seconds.", reason="timeout") from None
        except Refusal as refusal:
            raise WorkerFailed(str(refusal), reason="refused") from None
        except MemoryError:
            raise WorkerFailed("This needed too much memory.", reason="memory") from None
        except Exception as error:
            raise WorkerFailed("This could not be worked out.", reason="error") from error

    async def aclose(self) -> None:
        return None


def _call(module: str, name: str, payload: dict[str, Any], limits: Limits, report: Callable[[Any], None]) -> Any:
    outcome = function_of(preload(module), name)(**payload)
    if inspect.isgenerator(outcome):
        outcome = _drain(outcome, report)
    return _as_json(outcome, limits)


def _drain(steps: Any, report: Callable[[Any], None]) -> Any:
    while True:
        try:
            report(next(steps))
        except StopIteration as stop:
            return stop.value


def _as_json(value: Any, limits: Limits) -> Any:
    data = orjson.dumps(value)
    if len(data) > limits.output_bytes:
        raise Refusal("The result is larger than allowed; ask for less.")
    return orjson.loads(data)
