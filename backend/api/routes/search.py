"""POST /api/search: the passages of the caller's documents that fit a query."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from backend.api.deps import CurrentOwner, ServicesDep, json_body, read_json
from backend.models.schemas_search import SearchBody
from backend.tools.retrieval_filters import Narrowing, moment_of
from backend.tools.retrieval_passages import hit_of

router = APIRouter(prefix="/api/search", tags=["search"])


@router.post("", openapi_extra=json_body(SearchBody))
async def search(request: Request, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """Best first; scores from 0 to 1. What has nothing to do with the query is left out."""
    body = await read_json(request, SearchBody)
    wanted = Narrowing(
        files=tuple(body.files or ()),
        collections=tuple(dict.fromkeys(body.collections or ())),
        types=tuple(body.types or ()),
        after=None if body.after is None else moment_of(body.after, "after"),
        before=None if body.before is None else moment_of(body.before, "before"),
    )
    found = await services.retriever.search(owner, body.query, body.top_k or 10, wanted)
    return {"hits": [hit_of(passage) for passage in found.passages], "query": found.query}
