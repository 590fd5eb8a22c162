"""Jobs that behave well and badly, for the tests of the worker."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

from backend.workers.port import Refusal

loaded_by = os.getpid()


def add(a: int, b: int) -> int:
    return a + b


def echo(**values: Any) -> dict[str, Any]:
    return values


def who() -> dict[str, Any]:
    return {"pid": os.getpid(), "parent": os.getppid(), "group": os.getpgid(0), "loaded_by": loaded_by}


def surroundings() -> dict[str, Any]:
    descriptors = Path("/proc/self/fd")
    return {
        "environ": dict(os.environ),
        "cwd": str(Path.cwd()),
        "descriptors": [str(Path.readlink(d)) for d in descriptors.iterdir() if d.is_symlink()],
        "parent_environ": Path(f"/proc/{os.getppid()}/environ").read_text(),
        "path": sys.path,
        "writes_bytecode": not sys.dont_write_bytecode,
    }


def limits() -> dict[str, Any]:
    names = ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_CORE")
    return {name: resource.getrlimit(getattr(resource, name)) for name in names}


def sleep(seconds: float, mark: str | None = None) -> str:
    if mark:
        with Path(mark).open("a") as file:
            file.write(f"{os.getpid()}\n")
    time.sleep(seconds)
    return "slept"


def spin() -> None:
    while True:
        pass


def swallow_everything() -> None:
    while True:
        try:
            time.sleep(10)
        except BaseException:
            continue


def stubborn() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    swallow_everything()


def long_c_call() -> int:
    return len(str(pow(7, 40_000_000)))


def allocate() -> int:
    return len(bytearray(8 * 1024**3))


def hoard() -> int:
    kept = []
    while True:
        kept.append(bytearray(1_000_000))


def refuse(sentence: str) -> None:
    raise Refusal(sentence)


def fail(secret: str) -> None:
    raise KeyError(secret)


def abort() -> None:
    os.abort()


def segfault() -> None:
    ctypes.string_at(0)


def leave() -> None:
    os._exit(3)


def big(size: int) -> str:
    return "x" * size


def not_json() -> object:
    return object()


def write_file(folder: str) -> None:
    with Path(folder, "big").open("wb") as file:
        file.write(b"x" * 1_000_000)
        file.flush()


def count(to: int, pause: float = 0.0) -> Generator[int, None, str]:
    for number in range(to):
        yield number
        time.sleep(pause)
    return "done"


def talk_big(size: int) -> Generator[str, None, None]:
    yield "x" * size


def grandchild(mark: str) -> None:
    code = "import time; time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code])
    Path(mark).write_text(str(process.pid))
    time.sleep(60)


def fork_and_leave(mark: str) -> str:
    pid = os.fork()
    if pid == 0:
        time.sleep(60)
        os._exit(0)
    Path(mark).write_text(str(pid))
    return "left"


def _private() -> None: ...
