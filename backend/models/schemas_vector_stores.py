"""Bodies of /v1/vector_stores and /v1/uploads: what a client may send. Unknown fields are ignored."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag

from backend.models.collections import Chunking
from backend.models.errors import InvalidRequest
from backend.models.schemas import Wire

MAX_BATCH = 2000
MAX_QUERY_CHARS = 8192
FileId = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=64)],
        Annotated[str, StringConstraints(max_length=512)],
    ],
    Field(max_length=16),
]
Query = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_QUERY_CHARS)]
Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
MIN_LIFETIME, MAX_LIFETIME = 3600, 2_592_000
"""Seconds after which a file may be made to expire."""


class StaticIn(Wire):
    max_chunk_size_tokens: Annotated[int, Field(ge=100, le=4096)]
    chunk_overlap_tokens: Annotated[int, Field(ge=0, le=2048)]


class ChunkingIn(Wire):
    type: Literal["auto", "static"]
    static: StaticIn | None = None


class DaysIn(Wire):
    anchor: Literal["last_active_at"]
    days: Annotated[int, Field(ge=1, le=365)]


class SecondsIn(Wire):
    anchor: Literal["created_at"]
    seconds: Annotated[int, Field(ge=MIN_LIFETIME, le=MAX_LIFETIME)]


class VectorStoreCreate(Wire):
    """Body of POST /v1/vector_stores."""

    name: Annotated[str, Field(max_length=256)] | None = None
    description: Annotated[str, Field(max_length=1024)] | None = None
    file_ids: Annotated[list[FileId], Field(max_length=MAX_BATCH)] | None = None
    metadata: Metadata | None = None
    expires_after: DaysIn | None = None
    chunking_strategy: ChunkingIn | None = None


class VectorStoreUpdate(Wire):
    """Body of POST /v1/vector_stores/{id}; `expires_after: null` takes the expiry away."""

    name: Annotated[str, Field(max_length=256)] | None = None
    description: Annotated[str, Field(max_length=1024)] | None = None
    metadata: Metadata | None = None
    expires_after: DaysIn | None = None


class VectorStoreFileCreate(Wire):
    """Body of POST /v1/vector_stores/{id}/files, and a member of a batch's `files`."""

    file_id: FileId
    attributes: dict[str, Any] | None = None
    chunking_strategy: ChunkingIn | None = None


class VectorStoreFileUpdate(Wire):
    """Body of POST /v1/vector_stores/{id}/files/{file_id}: the attributes that take the place of all."""

    attributes: dict[str, Any] | None = None


class FileBatchCreate(Wire):
    """Body of POST /v1/vector_stores/{id}/file_batches: `file_ids`, all treated alike, or `files`, each its own way."""

    file_ids: Annotated[list[FileId], Field(min_length=1, max_length=MAX_BATCH)] | None = None
    files: Annotated[list[VectorStoreFileCreate], Field(min_length=1, max_length=MAX_BATCH)] | None = None
    attributes: dict[str, Any] | None = None
    chunking_strategy: ChunkingIn | None = None


class RankingIn(Wire):
    ranker: str | None = None
    score_threshold: Annotated[float, Field(ge=0, le=1)] | None = None


class VectorStoreSearch(Wire):
    """Body of POST /v1/vector_stores/{id}/search. `rewrite_query` leaves courtesies out and reads several queries as
    the turns of one conversation; without it they are searched as they are."""

    query: Annotated[
        Annotated[Query, Tag("str")] | Annotated[list[Query], Field(min_length=1, max_length=32), Tag("list")],
        Discriminator(lambda value: "list" if isinstance(value, list) else "str"),
    ]
    max_num_results: Annotated[int, Field(ge=1, le=50)] | None = None
    rewrite_query: bool | None = None
    filters: dict[str, Any] | None = None
    ranking_options: RankingIn | None = None


class ReadersRequest(Wire):
    """Body of PUT /api/collections/{id}/readers: user names."""

    users: Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=64)]], Field(max_length=200)]


class UploadCreate(Wire):
    """Body of POST /v1/uploads."""

    bytes: Annotated[int, Field(ge=1)]
    filename: Annotated[str, StringConstraints(min_length=1, max_length=1024)]
    mime_type: Annotated[str, Field(max_length=256)]
    purpose: Purpose
    expires_after: SecondsIn | None = None


class UploadComplete(Wire):
    """Body of POST /v1/uploads/{id}/complete."""

    part_ids: Annotated[list[FileId], Field(min_length=1, max_length=1000)]
    md5: Annotated[str, Field(max_length=64)] | None = None


def chunking_of(wanted: ChunkingIn | None, param: str = "chunking_strategy") -> Chunking | None:
    """None for `auto`. Raises InvalidRequest naming the part of `param` that is wrong."""
    if wanted is None or wanted.type == "auto":
        return None
    if wanted.static is None:
        raise InvalidRequest(
            "A static chunking_strategy needs its sizes: give them in static.",
            param=f"{param}.static",
            code="invalid_value",
        )
    size, overlap = wanted.static.max_chunk_size_tokens, wanted.static.chunk_overlap_tokens
    if overlap * 2 > size:
        raise InvalidRequest(
            "chunk_overlap_tokens is at most half of max_chunk_size_tokens.",
            param=f"{param}.static.chunk_overlap_tokens",
            code="invalid_value",
        )
    return Chunking(size, overlap)
