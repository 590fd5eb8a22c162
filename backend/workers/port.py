"""The port of the killable worker process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may use. Breaking any of them kills the job's process.

    `seconds` is wall time and CPU time alike; `memory_mb` the address space beyond what the warm process holds
    already; `output_bytes` the size of the result as JSON; `file_mb` the largest file it may write (0: 64 KiB).
    """

    seconds: float = 5.0
    memory_mb: int = 1024
    output_bytes: int = 1_048_576
    file_mb: int = 0


class Worker(Protocol):
    """Runs a function in a process of its own, which is never used for a second job."""

    async def run(
        self,
        job: str,
        payload: Mapping[str, Any],
        *,
        limits: Limits,
        on_progress: Callable[[Any], None] | None = None,
    ) -> Any:
        """Call `module:function` (inside the `backend` package) with the payload as keyword arguments.

        Payload, progress values and result are JSON values. If the function is a generator, each yielded value
        goes to `on_progress` as it comes and the generator's return value is the result.
        Cancelling this call kills the process.

        Raises:
            WorkerFailed: reason `timeout`, `memory`, `crashed`, or `refused` (the function raised `Refusal`,
                whose text is for the user), or `error` (anything else it raised; the text is then generic).
        """
        ...

    async def aclose(self) -> None: ...


class Refusal(Exception):
    """Raised inside a job: the input cannot be worked on, and this sentence tells the user why."""
