"""The wire bodies of /v1/conversations, and of what is asked about a response before it is made."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from backend.models.schemas import Wire
from backend.models.schemas_responses import MAX_ITEMS, Metadata, ResponseRequest

MAX_ITEMS_AT_ONCE = 20
Items = Annotated[list[dict[str, Any]], Field(max_length=MAX_ITEMS_AT_ONCE)]


class ConversationRequest(Wire):
    """Body of POST /v1/conversations."""

    items: Items | None = None
    metadata: Metadata | None = None


class ConversationUpdate(Wire):
    """Body of POST /v1/conversations/{conversation_id}; null empties the metadata."""

    metadata: Metadata | None


class ConversationItemsRequest(Wire):
    """Body of POST /v1/conversations/{conversation_id}/items."""

    items: Annotated[list[dict[str, Any]], Field(min_length=1, max_length=MAX_ITEMS_AT_ONCE)]


class InputTokensRequest(ResponseRequest):
    """Body of POST /v1/responses/input_tokens: a request for a response, of which only its input counts."""

    model: Annotated[str, Field(min_length=1, max_length=256)] | None = None  # type: ignore[assignment]


class CompactRequest(Wire):
    """Body of POST /v1/responses/compact."""

    model: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    input: str | Annotated[list[dict[str, Any]], Field(max_length=MAX_ITEMS)] | None = None
    instructions: str | None = None
    previous_response_id: Annotated[str, Field(max_length=128)] | None = None
