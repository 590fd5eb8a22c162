"""What a call of another server's tool brought, as a tool result: text, data and images kept for the user."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson

from backend.models.errors import StorageFailed, TooLarge
from backend.models.run import RunContext
from backend.models.tools import FileLink, ToolResult
from backend.tools.mcp_text import one_line, plain

if TYPE_CHECKING:
    from backend.storage.artifact_store import ArtifactStore

MAX_TEXT_CHARS = 100_000
MAX_BLOCKS = 200
MAX_IMAGES = 4
IMAGE_TYPES = {"image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp"}
"""Types a browser shows without running anything; SVG can hold scripts."""


async def result_of(name: str, answer: Any, artifacts: ArtifactStore, context: RunContext) -> ToolResult:
    """`data` is the structured content. What the server calls an error has its words in `text`, fenced like any."""
    words: list[str] = []
    files: list[FileLink] = []
    room = MAX_TEXT_CHARS
    for block in list(answer.content)[:MAX_BLOCKS]:
        if block.type == "image" and len(files) < MAX_IMAGES:
            link = await _kept(name, len(files) + 1, block, artifacts, context)
            files += [link] if link is not None else []
            text = f"[image {link.name}]" if link is not None else "[an image that cannot be shown]"
        else:
            text = _words(block)
        text = plain(text, max(1, room))
        room -= len(text)
        words += [text] if text else []
        if room <= 0:
            words.append("[… the rest is left out …]")
            break
    data = answer.structured_content
    if not words and data is not None:
        words.append(plain(orjson.dumps(data).decode(), MAX_TEXT_CHARS))
    error = f"{name} reported an error." if answer.is_error else None
    return ToolResult("\n".join(words), data=data, error=error, files=tuple(files))


def _words(block: Any) -> str:
    if block.type == "text":
        return str(block.text)
    if block.type == "resource_link":
        return f"{one_line(block.name, 200)}: {one_line(block.uri, 500)}"
    if block.type == "resource":
        text = getattr(block.resource, "text", None)
        return text if isinstance(text, str) else f"[a file of type {one_line(block.resource.mime_type or '?', 100)}]"
    return f"[{one_line(str(block.type), 40)} left out]"


async def _kept(name: str, number: int, image: Any, artifacts: ArtifactStore, context: RunContext) -> FileLink | None:
    """The image as a file of the user's; None when it is none, or there is no room for it."""
    kind = str(image.mime_type).partition(";")[0].strip().lower()
    ending = IMAGE_TYPES.get(kind)
    try:
        content = base64.b64decode(image.data, validate=True)
    except (binascii.Error, ValueError):
        return None
    if ending is None or not _looks_like(ending, content):
        return None
    try:
        saved = await artifacts.save(context.owner, context.run_id, f"{name}-{number}.{ending}", kind, content)
    except (TooLarge, StorageFailed):
        return None
    return FileLink(saved.id, saved.name, kind, len(content), f"/api/artifacts/{saved.id}")


_BEGINNINGS: dict[str, Sequence[bytes]] = {
    "png": (b"\x89PNG\r\n\x1a\n",),
    "jpg": (b"\xff\xd8\xff",),
    "gif": (b"GIF87a", b"GIF89a"),
    "webp": (b"RIFF",),
}


def _looks_like(ending: str, content: bytes) -> bool:
    return content.startswith(tuple(_BEGINNINGS[ending]))
