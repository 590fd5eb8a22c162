"""Conversations that are lists of items: `{owner}/{id}.json`, each replaced whole under its own lock."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from backend.models.errors import InvalidRequest
from backend.models.run import Owner
from backend.storage.json_files.append_log import decode_json, encode_json
from backend.storage.json_files.atomic import Unreadable, files_in, read_file, sync_folder, write_atomic
from backend.storage.json_files.damages import Damages
from backend.storage.json_files.disk import Disk
from backend.storage.json_files.locks import KeyedLocks, locked_file
from backend.storage.json_files.paths import Area, missing
from backend.storage.response_store import MAX_CONVERSATION_BYTES, MAX_CONVERSATION_ITEMS, MAX_CONVERSATIONS, joined
from backend.utils.ids import new_id

SUFFIX = ".json"
VERSION = 1

Change = Callable[[dict[str, Any]], None]


class JsonItemConversationStore:
    """ItemConversationStore over one file a conversation: its head, with its items under `items`."""

    def __init__(self, area: Area, disk: Disk, damages: Damages) -> None:
        self._area = area
        self._disk = disk
        self._damages = damages
        self._locks = KeyedLocks()

    async def create(
        self, owner: Owner, metadata: Mapping[str, str], items: Sequence[Mapping[str, Any]] = ()
    ) -> dict[str, Any]:
        whole = {
            "version": VERSION,
            "id": new_id("conv_"),
            "created_at": time.time(),
            "metadata": dict(metadata),
            "session_id": None,
            "items": joined((), items),
        }
        path = self._area.file(owner, str(whole["id"]), SUFFIX)

        def write() -> None:
            if len(files_in(path.parent, SUFFIX)) >= MAX_CONVERSATIONS:
                raise InvalidRequest(
                    f"There are {MAX_CONVERSATIONS} conversations already: delete some first.",
                    code="too_many_conversations",
                )
            write_atomic(path, _encoded(whole))

        async with self._locks.hold(path.parent):
            await self._disk.run(write)
        return _head(whole)

    async def get(self, owner: Owner, conversation_id: str) -> dict[str, Any]:
        return _head(await self._whole(owner, conversation_id))

    async def items(self, owner: Owner, conversation_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self._whole(owner, conversation_id))["items"]
        return found

    async def set_metadata(self, owner: Owner, conversation_id: str, metadata: Mapping[str, str]) -> dict[str, Any]:
        def change(whole: dict[str, Any]) -> None:
            whole["metadata"] = dict(metadata)

        return await self._change(owner, conversation_id, change)

    async def append(
        self,
        owner: Owner,
        conversation_id: str,
        items: Sequence[Mapping[str, Any]],
        session_id: str | None = None,
    ) -> None:
        def change(whole: dict[str, Any]) -> None:
            whole["items"] = joined(whole["items"], items)
            if session_id is not None:
                whole["session_id"] = session_id

        await self._change(owner, conversation_id, change)

    async def remove_item(self, owner: Owner, conversation_id: str, item_id: str) -> dict[str, Any]:
        def change(whole: dict[str, Any]) -> None:
            left = [each for each in whole["items"] if each["id"] != item_id]
            if len(left) == len(whole["items"]):
                raise missing("item")
            whole["items"] = left

        return await self._change(owner, conversation_id, change)

    async def delete(self, owner: Owner, conversation_id: str) -> None:
        path = self._area.file(owner, conversation_id, SUFFIX)
        async with self._locks.hold(path):
            if not await self._disk.run(_remove, path):
                raise missing("conversation")

    async def forget_session(self, owner: Owner, session_id: str) -> list[str]:
        folder = self._area.folder(owner)

        def find() -> list[str]:
            found = (self._read(folder / f"{name}{SUFFIX}") for name, _ in files_in(folder, SUFFIX))
            return [each["id"] for each in found if each is not None and each["session_id"] == session_id]

        gone = []
        for conversation_id in await self._disk.run(find):
            path = self._area.file(owner, conversation_id, SUFFIX)
            async with self._locks.hold(path):
                if await self._disk.run(_remove, path):
                    gone.append(conversation_id)
        return gone

    async def _whole(self, owner: Owner, conversation_id: str) -> dict[str, Any]:
        whole = await self._disk.run(self._read, self._area.file(owner, conversation_id, SUFFIX))
        if whole is None:
            raise missing("conversation")
        return whole

    async def _change(self, owner: Owner, conversation_id: str, change: Change) -> dict[str, Any]:
        """Read, change and replace under the lock of this process and that of the others; the head then."""
        path = self._area.file(owner, conversation_id, SUFFIX)

        def work() -> dict[str, Any]:
            try:
                with locked_file(path):
                    whole = self._read(path)
                    if whole is None:
                        raise missing("conversation")
                    change(whole)
                    write_atomic(path, _encoded(whole))
                    return _head(whole)
            except FileNotFoundError:
                raise missing("conversation") from None
            except Unreadable:
                self._read(path)  # sets it aside
                raise missing("conversation") from None

        async with self._locks.hold(path):
            return await self._disk.run(work)

    def _read(self, path: Path) -> dict[str, Any] | None:
        """None when there is none; what is damaged is set aside."""
        try:
            whole = decode_json(read_file(path))
            if not _is_ours(whole) or whole["id"] != path.stem:
                raise Unreadable("not our form")
        except FileNotFoundError:
            return None
        except (Unreadable, ValueError, RecursionError) as reason:
            self._damages.set_aside(path, f"a conversation of items could not be read ({type(reason).__name__})")
            return None
        found: dict[str, Any] = whole
        return found


def _is_ours(whole: Any) -> bool:
    return (
        isinstance(whole, dict)
        and {"id", "created_at", "session_id"} <= set(whole)
        and isinstance(whole.get("metadata"), dict)
        and isinstance(whole.get("items"), list)
        and all(isinstance(each, dict) and isinstance(each.get("id"), str) for each in whole["items"])
    )


def _encoded(whole: Mapping[str, Any]) -> bytes:
    """The file of a conversation. Raises InvalidRequest when it has grown too large."""
    data = encode_json(whole) + b"\n"
    if len(whole["items"]) > MAX_CONVERSATION_ITEMS or len(data) > MAX_CONVERSATION_BYTES:
        raise InvalidRequest(
            f"The conversation would have more than {MAX_CONVERSATION_ITEMS} items or"
            f" {MAX_CONVERSATION_BYTES // 1_048_576} MB: start a new one.",
            param="items",
            code="conversation_too_large",
        )
    return data


def _head(whole: Mapping[str, Any]) -> dict[str, Any]:
    return {name: whole[name] for name in ("id", "created_at", "metadata", "session_id")}


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    sync_folder(path.parent)
    return True
