"""The one place that turns owners and ids into paths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backend.models.errors import NotFound
from backend.models.run import DEFAULT_TENANT, SERVER, Owner
from backend.utils.ids import is_safe_id


def missing(what: str) -> NotFound:
    """The answer for an id that does not exist, and, word for word, for a stranger's."""
    return NotFound(f"There is no {what} with this id.")


def is_server(owner: Owner) -> bool:
    """Whether the server acts for itself within a tenant."""
    return owner.user == SERVER.user


@dataclass(frozen=True, slots=True)
class Area:
    """The folder of one kind of thing: `{root}/{user}/`, and `{root}/{tenant}/{user}/` for other tenants.

    `root` is absolute and resolved; `what` names the thing in messages.
    """

    root: Path
    what: str

    def folder(self, owner: Owner) -> Path:
        """The owner's folder, which need not exist yet. Raises NotFound for parts that are no ids."""
        return self._build(owner)

    def file(self, owner: Owner, name: str, suffix: str = "") -> Path:
        """A file of the owner; `name` is an id, `suffix` ours. Raises NotFound when `name` cannot be an id."""
        return self._build(owner, name, suffix)

    def _build(self, owner: Owner, name: str | None = None, suffix: str = "") -> Path:
        parts = [owner.user] if owner.tenant == DEFAULT_TENANT else [owner.tenant, owner.user]
        if not all(is_safe_id(part) for part in [owner.tenant, *parts, *([] if name is None else [name])]):
            raise missing(self.what)
        folder = self.root
        for part in parts:
            folder = folder / part
            # A link planted in the data folder must not lead anywhere; the last part is opened with O_NOFOLLOW.
            if folder.is_symlink():
                raise missing(self.what)
        return folder if name is None else folder / f"{name}{suffix}"

    def owners(self) -> Iterator[tuple[Owner, Path]]:
        """Every owner with a folder, of every tenant."""
        for folder in _folders(self.root):
            yield Owner(DEFAULT_TENANT, folder.name), folder
            for inner in _folders(folder):
                yield Owner(folder.name, inner.name), inner


def _folders(parent: Path) -> list[Path]:
    if not parent.is_dir():
        return []
    found = [entry for entry in parent.iterdir() if is_safe_id(entry.name)]
    return sorted(entry for entry in found if entry.is_dir() and not entry.is_symlink())
