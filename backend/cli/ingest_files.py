"""Which files of the given paths are to be ingested, and what is remembered of those that were."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson

PIECE_BYTES = 262_144
STATE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file to be ingested; `size` in bytes and `changed` in ns as it was found."""

    path: Path
    size: int
    changed: int


@dataclass(slots=True)
class Found:
    """What lies under the given paths. `hidden`, `unknown` and `links` were left out."""

    files: list[Candidate] = field(default_factory=list)
    missing: list[Path] = field(default_factory=list)
    hidden: int = 0
    unknown: int = 0
    links: int = 0


def find(paths: Iterable[Path], extensions: Collection[str], names: Collection[str] = ()) -> Found:
    """Files that are named themselves, and those of known kinds in the folders and all below them. Blocking.

    Symbolic links in folders are not followed, so nothing outside a given folder is read.
    """
    found = Found()
    seen: set[Path] = set()
    for path in paths:
        whole = Path(os.path.realpath(path))
        if whole.is_file():
            _take(found, seen, whole)
        elif whole.is_dir():
            _walk(found, seen, whole, extensions, names)
        else:
            found.missing.append(path)
    return found


def _walk(found: Found, seen: set[Path], root: Path, extensions: Collection[str], names: Collection[str]) -> None:
    for folder, folders, files in os.walk(root, followlinks=False):
        here = Path(folder)
        for name in list(folders):
            if name.startswith("."):
                found.hidden += 1
                folders.remove(name)
            elif (here / name).is_symlink():
                found.links += 1
                folders.remove(name)
        folders.sort()
        for name in sorted(files):
            path = here / name
            if name.startswith("."):
                found.hidden += 1
            elif path.is_symlink():
                found.links += 1
            elif path.suffix.lower() in extensions or name.lower() in names:
                _take(found, seen, path)
            else:
                found.unknown += 1


def _take(found: Found, seen: set[Path], path: Path) -> None:
    if path in seen:
        return
    seen.add(path)
    try:
        status = path.stat()
    except OSError:
        found.missing.append(path)
        return
    found.files.append(Candidate(path, status.st_size, status.st_mtime_ns))


def sha256_of(path: Path) -> str:
    """Hex. Blocking. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pieces_of(path: Path) -> Iterator[bytes]:
    """The bytes of a file. Blocking. Raises OSError."""
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


@dataclass(frozen=True, slots=True)
class Remembered:
    """What became of a path when it was last seen."""

    file_id: str
    sha256: str
    size: int
    changed: int


class State:
    """The paths that a user has ingested, so that unchanged files need not be read again and changed ones are known.

    Losing it costs nothing but time: what is there already is told by its content.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.files: dict[str, Remembered] = {}
        try:
            kept = orjson.loads(path.read_bytes())
            if kept["version"] == STATE_VERSION:
                self.files = {str(each): Remembered(**about) for each, about in kept["files"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self.files = {}

    def sha256_if_unchanged(self, file: Candidate) -> str | None:
        known = self.files.get(str(file.path))
        same = known is not None and (known.size, known.changed) == (file.size, file.changed)
        return known.sha256 if known is not None and same else None

    def within(self, roots: Iterable[Path]) -> list[str]:
        """The remembered paths that are one of these, or below one."""
        real = [Path(os.path.realpath(root)) for root in roots]
        return [path for path in self.files if any(Path(path).is_relative_to(root) for root in real)]

    def is_used_elsewhere(self, file_id: str, path: str) -> bool:
        """Whether another path has the same content."""
        return any(known.file_id == file_id for other, known in self.files.items() if other != path)

    def save(self) -> None:
        """Raises OSError."""
        self._path.parent.mkdir(mode=0o700, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        data = {"version": STATE_VERSION, "files": {path: asdict(known) for path, known in self.files.items()}}
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(orjson.dumps(data))
        temporary.replace(self._path)
