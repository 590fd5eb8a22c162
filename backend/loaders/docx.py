"""Word documents: headings, paragraphs and tables in the order they stand."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.loaders.office import refuse_unsafe
from backend.loaders.port import LoadRefused
from backend.models.documents import PageText

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
        refuse_unsafe(path, "word/document.xml", "a Word document")
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


LOADER = DocxLoader()
