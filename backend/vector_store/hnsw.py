"""The graph of neighbours beside a large segment: finds the nearest vectors without looking at all of them.

A graph only names candidates; their cosines are computed from the segment. It holds the vectors with one byte a
dimension and is mapped when opened. FAISS's mapped indexes must never be changed: adding or removing ends the process.

Source: Malkov and Yashunin, Efficient and Robust Approximate Nearest Neighbor Search Using HNSW (2016).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from backend.vector_store.disk import open_file

if TYPE_CHECKING:
    from backend.embeddings.port import FloatArray
    from backend.vector_store.segment_files import Array, Segment

FROM_CHUNKS = 50_000
"""Indexes up to this size are searched exactly."""
FROM_ROWS = 12_000
"""Smaller segments of a large index are searched exactly as well."""
LINKS = 16
BUILD_BREADTH = 80
SEARCH_BREADTH = 192
TRAINING_ROWS = 20_000
BLOCK = 256


class Graph:
    """An open graph of one segment."""

    def __init__(self, path: Path, segment: Segment) -> None:
        """Raises OSError when there is none or it does not belong to the segment."""
        import faiss

        with open_file(path, os.O_RDONLY):
            pass  # refuses symbolic links, which FAISS would follow
        try:
            self._index: Any = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise OSError(errno.EIO, "unreadable graph") from error
        if self._index.ntotal != segment.rows or self._index.d != segment.dimension:
            raise OSError(errno.EIO, "a graph of something else")

    def nearest(self, query: FloatArray, limit: int, alive: npt.NDArray[np.bool_] | None) -> Array:
        """Rows, the nearest first; of `alive` ones alone if given."""
        import faiss

        library: Any = faiss
        library.omp_set_num_threads(1)
        # Both stay named until the search is over: FAISS only points at them.
        bits = None if alive is None else np.packbits(alive, bitorder="little")
        selector = None if bits is None else library.IDSelectorBitmap(bits)
        chosen = library.SearchParametersHNSW(efSearch=max(SEARCH_BREADTH, limit + limit // 2), sel=selector)
        _, rows = self._index.search(query.reshape(1, -1), limit, params=chosen)
        found: Array = rows[0][rows[0] >= 0]
        return found


def build(segment: Segment, path: Path, wanted: Callable[[], bool]) -> bool:
    """Write the graph of a segment. False when `wanted` said midway that it is not wanted. About 1 ms of CPU a row."""
    import faiss

    library: Any = faiss
    library.omp_set_num_threads(1)
    kind = library.ScalarQuantizer.QT_8bit
    index = library.IndexHNSWSQ(segment.dimension, kind, LINKS, library.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = BUILD_BREADTH
    step = max(1, segment.rows // TRAINING_ROWS)
    index.train(np.ascontiguousarray(segment.vectors[::step]))
    for start in range(0, segment.rows, BLOCK):
        if not wanted():
            return False
        index.add(np.ascontiguousarray(segment.vectors[start : start + BLOCK]))
    try:
        faiss.write_index(index, str(path))
    except RuntimeError as error:
        raise OSError(errno.ENOSPC, "the graph could not be written") from error
    with open_file(path, os.O_RDWR) as file:
        last: Any = faiss.downcast_index(index.storage).sa_encode(segment.vectors[-1:])
        file.seek(-segment.dimension, os.SEEK_END)
        if file.read() != last.tobytes():
            raise OSError(errno.EIO, "the vectors are not where they are to be erased in the graph")
        os.fsync(file.fileno())
    return wanted()


def erase(path: Path, segment: Segment, rows: Array) -> None:
    """Overwrite the vectors of rows, which stand last in the file, a byte a dimension."""
    with open_file(path, os.O_RDWR) as file:
        start = os.fstat(file.fileno()).st_size - segment.rows * segment.dimension
        for row in rows.tolist():
            os.pwrite(file.fileno(), b"\0" * segment.dimension, start + row * segment.dimension)
        os.fsync(file.fileno())
