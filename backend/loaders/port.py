"""The port every loader implements. Loaders run inside the worker process, under its limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from backend.models.documents import PageText


class LoadRefused(Exception):
    """The file cannot be read; the message is one sentence for the person who uploaded it."""


class Loader(Protocol):
    """Reads one format. A loader is one file in this folder with a module-level `LOADER`."""

    name: str
    """e.g. `pdf`."""
    extensions: tuple[str, ...]
    """Lower case, with the dot."""
    content_type: str

    def accepts(self, head: bytes, extension: str) -> bool:
        """Whether content (the first 8 KiB) and extension together are this format."""
        ...

    def load(self, path: Path) -> Iterator[PageText]:
        """Pages in order, as they are read. Raises LoadRefused with a sentence for the user."""
        ...

    def page_count(self, path: Path) -> int | None:
        """Number of pages if cheap to know, for progress; None otherwise."""
        ...
