"""Word documents: headings, paragraphs and tables in the order they stand."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.loaders.port import LoadRefused
from backend.models.documents import PageText

MAX_ENTRIES = 2000
MAX_UNPACKED_BYTES = 100 * 1_048_576
MAX_RATIO = 100
DAMAGED = "The Word document is damaged and cannot be read: save it again as .docx and upload the new file."


class DocxLoader:
    name = "docx"
    extensions = (".docx",)
    content_type = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

    def accepts(self, head: bytes, extension: str) -> bool:
        return extension in self.extensions and head.startswith(b"PK\x03\x04")

    def page_count(self, path: Path) -> int | None:
        return None

    def load(self, path: Path) -> Iterator[PageText]:
        """One text without page number: a .docx has pages only once it is laid out."""
        check_archive(path)
        import docx
        from docx.opc.exceptions import PackageNotFoundError

        try:
            document = docx.Document(str(path))
        except (PackageNotFoundError, zipfile.BadZipFile, KeyError, ValueError):
            raise LoadRefused(DAMAGED) from None
        yield PageText(None, "\n\n".join(_block(block) for block in document.iter_inner_content()))


def _block(block: Any) -> str:
    if not hasattr(block, "rows"):
        style = (block.style.name or "") if block.style is not None else ""
        text = str(block.text).strip()
        if text and style.startswith("Heading"):
            level = style.removeprefix("Heading").strip()
            return f"{'#' * (int(level) if level.isdigit() else 1)} {text}"
        return text
    rows = [[" ".join(cell.text.split()) for cell in row.cells] for row in block.rows]
    if not rows:
        return ""
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + " --- |" * len(rows[0]), *body])


def check_archive(path: Path, main: str = "word/document.xml", what: str = "a Word document") -> None:
    """Refuse bombs before anything is unpacked for use: sizes are counted while inflating, since headers lie.

    `main` is the part that makes the archive `what`. Raises LoadRefused.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES:
                raise LoadRefused("The document holds too many parts to be opened safely.")
            if sum(entry.file_size for entry in entries) > MAX_UNPACKED_BYTES:
                raise LoadRefused("The document unpacks to more than 100 MiB and is refused.")
            if main not in archive.namelist():
                raise LoadRefused(f"The file is named as if it were {what}, but is not {what}.")
            total = 0
            for entry in entries:
                total += _inflated(archive, entry, MAX_UNPACKED_BYTES - total)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, zipfile.LargeZipFile):
        raise LoadRefused(DAMAGED) from None


def _inflated(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: int) -> int:
    size = 0
    tail = b""
    allowed = max(MAX_RATIO * max(entry.compress_size, 1), 65_536)
    is_xml = entry.filename.endswith((".xml", ".rels"))
    with archive.open(entry) as stream:
        while piece := stream.read(65_536):
            size += len(piece)
            if size > budget or size > allowed:
                raise LoadRefused("The document unpacks to far more than it should and is refused.")
            if is_xml:
                window = tail + piece
                if b"<!DOCTYPE" in window or b"<!ENTITY" in window:
                    raise LoadRefused("The document declares XML entities and is refused.")
                tail = piece[-16:]
    return size


LOADER = DocxLoader()
