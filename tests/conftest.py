"""What every test shares: which are slow, and a count of the browser tests for CI."""

from __future__ import annotations

import pytest

SLOW = (
    "tests/doubles/",
    "tests/e2e/",
    "tests/embeddings/test_minilm.py",
    "tests/llm/test_ollama_failures.py",
    "tests/llm/test_ollama_provider.py",
    "tests/llm/test_ollama_with_double.py",
    "tests/loaders/",
    "tests/storage/test_json_files_",
    "tests/tools/test_math_worker.py",
    "tests/vector_store/test_files.py",
    "tests/workers/",
)
"""Real processes, real disks, real models: left out of `make test-fast`, run by `make test`."""

_BROWSER = {"ran": 0}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.passed and "browser" in report.keywords:
        _BROWSER["ran"] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"browser tests ran: {_BROWSER['ran']}")
