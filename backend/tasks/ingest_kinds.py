"""What kind of file an upload is, by its content and its name together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

from backend.loaders.port import HEAD_BYTES, Loader, find_loader
from backend.models.documents import READ_PURPOSES, Document
from backend.models.errors import UnsupportedFile
from backend.models.run import Owner
from backend.storage.document_store import DocumentStore

IMAGES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF8", "image/gif"))


class FileKinds:
    """Looks at the first bytes of stored files."""

    def __init__(self, documents: DocumentStore, loaders: Sequence[Loader]) -> None:
        self._documents = documents
        self._loaders = loaders

    async def loader_for(self, owner: Owner, document: Document) -> Loader:
        """What reads the document. Raises UnsupportedFile with a sentence, NotFound when its bytes are gone."""
        return self.loader_of(document.filename, await self._head(owner, document))

    async def image_type(self, owner: Owner, document: Document) -> str | None:
        """By its first bytes; None when it is no image."""
        return image_type_of(await self._head(owner, document))

    def loader_of(self, filename: str, head: bytes) -> Loader:
        """What reads a file of this name that begins so. Raises UnsupportedFile."""
        return find_loader(self._loaders, filename, head)

    async def _head(self, owner: Owner, document: Document) -> bytes:
        path = await self._documents.path(owner, document.file_id)
        return await asyncio.to_thread(_head, path)


def image_type_of(head: bytes) -> str | None:
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for mark, kind in IMAGES if head.startswith(mark)), None)


class Arrival:
    """A file on its way in: its first bytes tell, when all of it is there, what it is to begin as."""

    def __init__(self, kinds: FileKinds, *, keep_refused: bool) -> None:
        self._kinds = kinds
        self._keep_refused = keep_refused
        self._head = bytearray()
        self.loader: Loader | None = None
        """What is to read it, if it is new."""
        self.refused: UnsupportedFile | None = None
        """Why nobody can read it, for a new one that is to be known nevertheless."""

    async def watch(self, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for part in parts:
            if len(self._head) < HEAD_BYTES:
                self._head += part[: HEAD_BYTES - len(self._head)]
            yield part

    def begin(self, document: Document) -> Document:
        """The new document as it is first known. Raises UnsupportedFile."""
        head = bytes(self._head)
        if document.purpose not in READ_PURPOSES:
            return kept(document, head)
        try:
            self.loader = self._kinds.loader_of(document.filename, head)
        except UnsupportedFile as error:
            if document.purpose == "user_data" and image_type_of(head) is not None:
                return kept(document, head)
            if not self._keep_refused:
                raise
            self.refused = error
            return document
        return replace(document, content_type=self.loader.content_type, status="processing", error=None)


def kept(document: Document, head: bytes) -> Document:
    """A document that stays as it came."""
    kind = image_type_of(head) or document.content_type
    return replace(document, status="kept", content_type=kind, progress=1.0, error=None)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD_BYTES)
