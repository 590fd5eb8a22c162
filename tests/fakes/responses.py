"""Responses and conversations of items in memory."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from typing import Any

import orjson

from backend.models.errors import InvalidRequest, NotFound
from backend.models.run import Owner
from backend.storage.response_store import (
    KEPT_SECONDS,
    MAX_CONVERSATION_BYTES,
    MAX_CONVERSATION_ITEMS,
    MAX_CONVERSATIONS,
    MAX_RESPONSES,
    items_of,
    joined,
)
from backend.utils.ids import is_safe_id, new_id

Numbered = Sequence[tuple[int, bytes]]


def _missing(what: str) -> NotFound:
    return NotFound(f"There is no {what} with this id.")


class FakeResponses:
    def __init__(self) -> None:
        self.kept: dict[tuple[Owner, str], tuple[dict[str, Any], list[tuple[int, bytes]]]] = {}

    async def save(self, owner: Owner, record: Mapping[str, Any], events: Numbered = ()) -> None:
        if not is_safe_id(str(record["id"])):
            raise _missing("response")
        self.kept[owner, record["id"]] = (deepcopy(dict(record)), list(events))
        for old in self._newest(owner)[MAX_RESPONSES:]:
            del self.kept[owner, old["id"]]

    async def update(self, owner: Owner, record: Mapping[str, Any], events: Numbered = ()) -> None:
        await self.get(owner, record["id"])
        await self.save(owner, record, events)

    async def get(self, owner: Owner, response_id: str) -> dict[str, Any]:
        record, _ = self.kept.get((owner, response_id), ({}, []))
        if not record or record["created_at"] < time.time() - KEPT_SECONDS:
            raise _missing("response")
        return deepcopy(record)

    async def events(self, owner: Owner, response_id: str) -> list[tuple[int, bytes]]:
        await self.get(owner, response_id)
        return list(self.kept[owner, response_id][1])

    async def delete(self, owner: Owner, response_id: str) -> None:
        if self.kept.pop((owner, response_id), None) is None:
            raise _missing("response")

    async def delete_of_session(self, owner: Owner, session_id: str) -> list[str]:
        gone = [record["id"] for record in self._newest(owner) if record.get("session_id") == session_id]
        for response_id in gone:
            del self.kept[owner, response_id]
        return gone

    async def find_items(self, owner: Owner, item_ids: Collection[str]) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for record in self._newest(owner):
            for item in items_of(record):
                if item["id"] in item_ids and record["created_at"] >= time.time() - KEPT_SECONDS:
                    found.setdefault(item["id"], deepcopy(item))
        return found

    def _newest(self, owner: Owner) -> list[dict[str, Any]]:
        mine = [record for (whose, _), (record, _) in self.kept.items() if whose == owner]
        return sorted(mine, key=lambda record: record["created_at"], reverse=True)


class FakeItemConversations:
    def __init__(self) -> None:
        self.kept: dict[tuple[Owner, str], dict[str, Any]] = {}

    async def create(
        self, owner: Owner, metadata: Mapping[str, str], items: Sequence[Mapping[str, Any]] = ()
    ) -> dict[str, Any]:
        if sum(whose == owner for whose, _ in self.kept) >= MAX_CONVERSATIONS:
            raise InvalidRequest("There are too many conversations already.", code="too_many_conversations")
        if not is_safe_id(owner.user) or not is_safe_id(owner.tenant):
            raise _missing("conversation")
        head = {"id": new_id("conv_"), "created_at": time.time(), "metadata": dict(metadata), "session_id": None}
        self.kept[owner, str(head["id"])] = self._fitting({**head, "items": joined((), items)})
        return head

    async def get(self, owner: Owner, conversation_id: str) -> dict[str, Any]:
        return {name: value for name, value in self._whole(owner, conversation_id).items() if name != "items"}

    async def items(self, owner: Owner, conversation_id: str) -> list[dict[str, Any]]:
        return deepcopy(self._whole(owner, conversation_id)["items"])

    async def set_metadata(self, owner: Owner, conversation_id: str, metadata: Mapping[str, str]) -> dict[str, Any]:
        self._whole(owner, conversation_id)["metadata"] = dict(metadata)
        return await self.get(owner, conversation_id)

    async def append(
        self,
        owner: Owner,
        conversation_id: str,
        items: Sequence[Mapping[str, Any]],
        session_id: str | None = None,
    ) -> None:
        whole = self._whole(owner, conversation_id)
        added = self._fitting({**whole, "items": joined(whole["items"], items)})
        self.kept[owner, conversation_id] = added | ({} if session_id is None else {"session_id": session_id})

    async def remove_item(self, owner: Owner, conversation_id: str, item_id: str) -> dict[str, Any]:
        whole = self._whole(owner, conversation_id)
        left = [each for each in whole["items"] if each["id"] != item_id]
        if len(left) == len(whole["items"]):
            raise _missing("item")
        whole["items"] = left
        return await self.get(owner, conversation_id)

    async def delete(self, owner: Owner, conversation_id: str) -> None:
        self._whole(owner, conversation_id)
        del self.kept[owner, conversation_id]

    async def forget_session(self, owner: Owner, session_id: str) -> list[str]:
        mine = [(key, whole) for key, whole in self.kept.items() if key[0] == owner]
        gone = [key for key, whole in mine if whole["session_id"] == session_id]
        for key in gone:
            del self.kept[key]
        return [conversation_id for _, conversation_id in gone]

    def _whole(self, owner: Owner, conversation_id: str) -> dict[str, Any]:
        if (owner, conversation_id) not in self.kept:
            raise _missing("conversation")
        return self.kept[owner, conversation_id]

    def _fitting(self, whole: dict[str, Any]) -> dict[str, Any]:
        if len(whole["items"]) > MAX_CONVERSATION_ITEMS or len(orjson.dumps(whole)) > MAX_CONVERSATION_BYTES:
            raise InvalidRequest("The conversation would be too large.", param="items", code="conversation_too_large")
        return whole
