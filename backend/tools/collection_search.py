"""Where a search looks: which documents of which collections count, whose they are, and in which index each is."""

from __future__ import annotations

import time
from collections.abc import Collection as Several
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from backend.models.attribute_filters import Attribute, Filter, matches
from backend.models.collections import Collection
from backend.models.errors import InvalidRequest
from backend.models.run import Owner
from backend.storage.collection_store import CollectionStore
from backend.storage.document_store import DocumentStore

PIECES = 1024
"""A chunk of a collection's own index is stored in pieces that the embedder reads whole; piece p of chunk c has the
index c * PIECES + p, and the pieces put together are the chunk."""

Key = TypeVar("Key", bound=Hashable)
Homed = tuple[Owner, Collection]
"""A collection and whose it is: documents and indexes of a shared one are its owner's."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Where is searched: ids of documents by owner in that owner's main index, and by owner and collection in the
    collection's own index."""

    main: Mapping[Owner, frozenset[str]] = field(default_factory=dict)
    own: Mapping[tuple[Owner, str], frozenset[str]] = field(default_factory=dict)
    attributes: Mapping[str, Mapping[str, Attribute]] = field(default_factory=dict)
    """By document."""

    @property
    def files(self) -> frozenset[str]:
        return frozenset().union(*self.main.values(), *self.own.values())

    @property
    def by_owner(self) -> dict[Owner, frozenset[str]]:
        """The documents, whichever index they are in."""
        found = dict(self.main)
        for (home, _), ids in self.own.items():
            found[home] = found.get(home, frozenset()) | ids
        return found

    def within(self, file_ids: Several[str]) -> Scope:
        """Only these of them."""
        wanted = frozenset(file_ids)
        return Scope(_kept(self.main, wanted), _kept(self.own, wanted), self.attributes)


def _kept(indexes: Mapping[Key, frozenset[str]], wanted: frozenset[str]) -> dict[Key, frozenset[str]]:
    return {key: kept for key, ids in indexes.items() if (kept := ids & wanted)}


async def resolve(store: CollectionStore, owner: Owner, ids: Iterable[str]) -> list[Homed]:
    """The collections with these ids, the owner's or shared with the owner.

    Raises NotFound, InvalidRequest for one that has expired.
    """
    found: list[Homed] = []
    for collection_id in ids:
        home, collection = await store.find(owner, collection_id)
        if collection.is_expired(time.time()):
            raise InvalidRequest("The vector store has expired: make another.", code="vector_store_expired")
        found.append((home, collection))
    return found


async def scope_of(
    documents: DocumentStore,
    owner: Owner,
    collections: Sequence[Homed],
    wanted: Filter | None = None,
    files: Several[str] = (),
) -> Scope:
    """The documents of these collections that can be searched now and pass the filter, and the owner's `files`."""
    members = [(home, each.id, file) for home, each in collections for file in each.files.values()]
    asked: dict[Owner, set[str]] = {owner: set(files)}
    for home, _, file in members:
        asked.setdefault(home, set()).add(file.file_id)
    ready = {
        (home, file_id)
        for home, ids in asked.items()
        for file_id, document in (await documents.get_many(home, ids)).items()
        if document.status == "ready"
    }
    main: dict[Owner, set[str]] = {owner: {file_id for file_id in files if (owner, file_id) in ready}}
    own: dict[tuple[Owner, str], set[str]] = {}
    attributes: dict[str, Mapping[str, Attribute]] = {}
    for home, collection_id, file in members:
        there = (home, file.file_id) in ready and file.state != "cancelled"
        if not there or not matches(wanted, file.attributes):
            continue
        if file.chunking is None:
            main.setdefault(home, set()).add(file.file_id)
        elif file.state == "indexed":
            own.setdefault((home, collection_id), set()).add(file.file_id)
        else:
            continue
        attributes.setdefault(file.file_id, file.attributes)
    return Scope(
        {home: frozenset(ids) for home, ids in main.items() if ids},
        {key: frozenset(ids) for key, ids in own.items()},
        attributes,
    )


async def names_in(
    store: CollectionStore,
    documents: DocumentStore,
    owner: Owner,
    files: Several[str] | None,
    collection_ids: Sequence[str],
    wanted: Filter | None = None,
) -> tuple[str, ...]:
    """File names of the ready documents that a run limited to these may know of, newest first, the owner's own first.

    Raises NotFound, InvalidRequest for a collection that has expired.
    """
    if not collection_ids:
        return await documents.ready_names(owner, files=files)
    found = await resolve(store, owner, collection_ids)
    return await names_of(documents, owner, await scope_of(documents, owner, found, wanted, files or ()))


async def names_of(documents: DocumentStore, owner: Owner, scope: Scope) -> tuple[str, ...]:
    """File names of the documents in a scope."""
    homes = scope.by_owner
    order = sorted(homes, key=lambda home: home != owner)
    return tuple([name for home in order for name in await documents.ready_names(home, files=homes[home])])
