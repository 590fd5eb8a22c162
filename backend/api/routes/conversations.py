"""The caller's conversations: list, get, rename, delete, export."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.api.deps import CurrentOwner, ServicesDep, json_body, page_of, read_json
from backend.api.downloads import attachment
from backend.models.conversations import Conversation, ConversationInfo
from backend.models.schemas import ConversationChange
from backend.tasks.forgetting import forget_conversation

router = APIRouter(prefix="/api/conversations", tags=["conversations"])


def as_json(info: ConversationInfo) -> dict[str, Any]:
    return {
        "session_id": info.session_id,
        "title": info.title,
        "created_at": info.created_at,
        "updated_at": info.updated_at,
        "messages": info.messages,
        "collections": list(info.collections),
    }


def whole(conversation: Conversation) -> dict[str, Any]:
    messages = [
        {**message.extra, "role": message.role, "content": message.content, "timestamp": message.timestamp}
        for message in conversation.messages
    ]
    return {**as_json(conversation.info), "messages": messages}


@router.get("")
async def list_conversations(
    owner: CurrentOwner, services: ServicesDep, page: int = 1, limit: int = 50, q: str | None = None
) -> dict[str, Any]:
    """One page, newest first; `q` searches titles and text."""
    page, limit = page_of(page, limit)
    found, total = await services.stores.conversations.list_conversations(owner, page=page, limit=limit, query=q)
    return {"conversations": [as_json(info) for info in found], "page": page, "limit": limit, "total": total}


@router.get("/{session_id}")
async def get_conversation(session_id: str, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    return whole(await services.stores.conversations.get(owner, session_id))


@router.patch("/{session_id}", openapi_extra=json_body(ConversationChange))
async def change_conversation(
    session_id: str, request: Request, owner: CurrentOwner, services: ServicesDep
) -> dict[str, Any]:
    """Another title, or other collections to search (none: all documents)."""
    body = await read_json(request, ConversationChange)
    conversations = services.stores.conversations
    info = await conversations.info(owner, session_id)
    if body.collections is not None:
        chosen = tuple(dict.fromkeys(body.collections))
        for collection_id in chosen:
            await services.stores.collections.find(owner, collection_id)
        info = await conversations.choose(owner, session_id, chosen)
    if body.title is not None:
        info = await conversations.rename(owner, session_id, body.title)
    return as_json(info)


@router.delete("/{session_id}", status_code=204, response_class=Response)
async def delete_conversation(session_id: str, owner: CurrentOwner, services: ServicesDep) -> Response:
    """Remove it, and the traces of its runs with it."""
    await services.stores.conversations.info(owner, session_id)
    services.responses.forget_session(owner, session_id)
    await forget_conversation(services.stores, owner, session_id)
    return Response(status_code=204)


@router.get("/{session_id}/export", response_model=None)
async def export_conversation(
    session_id: str, owner: CurrentOwner, services: ServicesDep, format: Literal["json", "markdown"] = "json"
) -> Response:
    """The whole conversation as a file."""
    conversation = await services.stores.conversations.get(owner, session_id)
    title = conversation.info.title or "conversation"
    if format == "json":
        content = orjson.dumps(whole(conversation), option=orjson.OPT_INDENT_2)
        return Response(content, 200, attachment(f"{title}.json"), "application/json")
    return Response(as_markdown(conversation), 200, attachment(f"{title}.md"), "text/markdown; charset=utf-8")


def as_markdown(conversation: Conversation) -> str:
    """Each turn under a heading with its time in UTC."""
    parts = [f"# {conversation.info.title}\n"]
    for message in conversation.messages:
        moment = datetime.fromtimestamp(message.timestamp, UTC).strftime("%Y-%m-%d %H:%M")
        parts.append(f"## {message.role.capitalize()} ({moment} UTC)\n\n{message.content}\n")
    return "\n".join(parts)
