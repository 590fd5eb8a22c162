"""/v1/chat/completions of those that were asked to be kept: list, read, change their metadata, delete."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request

from backend.api.chat_request import checked_metadata
from backend.api.deps import CurrentOwner, ServicesDep, json_body, read_json
from backend.api.lists import as_list
from backend.models.schemas import CompletionUpdate
from backend.utils.cursor import cursor_page

router = APIRouter(prefix="/v1/chat/completions", tags=["chat"])

Order = Annotated[Literal["asc", "desc"], Query(description="By time of making; `asc` is oldest first.")]
Limit = Annotated[int, Query(ge=1, le=100)]
_METADATA = re.compile(r"metadata\[(.{1,64})\]", re.DOTALL)


@router.get("")
async def list_chat_completions(
    request: Request,
    owner: CurrentOwner,
    services: ServicesDep,
    model: str | None = None,
    after: str | None = None,
    limit: Limit = 20,
    order: Order = "asc",
) -> dict[str, Any]:
    """A page of the kept completions; `metadata[key]=value` limits it to those with that pair."""
    wanted = {found[1]: value for key, value in request.query_params.items() if (found := _METADATA.fullmatch(key))}
    page, has_more = await services.stores.completions.list_completions(
        owner, model=model, metadata=wanted, after=after, limit=limit, newest_first=order == "desc"
    )
    return as_list(page, has_more)


@router.get("/{completion_id}")
async def get_chat_completion(owner: CurrentOwner, services: ServicesDep, completion_id: str) -> dict[str, Any]:
    """One kept completion, as it was answered."""
    return await services.stores.completions.get(owner, completion_id)


@router.post("/{completion_id}", openapi_extra=json_body(CompletionUpdate))
async def update_chat_completion(
    request: Request, owner: CurrentOwner, services: ServicesDep, completion_id: str
) -> dict[str, Any]:
    """Replace the metadata; nothing else can be changed."""
    body = await read_json(request, CompletionUpdate)
    return await services.stores.completions.set_metadata(owner, completion_id, checked_metadata(body.metadata))


@router.delete("/{completion_id}")
async def delete_chat_completion(owner: CurrentOwner, services: ServicesDep, completion_id: str) -> dict[str, Any]:
    await services.stores.completions.delete(owner, completion_id)
    return {"id": completion_id, "object": "chat.completion.deleted", "deleted": True}


@router.get("/{completion_id}/messages")
async def list_chat_completion_messages(
    owner: CurrentOwner,
    services: ServicesDep,
    completion_id: str,
    after: str | None = None,
    limit: Limit = 20,
    order: Order = "asc",
) -> dict[str, Any]:
    """The messages of the request that a kept completion answered."""
    kept = await services.stores.completions.messages(owner, completion_id)
    messages = [{**message, "id": f"{completion_id}-{index}"} for index, message in enumerate(kept)]
    if order == "desc":
        messages.reverse()
    page, has_more = cursor_page(
        messages,
        id_of=lambda message: str(message["id"]),
        moment=lambda message: 0.0,
        newest_first=False,
        limit=limit,
        after=after,
    )
    return as_list(page, has_more)
