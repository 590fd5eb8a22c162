"""/v1/files and /v1/uploads: the caller's documents, as the OpenAI API has them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, Response

from backend.api.deps import CurrentOwner, ServicesDep, json_body, read_json
from backend.api.downloads import attachment
from backend.api.file_form import PURPOSES, FileForm, terms_of
from backend.api.lists import CursorId, Order, as_list
from backend.models.documents import Document
from backend.models.errors import InvalidRequest, NotFound, TooLarge
from backend.models.schemas_vector_stores import MAX_LIFETIME, MIN_LIFETIME, Purpose, UploadComplete, UploadCreate
from backend.models.uploads import PartialUpload
from backend.storage.document_store import MAX_LISTED

router = APIRouter(prefix="/v1", tags=["files"])

STATUSES = {
    "uploaded": "uploaded",
    "processing": "uploaded",
    "ready": "processed",
    "kept": "processed",
    "failed": "error",
}


def _form(name: str, fields: dict[str, Any], required: list[str]) -> dict[str, Any]:
    """The OpenAPI description of a multipart body that the handler reads itself."""
    properties = {name: {"type": "string", "format": "binary"}, **fields}
    schema = {"type": "object", "required": required, "properties": properties}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


FILE_FORM = _form(
    "file",
    {
        "purpose": {"type": "string", "enum": list(PURPOSES)},
        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
        "expires_after[seconds]": {"type": "integer", "minimum": MIN_LIFETIME, "maximum": MAX_LIFETIME},
    },
    ["file"],
)


def file_object(document: Document) -> dict[str, Any]:
    return {
        "id": document.file_id,
        "object": "file",
        "bytes": document.size,
        "created_at": int(document.created_at),
        "expires_at": None if document.expires_at is None else int(document.expires_at),
        "filename": document.filename,
        "purpose": document.purpose,
        "status": STATUSES[document.status],
        "status_details": document.error,
    }


def upload_object(upload: PartialUpload, document: Document | None = None) -> dict[str, Any]:
    return {
        "id": upload.id,
        "object": "upload",
        "bytes": upload.size,
        "created_at": int(upload.created_at),
        "expires_at": int(upload.expires_at),
        "filename": upload.filename,
        "purpose": upload.terms.purpose,
        "status": upload.status,
        "file": None if document is None else file_object(document),
    }


@router.post("/files", openapi_extra=FILE_FORM)
async def create_file(request: Request, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """Store a file. One that is for the user's own use is read in the background, so that it can be searched."""
    form = FileForm(request, "file", services.settings.max_upload_bytes)
    try:
        filename = await form.open()
        document = await services.ingest.upload(owner, filename, form.content(), form.terms, keep_refused=True)
    except TooLarge as error:
        # The rest of the body is not read, so the connection is of no further use.
        error.headers.setdefault("connection", "close")
        error.param = error.param or "file"
        raise
    return file_object(document)


@router.get("/files")
async def list_files(
    owner: CurrentOwner,
    services: ServicesDep,
    purpose: Purpose | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = MAX_LISTED,
    order: Order = "desc",
    after: CursorId = None,
) -> dict[str, Any]:
    """The caller's files, newest first unless `order` is `asc`, from the one after `after` on."""
    documents, more = await services.stores.documents.list_after(
        owner, purpose=purpose, after=after or None, limit=limit, newest_first=order == "desc"
    )
    return as_list([file_object(document) for document in documents], more)


@router.get("/files/{file_id}")
async def get_file(file_id: str, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    return file_object(await services.stores.documents.get(owner, file_id))


@router.get("/files/{file_id}/content", response_class=Response)
async def get_file_content(file_id: str, owner: CurrentOwner, services: ServicesDep) -> Response:
    """The bytes as they came."""
    document = await services.stores.documents.get(owner, file_id)
    try:
        path = await services.stores.documents.path(owner, file_id)
    except NotFound:
        raise NotFound("The content of this file is not kept, as it could not be read: upload another.") from None
    return FileResponse(path, media_type=document.content_type, headers=attachment(document.filename))


@router.delete("/files/{file_id}")
async def delete_file(file_id: str, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """Remove the file and every trace of it, in the vector stores too."""
    await services.ingest.delete(owner, file_id)
    return {"id": file_id, "object": "file", "deleted": True}


# ---- files that come in parts -------------------------------------------------------------------------


@router.post("/uploads", openapi_extra=json_body(UploadCreate))
async def create_upload(request: Request, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """Announce a file that is to come in parts within the next hour."""
    body = await read_json(request, UploadCreate)
    terms = terms_of(body.purpose, None if body.expires_after is None else float(body.expires_after.seconds))
    return upload_object(await services.uploads.create(owner, body.filename, body.bytes, terms))


@router.post("/uploads/{upload_id}/parts", openapi_extra=_form("data", {}, ["data"]))
async def add_upload_part(
    upload_id: str, request: Request, owner: CurrentOwner, services: ServicesDep
) -> dict[str, Any]:
    """Send a part; parts may come in any order and side by side."""
    await services.uploads.get(owner, upload_id)
    form = FileForm(request, "data", services.settings.max_upload_bytes)
    await form.open()
    try:
        part = await services.uploads.add_part(owner, upload_id, form.content())
    except InvalidRequest as error:
        error.param = error.param or "data"
        raise
    return {"id": part.id, "object": "upload.part", "created_at": int(part.created_at), "upload_id": upload_id}


@router.post("/uploads/{upload_id}/complete", openapi_extra=json_body(UploadComplete))
async def complete_upload(
    upload_id: str, request: Request, owner: CurrentOwner, services: ServicesDep
) -> dict[str, Any]:
    """Put the parts together in the order given; the file is then like any other."""
    body = await read_json(request, UploadComplete)
    upload, document = await services.uploads.complete(owner, upload_id, body.part_ids, body.md5)
    return upload_object(upload, document)


@router.post("/uploads/{upload_id}/cancel")
async def cancel_upload(upload_id: str, owner: CurrentOwner, services: ServicesDep) -> dict[str, Any]:
    """Give the upload up; its parts are removed."""
    return upload_object(await services.uploads.cancel(owner, upload_id))
