"""The port of the sandbox: running Python that nobody here wrote."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from backend.models.run import Owner

Layer = Literal["bubblewrap", "unshare", "landlock"]
LAYERS: tuple[Layer, ...] = ("bubblewrap", "unshare", "landlock")
"""Strongest first. Each has Landlock, seccomp and resource limits; the first two add namespaces."""

Stop = Literal["timeout", "cpu", "memory", "output", "disk", "threads", "crashed"]
"""Why code was ended from outside: wall time, CPU time, memory, too much printed, too much written, too many
threads, or the process was gone without a result."""


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What one process of the sandbox may use. Sizes in bytes; `cpu_seconds` over its whole life."""

    wall_seconds: float = 10.0
    cpu_seconds: int = 10
    memory: int = 512 * 1_048_576
    file_size: int = 16 * 1_048_576
    scratch: int = 64 * 1_048_576
    entries: int = 500
    """Files and folders in the scratch folder."""
    open_files: int = 64
    threads: int = 64
    output: int = 256 * 1024
    """stdout and stderr together."""


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file the code left in its scratch folder. `name` is what the code called it: for showing, never a path."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class CodeResult:
    """What running a piece of code came to. All texts are free of the server's paths."""

    stdout: str = ""
    stderr: str = ""
    value: str | None = None
    """repr of the last expression, None when the code ends with something else or with None."""
    error: str | None = None
    """The exception as a traceback through the user's code alone."""
    stopped: Stop | None = None
    files: tuple[MadeFile, ...] = ()
    files_left_out: int = 0
    """Files that were too many, too large, or no plain files."""
    seconds: float = 0.0
    truncated: bool = False
    """Whether output, value or traceback were cut."""
    kept: bool = False
    """Whether variables live on for the next call of the same run."""
    forgotten: bool = False
    """Whether an earlier call of the same run had variables that were gone when this one began."""
    layer: Layer = "landlock"


@dataclass(frozen=True, slots=True)
class Probe:
    """One forbidden thing that the self-test really tried. `detail` says what happened, in a few words."""

    name: str
    stopped: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LayerReport:
    """What the self-test found about one layer. `problem` tells what is wrong beside probes that were not stopped."""

    layer: Layer
    probes: tuple[Probe, ...] = ()
    problem: str = ""

    @property
    def holds(self) -> bool:
        return not self.problem and bool(self.probes) and all(probe.stopped for probe in self.probes)


@dataclass(frozen=True, slots=True)
class SandboxReport:
    """Which layer was chosen (None: no code is run), and every layer that was tried on the way."""

    layer: Layer | None
    reason: str
    """One sentence: why this layer, or why none."""
    tried: tuple[LayerReport, ...] = ()
    seconds: float = 0.0


class Sandbox(Protocol):
    """Runs code in processes that see neither the network nor any file but their own scratch folder."""

    def offered(self) -> tuple[str, ...]:
        """Names of the extra packages that code may import, e.g. `numpy`."""
        ...

    def impossible(self) -> str | None:
        """Why code can never be run here, as far as that shows without trying; None when it may work."""
        ...

    def prepare(self, on_none: Callable[[str], None]) -> None:
        """Choose the layer and start the waiting workers in the background, a moment after the start.

        `on_none` is told the reason when no layer holds.
        """
        ...

    async def check(self) -> SandboxReport:
        """The self-test, once per process; it takes less than a second a layer."""
        ...

    def report(self) -> SandboxReport | None:
        """What the self-test found, without waiting for it; None while it has not ended."""
        ...

    async def run(
        self, code: str, *, owner: Owner, run_id: str, files: Mapping[str, bytes] | None = None, keep: bool = False
    ) -> CodeResult:
        """Run code in a process of its own, or (`keep`) in the one that an earlier call of the same run left.

        `files` are put into the scratch folder first. Cancelling kills the code at once.

        Raises:
            ToolUnavailable: no layer holds on this machine; nothing was run.
            TooManyRequests: the queue, or this owner's share of it, is full.
            WorkerFailed: the process could not be started.
        """
        ...

    async def aclose(self) -> None:
        """End every process and remove every scratch folder."""
        ...
