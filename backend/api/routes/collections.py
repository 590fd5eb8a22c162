"""/api/collections: the caller's collections and those shared with the caller, and who may read one.

Making, renaming, filling and deleting them goes by /v1/vector_stores.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from backend.api.deps import CurrentOwner, ServicesDep, json_body, read_json
from backend.models.schemas_vector_stores import ReadersRequest
from backend.tasks.sharing import SharedView

router = APIRouter(prefix="/api/collections", tags=["collections"])


def as_json(view: SharedView) -> dict[str, Any]:
    return {
        "id": view.collection.id,
        "name": view.collection.name,
        "files": len(view.collection.files),
        "mine": view.mine,
        "owner": view.owner,
        "readers": list(view.readers),
        "created_at": view.collection.created_at,
    }


@router.get("")
async def list_collections(owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """Newest first; `readers` are told to the owner alone."""
    return {"collections": [as_json(view) for view in await services.sharing.listed(owner)]}


@router.put("/{collection_id}/readers", openapi_extra=json_body(ReadersRequest))
async def set_readers(
    collection_id: str, request: Request, owner: CurrentOwner, services: ServicesDep
) -> dict[str, Any]:
    """Let exactly these users search the collection and read its documents; an empty list ends all sharing."""
    body = await read_json(request, ReadersRequest)
    return as_json(await services.sharing.set_readers(owner, collection_id, body.users))
