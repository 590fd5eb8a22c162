"""The forbidden things that the self-test has code try inside: each function returns what it got away with, or raises.

The text of this file is run in the sandbox as a user's code would be. A probe counts as stopped only when it raised
one of the errors that a refusal brings; a return is a leak.
"""

# ruff: noqa: PTH101, PTH123, PTH208, PTH211
from __future__ import annotations

import ctypes
import json
import mmap
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

TARGETS: dict[str, Any] = {}
"""Filled in by the self-test: pid, tcp and udp ports, unix sockets, a canary file and its folder, the application."""
STAYS = ("LANG", "TZ", "HOME", "MPLBACKEND", "MPLCONFIGDIR", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "LC_CTYPE")


def read_system_file() -> str:
    return Path("/etc/passwd").read_text(encoding="utf-8")[:20]


def read_application() -> str:
    return str(os.listdir(TARGETS["application"])) + Path(TARGETS["application"], "__init__.py").read_text()


def read_data() -> str:
    return Path(TARGETS["canary"]).read_text(encoding="utf-8")


def read_other_environment() -> str:
    for pid in (1, TARGETS["pid"], "self"):
        try:
            return Path(f"/proc/{pid}/environ").read_text(encoding="utf-8")[:20]
        except OSError:
            continue
    raise PermissionError("every one refused")


def follow_link_out() -> str:
    os.symlink(TARGETS["canary"], "link")
    return Path("link").read_text(encoding="utf-8")


def write_outside() -> str:
    Path(TARGETS["outside"], "written").write_text("x", encoding="utf-8")
    return "written"


def change_mode_outside() -> str:
    os.chmod(TARGETS["canary"], 0o777)
    return "changed"


def connect_tcp() -> str:
    with socket.create_connection(("127.0.0.1", TARGETS["tcp"]), timeout=0.3):
        return "connected"


def send_udp() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.sendto(b"x", ("127.0.0.1", TARGETS["udp"]))
        return "sent"


def connect_unix() -> str:
    for address in (TARGETS["unix"], TARGETS["abstract"]):
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as out:
                out.connect(address)
                return "connected"
        except OSError:
            continue
    raise PermissionError("every one refused")


def send_over_pair() -> str:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendto(b"x", TARGETS["unix"])
        return "sent"


def fork() -> str:
    if os.fork() == 0:
        os._exit(0)
    return "forked"


def execute() -> str:
    os.execv("/bin/sh", ["sh", "-c", "echo leaked"])


def start_program() -> str:
    return str(subprocess.run([sys.executable, "-c", "1"], check=False).returncode)


def signal_server() -> str:
    os.kill(TARGETS["pid"], 0)
    return "there"


def signal_group() -> str:
    os.killpg(0, signal.SIGCONT)
    return "sent"


def trace_process() -> str:
    return _call("ptrace", 16, TARGETS["pid"], 0, 0)


def read_process_memory() -> str:
    return _call("process_vm_readv", TARGETS["pid"], 0, 0, 0, 0, 0)


def new_namespace() -> str:
    return _call("unshare", 0x1000_0000)


def mount() -> str:
    return _call("mount", b"none", b"/", b"tmpfs", 0, None)


def gain_root() -> str:
    os.setuid(0)
    return "root"


def raise_limits() -> str:
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return "raised"


def too_much_memory() -> str:
    with mmap.mmap(-1, 1 << 30) as space:
        return f"{len(space)} bytes"


def too_large_file() -> str:
    with open("large", "wb") as file:
        file.seek((1 << 25) - 1)
        file.write(b"x")
    return "written"


def too_many_files_open() -> str:
    files = []
    try:
        for _ in range(200):
            files.append(open("/dev/null", "rb"))  # noqa: PERF401, SIM115
        return "opened"
    finally:
        for file in files:
            file.close()


def see_environment() -> str:
    """Nothing that the server was started with."""
    more = sorted(set(os.environ) - set(STAYS))
    if not more:
        raise PermissionError("nothing to see")
    return ", ".join(more)


def use_much_time() -> str:
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    if 0 < soft <= hard <= 60:
        raise PermissionError(f"at most {hard} s")
    return f"{soft} s"


def _call(name: str, *arguments: Any) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
    return "done"


def works_as_it_should() -> str:
    """What must still be possible; any error here is the layer's fault."""
    import sqlite3

    Path("made").write_text("x", encoding="utf-8")
    done: list[int] = []
    thread = threading.Thread(target=done.append, args=(1,))
    thread.start()
    thread.join()
    with sqlite3.connect(":memory:") as database:
        database.execute("create table t(x)")
    database.close()
    Path("made").unlink()
    return "works" if done else "no threads"


FORBIDDEN = (
    read_system_file, read_application, read_data, read_other_environment, follow_link_out, write_outside,
    change_mode_outside, connect_tcp, send_udp, connect_unix, send_over_pair, fork, execute, start_program,
    signal_server, signal_group, trace_process, read_process_memory, new_namespace, mount, gain_root, raise_limits,
    too_much_memory, too_large_file, too_many_files_open, see_environment, use_much_time,
)  # fmt: skip


def attempt_all() -> str:
    """JSON: name to [stopped, detail] for every probe, and `works`."""
    found: dict[str, tuple[bool, str]] = {}
    for probe in FORBIDDEN:
        try:
            found[probe.__name__] = (False, str(probe())[:60])
        except (OSError, MemoryError, ValueError) as refused:
            found[probe.__name__] = (True, f"{type(refused).__name__} {getattr(refused, 'strerror', None) or refused}")
    try:
        works = works_as_it_should()
    except (OSError, MemoryError, ImportError, RuntimeError) as failed:
        works = f"{type(failed).__name__}: {failed}"
    return json.dumps({"probes": found, "works": works})
