"""Port for chat completions that their caller asked to keep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from backend.models.run import Owner

MAX_COMPLETIONS = 1_000
"""Newest completions that are kept for one owner."""
MAX_OWNER_BYTES = 256 * 1_048_576
"""What one owner's completions take together; beyond it the oldest go."""


class CompletionStore(Protocol):
    """Completions of one owner, as the JSON objects that were answered (`id`, `model`, `metadata`, `session_id`, …).

    With a completion the messages of its request are kept: JSON objects as they were sent. An id comes from
    `timed_id`, so the order of the ids is the order of making. A stranger's id and a missing id raise the same
    NotFound.
    """

    async def save(
        self, owner: Owner, completion: Mapping[str, Any], messages: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """Keep a completion. The oldest beyond MAX_COMPLETIONS make room for a new one."""
        ...

    async def get(self, owner: Owner, completion_id: str) -> dict[str, Any]:
        """The completion without its messages. Raises NotFound."""
        ...

    async def messages(self, owner: Owner, completion_id: str) -> list[dict[str, Any]]:
        """The messages of its request, in order. Raises NotFound."""
        ...

    async def set_metadata(self, owner: Owner, completion_id: str, metadata: Mapping[str, str]) -> dict[str, Any]:
        """Replace the metadata; the whole completion. Raises NotFound."""
        ...

    async def delete(self, owner: Owner, completion_id: str) -> None:
        """Raises NotFound."""
        ...

    async def delete_of_session(self, owner: Owner, session_id: str) -> None:
        """Remove all completions of a conversation."""
        ...

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
        """At most `limit` completions behind the one with id `after`, and whether there are more.

        `metadata`: only those that have all of these pairs. Raises InvalidRequest for an `after` that is no id.
        """
        ...


def row_of(completion: Mapping[str, Any]) -> dict[str, Any]:
    """What a completion is found by."""
    return {name: completion.get(name) for name in ("id", "model", "metadata", "session_id")}


def matches(row: Mapping[str, Any], model: str | None, metadata: Mapping[str, str] | None) -> bool:
    """Whether a row passes the filters of `list_completions`."""
    has = row.get("metadata")
    pairs = has if isinstance(has, Mapping) else {}
    return model in (None, row.get("model")) and all(pairs.get(key) == value for key, value in (metadata or {}).items())
