"""Port for traces of agent runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from backend.models.run import Owner


class RunStore(Protocol):
    """Traces of one owner, as JSON objects (`run_id`, `session_id`, `created_at`, `route`, `steps`, `usage`, …)."""

    async def save(self, owner: Owner, trace: Mapping[str, Any]) -> None:
        """Keep a finished run's trace; replaces one with the same `run_id`."""
        ...

    async def get(self, owner: Owner, run_id: str) -> dict[str, Any]:
        """Raises NotFound."""
        ...

    async def delete(self, owner: Owner, run_id: str) -> None:
        """Raises NotFound."""
        ...

    async def list_runs(self, owner: Owner, *, page: int = 1, limit: int = 50) -> tuple[list[dict[str, Any]], int]:
        """One page of traces without their steps, newest first, and the total."""
        ...
