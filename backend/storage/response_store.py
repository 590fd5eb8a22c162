"""Ports for stored responses and for the conversations that are lists of items."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from backend.models.run import Owner

MAX_RESPONSES = 1_000
"""Newest responses that are kept for one owner."""
MAX_OWNER_BYTES = 512 * 1_048_576
"""What one owner's responses take together, their events included; beyond it the oldest go."""
KEPT_SECONDS = 30 * 86_400.0
"""How long a response is kept."""
MAX_CONVERSATIONS = 2_000
MAX_CONVERSATION_ITEMS = 2_000
MAX_CONVERSATION_BYTES = 8 * 1_048_576
"""What the items of one conversation may take as JSON."""


class ResponseStore(Protocol):
    """Responses of one owner, as JSON objects.

    The keys that the store itself reads: `id`, `created_at` (seconds since the epoch), `session_id`, `input` (the
    request's items) and `response`, whose `output` holds the items of the answer. With a response its events are
    kept as (sequence number, frame), each frame one server-sent event with the blank line that ends it.
    """

    async def save(self, owner: Owner, record: Mapping[str, Any], events: Sequence[tuple[int, bytes]] = ()) -> None:
        """Keep a response; replaces one with the same id. The oldest make room, and what is too old goes."""
        ...

    async def update(self, owner: Owner, record: Mapping[str, Any], events: Sequence[tuple[int, bytes]] = ()) -> None:
        """Replace a response. Raises NotFound when it was deleted meanwhile."""
        ...

    async def get(self, owner: Owner, response_id: str) -> dict[str, Any]:
        """The response without its events. Raises NotFound, also when it is older than KEPT_SECONDS."""
        ...

    async def events(self, owner: Owner, response_id: str) -> list[tuple[int, bytes]]:
        """The events as they were saved. Raises NotFound."""
        ...

    async def delete(self, owner: Owner, response_id: str) -> None:
        """Raises NotFound."""
        ...

    async def delete_of_session(self, owner: Owner, session_id: str) -> list[str]:
        """Remove all responses of one of Hearth's conversations; their ids."""
        ...

    async def find_items(self, owner: Owner, item_ids: Collection[str]) -> dict[str, dict[str, Any]]:
        """Items of stored responses by id; what is not there is left out."""
        ...


class ItemConversationStore(Protocol):
    """Conversations of one owner: a head (`id`, `created_at`, `metadata`, `session_id`) and a list of items.

    Items are JSON objects with an `id` of their own within the conversation.
    """

    async def create(
        self, owner: Owner, metadata: Mapping[str, str], items: Sequence[Mapping[str, Any]] = ()
    ) -> dict[str, Any]:
        """Start one; its head. Raises InvalidRequest beyond MAX_CONVERSATIONS or the bounds of `append`."""
        ...

    async def get(self, owner: Owner, conversation_id: str) -> dict[str, Any]:
        """The head. Raises NotFound."""
        ...

    async def items(self, owner: Owner, conversation_id: str) -> list[dict[str, Any]]:
        """All items, oldest first. Raises NotFound."""
        ...

    async def set_metadata(self, owner: Owner, conversation_id: str, metadata: Mapping[str, str]) -> dict[str, Any]:
        """Replace the metadata; the head. Raises NotFound."""
        ...

    async def append(
        self,
        owner: Owner,
        conversation_id: str,
        items: Sequence[Mapping[str, Any]],
        session_id: str | None = None,
    ) -> None:
        """Add items at the end, all or none, beside each other. `session_id` is kept in the head when given.

        An item whose id is there already takes its place. Raises NotFound, and InvalidRequest when there would be
        more than MAX_CONVERSATION_ITEMS or MAX_CONVERSATION_BYTES.
        """
        ...

    async def remove_item(self, owner: Owner, conversation_id: str, item_id: str) -> dict[str, Any]:
        """Take one item out; the head. Raises NotFound for either id."""
        ...

    async def delete(self, owner: Owner, conversation_id: str) -> None:
        """Raises NotFound."""
        ...

    async def forget_session(self, owner: Owner, session_id: str) -> list[str]:
        """Remove the conversations that one of Hearth's sessions repeats; their ids."""
        ...


def row_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """What is looked through without reading a response whole."""
    return {
        "id": record["id"],
        "session_id": record.get("session_id"),
        "items": [each["id"] for each in items_of(record)],
    }


def items_of(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The items of a response that have an id: its input, then its output."""
    response = record.get("response")
    output = response.get("output") if isinstance(response, Mapping) else None
    found: list[dict[str, Any]] = []
    for part in (record.get("input"), output):
        if isinstance(part, list):
            found += [each for each in part if isinstance(each, dict) and isinstance(each.get("id"), str)]
    return found


def joined(there: Sequence[Mapping[str, Any]], added: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Items of a conversation with new ones; one with a known id takes the place of the one before."""
    by_id = {each["id"]: dict(each) for each in there}
    by_id.update((each["id"], dict(each)) for each in added)
    return list(by_id.values())
