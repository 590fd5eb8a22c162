"""Ingestion and collections over fakes, for tests of what is done with files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from backend.bootstrap import create_collections, discover_loaders
from backend.config.settings import Settings
from backend.embeddings.port import Embedders
from backend.models.collections import Chunking
from backend.models.documents import Document, Terms
from backend.models.run import DEFAULT_TENANT, Owner
from backend.storage.stores import Stores
from backend.tasks.collection_views import CollectionView, Draft, FileView, NewFile
from backend.tasks.collections import Collections
from backend.tasks.ingest_task import IngestTask
from backend.tasks.partial_uploads import PartialUploads
from backend.tasks.table_import import TableImport
from backend.vector_store.port import VectorStore
from backend.workers.port import Worker
from tests.fakes.embedder import HashEmbedder
from tests.fakes.stores import fake_stores
from tests.fakes.vector_store import InMemoryVectorStore
from tests.fakes.worker import InlineWorker

ALICE = Owner(DEFAULT_TENANT, "alice-1")
BOB = Owner(DEFAULT_TENANT, "bob-1")
PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
SMALL = Chunking(100, 20)


async def parts(data: bytes) -> AsyncIterator[bytes]:
    yield data


class Library:
    """One process's view of the stores; a second one over the same stores is the next process."""

    def __init__(
        self,
        folder: Path,
        stores: Stores | None = None,
        vectors: VectorStore | None = None,
        embedder: HashEmbedder | None = None,
        *,
        worker: Worker | None = None,
        embedders: Embedders | None = None,
        **values: object,
    ) -> None:
        settings = Settings(_env_file=None, data_dir=folder, **{"max_upload_mb": 1, **values})
        self.stores = stores or fake_stores(folder)
        self.vectors = vectors or InMemoryVectorStore()
        self.embedder = embedder or HashEmbedder()
        worker = worker or InlineWorker()
        self.ingest = IngestTask(
            settings,
            self.stores.documents,
            self.vectors,
            self.embedder,
            worker,
            discover_loaders(),
            TableImport(settings, self.stores.tables, worker),
            embedders,
        )
        self.collections: Collections = create_collections(self.stores, self.vectors, self.embedder, self.ingest)
        self.uploads = PartialUploads(settings, self.stores.uploads, self.ingest)

    async def upload(
        self, name: str, data: bytes | str, purpose: str = "user_data", owner: Owner = ALICE, **terms: float
    ) -> Document:
        """As an upload ends: reading may go on."""
        content = data.encode() if isinstance(data, str) else data
        return await self.ingest.upload(owner, name, parts(content), lambda: Terms(purpose, **terms), keep_refused=True)

    async def put(self, name: str, data: bytes | str, purpose: str = "user_data", owner: Owner = ALICE) -> str:
        """The id of a file with which nothing goes on any more."""
        document = await self.upload(name, data, purpose, owner)
        states = [each.status async for each in self.ingest.events(owner, document.file_id)]
        assert states[-1] in ("ready", "failed", "kept")
        return document.file_id

    async def shelf(self, *file_ids: str, chunking: Chunking | None = None, owner: Owner = ALICE) -> str:
        """The id of a collection whose files are done."""
        view = await self.collections.create(
            owner, Draft("shelf", files=[NewFile(f, None, chunking) for f in file_ids])
        )
        return (await self.settled(view.collection.id, owner)).collection.id

    async def settled(self, collection_id: str, owner: Owner = ALICE) -> CollectionView:
        async with asyncio.timeout(20):
            while (view := await self.collections.get(owner, collection_id)).status == "in_progress":
                await asyncio.sleep(0.001)
        return view

    async def done(self, collection_id: str, file_id: str) -> FileView:
        await self.settled(collection_id)
        return await self.collections.file(ALICE, collection_id, file_id)

    async def aclose(self) -> None:
        await self.collections.aclose()
        await self.ingest.aclose()
