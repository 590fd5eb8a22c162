"""Reading and replacing whole files so that a crash leaves either the old content or the new."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import time
from pathlib import Path

from backend.utils.ids import is_safe_id

TEMP_SUFFIX = ".tmp"
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_UNSETTLED_NS = 50_000_000

Mark = tuple[int, int, int]
"""What tells two states of a file apart: inode, size, time of change in ns."""

ABSENT: Mark = (0, 0, 0)


class Unreadable(Exception):
    """Something else stands where a file should be (a folder, a link, a pipe), or its content makes no sense."""


def open_regular(path: Path, flags: int = _READ) -> int:
    """Open a plain file. Raises FileNotFoundError, Unreadable when it is something else, OSError."""
    try:
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except IsADirectoryError:
        raise Unreadable("a folder stands in its place") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Unreadable("a link stands in its place") from None
        if error.errno == errno.ENXIO:
            raise Unreadable("it is not a file") from None
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise Unreadable("it is not a file")
    return handle


def read_file(path: Path) -> bytes:
    """All bytes. Raises FileNotFoundError, Unreadable, OSError."""
    with os.fdopen(open_regular(path), "rb") as file:
        return file.read()


def write_all(handle: int, data: bytes | memoryview) -> None:
    """Write everything, in one system call unless the disk takes less."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]


def open_temporary(folder: Path) -> tuple[int, Path]:
    """A new private file in `folder` (made if need be), locked as long as it is open: see `sweep_temporaries`."""
    ensure_folder(folder)
    while True:
        path = folder / f".{secrets.token_hex(8)}{TEMP_SUFFIX}"
        handle = os.open(path, _CREATE, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.fstat(handle).st_nlink:
            return handle, path
        os.close(handle)  # swept away between the two calls above


def write_atomic(path: Path, data: bytes, modified: float | None = None) -> None:
    """Replace a file: temporary file, fsync, rename, fsync of the folder. `modified` sets its time of change."""
    handle, temporary = open_temporary(path.parent)
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, handle)
        undo.callback(remove_quietly, temporary)
        write_all(handle, data)
        if modified is not None:
            os.utime(handle, (modified, modified))
        os.fsync(handle)
        temporary.rename(path)
    sync_folder(path.parent)


def write_new(path: Path, data: bytes) -> Mark:
    """Make a file that must not be there yet, whole or not at all, and durably.

    Raises FileExistsError. Two writers of one path need no lock: a link is never made over an existing name.
    """
    handle, temporary = open_temporary(path.parent)
    with contextlib.ExitStack() as undo:
        undo.callback(os.close, handle)
        undo.callback(remove_quietly, temporary)
        write_all(handle, data)
        os.fsync(handle)
        path.hardlink_to(temporary)
        mark = mark_of(os.fstat(handle))
    sync_folder(path.parent)
    return mark


def remove_quietly(path: Path) -> None:
    """Remove a file that may be gone already; a disk that refuses leaves it for the next start."""
    with contextlib.suppress(OSError):
        path.unlink()


def sync_folder(folder: Path) -> None:
    """Make renames and removals in a folder survive a power loss."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def ensure_folder(folder: Path) -> None:
    """Make a folder (0700) and its parents, durably, unless it is there."""
    if folder.is_dir():
        return
    ensure_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    sync_folder(folder.parent)


def sweep_temporaries(folder: Path) -> int:
    """Remove what interrupted writers left in a folder, sparing what a living process still holds; how many."""
    removed = 0
    for path in folder.glob(f".*{TEMP_SUFFIX}"):
        try:
            handle = open_regular(path)
        except (OSError, Unreadable):
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            removed += 1
        except OSError:
            continue
        finally:
            os.close(handle)
    return removed


def files_in(folder: Path, suffix: str) -> list[tuple[str, os.stat_result]]:
    """Id and status of every `{id}{suffix}` in a folder; none when there is no folder."""
    found: list[tuple[str, os.stat_result]] = []
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        return found
    with entries:
        for entry in entries:
            name = entry.name.removesuffix(suffix)
            if entry.name.endswith(suffix) and is_safe_id(name):
                with contextlib.suppress(FileNotFoundError):  # removed since it was listed
                    found.append((name, entry.stat(follow_symlinks=False)))
    return found


def mark_of(status: os.stat_result) -> Mark:
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def mark_at(path: Path) -> Mark:
    """The mark of the file there now, ABSENT when there is none."""
    try:
        return mark_of(path.stat(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return ABSENT


def is_settled(mark: Mark) -> bool:
    """Whether any later change is sure to show in the mark.

    Clocks of file systems tick every few milliseconds, so two changes in one tick look alike: a state seen within
    50 ms of its last change must be looked at again.
    """
    age = time.time_ns() - mark[2]
    return not -1_000_000_000 < age < _UNSETTLED_NS
