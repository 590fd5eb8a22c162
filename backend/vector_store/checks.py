"""What every vector store demands of the chunks and vectors it is given."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from backend.models.documents import DocumentChunk
from backend.models.errors import InvalidRequest, NotFound, StorageFailed, StorageFull
from backend.models.run import Owner
from backend.utils.ids import is_safe_id

if TYPE_CHECKING:
    from backend.embeddings.port import FloatArray


def check_ids(owner: Owner, collection: str) -> None:
    """Raises NotFound for what this server cannot have made."""
    if not (is_safe_id(owner.tenant) and is_safe_id(owner.user)):
        raise NotFound("There is no such user.")
    if collection and not is_safe_id(collection):
        raise NotFound("There is no such collection.")


def checked_rows(chunks: Sequence[DocumentChunk], vectors: FloatArray) -> FloatArray:
    """The vectors as contiguous little-endian float32, one row a chunk. Raises InvalidRequest when they are not."""
    import numpy as np

    rows: FloatArray = np.ascontiguousarray(vectors, dtype="<f4")
    if rows.ndim != 2 or len(rows) != len(chunks) or rows.shape[1] == 0 or not np.isfinite(rows).all():
        raise InvalidRequest(f"{len(chunks)} chunks need as many vectors of finite numbers.")
    return rows


def check_query(vector: FloatArray, dimension: int) -> None:
    """Raises InvalidRequest when the vector cannot be compared with those of the index."""
    if vector.shape != (dimension,):
        raise InvalidRequest(
            f"The query's vector has {vector.size} dimensions, the document index {dimension}: another embedder made"
            " it; index the documents again."
        )


def other_embedder(made_by: str, dimension: int, embedder: str, given: int) -> InvalidRequest:
    """The error for vectors that must not meet those of the index."""
    return InvalidRequest(
        f"The document index was made by {made_by} ({dimension} dimensions) and cannot take vectors of {embedder}"
        f" ({given} dimensions); index the documents again."
    )


def encodable(chunk: DocumentChunk) -> DocumentChunk:
    """The chunk without lone surrogates, which come out of broken PDFs and cannot be stored as UTF-8."""
    given = (chunk.text, chunk.filename, chunk.label, *chunk.heading)
    text, filename, label, *heading = (each.encode("utf-8", "replace").decode("utf-8") for each in given)
    if (text, filename, label, *heading) == given:
        return chunk
    return replace(chunk, text=text, filename=filename, label=label, heading=tuple(heading))


def storage_error(error: OSError) -> StorageFailed:
    """What a person is told when the disk refused."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull("The disk is full, so the document index could not be changed; free some space.")
    return StorageFailed("The document index could not be read or written; the server's log says why.")
