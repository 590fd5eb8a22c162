"""The caller's documents: upload, list, watch, read, delete."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response, StreamingResponse

from backend.api.deps import CurrentOwner, ServicesDep, page_of
from backend.api.downloads import INLINE_TYPES, attachment
from backend.api.uploads import MAX_FILES, MultipartReader, field_text
from backend.models.documents import Document
from backend.models.errors import InvalidRequest

router = APIRouter(prefix="/api/files", tags=["files"])

UPLOAD_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "maxItems": MAX_FILES,
                        }
                    },
                }
            }
        },
    }
}


def as_json(document: Document) -> dict[str, Any]:
    return {
        "file_id": document.file_id,
        "doc_id": document.file_id,
        "filename": document.filename,
        "size": document.size,
        "content_type": document.content_type,
        "status": document.status,
        "progress": round(document.progress, 3),
        "chunks": document.chunks,
        "pages": document.pages,
        "unit": document.unit,
        "error": document.error,
        "note": document.note,
        "created_at": document.created_at,
    }


@router.post("/upload", status_code=201, openapi_extra=UPLOAD_BODY)
async def upload(request: Request, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """Store one or several files, all or none; reading them goes on in the background."""
    each = services.settings.max_upload_bytes
    reader = MultipartReader(request, each * MAX_FILES + 1_048_576)
    stored = await services.ingest.upload_each(owner, _files(reader), MAX_FILES)
    if not stored:
        raise InvalidRequest("The request holds no file: send it in a field named file.", param="file")
    if len(stored) == 1:
        return as_json(stored[0])
    return {"files": [as_json(document) for document in stored]}


async def _files(reader: MultipartReader) -> AsyncGenerator[tuple[str, AsyncIterator[bytes]], None]:
    """Name and bytes of each file part; ordinary fields are passed over."""
    while (part := await reader.next_part()) is not None:
        if part.filename is None:
            await field_text(reader)
        else:
            yield part.filename, reader.part_bytes()


@router.get("/documents")
async def list_documents(owner: CurrentOwner, services: ServicesDep, page: int = 1, limit: int = 50) -> dict[str, Any]:
    """One page, newest first."""
    page, limit = page_of(page, limit)
    documents, total = await services.stores.documents.list_documents(owner, page=page, limit=limit)
    return {"documents": [as_json(document) for document in documents], "page": page, "limit": limit, "total": total}


@router.get("/documents/{file_id}")
async def get_document(file_id: str, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """Also one that somebody shares with the caller in a collection; so the ones below."""
    return as_json((await services.sharing.document(owner, file_id))[1])


@router.delete("/documents/{file_id}", status_code=204, response_class=Response)
async def delete_document(file_id: str, owner: CurrentOwner, services: ServicesDep) -> Response:
    """Remove the file, its text, its chunks and its vectors."""
    await services.ingest.delete(owner, file_id)
    return Response(status_code=204)


@router.get("/documents/{file_id}/content", response_model=None)
async def get_content(file_id: str, owner: CurrentOwner, services: ServicesDep) -> Response:
    """The original bytes, as a download."""
    home, document = await services.sharing.document(owner, file_id)
    path = await services.stores.documents.path(home, file_id)
    return FileResponse(path, media_type=document.content_type, headers=attachment(document.filename))


@router.get("/documents/{file_id}/view", response_model=None)
async def view(file_id: str, owner: CurrentOwner, services: ServicesDep) -> Response:
    """The original bytes for showing in place (`#page=n` works for PDF); only kinds that cannot run script."""
    home, document = await services.sharing.document(owner, file_id)
    path = await services.stores.documents.path(home, file_id)
    headers = attachment(document.filename)
    if document.content_type in INLINE_TYPES:
        headers["content-disposition"] = headers["content-disposition"].replace("attachment", "inline", 1)
    return FileResponse(path, media_type=document.content_type, headers=headers)


@router.get("/documents/{file_id}/pages/{number}")
async def get_page(file_id: str, number: int, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """The extracted text of one page; page 1 of a format without pages is the whole text."""
    home, document = await services.sharing.document(owner, file_id)
    page = await services.stores.documents.page_text(home, file_id, number if document.pages else None)
    return {
        "file_id": file_id,
        "filename": document.filename,
        "content_type": document.content_type,
        "page": page.number,
        "pages": document.pages,
        "unit": page.unit,
        "label": page.label,
        "form": page.form,
        "scanned": page.scanned,
        "text": page.text,
    }


@router.get("/documents/{file_id}/events", response_model=None)
async def watch(file_id: str, owner: CurrentOwner, services: ServicesDep) -> Response:
    """Server-sent events with status and progress until the document is ready or failed."""
    await services.stores.documents.get(owner, file_id)
    return StreamingResponse(
        _frames(services.ingest.events(owner, file_id)),
        media_type="text/event-stream",
        headers={"cache-control": "no-cache", "x-accel-buffering": "no"},
    )


async def _frames(documents: AsyncGenerator[Document, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(documents):
        async for document in documents:
            yield b"data: " + orjson.dumps(as_json(document)) + b"\n\n"
