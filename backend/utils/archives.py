"""Zip archives from strangers: what they unpack to is counted before anything in them is used."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

MAX_ENTRIES = 2000
MAX_UNPACKED_BYTES = 100 * 1_048_576
MAX_RATIO = 100
"""Bytes that a packed byte may become."""
PIECE = 65_536
XML_PARTS = (".xml", ".rels", ".vml", ".opf", ".ncx", ".xhtml", ".html", ".htm", ".svg")
READ_AS_HTML = (".xhtml", ".html", ".htm")
"""Parts that no XML parser sees."""
ENCODINGS = re.compile(rb"utf-?(8|16|16le|16be)|us-ascii|ascii|iso-8859-[0-9]+|windows-125[0-9]", re.IGNORECASE)
"""Encodings in which a declaration of entities is seen as the ASCII letters that it is, zeros left out."""
_DECLARED = re.compile(rb"""^[^>]{0,200}?\bencoding\s*=\s*["']([^"']{0,60})["']""")

Watch = Callable[[str, bytes], None]
"""Called with the name of a part and each piece of it."""


class UnsafeArchive(ValueError):
    """The archive is damaged, too large, or not what it is named; the text is a sentence for the user."""


def check_archive(
    path: Path, main: str | None, what: str, *, doctypes: bool = False, watch: Watch | None = None
) -> None:
    """Inflate every part once, counting: the sizes in the headers may lie.

    Args:
        path: The archive.
        main: The part that makes the archive `what`, e.g. `xl/workbook.xml`; None where it has no fixed name.
        what: e.g. `an Excel workbook`.
        doctypes: Whether a bare document type is allowed, as every older XHTML file has one; entities never are.
        watch: Sees every piece as it is counted, and may refuse by raising UnsafeArchive.

    Raises:
        UnsafeArchive: too many parts, too much in them, XML entities, a password, or no such archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES:
                raise UnsafeArchive("The file holds too many parts to be opened safely.")
            if main is not None and main not in archive.namelist():
                raise UnsafeArchive(f"The file is named like {what} but is something else.")
            if any(entry.flag_bits & 1 for entry in entries):
                raise UnsafeArchive("The file is protected by a password: save a copy without one and upload that.")
            total = 0
            for entry in entries:
                total += _inflated(archive, entry, MAX_UNPACKED_BYTES - total, doctypes, watch)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError, RuntimeError, OSError, zlib.error):
        raise UnsafeArchive(f"The file is damaged and cannot be read as {what}: save it again and upload it.") from None


def _inflated(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: int, doctypes: bool, watch: Watch | None
) -> int:
    size = 0
    tail = b""
    allowed = max(MAX_RATIO * max(entry.compress_size, 1), PIECE)
    is_xml = entry.filename.lower().endswith(XML_PARTS)
    with archive.open(entry) as stream:
        while piece := stream.read(PIECE):
            if is_xml and not size and not entry.filename.lower().endswith(READ_AS_HTML):
                _refuse_disguise(piece)
            size += len(piece)
            if size > budget or size > allowed:
                raise UnsafeArchive("The file unpacks to far more than it should and is refused.")
            if is_xml:
                # In UTF-16 every second byte of the word is a zero.
                window = tail + piece.replace(b"\x00", b"")
                if b"<!ENTITY" in window or (not doctypes and b"<!DOCTYPE" in window):
                    raise UnsafeArchive("The file declares XML entities and is refused.")
                tail = window[-16:]
            if watch is not None:
                watch(entry.filename, piece)
    return size


def _refuse_disguise(head: bytes) -> None:
    """XML in an encoding such as UTF-7 or EBCDIC could declare entities in letters of its own."""
    plain = head[:512].replace(b"\x00", b"")
    declared = _DECLARED.match(plain)
    starts = plain.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")[:1]
    if starts == b"\x4c" or (declared and not ENCODINGS.fullmatch(declared[1].strip())):
        raise UnsafeArchive("The file has a part in an encoding that is not used there and is refused.")
