"""An owner's documents in memory, kept equal to the folder without reading all of it after every change. Blocking."""

from __future__ import annotations

import math
import os
import secrets
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from backend.models.documents import Document, share_bytes
from backend.models.errors import StorageFailed
from backend.storage.json_files.atomic import ABSENT, Mark, Unreadable, files_in, is_settled, mark_at, mark_of
from backend.storage.json_files.damages import Damages
from backend.storage.json_files.document_files import META_SUFFIX, DocumentFormat

LOCK = ".lock"
"""Held while anything changes; its content is a token that every change replaces first."""
_TOKEN_BYTES = 16


class Shelf:
    """An owner's documents as the folder was at `mark`; never changed, only replaced.

    Clocks of file systems tick every few milliseconds: a shelf whose mark is younger than that (`settled` False) is
    current only while the token is the same as well.
    """

    def __init__(
        self,
        mark: Mark = ABSENT,
        documents: Mapping[str, Document] | None = None,
        marks: Mapping[str, Mark] | None = None,
        expired: tuple[Document, ...] = (),
        *,
        token: bytes = b"",
        settled: bool = True,
    ) -> None:
        self.mark = mark
        self.documents = documents if documents is not None else {}
        self.marks = marks if marks is not None else {}
        self.expired = expired
        """Documents that are only to be removed; nothing else here knows them."""
        self.token = token
        self.settled = settled

    @cached_property
    def newest(self) -> tuple[Document, ...]:
        return tuple(sorted(self.documents.values(), key=lambda document: document.created_at, reverse=True))

    @cached_property
    def ready(self) -> tuple[Document, ...]:
        return tuple(document for document in self.newest if document.status == "ready")

    @cached_property
    def next_expiry(self) -> float:
        """When the next of `documents` expires, in seconds since the epoch."""
        return min((one.expires_at for one in self.documents.values() if one.expires_at is not None), default=math.inf)

    @cached_property
    def stored_bytes(self) -> int:
        """Of all files together, but for those that could not be read, which are not kept."""
        return sum(document.size for document in self.documents.values() if document.status != "failed")

    @cached_property
    def _by_hash(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for document in self.newest:
            found[document.sha256] = (*found.get(document.sha256, ()), document.file_id)
        return found

    def with_bytes(self, sha256: str, purpose: str) -> Document | None:
        """The newest document of these bytes, if one may serve for this purpose."""
        alike = (self.documents[file_id] for file_id in self._by_hash.get(sha256, ()))
        return next((one for one in alike if share_bytes(one.purpose, purpose)), None)

    def after(self, folder: Path, file_id: str, document: Document | None, token: bytes) -> Shelf:
        """This shelf once one document is changed, new or (None) gone. Needs the lock, under which that was done."""
        documents, marks = dict(self.documents), dict(self.marks)
        before = documents.pop(file_id, None)
        marks.pop(file_id, None)
        expired = tuple(one for one in self.expired if one.file_id != file_id)
        if document is not None:
            documents[file_id] = document
            marks[file_id] = mark_at(folder / f"{file_id}{META_SUFFIX}")
        shelf = Shelf(mark_at(folder), documents, marks, expired, token=token, settled=False)
        shelf._take_over(self, before, document)
        return shelf

    def _take_over(self, old: Shelf, before: Document | None, now: Document | None) -> None:
        """What is dear to work out anew for thousands of documents and follows from one that changed."""
        known = old.__dict__
        if "stored_bytes" in known:
            taken, freed = (0 if one is None or one.status == "failed" else one.size for one in (now, before))
            self.__dict__["stored_bytes"] = old.stored_bytes + taken - freed
        if "next_expiry" in known and now is not None:
            # It may be earlier than need be, after which the folder is looked at once more.
            self.__dict__["next_expiry"] = min(old.next_expiry, now.expires_at or math.inf)
        if "_by_hash" in known and (before is None or now is None or before.sha256 != now.sha256):
            by_hash = dict(old._by_hash)
            if before is not None:
                by_hash[before.sha256] = tuple(each for each in by_hash[before.sha256] if each != before.file_id)
            if now is not None:
                by_hash[now.sha256] = (now.file_id, *by_hash.get(now.sha256, ()))
            self.__dict__["_by_hash"] = by_hash
        elif "_by_hash" in known:
            self.__dict__["_by_hash"] = old._by_hash


def is_current(folder: Path, shelf: Shelf) -> bool:
    """Whether all is as it was; costs one stat or two. Every change of metadata is a rename, which shows."""
    if mark_at(folder) != shelf.mark or time.time() >= shelf.next_expiry:
        return False
    return shelf.settled or _token(folder) == shelf.token


def new_token(lock: int) -> bytes:
    """Tell other processes, before the change, that what they know is old. `lock` is the handle of the held LOCK."""
    token = secrets.token_bytes(_TOKEN_BYTES)
    os.pwrite(lock, token, 0)
    return token


def _token(folder: Path) -> bytes:
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(handle, _TOKEN_BYTES)
    finally:
        os.close(handle)


def look_at(
    folder: Path, before: Shelf | None, form: DocumentFormat, damages: Damages, *, locked: bool = False
) -> Shelf:
    """Read what changed since `before`. One file that cannot be read never hides the others."""
    known = before or Shelf()
    folder_mark = mark_at(folder)
    documents: dict[str, Document] = {}
    marks: dict[str, Mark] = {}
    expired: list[Document] = []
    now = time.time()
    for file_id, status in files_in(folder, META_SUFFIX):
        mark = mark_of(status)
        document = known.documents.get(file_id) if known.marks.get(file_id) == mark else None
        document = document or _read(folder / f"{file_id}{META_SUFFIX}", mark, form, damages)
        if document is None:
            continue
        if document.is_expired(now):
            expired.append(document)
            continue
        documents[file_id] = document
        if is_settled(mark):
            marks[file_id] = mark
    settled = is_settled(folder_mark)
    if locked:
        return Shelf(folder_mark, documents, marks, tuple(expired), token=_token(folder), settled=settled)
    return Shelf(folder_mark if settled else ABSENT, documents, marks, tuple(expired))


def _read(path: Path, mark: Mark, form: DocumentFormat, damages: Damages) -> Document | None:
    try:
        return form.read(path)
    except (FileNotFoundError, StorageFailed):
        return None
    except Unreadable as reason:
        if mark_at(path) == mark:  # and not replaced by something good meanwhile
            damages.set_aside(path, f"what is known of a document could not be read ({reason})")
        return None
