"""The chat page: static files from one folder, found by looking at it once."""

from __future__ import annotations

import asyncio
import mimetypes
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import FileResponse
from starlette.types import ASGIApp, Receive, Scope, Send

router = APIRouter(include_in_schema=False)

FRONTEND = Path(__file__).resolve().parents[3] / "frontend"
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@router.get("/")
@router.get("/files/{file_id}/view")
async def index(file_id: str = "") -> FileResponse:
    """The page itself; also at the address of a cited passage, which it then shows after signing in."""
    return _response(FRONTEND / "index.html")


@router.get("/docs")
async def docs() -> FileResponse:
    """The routes of this server, drawn from its OpenAPI document."""
    return _response(FRONTEND / "docs.html")


@router.get("/config.json")
async def config() -> dict[str, str]:
    """Where the page finds its backend: here."""
    return {"backend": ""}


class Fallback:
    """Serves the page's files at addresses that no route claims; everything else goes on to `unknown`.

    As a fallback rather than a catch-all route, so that an unknown address stays a 404 for every method.
    """

    def __init__(self, unknown: ASGIApp, folder: Path = FRONTEND) -> None:
        self._unknown = unknown
        self._folder = folder
        self._files: dict[str, Path] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._files is None:
            self._files = await asyncio.to_thread(page_files, self._folder)
        path = self._files.get(scope.get("path", ""))
        if path is None or scope.get("method") not in ("GET", "HEAD"):
            await self._unknown(scope, receive, send)
            return
        await _response(path)(scope, receive, send)


def page_files(folder: Path) -> dict[str, Path]:
    """Every file the page consists of, by its address. Nothing else is ever served."""
    return {"/" + path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}


def _response(path: Path) -> FileResponse:
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return FileResponse(path, media_type=kind, headers={"cache-control": "no-cache"})
