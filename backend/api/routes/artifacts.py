"""Files that tools made for the caller: charts, images, tables."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from backend.api.deps import CurrentOwner, ServicesDep
from backend.api.downloads import attachment

router = APIRouter(prefix="/api/artifacts", tags=["tools"])

KNOWN_TYPES = frozenset(
    {
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/webp",
        "image/svg+xml",
        "text/csv",
        "text/plain",
        "text/markdown",
        "application/json",
        "application/pdf",
    }
)


@router.get("/{artifact_id}")
async def get_artifact(artifact_id: str, owner: CurrentOwner, services: ServicesDep) -> Response:
    """The file, as a download: nothing that code or a model has made is opened in the browser by itself."""
    about, data = await services.stores.artifacts.get(owner, artifact_id)
    kind = about.content_type if about.content_type in KNOWN_TYPES else "application/octet-stream"
    return Response(data, media_type=kind, headers=attachment(about.name))
