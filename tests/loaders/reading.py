"""What the tests of loaders share: a file out of bytes, the pages out of a file, archives made by hand."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from backend.loaders.port import Loader
from backend.models.documents import PageText


def pages_of(loader: Loader, folder: Path, content: bytes) -> list[PageText]:
    """What a loader reads out of a file without an extension, as stored files are."""
    path = folder / "file"
    path.write_bytes(content)
    assert loader.accepts(content[:8192], loader.extensions[0]), "the loader does not take the file"
    loader.page_count(path)
    return list(loader.load(path))


def text_of(loader: Loader, folder: Path, content: bytes) -> str:
    (page,) = pages_of(loader, folder, content)
    return page.text


def archive(entries: Mapping[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries.items():
            made.writestr(name, content)
    return out.getvalue()
