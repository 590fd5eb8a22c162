"""Uploaded files: `{file_id}` the bytes, `{file_id}.json` what is known, `{file_id}.text.jsonl` the pages."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from backend.models.documents import Document, PageText, Terms, longer
from backend.models.errors import InvalidRequest, TooLarge
from backend.models.run import Owner
from backend.storage.document_store import MAX_LISTED, NO_QUOTA, Quota
from backend.storage.json_files.atomic import remove_quietly
from backend.storage.json_files.damages import Damages
from backend.storage.json_files.disk import Disk
from backend.storage.json_files.document_files import (
    INCOMING,
    META_SUFFIX,
    TEXT_SUFFIX,
    DocumentFormat,
    read_page,
    read_pages,
    remove_content,
    remove_document,
    write_pages,
)
from backend.storage.json_files.document_shelf import LOCK, Shelf, is_current, look_at, new_token
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
LOOKS = 3
"""Times that is looked again when a change of our own came between; looking through a large folder costs far more."""


def _as_it_is(document: Document) -> Document:
    return document


@dataclass(slots=True)
class _New:
    """What is to be known of an upload."""

    name: str
    quota: Quota
    begin: Callable[[Document], Document]
    terms: Terms = field(default_factory=Terms)


class JsonDocumentStore:
    """DocumentStore over `{owner}/`. Metadata is answered from memory as long as the folder did not change."""

    def __init__(self, area: Area, disk: Disk, damages: Damages) -> None:
        self._area = area
        self._disk = disk
        self._damages = damages
        self._form = DocumentFormat()
        self._locks = KeyedLocks()
        self._shelves: OrderedDict[Path, Shelf] = OrderedDict()
        self._putting = threading.Lock()
        self._changing: dict[Path, Shelf] = {}
        """What folders hold in which this process is changing something: the state before counts till it is done."""

    async def receive(
        self,
        owner: Owner,
        filename: str,
        parts: AsyncIterator[bytes],
        max_bytes: int,
        terms: Callable[[], Terms] = Terms,
        quota: Quota = NO_QUOTA,
        begin: Callable[[Document], Document] = _as_it_is,
    ) -> Document:
        folder = self._area.folder(owner)
        upload = Upload(folder / INCOMING)
        new = _New(clean_filename(filename), quota, begin)
        try:
            rest = await self._pour(parts, upload, max_bytes)
            new.terms = terms()
            if upload.is_open:
                await self._disk.run(_finish, upload, rest)
                rest = b""
            async with self._locks.hold(folder):
                # A small file costs one turn of a thread, its only bytes being the rest.
                return await self._disk.run(self._register, folder, upload, rest, new)
        finally:
            if upload.is_open:
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
        await self._locked(meta, lambda: self._form.write(meta, document), lambda _: document)

    async def delete(self, owner: Owner, file_id: str) -> None:
        content = self._area.file(owner, file_id)
        await self._locked(
            content.with_name(f"{file_id}{META_SUFFIX}"), lambda: remove_document(content), lambda _: None
        )

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
        upload = Upload(content.parent / INCOMING)
        try:
            await self.get(owner, file_id)
            if not (isinstance(pages, list) and sum(len(page.text) for page in pages) < BATCH_BYTES):
                # Pages may be made while they are read, so this can take long: nothing is locked yet.
                await self._disk.run(write_pages, upload, pages)

            def keep() -> None:
                if not upload.is_open:
                    write_pages(upload, pages)
                upload.keep(content.with_name(f"{file_id}{TEXT_SUFFIX}"))
                upload.discard()

            await self._locked(content.with_name(f"{file_id}{META_SUFFIX}"), keep)
        finally:
            if upload.is_open:
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

    async def owners(self, owner: Owner) -> list[Owner]:
        return await self._owners(owner)

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

    async def _pour(self, parts: AsyncIterator[bytes], upload: Upload, max_bytes: int) -> bytes:
        """Write what comes, but for the end of it, which is given back."""
        waiting = bytearray()
        size = 0
        async for part in parts:
            size += len(part)
            if size > max_bytes:
                raise TooLarge(f"The file is larger than {max_bytes / 1_048_576:g} MB; upload a smaller one.")
            waiting += part
            if len(waiting) >= BATCH_BYTES:
                await self._disk.run(_write, upload, bytes(waiting))
                waiting.clear()
        if size == 0:
            raise InvalidRequest("The file is empty; choose another.", param="file")
        return bytes(waiting)

    def _register(self, folder: Path, upload: Upload, rest: bytes, new: _New) -> Document:
        """Give the bytes a place, unless they have one. Blocking; one at a time for each owner."""
        if rest:
            _finish(upload, rest)
        try:
            return self._registered(folder, upload, new)
        finally:
            upload.discard()

    def _registered(self, folder: Path, upload: Upload, about: _New) -> Document:
        terms = about.terms
        with file_lock(folder / LOCK) as lock, self._change(folder) as shelf:
            same = shelf.with_bytes(upload.sha256, terms.purpose)
            now = time.time()
            expires_at = terms.expires_at(now)
            if same is not None and same.status != "failed" and (folder / same.file_id).is_file():
                return self._prolonged(folder, lock, shelf, same, longer(same.expires_at, expires_at))
            about.quota.check(len(shelf.documents) + (same is None), shelf.stored_bytes + upload.size)
            new = Document(
                timed_id("file-", now),
                about.name,
                "application/octet-stream",
                upload.size,
                upload.sha256,
                now,
                purpose=terms.purpose,
                expires_at=expires_at,
            )
            document = about.begin(new if same is None else replace(new, file_id=same.file_id))
            if same is not None:
                # Bytes of the one before stay in place until these take it; its pages are of no use any more.
                (folder / f"{same.file_id}{TEXT_SUFFIX}").unlink(missing_ok=True)
            token = new_token(lock)
            with contextlib.ExitStack() as undo:
                meta = folder / f"{document.file_id}{META_SUFFIX}"
                if same is None:
                    undo.callback(remove_quietly, folder / document.file_id)
                    undo.callback(remove_quietly, meta)
                upload.keep(folder / document.file_id)
                self._form.write(meta, document)
                undo.pop_all()
            self._put(folder, shelf.after(folder, document.file_id, document, token))
            return document

    def _prolonged(
        self, folder: Path, lock: int, shelf: Shelf, document: Document, expires_at: float | None
    ) -> Document:
        if expires_at == document.expires_at:
            return document
        document = replace(document, expires_at=expires_at)
        token = new_token(lock)
        self._form.write(folder / f"{document.file_id}{META_SUFFIX}", document)
        self._put(folder, shelf.after(folder, document.file_id, document, token))
        return document

    async def _locked(
        self,
        meta: Path,
        work: Callable[[], None],
        becomes: Callable[[Document | None], Document | None] = lambda document: document,
    ) -> None:
        """Do something to a document that exists, one at a time for each owner. Raises NotFound.

        `becomes` tells what is known of it afterwards, None when nothing is.
        """
        folder, file_id = meta.parent, meta.name.removesuffix(META_SUFFIX)

        def locked() -> None:
            if not folder.is_dir():
                raise missing("document")
            with file_lock(folder / LOCK) as lock, self._change(folder) as shelf:
                if not meta.is_file():
                    raise missing("document")
                token = new_token(lock)
                work()
                self._put(folder, shelf.after(folder, file_id, becomes(shelf.documents.get(file_id)), token))

        async with self._locks.hold(folder):
            await self._disk.run(locked)

    async def _shelf(self, folder: Path) -> Shelf:
        for _ in range(LOOKS):
            changing = self._changing.get(folder)
            if changing is not None and time.time() < changing.next_expiry:
                return changing
            shelf = self._shelves.get(folder)
            if shelf is not None and is_current(folder, shelf):
                return shelf
            if self._changing.get(folder) is None and self._shelves.get(folder) is shelf:
                break
        found = await self._disk.run(look_at, folder, shelf, self._form, self._damages)
        if self._shelves.get(folder) is shelf:
            self._put(folder, found)
        return found

    @contextlib.contextmanager
    def _change(self, folder: Path) -> Iterator[Shelf]:
        """What the folder holds, for a change to it. Needs the lock. Blocking."""
        shelf = self._shelves.get(folder)
        if shelf is None or not is_current(folder, shelf):
            shelf = look_at(folder, shelf, self._form, self._damages, locked=True)
        self._changing[folder] = shelf
        try:
            yield shelf
        finally:
            del self._changing[folder]

    def _put(self, folder: Path, shelf: Shelf) -> None:
        """From any thread: one that puts an older shelf there only makes the next one look again."""
        with self._putting:
            self._shelves[folder] = shelf
            self._shelves.move_to_end(folder)
            if len(self._shelves) > MAX_SHELVES:
                self._shelves.popitem(last=False)


def _write(upload: Upload, data: bytes) -> None:
    if not upload.is_open:
        upload.open()
    upload.write(data)


def _finish(upload: Upload, data: bytes) -> None:
    _write(upload, data)
    upload.sync()
