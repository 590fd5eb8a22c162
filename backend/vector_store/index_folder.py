"""The folder of one index: which files count, and steps that happen wholly or, after a crash, not at all.

    {folder}/lock                             held while writing; its content changes with every write
    {folder}/manifest.json                    which generation counts, and what its vectors were made with
    {folder}/{generation}/{first}-{last}.seg  the chunks of the writes from `first` to `last`
    {folder}/{generation}/pending.json        what is being erased and may not be finished
    {folder}/{generation}/{first}-{last}.{key}.graph   the neighbours graph of that segment

A file appears by one rename. A segment that covers the writes of others takes their place by appearing. A new
generation starts with the rename of the manifest. What is to be erased is kept in `pending.json` until it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import orjson

from backend.models.errors import StorageFailed
from backend.vector_store.disk import UNFINISHED, flush_folder, make_folder, open_file, replace_file
from backend.vector_store.segment_files import Segment, Stamp, stamp_of

log = logging.getLogger("hearth.vectors")

VERSION = 2
LOCK = "lock"
MANIFEST = "manifest.json"
PENDING = "pending.json"
SWAPPED = "swapped.json"
GRAPH = ".graph"
SEGMENT = re.compile(r"(\d{10})-(\d{10})\.seg")
UNMARKED = b"-"
"""There may be something, but the mark is gone: it is not made to survive a power loss or a copy of the folder."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`generation` counts from 1. `whole` is False when something of it was lost and it must be made again.

    `embedder` is the recipe; older servers kept the embedder's name alone.
    """

    generation: int
    embedder: str
    dimension: int
    whole: bool = True
    version: int = VERSION


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The writes that a segment holds, counted from 1, both ends included."""

    first: int
    last: int

    @property
    def name(self) -> str:
        return f"{self.first:010}-{self.last:010}.seg"

    def covers(self, other: Span) -> bool:
        return self != other and self.first <= other.first and other.last <= self.last


@dataclass(frozen=True, slots=True)
class Pending:
    """Chunks to be erased: of each document those with these indexes, all for None.

    With `write`, they are erased from older segments alone, and only if that write was finished.
    """

    files: Mapping[str, Sequence[int] | None]
    write: int | None = None


class IndexFolder:
    """All but `mark` is called inside `locked`. Everything raises OSError when the disk refuses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    # ---- the lock -----------------------------------------------------------------------------

    def mark(self) -> bytes:
        """Changes with every write by any process; empty when nothing was ever written."""
        try:
            with open_file(self.folder / LOCK, os.O_RDONLY) as file:
                return file.read(64) or UNMARKED
        except FileNotFoundError:
            return UNMARKED if (self.folder / MANIFEST).exists() else b""

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Alone among all processes. Creates the folder."""
        while True:
            make_folder(self.folder)
            with open_file(self.folder / LOCK, os.O_RDWR | os.O_CREAT) as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                if self._is_lock(file):
                    yield
                    return

    def _is_lock(self, file: BinaryIO) -> bool:
        """Whether the file that was waited for is still the one of this folder: it may have been removed meanwhile."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), (self.folder / LOCK).stat(follow_symlinks=False))
        except FileNotFoundError:
            return False

    def change_mark(self) -> bytes:
        """Tell other processes, before writing, that what they know is old."""
        mark = secrets.token_hex(16).encode()
        with open_file(self.folder / LOCK, os.O_RDWR) as file:
            file.write(mark)
        return mark

    # ---- generations --------------------------------------------------------------------------

    def manifest(self) -> Manifest | None:
        """None when there is no index. An unreadable manifest gives one that is not whole and names no embedder."""
        try:
            with open_file(self.folder / MANIFEST, os.O_RDONLY) as file:
                found = orjson.loads(file.read())
            manifest = Manifest(
                int(found["generation"]),
                str(found["embedder"]),
                int(found["dimension"]),
                bool(found["whole"]),
                int(found["version"]),
            )
        except FileNotFoundError:
            return None
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            log.error("The manifest of a vector index is unreadable; its documents must be indexed again.")
            numbers = [int(path.name) for path in self.folder.iterdir() if path.name.isdecimal()]
            return Manifest(max(numbers, default=0) + 1, "", 0, whole=False)
        if manifest.version > VERSION:
            raise StorageFailed("The document index was written by a newer Hearth; start that one.")
        return manifest

    def start(self, manifest: Manifest) -> None:
        """Begin a generation, empty unless its folder was filled before, and drop all others."""
        make_folder(self.generation(manifest.generation))
        self.keep(manifest)
        self.sweep(manifest.generation)

    def keep(self, manifest: Manifest) -> None:
        replace_file(self.folder / MANIFEST, orjson.dumps(asdict(manifest)) + b"\n")

    def take_over(self, staged: IndexFolder, generation: int, manifest: Manifest) -> None:
        """Make another folder's generation this one's new one: from its renaming on it is, whatever happens."""
        target, source = self.generation(manifest.generation), staged.generation(generation)
        if target.exists():
            shutil.rmtree(target)
        replace_file(source / SWAPPED, orjson.dumps(asdict(manifest)))
        source.rename(target)
        flush_folder(self.folder)
        self.finish_take_over(manifest)

    def taken_over(self, generation: int) -> Manifest | None:
        """The manifest of a generation that took this one's place, where a crash left it at that."""
        for path in self.folder.glob(f"*/{SWAPPED}"):
            if path.parent.name.isdecimal() and int(path.parent.name) > generation:
                with open_file(path, os.O_RDONLY) as file:
                    found = orjson.loads(file.read())
                if found["generation"] == int(path.parent.name):
                    return Manifest(**found)
        return None

    def finish_take_over(self, manifest: Manifest) -> None:
        self.start(manifest)
        (self.generation(manifest.generation) / SWAPPED).unlink(missing_ok=True)

    def sweep(self, generation: int) -> None:
        """Remove the folders of other generations, which a crash may have left behind."""
        for path in self.folder.iterdir():
            if path.name.isdecimal() and int(path.name) != generation:
                shutil.rmtree(path)

    def remove_all(self) -> None:
        """Remove the folder; the lock file goes last, so that whatever stops this is found and done again."""
        (self.folder / MANIFEST).unlink(missing_ok=True)
        for path in self.folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
        shutil.rmtree(self.folder)
        flush_folder(self.folder.parent)

    def generation(self, number: int) -> Path:
        return self.folder / f"{number:06d}"

    # ---- segments -----------------------------------------------------------------------------

    def segments(self, generation: int) -> dict[Span, Stamp]:
        """The segments that count, oldest first; clears away others and what a crash left half-written."""
        folder = self.generation(generation)
        make_folder(folder)
        found: dict[Span, Stamp] = {}
        with os.scandir(folder) as entries:
            for entry in entries:
                name = SEGMENT.fullmatch(entry.name)
                if entry.name.endswith(UNFINISHED):
                    _clear(folder / entry.name)
                elif name is not None:
                    found[Span(int(name[1]), int(name[2]))] = stamp_of(entry.stat(follow_symlinks=False))
        for span in [span for span in found if any(other.covers(span) for other in found)]:
            del found[span]
            self.drop(generation, span)
        return dict(sorted(found.items()))

    def path(self, generation: int, span: Span) -> Path:
        return self.generation(generation) / span.name

    def stamp(self, generation: int, span: Span) -> Stamp | None:
        try:
            return stamp_of(self.path(generation, span).stat(follow_symlinks=False))
        except FileNotFoundError:
            return None

    def graph(self, segment: Segment) -> Path:
        """Where the graph of a segment is, if there is one."""
        return segment.path.with_name(f"{segment.path.stem}.{segment.key}{GRAPH}")

    def drop_graph(self, segment: Segment) -> None:
        self.graph(segment).unlink(missing_ok=True)

    def drop(self, generation: int, span: Span) -> None:
        """A segment and its graph."""
        for path in self.generation(generation).glob(f"{Path(span.name).stem}.*{GRAPH}"):
            path.unlink()
        self.path(generation, span).unlink(missing_ok=True)
        flush_folder(self.generation(generation))

    def write(self, path: Path, fill: Callable[[BinaryIO], object]) -> None:
        """A whole new file or, after a failure or a crash, none."""
        make_folder(path.parent)
        with draft(path) as new:
            fill(new.file)
            new.finish()

    # ---- erasing ------------------------------------------------------------------------------

    def decide(self, generation: int, pending: Pending) -> None:
        """Keep in one step what is to be erased; the caller erases it and then calls `done`."""
        replace_file(self.generation(generation) / PENDING, orjson.dumps(asdict(pending)))

    def decided(self, generation: int) -> Pending | None:
        """What `decide` kept and nobody has finished; erasing it again does no harm."""
        try:
            with open_file(self.generation(generation) / PENDING, os.O_RDONLY) as file:
                found = orjson.loads(file.read())
            return Pending(dict(found["files"]), found["write"])
        except FileNotFoundError:
            return None
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            log.error("A note of a vector index is unreadable: what it says to erase may be found again.")
            return Pending({})

    def done(self, generation: int) -> None:
        (self.generation(generation) / PENDING).unlink(missing_ok=True)
        flush_folder(self.generation(generation))


class Draft:
    """A file that is being written beside its place, under a name of its own, held so that nobody clears it away."""

    def __init__(self, place: Path, file: BinaryIO, path: Path) -> None:
        self.file = file
        self.path = path
        self._place = place

    def finish(self) -> None:
        """Put it in its place."""
        self.path.replace(self._place)
        flush_folder(self._place.parent)


@contextlib.contextmanager
def draft(place: Path) -> Iterator[Draft]:
    """Gone in the end unless it was finished."""
    path = place.with_name(f"{place.name}.{secrets.token_hex(8)}{UNFINISHED}")
    try:
        with open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield Draft(place, file, path)
    finally:
        path.unlink(missing_ok=True)


def _clear(path: Path) -> None:
    """Remove a file that nobody is writing any more."""
    try:
        with open_file(path, os.O_RDONLY) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink(missing_ok=True)
    except (FileNotFoundError, BlockingIOError):
        return
