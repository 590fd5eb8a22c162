"""Documents as they are stored, split and found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

DocumentStatus = Literal["uploaded", "processing", "ready", "failed", "kept"]
"""`kept`: stored as it came and never read, because it is no text or not meant to be searched."""
READ_PURPOSES = frozenset({"assistants", "user_data"})
"""Files of these purposes are read and searched; those of others are kept as they came."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an upload is for and how long it stays: `lifetime` in seconds, None for ever."""

    purpose: str = "assistants"
    lifetime: float | None = None

    def expires_at(self, now: float) -> float | None:
        return None if self.lifetime is None else now + self.lifetime


@dataclass(frozen=True, slots=True)
class Document:
    """What Hearth knows about an uploaded file. `filename` is the name the user gave: text, never a path.

    `file_id` is server-made. `sha256` is of the bytes, hex. `created_at` is seconds since the epoch.
    `progress` in [0, 1] while processing. `error` is one sentence when failed.
    """

    file_id: str
    filename: str
    content_type: str
    size: int
    sha256: str
    created_at: float
    status: DocumentStatus = "uploaded"
    chunks: int = 0
    pages: int | None = None
    progress: float = 0.0
    error: str | None = None
    purpose: str = "assistants"
    note: str | None = None
    """One sentence about what was left out, for a document that is ready nevertheless."""
    expires_at: float | None = None
    """Seconds since the epoch; from then on the document is as if deleted. None means never."""

    def is_expired(self, now: float) -> bool:
        return self.expires_at is not None and self.expires_at <= now


def share_bytes(one: str, other: str) -> bool:
    """Whether the same bytes under these two purposes are one document: they are when it is read for both."""
    return one == other or {one, other} <= READ_PURPOSES


def longer(one: float | None, other: float | None) -> float | None:
    """The later of two times of expiry, None being never."""
    return None if one is None or other is None else max(one, other)


@dataclass(frozen=True, slots=True)
class PageText:
    """Text of one page (or of the whole file where the format has no pages: `number` None)."""

    number: int | None
    text: str


@dataclass(frozen=True, slots=True)
class DocumentChunk:
    """A piece of a document that is embedded and found as one. `index` counts chunks of its document from 0."""

    file_id: str
    filename: str
    index: int
    text: str
    page: int | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A found chunk. `score` in [0, 1], higher is better; `parts` holds the scores it was fused from."""

    chunk: DocumentChunk
    score: float
    parts: dict[str, float] = field(default_factory=dict)
