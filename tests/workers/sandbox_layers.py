"""The layers that the sandbox tests run on, and a sandbox of each.

Where HEARTH_SANDBOX_LAYERS names layers (`bubblewrap,unshare,landlock`), as on machines whose kernel is known to give
them, exactly those are tested, and one that does not hold is a failure. Elsewhere those that start here are tested.
"""

from __future__ import annotations

import asyncio
import functools
import os
from typing import cast, get_args

from backend.models.run import Owner
from backend.workers.sandbox.cell import Cell, CellFailed
from backend.workers.sandbox.launch import LayerMissing
from backend.workers.sandbox.service import LayeredSandbox
from backend.workers.sandbox_port import LAYERS, CodeResult, Layer, SandboxLimits

ALICE, BOB = Owner("default", "alice"), Owner("default", "bob")
QUICK = SandboxLimits(wall_seconds=5.0)


@functools.cache
def expected_layers() -> tuple[Layer, ...]:
    named = [name.strip() for name in os.environ.get("HEARTH_SANDBOX_LAYERS", "").split(",") if name.strip()]
    assert all(name in get_args(Layer) for name in named), f"HEARTH_SANDBOX_LAYERS={named}"
    return cast(tuple[Layer, ...], tuple(named)) or tuple(layer for layer in LAYERS if asyncio.run(_starts(layer)))


async def _starts(layer: Layer) -> bool:
    try:
        cell = await Cell.start(layer, QUICK)
    except (CellFailed, LayerMissing):
        return False
    await cell.end()
    return True


class Bench:
    """A sandbox of one layer, with a short way to run code in it."""

    def __init__(self, layer: Layer, limits: SandboxLimits = QUICK, **options: float) -> None:
        self.layer = layer
        self.sandbox = LayeredSandbox([layer], limits=limits, **options)  # type: ignore[arg-type]
        self._runs = 0

    async def run(self, code: str, *, owner: Owner = ALICE, run_id: str = "", **more: object) -> CodeResult:
        self._runs += 1
        return await self.sandbox.run(code, owner=owner, run_id=run_id or f"run-{self._runs}", **more)  # type: ignore[arg-type]

    async def attempt(self, code: str) -> CodeResult:
        """Run code in a process that goes on for the next attempt, each in a new folder: much quicker than `run`."""
        fresh = "import os, tempfile; START = globals().get('START') or os.getcwd(); os.chdir(START)"
        prelude = f"{fresh}; os.chdir(tempfile.mkdtemp(dir='.'))\n"
        result = await self.run(prelude + code, run_id="attempts", keep=True)
        assert result.stopped is None and result.kept, f"the attempt ended the process: {result}"
        return result
