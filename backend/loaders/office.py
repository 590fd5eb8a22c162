"""What the loaders of Office formats, which are zip archives, have in common."""

from __future__ import annotations

from pathlib import Path

from backend.loaders.port import LoadRefused
from backend.utils.archives import UnsafeArchive, check_archive


def refuse_unsafe(path: Path, main: str, what: str) -> None:
    """Check an archive before anything is unpacked for use, see check_archive. Raises LoadRefused."""
    try:
        check_archive(path, main, what)
    except UnsafeArchive as error:
        raise LoadRefused(str(error)) from None
