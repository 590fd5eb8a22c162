"""/v1/vector_stores: collections of the caller's documents, as the OpenAI API has them."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Depends, Request, Response

from backend.api.deps import CurrentOwner, ServicesDep, json_body, read_json
from backend.api.lists import CursorDep, as_list
from backend.config.settings import Settings
from backend.models.attribute_filters import attributes_of, filter_of
from backend.models.collections import Chunking, SearchLimits
from backend.models.errors import InvalidRequest
from backend.models.schemas_vector_stores import (
    FileBatchCreate,
    VectorStoreCreate,
    VectorStoreFileCreate,
    VectorStoreFileUpdate,
    VectorStoreSearch,
    VectorStoreUpdate,
    chunking_of,
)
from backend.tasks.collection_views import BatchView, Changes, CollectionView, Draft, FileView, NewFile
from backend.tools.retrieval_passages import Passage
from backend.tools.retrieval_query import rewritten
from backend.utils.split_text import CHARS_PER_TOKEN

POLL_MS = "100"
"""How soon a client should look again whether indexing has ended."""
FileStatus = Literal["in_progress", "completed", "failed", "cancelled"]


def _poll_soon(response: Response) -> None:
    response.headers["openai-poll-after-ms"] = POLL_MS


router = APIRouter(prefix="/v1/vector_stores", tags=["vector stores"])
PollSoon = [Depends(_poll_soon)]


# ---- what is told -------------------------------------------------------------------------------------


def store_object(view: CollectionView) -> dict[str, Any]:
    collection = view.collection
    days = collection.expires_after_days
    return {
        "id": collection.id,
        "object": "vector_store",
        "created_at": int(collection.created_at),
        "name": collection.name,
        "description": collection.description,
        "usage_bytes": view.usage_bytes,
        "file_counts": dict(view.counts),
        "status": view.status,
        "expires_after": None if days is None else {"anchor": "last_active_at", "days": days},
        "expires_at": None if collection.expires_at is None else int(collection.expires_at),
        "last_active_at": int(collection.last_active_at),
        "metadata": dict(collection.metadata),
    }


def file_object(view: FileView, collection_id: str, settings: Settings) -> dict[str, Any]:
    failure = view.failure
    # Without a strategy of its own a file is searched as all documents are, whose sizes are settings in characters.
    chunking = view.file.chunking or Chunking(
        max(100, settings.chunk_size // CHARS_PER_TOKEN), settings.chunk_overlap // CHARS_PER_TOKEN
    )
    return {
        "id": view.file.file_id,
        "object": "vector_store.file",
        "created_at": int(view.file.created_at),
        "vector_store_id": collection_id,
        "status": view.status,
        "last_error": None if failure is None else {"code": failure.code, "message": failure.message},
        "usage_bytes": view.usage_bytes,
        "attributes": dict(view.file.attributes),
        "chunking_strategy": {
            "type": "static",
            "static": {
                "max_chunk_size_tokens": chunking.max_tokens,
                "chunk_overlap_tokens": chunking.overlap_tokens,
            },
        },
    }


def batch_object(view: BatchView) -> dict[str, Any]:
    return {
        "id": view.batch.id,
        "object": "vector_store.files_batch",
        "created_at": int(view.batch.created_at),
        "vector_store_id": view.collection.id,
        "status": view.status,
        "file_counts": dict(view.counts),
    }


def result_object(found: Passage) -> dict[str, Any]:
    return {
        "file_id": found.chunk.file_id,
        "filename": found.chunk.filename,
        "score": round(found.score, 6),
        "attributes": dict(found.attributes),
        "content": [{"type": "text", "text": found.chunk.text}],
    }


# ---- vector stores ------------------------------------------------------------------------------------


@router.post("", openapi_extra=json_body(VectorStoreCreate))
async def create_vector_store(request: Request, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """Make a vector store, perhaps of files that are there already."""
    body = await read_json(request, VectorStoreCreate)
    chunking = chunking_of(body.chunking_strategy)
    draft = Draft(
        name=body.name or "",
        description=body.description,
        metadata=body.metadata or {},
        expires_after_days=None if body.expires_after is None else body.expires_after.days,
        files=[NewFile(file_id, None, chunking) for file_id in dict.fromkeys(body.file_ids or ())],
    )
    return store_object(await services.collections.create(owner, draft))


@router.get("")
async def list_vector_stores(owner: CurrentOwner, services: ServicesDep, cursor: CursorDep) -> dict[str, Any]:
    """The caller's vector stores, newest first unless `order` is `asc`."""
    views, more = await services.collections.page(owner, cursor)
    return as_list([store_object(view) for view in views], more)


@router.get("/{vector_store_id}")
async def get_vector_store(vector_store_id: str, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    return store_object(await services.collections.get(owner, vector_store_id))


@router.post("/{vector_store_id}", openapi_extra=json_body(VectorStoreUpdate))
async def update_vector_store(
    vector_store_id: str, request: Request, owner: CurrentOwner, services: ServicesDep
) -> dict[str, Any]:
    """Change name, description, metadata (as a whole) or expiry."""
    body = await read_json(request, VectorStoreUpdate)
    changes = Changes(
        name=body.name,
        description=body.description,
        metadata=body.metadata,
        sets_expiry="expires_after" in body.model_fields_set,
        expires_after_days=None if body.expires_after is None else body.expires_after.days,
    )
    return store_object(await services.collections.update(owner, vector_store_id, changes))


@router.delete("/{vector_store_id}")
async def delete_vector_store(vector_store_id: str, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """Remove the vector store; its files stay among the caller's files."""
    await services.collections.delete(owner, vector_store_id)
    return {"id": vector_store_id, "object": "vector_store.deleted", "deleted": True}


@router.post("/{vector_store_id}/search", openapi_extra=json_body(VectorStoreSearch))
async def search_vector_store(
    vector_store_id: str, request: Request, owner: CurrentOwner, services: ServicesDep
) -> dict[str, Any]:
    """The passages that fit best, by meaning and by words, best first; scores from 0 to 1."""
    body = await read_json(request, VectorStoreSearch)
    ranking = body.ranking_options
    limits = SearchLimits(
        wanted=filter_of(body.filters),
        threshold=0.0 if ranking is None or ranking.score_threshold is None else ranking.score_threshold,
        max_results=body.max_num_results or 10,
    )
    queries = [body.query] if isinstance(body.query, str) else body.query
    if body.rewrite_query:
        queries = rewritten(queries)
    found = await services.collections.search(owner, vector_store_id, queries, limits)
    return {
        "object": "vector_store.search_results.page",
        "search_query": queries,
        "data": [result_object(each) for each in found],
        "has_more": False,
        "next_page": None,
    }


# ---- their files --------------------------------------------------------------------------------------


def _new_file(body: VectorStoreFileCreate, at: str = "") -> NewFile:
    attributes = None if body.attributes is None else attributes_of(body.attributes, f"{at}attributes")
    return NewFile(body.file_id, attributes, chunking_of(body.chunking_strategy, f"{at}chunking_strategy"))


@router.post("/{vector_store_id}/files", dependencies=PollSoon, openapi_extra=json_body(VectorStoreFileCreate))
async def create_vector_store_file(
    vector_store_id: str, request: Request, owner: CurrentOwner, services: ServicesDep
) -> dict[str, Any]:
    """Put a file into the vector store."""
    file = _new_file(await read_json(request, VectorStoreFileCreate))
    collection, view = await services.collections.attach(owner, vector_store_id, file)
    return file_object(view, collection.id, services.settings)


@router.get("/{vector_store_id}/files")
async def list_vector_store_files(
    vector_store_id: str,
    owner: CurrentOwner,
    services: ServicesDep,
    cursor: CursorDep,
    filter: FileStatus | None = None,
) -> dict[str, Any]:
    """The files of the vector store, those put in last first; `filter` by status."""
    views, more = await services.collections.files_page(owner, vector_store_id, cursor, filter)
    return as_list([file_object(view, vector_store_id, services.settings) for view in views], more)


@router.get("/{vector_store_id}/files/{file_id}", dependencies=PollSoon)
async def get_vector_store_file(
    vector_store_id: str, file_id: str, owner: CurrentOwner, services: ServicesDep
) -> dict[str, Any]:
    view = await services.collections.file(owner, vector_store_id, file_id)
    return file_object(view, vector_store_id, services.settings)


@router.post(
    "/{vector_store_id}/files/{file_id}", dependencies=PollSoon, openapi_extra=json_body(VectorStoreFileUpdate)
)
async def update_vector_store_file(
    vector_store_id: str, file_id: str, request: Request, owner: CurrentOwner, services: ServicesDep
) -> dict[str, Any]:
    """Replace the file's attributes."""
    body = await read_json(request, VectorStoreFileUpdate)
    attributes = attributes_of(body.attributes, "attributes")
    view = await services.collections.set_attributes(owner, vector_store_id, file_id, attributes)
    return file_object(view, vector_store_id, services.settings)


@router.delete("/{vector_store_id}/files/{file_id}")
async def delete_vector_store_file(
    vector_store_id: str, file_id: str, owner: CurrentOwner, services: ServicesDep
) -> dict[str, Any]:
    """Take the file out of the vector store; the file itself stays."""
    await services.collections.detach(owner, vector_store_id, file_id)
    return {"id": file_id, "object": "vector_store.file.deleted", "deleted": True}


@router.get("/{vector_store_id}/files/{file_id}/content")
async def get_vector_store_file_content(
    vector_store_id: str, file_id: str, owner: CurrentOwner, services: ServicesDep
) -> dict[str, Any]:
    """The text that was read out of the file."""
    texts = await services.collections.content(owner, vector_store_id, file_id)
    return {
        "object": "vector_store.file_content.page",
        "data": [{"type": "text", "text": text} for text in texts],
        "has_more": False,
        "next_page": None,
    }


# ---- batches of them ----------------------------------------------------------------------------------


def _members(body: FileBatchCreate) -> tuple[list[NewFile], str]:
    """The files that a batch names, and where. Raises InvalidRequest."""
    if (body.file_ids is None) == (body.files is None):
        raise InvalidRequest("Give either file_ids or files.", param="file_ids", code="invalid_value")
    if body.files is not None:
        return [_new_file(file, f"files.{number}.") for number, file in enumerate(body.files)], "files"
    attributes = None if body.attributes is None else attributes_of(body.attributes, "attributes")
    chunking = chunking_of(body.chunking_strategy)
    return [NewFile(file_id, attributes, chunking) for file_id in dict.fromkeys(body.file_ids or ())], "file_ids"


@router.post("/{vector_store_id}/file_batches", dependencies=PollSoon, openapi_extra=json_body(FileBatchCreate))
async def create_file_batch(
    vector_store_id: str, request: Request, owner: CurrentOwner, services: ServicesDep
) -> dict[str, Any]:
    """Put several files into the vector store."""
    files, param = _members(await read_json(request, FileBatchCreate))
    return batch_object(await services.collections.attach_all(owner, vector_store_id, files, param))


@router.get("/{vector_store_id}/file_batches/{batch_id}", dependencies=PollSoon)
async def get_file_batch(
    vector_store_id: str, batch_id: str, owner: CurrentOwner, services: ServicesDep
) -> dict[str, Any]:
    return batch_object(await services.collections.batch(owner, vector_store_id, batch_id))


@router.post("/{vector_store_id}/file_batches/{batch_id}/cancel", dependencies=PollSoon)
async def cancel_file_batch(
    vector_store_id: str, batch_id: str, owner: CurrentOwner, services: ServicesDep
) -> dict[str, Any]:
    """Give up those of its files that are not done yet."""
    return batch_object(await services.collections.cancel_batch(owner, vector_store_id, batch_id))


@router.get("/{vector_store_id}/file_batches/{batch_id}/files")
async def list_file_batch_files(
    vector_store_id: str,
    batch_id: str,
    owner: CurrentOwner,
    services: ServicesDep,
    cursor: CursorDep,
    filter: FileStatus | None = None,
) -> dict[str, Any]:
    """The files of the batch that are in the vector store, as of the vector store itself."""
    views, more = await services.collections.files_page(owner, vector_store_id, cursor, filter, batch_id)
    return as_list([file_object(view, vector_store_id, services.settings) for view in views], more)
