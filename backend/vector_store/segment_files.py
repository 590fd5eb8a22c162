"""One segment of an index as a file: chunks, their vectors and their words, written once and mapped when opened.

    magic | sections, each at a multiple of 64 bytes | description as JSON | where that stands, its size and checksum

Sections are little-endian arrays, a row a chunk: `alive` (0 once erased), `doc` (which of the segment's documents),
`index` (which chunk of it), `chars`, `lengths` (in words), `unit` (the passage it is weighed in), `vectors` (float32),
`records` (the chunks as JSON, cut by `record_starts`), `names` (the documents as JSON, cut by `name_starts`) and the
postings. Only `alive`, `vectors`, `records` and `names` are written again, with zeros where something is erased; each
record and vector has a checksum of its own, so that what remains can be told from what is damaged.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from backend.models.documents import DocumentChunk
from backend.vector_store.disk import open_file
from backend.vector_store.postings import Postings

Array = npt.NDArray[Any]
Stamp = tuple[int, int, int]
"""Inode, size and time of change of a file: different after every write."""

MAGIC = b"HEARTHS2"
FOOTER = struct.Struct("<QII8s")
CHECK_BYTES = 1 << 20
"""Segments up to this size are checked byte by byte when opened, larger ones where they are read."""
MUTABLE = frozenset({"alive", "vectors", "records", "names"})
SMALL = frozenset(
    {"doc", "index", "chars", "lengths", "unit", "record_starts", "record_checks", "vector_checks", "name_starts"}
)
"""Sections that are checked at every opening, besides the description."""


class DamagedError(Exception):
    """A file that is not what was written."""


def stamp_of(found: os.stat_result) -> Stamp:
    return found.st_ino, found.st_size, found.st_mtime_ns


class Segment:
    """An open segment: its arrays are views of the mapped file and cost memory where they are read.

    Raises DamagedError when the file as a whole cannot be used and OSError when the disk refuses. `damaged` counts
    rows that alone are not what was written: they are left out.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with open_file(path, os.O_RDONLY) as file:
            found = os.fstat(file.fileno())
            if found.st_size < len(MAGIC) + FOOTER.size:
                raise DamagedError
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.stamp = stamp_of(found)
        self.size = found.st_size
        self.damaged = 0
        try:
            about = self._description()
            self.key = str(about["key"])
            self.dimension = int(about["dimension"])
            self.languages = frozenset(map(str, about["languages"]))
            self.places: dict[str, tuple[int, int]] = {}
            self._kinds: dict[str, np.dtype[Any]] = {}
            self._check_sections(about["sections"])
            self._open_arrays()
            self._read_names()
        except (KeyError, TypeError, ValueError, IndexError, struct.error) as error:
            raise DamagedError from error
        if self.size <= CHECK_BYTES:
            self.check_rows()
        self._weigh()

    # ---- opening ------------------------------------------------------------------------------

    def _description(self) -> dict[str, Any]:
        start, size, check, magic = FOOTER.unpack(self._map[-FOOTER.size :])
        content = self._map[start : start + size]
        if magic != MAGIC or start + size + FOOTER.size != self.size or zlib.crc32(content) != check:
            raise DamagedError
        found: dict[str, Any] = orjson.loads(content)
        return found

    def _check_sections(self, sections: dict[str, Any]) -> None:
        for name, (start, size, kind, check) in sections.items():
            self.places[name] = (int(start), int(size))
            self._kinds[name] = np.dtype(kind)
            checked = name in SMALL or (self.size <= CHECK_BYTES and name not in MUTABLE)
            if checked and zlib.crc32(self._map[start : start + size]) != check:
                raise DamagedError

    def _open_arrays(self) -> None:
        self.doc, self.index, self.chars = (self._array(name) for name in ("doc", "index", "chars"))
        self.lengths, self.unit = self._array("lengths"), self._array("unit")
        self.record_starts, self.record_checks = self._array("record_starts"), self._array("record_checks")
        self.vector_checks, self.name_starts = self._array("vector_checks"), self._array("name_starts")
        self.vectors = self._array("vectors").reshape(len(self.doc), self.dimension)
        self.postings = Postings(*(self._array(name) for name in ("terms", "starts", "rows", "counts")))
        self.alive: npt.NDArray[np.bool_] = self._array("alive") != 0

    def _array(self, name: str) -> Array:
        start, size = self.places[name]
        kind = self._kinds[name]
        return np.frombuffer(self._map, dtype=kind, count=size // kind.itemsize, offset=start)

    def _read_names(self) -> None:
        """The documents of which a row is left; of others the name is gone."""
        self.docs: dict[str, int] = {}
        self.names: list[tuple[str, str]] = [("", "")] * (len(self.name_starts) - 1)
        base = self.places["names"][0]
        starts = self.name_starts.tolist()
        for number in np.flatnonzero(np.bincount(self.doc[self.alive])).tolist():
            file_id, filename = orjson.loads(self._map[base + starts[number] : base + starts[number + 1]])
            self.docs[file_id] = number
            self.names[number] = (file_id, filename)

    def check_rows(self) -> None:
        """Read every row that is left and leave out the damaged ones."""
        starts, checks = self.record_starts.tolist(), self.record_checks.tolist()
        vector_checks, base = self.vector_checks.tolist(), self.places["records"][0]
        crc32, vectors = zlib.crc32, self.vectors
        with memoryview(self._map) as content:
            for row in np.flatnonzero(self.alive).tolist():
                record = content[base + starts[row] : base + starts[row + 1]]
                if crc32(record) != checks[row] or crc32(vectors[row]) != vector_checks[row]:
                    self._leave_out(row)

    def _weigh(self) -> None:
        """Lengths in words, 0 where erased, of rows and of units, and how many rows are left in each unit."""
        self.row_lengths = np.where(self.alive, self.lengths, 0).astype(np.float32)
        units = int(self.unit[-1]) + 1 if len(self.unit) else 0
        self.unit_lengths = np.bincount(self.unit, weights=self.row_lengths, minlength=units).astype(np.float32)
        self.unit_rows = np.bincount(self.unit, weights=self.alive, minlength=units)
        self.count = int(self.alive.sum())

    def _leave_out(self, row: int) -> None:
        self.alive[row] = False
        self.damaged += 1

    # ---- reading ------------------------------------------------------------------------------

    @property
    def rows(self) -> int:
        """Erased ones as well."""
        return len(self.doc)

    @property
    def cost(self) -> int:
        """Bytes that an open segment takes when all of it was searched; texts are read for hits alone."""
        return sum(size for name, (_, size) in self.places.items() if name != "records") + 32 * self.rows

    def rows_of(self, file_id: str) -> Array:
        """Rows of a document that are left, in the order of its chunks."""
        number = self.docs.get(file_id)
        if number is None:
            return np.empty(0, dtype=np.int64)
        return np.flatnonzero((self.doc == number) & self.alive)

    def record(self, row: int) -> bytes | None:
        """The chunk as JSON; None when it is damaged."""
        base = self.places["records"][0]
        content = self._map[base + int(self.record_starts[row]) : base + int(self.record_starts[row + 1])]
        return content if zlib.crc32(content) == self.record_checks[row] else None

    def chunk(self, row: int) -> DocumentChunk | None:
        """None when it is damaged; it is left out from then on."""
        content = self.record(row)
        if content is None:
            self._leave_out(row)
            self._weigh()
            return None
        text, page, unit, label, heading, start, end, line = orjson.loads(content)
        file_id, filename = self.names[self.doc[row]]
        return DocumentChunk(
            file_id, filename, int(self.index[row]), text, page, unit, label, tuple(heading), start, end, line
        )

    def forget_pages(self, *names: str) -> None:
        """Give back the memory of what was read of these sections or of all; it is read again when needed."""
        for start, size in [self.places[name] for name in names] or [(0, self.size)]:
            first = start - start % mmap.PAGESIZE
            if size:
                self._map.madvise(mmap.MADV_DONTNEED, first, start + size - first)


def record_of(chunk: DocumentChunk) -> bytes:
    """What `Segment.chunk` makes a chunk of again."""
    place = (chunk.page, chunk.unit, chunk.label, chunk.heading, chunk.start, chunk.end, chunk.line)
    return orjson.dumps((chunk.text, *place))


def name_of(chunk: DocumentChunk) -> bytes:
    return orjson.dumps((chunk.file_id, chunk.filename))
