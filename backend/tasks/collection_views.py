"""Collections and their files as callers see them: with what has become of each file by now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from backend.models.attribute_filters import Attribute
from backend.models.collections import (
    Batch,
    Chunking,
    Collection,
    CollectionFile,
    CollectionStatus,
    FileFailure,
    FileStatus,
)
from backend.models.documents import Document
from backend.tasks.collection_index import failure_of


@dataclass(frozen=True, slots=True)
class NewFile:
    """A document to be put into a collection. `attributes` None leaves those that it has there."""

    file_id: str
    attributes: Mapping[str, Attribute] | None = None
    chunking: Chunking | None = None


@dataclass(frozen=True, slots=True)
class FileView:
    """A file of a collection as it is now."""

    file: CollectionFile
    status: FileStatus
    failure: FileFailure | None
    usage_bytes: int


@dataclass(frozen=True, slots=True)
class CollectionView:
    """A collection as it is now, or one batch of it. `counts` has each FileStatus and `total`."""

    collection: Collection
    status: CollectionStatus
    counts: Mapping[str, int]
    usage_bytes: int


@dataclass(frozen=True, slots=True)
class BatchView:
    collection: Collection
    batch: Batch
    status: Literal["in_progress", "completed", "cancelled", "failed"]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Changes:
    """What a collection's update names; `expires_after_days` only counts with `sets_expiry`."""

    name: str | None = None
    description: str | None = None
    metadata: Mapping[str, str] | None = None
    sets_expiry: bool = False
    expires_after_days: int | None = None


@dataclass(frozen=True, slots=True)
class Cursor:
    """Which part of a list is wanted."""

    limit: int = 20
    newest_first: bool = True
    after: str | None = None
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """A collection that is to be made."""

    name: str = ""
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    expires_after_days: int | None = None
    files: Sequence[NewFile] = ()


def file_view(file: CollectionFile, document: Document) -> FileView:
    """What has become of a file; its document tells, unless the collection has an index of its own of it."""
    failure = failure_of(document)
    if file.state == "cancelled":
        return FileView(file, "cancelled", None, 0)
    if file.state == "failed":
        return FileView(file, "failed", file.failure, 0)
    if failure is not None:
        return FileView(file, "failed", failure, 0)
    if document.status != "ready" or file.is_to_index:
        return FileView(file, "in_progress", None, 0)
    return FileView(file, "completed", None, document.size if file.chunking is None else file.usage_bytes)


def counted(views: Sequence[FileView]) -> dict[str, int]:
    """How many files there are in each status, and in `total`."""
    counts = {"in_progress": 0, "completed": 0, "failed": 0, "cancelled": 0, "total": len(views)}
    for view in views:
        counts[view.status] += 1
    return counts
