"""Pictures that come inside a request: `data:` URLs, decoded. Addresses are never fetched and paths never opened."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from backend.models.errors import InvalidRequest, NotFound
from backend.models.messages import Image
from backend.models.run import Owner
from backend.storage.document_store import DocumentStore

IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "image/gif")
MAX_STORED_BYTES = 20 * 1_048_576
_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


def picture_of(url: str, param: str) -> Image:
    """The picture of a `data:` URL in base64. Raises InvalidRequest naming `param`."""
    if not url.startswith("data:"):
        raise InvalidRequest(
            "Send pictures as data: URLs (base64); addresses are not fetched.", param=param, code="invalid_value"
        )
    head, _, encoded = url[5:].partition(",")
    media_type, *options = head.lower().split(";")
    if media_type not in IMAGE_TYPES or "base64" not in options:
        raise InvalidRequest("Pictures must be base64 PNG, JPEG, WebP or GIF.", param=param, code="invalid_value")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise InvalidRequest("The picture is not valid base64.", param=param, code="invalid_value")
    return Image(media_type, data)


async def stored_pictures(
    documents: DocumentStore, owner: Owner, items: Iterable[Mapping[str, Any]]
) -> dict[str, Image]:
    """The owner's uploaded pictures that items name by file id; what is not there is left out.

    Raises InvalidRequest for a file that is no picture.
    """
    wanted = {
        part["file_id"]
        for item in items
        for part in item.get("content") or item.get("output") or ()
        if isinstance(part, Mapping) and part.get("type") == "input_image" and part.get("file_id")
    }
    found: dict[str, Image] = {}
    for file_id in sorted(wanted):
        try:
            path = await documents.path(owner, file_id)
            data = await asyncio.to_thread(_beginning, path)
        except (NotFound, FileNotFoundError):
            # Never there, somebody else's, or deleted this moment.
            continue
        kind = media_type_of(data)
        if kind is None or len(data) > MAX_STORED_BYTES:
            raise InvalidRequest(
                "This file is no PNG, JPEG, WebP or GIF picture of at most 20 MB.", param="input", code="invalid_value"
            )
        found[file_id] = Image(kind, data)
    return found


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_STORED_BYTES + 1)


def media_type_of(data: bytes) -> str | None:
    """What kind of picture these bytes are; None when they are none that is known here."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in _BEGINNINGS if data.startswith(start)), None)
