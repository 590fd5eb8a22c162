"""Landlock: the kernel's own list of what a process may still open, for good and without privileges.

Source: kernel documentation, userspace-api/landlock; numbers from linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""System call numbers, the same on every architecture."""
_VERSION = 1
_RULE_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << bit for bit in range(6))
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << bit for bit in range(6, 13))
REFER, TRUNCATE, IOCTL_DEV = (1 << bit for bit in range(13, 16))
_FIRST = (1 << 13) - 1
"""What the first version of the interface knows."""
_SINCE = ((2, REFER), (3, TRUNCATE), (5, IOCTL_DEV))
_NET_SINCE, _NET = 4, 3
_SCOPE_SINCE, _SCOPE = 6, 3
"""TCP bind and connect; abstract unix sockets and signals outside."""

READ = READ_FILE | READ_DIR
SCRATCH = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | MAKE_SYM | REFER | TRUNCATE
DEVICE = READ_FILE | WRITE_FILE
_FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
"""The rights that make sense for what is no folder."""


def version() -> int:
    """The version of the kernel's interface; 0 when it has none or has it switched off."""
    libc = ctypes.CDLL(None, use_errno=True)
    found: int = libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION))
    return max(found, 0)


def restrict(rules: Iterable[tuple[str, int]]) -> None:
    """Forbid this process everything but the given rights beneath the given paths. Paths that are missing are skipped.

    Also TCP, abstract unix sockets and signals to processes outside, where the kernel's version has that.
    Raises OSError when the kernel refuses.
    """
    abi = version()
    handled = _FIRST
    for since, right in _SINCE:
        handled |= right if abi >= since else 0
    attributes = struct.pack("=Q", handled)
    if abi >= _NET_SINCE:
        attributes += struct.pack("=Q", _NET)
    if abi >= _SCOPE_SINCE:
        attributes += struct.pack("=Q", _SCOPE)
    ruleset = _call(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    try:
        for path, rights in rules:
            _allow(ruleset, path, rights & handled)
        _call(RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0))
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(handle).st_mode):
            rights &= _FILE_RIGHTS
        rule = struct.pack("=Qi", rights, handle)
        _call(ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_RULE_PATH_BENEATH), rule, ctypes.c_uint(0))
    finally:
        os.close(handle)


def _call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result: int = libc.syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"landlock: {os.strerror(code)}")
    return result
