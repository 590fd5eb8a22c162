"""Chroma alone; the contract runs over it as well wherever it is installed."""

from __future__ import annotations

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
