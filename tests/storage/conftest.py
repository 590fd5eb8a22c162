"""Every contract test runs over the fakes and over the engine of JSON files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.storage import json_files
from backend.storage.stores import Stores
from tests.fakes.stores import fake_stores
from tests.storage.samples import settings_for


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
async def engine(data_dir: Path) -> AsyncIterator[Stores]:
    """The engine of JSON files on an empty folder."""
    stores = json_files.create(settings_for(data_dir))
    yield stores
    await stores.aclose()


@pytest.fixture(params=["fake", "json_files"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    """Any implementation of the ports."""
    if request.param == "fake":
        stores = fake_stores(tmp_path / "bytes")
    else:
        stores = json_files.create(settings_for(tmp_path / "data"))
    yield stores
    await stores.aclose()
