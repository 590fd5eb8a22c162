"""Port for files that come in parts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Protocol

from backend.models.run import Owner
from backend.models.uploads import PartialUpload, UploadPart

MAX_PENDING = 20
"""Uploads of one owner waiting for parts at the same time."""
MAX_UPLOAD_PARTS = 1000


class UploadStore(Protocol):
    """Uploads of one owner. A stranger's id, a missing id and that of an expired upload raise the same NotFound."""

    async def create(self, owner: Owner, upload: PartialUpload) -> None:
        """Keep a new one under its id, which is server-made. Raises TooManyRequests above MAX_PENDING."""
        ...

    async def get(self, owner: Owner, upload_id: str) -> PartialUpload:
        """Raises NotFound."""
        ...

    async def add_part(self, owner: Owner, upload_id: str, pieces: AsyncIterator[bytes]) -> UploadPart:
        """Stream a part to disk, durably.

        Raises NotFound, InvalidRequest when nothing is waited for, when it is empty, or with the part more bytes have
        come than the upload was to have; nothing is left behind then.
        """
        ...

    def read(self, owner: Owner, upload_id: str, part_ids: Sequence[str]) -> AsyncGenerator[bytes, None]:
        """The bytes of these parts one after another. Raises NotFound."""
        ...

    async def complete(self, owner: Owner, upload_id: str, file_id: str, part_ids: Sequence[str]) -> PartialUpload:
        """Note what it became, and drop its parts. Raises NotFound."""
        ...

    async def cancel(self, owner: Owner, upload_id: str) -> PartialUpload:
        """Drop its parts. Raises NotFound, InvalidRequest when it is not pending."""
        ...

    async def sweep(self, owner: Owner) -> int:
        """SERVER only: remove expired uploads of all owners; how many."""
        ...
