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
    `recipe` (see IndexRecipe) is kept with the index and tells what made it; chunks of another one are refused.
    `collection`, an id, names a further index of the owner that shares nothing with the others; "" is the owner's
    main one. Raises NotFound for owners and collections that are no ids.
    """

    async def add(
        self,
        owner: Owner,
        chunks: Sequence[DocumentChunk],
        vectors: FloatArray,
        recipe: str,
        *,
        collection: str = "",
    ) -> None:
        """Add chunks; row i of `vectors`, shape (n, d), float32, unit length, belongs to `chunks[i]`.

        Chunks of one file are replaced, never doubled: an equal (file_id, index) overwrites.
        Raises InvalidRequest when d or the recipe differs from the index's.
        """
        ...

    async def search(
        self,
        owner: Owner,
        vector: FloatArray | None,
        text: str,
        limit: int,
        files: Collection[str] | None = None,
        *,
        collection: str = "",
    ) -> list[Hit]:
        """The best `limit` chunks for a query, best first: dense and lexical (BM25) scores fused half and half.

        `vector` has shape (d,); without it words alone count. `text` is the query in words; `files` limits the
        search to these file ids. `parts` of a hit has `dense`, its cosine (if there is a vector), and `lexical`.
        """
        ...

    async def chunks(
        self, owner: Owner, file_id: str, *, first: int = 0, last: int | None = None, collection: str = ""
    ) -> list[DocumentChunk]:
        """The chunks of one file with an index from `first` to `last` (None: to the end), in order."""
        ...

    async def delete(self, owner: Owner, file_id: str, *, collection: str = "") -> int:
        """Remove every chunk and vector of a file; returns how many. A search right after finds none."""
        ...

    async def count(self, owner: Owner, *, collection: str = "") -> int:
        """Number of chunks in the index."""
        ...

    async def recipe(self, owner: Owner, *, collection: str = "") -> str | None:
        """What the index was made with; None when it holds nothing."""
        ...

    async def needs_reindex(self, owner: Owner, recipe: str, *, collection: str = "") -> bool:
        """Whether it was made with another recipe or has lost something; what there is can still be searched."""
        ...

    async def swap(self, owner: Owner, staged: str, *, collection: str = "") -> None:
        """Put the index of collection `staged` in the place of `collection`'s, in one step that survives a crash;
        there is nothing under `staged` afterwards. Raises NotFound when there is nothing under it before."""
        ...

    async def reset(self, owner: Owner, *, collection: str = "") -> None:
        """Drop the whole index; of a collection's nothing stays behind."""
        ...

    async def aclose(self) -> None: ...
