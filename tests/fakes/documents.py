"""Documents in memory; their bytes are files in a folder, as workers need a path."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path

from backend.models.documents import Document, PageText, Terms, longer, share_bytes
from backend.models.errors import InvalidRequest, NotFound, TooLarge
from backend.models.run import SERVER, Owner
from backend.storage.document_store import MAX_LISTED, NO_QUOTA, Quota
from backend.utils.cursor import cursor_page
from backend.utils.ids import timed_id
from backend.utils.names import clean_filename


class FakeDocuments:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kept: dict[tuple[Owner, str], Document] = {}
        self.texts: dict[tuple[Owner, str], list[PageText]] = {}

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
        data = b""
        async for part in parts:
            data += part
            if len(data) > max_bytes:
                raise TooLarge(f"The file is larger than {max_bytes / 1_048_576:g} MB; upload a smaller one.")
        if not data:
            raise InvalidRequest("The file is empty; choose another.", param="file")
        agreed, now = terms(), time.time()
        expires_at = agreed.expires_at(now)
        sha256 = hashlib.sha256(data).hexdigest()
        alike = (d for d in self._newest(owner) if d.sha256 == sha256 and share_bytes(d.purpose, agreed.purpose))
        same = next(alike, None)
        if same is not None and same.status != "failed":
            same = replace(same, expires_at=longer(same.expires_at, expires_at))
            self.kept[owner, same.file_id] = same
            return same
        kept = sum(each.size for each in self._newest(owner) if each.status != "failed")
        quota.check(len(self._newest(owner)) + (same is None), kept + len(data))
        file_id = timed_id("file-", now) if same is None else same.file_id
        document = Document(
            file_id,
            clean_filename(filename),
            "application/octet-stream",
            len(data),
            sha256,
            now,
            purpose=agreed.purpose,
            expires_at=expires_at,
        )
        document = begin(document)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / file_id).write_bytes(data)
        self.kept[owner, file_id] = document
        self.texts.pop((owner, file_id), None)
        return document

    async def get(self, owner: Owner, file_id: str) -> Document:
        document = self.kept.get((owner, file_id))
        if document is None or document.is_expired(time.time()):
            raise _missing("document")
        return document

    async def get_many(self, owner: Owner, file_ids: Collection[str]) -> dict[str, Document]:
        return {document.file_id: document for document in self._newest(owner) if document.file_id in file_ids}

    async def list_after(
        self,
        owner: Owner,
        *,
        purpose: str | None = None,
        after: str | None = None,
        limit: int = MAX_LISTED,
        newest_first: bool = True,
    ) -> tuple[list[Document], bool]:
        wanted = [one for one in self._newest(owner) if purpose is None or one.purpose == purpose]
        return cursor_page(
            wanted if newest_first else wanted[::-1],
            id_of=lambda document: document.file_id,
            moment=lambda document: document.created_at,
            newest_first=newest_first,
            limit=min(max(limit, 1), MAX_LISTED),
            after=after,
        )

    async def list_documents(self, owner: Owner, *, page: int = 1, limit: int = 50) -> tuple[list[Document], int]:
        newest = self._newest(owner)
        return _page(newest, page, limit), len(newest)

    async def update(self, owner: Owner, document: Document) -> None:
        await self.get(owner, document.file_id)
        self.kept[owner, document.file_id] = document

    async def delete(self, owner: Owner, file_id: str) -> None:
        if self.kept.pop((owner, file_id), None) is None:
            raise _missing("document")
        self.texts.pop((owner, file_id), None)
        (self.folder / file_id).unlink(missing_ok=True)

    async def drop_content(self, owner: Owner, file_id: str) -> None:
        await self.get(owner, file_id)
        self.texts.pop((owner, file_id), None)
        (self.folder / file_id).unlink(missing_ok=True)

    async def path(self, owner: Owner, file_id: str) -> Path:
        await self.get(owner, file_id)
        if not (self.folder / file_id).is_file():
            raise _missing("document")
        return self.folder / file_id

    async def save_pages(self, owner: Owner, file_id: str, pages: Iterable[PageText]) -> None:
        await self.get(owner, file_id)
        self.texts[owner, file_id] = list(pages)

    async def page_text(self, owner: Owner, file_id: str, number: int | None) -> PageText:
        await self.get(owner, file_id)
        for page in await self.pages(owner, file_id):
            if number is None or page.number == number:
                return page
        raise _missing("page")

    async def pages(self, owner: Owner, file_id: str) -> list[PageText]:
        await self.get(owner, file_id)
        return list(self.texts.get((owner, file_id), []))

    async def owners(self, owner: Owner) -> list[Owner]:
        return sorted({whose for whose, _ in self.kept if _is_server(owner) or whose == owner}, key=str)

    async def expired(self, owner: Owner) -> list[tuple[Owner, Document]]:
        return [
            (whose, document)
            for (whose, _), document in self.kept.items()
            if (_is_server(owner) or whose == owner) and document.is_expired(time.time())
        ]

    async def unfinished(self, owner: Owner) -> list[tuple[Owner, Document]]:
        found = [
            (whose, document)
            for (whose, _), document in self.kept.items()
            if (_is_server(owner) or whose == owner) and document.status in ("uploaded", "processing")
        ]
        return sorted(found, key=lambda pair: pair[1].created_at)

    async def ready_names(
        self, owner: Owner, limit: int = 200, files: Collection[str] | None = None
    ) -> tuple[str, ...]:
        ready = [
            document.filename
            for document in self._newest(owner)
            if document.status == "ready" and (files is None or document.file_id in files)
        ]
        return tuple(ready[: max(limit, 0)])

    def _newest(self, owner: Owner) -> list[Document]:
        now = time.time()
        mine = [one for (whose, _), one in self.kept.items() if whose == owner and not one.is_expired(now)]
        return sorted(mine, key=lambda document: document.created_at, reverse=True)


def _missing(what: str) -> NotFound:
    return NotFound(f"There is no {what} with this id.")


def _page(items: list[Document], page: int, limit: int) -> list[Document]:
    limit = min(max(limit, 1), 1000)
    first = (max(page, 1) - 1) * limit
    return items[first : first + limit]


def _is_server(owner: Owner) -> bool:
    return owner.user == SERVER.user
