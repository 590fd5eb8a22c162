"""Uploaded files: `{file_id}` the bytes, `{file_id}.json` what is known, `{file_id}.text.jsonl` the pages."""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path

from backend.models.documents import Document, PageText, Terms, longer
from backend.models.errors import InvalidRequest, TooLarge
from backend.models.run import Owner
from backend.storage.document_store import MAX_LISTED
from backend.storage.json_files.atomic import remove_quietly
from backend.storage.json_files.damages import Damages
from backend.storage.json_files.disk import Disk
from backend.storage.json_files.document_files import (
    META_SUFFIX,
    TEXT_SUFFIX,
    DocumentFormat,
    Shelf,
    is_current,
    look_at,
    read_page,
    read_pages,
    remove_content,
    remove_document,
    write_pages,
)
from backend.storage.json_files.locks import KeyedLocks, file_lock
from backend.storage.json_files.paths import Area, is_server, missing
from backend.storage.json_files.upload import Upload
from backend.utils.cursor import cursor_page
from backend.utils.ids import timed_id
from backend.utils.names import clean_filename

BATCH_BYTES = 262_144
"""Received bytes are handed to a thread in pieces of at least this size."""
MAX_SHELVES = 256
MAX_PAGE = 1000


class JsonDocumentStore:
    """DocumentStore over `{owner}/`. Metadata is answered from memory as long as the folder did not change."""

    def __init__(self, area: Area, disk: Disk, damages: Damages) -> None:
        self._area = area
        self._disk = disk
        self._damages = damages
        self._form = DocumentFormat()
        self._locks = KeyedLocks()
        self._shelves: OrderedDict[Path, Shelf] = OrderedDict()

    async def receive(
        self,
        owner: Owner,
        filename: str,
        parts: AsyncIterator[bytes],
        max_bytes: int,
        terms: Callable[[], Terms] = Terms,
    ) -> Document:
        folder = self._area.folder(owner)
        name = clean_filename(filename)
        upload = Upload(folder)
        try:
            await self._disk.run(upload.open)
            await self._pour(parts, upload, max_bytes)
            agreed = terms()
            async with self._locks.hold(folder):
                return await self._disk.run(self._register, folder, upload, name, agreed)
        finally:
            await self._disk.run(upload.discard)

    async def get(self, owner: Owner, file_id: str) -> Document:
        shelf = await self._shelf(self._area.folder(owner))
        document = shelf.documents.get(file_id)
        if document is None:
            raise missing("document")
        return document

    async def list_documents(self, owner: Owner, *, page: int = 1, limit: int = 50) -> tuple[list[Document], int]:
        newest = (await self._shelf(self._area.folder(owner))).newest
        limit = min(max(limit, 1), MAX_PAGE)
        first = (max(page, 1) - 1) * limit
        return list(newest[first : first + limit]), len(newest)

    async def list_after(
        self,
        owner: Owner,
        *,
        purpose: str | None = None,
        after: str | None = None,
        limit: int = MAX_LISTED,
        newest_first: bool = True,
    ) -> tuple[list[Document], bool]:
        newest = (await self._shelf(self._area.folder(owner))).newest
        wanted = [one for one in newest if purpose is None or one.purpose == purpose]
        return cursor_page(
            wanted if newest_first else wanted[::-1],
            id_of=lambda document: document.file_id,
            moment=lambda document: document.created_at,
            newest_first=newest_first,
            limit=min(max(limit, 1), MAX_LISTED),
            after=after,
        )

    async def get_many(self, owner: Owner, file_ids: Collection[str]) -> dict[str, Document]:
        documents = (await self._shelf(self._area.folder(owner))).documents
        return {file_id: documents[file_id] for file_id in file_ids if file_id in documents}

    async def update(self, owner: Owner, document: Document) -> None:
        meta = self._area.file(owner, document.file_id, META_SUFFIX)
        await self._locked(meta, lambda: self._form.write(meta, document))

    async def delete(self, owner: Owner, file_id: str) -> None:
        content = self._area.file(owner, file_id)
        await self._locked(content.with_name(f"{file_id}{META_SUFFIX}"), lambda: remove_document(content))

    async def drop_content(self, owner: Owner, file_id: str) -> None:
        content = self._area.file(owner, file_id)
        await self._locked(content.with_name(f"{file_id}{META_SUFFIX}"), lambda: remove_content(content))

    async def path(self, owner: Owner, file_id: str) -> Path:
        path = self._area.file(owner, file_id)
        await self.get(owner, file_id)
        if path.is_symlink() or not path.is_file():
            raise missing("document")
        return path

    async def save_pages(self, owner: Owner, file_id: str, pages: Iterable[PageText]) -> None:
        content = self._area.file(owner, file_id)
        upload = Upload(content.parent)
        try:
            # Pages may be made while they are read, so this can take long: nothing is locked yet.
            await self._disk.run(write_pages, upload, pages)
            meta = content.with_name(f"{file_id}{META_SUFFIX}")
            await self._locked(meta, lambda: upload.keep(content.with_name(f"{file_id}{TEXT_SUFFIX}")))
        finally:
            await self._disk.run(upload.discard)

    async def page_text(self, owner: Owner, file_id: str, number: int | None) -> PageText:
        path = self._area.file(owner, file_id, TEXT_SUFFIX)
        await self.get(owner, file_id)
        page = await self._disk.run(read_page, path, number, self._damages)
        if page is None:
            raise missing("page")
        return page

    async def pages(self, owner: Owner, file_id: str) -> list[PageText]:
        path = self._area.file(owner, file_id, TEXT_SUFFIX)
        await self.get(owner, file_id)
        return await self._disk.run(lambda: list(read_pages(path, self._damages)))

    async def unfinished(self, owner: Owner) -> list[tuple[Owner, Document]]:
        found = [
            (one, document)
            for one in await self._owners(owner)
            for document in (await self._shelf(self._area.folder(one))).newest
            if document.status in ("uploaded", "processing")
        ]
        return sorted(found, key=lambda pair: pair[1].created_at)

    async def expired(self, owner: Owner) -> list[tuple[Owner, Document]]:
        return [
            (one, document)
            for one in await self._owners(owner)
            for document in (await self._shelf(self._area.folder(one))).expired
        ]

    async def ready_names(
        self, owner: Owner, limit: int = 200, files: Collection[str] | None = None
    ) -> tuple[str, ...]:
        ready = (await self._shelf(self._area.folder(owner))).ready
        if files is not None:
            ready = tuple(one for one in ready if one.file_id in files)
        return tuple(one.filename for one in ready[: max(limit, 0)])

    # ---- inside ----------------------------------------------------------------------------------

    async def _owners(self, owner: Owner) -> list[Owner]:
        """All of them for the server, otherwise the one."""
        everyone = await self._disk.run(lambda: [one for one, _ in self._area.owners()])
        return [one for one in everyone if is_server(owner) or one == owner]

    async def _pour(self, parts: AsyncIterator[bytes], upload: Upload, max_bytes: int) -> None:
        waiting = bytearray()
        size = 0
        async for part in parts:
            size += len(part)
            if size > max_bytes:
                raise TooLarge(f"The file is larger than {max_bytes / 1_048_576:g} MB; upload a smaller one.")
            waiting += part
            if len(waiting) >= BATCH_BYTES:
                await self._disk.run(upload.write, bytes(waiting))
                waiting.clear()
        if size == 0:
            raise InvalidRequest("The file is empty; choose another.", param="file")
        await self._disk.run(upload.write, bytes(waiting))

    def _register(self, folder: Path, upload: Upload, name: str, terms: Terms) -> Document:
        """Give the bytes a place, unless they have one. Blocking; one at a time for each owner."""
        upload.sync()
        with file_lock(folder / ".lock"):
            shelf = look_at(folder, self._shelves.get(folder), self._form, self._damages)
            same = shelf.with_bytes(upload.sha256, terms.purpose)
            now = time.time()
            expires_at = terms.expires_at(now)
            if same is not None and same.status != "failed" and (folder / same.file_id).is_file():
                return self._prolonged(folder, same, longer(same.expires_at, expires_at))
            new = Document(
                timed_id("file-", now),
                name,
                "application/octet-stream",
                upload.size,
                upload.sha256,
                now,
                purpose=terms.purpose,
                expires_at=expires_at,
            )
            document = new if same is None else replace(new, file_id=same.file_id)
            if same is not None:
                # Bytes of the one before stay in place until these take it; its pages are of no use any more.
                (folder / f"{same.file_id}{TEXT_SUFFIX}").unlink(missing_ok=True)
            with contextlib.ExitStack() as undo:
                meta = folder / f"{document.file_id}{META_SUFFIX}"
                if same is None:
                    undo.callback(remove_quietly, folder / document.file_id)
                    undo.callback(remove_quietly, meta)
                upload.keep(folder / document.file_id)
                self._form.write(meta, document)
                undo.pop_all()
            return document

    def _prolonged(self, folder: Path, document: Document, expires_at: float | None) -> Document:
        if expires_at == document.expires_at:
            return document
        document = replace(document, expires_at=expires_at)
        self._form.write(folder / f"{document.file_id}{META_SUFFIX}", document)
        return document

    async def _locked(self, meta: Path, work: Callable[[], None]) -> None:
        """Do something to a document that exists, one at a time for each owner. Raises NotFound."""
        folder = meta.parent

        def locked() -> None:
            if not folder.is_dir():
                raise missing("document")
            with file_lock(folder / ".lock"):
                if not meta.is_file():
                    raise missing("document")
                work()

        async with self._locks.hold(folder):
            await self._disk.run(locked)

    async def _shelf(self, folder: Path) -> Shelf:
        shelf = self._shelves.get(folder)
        if shelf is not None and is_current(folder, shelf):
            return shelf
        shelf = await self._disk.run(look_at, folder, shelf, self._form, self._damages)
        self._shelves[folder] = shelf
        self._shelves.move_to_end(folder)
        if len(self._shelves) > MAX_SHELVES:
            self._shelves.popitem(last=False)
        return shelf
