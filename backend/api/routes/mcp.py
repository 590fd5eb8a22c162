"""The Model Context Protocol over streamable HTTP, for the same callers as every other route."""

from __future__ import annotations

import asyncio
import importlib

from fastapi import APIRouter, Request
from starlette.responses import Response

from backend.api.deps import AdmittedOwner, ServicesDep, base_url_of
from backend.api.mcp_server import answer_for
from backend.models.errors import UnsupportedFile

router = APIRouter(tags=["mcp"])


@router.post("/mcp")
async def speak(request: Request, owner: AdmittedOwner, services: ServicesDep) -> Response:
    """One message of the protocol (JSON-RPC); the answer is JSON. There are no sessions, so GET and DELETE are 405."""
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise UnsupportedFile("Send the message as application/json.", code="unsupported_media_type")
    # The library takes about a second to import: once, and beside the requests of others.
    await asyncio.to_thread(importlib.import_module, "mcp.server.streamable_http_manager")
    return answer_for(services, owner, request.scope["request_id"], base_url_of(request))
