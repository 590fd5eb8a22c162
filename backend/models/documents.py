"""Documents as they are stored, split and found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

DocumentStatus = Literal["uploaded", "processing", "ready", "failed"]


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
