"""A thin layer over the file system calls of the engine's threads: it counts, records and fails them on order."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WRITING = ("write", "fsync", "rename", "open")
CLEANING = ("ftruncate", "unlink")


class FailingDisk:
    """From operation `fails_at` on (counted from 1) every call raises `error`, until `heal`.

    `crash` also refuses cleaning up, as if the process had died there, and lets a failing write put half its bytes
    on the disk first. `reads` lets files that are there be opened, as a full disk does.
    """

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        error: int = errno.ENOSPC,
        crash: bool = False,
        reads: bool = False,
    ) -> None:
        self.error = error
        self.crash = crash
        self.reads = reads
        self.fails_at: int | None = None
        self.count = 0
        self.calls: list[tuple[str, str]] = []
        for name in WRITING + CLEANING:
            monkeypatch.setattr(os, name, self._wrapped(name, getattr(os, name)))

    def arm(self, fails_at: int | None) -> None:
        self.fails_at, self.count = fails_at, 0
        self.calls.clear()

    def heal(self) -> None:
        self.fails_at = None

    @property
    def reached(self) -> bool:
        """Whether the operation that was to fail was reached."""
        return self.fails_at is not None and self.count >= self.fails_at

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if not threading.current_thread().name.startswith("storage"):
                return real(*arguments, **named)
            self.calls.append((name, _target(arguments[0])))
            if name in CLEANING and not self.crash:
                return real(*arguments, **named)
            if name == "open" and self.reads and not arguments[1] & os.O_CREAT:
                return real(*arguments, **named)
            self.count += 1
            if not self.reached:
                return real(*arguments, **named)
            if name == "write" and self.crash and self.count == self.fails_at:
                real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
            raise OSError(self.error, os.strerror(self.error))

        return call


def _target(first: Any) -> str:
    """The base name of a path, or of what a file descriptor stands for."""
    return (Path(f"/proc/self/fd/{first}").readlink() if isinstance(first, int) else Path(first)).name
