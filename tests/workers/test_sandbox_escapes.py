"""SB-1 to SB-5 by code that tries to get out, in every layer: nothing is read, reached, started or left behind."""

# Each attempt stands on one line.
# ruff: noqa: E501
from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from backend.workers.sandbox_port import SandboxLimits
from tests.server import ROOT
from tests.workers.sandbox_layers import Bench, expected_layers

pytestmark = pytest.mark.asyncio(loop_scope="module")
CANARY = "the-canary-sings"
SHORT = SandboxLimits(wall_seconds=3.0, cpu_seconds=5)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=expected_layers())
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    made = Bench(request.param)
    assert (await made.sandbox.check()).layer == request.param
    yield made
    await made.sandbox.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hasty() -> AsyncIterator[Bench]:
    """The weakest layer with very little wall time: what has no end is ended by the server, the same way in each."""
    made = Bench("landlock", SandboxLimits(wall_seconds=0.3))
    yield made
    await made.sandbox.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=expected_layers())
async def short(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """The same with little wall time, for code that never ends."""
    made = Bench(request.param, SHORT)
    yield made
    await made.sandbox.aclose()


@pytest.fixture(scope="module")
def outside() -> Iterator[Path]:
    """A file that everybody may read and write, in folders that everybody may enter."""
    folder = Path(tempfile.mkdtemp(prefix="hearth-canary-"))
    folder.chmod(0o777)
    (folder / "canary").write_text(CANARY)
    (folder / "canary").chmod(0o666)
    yield folder
    shutil.rmtree(folder)


READS = {
    "open": "print(open(PATH).read())",
    "os.open": "import os; print(os.read(os.open(PATH, os.O_RDONLY), 100))",
    "link": "import os; os.symlink(PATH, 'l'); print(open('l').read())",
    "hard link": "import os; os.link(PATH, 'h'); print(open('h').read())",
    "relative": "import os; print(open(os.path.relpath(PATH)).read())",
    "from its folder": "import os; os.chdir(os.path.dirname(PATH)); print(open('canary').read())",
    "directory descriptor": "import os; d = os.open(os.path.dirname(PATH), os.O_PATH); print(os.read(os.open('canary', os.O_RDONLY, dir_fd=d), 100))",
    "mmap": "import mmap, os; print(mmap.mmap(os.open(PATH, os.O_RDWR), 0)[:])",
    "rename": "import os; os.rename(PATH, 'mine'); print(open('mine').read())",
    "listing": "import os; print(os.listdir(os.path.dirname(PATH)))",
    "sendfile": "import os; os.sendfile(1, os.open(PATH, os.O_RDONLY), 0, 100)",
    "libc": "import ctypes; l = ctypes.CDLL(None); b = ctypes.create_string_buffer(100); l.read(l.open(PATH.encode(), 0), b, 100); print(b.value)",
    "system": "import os; os.system(f'cat {PATH}')",
    "popen": "import os; print(os.popen(f'cat {PATH}').read())",
    "subprocess": "import subprocess; print(subprocess.check_output(['/bin/cat', PATH]))",
    "posix_spawn": "import os; os.posix_spawn('/bin/cat', ['cat', PATH], {})",
    "subclasses": "for c in object.__subclasses__():\n    if c.__name__ == '_wrap_close':\n        print(c.__init__.__globals__['system'](f'cat {PATH}'))",
    "import by path": "import importlib.util as u; print(u.spec_from_file_location('m', PATH).loader.get_data(PATH))",
    "ctypes execve": "import ctypes; a = (ctypes.c_char_p * 3)(b'cat', PATH.encode(), None); ctypes.CDLL(None).execve(b'/bin/cat', a, None)",
    "raw system call": "import ctypes; l = ctypes.CDLL(None); b = ctypes.create_string_buffer(100); l.syscall(0, l.syscall(2, PATH.encode(), 0), b, 100); print(b.value)",
    "fork": "import os\nif os.fork() == 0:\n    print(open(PATH).read())",
    "process": "import multiprocessing as m; p = m.get_context('fork').Process(target=print, args=(open(PATH).read(),)); p.start(); p.join()",
    "linecache": "import linecache; print(linecache.getlines(PATH))",
    "handle": "import ctypes; b = ctypes.create_string_buffer(200); b[0:4] = (128).to_bytes(4, 'little'); m = ctypes.c_int(); l = ctypes.CDLL(None, use_errno=True); assert l.name_to_handle_at(-100, PATH.encode(), b, ctypes.byref(m), 0) == 0; r = l.open_by_handle_at(-100, b, 0); print(__import__('os').read(r, 100))",
    "traceback source": "exec(compile('1/0', PATH, 'exec'))",
}


@pytest.mark.parametrize("way", READS)
async def test_sb_5_file_outside_cannot_be_read_by(bench: Bench, outside: Path, way: str) -> None:
    result = await bench.attempt(f"PATH = {str(outside / 'canary')!r}\n{READS[way]}")
    told = f"{result.stdout}{result.stderr}{result.value}{result.error}"
    assert CANARY not in told and "['canary" not in told
    assert result.files == ()


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "/etc/shadow", "/etc/hostname", "/proc/1/environ", "/proc/self/environ", "/proc/self/mem",
        "/proc/self/maps", "/proc/cmdline", "/sys/kernel/notes", "/dev/mem", "/dev/sda", "/var/log/dpkg.log", "/root/.bashrc",
        str(ROOT / "pyproject.toml"), str(ROOT / "backend" / "__init__.py"), "/proc/{server}/environ",
        "/proc/{server}/cwd/pyproject.toml", "/proc/{server}/root/etc/passwd",
    ],
)  # fmt: skip
async def test_sb_5_nothing_of_the_machine_or_the_application_can_be_read(bench: Bench, path: str) -> None:
    path = path.format(server=os.getpid())
    result = await bench.attempt(f"print('LEAK', open({path!r}, 'rb').read(100))")
    assert "LEAK" not in result.stdout
    assert result.error is not None and ("PermissionError" in result.error or "FileNotFoundError" in result.error)


async def test_sb_4_environment_holds_nothing_of_the_servers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTH_TEST_SECRET", CANARY)
    for run in range(3):
        result = await bench.run("import os, sys, ctypes; print(dict(os.environ), sys.argv, sys.orig_argv[:1])")
        assert CANARY not in result.stdout and "HEARTH" not in result.stdout, run
    pids = bench.sandbox._pool.pids() if bench.sandbox._pool else ()
    for pid in pids:
        assert b"HEARTH" not in Path(f"/proc/{pid}/environ").read_bytes(), "of the launcher"


WRITES = {
    "open": "open(PATH, 'w').write('x')",
    "append": "open(PATH, 'a').write('x')",
    "truncate": "import os; os.truncate(PATH, 0)",
    "open that empties": "import os; os.open(PATH, os.O_RDONLY | os.O_TRUNC)",
    "remove": "import os; os.remove(PATH)",
    "rename over": "import os; open('mine', 'w').write('x'); os.rename('mine', PATH)",
    "mode": "import os; os.chmod(PATH, 0)",
    "times": "import os; os.utime(PATH, (0, 0))",
    "new beside": "open(PATH + '-new', 'w').write('x')",
    "folder beside": "import os; os.mkdir(PATH + '-folder')",
    "link beside": "import os; os.symlink('/', PATH + '-link')",
    "through a link": "import os; os.symlink(PATH, 'l'); open('l', 'w').write('x')",
    "temporary": "import tempfile; tempfile.NamedTemporaryFile(dir='/tmp', delete=False).write(b'x')",
    "shared memory": "open('/dev/shm/hearth-escape', 'w').write('x')",
    "interpreter": "import os; open(os.__file__, 'a').write('#')",
}


@pytest.mark.parametrize("way", WRITES)
async def test_sb_5_nothing_outside_can_be_changed_by(bench: Bench, outside: Path, way: str) -> None:
    canary = outside / "canary"
    before = canary.stat()
    result = await bench.attempt(f"PATH = {str(canary)!r}\n{WRITES[way]}\nprint('DONE')")
    assert "DONE" not in result.stdout, "it seems to have worked"
    after = canary.stat()
    assert canary.read_text() == CANARY
    assert (after.st_mode, after.st_mtime_ns, after.st_ino) == (before.st_mode, before.st_mtime_ns, before.st_ino)
    assert sorted(path.name for path in outside.iterdir()) == ["canary"]
    assert not Path("/dev/shm/hearth-escape").exists()


NETWORK = {
    "tcp": "import socket; socket.create_connection(('127.0.0.1', PORT), 1)",
    "udp": "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))",
    "tcp of ip 6": "import socket; socket.create_connection(('::1', PORT), 1)",
    "raw": "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "netlink": "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)",
    "packet": "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)",
    "vsock": "import socket; socket.socket(40, socket.SOCK_STREAM)",
    "unix": "import socket; socket.socket(socket.AF_UNIX).connect('/run/x')",
    "listening": "import socket; socket.create_server(('127.0.0.1', 0))",
    "name": "import socket; socket.getaddrinfo('localhost', 80, proto=6)[0][4][0].index('x')",
    "address": "import urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{PORT}/', timeout=1)",
    "asyncio": "import asyncio; asyncio.run(asyncio.open_connection('127.0.0.1', PORT))",
    "libc": "import ctypes; l = ctypes.CDLL(None, use_errno=True); s = l.socket(2, 1, 0); assert s >= 0",
    "datagram pair": "import socket; socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
    "old convention": "import ctypes; assert ctypes.CDLL(None).syscall(0x40000000 + 41, 2, 1, 0) >= 0",
}  # fmt: skip


@pytest.mark.parametrize("way", NETWORK)
async def test_sb_3_no_network_by(bench: Bench, way: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        result = await bench.attempt(f"PORT = {listener.getsockname()[1]}\n{NETWORK[way]}\nprint('DONE')")
        assert "DONE" not in result.stdout
        with pytest.raises(BlockingIOError):
            listener.accept()


PROCESSES = {
    "fork": "import os; os.fork()",
    "forkpty": "import os; os.forkpty()",
    "spawn": "import os; os.posix_spawn('/bin/true', ['true'], {})",
    "exec": "import os; os.execv('/bin/true', ['true'])",
    "system": "import os; assert os.system('true') == 0",
    "process pool": "import concurrent.futures as c; print(c.ProcessPoolExecutor(1).submit(int).result(1))",
    "server": f"import os; os.kill({os.getpid()}, 0)",
    "init": "import os; os.kill(1, 0)",
    "everybody": "import os; os.kill(-1, 0)",
    "own group": "import os; os.killpg(0, 0)",
    "parent": "import os; os.kill(os.getppid(), 0)",
    "trace": f"import ctypes; assert ctypes.CDLL(None).ptrace(16, {os.getpid()}, 0, 0) == 0",
    "queue": f"import ctypes; b = (ctypes.c_char * 128)(); assert ctypes.CDLL(None).syscall(129, {os.getpid()}, 0, b) == 0",
    "priority": f"import os; os.setpriority(os.PRIO_PROCESS, {os.getpid()}, 19)",
    "affinity": f"import os; os.sched_setaffinity({os.getpid()}, [0])",
    "limits": f"import resource; resource.prlimit({os.getpid()}, resource.RLIMIT_NOFILE)",
    "root": "import os; os.setuid(0)",
    "session": "import os; os.setsid()",
    "namespace": "import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0",
    "keys": "import ctypes; assert ctypes.CDLL(None).syscall(250, 0, -3, 0) >= 0",
    "more memory": "import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
}  # fmt: skip


@pytest.mark.parametrize("way", PROCESSES)
async def test_sb_3_no_other_process_by(bench: Bench, way: str) -> None:
    result = await bench.attempt(f"{PROCESSES[way]}\nprint('DONE')")
    assert "DONE" not in result.stdout
    assert result.error is not None, "the attempt should be refused, not end the code"


async def test_sb_4_only_pipes_sockets_and_the_null_device_are_open_inside(bench: Bench) -> None:
    result = await bench.run(
        "import os, stat\nfor fd in range(64):\n    try:\n        mode = os.fstat(fd).st_mode\n    except OSError:\n"
        "        continue\n    print(fd, stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or stat.S_ISCHR(mode))"
    )
    assert [line.split()[1] for line in result.stdout.splitlines()] == ["True"] * 4


# ---- bombs ---------------------------------------------------------------------------------------

BOMBS = {
    "memory": ("x = bytearray(1 << 30)", ("MemoryError",)),
    "memory bit by bit": ("x = []\nwhile True: x.append('x' * (1 << 24))", ("MemoryError", "timeout")),
    "text": ("'x' * (1 << 40)", ("MemoryError",)),
    "fork": ("import os\nwhile True: os.fork()", ("PermissionError",)),
    "threads": (
        "import threading, time\nthreading.stack_size(65536)\n"
        "while True: threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
        ("can't start new thread", "threads"),
    ),
    "output": ("while True: print('x' * 1000)", ("output",)),
    "errors": ("import sys\nwhile True: print('x' * 1000, file=sys.stderr)", ("output",)),
    "raw output": ("import os\nwhile True: os.write(1, b'x' * 65536)", ("output",)),
    "large file": ("f = open('f', 'wb')\nwhile True: f.write(b'x' * (1 << 20))", ("File too large",)),
    "sparse file": ("f = open('f', 'wb'); f.seek(1 << 40); f.write(b'x'); f.flush()", ("File too large",)),
    "disk": ("i = 0\nwhile True:\n  i += 1\n  open(f'f{i}', 'wb').write(b'x' * (8 << 20))", ("disk", "No space left")),
    "many files": ("i = 0\nwhile True:\n  i += 1\n  open(f'f{i}', 'wb').close()", ("disk",)),
    "deep folders": ("import os\nwhile True: os.mkdir('d'); os.chdir('d')", ("disk",)),
    "wide folders": ("import os\ni = 0\nwhile True:\n  i += 1\n  os.makedirs(f'd{i}/d')", ("disk",)),
    "closed folder": ("import os\nos.mkdir('c', 0o300); os.chdir('c')\ni = 0\nwhile True:\n  i += 1\n  open(f'f{i}', 'wb').close()", ("disk",)),
    "open files": ("x = []\nwhile True: x.append(open('f', 'wb'))", ("Too many open files",)),
    "recursion": ("def f(): return f()\nf()", ("RecursionError",)),
    "deep value": ("x = []\nfor _ in range(100000): x = [x]\nx", ("RecursionError", "crashed")),
    "exit": ("import os; os._exit(0)", ("crashed",)),
    "segmentation fault": ("import ctypes; ctypes.string_at(0)", ("crashed",)),
    "handles closed": ("import os; os.closerange(0, 64)", ("crashed",)),
    "own death": ("import os; os.kill(os.getpid(), 9)", ("memory",)),
    "nonsense to the server": ("import os\nfor fd in range(3, 20):\n  try: os.write(fd, b'\\xff' * 1000)\n  except OSError: pass\nos._exit(0)", ("crashed",)),
    "a giant answer": ("import os\nfor fd in range(3, 20):\n  try: os.write(fd, b'\\x7f\\xff\\xff\\xff')\n  except OSError: pass\nwhile True: pass", ("crashed", "timeout")),
    "syntax": ("((((((" * 100, ("SyntaxError",)),
    "nested syntax": ("(" * 5000 + ")" * 5000, ("SyntaxError", "MemoryError", "RecursionError")),
    "null byte": ("print('\0')", ("SyntaxError", "ValueError")),
}  # fmt: skip
ENDLESS = {
    "loop": "while True: pass",
    "sleep": "import time; time.sleep(1000)",
    "threads that stay": "import threading\ndef f():\n  while True: pass\nthreading.Thread(target=f).start()\nwhile True: pass",
    "signals ignored": "import signal\nfor s in (1, 2, 3, 15, 24, 25): signal.signal(s, signal.SIG_IGN)\nwhile True: pass",
    "lock": "import threading\nl = threading.Lock(); l.acquire(); l.acquire()",
    "regular expression": "import re; re.match('(a+)+$', 'a' * 60 + 'b')",
    "endless repr": "class A:\n  def __repr__(self):\n    while True: pass\nA()",
    "endless error": "class E(Exception):\n  def __str__(self):\n    while True: pass\nraise E",
    "stopping itself": "import os; os.kill(os.getpid(), 19)",
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
async def test_sb_4_bomb_is_defused(short: Bench, bomb: str) -> None:
    code, endings = BOMBS[bomb]
    began = time.monotonic()
    result = await short.run(code)
    told = f"{result.stopped} {result.error}"
    assert any(ending in told for ending in endings), told[-300:]
    assert time.monotonic() - began < 8
    assert len(result.stdout) + len(result.stderr) <= SHORT.output


async def test_sb_4_code_after_all_the_bombs_is_well(short: Bench) -> None:
    assert (await short.run("6 * 7")).value == "42"


@pytest.mark.parametrize("code", ENDLESS.values(), ids=ENDLESS)
async def test_sb_4_code_without_end_is_ended(hasty: Bench, code: str) -> None:
    result = await hasty.run(code)
    assert result.stopped == "timeout"
    assert 0.3 <= result.seconds < 3


async def test_sb_4_cpu_time_is_limited_as_well(bench: Bench) -> None:
    made = Bench(bench.layer, SandboxLimits(wall_seconds=10, cpu_seconds=1))
    result = await made.run(
        "import threading\nthreading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()\nwhile True: pass"
    )
    await made.sandbox.aclose()
    assert (result.stopped, result.seconds < 9) == ("cpu", True)
