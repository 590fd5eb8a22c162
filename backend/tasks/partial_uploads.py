"""Large files that come in parts, put together and then taken in like any other."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing

from backend.config.settings import Settings
from backend.models.documents import Document, Terms
from backend.models.errors import InvalidRequest, NotFound, TooLarge
from backend.models.run import SERVER, Owner
from backend.models.uploads import PartialUpload, UploadPart
from backend.storage.upload_store import UploadStore
from backend.tasks.ingest_task import IngestTask
from backend.utils.ids import timed_id
from backend.utils.names import clean_filename


class PartialUploads:
    """One instance serves the process. A stranger's id and a missing id raise the same NotFound."""

    def __init__(self, settings: Settings, uploads: UploadStore, ingest: IngestTask) -> None:
        self._settings = settings
        self._uploads = uploads
        self._ingest = ingest

    async def create(self, owner: Owner, filename: str, size: int, terms: Terms) -> PartialUpload:
        """Raises TooLarge above MAX_UPLOAD_MB, TooManyRequests when too many wait already."""
        if size > self._settings.max_upload_bytes:
            raise TooLarge(
                f"The file is larger than {self._settings.max_upload_mb:g} MB; upload a smaller one.", param="bytes"
            )
        now = time.time()
        upload = PartialUpload(timed_id("upload_", now), clean_filename(filename), size, terms, now)
        await self._uploads.create(owner, upload)
        return upload

    async def get(self, owner: Owner, upload_id: str) -> PartialUpload:
        return await self._uploads.get(owner, upload_id)

    async def add_part(self, owner: Owner, upload_id: str, pieces: AsyncIterator[bytes]) -> UploadPart:
        """Raises InvalidRequest when more comes than was announced, or when nothing is waited for."""
        return await self._uploads.add_part(owner, upload_id, pieces)

    async def complete(
        self, owner: Owner, upload_id: str, part_ids: Sequence[str], md5: str | None = None
    ) -> tuple[PartialUpload, Document]:
        """Put the parts together in this order. Doing it again with the same parts gives the same file.

        Raises InvalidRequest when parts are unknown or repeated, do not come to the announced size or to `md5` (hex).
        """
        upload = await self._uploads.get(owner, upload_id)
        if upload.status == "completed" and upload.part_ids == tuple(part_ids):
            return upload, await self._document(owner, upload)
        self._check(upload, part_ids)
        async with (
            aclosing(self._uploads.read(owner, upload_id, part_ids)) as pieces,
            aclosing(_verified(pieces, md5)) as whole,
        ):
            document = await self._ingest.upload(owner, upload.filename, whole, lambda: upload.terms, keep_refused=True)
        return await self._uploads.complete(owner, upload_id, document.file_id, part_ids), document

    async def cancel(self, owner: Owner, upload_id: str) -> PartialUpload:
        """Raises InvalidRequest when it is completed or cancelled already."""
        return await self._uploads.cancel(owner, upload_id)

    async def sweep(self) -> None:
        """Remove the uploads whose time is over."""
        await self._uploads.sweep(SERVER)

    async def _document(self, owner: Owner, upload: PartialUpload) -> Document:
        if upload.file_id is None:
            raise NotFound("There is no document with this id.")
        return await self._ingest.document(owner, upload.file_id)

    def _check(self, upload: PartialUpload, part_ids: Sequence[str]) -> None:
        """Raises InvalidRequest when these parts cannot make the file."""
        if upload.status != "pending":
            raise InvalidRequest(
                f"The upload is {upload.status}: start another.", param="upload_id", code="invalid_value"
            )
        sizes = {part.id: part.size for part in upload.parts}
        if len(set(part_ids)) != len(part_ids) or not sizes.keys() >= set(part_ids):
            raise InvalidRequest(
                "part_ids must name parts of this upload, each once.", param="part_ids", code="invalid_value"
            )
        size = sum(sizes[part_id] for part_id in part_ids)
        if size != upload.size:
            raise InvalidRequest(
                f"The parts come to {size} bytes, but {upload.size} were announced: add what is missing.",
                param="part_ids",
                code="invalid_value",
            )


async def _verified(pieces: AsyncIterator[bytes], md5: str | None) -> AsyncGenerator[bytes, None]:
    """The same bytes. Raises InvalidRequest after the last when they are others than the sender had."""
    seen = hashlib.md5(usedforsecurity=False)
    async for piece in pieces:
        seen.update(piece)
        yield piece
    if md5 is not None and seen.hexdigest() != md5.strip().lower():
        raise InvalidRequest(
            "The bytes have another MD5 sum than the one given: upload them again.", param="md5", code="invalid_value"
        )
