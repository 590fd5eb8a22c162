"""Port for uploaded files: bytes, what is known about them, and their extracted text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Protocol

from backend.models.documents import Document, PageText
from backend.models.run import Owner


class DocumentStore(Protocol):
    """Files of one owner. A stranger's id and a missing id raise the same NotFound."""

    async def receive(self, owner: Owner, filename: str, parts: AsyncIterator[bytes], max_bytes: int) -> Document:
        """Stream an upload to disk (never whole in memory), durably, and register it as `uploaded`.

        `content_type` is left `application/octet-stream` until `update`. The same bytes again give back the
        document that is there already, unless its ingestion failed: then it starts over.
        Raises TooLarge above `max_bytes`, InvalidRequest when empty, StorageFull; nothing is left behind then.
        """
        ...

    async def get(self, owner: Owner, file_id: str) -> Document:
        """Raises NotFound."""
        ...

    async def list_documents(self, owner: Owner, *, page: int = 1, limit: int = 50) -> tuple[list[Document], int]:
        """One page, newest first, and the total."""
        ...

    async def update(self, owner: Owner, document: Document) -> None:
        """Replace what is known. Raises NotFound when it was deleted meanwhile."""
        ...

    async def delete(self, owner: Owner, file_id: str) -> None:
        """Remove bytes, metadata and extracted text. Raises NotFound."""
        ...

    async def drop_content(self, owner: Owner, file_id: str) -> None:
        """Remove bytes and extracted text but keep what is known, for a document that could not be read."""
        ...

    async def path(self, owner: Owner, file_id: str) -> Path:
        """Where the bytes are, for the worker process and for sending. Raises NotFound."""
        ...

    async def save_pages(self, owner: Owner, file_id: str, pages: Iterable[PageText]) -> None:
        """Keep the extracted text, for viewing a cited page."""
        ...

    async def page_text(self, owner: Owner, file_id: str, number: int | None) -> PageText:
        """Extracted text of one page (None: the first). Raises NotFound."""
        ...

    async def unfinished(self, owner: Owner) -> list[tuple[Owner, Document]]:
        """SERVER only: documents of all owners left `uploaded` or `processing`, oldest first, for restart."""
        ...

    async def ready_names(self, owner: Owner, limit: int = 200) -> tuple[str, ...]:
        """File names of ready documents, newest first, from memory: called for every chat request."""
        ...
