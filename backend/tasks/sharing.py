"""Collections that their owner lets other users search and read, and whose documents those are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backend.models.collections import Collection
from backend.models.documents import Document
from backend.models.errors import InvalidRequest, NotFound
from backend.models.run import SERVER, Owner
from backend.storage.collection_store import CollectionStore
from backend.storage.document_store import DocumentStore
from backend.storage.user_store import UserStore

MAX_READERS = 200


@dataclass(frozen=True, slots=True)
class SharedView:
    """A collection as a user sees it. `owner` and `readers` are user names; `readers` only for the owner."""

    collection: Collection
    mine: bool
    owner: str
    readers: tuple[str, ...] = ()


class Sharing:
    """Nothing is shared until its owner names somebody; readers can change nothing."""

    def __init__(self, collections: CollectionStore, documents: DocumentStore, users: UserStore) -> None:
        self._collections = collections
        self._documents = documents
        self._users = users

    async def listed(self, owner: Owner) -> list[SharedView]:
        """The owner's collections and those of others that the owner may read, newest first."""
        names = await self._names()
        found = [self._mine(each, owner, names) for each in await self._collections.list_collections(owner)]
        for home, collection in await self._collections.shared_with(owner):
            if home.user in names:
                found.append(SharedView(collection, False, names[home.user]))
        return sorted(found, key=lambda view: view.collection.created_at, reverse=True)

    async def set_readers(self, owner: Owner, collection_id: str, usernames: Sequence[str]) -> SharedView:
        """Let these users, and no others, read it. Raises NotFound (collection), InvalidRequest (user, too many)."""
        await self._collections.get(owner, collection_id)
        if len(usernames) > MAX_READERS:
            raise InvalidRequest(f"A collection can be shared with at most {MAX_READERS} users.", param="users")
        readers: list[str] = []
        for name in usernames:
            user = await self._users.find_user(SERVER, name)
            if user is None or user.disabled:
                raise InvalidRequest(f"There is no user named {name[:64]!r}.", param="users", code="invalid_value")
            readers.append(user.id)
        collection = await self._collections.share(owner, collection_id, readers)
        return self._mine(collection, owner, await self._names())

    async def document(self, owner: Owner, file_id: str) -> tuple[Owner, Document]:
        """A document that the owner may read, and whose it is. Raises NotFound."""
        try:
            return owner, await self._documents.get(owner, file_id)
        except NotFound as missing:
            for home, collection in await self._collections.shared_with(owner):
                if file_id in collection.files and collection.files[file_id].state != "cancelled":
                    return home, await self._documents.get(home, file_id)
            raise missing

    async def _names(self) -> dict[str, str]:
        return {user.id: user.username for user in await self._users.list_users(SERVER)}

    @staticmethod
    def _mine(collection: Collection, owner: Owner, names: dict[str, str]) -> SharedView:
        readers = tuple(sorted(names[reader] for reader in collection.readers if reader in names))
        return SharedView(collection, True, names.get(owner.user, ""), readers)
