from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from backend.models.errors import NotFound
from backend.storage import run_store
from backend.storage.json_files import runs as json_runs
from backend.storage.stores import Stores
from tests.storage.samples import ALICE, BOB

EVENTS = [b'{"type":"run_started","n":1}', '{"type":"text","n":2,"text":"ü\\n]}"}'.encode()]


def trace(run_id: str, created_at: float, **more: Any) -> dict[str, Any]:
    return {"run_id": run_id, "session_id": "conv-1", "created_at": created_at, "steps": [{"id": "1"}], **more}


async def test_saved_trace_comes_back(stores: Stores) -> None:
    saved = trace("run-1", 1000.5, route={"task": "chat"}, usage={"answer": 3}, text='ü\n"events":[', data=2**100)
    await stores.runs.save(ALICE, saved)
    assert await stores.runs.get(ALICE, "run-1") == saved
    assert await stores.runs.events(ALICE, "run-1") == []


async def test_events_come_back_as_they_were(stores: Stores) -> None:
    await stores.runs.save(ALICE, trace("run-1", 1000), EVENTS)
    assert await stores.runs.events(ALICE, "run-1") == EVENTS
    assert await stores.runs.get(ALICE, "run-1") == trace("run-1", 1000)


async def test_saving_again_replaces(stores: Stores) -> None:
    await stores.runs.save(ALICE, trace("run-1", 1000, usage=1), EVENTS)
    await stores.runs.save(ALICE, trace("run-1", 1000, usage=2))
    assert (await stores.runs.get(ALICE, "run-1"))["usage"] == 2
    assert await stores.runs.events(ALICE, "run-1") == []
    assert (await stores.runs.list_runs(ALICE))[1] == 1


async def test_update_replaces_what_is_there_and_never_brings_back_what_was_deleted(stores: Stores) -> None:
    await stores.runs.save(ALICE, trace("run-1", 1000))
    await stores.runs.update(ALICE, trace("run-1", 1000, answer="x"), EVENTS)
    assert (await stores.runs.get(ALICE, "run-1"))["answer"] == "x"
    await stores.runs.delete(ALICE, "run-1")
    with pytest.raises(NotFound):
        await stores.runs.update(ALICE, trace("run-1", 1000, answer="y"))
    with pytest.raises(NotFound):
        await stores.runs.get(ALICE, "run-1")


async def test_rows_are_light_newest_first_and_paged(stores: Stores) -> None:
    for number in (3, 1, 5, 2, 4):
        await stores.runs.save(ALICE, trace(f"run-{number}", 1000.0 + number, query="q" * 9999, calls=["big"]))
    page, total = await stores.runs.list_runs(ALICE, page=1, limit=2)
    assert ([one["run_id"] for one in page], total) == (["run-5", "run-4"], 5)
    assert set(page[0]) == {
        "run_id", "session_id", "created_at", "seconds", "status", "model", "query", "agent", "step_count", "tokens",
        "stopped_because",
    }  # fmt: skip
    assert page[0]["step_count"] == 1 and len(page[0]["query"]) == run_store.ROW_QUERY_CHARS
    assert [one["run_id"] for one in (await stores.runs.list_runs(ALICE, page=3, limit=2))[0]] == ["run-1"]


async def test_rows_are_filtered_by_status_and_conversation(stores: Stores) -> None:
    await stores.runs.save(ALICE, trace("run-1", 1, status="completed"))
    await stores.runs.save(ALICE, trace("run-2", 2, status="running", writer={"pid": 1}, expires_at=5.0))
    await stores.runs.save(ALICE, trace("run-3", 3, status="completed") | {"session_id": "conv-2"})
    rows, total = await stores.runs.list_runs(ALICE, status="completed")
    assert ([row["run_id"] for row in rows], total) == (["run-3", "run-1"], 2)
    rows, total = await stores.runs.list_runs(ALICE, session_id="conv-1", limit=1, page=2)
    assert ([row["run_id"] for row in rows], total) == (["run-1"], 2)
    running = (await stores.runs.list_runs(ALICE, status="running"))[0]
    assert running[0]["writer"] == {"pid": 1} and running[0]["expires_at"] == 5.0


async def test_deleting_of_a_conversation_takes_its_traces_and_no_others(stores: Stores) -> None:
    for number in range(3):
        await stores.runs.save(ALICE, trace(f"run-{number}", number))
    await stores.runs.save(ALICE, trace("run-9", 9) | {"session_id": "conv-2"})
    await stores.runs.save(BOB, trace("run-b", 9))
    assert set(await stores.runs.delete_of_session(ALICE, "conv-1")) == {"run-0", "run-1", "run-2"}
    assert [row["run_id"] for row in (await stores.runs.list_runs(ALICE))[0]] == ["run-9"]
    assert (await stores.runs.list_runs(BOB))[1] == 1


async def test_oldest_traces_make_room(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_runs, "MAX_RUNS", 3)
    monkeypatch.setattr("tests.fakes.stores.MAX_RUNS", 3)
    for number in range(5):
        await stores.runs.save(ALICE, trace(f"run-{number}", 1000.0 + number))
    rows, total = await stores.runs.list_runs(ALICE)
    assert ([row["run_id"] for row in rows], total) == (["run-4", "run-3", "run-2"], 3)


async def test_traces_have_a_bound_in_bytes_and_the_newest_stays(
    engine: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_runs, "MAX_OWNER_BYTES", 5_000)
    for number in range(4):
        await engine.runs.save(ALICE, trace(f"run-{number}", 1000.0 + number, answer="x" * 2_000))
    assert [row["run_id"] for row in (await engine.runs.list_runs(ALICE))[0]] == ["run-3", "run-2"]
    await engine.runs.save(ALICE, trace("run-9", 2000.0, answer="x" * 9_000))
    assert [row["run_id"] for row in (await engine.runs.list_runs(ALICE))[0]] == ["run-9"]


@pytest.mark.parametrize("bad", ["", "..", "a/b", "../run-1", "a" * 65, "run-1.json", "a\x00"])
async def test_fs_1_run_ids_that_are_no_ids_are_not_found(stores: Stores, bad: str) -> None:
    for attempt in (
        stores.runs.get(ALICE, bad),
        stores.runs.events(ALICE, bad),
        stores.runs.delete(ALICE, bad),
        stores.runs.save(ALICE, trace(bad, 1000)),
        stores.runs.update(ALICE, trace(bad, 1000)),
    ):
        with pytest.raises(NotFound):
            await attempt


async def test_file_is_json_that_a_person_can_read(engine: Stores, data_dir: Path) -> None:
    await engine.runs.save(ALICE, trace("run-1", 1000), EVENTS)
    found = json.loads((data_dir / "runs" / ALICE.user / "run-1.json").read_text())
    assert found["row"]["run_id"] == found["trace"]["run_id"] == "run-1"
    assert [event["n"] for event in found["events"]] == [1, 2]


async def test_traces_of_the_first_form_are_still_read(engine: Stores, data_dir: Path) -> None:
    await engine.runs.save(ALICE, trace("run-1", 1000))
    old = {"version": 1, **trace("run-2", 2000, status="completed", route={"agent": "react"})}
    (data_dir / "runs" / ALICE.user / "run-2.json").write_text(json.dumps(old))
    rows, total = await engine.runs.list_runs(ALICE)
    assert total == 2 and rows[0]["agent"] == "react" and rows[0]["step_count"] == 1
    assert (await engine.runs.get(ALICE, "run-2"))["status"] == "completed"
    assert await engine.runs.events(ALICE, "run-2") == []


@pytest.mark.slow
async def test_a_page_of_ten_thousand_runs_is_cheap(engine: Stores, data_dir: Path) -> None:
    await engine.runs.save(ALICE, trace("run-00000", 1000.0, answer="x" * 20_000))
    folder = data_dir / "runs" / ALICE.user
    sample = (folder / "run-00000.json").read_bytes()
    for number in range(1, 10_000):
        path = folder / f"run-{number:05}.json"
        path.write_bytes(sample.replace(b"run-00000", b"run-%05d" % number))
        os.utime(path, (number, number))
    started = time.perf_counter()
    rows, total = await engine.runs.list_runs(ALICE, page=1, limit=50)
    seconds = time.perf_counter() - started
    assert (len(rows), total, rows[1]["run_id"]) == (50, 10_000, "run-09998") or rows[0]["run_id"] == "run-09999"
    assert seconds < 2.0, f"{seconds:.3f} s"
