"""One index on disk: what can be asked of it and done with it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from backend.models.documents import DocumentChunk, Hit
from backend.vector_store.checks import check_query, checked_rows, encodable
from backend.vector_store.fusion import POOL, distinct, fuse
from backend.vector_store.index_folder import Manifest, Pending
from backend.vector_store.index_state import IndexState
from backend.vector_store.ranking import Ranking

if TYPE_CHECKING:
    from backend.embeddings.port import FloatArray
    from backend.vector_store.segment_files import Segment

log = logging.getLogger("hearth.vectors")


class DiskIndex(IndexState):
    """Used by one thread at a time, the holder of `guard`. Raises OSError when the disk refuses."""

    def add(self, chunks: Sequence[DocumentChunk], vectors: FloatArray, recipe: str, *, plain: bool = False) -> None:
        """`plain`: words alone, the vectors have no dimensions."""
        rows = vectors if plain else checked_rows(chunks, vectors)
        latest = {(chunk.file_id, chunk.index): row for row, chunk in enumerate(chunks)}
        own = [encodable(chunks[row]) for row in latest.values()]
        with self._writing():
            self._prepare(recipe, rows.shape[1])
            self._append(own, rows[list(latest.values())])
            self._merge_small()

    def search(self, vector: FloatArray | None, text: str, limit: int, files: Collection[str] | None) -> list[Hit]:
        ranking = self.ranking()
        if not ranking.count or limit < 1:
            return []
        pool = max(POOL, 2 * limit)
        masks = ranking.masks(files)
        dense: list[tuple[int, float]] = []
        if vector is not None:
            check_query(vector, self.dimension)
            vector = np.ascontiguousarray(vector, dtype=np.float32)
            dense = ranking.nearest(vector, pool, masks, self._graph)
        lexical = ranking.lexical(self._words.query(text, ranking.languages), pool, masks)
        fused = fuse([dense, lexical])
        words, cosines = dict(lexical), dict(dense)
        if vector is not None:
            cosines.update(ranking.cosines(vector, [row for row, _ in fused if row not in cosines]))
        hits = list(islice(distinct(self._hits(ranking, fused, words, cosines)), limit))
        for segment in self.segments.values():
            if self._graphs.get(segment.key) is not None:
                segment.forget_pages("vectors", "records")  # a page read brings in sixteen around it
        return hits

    def chunks_of(self, file_id: str, first: int = 0, last: int | None = None) -> list[DocumentChunk]:
        self.refresh()
        found: list[DocumentChunk] = []
        for segment in self.segments.values():
            rows = segment.rows_of(file_id)
            indexes = segment.index[rows]
            wanted = rows[(indexes >= first) & (indexes <= (last if last is not None else np.iinfo(np.int64).max))]
            found += [chunk for row in wanted.tolist() if (chunk := self._chunk(segment, row)) is not None]
        return sorted(found, key=lambda chunk: chunk.index)

    def delete(self, file_id: str) -> int:
        self.refresh()
        if file_id not in self and not self._damaged:
            return 0
        with self._writing():
            found = sum(len(segment.rows_of(file_id)) for segment in self.segments.values())
            self._drop_damaged()
            self._erase(Pending({file_id: None}))
        return found

    def count(self) -> int:
        self.refresh()
        return sum(segment.count for segment in self.segments.values())

    def recipe(self) -> str | None:
        return self._manifest.embedder if self.count() and self._manifest is not None else None

    def needs_reindex(self, recipe: str) -> bool:
        """Also when something was damaged. An index without chunks fits every embedder."""
        count = self.count()
        if self._manifest is None:
            return False
        return not self._is_whole(self._manifest) or (count > 0 and self._manifest.embedder != recipe)

    def begin(self, recipe: str) -> None:
        """Start an empty index for words alone."""
        with self._writing():
            self._begin(Manifest(self._generation + 1, recipe, 0))

    def reset(self) -> None:
        if self.folder.mark():
            with self._writing():
                self._begin(Manifest(self._generation + 1, "", 0))

    def remove(self) -> None:
        """Leave nothing of the index, not even its folder."""
        if self.folder.mark():
            with self.folder.locked():
                self.close()
                self.folder.remove_all()

    def take_over(self, staged: DiskIndex) -> bool:
        """Put the staged index in the place of this one, both guards held; False when there is nothing in it."""
        if not staged.count() or staged._manifest is None:
            return False
        with self._writing(), staged.folder.locked():
            if staged.folder.mark() != staged._mark:
                staged._catch_up()
            whole = staged._is_whole(staged._manifest)
            fresh = replace(staged._manifest, generation=self._generation + 1, whole=whole)
            self.folder.take_over(staged.folder, staged._manifest.generation, fresh)
            staged.close()
            staged.folder.remove_all()
            self._catch_up()
        return True

    @property
    def cost(self) -> int:
        """Bytes of memory that the open index takes at most when it is searched."""
        return sum(segment.cost for segment in list(self.segments.values()))

    def __contains__(self, file_id: str) -> bool:
        return any(file_id in segment.docs for segment in self.segments.values())

    # ---- reading ------------------------------------------------------------------------------

    def ranking(self) -> Ranking:
        self.refresh()
        if self._ranking is None:
            self._ranking = Ranking(list(self.segments.values()))
        return self._ranking

    def lexical(self, text: str, limit: int, files: Collection[str] | None) -> list[tuple[int, float]]:
        """Rows that say most about a text, with their scores, best first; rows stay until the next write."""
        ranking = self.ranking()
        return ranking.lexical(self._words.query(text, ranking.languages), limit, ranking.masks(files))

    def row_of(self, file_id: str, index: int) -> int | None:
        return self.ranking().row_of(file_id, index)

    def identity(self, row: int) -> tuple[str, int]:
        """File id and index of the chunk in a row."""
        segment, local = self.ranking().place(row)
        return segment.names[segment.doc[local]][0], int(segment.index[local])

    def chunk_at(self, row: int) -> DocumentChunk | None:
        segment, local = self.ranking().place(row)
        return self._chunk(segment, local)

    def _hits(
        self, ranking: Ranking, fused: Iterable[tuple[int, float]], words: dict[int, float], cosines: dict[int, float]
    ) -> Iterator[Hit]:
        for row, score in fused:
            segment, local = ranking.place(row)
            chunk = self._chunk(segment, local)
            if chunk is not None:
                parts = {"dense": cosines[row]} if row in cosines else {}
                own = segment.vectors[local].copy() if segment.dimension else None
                yield Hit(chunk, score, {**parts, "lexical": words.get(row, 0.0)}, own)

    def _chunk(self, segment: Segment, row: int) -> DocumentChunk | None:
        chunk = segment.chunk(row)
        if chunk is None:
            log.error("A text in a vector index is damaged; its documents must be indexed again.")
            self._ranking = None
        return chunk
