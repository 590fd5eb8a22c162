"""Chroma alone; the contract runs over it as well wherever it is installed."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from backend.config.settings import Settings
from backend.models.errors import SettingsError
from backend.vector_store import chroma
from tests.fakes.embedder import HashEmbedder
from tests.vector_store.conftest import ALICE, Room, chunk


def test_without_the_package_the_start_stops_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "chromadb", None)
    with pytest.raises(SettingsError, match=r"pip install 'hearth\[chroma\]'"):
        chroma.create(Settings(_env_file=None))


async def test_the_folder_is_closed_to_other_users(tmp_path: Path) -> None:
    pytest.importorskip("chromadb")
    store = chroma.create(Settings(_env_file=None, data_dir=tmp_path))
    room = Room(store, HashEmbedder())
    await room.add(ALICE, chunk("Some text."))
    assert (tmp_path / "vector_db" / "@chroma").stat().st_mode & 0o777 == 0o700
    await store.aclose()


async def test_an_index_of_an_older_server_is_taken_up(tmp_path: Path) -> None:
    chromadb = pytest.importorskip("chromadb")
    embedder = HashEmbedder()
    vectors = await embedder.embed_documents(["Some text.", "Other words."])
    client = chromadb.PersistentClient(path=str(tmp_path))
    former = client.create_collection(
        "owner-" + hashlib.sha256(f"{ALICE.tenant}/{ALICE.user}".encode()).hexdigest()[:48],
        embedding_function=None,
        configuration={"hnsw": {"space": "cosine"}},
        metadata={"embedder": embedder.name, "dimension": vectors.shape[1]},
    )
    about = [
        {"file_id": "f1", "filename": "f1.txt", "index": 0, "page": 4},
        {"file_id": "f2", "filename": "b", "index": 0},
    ]
    former.add(ids=["f1:0", "f2:0"], embeddings=vectors, documents=["Some text.", "Other words."], metadatas=about)
    client.close()
    room = Room(chroma.ChromaVectorStore(tmp_path), embedder)
    assert await room.find(ALICE, "some text", 1) == ["Some text."]
    assert await room.store.chunks(ALICE, "f1") == [chunk("Some text.", page=4)]
    assert not await room.store.needs_reindex(ALICE, embedder.name)
    assert await room.store.delete(ALICE, "f1") == 1
    assert await room.find(ALICE, "some text") == ["Other words."]
    await room.store.aclose()
