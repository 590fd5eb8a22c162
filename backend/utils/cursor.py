"""Pages of a list that are asked for by the id of the thing before (or after) them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from backend.models.errors import InvalidRequest
from backend.utils.ids import moment_of

T = TypeVar("T")

SHOWN = 64


def cursor_page(
    items: Sequence[T],
    *,
    id_of: Callable[[T], str],
    moment: Callable[[T], float],
    newest_first: bool,
    limit: int,
    after: str | None = None,
    before: str | None = None,
    gone: Callable[[str], float | None] = moment_of,
) -> tuple[list[T], bool]:
    """At most `limit` of the items next to the cursor, and whether there are more beyond them.

    `items` come in the order in which they are shown. A cursor whose item was removed meanwhile still has a place, if
    `gone` knows when the item was made. Raises InvalidRequest for other cursors.
    """
    ids = [id_of(item) for item in items]

    def place(cursor: str, name: str) -> tuple[int, int]:
        """The range that the cursor's item takes up; empty when the item is gone."""
        if cursor in ids:
            at = ids.index(cursor)
            return at, at + 1
        made = gone(cursor)
        if made is None:
            raise InvalidRequest(
                f"{name} must be the id of an item of this list; {cursor[:SHOWN]!r} is none.",
                param=name,
                code="invalid_value",
            )
        sooner = [moment(item) > made if newest_first else moment(item) < made for item in items]
        return sum(sooner), sum(sooner)

    start = place(after, "after")[1] if after is not None else 0
    end = place(before, "before")[0] if before is not None else len(items)
    found = items[start:end]
    if before is not None and after is None:
        return list(found[-limit:]), len(found) > limit
    return list(found[:limit]), len(found) > limit
