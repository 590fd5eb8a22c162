"""What is known of an owner's documents: reading, writing and remembering the metadata, and the pages. Blocking."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from backend.models.documents import Document, PageText, share_bytes
from backend.models.errors import StorageFailed
from backend.storage.json_files.append_log import decode_line, encode_line
from backend.storage.json_files.atomic import (
    ABSENT,
    Mark,
    Unreadable,
    files_in,
    is_settled,
    mark_at,
    mark_of,
    open_regular,
    read_file,
    sync_folder,
    write_atomic,
)
from backend.storage.json_files.damages import Damages, belongs_to
from backend.storage.json_files.upload import Upload
from backend.utils.ids import is_safe_id

META_SUFFIX = ".json"
TEXT_SUFFIX = ".text.jsonl"
DELETED_SUFFIX = ".deleted"
VERSION = 1
_PAGES_BYTES = 262_144


class DocumentFormat:
    """Metadata as indented JSON."""

    def __init__(self) -> None:
        from pydantic import TypeAdapter

        self._document: Callable[[Any], Document] = TypeAdapter(Document).validate_python

    def write(self, path: Path, document: Document) -> None:
        data = {"version": VERSION, **asdict(document)}
        write_atomic(path, orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n")

    def read(self, path: Path) -> Document:
        """Raises FileNotFoundError, Unreadable; StorageFailed for a file from a newer version."""
        try:
            data = orjson.loads(read_file(path))
            version = data.get("version") if isinstance(data, dict) else None
            if not isinstance(version, int):
                raise Unreadable("not our form")
            if version > VERSION:
                raise StorageFailed("This document was stored by a newer Hearth; update this one.")
            document = self._document(data)
        except ValueError:
            raise Unreadable("not JSON, or not our form") from None
        if document.file_id != path.name.removesuffix(META_SUFFIX):
            raise Unreadable("it describes another document")
        return document


@dataclass(frozen=True, slots=True)
class Shelf:
    """An owner's documents as the folder was at `mark`; never changed, only replaced."""

    mark: Mark = ABSENT
    documents: Mapping[str, Document] = field(default_factory=dict)
    marks: Mapping[str, Mark] = field(default_factory=dict)
    newest: tuple[Document, ...] = ()
    ready: tuple[Document, ...] = ()
    expired: tuple[Document, ...] = ()
    """Documents that are only to be removed; nothing else here knows them."""
    next_expiry: float = math.inf
    """When the next of `documents` expires, in seconds since the epoch."""

    def with_bytes(self, sha256: str, purpose: str) -> Document | None:
        """The document of these bytes, if one may serve for this purpose."""
        return next((one for one in self.newest if one.sha256 == sha256 and share_bytes(one.purpose, purpose)), None)


def is_current(folder: Path, shelf: Shelf) -> bool:
    """Whether all is as it was; costs one stat. Every change of metadata is a rename, which shows in the folder."""
    return mark_at(folder) == shelf.mark and time.time() < shelf.next_expiry


def look_at(folder: Path, before: Shelf | None, form: DocumentFormat, damages: Damages) -> Shelf:
    """Read what changed since `before`. One file that cannot be read never hides the others."""
    known = before or Shelf()
    folder_mark = mark_at(folder)
    documents: dict[str, Document] = {}
    marks: dict[str, Mark] = {}
    expired: list[Document] = []
    now = time.time()
    for file_id, status in files_in(folder, META_SUFFIX):
        mark = mark_of(status)
        document = known.documents[file_id] if known.marks.get(file_id) == mark else None
        document = document or _read(folder / f"{file_id}{META_SUFFIX}", mark, form, damages)
        if document is None:
            continue
        if document.is_expired(now):
            expired.append(document)
            continue
        documents[file_id] = document
        if is_settled(mark):
            marks[file_id] = mark
    newest = tuple(sorted(documents.values(), key=lambda document: document.created_at, reverse=True))
    ready = tuple(document for document in newest if document.status == "ready")
    next_expiry = min((one.expires_at for one in newest if one.expires_at is not None), default=math.inf)
    settled = folder_mark if is_settled(folder_mark) else ABSENT
    return Shelf(settled, documents, marks, newest, ready, tuple(expired), next_expiry)


def _read(path: Path, mark: Mark, form: DocumentFormat, damages: Damages) -> Document | None:
    try:
        return form.read(path)
    except (FileNotFoundError, StorageFailed):
        return None
    except Unreadable as reason:
        if mark_at(path) == mark:  # and not replaced by something good meanwhile
            damages.set_aside(path, f"what is known of a document could not be read ({reason})")
        return None


def remove_document(content: Path) -> None:
    """Remove every file of a document. Renaming what is known of it decides; a start finishes what a crash left."""
    folder, file_id = content.parent, content.name
    (folder / f"{file_id}{META_SUFFIX}").rename(folder / f".{file_id}{DELETED_SUFFIX}")
    sync_folder(folder)
    _remove_rest(folder, file_id)


def remove_content(content: Path) -> None:
    """Remove bytes and text of a document of which no more than its record is to stay."""
    content.unlink(missing_ok=True)
    content.with_name(f"{content.name}{TEXT_SUFFIX}").unlink(missing_ok=True)
    sync_folder(content.parent)


def _remove_rest(folder: Path, file_id: str) -> None:
    names = (file_id, f"{file_id}{META_SUFFIX}", f"{file_id}{TEXT_SUFFIX}")
    set_aside = [
        other.name for other in folder.glob(f"{file_id}.*") if any(belongs_to(other.name, name) for name in names)
    ]
    # The note that it is deleted goes last, so that whatever stops this is made good later.
    for name in [file_id, f"{file_id}{TEXT_SUFFIX}", *set_aside, f".{file_id}{DELETED_SUFFIX}"]:
        (folder / name).unlink(missing_ok=True)
    sync_folder(folder)


def clear_up(folder: Path, damages: Damages) -> None:
    """Finish deletes that a crash interrupted, and set aside bytes of which nothing is known. Needs the lock.

    Such bytes are an upload that was never acknowledged.
    """
    for note in list(folder.glob(f".*{DELETED_SUFFIX}")):
        file_id = note.name.removeprefix(".").removesuffix(DELETED_SUFFIX)
        if is_safe_id(file_id):
            _remove_rest(folder, file_id)
    names = {path.name for path in folder.iterdir()}
    for name in names:
        content = folder / name
        if not is_safe_id(name) or not content.is_file() or f"{name}{META_SUFFIX}" in names:
            continue
        if any(belongs_to(other, f"{name}{META_SUFFIX}") for other in names):
            continue  # what was known of it is itself set aside and may be restored
        damages.set_aside(content, "nothing is known of an uploaded file")


# ---- pages ----------------------------------------------------------------------------------------


def write_pages(upload: Upload, pages: Iterable[PageText]) -> None:
    """Write pages as JSON lines to a file that has no place yet."""
    upload.open()
    waiting = bytearray()
    for page in pages:
        waiting += encode_line({"number": page.number, "text": page.text})
        if len(waiting) >= _PAGES_BYTES:
            upload.write(bytes(waiting))
            waiting.clear()
    upload.write(bytes(waiting))
    upload.sync()


def read_page(path: Path, number: int | None, damages: Damages) -> PageText | None:
    """One page, the first when `number` is None; None when there is none. Reads no further than that page."""
    return next((page for page in read_pages(path, damages) if number is None or page.number == number), None)


def read_pages(path: Path, damages: Damages) -> Iterator[PageText]:
    """The pages in order, up to the first that is damaged."""
    try:
        handle = open_regular(path)
    except FileNotFoundError:
        return
    except Unreadable as reason:
        damages.set_aside(path, f"the pages of a document could not be opened ({reason})")
        return
    with os.fdopen(handle, "rb") as file:
        for raw in file:
            record = decode_line(raw.rstrip(b"\n")).record
            page = None if record is None else _page(record)
            if page is None:
                damages.set_aside(path, "the pages of a document could not be read")
                return
            yield page


def _page(record: Mapping[str, Any]) -> PageText | None:
    number, text = record.get("number"), record.get("text")
    if not isinstance(text, str) or not (number is None or isinstance(number, int)):
        return None
    return PageText(number, text)
