"""/v1/conversations: lists of items that responses are added to. The page's own conversations are another thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import APIRouter, Request

from backend.api.deps import CurrentOwner, ServicesDep, json_body, read_json
from backend.api.item_pages import After, PageLimit, page_of_items
from backend.api.lists import Order, as_list
from backend.api.responses_items import Item, checked_items
from backend.models.errors import InvalidRequest, NotFound
from backend.models.schemas_item_conversations import (
    ConversationItemsRequest,
    ConversationRequest,
    ConversationUpdate,
)

router = APIRouter(prefix="/v1/conversations", tags=["conversations"])


@router.post("", openapi_extra=json_body(ConversationRequest))
async def create_conversation(request: Request, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """A new conversation, with up to 20 first items."""
    body = await read_json(request, ConversationRequest)
    items = _items(body.items or ())
    return _shown(await services.stores.item_conversations.create(owner, body.metadata or {}, items))


@router.get("/{conversation_id}")
async def get_conversation(conversation_id: str, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """The conversation without its items."""
    return _shown(await services.stores.item_conversations.get(owner, conversation_id))


@router.post("/{conversation_id}", openapi_extra=json_body(ConversationUpdate))
async def update_conversation(
    conversation_id: str, request: Request, owner: CurrentOwner, services: ServicesDep
) -> dict[str, Any]:
    """Replace the metadata."""
    body = await read_json(request, ConversationUpdate)
    return _shown(await services.stores.item_conversations.set_metadata(owner, conversation_id, body.metadata or {}))


@router.delete("/{conversation_id}")
async def delete_conversation(conversation_id: str, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """Remove the conversation with its items. The responses that were added to it stay."""
    await services.stores.item_conversations.delete(owner, conversation_id)
    return {"id": conversation_id, "object": "conversation.deleted", "deleted": True}


@router.post("/{conversation_id}/items", openapi_extra=json_body(ConversationItemsRequest))
async def create_items(
    conversation_id: str, request: Request, owner: CurrentOwner, services: ServicesDep
) -> dict[str, Any]:
    """Add up to 20 items at the end: all, or none."""
    body = await read_json(request, ConversationItemsRequest)
    items = _items(body.items)
    await services.stores.item_conversations.append(owner, conversation_id, items)
    return as_list(items, False)


@router.get("/{conversation_id}/items")
async def list_items(
    conversation_id: str,
    owner: CurrentOwner,
    services: ServicesDep,
    limit: PageLimit = 20,
    order: Order = "desc",
    after: After = None,
) -> dict[str, Any]:
    """One page of the items, newest first unless `order` is `asc`."""
    items = await services.stores.item_conversations.items(owner, conversation_id)
    return page_of_items(items, limit, order, after)


@router.get("/{conversation_id}/items/{item_id}")
async def get_item(conversation_id: str, item_id: str, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """One item."""
    for item in await services.stores.item_conversations.items(owner, conversation_id):
        if item["id"] == item_id:
            return item
    raise NotFound("There is no item with this id.")


@router.delete("/{conversation_id}/items/{item_id}")
async def delete_item(conversation_id: str, item_id: str, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """Take one item out; the conversation."""
    return _shown(await services.stores.item_conversations.remove_item(owner, conversation_id, item_id))


def _shown(head: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": head["id"],
        "object": "conversation",
        "created_at": int(head["created_at"]),
        "metadata": head["metadata"],
    }


def _items(given: Sequence[Mapping[str, Any]]) -> list[Item]:
    """Checked items. Raises InvalidRequest naming `items.N…`."""
    items = checked_items(given, "items")
    seen: set[str] = set()
    for n, item in enumerate(items):
        if item["type"] == "item_reference":
            raise InvalidRequest(
                "A conversation holds items, not references to them.", param=f"items.{n}.type", code="invalid_value"
            )
        if item["id"] in seen:
            raise InvalidRequest("Two items have the same id.", param=f"items.{n}.id", code="invalid_value")
        seen.add(item["id"])
    return items
