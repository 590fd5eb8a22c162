"""Server processes for the end-to-end tests: one without any Ollama, one with the double."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doubles.ollama_process import OllamaDouble
from tests.e2e import failing
from tests.handbook import handbook_pdf
from tests.server import HearthServer


@pytest.fixture(scope="session")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HearthServer]:
    """A server with no Ollama anywhere: the built-in model answers."""
    with HearthServer(tmp_path_factory.mktemp("offline")) as server:
        yield server


@pytest.fixture(scope="session")
def double_process() -> Iterator[OllamaDouble]:
    with OllamaDouble() as double:
        yield double


@pytest.fixture
def double(double_process: OllamaDouble) -> OllamaDouble:
    """The Ollama double, with nothing left of the test before."""
    double_process.reset()
    return double_process


@pytest.fixture(scope="session")
def _online(tmp_path_factory: pytest.TempPathFactory, double_process: OllamaDouble) -> Iterator[HearthServer]:
    folder = tmp_path_factory.mktemp("online")
    with HearthServer(
        folder, double_process.url, OLLAMA_GAP_TIMEOUT="2", OLLAMA_TIMEOUT="5", OLLAMA_MODEL="llama3.2:3b"
    ) as server:
        yield server


@pytest.fixture
def online(_online: HearthServer, double: OllamaDouble) -> HearthServer:
    """A server in front of the double."""
    return _online


@pytest.fixture(scope="session")
def _caller(tmp_path_factory: pytest.TempPathFactory, double_process: OllamaDouble) -> Iterator[failing.Caller]:
    folder = tmp_path_factory.mktemp("failing")
    double_process.models(failing.MODELS)
    with (
        HearthServer(folder, double_process.url, **failing.SETTINGS) as server,
        failing.caller_of(server, double_process) as asks,
    ):
        yield asks


@pytest.fixture
def caller(_caller: failing.Caller) -> Iterator[failing.Caller]:
    """Asks a server of short patience in front of the double. At the end nothing may still be open upstream."""
    _caller.forget()
    yield _caller
    _caller.closed_within(2.0)


@pytest.fixture(scope="session")
def handbook() -> bytes:
    return handbook_pdf()
