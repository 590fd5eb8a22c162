"""The segments of an index, open and equal to the files: every write is a small one at once, a few merge into one."""

from __future__ import annotations

import errno
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backend.models.documents import DocumentChunk
from backend.vector_store import hnsw, segment_writer
from backend.vector_store.checks import encodable, other_embedder
from backend.vector_store.former_files import FORMER_VERSION, read_former
from backend.vector_store.index_folder import IndexFolder, Manifest, Pending, Span
from backend.vector_store.ranking import Ranking
from backend.vector_store.segment_files import DamagedError, Segment

if TYPE_CHECKING:
    from backend.vector_store.index_folder import Draft
    from backend.vector_store.segment_files import Array, Stamp
    from backend.vector_store.words import Words

log = logging.getLogger("hearth.vectors")

FAN_IN = 4
"""So many segments of about one size become one."""
LEVEL_ROWS = 64
"""Segments below this count as one size; each further size is FAN_IN times as large."""
MOST_ERASED = 0.25
"""A segment with more erased rows than this share is written anew."""
LITTLE = 2048
"""Rows of a segment that is written anew whenever something is erased, so that of its words nothing stays either."""
MIGRATION_ROWS = 8192


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes from which on an index works in another way, in chunks."""

    at_once: int = 8192
    """Up to so many are merged within the write that calls for it, more in the background."""
    graph_index: int = hnsw.FROM_CHUNKS
    """An index of up to so many is searched exactly."""
    graph_segment: int = hnsw.FROM_ROWS
    """So are smaller segments of a large index."""


DEFAULTS = Limits()


class IndexState:
    """What is open of an index. Used by one thread at a time, the holder of `guard`. Raises OSError."""

    def __init__(self, folder: Path, words: Words, limits: Limits = DEFAULTS) -> None:
        self.guard = threading.Lock()
        self.folder = IndexFolder(folder)
        self.limits = limits
        self._words = words
        self._mark: bytes | None = None
        self._manifest: Manifest | None = None
        self.close()

    @property
    def dimension(self) -> int:
        return self._manifest.dimension if self._manifest is not None else 0

    @property
    def current_folder(self) -> Path:
        """Where the files of this generation are; they go with it into the place of another index."""
        return self.folder.generation(self._generation)

    def close(self) -> None:
        """Forget all that is open; the next use opens it again."""
        self._mark = None
        self._manifest = None
        self.segments: dict[Span, Segment] = {}
        self._graphs: dict[str, hnsw.Graph | None] = {}
        self._damaged: dict[Span, Stamp] = {}
        self._ranking: Ranking | None = None

    def path(self, span: Span) -> Path:
        return self.folder.path(self._generation, span)

    def has_graph(self, segment: Segment) -> bool:
        return self._graphs.get(segment.key) is not None or self.folder.graph(segment).exists()

    def _graph(self, segment: Segment) -> hnsw.Graph | None:
        """None where there is none, also because it is damaged: then another is built."""
        if segment.rows < self.limits.graph_segment:
            return None
        if segment.key not in self._graphs:
            self._graphs[segment.key] = None
            path = self.folder.graph(segment)
            try:
                self._graphs[segment.key] = hnsw.Graph(path, segment)
            except FileNotFoundError:
                pass
            except OSError as error:
                log.error("The graph of a vector index is unusable and is built again: %s", error.strerror)
                path.unlink(missing_ok=True)
        return self._graphs[segment.key]

    # ---- keeping memory and disk equal --------------------------------------------------------

    def refresh(self) -> None:
        """Take up what other processes wrote; costs one small read when nothing was."""
        mark = self.folder.mark()
        if mark == self._mark:
            return
        if not mark:
            self.close()
            self._mark = mark
            return
        with self.folder.locked():
            self._catch_up()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Alone and up to date. After a failure memory is compared with the files again before the next use."""
        with self.folder.locked():
            if self.folder.mark() != self._mark:
                self._catch_up()
            if self._manifest is not None and self._manifest.whole and not self._is_whole(self._manifest):
                self._keep(replace(self._manifest, whole=False))
            mark = self.folder.change_mark()
            self._mark = None
            self._ranking = None
            yield
            self._mark = mark

    @property
    def _generation(self) -> int:
        return self._manifest.generation if self._manifest is not None else 0

    def _is_whole(self, manifest: Manifest) -> bool:
        return manifest.whole and not self._damaged and not any(each.damaged for each in self.segments.values())

    def _keep(self, manifest: Manifest) -> None:
        self.folder.keep(manifest)
        self._manifest = manifest

    def _catch_up(self) -> None:
        self._mark = None
        self._ranking = None
        mark = self.folder.mark()
        manifest = self.folder.manifest()
        taken = self.folder.taken_over(manifest.generation if manifest is not None else 0)
        if taken is not None:
            self.folder.finish_take_over(taken)
            manifest = taken
        if manifest is not None and manifest.version == FORMER_VERSION:
            manifest = self._migrate(manifest)
        if manifest is None or manifest.generation != self._generation:
            self.close()
        self._manifest = manifest
        if manifest is not None:
            self.folder.sweep(manifest.generation)
            self._open_segments(manifest)
            self._finish_erasing(manifest)
            if manifest.whole and not self._is_whole(manifest):
                self._keep(replace(manifest, whole=False))
        self._mark = mark

    def _open_segments(self, manifest: Manifest) -> None:
        known = self.segments
        self.segments, self._damaged = {}, {}
        for span, stamp in self.folder.segments(manifest.generation).items():
            if span in known and known[span].stamp == stamp:
                self.segments[span] = known[span]
            else:
                self._open(span, stamp)
        keys = {segment.key for segment in self.segments.values()}
        self._graphs = {key: graph for key, graph in self._graphs.items() if key in keys and graph is not None}

    def _open(self, span: Span, stamp: Stamp) -> None:
        try:
            segment = Segment(self.path(span))
            if segment.dimension != self.dimension:
                raise DamagedError
        except DamagedError:
            log.error("A file of a vector index is damaged; its documents must be indexed again.")
            self.segments.pop(span, None)
            self._damaged[span] = stamp
        else:
            self.segments[span] = segment

    def _finish_erasing(self, manifest: Manifest) -> None:
        """What a crash left undone."""
        pending = self.folder.decided(manifest.generation)
        if pending is not None:
            if pending.write is None or any(span.first <= pending.write <= span.last for span in self.segments):
                self._erase_rows(pending)
            self.folder.done(manifest.generation)

    def _migrate(self, former: Manifest) -> Manifest:
        """Write the chunks of an index of the first form anew, in a generation that counts when it is complete."""
        found = read_former(self.folder.generation(former.generation), former.dimension)
        manifest = Manifest(former.generation + 1, former.embedder, former.dimension, former.whole and found.whole)
        for number, start in enumerate(range(0, len(found.chunks), MIGRATION_ROWS), start=1):
            chunks = [encodable(chunk) for chunk in found.chunks[start : start + MIGRATION_ROWS]]
            vectors = found.vectors[start : start + MIGRATION_ROWS]
            fill = partial(segment_writer.write_new, chunks=chunks, vectors=vectors, words=self._words)
            self.folder.write(self.folder.path(manifest.generation, Span(number, number)), fill)
        self.folder.start(manifest)
        return manifest

    # ---- writing ------------------------------------------------------------------------------

    def _prepare(self, recipe: str, dimension: int) -> None:
        """Make sure that there is an index for these vectors. Raises InvalidRequest when another embedder made it."""
        manifest = self._manifest
        if manifest is None:
            self._begin(Manifest(1, recipe, dimension))
        elif (manifest.embedder, manifest.dimension) != (recipe, dimension):
            if any(segment.count for segment in self.segments.values()):
                raise other_embedder(manifest.embedder, manifest.dimension, recipe, dimension)
            self._begin(Manifest(manifest.generation + 1, recipe, dimension, whole=self._is_whole(manifest)))

    def _begin(self, manifest: Manifest) -> None:
        self.folder.start(manifest)
        self.close()
        self._manifest = manifest

    def _append(self, chunks: Sequence[DocumentChunk], vectors: Array) -> None:
        number = 1 + max((span.last for span in (*self.segments, *self._damaged)), default=0)
        replaced = self._replaced(chunks)
        if replaced:
            self.folder.decide(self._generation, Pending(replaced, number))
        span = Span(number, number)
        fill = partial(segment_writer.write_new, chunks=chunks, vectors=vectors, words=self._words)
        self.folder.write(self.path(span), fill)
        self._reopen(span)
        if replaced:
            self._erase_rows(Pending(replaced, number))
            self.folder.done(self._generation)

    def _replaced(self, chunks: Sequence[DocumentChunk]) -> dict[str, list[int]]:
        """Of each document the indexes of these chunks that are there already."""
        given: dict[str, list[int]] = {}
        for chunk in chunks:
            given.setdefault(chunk.file_id, []).append(chunk.index)
        replaced: dict[str, list[int]] = {}
        for segment in self.segments.values():
            for file_id in segment.docs.keys() & given.keys():
                there = np.intersect1d(segment.index[segment.rows_of(file_id)], given[file_id])
                if len(there):
                    replaced.setdefault(file_id, []).extend(there.tolist())
        return replaced

    def _reopen(self, span: Span) -> None:
        stamp = self.folder.stamp(self._generation, span)
        if stamp is not None:
            self._open(span, stamp)
            self.segments = dict(sorted(self.segments.items()))

    def _erase(self, pending: Pending) -> None:
        """In one step, unless the disk is full: then without the note that would survive a crash in the middle."""
        try:
            self.folder.decide(self._generation, pending)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            log.warning("The disk is full: a deletion is done without a note of it.")
        self._erase_rows(pending)
        self.folder.done(self._generation)

    def _erase_rows(self, pending: Pending) -> None:
        for span, segment in list(self.segments.items()):
            if pending.write is not None and span.last >= pending.write:
                continue
            rows = np.concatenate([np.empty(0, dtype=np.int64), *self._chosen(segment, pending)])
            if len(rows) == segment.count and len(rows):
                self._drop(span)
            elif len(rows):
                segment_writer.erase(segment, rows)
                with suppress(FileNotFoundError):
                    hnsw.erase(self.folder.graph(segment), segment, rows)
                self._reopen(span)
                self._compact(span)

    @staticmethod
    def _chosen(segment: Segment, pending: Pending) -> Iterator[Array]:
        for file_id, indexes in pending.files.items():
            rows = segment.rows_of(file_id)
            yield rows if indexes is None else rows[np.isin(segment.index[rows], indexes)]

    def _drop(self, span: Span) -> None:
        self.folder.drop(self._generation, span)
        self.segments.pop(span, None)
        self._damaged.pop(span, None)

    def _drop_damaged(self) -> None:
        """Nobody can tell whose texts they hold, so none of a deleted document's may stay in them."""
        for span in list(self._damaged):
            self._drop(span)

    # ---- upkeep -------------------------------------------------------------------------------

    def _compact(self, span: Span) -> None:
        """Write a small segment anew when much of it is erased. It can wait when the disk is full."""
        segment = self.segments.get(span)
        if segment is None or not self._is_sparse(segment) or segment.count > self.limits.at_once:
            return
        try:
            self._replace([span], span)
        except OSError as error:
            log.warning("A segment of a vector index could not be written anew: %s", error.strerror)

    @staticmethod
    def _is_sparse(segment: Segment) -> bool:
        erased = segment.rows - segment.count
        return erased > (0 if segment.rows <= LITTLE else MOST_ERASED * segment.rows)

    def _merge_small(self) -> None:
        """Merge the last segments while there are FAN_IN of a size and they are small. It can wait."""
        try:
            while (spans := self._due()) and sum(self.segments[span].count for span in spans) <= self.limits.at_once:
                self._replace(spans, Span(spans[0].first, spans[-1].last))
        except OSError as error:
            log.warning("Segments of a vector index could not be merged: %s", error.strerror)

    def due_later(self) -> list[Span]:
        """Segments for the background to put into one: too many of a size, or one of which much is erased."""
        due = self._due()
        if due:
            return due
        return next(([span] for span, segment in self.segments.items() if self._is_sparse(segment)), [])

    def _due(self) -> list[Span]:
        """The last segments, when FAN_IN of them are of one size and none is larger; otherwise nothing."""
        spans = list(self.segments)
        levels = [_level(segment.count) for segment in self.segments.values()]
        for level in sorted(set(levels)):
            tail = len(levels)
            while tail and levels[tail - 1] <= level and not self._damaged_between(spans, tail):
                tail -= 1
            if levels[tail:].count(level) >= FAN_IN:
                return spans[tail:]
        return []

    def _damaged_between(self, spans: Sequence[Span], tail: int) -> bool:
        """A merged segment must not seem to cover a damaged file."""
        return tail < len(spans) and any(
            spans[tail - 1].last < span.first < spans[tail].first for span in self._damaged
        )

    def _replace(self, spans: Sequence[Span], into: Span) -> None:
        segments = [self.segments[span] for span in spans]
        self.folder.write(self.path(into), partial(segment_writer.write_merged, segments=segments))
        self._put_in_place(spans, into)

    def install(self, built_from: Mapping[Span, Segment], into: Span | None, new: Draft) -> None:
        """Take up what the background made of segments, unless one of them has changed since."""
        with self._writing():
            if any(
                span not in self.segments or self.segments[span].stamp != segment.stamp
                for span, segment in built_from.items()
            ):
                return
            new.finish()
            if into is None:
                self._graphs.clear()
            else:
                self._put_in_place(list(built_from), into)

    def _put_in_place(self, spans: Sequence[Span], into: Span) -> None:
        """A written segment in the place of others."""
        lost = False
        for span in spans:
            segment = self.segments.pop(span)
            segment.forget_pages()
            lost = lost or segment.damaged > 0
            if span == into:
                self.folder.drop_graph(segment)
            else:
                self.folder.drop(self._generation, span)
        self._reopen(into)
        if lost and self._manifest is not None and self._manifest.whole:
            self._keep(replace(self._manifest, whole=False))


def _level(rows: int) -> int:
    level = 0
    while rows >= LEVEL_ROWS:
        level, rows = level + 1, rows // FAN_IN
    return level
