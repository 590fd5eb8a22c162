"""seccomp: the list of system calls that code in the sandbox may make; every other one answers "not permitted".

The filter is a small program of the kernel's classic packet filter, built here and handed over with prctl.
Source: kernel documentation, userspace-api/seccomp_filter; numbers from the kernel's tables for each architecture.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Mapping
from typing import NamedTuple

X86_64 = {
    "read": 0, "write": 1, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8, "mmap": 9,
    "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15,
    "pread64": 17, "pwrite64": 18, "readv": 19, "writev": 20, "access": 21, "pipe": 22, "select": 23, "sched_yield": 24,
    "mremap": 25, "msync": 26, "mincore": 27, "madvise": 28, "dup": 32, "dup2": 33, "pause": 34, "nanosleep": 35,
    "getitimer": 36, "alarm": 37, "setitimer": 38, "getpid": 39, "sendfile": 40, "recvfrom": 45, "shutdown": 48,
    "getsockname": 51, "getpeername": 52, "getsockopt": 55, "exit": 60, "wait4": 61, "uname": 63, "flock": 73,
    "fsync": 74, "fdatasync": 75, "ftruncate": 77, "getdents": 78, "getcwd": 79, "chdir": 80,
    "fchdir": 81, "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85, "unlink": 87, "symlink": 88, "readlink": 89,
    "umask": 95, "gettimeofday": 96, "getrlimit": 97, "getrusage": 98, "sysinfo": 99, "times": 100, "getuid": 102,
    "getgid": 104, "geteuid": 107, "getegid": 108, "getppid": 110, "getpgrp": 111, "getgroups": 115, "getresuid": 118,
    "getresgid": 120, "getpgid": 121, "getsid": 124, "rt_sigpending": 127, "rt_sigtimedwait": 128,
    "rt_sigsuspend": 130, "sigaltstack": 131, "statfs": 137, "fstatfs": 138, "getpriority": 140, "sched_getparam": 143,
    "sched_getscheduler": 145, "sched_get_priority_max": 146, "sched_get_priority_min": 147, "gettid": 186,
    "time": 201, "futex": 202, "sched_getaffinity": 204, "epoll_create": 213, "getdents64": 217,
    "set_tid_address": 218, "restart_syscall": 219, "fadvise64": 221, "clock_gettime": 228, "clock_getres": 229,
    "clock_nanosleep": 230, "exit_group": 231, "epoll_wait": 232, "epoll_ctl": 233, "waitid": 247,
    "mkdirat": 258, "newfstatat": 262, "unlinkat": 263, "renameat": 264, "symlinkat": 266, "readlinkat": 267,
    "faccessat": 269, "pselect6": 270, "ppoll": 271, "set_robust_list": 273, "get_robust_list": 274,
    "epoll_pwait": 281, "timerfd_create": 283, "fallocate": 285, "timerfd_settime": 286, "timerfd_gettime": 287,
    "eventfd2": 290, "epoll_create1": 291, "dup3": 292, "pipe2": 293, "preadv": 295, "pwritev": 296, "getcpu": 309,
    "renameat2": 316, "getrandom": 318, "membarrier": 324, "copy_file_range": 326, "preadv2": 327, "pwritev2": 328,
    "statx": 332, "rseq": 334, "close_range": 436, "faccessat2": 439, "epoll_pwait2": 441, "futex_waitv": 449,
}  # fmt: skip
AARCH64 = {
    "getcwd": 17, "eventfd2": 19, "epoll_create1": 20, "epoll_ctl": 21, "epoll_pwait": 22, "dup": 23, "dup3": 24,
    "flock": 32, "mkdirat": 34, "unlinkat": 35, "symlinkat": 36, "renameat": 38, "statfs": 43, "fstatfs": 44,
    "ftruncate": 46, "fallocate": 47, "faccessat": 48, "chdir": 49, "fchdir": 50,
    "close": 57, "pipe2": 59, "getdents64": 61, "lseek": 62, "read": 63, "write": 64, "readv": 65, "writev": 66,
    "pread64": 67, "pwrite64": 68, "preadv": 69, "pwritev": 70, "sendfile": 71, "pselect6": 72, "ppoll": 73,
    "readlinkat": 78, "newfstatat": 79, "fstat": 80, "fsync": 82, "fdatasync": 83, "timerfd_create": 85,
    "timerfd_settime": 86, "timerfd_gettime": 87, "exit": 93, "exit_group": 94, "waitid": 95, "set_tid_address": 96,
    "futex": 98, "set_robust_list": 99, "get_robust_list": 100, "nanosleep": 101, "getitimer": 102, "setitimer": 103,
    "clock_gettime": 113, "clock_getres": 114, "clock_nanosleep": 115, "sched_getscheduler": 120,
    "sched_getparam": 121, "sched_getaffinity": 123, "sched_yield": 124, "sched_get_priority_max": 125,
    "sched_get_priority_min": 126, "restart_syscall": 128, "sigaltstack": 132, "rt_sigsuspend": 133,
    "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigpending": 136, "rt_sigtimedwait": 137, "rt_sigreturn": 139,
    "getpriority": 141, "getresuid": 148, "getresgid": 150, "times": 153, "getpgid": 155, "getsid": 156,
    "getgroups": 158, "uname": 160, "getrlimit": 163, "getrusage": 165, "umask": 166, "getcpu": 168,
    "gettimeofday": 169, "getpid": 172, "getppid": 173, "getuid": 174, "geteuid": 175, "getgid": 176, "getegid": 177,
    "gettid": 178, "sysinfo": 179, "getsockname": 204, "getpeername": 205, "recvfrom": 207, "getsockopt": 209,
    "shutdown": 210, "brk": 214, "munmap": 215, "mremap": 216, "mmap": 222, "fadvise64": 223, "mprotect": 226,
    "msync": 227, "mincore": 232, "madvise": 233, "wait4": 260, "renameat2": 276, "getrandom": 278,
    "membarrier": 283, "copy_file_range": 285, "preadv2": 286, "pwritev2": 287, "statx": 291, "rseq": 293,
    "close_range": 436, "faccessat2": 439, "epoll_pwait2": 441, "futex_waitv": 449,
}  # fmt: skip


class Machine(NamedTuple):
    """An architecture: its audit number, what is always allowed, and the calls whose arguments are looked at."""

    audit: int
    allowed: Mapping[str, int]
    clone: int
    clone3: int
    kill: int
    tgkill: int
    ioctl: int
    fcntl: int
    prlimit64: int
    socketpair: int
    sendto: int
    openat: int
    open: int | None = None
    foreign_from: int | None = None
    """Call numbers from here belong to another calling convention of the same machine."""


MACHINES = {
    "x86_64": Machine(0xC000003E, X86_64, 56, 435, 62, 234, 16, 72, 302, 53, 44, 257, 2, foreign_from=0x4000_0000),
    "aarch64": Machine(0xC00000B7, AARCH64, 220, 435, 129, 131, 29, 25, 261, 199, 206, 56),
}

_LD, _JEQ, _JGE, _AND, _RET = 0x20, 0x15, 0x35, 0x54, 0x06
_ALLOW, _ERRNO = 0x7FFF_0000, 0x0005_0000
_NR, _ARCH, _ARGS = 0, 4, 16
_THREAD = 0x0001_0000 | 0x0000_0100 | 0x0000_0800
"""CLONE_THREAD, CLONE_VM and CLONE_SIGHAND: a thread of this process and nothing else."""
_NAMESPACES = 0x7E02_0000
_TRACED = 0x0000_2000
_CLEAN_FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)
"""Duplicating, flags and locks. Not F_SETOWN and F_SETSIG, which have the kernel send signals to others."""
_CLEAN_IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""Is it a terminal, its size, bytes waiting, non-blocking, close on exec."""
_AF_UNIX, _SOCK_STREAM = 1, 1

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, constant."""


def machine() -> Machine | None:
    """This machine's table; None for an architecture that has none here."""
    return MACHINES.get(os.uname().machine)


def filter_program(table: Machine, pid: int) -> list[Instruction]:
    """The filter for a process with this id (as it sees itself): the only one it may send signals to."""
    deny = _ERRNO | errno.EPERM
    program: list[Instruction] = [(_LD, 0, 0, _ARCH), (_JEQ, 1, 0, table.audit), (_RET, 0, 0, deny), (_LD, 0, 0, _NR)]
    if table.foreign_from is not None:
        program += [(_JGE, 0, 1, table.foreign_from), (_RET, 0, 0, deny)]
    # libc tries clone3 first and falls back to clone, whose flags can be seen here.
    program += _when(table.clone3, [(_RET, 0, 0, _ERRNO | errno.ENOSYS)])
    for number in sorted(table.allowed.values()):
        program += _when(number, [(_RET, 0, 0, _ALLOW)])
    program += _when(table.clone, _if_masked(0, _THREAD | _NAMESPACES | _TRACED, (_THREAD,)))
    program += _when(table.kill, _if_masked(0, 0xFFFF_FFFF, (pid,)))
    program += _when(table.tgkill, _if_masked(0, 0xFFFF_FFFF, (pid,)))
    program += _when(table.ioctl, _if_masked(1, 0xFFFF_FFFF, _CLEAN_IOCTL))
    program += _when(table.fcntl, _if_masked(1, 0xFFFF_FFFF, _CLEAN_FCNTL))
    program += _when(table.prlimit64, _if_masked(0, 0xFFFF_FFFF, (0,)))
    program += _when(table.openat, _if_no_silent_truncation(2))
    if table.open is not None:
        program += _when(table.open, _if_no_silent_truncation(1))
    program += _when(table.socketpair, _if_pair())
    program += _when(table.sendto, _if_no_address())
    return [*program, (_RET, 0, 0, deny)]


def install(pid: int) -> None:
    """Put the filter over this thread and all it will start; it cannot be taken off. Raises OSError."""
    table = machine()
    if table is None:
        raise OSError(errno.ENOSYS, "seccomp: no table for this architecture")
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in filter_program(table, pid))
    code = ctypes.create_string_buffer(program, len(program))
    pointer = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), pointer, ctypes.c_ulong(0), ctypes.c_ulong(0)):
        reason = ctypes.get_errno()
        raise OSError(reason, f"seccomp: {os.strerror(reason)}")


def _when(number: int, then: list[Instruction]) -> list[Instruction]:
    """Instructions for one call number; each must end in a return."""
    return [(_JEQ, 0, len(then), number), *then]


def _argument(index: int, high: bool = False) -> Instruction:
    return (_LD, 0, 0, _ARGS + 8 * index + (4 if high else 0))


def _if_masked(index: int, mask: int, values: tuple[int, ...]) -> list[Instruction]:
    """Allow when the lower half of an argument, masked, is one of the values. (Both tables are little-endian.)"""
    tests = [(_JEQ, len(values) - 1 - place, 0, value) for place, value in enumerate(values)]
    tests[-1] = (_JEQ, 0, 1, values[-1])
    verdict = [(_RET, 0, 0, _ALLOW), (_RET, 0, 0, _ERRNO | errno.EPERM)]
    return [_argument(index), (_AND, 0, 0, mask), *tests, *verdict]


def _if_no_silent_truncation(index: int) -> list[Instruction]:
    """Opening for reading must not empty the file: Landlock before its third version did not look at that."""
    return [
        _argument(index),
        (_AND, 0, 0, os.O_TRUNC | os.O_ACCMODE),
        (_JEQ, 0, 1, os.O_TRUNC | os.O_RDONLY),
        (_RET, 0, 0, _ERRNO | errno.EPERM),
        (_RET, 0, 0, _ALLOW),
    ]


def _if_pair() -> list[Instruction]:
    """A pair of connected unix streams, as event loops wake themselves with; datagrams could be sent elsewhere."""
    return [
        _argument(0),
        (_JEQ, 0, 4, _AF_UNIX),
        _argument(1),
        (_AND, 0, 0, 0xF),
        (_JEQ, 0, 1, _SOCK_STREAM),
        (_RET, 0, 0, _ALLOW),
        (_RET, 0, 0, _ERRNO | errno.EPERM),
    ]


def _if_no_address() -> list[Instruction]:
    return [
        _argument(4),
        (_JEQ, 0, 3, 0),
        _argument(4, high=True),
        (_JEQ, 0, 1, 0),
        (_RET, 0, 0, _ALLOW),
        (_RET, 0, 0, _ERRNO | errno.EPERM),
    ]
