"""A file on its way in: written under a temporary name, then given its place or thrown away. Blocking."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from backend.storage.json_files.atomic import open_temporary, remove_quietly, sync_folder, write_all


class Upload:
    """`discard` is right at any time, before `open` and after `keep` too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle: int | None = None
        self._path: Path | None = None
        self._hash = hashlib.sha256()
        self.size = 0
        self._synced = False

    @property
    def sha256(self) -> str:
        """Of what was written so far, hex."""
        return self._hash.hexdigest()

    @property
    def is_open(self) -> bool:
        """Whether there is anything to discard."""
        return self._handle is not None

    def open(self) -> None:
        self._handle, self._path = open_temporary(self._folder)

    def write(self, data: bytes) -> None:
        assert self._handle is not None
        write_all(self._handle, data)
        self._hash.update(data)
        self.size += len(data)
        self._synced = False

    def sync(self) -> None:
        """Put the bytes on the disk."""
        assert self._handle is not None
        if not self._synced:
            os.fsync(self._handle)
            self._synced = True

    def keep(self, place: Path) -> None:
        """Give the bytes their place, replacing what is there."""
        assert self._path is not None
        self.sync()
        self._path.rename(place)
        self._path = None
        sync_folder(place.parent)

    def discard(self) -> None:
        """Remove what has no place."""
        if self._path is not None:
            remove_quietly(self._path)
            self._path = None
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
