"""`python -m tests.workers.without_namespaces [--no-landlock] COMMAND…`: runs a command where no namespace can be made.

What a container with the usual system call filter is like: unshare, mount, setns and clone with namespace flags are
refused; with `--no-landlock` also Landlock, as on an old kernel.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

from backend.workers.sandbox import landlock, seccomp

_NUMBERS = {"x86_64": (272, 165, 308), "aarch64": (97, 40, 268)}
"""unshare, mount, setns."""
_ERRNO, _ALLOW = 0x0005_0000, 0x7FFF_0000


def refuse(*more: int) -> None:
    """Put the filter over this process and its children."""
    table = seccomp.machine()
    assert table is not None
    program = [(0x20, 0, 0, 0)]
    for number in (*_NUMBERS[os.uname().machine], *more):
        program += [(0x15, 0, 1, number), (0x06, 0, 0, _ERRNO | errno.EPERM)]
    program += [(0x15, 0, 1, table.clone3), (0x06, 0, 0, _ERRNO | errno.ENOSYS)]
    program += [
        (0x15, 0, 3, table.clone),
        (0x20, 0, 0, 16),
        (0x45, 0, 1, 0x7E02_0000),
        (0x06, 0, 0, _ERRNO | errno.EPERM),
    ]
    program += [(0x06, 0, 0, _ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *each) for each in program))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(seccomp.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    pointer = struct.pack("@HP", len(program), ctypes.addressof(code))
    assert libc.prctl(seccomp.PR_SET_SECCOMP, seccomp.SECCOMP_MODE_FILTER, pointer, 0, 0) == 0, ctypes.get_errno()


def main(arguments: list[str]) -> None:
    if arguments[0] == "--no-landlock":
        refuse(landlock.CREATE_RULESET)
        arguments = arguments[1:]
    else:
        refuse()
    os.execv(arguments[0], arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
