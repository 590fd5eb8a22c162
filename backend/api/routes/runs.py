"""Traces of the caller's agent runs: listed, shown, watched live or afterwards, cancelled, deleted."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from backend.api.deps import CurrentOwner, ServicesDep, page_of
from backend.api.sse import NumberedEvents
from backend.models.errors import InvalidRequest
from backend.tasks.live_runs import encoded
from backend.tasks.runs import STATUSES

router = APIRouter(prefix="/api/runs", tags=["runs"])


@router.get("")
async def list_runs(
    owner: CurrentOwner,
    services: ServicesDep,
    page: int = 1,
    limit: int = 50,
    status: str | None = None,
    session_id: str | None = None,
) -> dict[str, Any]:
    """One page of short rows, newest first; `status` and `session_id` filter."""
    page, limit = page_of(page, limit)
    if status is not None and status not in STATUSES:
        raise InvalidRequest(f"status must be one of {', '.join(STATUSES)}.", param="status", code="invalid_value")
    runs, total = await services.runs.page(owner, page, limit, status, session_id)
    return {"runs": runs, "page": page, "limit": limit, "total": total}


@router.get("/{run_id}", response_class=JSONResponse)
async def get_run(run_id: str, owner: CurrentOwner, services: ServicesDep) -> Response:
    """The whole trace; of a run that is going on, as far as it has come."""
    # A trace may have megabytes: it is not walked through once more to make it JSON.
    return Response(encoded(await services.runs.get(owner, run_id)), media_type="application/json")


@router.get("/{run_id}/events", response_class=Response)
async def watch_run(
    run_id: str, request: Request, owner: CurrentOwner, services: ServicesDep, after: int = 0
) -> Response:
    """The run's events as server-sent events, live or replayed, from number `after` (or Last-Event-ID) on."""
    seen = request.headers.get("last-event-id", "")
    after = max(after, int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 10 else 0)
    return NumberedEvents(await services.runs.events(owner, run_id, after))


@router.post("/{run_id}/cancel")
async def cancel_run(run_id: str, owner: CurrentOwner, services: ServicesDep) -> JSONResponse:
    """Stop a run. 200 with its status when it has ended, 202 while it still is ending."""
    status = await services.runs.cancel(owner, run_id)
    return JSONResponse({"run_id": run_id, "status": status}, 202 if status == "running" else 200)


@router.delete("/{run_id}", status_code=204, response_class=Response)
async def delete_run(run_id: str, owner: CurrentOwner, services: ServicesDep) -> Response:
    """Remove the trace and the files the run made."""
    await services.runs.delete(owner, run_id)
    return Response(status_code=204)
