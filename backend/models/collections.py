"""Collections (vector stores on the wire): some of a user's documents, searched together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from backend.models.attribute_filters import Attribute, Filter

FileState = Literal["waiting", "indexed", "failed", "cancelled"]
FileStatus = Literal["in_progress", "completed", "failed", "cancelled"]
CollectionStatus = Literal["in_progress", "completed", "expired"]

SECONDS_PER_DAY = 86_400
MAX_GONE = 1000
"""Removed files whose places in the list are remembered, so that paging on from one of them works."""
MAX_BATCHES = 200


@dataclass(frozen=True, slots=True)
class Chunking:
    """How files are cut into chunks of their own. Sizes are tokens, counted as four characters each."""

    max_tokens: int = 800
    overlap_tokens: int = 400


@dataclass(frozen=True, slots=True)
class FileFailure:
    code: Literal["server_error", "unsupported_file", "invalid_file"]
    message: str


@dataclass(frozen=True, slots=True)
class CollectionFile:
    """A document in a collection. `created_at` is when it was put in, in seconds since the epoch.

    `chunking` None: it is searched as the owner's main index has it, and `state` says nothing unless it is
    `cancelled`: the document's own status counts. Otherwise `state` tells how far its own index is, and
    `usage_bytes` what that takes.
    """

    file_id: str
    created_at: float
    chunking: Chunking | None = None
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    state: FileState = "waiting"
    failure: FileFailure | None = None
    usage_bytes: int = 0
    embedder: str = ""
    """Which made its vectors, once it is indexed."""

    @property
    def is_to_index(self) -> bool:
        """Whether there is work to do for it once its document is ready."""
        return self.chunking is not None and self.state == "waiting"


@dataclass(frozen=True, slots=True)
class Batch:
    """Files that were put in by one request."""

    id: str
    created_at: float
    file_ids: tuple[str, ...]
    cancelled: bool = False


@dataclass(frozen=True, slots=True)
class Collection:
    """`files` by id, in the order in which they were put in. Times are seconds since the epoch."""

    id: str
    name: str
    created_at: float
    last_active_at: float
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    expires_after_days: int | None = None
    """Days without use after which it expires."""
    files: Mapping[str, CollectionFile] = field(default_factory=dict)
    batches: tuple[Batch, ...] = ()
    gone: Mapping[str, float] = field(default_factory=dict)
    """Removed files and when they had been put in."""
    readers: tuple[str, ...] = ()
    """Ids of the users, besides the owner, who may search it and read its documents."""

    @property
    def expires_at(self) -> float | None:
        days = self.expires_after_days
        return None if days is None else self.last_active_at + days * SECONDS_PER_DAY

    def is_expired(self, now: float) -> bool:
        return self.expires_at is not None and self.expires_at <= now

    def with_file(self, file: CollectionFile) -> Collection:
        return replace(self, files={**self.files, file.file_id: file})

    def without(self, file_id: str) -> Collection:
        """Raises KeyError when the file is not in it."""
        files = dict(self.files)
        removed = files.pop(file_id)
        gone = {**self.gone, file_id: removed.created_at}
        return replace(self, files=files, gone=dict(list(gone.items())[-MAX_GONE:]))

    def with_batch(self, batch: Batch) -> Collection:
        """The batch put in, or put in place of the one with its id; the oldest are forgotten."""
        others = tuple(each for each in self.batches if each.id != batch.id)
        return replace(self, batches=(*others, batch)[-MAX_BATCHES:])


@dataclass(frozen=True, slots=True)
class SearchLimits:
    """How a search of collections is narrowed. `threshold` in [0, 1]: what scores below it is left out."""

    wanted: Filter | None = None
    threshold: float = 0.0
    max_results: int | None = None
    """How many passages; None leaves it to whoever searches."""


ANYTHING = SearchLimits()
