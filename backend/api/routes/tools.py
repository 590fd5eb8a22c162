"""What tools there are, and one call by hand."""

from __future__ import annotations

import time
import uuid
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect

from backend.api.deps import AdmittedOwner, CurrentOwner, ServicesDep, base_url_of, json_body, read_json
from backend.api.sse import answer_unless_gone
from backend.core.toolbox import validate
from backend.models.errors import InvalidRequest
from backend.models.run import RunContext
from backend.models.schemas import ToolRunRequest, ToolSettingsRequest
from backend.storage.preference_store import Preferences

router = APIRouter(prefix="/api/tools", tags=["tools"])


@router.get("")
async def list_tools(owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """Every tool: name, description, argument schema, whether it is available here and if not why, and whether the
    user has switched it on; `outbound` tools send something off this machine."""
    await services.registry.reach()
    off = (await services.stores.preferences.get(owner)).disabled_tools
    tools: list[dict[str, Any]] = [
        {
            "name": tool.name,
            "description": tool.description,
            "parameters": services.registry.schema(tool.name),
            "available": True,
            "reason": None,
            "enabled": tool.name not in off,
            "outbound": tool.outbound,
            "needs_confirmation": tool.needs_confirmation,
        }
        for tool in services.registry.of(owner).values()
    ]
    tools += [
        {
            "name": each.name,
            "description": each.description,
            "parameters": None,
            "available": False,
            "reason": each.reason,
            "enabled": each.name not in off,
            "outbound": False,
            "needs_confirmation": False,
        }
        for each in services.registry.unavailable_of(owner).values()
    ]
    return {"tools": tools}


@router.put("/settings", openapi_extra=json_body(ToolSettingsRequest))
async def change_settings(request: Request, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """Which tools may not run for the caller, in any conversation. Unknown names are a 400."""
    body = await read_json(request, ToolSettingsRequest)
    await services.registry.reach()
    before = (await services.stores.preferences.get(owner)).disabled_tools
    # What was known once stays known: a plug-in may be away for a while.
    known = {*services.registry.of(owner), *services.registry.unavailable_of(owner), *before}
    unknown = sorted(set(body.disabled_tools) - known)
    if unknown:
        raise InvalidRequest(
            f"There is no tool named {unknown[0][:64]!r}: GET /api/tools lists them.",
            param="disabled_tools",
            code="invalid_value",
        )
    await services.stores.preferences.put(owner, Preferences(frozenset(body.disabled_tools)))
    return {"disabled_tools": sorted(set(body.disabled_tools))}


@router.post("/{name}/run", openapi_extra=json_body(ToolRunRequest))
async def run_tool(name: str, request: Request, owner: AdmittedOwner, services: ServicesDep) -> dict[str, Any]:
    """One call. 200 also when the tool reports a failure: `error` is then set."""
    body = await read_json(request, ToolRunRequest)
    await services.registry.reach()
    tool = services.registry.find(name, owner)
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
        # Who calls by hand has agreed.
        confirmed_tools=frozenset({name}),
    )
    toolbox = services.registry.toolbox(context, [name])
    outcome = await answer_unless_gone(request, lambda: toolbox.call(name, body.arguments))
    if outcome is None:
        raise ClientDisconnect()
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
        "files": [asdict(link) for link in outcome.result.files],
        "error": outcome.error,
        "seconds": round(outcome.seconds, 4),
    }
