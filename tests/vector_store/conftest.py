"""The stores that must all behave alike, and small things the tests of this room share."""

from __future__ import annotations

import importlib.util
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backend.models.documents import DocumentChunk
from backend.models.run import DEFAULT_TENANT, Owner
from tests.fakes.embedder import HashEmbedder
from tests.fakes.vector_store import InMemoryVectorStore

if TYPE_CHECKING:
    from backend.vector_store.port import VectorStore

ALICE = Owner(DEFAULT_TENANT, "alice-1")
BOB = Owner(DEFAULT_TENANT, "bob-1")
OpenStore = Callable[[], "VectorStore"]


def chunk(text: str, file_id: str = "f1", index: int = 0, page: int | None = None) -> DocumentChunk:
    return DocumentChunk(file_id, f"{file_id}.txt", index, text, page)


class Room:
    """A store with an embedder in front, so that tests speak of texts alone."""

    def __init__(self, store: VectorStore, embedder: HashEmbedder) -> None:
        self.store = store
        self.embedder = embedder

    async def add(self, owner: Owner, *chunks: DocumentChunk, collection: str = "") -> None:
        vectors = await self.embedder.embed_documents([each.text for each in chunks])
        await self.store.add(owner, chunks, vectors, self.embedder.name, collection=collection)

    async def find(
        self, owner: Owner, text: str, limit: int = 10, files: list[str] | None = None, collection: str = ""
    ) -> list[str]:
        """Texts of the hits, best first."""
        vector = await self.embedder.embed_query(text)
        hits = await self.store.search(owner, vector, text, limit, files, collection=collection)
        return [hit.chunk.text for hit in hits]


def _open_faiss(folder: Path) -> VectorStore:
    from backend.vector_store.faiss import FaissVectorStore

    return FaissVectorStore(folder / "vectors")


def _open_chroma(folder: Path) -> VectorStore:
    from backend.vector_store.chroma import ChromaVectorStore

    return ChromaVectorStore(folder / "chroma")


ON_DISK = {"faiss": _open_faiss}
if importlib.util.find_spec("chromadb") is not None:  # test_chroma.py says so when it is not
    ON_DISK["chroma"] = _open_chroma


@pytest.fixture(params=["fake", *ON_DISK])
async def room(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Room]:
    """Every adapter and the fake in turn."""
    store = InMemoryVectorStore() if request.param == "fake" else ON_DISK[request.param](tmp_path)
    yield Room(store, HashEmbedder())
    await store.aclose()


@pytest.fixture(params=[*ON_DISK])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStore:
    """Opens the same folder anew, as a restarted process would."""
    return lambda: ON_DISK[request.param](tmp_path)
