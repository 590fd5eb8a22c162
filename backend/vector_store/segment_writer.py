"""Making segments: of new chunks, of several older ones, and erasing rows where they stand."""

from __future__ import annotations

import os
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import orjson

from backend.models.documents import DocumentChunk
from backend.vector_store import postings
from backend.vector_store.disk import flush, open_file
from backend.vector_store.languages import language_of
from backend.vector_store.segment_files import FOOTER, MAGIC, Array, Segment, name_of, record_of
from backend.vector_store.words import Words, name_words, sample

ALIGN = 64
UNIT_CHARS = 4000
"""About as long are the passages that the words of chunks are weighed in."""
BLOCK = 1024
"""Rows that are held in memory at a time while segments are merged."""

Blocks = Iterable[bytes | memoryview]


class _Writer:
    """Sections one after the other, then what they are."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sections: dict[str, tuple[int, int, str, int]] = {}
        file.write(MAGIC)

    def section(self, name: str, kind: str, blocks: Blocks) -> None:
        self._file.write(b"\0" * (-self._file.tell() % ALIGN))
        start, check = self._file.tell(), 0
        for block in blocks:
            self._file.write(block)
            check = zlib.crc32(block, check)
        self._sections[name] = (start, self._file.tell() - start, kind, check)

    def array(self, name: str, kind: str, values: Array) -> None:
        self.section(name, kind, [np.ascontiguousarray(values, dtype=kind).tobytes()])

    def finish(self, dimension: int, languages: Iterable[str]) -> None:
        about = {
            "key": secrets.token_hex(8),
            "dimension": dimension,
            "languages": sorted(languages),
            "sections": self._sections,
        }
        content = orjson.dumps(about)
        start = self._file.tell()
        self._file.write(content)
        self._file.write(FOOTER.pack(start, len(content), zlib.crc32(content), MAGIC))
        flush(self._file)


@dataclass(slots=True)
class _Rows:
    """The arrays of a segment's rows, in the order of documents and their chunks."""

    doc: Array
    index: Array
    chars: Array
    lengths: Array

    def write(self, writer: _Writer) -> None:
        writer.array("alive", "|u1", np.ones(len(self.doc)))
        for name, values in (
            ("doc", self.doc),
            ("index", self.index),
            ("chars", self.chars),
            ("lengths", self.lengths),
        ):
            writer.array(name, "<u8" if name == "index" else "<u4", values)
        writer.array("unit", "<u4", units_of(self.doc, self.chars))


def units_of(doc: Array, chars: Array, most: int = UNIT_CHARS) -> Array:
    """For each row, sorted by document and chunk, the number of the passage it belongs to.

    A document is cut into passages of about `most` characters, all about equally long; none spans two documents.
    """
    if not len(doc):
        return np.empty(0, dtype=np.uint32)
    totals = np.maximum(1, np.bincount(doc, weights=chars))
    parts = np.maximum(1, np.rint(totals / most))
    before = np.cumsum(chars, dtype=np.float64) - chars
    first = np.ones(len(doc), dtype=bool)
    first[1:] = doc[1:] != doc[:-1]
    within = before - np.repeat(before[first], np.diff(np.append(np.flatnonzero(first), len(doc))))
    part = np.minimum(parts[doc] - 1, np.floor(parts[doc] * within / totals[doc]))
    begins = first.copy()
    begins[1:] |= part[1:] != part[:-1]
    return (np.cumsum(begins) - 1).astype(np.uint32)


def write_new(file: BinaryIO, chunks: Sequence[DocumentChunk], vectors: Array, words: Words) -> None:
    """A segment of chunks, each (file, index) once; `vectors` has a row for each, shape (n, d), float32."""
    numbers: dict[str, int] = {}
    for chunk in chunks:
        numbers.setdefault(chunk.file_id, len(numbers))
    order = sorted(range(len(chunks)), key=lambda row: (numbers[chunks[row].file_id], chunks[row].index))
    chunks = [chunks[row] for row in order]
    vectors = vectors[order]
    languages = _languages(chunks)
    texts = [_terms(chunk, languages[chunk.file_id], words) for chunk in chunks]
    writer = _Writer(file)
    rows = _Rows(
        np.array([numbers[chunk.file_id] for chunk in chunks]),
        np.array([chunk.index for chunk in chunks]),
        np.array([len(chunk.text) for chunk in chunks]),
        np.array([len(text) for text in texts]),
    )
    rows.write(writer)
    latest = {chunk.file_id: chunk for chunk in chunks}
    _write_records(writer, (record_of(chunk) for chunk in chunks))
    _write_names(writer, [name_of(latest[file_id]) for file_id in numbers])
    _write_vectors(writer, [vectors])
    _write_postings(writer, postings.build(texts))
    writer.finish(vectors.shape[1], set(languages.values()))


def write_merged(file: BinaryIO, segments: Sequence[Segment], wanted: Callable[[], bool] = lambda: True) -> bool:
    """A segment of what is left in several, oldest first. False when `wanted` said midway that it is not wanted.

    A chunk that is in two of them must have been erased from the older before.
    """
    plan = _Merge(segments)
    writer = _Writer(file)
    plan.rows.write(writer)
    _write_records(writer, plan.records())
    _write_names(writer, plan.names)
    if not wanted():
        return False
    dimension = segments[0].dimension
    _write_vectors(writer, plan.vectors(dimension), wanted)
    if not wanted():
        return False
    _write_postings(writer, postings.merge(plan.postings()))
    writer.finish(dimension, frozenset().union(*(segment.languages for segment in segments)))
    return wanted()


class _Merge:
    """Which row of which segment becomes which row."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._segments = segments
        for segment in segments:
            segment.check_rows()
        kept = [np.flatnonzero(segment.alive) for segment in segments]
        numbers: dict[str, int] = {}
        latest: dict[str, tuple[str, str]] = {}
        docs: list[Array] = []
        for segment, rows in zip(segments, kept, strict=True):
            own = np.zeros(len(segment.names), dtype=np.int64)
            for file_id, number in segment.docs.items():
                own[number] = numbers.setdefault(file_id, len(numbers))
                latest[file_id] = segment.names[number]
            docs.append(own[segment.doc[rows]])
        self.names = [orjson.dumps(latest[file_id]) for file_id in numbers]
        doc, index = np.concatenate(docs), self._gathered("index", kept)
        self._order = np.lexsort((index, doc))
        source = np.repeat(np.arange(len(segments)), [len(rows) for rows in kept])
        self._source, self._rows = source[self._order], np.concatenate(kept)[self._order]
        chars, lengths = self._gathered("chars", kept), self._gathered("lengths", kept)
        self.rows = _Rows(doc[self._order], index[self._order], chars[self._order], lengths[self._order])

    def _gathered(self, name: str, kept: Sequence[Array]) -> Array:
        arrays = [getattr(segment, name)[rows] for segment, rows in zip(self._segments, kept, strict=True)]
        return np.concatenate(arrays)

    def records(self) -> Iterator[bytes]:
        for source, row in zip(self._source.tolist(), self._rows.tolist(), strict=True):
            yield self._segments[source].record(row) or b""

    def vectors(self, dimension: int) -> Iterator[Array]:
        for start in range(0, len(self._rows), BLOCK):
            source, rows = self._source[start : start + BLOCK], self._rows[start : start + BLOCK]
            block = np.empty((len(rows), dimension), dtype="<f4")
            for number in np.unique(source).tolist():
                here = source == number
                block[here] = self._segments[number].vectors[rows[here]]
            yield block

    def postings(self) -> list[tuple[postings.Postings, Array]]:
        parts = []
        for number, segment in enumerate(self._segments):
            numbers = np.full(segment.rows, -1, dtype=np.int64)
            here = np.flatnonzero(self._source == number)
            numbers[self._rows[here]] = here
            parts.append((segment.postings, numbers))
        return parts


def erase(segment: Segment, rows: Array) -> None:
    """Overwrite rows with zeros where they stand, on disk when this returns. May be done again after a crash."""
    left = segment.alive.copy()
    left[rows] = False
    gone = [number for number in segment.docs.values() if not left[segment.doc == number].any()]
    with open_file(segment.path, os.O_RDWR) as file:
        number = file.fileno()
        alive, records = segment.places["alive"][0], segment.places["records"][0]
        vectors, names = segment.places["vectors"][0], segment.places["names"][0]
        width = 4 * segment.dimension
        for first, last in _ranges(rows):
            _zero(number, alive + first, last - first)
            _zero(number, vectors + first * width, (last - first) * width)
            start, end = int(segment.record_starts[first]), int(segment.record_starts[last])
            _zero(number, records + start, end - start)
        for doc in gone:
            start, end = int(segment.name_starts[doc]), int(segment.name_starts[doc + 1])
            _zero(number, names + start, end - start)
        os.fsync(number)


def _zero(number: int, start: int, size: int) -> None:
    while size > 0:
        done = os.pwrite(number, b"\0" * min(size, 1 << 20), start)
        start, size = start + done, size - done


def _ranges(rows: Array) -> Iterator[tuple[int, int]]:
    """Runs of neighbouring rows, the end exclusive."""
    rows = np.sort(rows)
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    for run in np.split(rows, breaks):
        if len(run):
            yield int(run[0]), int(run[-1]) + 1


def _languages(chunks: Sequence[DocumentChunk]) -> Mapping[str, str]:
    """Document -> its language, by the beginning of what is here of it."""
    texts: dict[str, list[str]] = {}
    for chunk in chunks:
        texts.setdefault(chunk.file_id, []).append(chunk.text)
    return {file_id: language_of(sample(parts)) for file_id, parts in texts.items()}


def _terms(chunk: DocumentChunk, language: str, words: Words) -> list[int]:
    return words.terms(f"{name_words(chunk.filename)}\n{chunk.context_text}", language)


def _write_records(writer: _Writer, records: Iterable[bytes]) -> None:
    sizes: list[int] = []
    checks: list[int] = []

    def counted() -> Iterator[bytes]:
        for record in records:
            sizes.append(len(record))
            checks.append(zlib.crc32(record))
            yield record

    writer.section("records", "|u1", counted())
    writer.array("record_starts", "<u8", np.concatenate(([0], np.cumsum(sizes, dtype=np.int64))))
    writer.array("record_checks", "<u4", np.array(checks, dtype=np.uint32))


def _write_names(writer: _Writer, names: Sequence[bytes]) -> None:
    writer.section("names", "|u1", names)
    writer.array("name_starts", "<u8", np.concatenate(([0], np.cumsum([len(name) for name in names], dtype=np.int64))))


def _write_vectors(writer: _Writer, blocks: Iterable[Array], wanted: Callable[[], bool] = lambda: True) -> None:
    checks: list[int] = []

    def counted() -> Iterator[bytes]:
        for block in blocks:
            if not wanted():
                return
            content = np.ascontiguousarray(block, dtype="<f4")
            checks.extend(zlib.crc32(row) for row in content)
            yield content.tobytes()

    writer.section("vectors", "<f4", counted())
    writer.array("vector_checks", "<u4", np.array(checks, dtype=np.uint32))


def _write_postings(writer: _Writer, found: postings.Postings) -> None:
    writer.array("terms", "<u8", found.terms)
    writer.array("starts", "<u8", found.starts)
    writer.array("rows", "<u4", found.rows)
    writer.array("counts", "<u2", found.counts)
