"""Lists that are paged by the ids of what is in them, as the OpenAI API has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import Depends, Query

from backend.tasks.collection_views import Cursor

MAX_CURSOR = 256

Order = Literal["asc", "desc"]
CursorId = Annotated[str | None, Query(max_length=MAX_CURSOR)]


def _cursor(
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    order: Order = "desc",
    after: CursorId = None,
    before: CursorId = None,
) -> Cursor:
    return Cursor(limit, order == "desc", after or None, before or None)


CursorDep = Annotated[Cursor, Depends(_cursor)]


def as_list(data: Sequence[Mapping[str, Any]], more: bool) -> dict[str, Any]:
    """`first_id` and `last_id` are null where nothing is listed."""
    return {
        "object": "list",
        "data": list(data),
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": more,
    }
