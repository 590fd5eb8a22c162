"""The scratch folder: made, watched within bounds, emptied into results, and removed whatever the code built in it."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import stat
import tempfile
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backend.utils.names import clean_filename
from backend.workers.sandbox.interpreter import USERS
from backend.workers.sandbox_port import MadeFile, SandboxLimits

PREFIX = "hearth-python-"
MAX_FILES = 10
MAX_FILE_BYTES = 5 * 1_048_576
MAX_DEPTH = 24
"""Levels of folders; more count as too much written."""

Seen = dict[str, tuple[int, int, int]]
"""Name to inode, time of change in ns and size: enough to tell what a call has made or changed."""


@dataclass(slots=True)
class Scratch:
    """The folder of one process. `handle` is its descriptor; `path` is None when it lies in the sandbox's memory."""

    path: Path | None
    handle: int = -1
    seen: Seen = field(default_factory=dict)

    @classmethod
    def make(cls, user: int | None) -> Scratch:
        """A folder on the disk, for the user that the process becomes. Raises OSError."""
        path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        if user is not None:
            os.chown(path, user, user)
        return cls(path)

    def breach(self, limits: SandboxLimits) -> bool:
        """Whether more was written than is allowed. Takes a bounded time whatever is in the folder."""
        if self.handle < 0:
            return False
        if self.path is None:
            # A file system of its own: the kernel has counted already.
            filled = os.fstatvfs(self.handle)
            size = (filled.f_blocks - filled.f_bfree) * filled.f_frsize
            return filled.f_files - filled.f_ffree > limits.entries or size >= limits.scratch
        entries = size = 0
        with self._opened() as folder, contextlib.closing(_walk(folder, MAX_DEPTH)) as found:
            for entry in found:
                if entry.status is None:
                    return True
                entries += 1
                size += max(entry.status.st_blocks * 512, entry.status.st_size)
                if entries > limits.entries or size > limits.scratch:
                    return True
        return False

    def collect(self, given: Mapping[str, bytes], limits: SandboxLimits) -> tuple[tuple[MadeFile, ...], int]:
        """Files that are new or changed since the last time, and how many of them were left out.

        Files that were `given` to the code and are unchanged do not count, nor do hidden ones.
        """
        made: list[MadeFile] = []
        left_out = 0
        seen: Seen = {}
        if self.handle < 0:
            return (), 0
        with self._opened() as folder, contextlib.closing(_walk(folder, MAX_DEPTH)) as found:
            for entry in itertools.islice(found, 2 * limits.entries):
                status = entry.status
                if status is None or stat.S_ISDIR(status.st_mode) or entry.hidden:
                    continue
                mark = (status.st_ino, status.st_mtime_ns, status.st_size)
                seen[entry.name] = mark
                if self.seen.get(entry.name) == mark:
                    continue
                data = _read(entry, status) if len(made) < MAX_FILES else None
                if data is None:
                    left_out += 1
                elif given.get(entry.name) != data:
                    made.append(MadeFile(clean_filename(os.fsencode(entry.base).decode("utf-8", "replace")), data))
        self.seen = seen
        return tuple(made), left_out

    @contextlib.contextmanager
    def _opened(self) -> Iterator[int]:
        """The folder with a reading position of its own."""
        folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.handle)
        try:
            yield folder
        finally:
            os.close(folder)

    def remove(self) -> None:
        """Close and remove. To be called when no process can write any more."""
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1
        if self.path is not None:
            remove_tree(self.path)


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    """Relative to the folder, parts joined by a slash."""
    base: str
    folder: int
    """Descriptor of the folder that holds it, open until the walk goes on."""
    status: os.stat_result | None
    """None for a folder that cannot be looked into, or lies too deep."""

    @property
    def hidden(self) -> bool:
        return self.name.startswith(".") or "/." in self.name


def _walk(folder: int, depth: int, prefix: str = "") -> Generator[_Entry, None, None]:
    """The entries below a folder, at most `depth` levels of them; no link is followed, not even a swapped-in one."""
    with os.scandir(folder) as entries:
        for entry in entries:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            name = f"{prefix}{entry.name}"
            yield _Entry(name, entry.name, folder, status)
            if stat.S_ISDIR(status.st_mode):
                below = _open_folder(entry.name, folder) if depth > 1 else None
                if below is None:
                    yield _Entry(name, entry.name, folder, None)
                    continue
                try:
                    yield from _walk(below, depth - 1, f"{name}/")
                finally:
                    os.close(below)


def _open_folder(name: str, folder: int) -> int | None:
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return None


def _read(entry: _Entry, status: os.stat_result) -> bytes | None:
    """The content of a plain file that is not too large; None for all else."""
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE_BYTES:
        return None
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(entry.base, flags, dir_fd=entry.folder), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError:
        return None
    return data if len(data) <= MAX_FILE_BYTES else None


def remove_tree(path: Path) -> None:
    """Remove a folder that may be nested deeper than any path can name and closed to its owner.

    Folders are first lifted to the top, level by level, so that nothing here grows with the depth.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        path.chmod(0o700)
        root = os.open(path, flags)
    except OSError:
        return
    # A name that code cannot have given to a folder of its own.
    fresh, lifted = secrets.token_hex(8), 0
    try:
        while folders := _clear(root):
            for name in folders:
                with contextlib.suppress(OSError):
                    os.chmod(name, 0o700, dir_fd=root)
                    inner = os.open(name, flags, dir_fd=root)
                    try:
                        for deeper in _clear(inner):
                            lifted += 1
                            with contextlib.suppress(OSError):
                                os.chmod(deeper, 0o700, dir_fd=inner)
                            os.rename(deeper, f"{fresh}-{lifted}", src_dir_fd=inner, dst_dir_fd=root)
                    finally:
                        os.close(inner)
                    os.rmdir(name, dir_fd=root)
            if set(folders) == set(_clear(root)):
                break
    finally:
        os.close(root)
    with contextlib.suppress(OSError):
        path.rmdir()


def _clear(folder: int) -> list[str]:
    """Remove everything but folders; the names of those."""
    folders = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            else:
                with contextlib.suppress(OSError):
                    os.unlink(entry.name, dir_fd=folder)
    return folders


def sweep() -> None:
    """Remove what servers that were killed have left behind: folders of ours whose process is gone."""
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as entries:
        for entry in entries:
            owner = entry.name.removeprefix(PREFIX).partition("-")[0]
            if entry.name.startswith(PREFIX) and owner.isdigit() and not _alive(int(owner)) and _ours(entry):
                remove_tree(Path(entry.path))


def _ours(entry: os.DirEntry[str]) -> bool:
    status = entry.stat(follow_symlinks=False)
    return stat.S_ISDIR(status.st_mode) and (status.st_uid == os.geteuid() or status.st_uid in USERS)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
