from __future__ import annotations

from typing import Any

import pytest

from backend.models.errors import NotFound
from backend.storage.stores import Stores
from tests.storage.samples import ALICE


def trace(run_id: str, created_at: float, **more: Any) -> dict[str, Any]:
    return {"run_id": run_id, "session_id": "conv-1", "created_at": created_at, "steps": [{"id": "1"}], **more}


async def test_saved_trace_comes_back(stores: Stores) -> None:
    saved = trace("run-1", 1000.5, route={"task": "chat"}, usage={"answer": 3}, text="ü\n", data=2**100)
    await stores.runs.save(ALICE, saved)
    assert await stores.runs.get(ALICE, "run-1") == saved


async def test_saving_again_replaces(stores: Stores) -> None:
    await stores.runs.save(ALICE, trace("run-1", 1000, usage=1))
    await stores.runs.save(ALICE, trace("run-1", 1000, usage=2))
    assert (await stores.runs.get(ALICE, "run-1"))["usage"] == 2
    assert (await stores.runs.list_runs(ALICE))[1] == 1


async def test_runs_are_listed_without_steps_newest_first_and_paged(stores: Stores) -> None:
    for number in (3, 1, 5, 2, 4):
        await stores.runs.save(ALICE, trace(f"run-{number}", 1000.0 + number))
    page, total = await stores.runs.list_runs(ALICE, page=1, limit=2)
    assert ([one["run_id"] for one in page], total) == (["run-5", "run-4"], 5)
    assert all("steps" not in one for one in page)
    assert [one["run_id"] for one in (await stores.runs.list_runs(ALICE, page=3, limit=2))[0]] == ["run-1"]


@pytest.mark.parametrize("bad", ["", "..", "a/b", "../run-1", "a" * 65, "run-1.json", "a\x00"])
async def test_fs_1_run_ids_that_are_no_ids_are_not_found(stores: Stores, bad: str) -> None:
    with pytest.raises(NotFound):
        await stores.runs.get(ALICE, bad)
    with pytest.raises(NotFound):
        await stores.runs.save(ALICE, trace(bad, 1000))
