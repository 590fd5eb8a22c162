"""How the process inside locks itself in: the fixed order of SB-2, each step for good.

Runs within the sandbox, before any code is accepted; raises OSError at the first step that the system refuses.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
from typing import Any

from backend.workers.sandbox import landlock, seccomp

CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC = 0x1000_0000, 0x2000_0000, 0x4000_0000, 0x0800_0000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS = 1, 4, 8
CAP_DAC_READ_SEARCH = 2
NICENESS = 5
_CAPABILITY_VERSION_3 = 0x2008_0522


def lock(config: dict[str, Any]) -> None:
    """Everything up to the point where code may come. `config` is what `interpreter.plan` wrote.

    With namespaces of its own this returns in a grandchild: the processes above only wait and pass on how it ended.
    """
    _enter(config)
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    _limit(config)
    _prctl(seccomp.PR_SET_NO_NEW_PRIVS, 1)
    _prctl(PR_SET_DUMPABLE, 0)
    _keep_capability(config["keep_read"])
    landlock.restrict((path, rights) for path, rights in config["rules"])
    seccomp.install(os.getpid())


def _enter(config: dict[str, Any]) -> None:
    """Another user when this is root, and namespaces of its own where the layer has them."""
    uid: int | None = config["uid"]
    wanted = CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC
    if config["namespaces"] and config["keep_read"]:
        # Only root can read the interpreter, and in a user namespace there would be no root left.
        _unshare(wanted)
        _drop(uid, keep=True)
    elif config["namespaces"]:
        _drop(uid, keep=False)
        own = os.geteuid(), os.getegid()
        _unshare(CLONE_NEWUSER | wanted)
        _map_user(*own)
    else:
        _drop(uid, keep=config["keep_read"])
    if config["namespaces"]:
        _descend()
        _descend()


def _drop(uid: int | None, *, keep: bool) -> None:
    """Become this user and group for good, unless None. `keep` saves the right to read, which Landlock then narrows."""
    if uid is None:
        return
    if keep:
        _prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    # The change of user has made the process undumpable, and its files in /proc root's, the map among them.
    _prctl(PR_SET_DUMPABLE, 1)


def _map_user(uid: int, gid: int) -> None:
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        handle = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(handle, text.encode())
        finally:
            os.close(handle)


def _descend() -> None:
    """Go on in a child; this process stays behind only to wait. Twice: the first process of a pid namespace is its
    init, which signals do not end and whose end ends all others."""
    # Set anew in every process: a change of user and a fork both forget it.
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    child = os.fork()
    if child == 0:
        return
    os.closerange(0, 64)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else 128 - code)


def _limit(config: dict[str, Any]) -> None:
    limits = config["limits"]
    for which, soft, hard in (
        (resource.RLIMIT_AS, limits["memory"], limits["memory"]),
        (resource.RLIMIT_CPU, limits["cpu_seconds"], limits["cpu_seconds"] + 1),
        (resource.RLIMIT_FSIZE, limits["file_size"], limits["file_size"]),
        (resource.RLIMIT_NOFILE, limits["open_files"], limits["open_files"]),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        resource.setrlimit(which, (soft, hard))
    # The server's own work goes first.
    os.setpriority(os.PRIO_PROCESS, 0, max(os.getpriority(os.PRIO_PROCESS, 0), NICENESS))
    if limits["processes"]:
        resource.setrlimit(resource.RLIMIT_NPROC, (limits["processes"], limits["processes"]))


def _keep_capability(read: bool) -> None:
    """Give up every privilege of root, but (`read`) the one to pass folders that are closed to others."""
    bits = 1 << CAP_DAC_READ_SEARCH if read else 0
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    data = struct.pack("=6I", bits, bits, 0, 0, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(header, data):
        code = ctypes.get_errno()
        raise OSError(code, f"capset: {os.strerror(code)}")


def _unshare(flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(ctypes.c_int(flags)):
        code = ctypes.get_errno()
        raise OSError(code, f"unshare: {os.strerror(code)}")


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    zero = ctypes.c_ulong(0)
    if libc.prctl(ctypes.c_int(option), ctypes.c_ulong(int(value)), zero, zero, zero):
        code = ctypes.get_errno()
        raise OSError(code, f"prctl {option}: {os.strerror(code)}")
