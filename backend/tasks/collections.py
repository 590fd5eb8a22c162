"""Collections of a user's documents: made, filled, looked at, searched. Vector stores on the wire."""

from __future__ import annotations

import time
from collections.abc import Collection as Several
from collections.abc import Mapping, Sequence
from dataclasses import replace

from backend.models.attribute_filters import Attribute
from backend.models.collections import Batch, Collection, CollectionFile, CollectionStatus, SearchLimits
from backend.models.errors import InvalidRequest, NotFound
from backend.models.run import SERVER, Owner
from backend.storage.collection_store import CollectionStore
from backend.storage.document_store import DocumentStore
from backend.tasks.collection_index import CollectionIndexer, taken_out
from backend.tasks.collection_views import (
    BatchView,
    Changes,
    CollectionView,
    Cursor,
    Draft,
    FileView,
    NewFile,
    counted,
    file_view,
)
from backend.tools.collection_search import PIECES, Homed
from backend.tools.retrieval import Retriever
from backend.tools.retrieval_filters import Narrowing
from backend.tools.retrieval_passages import Passage
from backend.utils.cursor import cursor_page
from backend.utils.ids import timed_id
from backend.vector_store.port import VectorStore

MAX_COLLECTIONS = 1000
MAX_FILES = 10_000
"""Files of one collection."""
TOUCH_SECONDS = 60.0
"""How exactly it is kept when a collection was last searched; writing it each time would cost more than searching."""


class Collections:
    """One instance serves the process. A stranger's id and a missing id raise the same NotFound."""

    def __init__(
        self,
        store: CollectionStore,
        documents: DocumentStore,
        vectors: VectorStore,
        finder: Retriever,
        indexer: CollectionIndexer,
    ) -> None:
        self._store = store
        self._documents = documents
        self._vectors = vectors
        self._finder = finder
        self._indexer = indexer

    # ---- collections -----------------------------------------------------------------------------

    async def create(self, owner: Owner, draft: Draft) -> CollectionView:
        """Raises NotFound for a file that is not there, InvalidRequest above MAX_COLLECTIONS."""
        if len(await self._store.list_collections(owner)) >= MAX_COLLECTIONS:
            raise InvalidRequest(f"There are {MAX_COLLECTIONS} vector stores already: delete one first.")
        await self._check_there(owner, draft.files, "file_ids")
        now = time.time()
        collection = Collection(
            id=timed_id("vs_", now),
            name=draft.name,
            created_at=now,
            last_active_at=now,
            description=draft.description,
            metadata=draft.metadata,
            expires_after_days=draft.expires_after_days,
        )
        collection = _with_files(collection, draft.files, now)
        await self._store.create(owner, collection)
        self._indexer.start(owner, collection)
        return await self.view(owner, collection)

    async def get(self, owner: Owner, collection_id: str) -> CollectionView:
        """Also one that is shared with the owner; so the other reading calls."""
        return await self.view(*await self._store.find(owner, collection_id))

    async def page(self, owner: Owner, cursor: Cursor) -> tuple[list[CollectionView], bool]:
        """Raises InvalidRequest for a cursor that is no collection's id."""
        every = await self._store.list_collections(owner)
        found, more = cursor_page(
            every if cursor.newest_first else every[::-1],
            id_of=lambda each: each.id,
            moment=lambda each: each.created_at,
            newest_first=cursor.newest_first,
            limit=cursor.limit,
            after=cursor.after,
            before=cursor.before,
        )
        return [await self.view(owner, each) for each in found], more

    async def update(self, owner: Owner, collection_id: str, changes: Changes) -> CollectionView:
        def edit(now: Collection) -> Collection:
            days = changes.expires_after_days if changes.sets_expiry else now.expires_after_days
            return replace(
                now,
                name=now.name if changes.name is None else changes.name,
                description=now.description if changes.description is None else changes.description,
                metadata=now.metadata if changes.metadata is None else changes.metadata,
                expires_after_days=days,
                last_active_at=time.time(),
            )

        await self.resolve(owner, [collection_id])
        return await self.view(owner, await self._store.change(owner, collection_id, edit))

    async def delete(self, owner: Owner, collection_id: str) -> None:
        """The documents stay."""
        await self._store.get(owner, collection_id)
        await self._indexer.stop(owner, collection_id)
        await self._store.delete(owner, collection_id)
        await self._vectors.reset(owner, collection=collection_id)

    async def resolve(self, owner: Owner, ids: Sequence[str]) -> list[Homed]:
        """These collections and whose each is. Raises NotFound, InvalidRequest for one that has expired."""
        return await self._finder.resolve(owner, ids)

    # ---- files -----------------------------------------------------------------------------------

    async def attach(self, owner: Owner, collection_id: str, file: NewFile) -> tuple[Collection, FileView]:
        """Put a document in. One that is there is taken anew where its splitting differs or something went wrong."""
        collection, _ = await self._put(owner, collection_id, [file], "file_id", batched=False)
        return collection, await self._file_view(owner, collection, file.file_id)

    async def file(self, owner: Owner, collection_id: str, file_id: str) -> FileView:
        return await self._file_view(*await self._store.find(owner, collection_id), file_id)

    async def files_page(
        self,
        owner: Owner,
        collection_id: str,
        cursor: Cursor,
        status: str | None = None,
        batch_id: str | None = None,
    ) -> tuple[list[FileView], bool]:
        """Files of the collection, or of one of its batches, newest first. Raises InvalidRequest for a bad cursor."""
        owner, collection = await self._store.find(owner, collection_id)
        within = None if batch_id is None else _batch_of(collection, batch_id).file_ids
        views = [view for view in await self._views(owner, collection, within) if status in (None, view.status)]
        views.sort(key=lambda view: view.file.created_at)
        hidden = {file_id: file.created_at for file_id, file in collection.files.items()}
        return cursor_page(
            views[::-1] if cursor.newest_first else views,
            id_of=lambda view: view.file.file_id,
            moment=lambda view: view.file.created_at,
            newest_first=cursor.newest_first,
            limit=cursor.limit,
            after=cursor.after,
            before=cursor.before,
            gone=lambda file_id: collection.gone.get(file_id, hidden.get(file_id)),
        )

    async def set_attributes(
        self, owner: Owner, collection_id: str, file_id: str, attributes: Mapping[str, Attribute]
    ) -> FileView:
        """Replace all attributes."""
        await self.file(owner, collection_id, file_id)

        def edit(now: Collection) -> Collection:
            if file_id not in now.files:
                raise _no_file()
            return now.with_file(replace(now.files[file_id], attributes=attributes))

        return await self._file_view(owner, await self._store.change(owner, collection_id, edit), file_id)

    async def detach(self, owner: Owner, collection_id: str, file_id: str) -> None:
        """Take a document out; the document stays."""
        await self.file(owner, collection_id, file_id)
        await self._store.change(owner, collection_id, lambda now: taken_out(now, file_id))
        await self._vectors.delete(owner, file_id, collection=collection_id)

    async def content(self, owner: Owner, collection_id: str, file_id: str) -> list[str]:
        """The text of the file, as it is cut for the search. Empty until it is read."""
        owner, collection = await self._store.find(owner, collection_id)
        view = await self._file_view(owner, collection, file_id)
        if view.status != "completed":
            return []
        if view.file.chunking is None:
            return [page.text for page in await self._documents.pages(owner, file_id) if page.text]
        chunks: dict[int, str] = {}
        for chunk in await self._vectors.chunks(owner, file_id, collection=collection_id):
            number = chunk.index // PIECES
            chunks[number] = chunks.get(number, "") + chunk.text
        return list(chunks.values())

    # ---- batches ---------------------------------------------------------------------------------

    async def attach_all(self, owner: Owner, collection_id: str, files: Sequence[NewFile], param: str) -> BatchView:
        """Put several documents in, known together as a batch."""
        collection, batch = await self._put(owner, collection_id, files, param, batched=True)
        assert batch is not None
        return await self._batch_view(owner, collection, batch)

    async def batch(self, owner: Owner, collection_id: str, batch_id: str) -> BatchView:
        collection = await self._store.get(owner, collection_id)
        return await self._batch_view(owner, collection, _batch_of(collection, batch_id))

    async def cancel_batch(self, owner: Owner, collection_id: str, batch_id: str) -> BatchView:
        """Give up those of its files that are not done; what is done stays."""
        collection = await self._store.get(owner, collection_id)
        views = await self._views(owner, collection, _batch_of(collection, batch_id).file_ids)
        undone = [view.file.file_id for view in views if view.status == "in_progress"]

        def edit(now: Collection) -> Collection:
            batch = _batch_of(now, batch_id)
            for file_id in undone:
                file = now.files.get(file_id)
                if file is not None and file.state == "waiting":
                    now = now.with_file(replace(file, state="cancelled"))
            return now.with_batch(replace(batch, cancelled=True)) if undone else now

        collection = await self._store.change(owner, collection_id, edit)
        return await self._batch_view(owner, collection, _batch_of(collection, batch_id))

    # ---- searching and looking after them ------------------------------------------------------------

    async def search(
        self, owner: Owner, collection_id: str, queries: Sequence[str], limits: SearchLimits
    ) -> list[Passage]:
        """What fits any of the queries best, best first. Raises NotFound, InvalidRequest when it has expired."""
        ((home, collection),) = await self.resolve(owner, [collection_id])
        if time.time() - collection.last_active_at > TOUCH_SECONDS:
            await self._store.change(home, collection_id, lambda now: replace(now, last_active_at=time.time()))
        await self._indexer.renew(home, collection)
        limit, wanted = limits.max_results or 10, Narrowing(collections=(collection_id,), limits=limits)
        best: dict[tuple[str, str], Passage] = {}
        for query in queries:
            found = await self._finder.search(owner, query, limit, wanted, join=False, floor=False)
            for passage in found.passages:
                key = (passage.chunk.file_id, passage.chunk.text)
                if key not in best or best[key].score < passage.score:
                    best[key] = passage
        return sorted(best.values(), key=lambda passage: -passage.score)[:limit]

    async def forget(self, owner: Owner, file_id: str) -> None:
        """A document is to go: take it out of every collection."""
        for collection in await self._store.list_collections(owner):
            if file_id in collection.files:
                await self._store.change(owner, collection.id, lambda now: taken_out(now, file_id))
                await self._vectors.delete(owner, file_id, collection=collection.id)

    async def sweep(self) -> None:
        """Empty the collections that have expired; they stay known."""
        now = time.time()
        for owner, collection in await self._store.everyones(SERVER):
            if collection.is_expired(now) and collection.files:
                await self._store.change(owner, collection.id, lambda each: replace(each, files={}))
                await self._vectors.reset(owner, collection=collection.id)

    async def resume(self) -> None:
        await self._indexer.resume()

    async def idle(self, owner: Owner, collection_id: str) -> None:
        """Wait until nothing goes on with the collection's own index."""
        await self._indexer.settled(owner, collection_id)

    async def aclose(self) -> None:
        await self._indexer.aclose()

    # ---- inside ----------------------------------------------------------------------------------

    async def view(self, owner: Owner, collection: Collection) -> CollectionView:
        views = await self._views(owner, collection)
        counts = counted(views)
        status: CollectionStatus = "in_progress" if counts["in_progress"] else "completed"
        if collection.is_expired(time.time()):
            status = "expired"
        return CollectionView(collection, status, counts, sum(view.usage_bytes for view in views))

    async def _put(
        self, owner: Owner, collection_id: str, files: Sequence[NewFile], param: str, *, batched: bool
    ) -> tuple[Collection, Batch | None]:
        await self.resolve(owner, [collection_id])
        await self._check_there(owner, files, param)
        now = time.time()
        ids = tuple(dict.fromkeys(file.file_id for file in files))
        batch = Batch(timed_id("vsfb_", now), now, ids) if batched else None

        def edit(before: Collection) -> Collection:
            after = replace(_with_files(before, files, now), last_active_at=now)
            return after if batch is None else after.with_batch(batch)

        collection = await self._store.change(owner, collection_id, edit)
        self._indexer.start(owner, collection)
        return collection, batch

    async def _check_there(self, owner: Owner, files: Sequence[NewFile], param: str) -> None:
        wanted = {file.file_id for file in files}
        if wanted - (await self._documents.get_many(owner, wanted)).keys():
            raise _no_file(param)

    async def _views(self, owner: Owner, collection: Collection, within: Several[str] | None = None) -> list[FileView]:
        """The files as they are now, oldest first; those whose document is gone are not there any more."""
        wanted = [file for file_id, file in collection.files.items() if within is None or file_id in within]
        there = await self._documents.get_many(owner, {file.file_id for file in wanted})
        return [file_view(file, there[file.file_id]) for file in wanted if file.file_id in there]

    async def _file_view(self, owner: Owner, collection: Collection, file_id: str) -> FileView:
        views = await self._views(owner, collection, [file_id])
        if not views:
            raise _no_file()
        return views[0]

    async def _batch_view(self, owner: Owner, collection: Collection, batch: Batch) -> BatchView:
        counts = counted(await self._views(owner, collection, set(batch.file_ids)))
        if batch.cancelled:
            return BatchView(collection, batch, "cancelled", counts)
        return BatchView(collection, batch, "in_progress" if counts["in_progress"] else "completed", counts)


def _with_files(collection: Collection, files: Sequence[NewFile], now: float) -> Collection:
    """The collection with these put in. Raises InvalidRequest above MAX_FILES."""
    merged = dict(collection.files)
    for number, new in enumerate(files):
        before = merged.get(new.file_id)
        attributes = new.attributes if new.attributes is not None else before.attributes if before is not None else {}
        if before is not None and before.chunking == new.chunking and before.state in ("waiting", "indexed"):
            merged[new.file_id] = replace(before, attributes=attributes)
            continue
        # Each has a time of its own, so that a list of them has one order.
        since = now + number * 1e-6 if before is None else before.created_at
        merged[new.file_id] = CollectionFile(new.file_id, since, new.chunking, attributes)
    if len(merged) > MAX_FILES:
        raise InvalidRequest(f"A vector store holds at most {MAX_FILES} files.", code="invalid_value")
    return replace(collection, files=merged)


def _batch_of(collection: Collection, batch_id: str) -> Batch:
    for batch in collection.batches:
        if batch.id == batch_id:
            return batch
    raise NotFound("There is no file batch with this id.")


def _no_file(param: str | None = None) -> NotFound:
    return NotFound("There is no file with this id.", param=param)
