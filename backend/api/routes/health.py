"""Liveness and readiness. Public: they say nothing about anybody's data."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from backend import __version__
from backend.api.deps import ServicesDep
from backend.bootstrap import Services
from backend.models.errors import ModelNotFound, UpstreamError

router = APIRouter(tags=["health"])

PROBE_SECONDS = 2.0


@router.get("/health")
async def health(services: ServicesDep) -> dict[str, Any]:
    """The process answers; `degraded` with a sentence when the built-in model stands in. `sandbox` tells how Python
    code is kept in, or why none is run."""
    model = await _model(services)
    damaged = len(services.stores.damaged())
    degraded = model["message"] is not None or damaged > 0
    status = "degraded" if degraded else "ok"
    return {"status": status, "version": __version__, **model, "damaged_files": damaged, "sandbox": _sandbox(services)}


@router.get("/health/ready")
async def ready(services: ServicesDep) -> Response:
    """Whether requests can be answered now: 200 or 503, each part by name."""
    model = await _model(services)
    try:
        await asyncio.to_thread(_probe_storage, services)
        storage = "ok"
    except OSError:
        storage = "not writable"
    parts = {
        "model": "ok" if model["model"] else "unavailable",
        "provider": model["provider"],
        "embedder": services.embedder.name,
        "storage": storage,
    }
    sources = services.registry.sources
    able, unable = (sum(map(len, each)) for each in ([s.tools() for s in sources], [s.unavailable() for s in sources]))
    if able or unable:
        # Numbers only: the names of plug-ins are for those who are signed in.
        parts["plugins"] = f"{able} tools, {unable} unavailable"
    reindexing = services.ingest.reindex.status()
    if reindexing is not None:
        parts["reindexing"] = reindexing
    good = storage == "ok" and model["model"] is not None
    body = {"status": "ready" if good else "not_ready", **parts, "message": model["message"]}
    return Response(orjson.dumps(body), 200 if good else 503, media_type="application/json")


async def _model(services: Services) -> dict[str, Any]:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            provider, info = await services.catalog.default()
            # What is remembered about a model does not tell whether its server still answers; the list is younger.
            await provider.list_models()
            return {"model": info.id, "provider": provider.name, "message": await services.catalog.why_builtin()}
    except (UpstreamError, ModelNotFound) as error:
        return {"model": None, "provider": services.settings.llm_provider, "message": error.message}
    except TimeoutError:
        return {"model": None, "provider": None, "message": "The model server does not answer in time."}


def _sandbox(services: Services) -> dict[str, str | None]:
    """`layer` is what keeps Python code in, None when none is run now; `message` then says why."""
    report = services.sandbox.report()
    if report is None:
        return {"layer": None, "message": "Whether Python code can be run safely here is being tested."}
    return {"layer": report.layer, "message": None if report.layer else report.reason}


def _probe_storage(services: Services) -> None:
    probe = services.settings.data_dir / ".ready"
    probe.touch(mode=0o600)
    probe.unlink(missing_ok=True)
