"""Port for traces of agent runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from backend.models.run import Owner

MAX_RUNS = 1_000
"""Newest traces that are kept for one owner."""
MAX_OWNER_BYTES = 512 * 1_048_576
"""What one owner's traces take together; beyond it the oldest go."""
ROW_QUERY_CHARS = 300


class RunStore(Protocol):
    """Traces of one owner, as JSON objects (`run_id`, `session_id`, `created_at`, `route`, `steps`, `usage`, …).

    With a trace its live events are kept: JSON objects in UTF-8 without line breaks, the first has number 1.
    """

    async def save(self, owner: Owner, trace: Mapping[str, Any], events: Sequence[bytes] = ()) -> None:
        """Keep a trace; replaces one with the same `run_id`. The oldest beyond MAX_RUNS make room for a new one."""
        ...

    async def update(self, owner: Owner, trace: Mapping[str, Any], events: Sequence[bytes] = ()) -> None:
        """Replace a trace. Raises NotFound when it was deleted meanwhile."""
        ...

    async def get(self, owner: Owner, run_id: str) -> dict[str, Any]:
        """The trace without its events. Raises NotFound."""
        ...

    async def events(self, owner: Owner, run_id: str) -> list[bytes]:
        """The events as they were saved. Raises NotFound."""
        ...

    async def delete(self, owner: Owner, run_id: str) -> None:
        """Raises NotFound."""
        ...

    async def delete_of_session(self, owner: Owner, session_id: str) -> list[str]:
        """Remove all traces of a conversation; their run ids."""
        ...

    async def list_runs(
        self, owner: Owner, *, page: int = 1, limit: int = 50, status: str | None = None, session_id: str | None = None
    ) -> tuple[list[dict[str, Any]], int]:
        """One page of rows (see `row_of`), newest first, and the total. Without filters the cost is that of a page."""
        ...


def row_of(trace: Mapping[str, Any]) -> dict[str, Any]:
    """What a list shows of a trace. A run that is not over keeps in it by what one tells whether it is alive."""
    route, usage, steps = trace.get("route"), trace.get("usage"), trace.get("steps")
    query = trace.get("query")
    row = {name: trace.get(name) for name in ("run_id", "session_id", "created_at", "seconds", "status", "model")}
    row |= {
        "query": query[:ROW_QUERY_CHARS] if isinstance(query, str) else "",
        "agent": route.get("agent") if isinstance(route, Mapping) else None,
        "step_count": len(steps) if isinstance(steps, list | tuple) else 0,
        "tokens": usage.get("total_tokens", 0) if isinstance(usage, Mapping) else 0,
        "stopped_because": trace.get("stopped_because"),
    }
    if row["status"] == "running":
        row |= {name: trace.get(name) for name in ("writer", "expires_at")}
    return row


def matches(row: Mapping[str, Any], status: str | None, session_id: str | None) -> bool:
    """Whether a row passes the filters of `list_runs`."""
    return status in (None, row["status"]) and session_id in (None, row["session_id"])
