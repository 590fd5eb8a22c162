"""SB-4: no process, no zombie and no folder is left, whatever the code did and however the server ended."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from backend.models.errors import WorkerFailed
from backend.workers.sandbox.scratch import PREFIX, Scratch, remove_tree, sweep
from backend.workers.sandbox_port import SandboxLimits
from tests.server import ROOT
from tests.workers.sandbox_layers import Bench, expected_layers
from tests.workers.test_sandbox_service import state_of


async def test_sb_4_nothing_is_left_of_runs_stops_and_cancelled_calls() -> None:
    before = set(children())
    for layer in expected_layers():
        made = Bench(layer, SandboxLimits(wall_seconds=0.4))
        tasks = [asyncio.create_task(made.run(code)) for code in ("while True: pass", "import os; os._exit(1)", "1")]
        await made.run("x = 1", run_id="kept", keep=True)
        left = asyncio.create_task(made.run("while True: pass"))
        await asyncio.wait(tasks)
        left.cancel()
        await asyncio.wait({left})
        await made.sandbox.aclose()
    assert set(children()) <= before, "a process or a zombie was left"
    assert list(Path(tempfile.gettempdir()).glob(f"{PREFIX}{os.getpid()}-*")) == []


async def test_sb_4_code_that_runs_when_the_server_stops_is_ended() -> None:
    made = Bench("landlock", SandboxLimits())
    task = asyncio.create_task(made.run("while True: pass"))
    while not made.sandbox._running:
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.2)
    began = time.monotonic()
    await made.sandbox.aclose()
    assert (await task).stopped in ("memory", "crashed") and time.monotonic() - began < 3
    with pytest.raises(WorkerFailed, match="stopping"):
        await made.run("1")


SERVER = """
import asyncio, sys
from backend.models.run import Owner
from backend.workers.sandbox.service import LayeredSandbox

async def main():
    sandbox = LayeredSandbox([sys.argv[1]])
    await sandbox.run("x = 1", owner=Owner("d", "a"), run_id="kept", keep=True)
    await sandbox._pool.ready()
    print("up", flush=True)
    await sandbox.run("while True: pass", owner=Owner("d", "a"), run_id="r")

asyncio.run(main())
"""


@pytest.mark.parametrize("layer", expected_layers())
async def test_sb_4_code_dies_with_a_server_that_is_killed_and_the_next_clears_up(layer: str) -> None:
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, layer], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True
    )
    assert server.stdout is not None
    with server.stdout:
        assert await asyncio.to_thread(server.stdout.readline) == b"up\n"
    await asyncio.sleep(0.3)
    offspring = descendants(server.pid)
    assert len(offspring) >= 3, "one runs, one is kept, some wait"
    server.kill()
    server.wait()
    async with asyncio.timeout(5):
        while [pid for pid in offspring if state_of(pid) not in ("", "Z")]:
            await asyncio.sleep(0.05)
    sweep()
    assert list(Path(tempfile.gettempdir()).glob(f"{PREFIX}{server.pid}-*")) == []


def _parents() -> dict[int, int]:
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(stat.parent.name)] = int(stat.read_text().rpartition(") ")[2].split()[1])
        except OSError:
            continue
    return found


def children() -> list[int]:
    return [pid for pid, parent in _parents().items() if parent == os.getpid()]


def descendants(pid: int) -> list[int]:
    parents, found = _parents(), [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


def test_sb_4_deep_wide_and_closed_trees_are_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    here = os.getcwd()  # noqa: PTH109
    try:
        os.chdir(top)
        for _ in range(1200):
            os.mkdir("d")  # noqa: PTH102
            os.chdir("d")
        Path("f").touch()
    finally:
        os.chdir(here)
    for number in range(200):
        (top / f"w{number}").mkdir()
        (top / f"w{number}" / "f").touch()
    (top / "closed").mkdir()
    (top / "closed" / "f").touch()
    (top / "closed").chmod(0)
    (top / "link").symlink_to("/etc")
    remove_tree(top)
    assert not top.exists() and Path("/etc/passwd").exists()


def test_sb_4_watch_takes_a_bounded_time_whatever_is_in_the_folder(tmp_path: Path) -> None:
    limits = SandboxLimits()
    for number in range(1000):
        (tmp_path / f"{number}").touch()
    scratch = Scratch(tmp_path, os.open(tmp_path, os.O_RDONLY))
    began = time.perf_counter()
    assert scratch.breach(limits)
    assert time.perf_counter() - began < 0.5
    os.close(scratch.handle)


def test_sb_4_swapped_in_link_is_not_followed_when_results_are_read(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("secret")
    folder = tmp_path / "scratch"
    folder.mkdir()
    (folder / "sub").symlink_to(tmp_path / "outside")
    (folder / "file.txt").symlink_to(tmp_path / "outside" / "secret.txt")
    os.mkfifo(folder / "pipe.txt")
    scratch = Scratch(folder, os.open(folder, os.O_RDONLY))
    assert scratch.collect({}, SandboxLimits()) == ((), 3)
    os.close(scratch.handle)


def test_sweep_leaves_folders_of_living_servers_alone() -> None:
    mine = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{dead.pid}-"))
    sweep()
    assert mine.exists() and not left.exists()
    mine.rmdir()
