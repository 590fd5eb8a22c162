"""One index of the Chroma store: a Chroma collection with the vectors, beside it the texts and their words.

The texts' folder says which collection belongs to it, so that both change places in one step. What Chroma holds
beyond the texts, after a crash between the two, is never found and overwritten or dropped with its document.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from backend.models.documents import DocumentChunk, Hit
from backend.vector_store.checks import check_query, checked_rows, other_embedder
from backend.vector_store.disk import replace_file
from backend.vector_store.disk_index import DiskIndex
from backend.vector_store.fusion import POOL, distinct, fuse

if TYPE_CHECKING:
    from backend.embeddings.port import FloatArray
    from backend.vector_store.words import Words

LINK = "chroma.json"
"""In a generation of the texts: which collection has its vectors."""
WRITE_BATCH = 1000


class Shelf:
    """Used by one thread at a time. Raises OSError and Chroma's errors."""

    def __init__(self, client: Any, name: str, folder: Path, words: Words) -> None:
        self._client = client
        self.texts = DiskIndex(folder, words)
        self.texts.refresh()
        self._collection: Any = None
        self._dimension = 0
        if not self._link():
            self._take_up_former(name)

    def add(self, chunks: Sequence[DocumentChunk], vectors: FloatArray, recipe: str) -> None:
        rows = checked_rows(chunks, vectors)
        self._prepare(recipe, rows.shape[1])
        latest = {_key(chunk.file_id, chunk.index): row for row, chunk in enumerate(chunks)}
        for start in range(0, len(latest), WRITE_BATCH):
            keys = list(islice(latest, start, start + WRITE_BATCH))
            chosen = [latest[key] for key in keys]
            self._collection.upsert(
                ids=keys, embeddings=rows[chosen], metadatas=[{"file_id": chunks[row].file_id} for row in chosen]
            )
        self.texts.add(chunks, np.empty((len(chunks), 0), dtype=np.float32), recipe, plain=True)

    def search(self, vector: FloatArray | None, text: str, limit: int, files: Collection[str] | None) -> list[Hit]:
        if not self.texts.count() or limit < 1:
            return []
        pool = max(POOL, 2 * limit)
        dense: list[tuple[int, float]] = []
        if vector is not None:
            check_query(vector, self._dimension)
            dense = self._nearest(vector, pool, files)
        lexical = self.texts.lexical(text, pool, files)
        fused = fuse([dense, lexical])
        found = self._vectors([row for row, _ in fused])
        words = dict(lexical)

        def hits() -> Iterator[Hit]:
            for row, score in fused:
                chunk, own = self.texts.chunk_at(row), found.get(row)
                if chunk is not None and (own is not None or vector is None):
                    parts = {} if vector is None or own is None else {"dense": float(own @ vector)}
                    yield Hit(chunk, score, {**parts, "lexical": words.get(row, 0.0)}, own)

        return list(islice(distinct(hits()), limit))

    def needs_reindex(self, recipe: str) -> bool:
        """Also when vectors are gone."""
        texts = self.texts.count()
        vectors = 0 if self._collection is None else self._collection.count()
        return self.texts.needs_reindex(recipe) or vectors < texts

    def delete(self, file_id: str) -> int:
        found = self.texts.delete(file_id)
        if self._collection is not None:
            self._collection.delete(where={"file_id": file_id})
        return found

    def reset(self) -> None:
        collection, self._collection = self._collection, None
        self.texts.remove()
        if collection is not None:
            self._client.delete_collection(collection.name)

    def take_over(self, staged: Shelf) -> bool:
        """Put the staged index in the place of this one; False when there is nothing in it."""
        former = self._collection
        if not self.texts.take_over(staged.texts):
            return False
        self._link()
        staged._collection = None
        if former is not None:
            self._client.delete_collection(former.name)
        return True

    # ---- vectors ------------------------------------------------------------------------------

    def _link(self) -> bool:
        """Open the collection that belongs to the texts; False when there is none."""
        import chromadb.errors

        self._collection, self._dimension = None, 0
        try:
            known = orjson.loads((self.texts.current_folder / LINK).read_bytes())
            self._collection = self._client.get_collection(str(known["name"]), embedding_function=None)
            self._dimension = int(known["dimension"])
        except (FileNotFoundError, orjson.JSONDecodeError, KeyError, chromadb.errors.NotFoundError):
            return False
        return True

    def _prepare(self, recipe: str, dimension: int) -> None:
        """Make sure that there is a collection for these vectors. Raises InvalidRequest when another made it."""
        made_by = self.texts.recipe()
        if made_by is not None and self._collection is not None and (made_by, self._dimension) != (recipe, dimension):
            raise other_embedder(made_by, self._dimension, recipe, dimension)
        if made_by is None:
            self.reset()
            self.texts.begin(recipe)
        if self._collection is None:
            self._create(dimension)

    def _create(self, dimension: int) -> None:
        name = "index-" + secrets.token_hex(16)
        self._collection = self._client.create_collection(
            name, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )
        self._dimension = dimension
        self._keep_link(name)

    def _keep_link(self, name: str) -> None:
        replace_file(self.texts.current_folder / LINK, orjson.dumps({"name": name, "dimension": self._dimension}))

    def _take_up_former(self, name: str) -> None:
        """An index that an older server made: the texts were Chroma's as well."""
        import chromadb.errors

        try:
            collection = self._client.get_collection(name, embedding_function=None)
        except chromadb.errors.NotFoundError:
            return
        about = collection.metadata or {}
        found = collection.get(include=["documents", "metadatas"])
        chunks = [
            DocumentChunk(
                str(known["file_id"]), str(known["filename"]), int(known["index"]), text or "", known.get("page")
            )
            for text, known in zip(found["documents"], found["metadatas"], strict=True)
        ]
        recipe = str(about.get("embedder", ""))
        self.texts.begin(recipe)
        if chunks:
            self.texts.add(chunks, np.empty((len(chunks), 0), dtype=np.float32), recipe, plain=True)
        self._collection, self._dimension = collection, int(about.get("dimension", 0))
        self._keep_link(name)

    def _nearest(self, vector: FloatArray, limit: int, files: Collection[str] | None) -> list[tuple[int, float]]:
        """Rows and cosines, best first."""
        wanted = None if files is None else [file_id for file_id in set(files) if file_id in self.texts]
        if wanted is not None and not wanted:
            return []
        if self._collection is None:
            return []
        found = self._collection.query(
            query_embeddings=vector.reshape(1, -1),
            n_results=min(limit, self._collection.count()),
            where=None if wanted is None else {"file_id": {"$in": wanted}},
            include=["distances"],
        )
        rows = [self._row(key) for key in found["ids"][0]]
        scored = zip(rows, found["distances"][0], strict=True)
        return [(row, 1.0 - float(distance)) for row, distance in scored if row is not None]

    def _row(self, key: str) -> int | None:
        file_id, _, index = key.rpartition(":")
        return self.texts.row_of(file_id, int(index))

    def _vectors(self, rows: Sequence[int]) -> dict[int, FloatArray]:
        if not rows or self._collection is None:
            return {}
        keys = {_key(*self.texts.identity(row)): row for row in rows}
        found = self._collection.get(ids=list(keys), include=["embeddings"])
        return {
            keys[key]: np.asarray(own, dtype=np.float32)
            for key, own in zip(found["ids"], found["embeddings"], strict=True)
        }


def _key(file_id: str, index: int) -> str:
    return f"{file_id}:{index}"
