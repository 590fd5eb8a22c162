"""Traces of the caller's agent runs."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from backend.api.deps import CurrentOwner, ServicesDep, page_of

router = APIRouter(prefix="/api/runs", tags=["runs"])


@router.get("")
async def list_runs(owner: CurrentOwner, services: ServicesDep, page: int = 1, limit: int = 50) -> dict[str, Any]:
    """One page, newest first, without steps."""
    page, limit = page_of(page, limit)
    runs, total = await services.stores.runs.list_runs(owner, page=page, limit=limit)
    return {"runs": runs, "page": page, "limit": limit, "total": total}


@router.get("/{run_id}")
async def get_run(run_id: str, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    return await services.stores.runs.get(owner, run_id)
