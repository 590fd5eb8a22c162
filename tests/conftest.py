"""What every test shares: no real network by accident, and a count of the browser tests for CI."""

from __future__ import annotations

import pytest

_BROWSER = {"ran": 0}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and report.passed and "browser" in report.keywords:
        _BROWSER["ran"] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"browser tests ran: {_BROWSER['ran']}")
