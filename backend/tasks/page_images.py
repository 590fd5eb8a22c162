"""Pages of a PDF as they look, and where a passage stands on them."""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from backend.models.documents import Document
from backend.models.errors import NotFound, UnsupportedFile, WorkerFailed
from backend.models.run import Owner
from backend.storage.document_store import DocumentStore
from backend.workers.port import Limits, Worker

RENDER_JOB = "backend.workers.jobs.page_job:render"
FIND_JOB = "backend.workers.jobs.page_job:find"
RENDER_LIMITS = Limits(seconds=20.0, memory_mb=768, output_bytes=48_000_000)
FIND_LIMITS = Limits(seconds=10.0, memory_mb=512, output_bytes=262_144)
PDF = "application/pdf"
CACHE_BYTES = 33_554_432
"""Of rendered pages kept in memory, of all users together."""

Key = tuple[Owner, str, int, int]


@dataclass(frozen=True, slots=True)
class PageImage:
    """A PNG. `etag` is the same as long as the picture is."""

    png: bytes
    etag: str


class PageImages:
    """Renders in a worker process; what was rendered last is kept, as readers turn back."""

    def __init__(self, documents: DocumentStore, worker: Worker, cache_bytes: int = CACHE_BYTES) -> None:
        self._documents = documents
        self._worker = worker
        self._cache_bytes = cache_bytes
        self._cached: OrderedDict[Key, PageImage] = OrderedDict()
        self._held = 0

    async def image(self, owner: Owner, document: Document, page: int, width: int) -> PageImage:
        """Page `page` (from 1) of a document of that owner, `width` pixels wide.

        Raises NotFound, UnsupportedFile for what is no PDF or cannot be rendered.
        """
        _check(document, page)
        key = (owner, document.file_id, page, width)
        kept = self._cached.get(key)
        if kept is not None:
            self._cached.move_to_end(key)
            return kept
        made = await self._run(owner, document, RENDER_JOB, {"page": page, "width": width}, RENDER_LIMITS)
        png = base64.b64decode(made["png"])
        image = PageImage(png, hashlib.sha256(png).hexdigest()[:32])
        self._keep(key, image)
        return image

    async def marks(self, owner: Owner, document: Document, page: int, quote: str) -> dict[str, Any]:
        """{found, rects: [[x0, y0, x1, y1]…]}: shares of the page's width and height, from the top left.

        Raises NotFound, UnsupportedFile.
        """
        _check(document, page)
        payload = {"page": page, "passage": quote}
        found: dict[str, Any] = await self._run(owner, document, FIND_JOB, payload, FIND_LIMITS)
        return found

    async def _run(self, owner: Owner, document: Document, job: str, payload: dict[str, Any], limits: Limits) -> Any:
        path = await self._documents.path(owner, document.file_id)
        try:
            return await self._worker.run(job, {"path": str(path), **payload}, limits=limits)
        except WorkerFailed as error:
            if error.reason == "refused":
                raise UnsupportedFile(error.message) from None
            raise UnsupportedFile(
                "This page is too large or too complicated to be shown: read its text or open the original."
            ) from None

    def _keep(self, key: Key, image: PageImage) -> None:
        if len(image.png) > self._cache_bytes // 4:
            return
        old = self._cached.pop(key, None)
        self._held += len(image.png) - (len(old.png) if old else 0)
        self._cached[key] = image
        while self._held > self._cache_bytes:
            _, gone = self._cached.popitem(last=False)
            self._held -= len(gone.png)


def _check(document: Document, page: int) -> None:
    if document.content_type != PDF:
        raise UnsupportedFile("Only the pages of a PDF can be shown as pictures: ask for the page's text instead.")
    if page < 1 or (document.pages is not None and page > document.pages):
        raise NotFound(f"The document has {document.pages} pages: there is no page {page}.")
