"""What the Python sandbox costs: warm hand-off, cold start, fifty calls at once, idle memory of the waiting processes.

`python -m benchmarks.tools_python`
"""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from backend.models.run import Owner
from backend.workers.sandbox.cell import Cell
from backend.workers.sandbox.service import LayeredSandbox
from backend.workers.sandbox_port import LAYERS, Layer, SandboxLimits

ROUNDS = 30
COLD_ROUNDS = 15
AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds and megabytes of one layer. `together_s` is how long 50 calls at once took."""

    layer: Layer
    warm_p50_ms: float
    warm_max_ms: float
    cold_p50_ms: float
    self_test_s: float
    together_s: float
    idle_mb: float


async def measure(layer: Layer) -> Figures | None:
    """None when the layer does not hold on this machine."""
    sandbox = LayeredSandbox([layer])
    try:
        report = await sandbox.check()
        if report.layer is None:
            return None
        owner = Owner("default", "bench")
        await sandbox.run("1", owner=owner, run_id="first")
        pool = sandbox._pool
        assert pool is not None
        warm = []
        for number in range(ROUNDS):
            await pool.ready()
            began = time.perf_counter()
            await sandbox.run("1 + 1", owner=owner, run_id=f"warm-{number}")
            warm.append(1000 * (time.perf_counter() - began))
        await pool.ready()
        idle = sum(_proportional_mb(pid) for leader in pool.pids() for pid in _family(leader))
        began = time.perf_counter()
        owners = [Owner("default", f"bench-{number % 5}") for number in range(AT_ONCE)]
        await asyncio.gather(*(sandbox.run("1", owner=each, run_id=f"r{n}") for n, each in enumerate(owners)))
        together = time.perf_counter() - began
    finally:
        await sandbox.aclose()
    cold = []
    for _ in range(COLD_ROUNDS):
        began = time.perf_counter()
        cell = await Cell.start(layer, SandboxLimits())
        cold.append(1000 * (time.perf_counter() - began))
        await cell.end()
    return Figures(layer, statistics.median(warm), max(warm), statistics.median(cold), report.seconds, together, idle)


def _family(leader: int) -> list[int]:
    """A process and all its offspring."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(") ")[2].split()[1])
        except OSError:
            continue
    found = [leader]
    for each in found:
        found += [pid for pid, parent in parents.items() if parent == each]
    return found


def _proportional_mb(pid: int) -> float:
    """Memory with shared pages counted in proportion; resident memory where that may not be read."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000
    except (OSError, StopIteration):
        try:
            return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6
        except OSError:
            return 0.0


async def main() -> None:
    print("| layer | warm p50 ms (aim 60) | warm max | cold p50 ms (aim 250) | self-test s | 50 at once s | idle MB |")
    print("|---|---|---|---|---|---|---|")
    for layer in LAYERS:
        found = await measure(layer)
        if found is None:
            print(f"| {layer} | not on this machine | | | | | |")
            continue
        print(
            f"| {layer} | {found.warm_p50_ms:.1f} | {found.warm_max_ms:.1f} | {found.cold_p50_ms:.0f} "
            f"| {found.self_test_s:.2f} | {found.together_s:.1f} | {found.idle_mb:.0f} |"
        )


if __name__ == "__main__":
    asyncio.run(main())
