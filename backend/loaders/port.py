"""The port every loader implements. Loaders run inside the worker process, under its limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

from backend.models.documents import PageText
from backend.models.errors import UnsupportedFile

HEAD_BYTES = 8192
"""What of a file tells its kind."""
SHOWN_CHARS = 20
MOST_KINDS = 24
"""Extensions named to somebody whose file cannot be read; of each loader the first if they are more."""
NEWER = {
    ".doc": ".docx",
    ".dot": ".docx",
    ".xls": ".xlsx",
    ".ppt": ".pptx",
    ".pps": ".pptx",
    ".pages": ".docx or .pdf",
    ".numbers": ".xlsx",
    ".key": ".pptx or .pdf",
    ".msg": ".eml",
    ".mobi": ".epub",
    ".azw3": ".epub",
}
"""What files of kinds that cannot be read safely are to be saved as."""


class LoadRefused(Exception):
    """The file cannot be read; the message is one sentence for the person who uploaded it."""


class Loader(Protocol):
    """Reads one format. A loader is one file in this folder with a module-level `LOADER`.

    Files without an extension are its own if it has `filenames: tuple[str, ...]`, whole names in lower case, and
    theirs is one of them, e.g. `dockerfile`.
    """

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


def find_loader(loaders: Sequence[Loader], filename: str, head: bytes) -> Loader:
    """The loader for a file of this name that begins with `head` (HEAD_BYTES of it).

    Raises UnsupportedFile with a sentence for the person who uploaded it.
    """
    name = PurePosixPath(filename).name.lower()
    extension = PurePosixPath(name).suffix
    known = [each for each in loaders if extension in each.extensions or name in getattr(each, "filenames", ())]
    for loader in known:
        if loader.accepts(head, extension):
            return loader
    if known:
        what = f"named {extension}" if extension else f"called {filename[:SHOWN_CHARS]}"
        raise UnsupportedFile(f"The file is {what} but its content is something else: check the file.")
    what = f"{extension[:SHOWN_CHARS]} files" if extension else "files without an extension"
    if extension in NEWER:
        raise UnsupportedFile(f"Hearth cannot read {what}: save it as {NEWER[extension]} and upload that.")
    raise UnsupportedFile(f"Hearth cannot read {what}: upload one of {', '.join(_kinds(loaders))}.")


def _kinds(loaders: Sequence[Loader]) -> list[str]:
    every = sorted({extension for loader in loaders for extension in loader.extensions})
    return every if len(every) <= MOST_KINDS else sorted({loader.extensions[0] for loader in loaders})
