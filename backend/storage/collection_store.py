"""Port for collections: which of their documents users search together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from backend.models.collections import Collection
from backend.models.run import Owner


class CollectionStore(Protocol):
    """Collections of one owner, and those that others let the owner read. A stranger's id and a missing id raise the
    same NotFound. Only `find` and `shared_with` give what is another's.
    """

    async def create(self, owner: Owner, collection: Collection) -> None:
        """Keep a new one under its id, which is server-made."""
        ...

    async def get(self, owner: Owner, collection_id: str) -> Collection:
        """Raises NotFound. From memory as long as nobody changed it."""
        ...

    async def list_collections(self, owner: Owner) -> list[Collection]:
        """All of them, newest first."""
        ...

    async def change(self, owner: Owner, collection_id: str, edit: Callable[[Collection], Collection]) -> Collection:
        """Read, edit and replace in one piece, whoever else wants to; the collection as it is then.

        `edit` runs in a thread and keeps the id; what it raises is raised and nothing is changed. Giving back the
        very same collection writes nothing. Raises NotFound.
        """
        ...

    async def delete(self, owner: Owner, collection_id: str) -> None:
        """Raises NotFound."""
        ...

    async def share(self, owner: Owner, collection_id: str, readers: Sequence[str]) -> Collection:
        """Let these users (ids of the owner's tenant), and no others, read it; the collection as it is then.

        Raises NotFound.
        """
        ...

    async def find(self, owner: Owner, collection_id: str) -> tuple[Owner, Collection]:
        """A collection that the owner may read, and whose it is. Raises NotFound."""
        ...

    async def shared_with(self, owner: Owner) -> list[tuple[Owner, Collection]]:
        """What others let the owner read, newest first."""
        ...

    async def everyones(self, owner: Owner) -> list[tuple[Owner, Collection]]:
        """SERVER only: collections of all owners, oldest first."""
        ...
