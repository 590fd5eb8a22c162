"""What a request for a response builds on: the chain of earlier responses, a conversation, items by reference."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from backend.models.errors import InvalidRequest, NotFound
from backend.models.run import Owner
from backend.storage.response_store import MAX_CONVERSATION_ITEMS
from backend.storage.stores import Stores
from backend.tasks.live_runs import encoded
from backend.utils.ids import new_id

Item = dict[str, Any]
Look = Callable[[Owner, str], Awaitable[dict[str, Any]]]
"""A stored response with the status it really has. Raises NotFound."""

MAX_CHAIN = 200
"""How many earlier responses a chain brings back."""
MAX_HISTORY_ITEMS = 2_000
MAX_HISTORY_BYTES = 8 * 1_048_576
"""Of earlier items, the newest so many; the provider trims further, to the model's window."""
ROOM_ITEMS = 64
"""Places that must be left in a conversation for what a response may add beside its input."""
FILE_GONE: Item = {"type": "input_text", "text": "(A file that was here has been deleted.)"}
_WITH_PARTS = {"message": "content", "function_call_output": "output"}
"""Where the parts of an item are, by its type."""
UNFINISHED = ("queued", "in_progress")


@dataclass(frozen=True, slots=True)
class Past:
    """What a request builds on. `items` is its own input, references resolved, each item with an id of its own."""

    items: list[Item]
    earlier: list[Item]
    """Items that came before, oldest first."""
    previous_response_id: str | None = None
    conversation_id: str | None = None
    session_id: str | None = None
    """The session in which Hearth keeps what came before."""


@dataclass(frozen=True, slots=True)
class ResponseHistory:
    """Finds what came before. Strangers' ids are like missing ones."""

    stores: Stores
    look: Look

    async def past(
        self,
        owner: Owner,
        items: Sequence[Item],
        previous_response_id: str | None = None,
        conversation_id: str | None = None,
    ) -> Past:
        """Find what came before, and put the items that the input refers to in its place.

        Raises InvalidRequest (`previous_response_not_found`, both ids given, no room in the conversation), NotFound
        (the conversation, an item).
        """
        if previous_response_id is not None and conversation_id is not None:
            raise InvalidRequest(
                "previous_response_id and conversation exclude each other: send one of them.",
                param="previous_response_id",
                code="mutually_exclusive_parameters",
            )
        earlier: list[Item] = []
        session_id: str | None = None
        if previous_response_id is not None:
            earlier, session_id = await self._chain(owner, previous_response_id)
        elif conversation_id is not None:
            earlier, session_id = await self._conversation(owner, conversation_id, len(items))
        own = _distinct(await self._resolved(owner, items, earlier))
        if session_id is not None:
            session_id = await self._existing(owner, session_id)
        kept = await self._readable(owner, _newest(earlier))
        return Past(own, kept, previous_response_id, conversation_id, session_id)

    async def _chain(self, owner: Owner, response_id: str) -> tuple[list[Item], str | None]:
        """Input and output of a response and of those before it, oldest first; the session of the newest.

        An earlier one that is gone ends the chain there: what came after it still counts.
        """
        try:
            record = await self.look(owner, response_id)
        except NotFound:
            raise InvalidRequest(
                f"There is no response with the id {response_id[:80]!r}: it may have been deleted, or not stored.",
                param="previous_response_id",
                code="previous_response_not_found",
            ) from None
        if record["response"].get("status") in UNFINISHED:
            raise InvalidRequest(
                "The previous response is still being made: wait until it is over.",
                param="previous_response_id",
                code="previous_response_not_over",
            )
        session_id = record.get("session_id")
        parts: list[list[Item]] = []
        seen: set[str] = set()
        while len(seen) < MAX_CHAIN:
            seen.add(record["id"])
            parts.append([*record["input"], *record["response"].get("output", ())])
            before = record.get("previous_response_id")
            if not isinstance(before, str) or before in seen:
                break
            try:
                record = await self.stores.responses.get(owner, before)
            except NotFound:
                break
        return [item for part in reversed(parts) for item in part], session_id

    async def _conversation(self, owner: Owner, conversation_id: str, more: int) -> tuple[list[Item], str | None]:
        """Raises NotFound; InvalidRequest when the conversation is full."""
        conversations = self.stores.item_conversations
        try:
            head = await conversations.get(owner, conversation_id)
            items = await conversations.items(owner, conversation_id)
        except NotFound as error:
            raise NotFound(error.message, param="conversation") from None
        if len(items) + more + ROOM_ITEMS > MAX_CONVERSATION_ITEMS:
            raise InvalidRequest(
                f"The conversation is full: it has {len(items)} items. Start a new one.",
                param="conversation",
                code="conversation_too_large",
            )
        return _orderly(items), head["session_id"]

    async def _resolved(self, owner: Owner, items: Sequence[Item], earlier: Sequence[Item]) -> list[Item]:
        """The input with stored items in place of references; what came before anyway is left out.

        Raises NotFound for an item that is not stored.
        """
        wanted = {str(each["id"]) for each in items if each.get("type") == "item_reference"}
        if not wanted:
            return list(items)
        known = {each.get("id") for each in earlier}
        found = await self.stores.responses.find_items(owner, wanted - known)
        out: list[Item] = []
        for n, item in enumerate(items):
            if item.get("type") != "item_reference":
                out.append(item)
            elif item["id"] in found:
                out.append(found[item["id"]])
            elif item["id"] not in known:
                raise NotFound(
                    f"There is no item with the id {str(item['id'])[:80]!r}: items of responses that were not stored"
                    " must be sent whole.",
                    param=f"input.{n}.id",
                )
        return out

    async def _readable(self, owner: Owner, items: list[Item]) -> list[Item]:
        """Earlier items with a remark in place of files and pictures that were deleted, or have expired, since."""
        named = {part["file_id"] for item in items for part in _parts(item) if part.get("file_id")}
        gone = named - (await self.stores.documents.get_many(owner, named)).keys() if named else named
        return [_without_files(item, gone) for item in items] if gone else items

    async def _existing(self, owner: Owner, session_id: str) -> str | None:
        """The session, unless it was deleted meanwhile."""
        try:
            await self.stores.conversations.info(owner, session_id)
        except NotFound:
            return None
        return session_id


def _parts(item: Mapping[str, Any]) -> list[Item]:
    """Those of a message, or of a function's output."""
    parts = item.get(_WITH_PARTS.get(str(item.get("type")), ""))
    return parts if isinstance(parts, list) else []


def _without_files(item: Item, gone: Collection[str]) -> Item:
    if not any(part.get("file_id") in gone for part in _parts(item)):
        return item
    parts = [FILE_GONE if part.get("file_id") in gone else part for part in _parts(item)]
    return {**item, _WITH_PARTS[item["type"]]: parts}


def turns_in(items: Sequence[Mapping[str, Any]]) -> int:
    """How many messages these items make: what the model said in one go is one, an output is one."""
    turns, of_model = 0, False
    for item in items:
        kind = item.get("type")
        says = kind in ("function_call", "compaction") or (kind == "message" and item.get("role") == "assistant")
        if not says and kind not in ("message", "function_call_output", "mcp_approval_response"):
            continue
        turns += not (says and of_model)
        of_model = says
    return turns


def _orderly(items: list[Item]) -> list[Item]:
    """Items in an order that a model can go on from.

    Requests side by side may leave another turn between a call and its output, or two outputs of one call: then each
    call has its first output right behind it, and calls that still wait for theirs come last.
    """
    if _is_orderly(items):
        return items
    outputs: dict[Any, Item] = {}
    for item in items:
        if item.get("type") == "function_call_output":
            outputs.setdefault(item.get("call_id"), item)
    placed: list[Item] = []
    waiting: dict[Any, Item] = {}
    called: set[Any] = set()
    for item in items:
        kind, call_id = item.get("type"), item.get("call_id")
        if kind == "function_call_output" or (kind == "function_call" and call_id in called):
            continue
        if kind != "function_call":
            placed.append(item)
            continue
        called.add(call_id)
        if call_id in outputs:
            placed += [item, outputs[call_id]]
        else:
            waiting[call_id] = item
    return [*placed, *waiting.values()]


def _is_orderly(items: Sequence[Item]) -> bool:
    """Whether every output follows its call before the user says something else."""
    called: set[Any] = set()
    waiting: set[Any] = set()
    for item in items:
        kind, call_id = item.get("type"), item.get("call_id")
        if kind == "function_call":
            if call_id in called:
                return False
            called.add(call_id)
            waiting.add(call_id)
        elif kind == "function_call_output":
            if call_id not in waiting:
                return False
            waiting.discard(call_id)
        elif kind == "message" and item.get("role") == "user" and waiting:
            return False
    return True


def _newest(items: list[Item]) -> list[Item]:
    """The newest items within the bounds of a history; it never begins with the output of a call that is left out."""
    room = MAX_HISTORY_BYTES
    first = len(items)
    while first and len(items) - first < MAX_HISTORY_ITEMS:
        room -= len(encoded(items[first - 1]))
        if room < 0:
            break
        first -= 1
    kept = items[first:]
    if first:
        called = {each.get("call_id") for each in kept if each.get("type") == "function_call"}
        kept = [e for e in kept if e.get("type") != "function_call_output" or e.get("call_id") in called]
    return kept


def _distinct(items: Sequence[Item]) -> list[Item]:
    """The items, those with an id that came before under a fresh one: a list of them is paged by id."""
    seen: set[Any] = set()
    out: list[Item] = []
    for item in items:
        own = item.get("id")
        if not isinstance(own, str) or own in seen:
            prefix = own.partition("_")[0][:8] if isinstance(own, str) and "_" in own else "item"
            item = {**item, "id": new_id(f"{prefix}_")}
        seen.add(item["id"])
        out.append(item)
    return out
