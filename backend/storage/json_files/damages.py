"""What could not be read: set aside under another name, logged, and listed for the operator."""

from __future__ import annotations

import logging
import re
import secrets
import time
from pathlib import Path

from backend.storage.json_files.atomic import sync_folder, write_atomic

logger = logging.getLogger(__name__)

_SET_ASIDE = re.compile(r"\.(?:damaged|corrupt)-\d{8}T\d{6}-[0-9a-f]{6}$")


class Damages:
    """The register of one data folder. Entries vanish when the operator has removed or restored the file."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._paths: set[Path] = set()

    def set_aside(self, path: Path, why: str) -> None:
        """Move a whole file (or whatever stands in its place) out of the way: `{name}.damaged-{time}`."""
        target = _beside(path, "damaged")
        path.rename(target)
        sync_folder(path.parent)
        self._note(target, why)

    def keep_copy(self, path: Path, bad: bytes, why: str) -> None:
        """Keep unreadable parts of a file that otherwise lives on: `{name}.corrupt-{time}`."""
        target = _beside(path, "corrupt")
        write_atomic(target, bad)
        self._note(target, why)

    def found(self, path: Path) -> None:
        """Take up a file that an earlier process set aside."""
        self._paths.add(path)

    def listing(self) -> list[str]:
        """Paths relative to the data folder, sorted."""
        for path in tuple(self._paths):
            if not path.exists() and not path.is_symlink():
                self._paths.discard(path)
        return sorted(self._shown(path) for path in tuple(self._paths))

    def _shown(self, path: Path) -> str:
        return str(path.relative_to(self._data_dir)) if path.is_relative_to(self._data_dir) else path.name

    def _note(self, target: Path, why: str) -> None:
        self._paths.add(target)
        logger.error("damaged file: %s; what it held is kept in %s", why, self._shown(target))


def is_set_aside(name: str) -> bool:
    """Whether a file name is one that this module gives."""
    return _SET_ASIDE.search(name) is not None


def belongs_to(name: str, original: str) -> bool:
    """Whether a file name is that of something set aside from the file called `original`."""
    return name.startswith(f"{original}.") and is_set_aside(name)


def _beside(path: Path, kind: str) -> Path:
    moment = time.strftime("%Y%m%dT%H%M%S", time.gmtime())
    return path.with_name(f"{path.name}.{kind}-{moment}-{secrets.token_hex(3)}")
