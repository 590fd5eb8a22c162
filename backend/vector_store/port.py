"""The port every vector store implements: an index an owner, and one a collection that is split its own way."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Protocol

from backend.models.documents import DocumentChunk, Hit
from backend.models.run import Owner

if TYPE_CHECKING:
    from backend.embeddings.port import FloatArray


class VectorStore(Protocol):
    """Keeps document chunks with their vectors and finds them again.

    Every write is on disk when the call returns, and a crash in the middle of one leaves the state before it.
    An index made by another embedder (`embedder` differs from the stored one) is not searched: `needs_reindex`
    says so and `reset` empties it. `collection`, an id, names a further index of the owner that shares nothing with
    the others; "" is the owner's main one. Raises NotFound for owners and collections that are no ids.
    """

    async def add(
        self,
        owner: Owner,
        chunks: Sequence[DocumentChunk],
        vectors: FloatArray,
        embedder: str,
        *,
        collection: str = "",
    ) -> None:
        """Add chunks; row i of `vectors`, shape (n, d), float32, unit length, belongs to `chunks[i]`.

        Chunks of one file are replaced, never doubled: an equal (file_id, index) overwrites.
        Raises InvalidRequest when d differs from the index's.
        """
        ...

    async def search(
        self,
        owner: Owner,
        vector: FloatArray,
        text: str,
        limit: int,
        files: Collection[str] | None = None,
        *,
        collection: str = "",
    ) -> list[Hit]:
        """The best `limit` chunks for a query, best first: dense and lexical (BM25) scores fused half and half.

        `vector` has shape (d,); `text` is the query in words; `files` limits the search to these file ids.
        """
        ...

    async def chunks(self, owner: Owner, file_id: str, *, collection: str = "") -> list[DocumentChunk]:
        """All chunks of one file in order."""
        ...

    async def delete(self, owner: Owner, file_id: str, *, collection: str = "") -> int:
        """Remove every chunk and vector of a file; returns how many. A search right after finds none."""
        ...

    async def count(self, owner: Owner, *, collection: str = "") -> int:
        """Number of chunks in the index."""
        ...

    async def needs_reindex(self, owner: Owner, embedder: str, *, collection: str = "") -> bool: ...

    async def reset(self, owner: Owner, *, collection: str = "") -> None:
        """Drop the whole index; of a collection's nothing stays behind."""
        ...

    async def aclose(self) -> None: ...
