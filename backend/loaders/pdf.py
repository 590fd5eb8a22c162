"""PDF, page by page, with pypdf."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.loaders.port import LoadRefused
from backend.models.documents import PageText

MAX_PAGES = 1000


class PdfLoader:
    name = "pdf"
    extensions = (".pdf",)
    content_type = "application/pdf"

    def accepts(self, head: bytes, extension: str) -> bool:
        """The marker may stand anywhere in the first KiB (ISO 32000-1, Annex H, note 13)."""
        return extension in self.extensions and b"%PDF-" in head[:1024]

    def page_count(self, path: Path) -> int | None:
        return len(_open(path).pages)

    def load(self, path: Path) -> Iterator[PageText]:
        reader = _open(path)
        for number, page in enumerate(reader.pages, start=1):
            yield PageText(number, page.extract_text())


def _open(path: Path) -> Any:
    from pypdf import PasswordType, PdfReader
    from pypdf.errors import PdfReadError

    try:
        reader = PdfReader(path, strict=False)
        # Many PDFs are encrypted with an empty user password: anyone may read them.
        if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
            raise LoadRefused("The PDF is protected by a password: save a copy without one and upload that.")
        pages = len(reader.pages)
    except (PdfReadError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise LoadRefused("The PDF is damaged and cannot be read: export it again and upload the new file.") from None
    if pages > MAX_PAGES:
        raise LoadRefused(f"The PDF has {pages} pages and at most {MAX_PAGES} are allowed: split it.")
    if pages == 0:
        raise LoadRefused("The PDF has no pages.")
    return reader


LOADER = PdfLoader()
