"""What tools there are, and one call by hand."""

from __future__ import annotations

import time
import uuid
from typing import Any

from fastapi import APIRouter, Request

from backend.api.deps import CurrentOwner, ServicesDep, base_url_of, json_body, read_json
from backend.core.toolbox import validate
from backend.models.run import RunContext
from backend.models.schemas import ToolRunRequest

router = APIRouter(prefix="/api/tools", tags=["tools"])


@router.get("")
async def list_tools(owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """Every tool: name, description, argument schema, whether it is available here and if not why."""
    tools: list[dict[str, Any]] = [
        {
            "name": tool.name,
            "description": tool.description,
            "parameters": services.registry.schema(tool.name),
            "available": True,
            "reason": None,
        }
        for tool in services.registry.tools.values()
    ]
    tools += [
        {
            "name": each.name,
            "description": each.description,
            "parameters": None,
            "available": False,
            "reason": each.reason,
        }
        for each in services.registry.unavailable.values()
    ]
    return {"tools": tools}


@router.post("/{name}/run", openapi_extra=json_body(ToolRunRequest))
async def run_tool(name: str, request: Request, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """One call. 200 also when the tool reports a failure: `error` is then set."""
    body = await read_json(request, ToolRunRequest)
    tool = services.registry.find(name)
    validate(tool, body.arguments)
    documents = await services.stores.documents.ready_names(owner)
    context = RunContext(
        owner=owner,
        run_id=f"run_{uuid.uuid4().hex}",
        session_id=None,
        request_id=request.scope["request_id"],
        deadline=time.monotonic() + tool.timeout_s,
        documents=documents,
        base_url=base_url_of(request),
    )
    outcome = await services.registry.toolbox(context, [name]).call(name, body.arguments)
    sources = [
        {
            "index": number,
            "kind": source.kind,
            "title": source.title,
            "url": context.base_url + source.url if source.url.startswith("/") else source.url,
            "file_id": source.file_id,
            "filename": source.filename,
            "page": source.page,
            "quote": source.quote,
            "score": source.score,
        }
        for number, source in zip(outcome.markers, outcome.result.sources, strict=True)
    ]
    return {
        "text": outcome.result.text,
        "data": outcome.result.data,
        "sources": sources,
        "error": outcome.error,
        "seconds": round(outcome.seconds, 4),
    }
