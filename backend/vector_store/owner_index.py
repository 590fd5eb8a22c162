"""One index's chunks in memory, kept equal to the files: what a file-based vector store searches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from backend.models.documents import DocumentChunk, Hit
from backend.vector_store.checks import check_query, checked_rows, encodable, other_embedder
from backend.vector_store.fusion import POOL, distinct, fuse
from backend.vector_store.segments import FLOAT_BYTES, Batch, Manifest, Segments, Stamp, segment_name

if TYPE_CHECKING:
    from backend.embeddings.port import FloatArray
    from backend.vector_store.lexical import LexicalIndex


class DenseIndex(Protocol):
    """Vectors of unit length under row numbers, in memory."""

    def add(self, rows: Sequence[int], vectors: FloatArray) -> None:
        """`vectors` has shape (len(rows), d)."""
        ...

    def remove(self, rows: Collection[int]) -> None: ...

    def nearest(self, vector: FloatArray, limit: int, allowed: Collection[int] | None) -> list[tuple[int, float]]:
        """Rows and cosines, best first; only rows of `allowed` if given."""
        ...

    def vector(self, row: int) -> FloatArray:
        """Shape (d,)."""
        ...


class OwnerIndex:
    """Used by one thread at a time, the holder of `guard`. Raises OSError when the disk refuses."""

    def __init__(self, folder: Path, make_dense: Callable[[int], DenseIndex]) -> None:
        """`make_dense` gives an empty index for a number of dimensions."""
        self.guard = threading.Lock()
        self._make_dense = make_dense
        self._disk = Segments(folder)
        self._mark: bytes | None = None
        self._manifest: Manifest | None = None
        self.chunks: dict[int, DocumentChunk] = {}

    def add(self, chunks: Sequence[DocumentChunk], vectors: FloatArray, embedder: str) -> None:
        rows = checked_rows(chunks, vectors)
        batches = _by_document(chunks, rows)
        with self._writing():
            self._prepare(embedder, rows.shape[1])
            if len(batches) == 1:
                self._store(batches[0])
            else:
                self._disk.decide(self._generation, batches)
                self._spread(batches)

    def search(self, vector: FloatArray, text: str, limit: int, files: Collection[str] | None) -> list[Hit]:
        self._refresh()
        if not self.chunks or limit < 1:
            return []
        check_query(vector, self._dimension)
        allowed = (
            None if files is None else [row for file_id in set(files) for row in self._files.get(file_id, {}).values()]
        )
        pool = max(POOL, 2 * limit)
        dense = self._dense.nearest(vector, pool, allowed)
        lexical = self._lexical.search(text, pool, allowed)
        cosines, words = dict(dense), dict(lexical)
        hits = (
            Hit(
                self.chunks[row],
                score,
                {
                    "dense": cosines[row] if row in cosines else float(self._dense.vector(row) @ vector),
                    "lexical": words.get(row, 0.0),
                },
            )
            for row, score in fuse([dense, lexical])
        )
        return list(islice(distinct(hits), limit))

    def chunks_of(self, file_id: str) -> list[DocumentChunk]:
        self._refresh()
        return [self.chunks[row] for _, row in sorted(self._files.get(file_id, {}).items())]

    def delete(self, file_id: str) -> int:
        self._refresh()
        name = segment_name(file_id)
        if name not in self._known:
            return 0
        with self._writing():
            found = len(self._files.get(file_id, ()))
            self._disk.remove(self._generation, name)
            self._forget(name)
        return found

    def count(self) -> int:
        self._refresh()
        return len(self.chunks)

    def needs_reindex(self, embedder: str) -> bool:
        """Also when a file was damaged. An index without chunks fits every embedder."""
        self._refresh()
        if self._manifest is None:
            return False
        if not self._is_whole(self._manifest):
            return True
        return bool(self.chunks) and self._manifest.embedder != embedder

    def reset(self) -> None:
        if not self._disk.mark():
            return
        with self._writing():
            self._begin(Manifest(self._generation + 1, "", 0))

    def remove(self) -> None:
        """Leave nothing of the index, not even its folder."""
        if self._disk.mark():
            with self._disk.locked():
                self._mark = None
                self._disk.remove_all()

    def _is_whole(self, manifest: Manifest) -> bool:
        return manifest.whole and all(known.whole for known in self._known.values())

    # ---- keeping memory and disk equal ----------------------------------------------------------

    @property
    def _generation(self) -> int:
        return self._manifest.generation if self._manifest is not None else 0

    def _clear(self, dimension: int) -> None:
        from backend.vector_store.lexical import LexicalIndex

        self.chunks = {}
        self._files: dict[str, dict[int, int]] = {}
        """File id -> index of the chunk -> row."""
        self._known: dict[str, _Known] = {}
        self._lexical: LexicalIndex[int] = LexicalIndex()
        self._dense = self._make_dense(dimension)
        self._dimension = dimension
        self._next_row = 0

    def _refresh(self) -> None:
        """Take up what other processes wrote; costs one small read when nothing was."""
        mark = self._disk.mark()
        if mark == self._mark:
            return
        if not mark:
            self._manifest = None
            self._clear(0)
            self._mark = mark
            return
        with self._disk.locked():
            self._catch_up()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Alone and up to date. After a failure memory is compared with the files again before the next use."""
        with self._disk.locked():
            if self._disk.mark() != self._mark:
                self._catch_up()
            mark = self._disk.change_mark()
            self._mark = None
            yield
            self._mark = mark

    def _catch_up(self) -> None:
        self._mark = None
        mark = self._disk.mark()
        manifest = self._disk.manifest()
        if manifest is None or self._manifest is None or manifest.generation != self._manifest.generation:
            self._clear(manifest.dimension if manifest is not None else 0)
        self._manifest = manifest
        if manifest is not None:
            self._disk.sweep(manifest.generation)
            self._load(manifest)
            self._spread(self._disk.decided(manifest.generation))
        self._mark = mark

    def _load(self, manifest: Manifest) -> None:
        stamps = self._disk.stamps(manifest.generation)
        for name in [name for name, known in self._known.items() if stamps.get(name) != known.stamp]:
            self._forget(name)
        for name in sorted(stamps.keys() - self._known.keys()):
            segment = self._disk.read(manifest.generation, name)
            fitting = [batch for batch in segment.batches if self._fits(name, batch, manifest)]
            for batch in fitting:
                self._remember(batch)
            file_id = segment.batches[0].chunks[0].file_id if fitting else None
            whole = segment.whole and len(fitting) == len(segment.batches)
            self._known[name] = _Known(segment.stamp, segment.size, whole, file_id)

    @staticmethod
    def _fits(name: str, batch: Batch, manifest: Manifest) -> bool:
        """Whether a batch belongs into this file and this index."""
        right_size = len(batch.vectors) == len(batch.chunks) * manifest.dimension * FLOAT_BYTES
        return right_size and segment_name(batch.chunks[0].file_id) == name

    def _prepare(self, embedder: str, dimension: int) -> None:
        """Make sure that there is an index for these vectors. Raises InvalidRequest when another embedder made it."""
        manifest = self._manifest
        if manifest is None:
            self._begin(Manifest(1, embedder, dimension))
        elif (manifest.embedder, manifest.dimension) != (embedder, dimension):
            if self.chunks:
                raise other_embedder(manifest.embedder, manifest.dimension, embedder, dimension)
            self._begin(Manifest(manifest.generation + 1, embedder, dimension, whole=self._is_whole(manifest)))

    def _begin(self, manifest: Manifest) -> None:
        self._disk.start(manifest)
        self._manifest = manifest
        self._clear(manifest.dimension)

    def _store(self, batch: Batch) -> None:
        """Write chunks of one document, then remember them. Chunks that are there already are replaced."""
        file_id = batch.chunks[0].file_id
        name, present = segment_name(file_id), self._files.get(file_id, {})
        known = self._known.get(name, _Known((0, 0, 0), 0, True, None))
        if any(chunk.index in present for chunk in batch.chunks):
            whole = self._merged(file_id, batch)
            stamp = self._disk.rewrite(self._generation, name, whole)
        else:
            stamp = self._disk.append(self._generation, name, batch, known.size)
        self._remember(batch)
        self._known[name] = replace(known, stamp=stamp, size=stamp[1], file_id=file_id)

    def _spread(self, batches: Sequence[Batch]) -> None:
        for batch in batches:
            self._store(batch)
        if batches:
            self._disk.spread(self._generation)

    def _merged(self, file_id: str, batch: Batch) -> Batch:
        """A document's chunks with those of the batch in place of their predecessors."""
        import numpy as np

        fresh = {chunk.index for chunk in batch.chunks}
        kept = [row for index, row in sorted(self._files[file_id].items()) if index not in fresh]
        vectors = b"".join(np.asarray(self._dense.vector(row), dtype="<f4").tobytes() for row in kept)
        return Batch((*(self.chunks[row] for row in kept), *batch.chunks), vectors + batch.vectors)

    def _remember(self, batch: Batch) -> None:
        import numpy as np

        vectors = np.frombuffer(batch.vectors, dtype="<f4").reshape(len(batch.chunks), -1)
        rows = range(self._next_row, self._next_row + len(vectors))
        self._next_row = rows.stop
        present = self._files.setdefault(batch.chunks[0].file_id, {})
        self._drop([present[chunk.index] for chunk in batch.chunks if chunk.index in present])
        self._dense.add(rows, vectors)
        for chunk, row in zip(batch.chunks, rows, strict=True):
            present[chunk.index] = row
            self.chunks[row] = chunk
            self._lexical.add(row, chunk.text)

    def _forget(self, name: str) -> None:
        known = self._known.pop(name, None)
        if known is not None and known.file_id is not None:
            self._drop(list(self._files.pop(known.file_id, {}).values()))

    def _drop(self, rows: Collection[int]) -> None:
        if rows:
            self._dense.remove(rows)
        for row in rows:
            del self.chunks[row]
            self._lexical.remove(row)


@dataclass(frozen=True, slots=True)
class _Known:
    """What memory holds of a document's file. `size`: where its last whole line ends."""

    stamp: Stamp
    size: int
    whole: bool
    file_id: str | None


def _by_document(chunks: Sequence[DocumentChunk], vectors: FloatArray) -> list[Batch]:
    """One batch a document; of chunks with the same index the last counts. Lone surrogates cannot be stored."""
    latest = {(chunk.file_id, chunk.index): row for row, chunk in enumerate(chunks)}
    documents: dict[str, list[int]] = {}
    for (file_id, _), row in latest.items():
        documents.setdefault(file_id, []).append(row)
    return [
        Batch(tuple(encodable(chunks[row]) for row in rows), vectors[rows].tobytes()) for rows in documents.values()
    ]
