"""A file that comes in parts, until it is put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from backend.models.documents import Terms

UploadStatus = Literal["pending", "completed", "cancelled"]
UPLOAD_SECONDS = 3600.0
"""How long an upload waits for its parts, and how long it is known after it was completed or cancelled."""


@dataclass(frozen=True, slots=True)
class UploadPart:
    """`size` in bytes, `created_at` in seconds since the epoch."""

    id: str
    created_at: float
    size: int


@dataclass(frozen=True, slots=True)
class PartialUpload:
    """`size` is what all parts together must come to, in bytes; `filename` is text, never a path."""

    id: str
    filename: str
    size: int
    terms: Terms
    created_at: float
    status: UploadStatus = "pending"
    parts: tuple[UploadPart, ...] = ()
    file_id: str | None = None
    """The document, once completed."""
    part_ids: tuple[str, ...] = ()
    """What it was put together from, in order, once completed."""

    @property
    def expires_at(self) -> float:
        return self.created_at + UPLOAD_SECONDS

    @property
    def received(self) -> int:
        """Bytes of all parts so far."""
        return sum(part.size for part in self.parts)
