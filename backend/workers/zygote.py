"""A warm process that forks one child per job: `python -m backend.workers.zygote MODULE`.

Its standard input is a socket to the server. A frame `{"run": id}` comes with a file descriptor, over which the
new child gets its job and answers; `{"end": id}` kills that child's process group and answers how it ended.
Children are reaped only then, so a process id can never be another's by the time it is killed. The process is
single-threaded, holds no secret, and ends when the server does.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import inspect
import math
import os
import resource
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from types import ModuleType, TracebackType
from typing import Any

from backend.workers.frames import FrameBuffer, pack, receive_frame
from backend.workers.job_names import function_of, preload
from backend.workers.port import Refusal

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38
MAX_FILE_BYTES = 65_536
MAX_OPEN_FILES = 64
WARM_UP_PAUSE_S = 0.02

_OUT_OF_MEMORY = pack({"failed": "memory"})


def main(module_name: str) -> None:
    """Serve until the server closes its end. `module_name` holds the jobs of this family."""
    control = socket.socket(fileno=os.dup(0))
    _silence(0, 1)
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    module = preload(module_name)
    gc.collect()
    gc.freeze()
    control.sendall(pack({"ready": os.getpid()}))
    _Zygote(control, module).serve()


class _Zygote:
    def __init__(self, control: socket.socket, module: ModuleType) -> None:
        self._control = control
        self._module = module
        self._children: dict[int, int] = {}
        warm_up: Callable[[], Iterator[None]] | None = getattr(module, "warm_up", None)
        self._warm_up: Iterator[None] | None = warm_up() if warm_up else None

    def serve(self) -> None:
        buffer, waiting = FrameBuffer(), list[int]()
        flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        while True:
            self._use_idle_time()
            data, descriptors, _, _ = socket.recv_fds(self._control, 65_536, 16, flags)
            waiting += descriptors
            if not data:
                break
            for frame in buffer.feed(data):
                if "run" in frame:
                    self._fork(frame["run"], waiting.pop(0))
                else:
                    self._end(frame["end"])
        for pid in self._children.values():
            _kill_group(pid)

    def _use_idle_time(self) -> None:
        """Fill the libraries' caches step by step while nobody waits; every later child inherits them."""
        while self._warm_up is not None and not self._children:
            if select.select([self._control], [], [], WARM_UP_PAUSE_S)[0]:
                return
            if next(self._warm_up, self) is self:
                self._warm_up = None
                gc.collect()
                gc.freeze()

    def _fork(self, job_id: int, descriptor: int) -> None:
        try:
            pid = os.fork()
        except OSError:
            os.close(descriptor)
            return
        if pid == 0:
            self._control.close()
            _child(descriptor, self._module)
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        self._children[job_id] = pid

    def _end(self, job_id: int) -> None:
        pid = self._children.pop(job_id, None)
        code, seconds = None, 0.0
        if pid is not None:
            _kill_group(pid)
            _, status, usage = os.wait4(pid, 0)
            code, seconds = os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
        with contextlib.suppress(OSError):
            self._control.sendall(pack({"ended": job_id, "code": code, "cpu_seconds": seconds}))


def _kill_group(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):
            kill(pid, signal.SIGKILL)


def _child(descriptor: int, module: ModuleType) -> None:
    """The life of a child: it never returns."""
    try:
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        # Under the limit on file sizes a compiled module would be cut short, and stay so for every later process.
        sys.dont_write_bytecode = True
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        _silence(2)
        connection = socket.socket(fileno=descriptor)
        with _Report(connection):
            _work(connection, module)
    finally:
        os._exit(0)


def _work(connection: socket.socket, module: ModuleType) -> None:
    order = receive_frame(connection)
    limit_process(order["seconds"], order["memory_mb"], order.get("file_mb", 0))
    payload = receive_frame(connection)
    connection.sendall(pack({"started": os.getpid()}))
    outcome = function_of(module, order["function"])(**payload)
    if inspect.isgenerator(outcome):
        outcome = _drain(outcome, connection, order["output_bytes"])
    connection.sendall(_within({"result": outcome}, order["output_bytes"]))


def _drain(steps: Any, connection: socket.socket, limit: int) -> Any:
    while True:
        try:
            value = next(steps)
        except StopIteration as stop:
            return stop.value
        connection.sendall(_within({"progress": value}, limit))


def _within(frame: dict[str, Any], limit: int) -> bytes:
    data = pack(frame)
    if len(data) > limit:
        raise Refusal(f"The result is larger than the {limit // 1024:,} KiB that are allowed; ask for less.")
    return data


class _Report:
    """Tells the server how a job failed. The exception itself ends with the process."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> bool:
        if error is None:
            return False
        with contextlib.suppress(OSError):
            self._connection.sendall(self._frame(error))
        return True

    def _frame(self, error: BaseException) -> bytes:
        if isinstance(error, MemoryError):
            return _OUT_OF_MEMORY
        if isinstance(error, Refusal):
            return pack({"failed": "refused", "message": str(error)})
        # The exception's own text may quote a user's input, so only its kind and place are told.
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        place = " < ".join(f"{os.path.basename(f.filename)}:{f.lineno} {f.name}" for f in reversed(frames))  # noqa: PTH119
        return pack({"failed": "error", "where": f"{type(error).__name__} at {place}"})


def limit_process(seconds: float, memory_mb: int, file_mb: int = 0) -> None:
    """Lower this process's limits for good: CPU seconds, address space beyond today's, files written and open."""
    cpu = max(1, math.ceil(seconds))
    _lower(resource.RLIMIT_CPU, cpu, cpu + 1)
    held = _address_space()
    if held is not None:
        _lower(resource.RLIMIT_AS, held + memory_mb * 1_048_576)
    _lower(resource.RLIMIT_FSIZE, file_mb * 1_048_576 or MAX_FILE_BYTES)
    _lower(resource.RLIMIT_NOFILE, MAX_OPEN_FILES)
    _lower(resource.RLIMIT_CORE, 0)


def _lower(which: int, soft: int, hard: int | None = None) -> None:
    ceiling = resource.getrlimit(which)[1]
    wanted = soft if hard is None else hard
    allowed = wanted if ceiling == resource.RLIM_INFINITY else min(wanted, ceiling)
    resource.setrlimit(which, (min(soft, allowed), allowed))


def _address_space() -> int | None:
    """Bytes of address space in use; None where the system does not say (not Linux)."""
    try:
        with open("/proc/self/statm", "rb") as statm:  # noqa: PTH123
            return int(statm.read().split()[0]) * resource.getpagesize()
    except OSError:
        return None


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, int(value), 0, 0, 0)


def _silence(*descriptors: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(null, descriptor)
    os.close(null)


if __name__ == "__main__":
    main(sys.argv[1])
