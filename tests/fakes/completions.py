"""Kept chat completions in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

from backend.models.errors import NotFound
from backend.models.run import Owner
from backend.storage.completion_store import MAX_COMPLETIONS, matches, row_of
from backend.utils.cursor import cursor_page
from backend.utils.ids import is_safe_id, moment_of


class FakeCompletions:
    def __init__(self) -> None:
        self.kept: dict[tuple[Owner, str], tuple[dict[str, Any], list[dict[str, Any]]]] = {}

    async def save(
        self, owner: Owner, completion: Mapping[str, Any], messages: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        if not is_safe_id(str(completion["id"])):
            raise _missing()
        self.kept[owner, completion["id"]] = (deepcopy(dict(completion)), [dict(message) for message in messages])
        for old in self._ids(owner)[:-MAX_COMPLETIONS]:
            del self.kept[owner, old]

    async def get(self, owner: Owner, completion_id: str) -> dict[str, Any]:
        if (owner, completion_id) not in self.kept:
            raise _missing()
        return deepcopy(self.kept[owner, completion_id][0])

    async def messages(self, owner: Owner, completion_id: str) -> list[dict[str, Any]]:
        await self.get(owner, completion_id)
        return deepcopy(self.kept[owner, completion_id][1])

    async def set_metadata(self, owner: Owner, completion_id: str, metadata: Mapping[str, str]) -> dict[str, Any]:
        changed = {**await self.get(owner, completion_id), "metadata": dict(metadata)}
        self.kept[owner, completion_id] = (changed, self.kept[owner, completion_id][1])
        return deepcopy(changed)

    async def delete(self, owner: Owner, completion_id: str) -> None:
        await self.get(owner, completion_id)
        del self.kept[owner, completion_id]

    async def delete_of_session(self, owner: Owner, session_id: str) -> None:
        for completion_id in self._ids(owner):
            if self.kept[owner, completion_id][0].get("session_id") == session_id:
                del self.kept[owner, completion_id]

    async def list_completions(
        self,
        owner: Owner,
        *,
        model: str | None = None,
        metadata: Mapping[str, str] | None = None,
        after: str | None = None,
        limit: int = 20,
        newest_first: bool = False,
    ) -> tuple[list[dict[str, Any]], bool]:
        ids = sorted(self._ids(owner), reverse=newest_first)
        behind, _ = cursor_page(
            ids, id_of=str, moment=_moment, newest_first=newest_first, limit=max(1, len(ids)), after=after
        )
        found = [self.kept[owner, each][0] for each in behind]
        found = [each for each in found if matches(row_of(each), model, metadata)]
        return deepcopy(found[:limit]), len(found) > limit

    def _ids(self, owner: Owner) -> list[str]:
        return sorted(completion_id for whose, completion_id in self.kept if whose == owner)


def _moment(completion_id: str) -> float:
    return moment_of(completion_id) or 0.0


def _missing() -> NotFound:
    return NotFound("There is no chat completion with this id.")
