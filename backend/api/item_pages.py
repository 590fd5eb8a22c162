"""Lists of items, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import Query

from backend.api.lists import Order, as_list
from backend.models.errors import InvalidRequest

PageLimit = Annotated[int, Query(ge=1, le=100)]
After = Annotated[str | None, Query(max_length=128)]


def page_of_items(items: Sequence[Mapping[str, Any]], limit: int, order: Order, after: str | None) -> dict[str, Any]:
    """One page of `items`, which come oldest first. Raises InvalidRequest when there is no item `after`."""
    ordered = list(items) if order == "asc" else list(reversed(items))
    start = 0
    if after is not None:
        start = next((n for n, item in enumerate(ordered, 1) if item["id"] == after), 0)
        if not start:
            raise InvalidRequest(
                f"There is no item with the id {after!r} in this list.", param="after", code="invalid_value"
            )
    return as_list(ordered[start : start + limit], start + limit < len(ordered))
