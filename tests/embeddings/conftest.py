from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from backend.embeddings.minilm import MiniLM
from tests.doubles.fixtures import ollama_double, ollama_double_process

__all__ = ["ollama_double", "ollama_double_process"]


@pytest.fixture(scope="session")
def minilm() -> Iterator[MiniLM]:
    """The real model, loaded once; it is bound to no event loop."""
    model = MiniLM()
    yield model
    asyncio.run(model.aclose())
