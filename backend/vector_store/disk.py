"""Files and folders closed to others and safe against a crash: what the files of an index are written with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

UNFINISHED = ".new"
"""Ends the names of files that are being written; what a crash leaves of them is cleared away."""


def open_file(path: Path, flags: int) -> BinaryIO:
    """Never through a symbolic link; new files for the owner of the process alone."""
    number = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    return os.fdopen(number, "r+b" if flags & os.O_RDWR else "rb")


def flush(file: BinaryIO) -> None:
    """Until what was written survives a power loss."""
    file.flush()
    os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Make names in the folder survive a power loss."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def make_folder(folder: Path) -> None:
    """The folder and all above it, closed to other users of the machine."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        flush_folder(folder.parent)


def replace_file(path: Path, content: bytes) -> None:
    """The whole file or, after a crash, the one before it."""
    temporary = path.with_name(path.name + UNFINISHED)
    try:
        with open_file(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC) as file:
            file.write(content)
            flush(file)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)
