"""The table of clients: what it shows, and that nothing can be missing from it unseen."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from scripts import compat_table
from tests.clients import checks, run
from tests.clients.checks import CAPABILITIES

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
PLACES = "a\n<!-- clients: x -->\n<!-- end -->\nb\n<!-- langchain-tests: x -->\n<!-- end -->\n"


def rows_of(client: str, **outcomes: str) -> list[dict[str, Any]]:
    return [
        {"client": client, "name": client, "version": "1.0", "capability": each, "outcome": outcome, "note": "E: why"}
        for each, outcome in outcomes.items()
    ]


def conformance(test: str, outcome: str, note: str = "") -> dict[str, Any]:
    return {"client": "langchain-tests", "suite": "TestChat", "test": test, "outcome": outcome, "note": note}


def test_each_outcome_has_its_mark_and_what_was_not_reported_stands_out() -> None:
    table = compat_table.client_table(rows_of("some-sdk", models="pass", chat="absent", stream="fail"))
    cells = [cell.strip() for cell in table.splitlines()[2].split("|")[1:-1]]
    assert cells == ["some-sdk", "✓", "–", "✗", *["?"] * (len(CAPABILITIES) - 3), "1.0"]
    assert "- some-sdk, Stream: E: why" in table


def test_versions_and_the_words_of_failures_are_set_aside_and_marks_are_not() -> None:
    def lines(version: str, outcome: str, note: str) -> list[str]:
        rows = [
            row | {"version": version, "note": note}
            for row in rows_of("sdk", **dict.fromkeys(CAPABILITIES, "pass") | {"chat": outcome})
        ]
        return compat_table.without_versions(compat_table.filled(PLACES, rows))

    assert lines("1.0", "fail", "E: one") == lines("2.0", "fail", "E: other")
    assert lines("1.0", "pass", "") != lines("1.0", "fail", "E: one")


def test_a_conformance_test_that_ran_nowhere_is_named_with_its_reason() -> None:
    table = compat_table.conformance_table([conformance("test_a", "pass"), conformance("test_b", "absent", "No tape.")])
    assert "- `test_b`: No tape." in table and "| 1 | 0 | 1 |" in table


def test_addresses_and_ids_of_one_run_are_left_out_of_a_reason() -> None:
    row = rows_of("sdk", chat="fail")[0] | {"note": f"a.b.SomeError: at http://127.0.0.1:4711/v1 file-{'0a' * 16}"}
    assert compat_table.client_table([row]).endswith("SomeError: at …/v1 …")


def test_a_document_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="langchain-tests"):
        compat_table.filled("<!-- clients: x -->\n<!-- end -->\n", [])


def test_the_committed_table_has_every_capability_of_every_client() -> None:
    lines = [line for line in DOCUMENT.splitlines() if line.startswith("| ") and len(line.split("|")) > 10]
    assert len(lines) >= 18
    assert all(heading in lines[0] for heading in CAPABILITIES.values())
    assert not [line for line in lines if "?" in line]


def test_every_script_that_is_run_exists() -> None:
    assert [script.command[1] for script in run.scripts() if not Path(script.command[1]).is_file()] == []


def test_node_scripts_ask_the_same_questions() -> None:
    text = (ROOT / "tests/clients/node/checks.mjs").read_text(encoding="utf-8")
    given = dict(re.findall(r'^export const ([A-Z_]+) = "([^"]*)";', text, re.MULTILINE))
    assert len(given) >= 12
    assert given == {name: getattr(checks, name) for name in given}
    assert re.findall(r'^  "(\w+)",$', text, re.MULTILINE) == list(CAPABILITIES)


def test_pinned_clients_name_no_registry() -> None:
    for path in [*(ROOT / "tests/clients").glob("requirements-*.txt"), ROOT / "tests/clients/node/package-lock.json"]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r'--(?:extra-)?index-url|--find-links|"resolved"|^file:| @ ', text, re.MULTILINE), (
            path.name
        )
