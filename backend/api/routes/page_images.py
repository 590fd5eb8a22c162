"""Pages of a PDF as they look, with the place of a passage, for showing a citation where it stands."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from backend.api.deps import CurrentOwner, ServicesDep, json_body, read_json

router = APIRouter(prefix="/api/files", tags=["files"])

MIN_WIDTH, MAX_WIDTH, DEFAULT_WIDTH = 200, 2400, 1200
MAX_PAGE_NUMBER = 1_000_000

Width = Annotated[int, Query(ge=MIN_WIDTH, le=MAX_WIDTH, description="Pixels.")]


class Passage(BaseModel):
    """What is looked for on a page."""

    model_config = ConfigDict(extra="forbid")

    quote: Annotated[str, Field(min_length=1, max_length=20_000)]


@router.get("/documents/{file_id}/pages/{number}/image", response_model=None)
async def get_image(
    file_id: str,
    number: int,
    request: Request,
    owner: CurrentOwner,
    services: ServicesDep,
    width: Width = DEFAULT_WIDTH,
) -> Response:
    """A page of a PDF as a PNG, `width` pixels wide."""
    home, document = await services.sharing.document(owner, file_id)
    image = await services.page_images.image(home, document, min(number, MAX_PAGE_NUMBER), width)
    etag = f'"{image.etag}"'
    headers = {"etag": etag, "cache-control": "private, no-cache", "vary": "authorization, x-api-key"}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(image.png, media_type="image/png", headers=headers)


@router.post("/documents/{file_id}/pages/{number}/marks", openapi_extra=json_body(Passage))
async def find_marks(
    file_id: str, number: int, request: Request, owner: CurrentOwner, services: ServicesDep
) -> dict[str, Any]:
    """Where a passage stands on a page of a PDF, a rectangle for each line of it."""
    home, document = await services.sharing.document(owner, file_id)
    body = await read_json(request, Passage)
    return await services.page_images.marks(home, document, min(number, MAX_PAGE_NUMBER), body.quote)
