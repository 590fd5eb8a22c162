"""Port for uploaded files: bytes, what is known about them, and their extracted text."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from backend.models.documents import Document, PageText, Terms
from backend.models.errors import TooLarge
from backend.models.run import Owner

MAX_LISTED = 10_000


@dataclass(frozen=True, slots=True)
class Quota:
    """What one owner may keep: files, and bytes of all that are not failed."""

    documents: float = math.inf
    bytes: float = math.inf

    def check(self, documents: int, size: int) -> None:
        """Raises TooLarge for more than that."""
        if documents > self.documents:
            raise TooLarge(
                f"You have {self.documents:,} documents, which is the most: delete some first.", code=QUOTA_EXCEEDED
            )
        if size > self.bytes:
            raise TooLarge(
                f"Your documents would take more than {self.bytes / 1_048_576:,.6g} MB together: delete some first.",
                code=QUOTA_EXCEEDED,
            )


NO_QUOTA = Quota()
QUOTA_EXCEEDED = "quota_exceeded"


class DocumentStore(Protocol):
    """Files of one owner. A stranger's id, a missing id and that of an expired file raise the same NotFound."""

    async def receive(
        self,
        owner: Owner,
        filename: str,
        parts: AsyncIterator[bytes],
        max_bytes: int,
        terms: Callable[[], Terms] = Terms,
        quota: Quota = NO_QUOTA,
        begin: Callable[[Document], Document] = lambda document: document,
    ) -> Document:
        """Stream an upload to disk (never whole in memory), durably, and register it as `uploaded`.

        `terms` is asked when all bytes are there, as what the file is for may be told after it; what it raises is
        raised, and nothing is kept. `begin` may give a new document another state than `uploaded`; what it raises is
        raised as well. `content_type` is left `application/octet-stream` until `update`.
        The same bytes again give back the document that is there already, unless its ingestion failed: then it
        starts over. It keeps its name and purpose, and of two times of expiry the later one. The same bytes for
        another purpose are another document, except that all purposes for which a file is read count as one.
        Raises TooLarge above `max_bytes` or the quota, InvalidRequest when empty, StorageFull; nothing is left behind
        then. Bytes that are there already count once.
        """
        ...

    async def get(self, owner: Owner, file_id: str) -> Document:
        """Raises NotFound."""
        ...

    async def list_documents(self, owner: Owner, *, page: int = 1, limit: int = 50) -> tuple[list[Document], int]:
        """One page, newest first, and the total."""
        ...

    async def list_after(
        self,
        owner: Owner,
        *,
        purpose: str | None = None,
        after: str | None = None,
        limit: int = MAX_LISTED,
        newest_first: bool = True,
    ) -> tuple[list[Document], bool]:
        """The files that follow the one with id `after`, and whether more follow them.

        Raises InvalidRequest for an `after` that is no file's id and never was.
        """
        ...

    async def get_many(self, owner: Owner, file_ids: Collection[str]) -> dict[str, Document]:
        """Those of the files that there are, by id; one look at the folder, however many are asked for."""
        ...

    async def update(self, owner: Owner, document: Document) -> None:
        """Replace what is known. Raises NotFound when it was deleted meanwhile."""
        ...

    async def delete(self, owner: Owner, file_id: str) -> None:
        """Remove bytes, metadata and extracted text, of an expired file too. Raises NotFound."""
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

    async def pages(self, owner: Owner, file_id: str) -> list[PageText]:
        """All of the extracted text, at most a few MiB. Raises NotFound."""
        ...

    async def unfinished(self, owner: Owner) -> list[tuple[Owner, Document]]:
        """SERVER only: documents of all owners left `uploaded` or `processing`, oldest first, for restart."""
        ...

    async def owners(self, owner: Owner) -> list[Owner]:
        """SERVER only: everybody who has, or had, documents."""
        ...

    async def expired(self, owner: Owner) -> list[tuple[Owner, Document]]:
        """SERVER only: files of all owners whose time is over and that are still on the disk."""
        ...

    async def ready_names(
        self, owner: Owner, limit: int = 200, files: Collection[str] | None = None
    ) -> tuple[str, ...]:
        """File names of ready documents, newest first, from memory: called for every chat request.

        `files`: of these ids alone.
        """
        ...


async def every_document(documents: DocumentStore, owner: Owner) -> list[Document]:
    """All files of an owner, newest first."""
    found, more = await documents.list_after(owner)
    while more:
        further, more = await documents.list_after(owner, after=found[-1].file_id)
        found += further
    return found
