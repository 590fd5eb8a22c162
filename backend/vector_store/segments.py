"""Document chunks and vectors on disk: one owner's folder, one append-only file a document, no index in it.

    {folder}/lock                      held while writing; its content changes with every write
    {folder}/manifest.json             which generation counts, made by which embedder
    {folder}/{generation}/{name}.jsonl one document; each line is one batch of chunks with their vectors
    {folder}/{generation}/batch.jsonl  a batch of several documents that is decided but not yet spread

A line is written whole or, when its end is missing, ignored; a file is replaced or removed by one rename or unlink;
a new generation starts with the rename of the manifest. So a crash at any moment leaves the state before or after.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import fcntl
import hashlib
import logging
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from backend.models.documents import DocumentChunk

log = logging.getLogger("hearth.vectors")

VERSION = 1
FLOAT_BYTES = 4
LOCK = "lock"
MANIFEST = "manifest.json"
BATCH = "batch.jsonl"
SUFFIX = ".jsonl"
UNFINISHED = ".new"
UNMARKED = b"-"
"""There may be something, but the mark is gone: it is not made to survive a power loss or a copy of the folder."""

Stamp = tuple[int, int, int]
"""Inode, size and time of change of a file: different after every write."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """`generation` counts from 1. `whole` is False when something of it was lost and it must be made again."""

    generation: int
    embedder: str
    dimension: int
    whole: bool = True
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Batch:
    """Chunks of one document; `vectors` holds their rows in the same order, float32, little-endian."""

    chunks: tuple[DocumentChunk, ...]
    vectors: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """A document's file as it was read. `size` is where its last whole line ends; `stamp` tells it from a later one."""

    batches: tuple[Batch, ...]
    size: int
    stamp: Stamp
    whole: bool


def segment_name(file_id: str) -> str:
    """The file name of a document: made from a hash, so that no id can name another place."""
    return hashlib.sha256(file_id.encode("utf-8", "surrogatepass")).hexdigest()[:32] + SUFFIX


class Segments:
    """One owner's folder. All but `mark` is called inside `locked`. Everything raises OSError when the disk refuses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mark(self) -> bytes:
        """Changes with every write by any process; empty when nothing was ever written."""
        try:
            with _open(self.folder / LOCK, os.O_RDONLY) as file:
                return file.read(64) or UNMARKED
        except FileNotFoundError:
            return UNMARKED if (self.folder / MANIFEST).exists() else b""

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Alone among all processes. Creates the folder."""
        _make_folder(self.folder)
        with _open(self.folder / LOCK, os.O_RDWR | os.O_CREAT) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def change_mark(self) -> bytes:
        """Tell other processes, before writing, that what they know is old."""
        mark = secrets.token_hex(16).encode()
        with _open(self.folder / LOCK, os.O_RDWR) as file:
            file.write(mark)
        return mark

    def manifest(self) -> Manifest | None:
        """None when there is no index. An unreadable manifest gives one that is not whole and names no embedder."""
        try:
            with _open(self.folder / MANIFEST, os.O_RDONLY) as file:
                found = orjson.loads(file.read())
            return Manifest(
                generation=int(found["generation"]),
                embedder=str(found["embedder"]),
                dimension=int(found["dimension"]),
                whole=bool(found["whole"]),
            )
        except FileNotFoundError:
            return None
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            log.error("The manifest of a vector index is unreadable; its documents must be indexed again.")
            numbers = [int(path.name) for path in self.folder.iterdir() if path.name.isdecimal()]
            return Manifest(max(numbers, default=0) + 1, "", 0, whole=False)

    def start(self, manifest: Manifest) -> None:
        """Begin an empty generation and drop all others."""
        _make_folder(self._generation(manifest.generation))
        _replace(self.folder / MANIFEST, orjson.dumps(asdict(manifest)) + b"\n")
        self.sweep(manifest.generation)

    def sweep(self, generation: int) -> None:
        """Remove the folders of other generations, which a crash may have left behind."""
        for path in self.folder.iterdir():
            if path.name.isdecimal() and int(path.name) != generation:
                shutil.rmtree(path)

    def stamps(self, generation: int) -> dict[str, Stamp]:
        """Every document's file by name; clears away half-written files that a crash left."""
        found: dict[str, Stamp] = {}
        folder = self._generation(generation)
        _make_folder(folder)
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(UNFINISHED):
                    (folder / entry.name).unlink()
                elif entry.name != BATCH:
                    found[entry.name] = _stamp(entry.stat(follow_symlinks=False))
        return found

    def read(self, generation: int, name: str) -> Segment:
        with _open(self._generation(generation) / name, os.O_RDONLY) as file:
            stamp = _stamp(os.fstat(file.fileno()))
            content = file.read()
        size = content.rfind(b"\n") + 1
        lines = content[:size].splitlines()
        batches = [batch for line in lines if (batch := _decoded(line)) is not None]
        if len(batches) < len(lines):
            log.error("A document's file in a vector index is damaged; its documents must be indexed again.")
        return Segment(tuple(batches), size, stamp, whole=len(batches) == len(lines))

    def append(self, generation: int, name: str, batch: Batch, size: int) -> Stamp:
        """Add a line at `size`, cutting off what a crash left after it. Returns the new stamp."""
        path = self._generation(generation) / name
        with _open(path, os.O_RDWR | os.O_CREAT) as file:
            file.truncate(size)
            file.seek(size)
            try:
                file.write(_encoded(batch))
                _flush(file)
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(size)
                raise
            stamp = _stamp(os.fstat(file.fileno()))
        if size == 0:
            _flush_folder(path.parent)
        return stamp

    def rewrite(self, generation: int, name: str, batch: Batch) -> Stamp:
        """Put one batch in place of all of a document. Returns the new stamp."""
        path = self._generation(generation) / name
        _replace(path, _encoded(batch))
        return _stamp(path.stat())

    def remove(self, generation: int, name: str) -> None:
        """Drop a document."""
        folder = self._generation(generation)
        (folder / name).unlink(missing_ok=True)
        _flush_folder(folder)

    def remove_all(self) -> None:
        """Remove the folder; the lock file goes last, so that whatever stops this is found and done again."""
        (self.folder / MANIFEST).unlink(missing_ok=True)
        for path in self.folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
        shutil.rmtree(self.folder)
        _flush_folder(self.folder.parent)

    def decide(self, generation: int, batches: Sequence[Batch]) -> None:
        """Keep batches of several documents in one step; the caller spreads them and then calls `spread`."""
        _replace(self._generation(generation) / BATCH, b"".join(map(_encoded, batches)))

    def decided(self, generation: int) -> tuple[Batch, ...]:
        """What `decide` kept and nobody has finished spreading; spreading it again does no harm."""
        try:
            return self.read(generation, BATCH).batches
        except FileNotFoundError:
            return ()

    def spread(self, generation: int) -> None:
        self.remove(generation, BATCH)

    def _generation(self, number: int) -> Path:
        return self.folder / f"{number:06d}"


def _encoded(batch: Batch) -> bytes:
    first = batch.chunks[0]
    return orjson.dumps(
        {
            "file_id": first.file_id,
            "filename": first.filename,
            "chunks": [{"index": chunk.index, "page": chunk.page, "text": chunk.text} for chunk in batch.chunks],
            "vectors": base64.b64encode(batch.vectors).decode(),
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def _decoded(line: bytes) -> Batch | None:
    """None when the line is not what `_encoded` writes."""
    try:
        found: dict[str, Any] = orjson.loads(line)
        file_id, filename = str(found["file_id"]), str(found["filename"])
        chunks = tuple(
            DocumentChunk(file_id, filename, int(each["index"]), str(each["text"]), each["page"])
            for each in found["chunks"]
        )
        vectors = base64.b64decode(found["vectors"], validate=True)
    except (orjson.JSONDecodeError, binascii.Error, KeyError, TypeError, ValueError):
        return None
    return Batch(chunks, vectors) if chunks and vectors and len(vectors) % (len(chunks) * FLOAT_BYTES) == 0 else None


def _stamp(found: os.stat_result) -> Stamp:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _open(path: Path, flags: int) -> BinaryIO:
    """Never through a symbolic link; new files for the owner of the process alone."""
    writes = flags & os.O_RDWR
    return os.fdopen(os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "r+b" if writes else "rb")


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    """Make names in the folder survive a power loss."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _make_folder(folder: Path) -> None:
    """The folder and all above it, closed to other users of the machine."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _flush_folder(folder.parent)


def _replace(path: Path, content: bytes) -> None:
    """The whole file or, after a crash, the one before it."""
    temporary = path.with_name(path.name + UNFINISHED)
    try:
        with _open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC) as file:
            file.write(content)
            _flush(file)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    _flush_folder(path.parent)
