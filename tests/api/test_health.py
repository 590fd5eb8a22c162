"""GET /health tells which layer keeps Python code in, or why none is run."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from backend.workers.sandbox_port import LAYERS
from tests.api.house import open_house
from tests.fakes.sandbox import FakeSandbox


class Undecided(FakeSandbox):
    """Its self-test has not ended."""

    def report(self) -> None:
        return None


@pytest.mark.parametrize(
    ("sandbox", "layer", "says"),
    [
        (FakeSandbox(), "landlock", None),
        (FakeSandbox(reason="No layer stops everything."), None, "No layer stops everything."),
        (Undecided(), None, "being tested"),
    ],
    ids=["a layer holds", "none holds", "not yet known"],
)
async def test_sandbox_is_named(tmp_path: Path, sandbox: FakeSandbox, layer: str | None, says: str | None) -> None:
    async with open_house(tmp_path, sandbox="off") as house:
        house.app.state.services = dataclasses.replace(house.services, sandbox=sandbox)
        told = (await house.stranger.get("/health")).json()["sandbox"]
    assert told["layer"] == layer
    assert (says or "") in (told["message"] or "")
    assert (told["message"] is None) == (layer is not None)


async def test_switched_off_is_told(tmp_path: Path) -> None:
    async with open_house(tmp_path, sandbox="off") as house:
        told = (await house.stranger.get("/health")).json()["sandbox"]
    assert told["layer"] is None
    assert "SANDBOX=off" in told["message"]


async def test_the_layer_that_the_self_test_chose_is_told(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        before = house.services.sandbox.report()
        report = await house.services.sandbox.check()
        told = (await house.stranger.get("/health")).json()["sandbox"]
        await asyncio.sleep(0)
    assert before is None or before == report
    assert told == {"layer": report.layer, "message": None if report.layer else report.reason}
    assert report.layer is None or report.layer in LAYERS
    assert str(tmp_path) not in str(told)
