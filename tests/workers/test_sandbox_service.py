"""SB-4, SB-6 and SB-7: what code gets and gives, single use, kept variables, fair turns, cancelling, nothing left."""

# ruff: noqa: E501
from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from backend.models.errors import TooManyRequests
from backend.models.run import Owner
from backend.workers.sandbox import interpreter
from backend.workers.sandbox.scratch import PREFIX
from backend.workers.sandbox.turns import MAX_WAITING_OF_OWNER, Turns
from backend.workers.sandbox_port import Layer, SandboxLimits
from tests.server import ROOT
from tests.workers.sandbox_layers import ALICE, BOB, Bench, expected_layers

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=expected_layers())
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    made = Bench(request.param, SandboxLimits())
    yield made
    await made.sandbox.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def best() -> AsyncIterator[Bench]:
    """The strongest layer here, for what does not depend on it."""
    made = Bench(expected_layers()[0], SandboxLimits())
    yield made
    await made.sandbox.aclose()


Make = Callable[..., Bench]


@pytest_asyncio.fixture(loop_scope="module")
async def make() -> AsyncIterator[Make]:
    """Makes sandboxes that are closed after the test, however it ends."""
    made: list[Bench] = []

    def one(layer: Layer, limits: SandboxLimits, **options: float) -> Bench:
        made.append(Bench(layer, limits, **options))
        return made[-1]

    yield one
    for each in made:
        await each.sandbox.aclose()


# ---- SB-7: what must work ------------------------------------------------------------------------

WORKS = {
    "arithmetic": ("1 + 1", "2"),
    "json": ("import json; json.loads(json.dumps({'a': [1, None]}))", "{'a': [1, None]}"),
    "math": ("import math; round(math.tau, 3), math.comb(5, 2)", "(6.283, 10)"),
    "statistics": ("import statistics; statistics.median([3, 1, 2])", "2"),
    "re": ("import re; re.findall(r'\\d+', 'a1b22')", "['1', '22']"),
    "datetime": ("import datetime; datetime.date(2024, 2, 28) + datetime.timedelta(2)", "datetime.date(2024, 3, 1)"),
    "zoneinfo": (
        "import zoneinfo, datetime; datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Paris')).utcoffset()",
        "datetime.timedelta(seconds=7200)",
    ),
    "csv": ("import csv, io; list(csv.reader(io.StringIO('a,b\\n1,2')))", "[['a', 'b'], ['1', '2']]"),
    "random": ("import random; random.seed(1); 0 <= random.random() < 1, len(random.randbytes(4))", "(True, 4)"),
    "secrets": ("import secrets; len(secrets.token_bytes(8))", "8"),
    "itertools": ("import itertools; list(itertools.pairwise('abc'))", "[('a', 'b'), ('b', 'c')]"),
    "collections": ("import collections; collections.Counter('aab').most_common(1)", "[('a', 2)]"),
    "decimal": ("from decimal import Decimal; Decimal('0.1') + Decimal('0.2')", "Decimal('0.3')"),
    "fractions": ("from fractions import Fraction; Fraction(1, 3) * 3", "Fraction(1, 1)"),
    "dataclasses": ("import dataclasses\n@dataclasses.dataclass\nclass P:\n    x: int\nP(1)", "P(x=1)"),
    "sqlite3 in memory": ("import sqlite3; sqlite3.connect(':memory:').execute('select 6*7').fetchone()", "(42,)"),
    "sqlite3 in a file": (
        "import sqlite3\nwith sqlite3.connect('x.db') as d:\n    d.execute('create table t(a)')\n    d.execute('insert into t values (1)')\n"
        "sqlite3.connect('x.db').execute('select a from t').fetchall()",
        "[(1,)]",
    ),
    "threads": (
        "import threading\nout = []\nts = [threading.Thread(target=out.append, args=(i,)) for i in range(8)]\n"
        "[t.start() for t in ts]; [t.join() for t in ts]\nsorted(out)",
        "[0, 1, 2, 3, 4, 5, 6, 7]",
    ),
    "thread pool": ("from concurrent.futures import ThreadPoolExecutor as T\nlist(T(4).map(abs, [-1, -2]))", "[1, 2]"),
    "asyncio": ("import asyncio\nasync def f():\n    await asyncio.sleep(0.01)\n    return 5\nasyncio.run(f())", "5"),
    "pickle": ("import pickle; pickle.loads(pickle.dumps({1}))", "{1}"),
    "zip": ("import zipfile\nwith zipfile.ZipFile('a.zip', 'w') as z: z.writestr('x', 'y')\nzipfile.ZipFile('a.zip').namelist()", "['x']"),
    "tempfile": ("import tempfile\nwith tempfile.TemporaryFile(dir='.') as f: f.write(b'x')\n'done'", "'done'"),
    "pathlib": ("from pathlib import Path\nPath('a').mkdir(); Path('a/b').touch(); [p.name for p in Path('a').iterdir()]", "['b']"),
    "own limits": ("import resource; resource.getrlimit(resource.RLIMIT_CPU)", "(10, 11)"),
    "signals": ("import signal, os\nsignal.signal(10, lambda *a: print('got'))\nos.kill(os.getpid(), 10)\n1", "1"),
    "timer": ("import signal\nrung = []\nsignal.signal(14, lambda *a: rung.append(1)); signal.setitimer(0, 0.05)\nwhile not rung: pass\nrung", "[1]"),
    "unicode": ("'é😀' + '\\u4e2d'", "'é😀中'"),
    "numpy": ("import numpy as np; int(np.linalg.det(np.eye(3) * 2).round()), float(np.random.default_rng(1).random() < 1)", "(8, 1.0)"),
    "dont inherit": ("def f(x: int): pass\nf.__annotations__", "{'x': <class 'int'>}"),
    "main": ("__name__", "'__main__'"),
}  # fmt: skip


@pytest.mark.parametrize("what", WORKS)
async def test_sb_7_this_works_inside(bench: Bench, what: str) -> None:
    code, expected = WORKS[what]
    result = await (bench.run(code) if "numpy" in code else bench.attempt(code))
    assert (result.value, result.error, result.stopped) == (expected, None, None), result.stderr


async def test_numpy_is_offered_as_it_is_installed(bench: Bench) -> None:
    assert "numpy" in bench.sandbox.offered()


@pytest.mark.parametrize("package", ["pydantic", "orjson", "backend", "pip", "sympy", "fastapi"])
async def test_sb_5_other_packages_cannot_be_imported(best: Bench, package: str) -> None:
    result = await best.run(f"import {package}")
    assert result.error is not None and "ModuleNotFoundError" in result.error


# ---- what comes back -----------------------------------------------------------------------------


async def test_output_and_value_come_back_apart(best: Bench) -> None:
    result = await best.run("import sys\nprint('out')\nprint('err', file=sys.stderr)\nx = 3\nx * 2")
    assert (result.stdout, result.stderr, result.value, result.error) == ("out\n", "err\n", "6", None)


async def test_code_that_does_not_end_with_an_expression_has_no_value(best: Bench) -> None:
    assert (await best.run("x = 3")).value is None
    assert (await best.run("print(1)")).value is None
    assert (await best.run("")).value is None
    assert (await best.run("# nothing")).value is None


async def test_output_before_a_stop_is_kept(make: Make) -> None:
    made = make("landlock", SandboxLimits(wall_seconds=0.5))
    result = await made.run("print('so far')\nwhile True: pass")
    assert (result.stdout, result.stopped) == ("so far\n", "timeout")


async def test_traceback_goes_through_the_users_code_alone(bench: Bench) -> None:
    result = await bench.run("import json\ndef read(text):\n    return json.loads(text)\nread('{')")
    assert result.error is not None
    lines = result.error.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert [line.strip() for line in lines if line.startswith("  File")] == [
        'File "code.py", line 4, in <module>',
        'File "code.py", line 3, in read',
    ]
    assert "return json.loads(text)" in result.error and lines[-1].startswith("json.decoder.JSONDecodeError")


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("import statistics; statistics.mean([])", id="library"),
        pytest.param("from json import nothing", id="import of a name"),
        pytest.param("import numpy\nfrom numpy import nothing", id="import from a package"),
        pytest.param("import os, sys; print(os.__file__, sys.path, sys.prefix, os.getcwd(), sys.executable)", id="asked for"),
        pytest.param("import warnings, numpy as np; np.array([1.0]) / 0", id="warning"),
        pytest.param("def f(): f()\nf()", id="recursion"),
        pytest.param("import numpy; print(numpy.__file__, numpy.__path__)", id="package"),
        pytest.param("import os; os.stat('missing')", id="missing file"),
    ],
)  # fmt: skip
async def test_no_path_of_the_server_comes_back(bench: Bench, code: str) -> None:
    result = await bench.run(code)
    told = f"{result.stdout}{result.stderr}{result.value}{result.error}"
    here = interpreter.places()
    for path in (str(ROOT), here.stdlib, str(Path(here.executable).parent.parent), str(Path.home()), PREFIX):
        assert path in ("/", "/usr") or path not in told, told


async def test_chained_exceptions_are_told_and_a_plain_exit_is_none(best: Bench) -> None:
    chained = (await best.run("try:\n    1/0\nexcept ZeroDivisionError as e:\n    raise KeyError('k') from e")).error
    assert chained is not None and "ZeroDivisionError" in chained and "direct cause" in chained
    assert (await best.run("exit()")).error is None
    assert (await best.run("import sys; sys.exit('no data')")).error == "SystemExit: no data"
    assert "EOFError" in ((await best.run("input()")).error or "")
    assert 'File "code.py", line 1' in ((await best.run("x = = 1")).error or "")


async def test_sb_4_output_is_cut_at_its_limit_and_said_to_be(bench: Bench) -> None:
    result = await bench.run("print('x' * 300_000)\nprint('never')")
    assert (result.stopped, result.truncated, len(result.stdout)) == ("output", True, 262_144)
    below = await bench.run("print('x' * 250_000)")
    assert (below.stopped, below.truncated, len(below.stdout)) == (None, False, 250_001)


async def test_long_values_and_tracebacks_are_cut(best: Bench) -> None:
    value = await best.run("'x' * 1_000_000")
    assert value.truncated and value.value is not None and len(value.value) < 11_000
    error = await best.run("raise ValueError('x' * 1_000_000)")
    assert error.truncated and error.error is not None and len(error.error) < 13_000


# ---- files ---------------------------------------------------------------------------------------


async def test_made_files_come_back_and_given_ones_only_when_changed(bench: Bench) -> None:
    code = "open('new.txt', 'w').write(open('given.txt').read().upper())\nopen('other.txt', 'a').write('!')"
    result = await bench.run(code, files={"given.txt": b"hello", "other.txt": b"x", "same.txt": b"s"})
    assert sorted((file.name, file.data) for file in result.files) == [("new.txt", b"HELLO"), ("other.txt", b"x!")]
    assert result.files_left_out == 0


async def test_only_plain_files_within_bounds_come_back(bench: Bench, tmp_path: Path) -> None:
    code = (
        "import os\nos.symlink('/etc/passwd', 'link.txt')\nopen('.hidden', 'w').write('x')\n"
        "os.makedirs('a/b'); open('a/b/deep.csv', 'w').write('1,2')\n"
        "open('large.txt', 'wb').write(b'x' * (6 << 20))\n"
        "for i in range(12): open(f'{i:02}.txt', 'w').write(str(i))\n"
    )
    result = await bench.run(code)
    names = [file.name for file in result.files]
    assert len(names) == 10 and result.files_left_out == 5, "large, link and three too many"
    assert not {"link.txt", ".hidden", "large.txt"} & set(names)


async def test_file_names_are_made_safe_to_show(bench: Bench) -> None:
    result = await bench.run(r"import os; os.close(os.open(b'\xff\xfe\n.txt', os.O_CREAT | os.O_WRONLY))")
    assert len(result.files) == 1 and result.files[0].name.isprintable() and "\n" not in result.files[0].name


async def test_files_of_code_that_was_stopped_come_back(bench: Bench, make: Make) -> None:
    made = make(bench.layer, SandboxLimits(wall_seconds=1.0))
    result = await made.run("open('half.txt', 'w').write('half')\nwhile True: pass")
    assert result.stopped == "timeout" and [file.data for file in result.files] == [b"half"]


# ---- SB-6: single use, waiting, fairness ------------------------------------------------------------


async def test_sb_6_no_process_is_used_twice_and_nothing_is_seen_of_another(bench: Bench) -> None:
    first = await bench.run(
        "import builtins, os; builtins.left = open('left.txt', 'w').write('x'); os.environ['LEFT'] = '1'"
    )
    assert first.error is None
    for _ in range(4):
        result = await bench.run(
            "import builtins, os; hasattr(builtins, 'left'), os.listdir('.'), 'LEFT' in os.environ"
        )
        assert result.value == "(False, [], False)"


async def test_sb_6_waiting_processes_are_replaced_by_others(best: Bench) -> None:
    await best.run("1")
    pool = best.sandbox._pool
    assert pool is not None
    await pool.ready()
    before = set(pool.pids())
    await best.run("1")
    await pool.ready()
    after = set(pool.pids())
    assert len(before) == len(after) == 2 and len(before & after) == 1


async def test_sb_6_fifty_calls_at_once_are_all_served_and_two_run_at_a_time(best: Bench) -> None:
    owners = [Owner("default", f"user-{number}") for number in range(5)]
    results = await asyncio.gather(*(best.run(f"{n} * 2", owner=owners[n % 5]) for n in range(50)))
    assert [result.value for result in results] == [str(n * 2) for n in range(50)]


async def test_sb_6_turns_go_round_the_owners() -> None:
    turns, order = Turns(1), list[str]()

    async def one(owner: Owner, name: str) -> None:
        await turns.take(owner)
        order.append(name)
        await asyncio.sleep(0)
        turns.give_back()

    await turns.take(Owner("default", "first"))
    tasks = [asyncio.create_task(one(ALICE, f"a{n}")) for n in range(4)]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(one(BOB, f"b{n}")) for n in range(2)]
    await asyncio.sleep(0)
    turns.give_back()
    await asyncio.gather(*tasks)
    assert order == ["a0", "b0", "a1", "b1", "a2", "a3"]


async def test_sb_6_queue_is_bounded_and_a_cancelled_place_goes_on() -> None:
    turns = Turns(1, per_minute=10_000)
    await turns.take(BOB)
    waiting = [asyncio.create_task(turns.take(ALICE)) for _ in range(MAX_WAITING_OF_OWNER)]
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequests, match="waiting"):
        await turns.take(ALICE)
    for task in waiting[:-1]:
        task.cancel()
    await asyncio.sleep(0)
    assert turns.waiting == 1
    turns.give_back()
    await asyncio.wait_for(waiting[-1], 1)
    turns.give_back()
    await turns.take(BOB)


async def test_sb_6_place_given_to_a_caller_who_has_just_left_is_not_lost() -> None:
    turns = Turns(1)
    await turns.take(BOB)
    waiting = asyncio.create_task(turns.take(ALICE))
    await asyncio.sleep(0)
    turns.give_back()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.wait_for(turns.take(BOB), 1)


async def test_sb_6_rate_of_one_owner_is_limited_and_others_are_not_held_up() -> None:
    now = [0.0]
    turns = Turns(100, per_minute=3, clock=lambda: now[0])
    for _ in range(3):
        await turns.take(ALICE)
    with pytest.raises(TooManyRequests, match="3 times within a minute") as refused:
        await turns.take(ALICE)
    assert refused.value.headers["retry-after"] == "61"
    await turns.take(BOB)
    now[0] = 61.0
    await turns.take(ALICE)


# ---- variables that live on ------------------------------------------------------------------------


async def test_variables_and_files_live_on_within_a_run_and_nowhere_else(bench: Bench) -> None:
    first = await bench.run("x = 5\nopen('note.txt', 'w').write('n')", run_id="r1", keep=True)
    assert first.kept and [file.name for file in first.files] == ["note.txt"]
    second = await bench.run("x += 1\nx, open('note.txt').read()", run_id="r1", keep=True)
    assert (second.value, second.files, second.forgotten) == ("(6, 'n')", (), False)
    for other in ({"run_id": "r2"}, {"run_id": "r1", "owner": BOB}):
        result = await bench.run("x", keep=True, **other)  # type: ignore[arg-type]
        assert result.error is not None and "NameError" in result.error


async def test_variables_survive_an_exception_but_not_a_stop(make: Make) -> None:
    made = make("landlock", SandboxLimits(wall_seconds=0.8))
    await made.run("x = 1\n1/0", run_id="r", keep=True)
    assert (await made.run("x", run_id="r", keep=True)).value == "1"
    assert (await made.run("while True: pass", run_id="r", keep=True)).stopped == "timeout"
    after = await made.run("x", run_id="r", keep=True)
    assert after.forgotten and "NameError" in (after.error or "")


async def test_at_most_two_runs_keep_variables_and_the_oldest_is_told(make: Make) -> None:
    made = make("landlock", SandboxLimits())
    for run in ("a", "b", "c"):
        assert (await made.run(f"x = {run!r}", run_id=run, keep=True)).kept
    assert len(made.sandbox._kept) == 2
    assert (await made.run("x", run_id="c", keep=True)).value == "'c'"
    lost = await made.run("x", run_id="a", keep=True)
    assert lost.forgotten and lost.error is not None


async def test_kept_process_is_stopped_between_calls_and_ended_after_a_while(make: Make) -> None:
    made = make("landlock", SandboxLimits(), keep_seconds=0.6)
    code = "import threading\nn = 0\ndef count():\n    global n\n    while True: n += 1\nthreading.Thread(target=count, daemon=True).start()"
    await made.run(code, run_id="r", keep=True)
    cell = next(iter(made.sandbox._kept.values())).cell
    async with asyncio.timeout(2):
        while state_of(cell.pid) != "T":
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.8)
    assert not made.sandbox._kept and not cell.alive
    assert (await made.run("n", run_id="r", keep=True)).forgotten


async def test_sb_4_cpu_time_of_a_kept_process_is_limited_over_its_whole_life(make: Make) -> None:
    made = make("landlock", SandboxLimits(cpu_seconds=1))
    burn = "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass"
    stops = [(await made.run(burn, run_id="r", keep=True)).stopped for _ in range(4)]
    assert "cpu" in stops and stops[0] is None


async def test_process_that_holds_much_memory_is_not_kept(bench: Bench) -> None:
    result = await bench.run("x = b'x' * (100 << 20)", run_id="large", keep=True)
    assert result.error is None and not result.kept


async def test_calls_of_one_run_wait_for_each_other(best: Bench) -> None:
    await best.run("x = []", run_id="together", keep=True)
    await asyncio.gather(*(best.run(f"x.append({n})", run_id="together", keep=True) for n in range(6)))
    assert (await best.run("sorted(x)", run_id="together", keep=True)).value == "[0, 1, 2, 3, 4, 5]"


# ---- cancelling, and what is left ---------------------------------------------------------------------


async def test_ups_3_cancelling_kills_within_a_second(bench: Bench) -> None:
    await bench.run("1")
    task = asyncio.create_task(bench.run("open('mark', 'w').close()\nwhile True: pass"))
    await asyncio.sleep(0.5)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 1.0
    assert (await bench.run("2")).value == "2"


def state_of(pid: int) -> str:
    """The letter of /proc for a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return ""
