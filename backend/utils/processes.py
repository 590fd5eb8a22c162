"""Telling whether the process that wrote something is still there, although process ids are used again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def process_mark() -> dict[str, Any]:
    """What identifies this process: its id and, where /proc says so, its start (clock ticks) and the boot."""
    pid = os.getpid()
    return {"pid": pid, "started": _started(pid), "boot": _boot()}


def is_there(mark: Mapping[str, Any]) -> bool:
    """Whether the process with this mark still runs on this machine. What cannot be read is gone."""
    pid = mark.get("pid")
    if not isinstance(pid, int) or isinstance(pid, bool) or pid <= 0 or mark.get("boot") != _boot():
        return False
    if mark.get("started") is not None:
        return bool(_started(pid) == mark["started"])
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


def _started(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat; the name in brackets before it may hold anything. None for the dead."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return None if fields[0] == b"Z" else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None


def _boot() -> str | None:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
