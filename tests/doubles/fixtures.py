"""Fixtures for every conftest that needs an Ollama: `from tests.doubles.fixtures import *` or by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doubles.ollama_process import OllamaDouble


@pytest.fixture(scope="session")
def ollama_double_process() -> Iterator[OllamaDouble]:
    """One process for the whole session."""
    with OllamaDouble() as double:
        yield double


@pytest.fixture
def ollama_double(ollama_double_process: OllamaDouble) -> OllamaDouble:
    """The session's double, as fresh as after a start."""
    ollama_double_process.reset()
    return ollama_double_process
