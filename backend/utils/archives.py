"""Zip archives from strangers: what they unpack to is counted before anything in them is used."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

MAX_ENTRIES = 2000
MAX_UNPACKED_BYTES = 100 * 1_048_576
MAX_RATIO = 100
"""Bytes that a packed byte may become."""
PIECE = 65_536


class UnsafeArchive(ValueError):
    """The archive is damaged, too large, or not what it is named; the text is a sentence for the user."""


def check_archive(path: Path, main: str, what: str) -> None:
    """Inflate every part once, counting: the sizes in the headers may lie.

    Args:
        path: The archive.
        main: The part that makes the archive `what`, e.g. `xl/workbook.xml`.
        what: e.g. `an Excel workbook`.

    Raises:
        UnsafeArchive: too many parts, too much in them, XML entities, or no such archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES:
                raise UnsafeArchive("The file holds too many parts to be opened safely.")
            if main not in archive.namelist():
                raise UnsafeArchive(f"The file is named like {what} but is something else.")
            total = 0
            for entry in entries:
                total += _inflated(archive, entry, MAX_UNPACKED_BYTES - total)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, RuntimeError, OSError, zlib.error):
        raise UnsafeArchive(f"The file is damaged and cannot be read as {what}: save it again and upload it.") from None


def _inflated(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: int) -> int:
    size = 0
    tail = b""
    allowed = max(MAX_RATIO * max(entry.compress_size, 1), PIECE)
    is_xml = entry.filename.lower().endswith((".xml", ".rels", ".vml"))
    with archive.open(entry) as stream:
        while piece := stream.read(PIECE):
            size += len(piece)
            if size > budget or size > allowed:
                raise UnsafeArchive("The file unpacks to far more than it should and is refused.")
            if is_xml:
                window = tail + piece
                if b"<!DOCTYPE" in window or b"<!ENTITY" in window:
                    raise UnsafeArchive("The file declares XML entities and is refused.")
                tail = piece[-16:]
    return size
