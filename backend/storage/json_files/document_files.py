"""The files of a document: what is known of it, its pages, and removing them. Blocking."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import orjson

from backend.models.documents import Document, Form, PageText, Unit
from backend.models.errors import StorageFailed
from backend.storage.json_files.append_log import decode_line, encode_line
from backend.storage.json_files.atomic import Unreadable, open_regular, read_file, sync_folder, write_atomic
from backend.storage.json_files.damages import Damages, belongs_to
from backend.storage.json_files.upload import Upload
from backend.utils.ids import is_safe_id

META_SUFFIX = ".json"
TEXT_SUFFIX = ".text.jsonl"
INCOMING = ".incoming"
"""A folder in the owner's for what has no place yet, so that its coming and going does not look like a change."""
DELETED_SUFFIX = ".deleted"
VERSION = 1
_PAGES_BYTES = 262_144
_UNITS, _FORMS = get_args(Unit), get_args(Form)


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
        waiting += encode_line(asdict(page))
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
    number, text, label = record.get("number"), record.get("text"), record.get("label", "")
    unit, form = record.get("unit", "page"), record.get("form", "plain")
    if not (isinstance(text, str) and isinstance(label, str) and (number is None or isinstance(number, int))):
        return None
    if unit not in _UNITS or form not in _FORMS:
        return None
    return PageText(number, text, unit, label, form, record.get("scanned") is True)
