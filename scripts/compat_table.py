"""Writes the tables of docs/clients.md from what `make run-clients` found, or checks that they still say the same.

`python -m scripts.compat_table [--check]`
"""

from __future__ import annotations

import argparse
import difflib
import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.clients.checks import CAPABILITIES

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "clients.md"
RESULTS = ROOT / "build" / "clients"
MARKS = {"pass": "✓", "absent": "–", "fail": "✗", "missing": "?"}
"""`missing`: no outcome was reported at all, which is never in order."""
SUITES = {
    "TestChat": "`ChatModelIntegrationTests` over chat completions",
    "TestChatOverResponses": "the same over Responses",
    "TestVision": "its tests with pictures, sound and PDFs from tools, with a model that sees",
    "TestVisionOverResponses": "the same over Responses",
    "TestPictureAddresses": "its picture test with addresses instead of data",
    "TestEmbeddings": "`EmbeddingsIntegrationTests`",
}

Rows = Sequence[Mapping[str, Any]]


def read(folder: Path) -> list[dict[str, Any]]:
    """Every reported outcome."""
    files = sorted(folder.glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def client_table(rows: Rows) -> str:
    """One line for each client, one column for each capability."""
    clients: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        if "capability" in row:
            clients.setdefault(row["client"], {})[row["capability"]] = row
    head = ["Client", *CAPABILITIES.values(), "Version"]
    lines = [_line(head), _line(["---", *[":-:"] * len(CAPABILITIES), "---"])]
    for found in sorted(clients.values(), key=lambda found: _any(found)["name"].lower()):
        marks = [MARKS[found[each]["outcome"]] if each in found else MARKS["missing"] for each in CAPABILITIES]
        lines.append(_line([_any(found)["name"], *marks, _any(found)["version"]]))
    wrong = [row for row in rows if "capability" in row and row["outcome"] in ("fail", "missing")]
    lines += ["", *([_failure(row) for row in wrong] or ["Nothing in this table fails."])]
    return "\n".join(lines)


def conformance_table(rows: Rows) -> str:
    """How many of LangChain's own tests pass, which cannot, and which are not for this model or setting."""
    tests = [row for row in rows if "suite" in row]
    lines = [_line(["Tests", "pass", "fail", "not run"]), _line(["---", ":-:", ":-:", ":-:"])]
    for suite, title in SUITES.items():
        counted = Counter(row["outcome"] for row in tests if row["suite"] == suite)
        lines.append(_line([title, *(str(counted[each]) for each in ("pass", "fail", "absent"))]))
    failing = [f"- `{row['test']}` ({SUITES[row['suite']]}): {_said(row)}" for row in tests if row["outcome"] == "fail"]
    absent = {row["test"]: row["note"] for row in tests if row["outcome"] == "absent"}
    ran = {row["test"] for row in tests if row["outcome"] != "absent"}
    never = [f"- `{test}`: {note}" for test, note in absent.items() if test not in ran]
    elsewhere = sorted(f"`{test}`" for test in absent if test in ran)
    if failing:
        lines += ["", "What cannot pass, and why:", "", *failing]
    if elsewhere:
        lines += ["", f"Not run with the model that cannot see, but in the rows below it: {', '.join(elsewhere)}."]
    if never:
        lines += ["", "Not run anywhere:", "", *never]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _any(found: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    return next(iter(found.values()))


def _failure(row: Mapping[str, Any]) -> str:
    return f"- {row['name']}, {CAPABILITIES[row['capability']]}: {_said(row)}"


def _said(row: Mapping[str, Any]) -> str:
    """The error without the class's module, the addresses and the long ids, which differ from run to run."""
    text = re.sub(r"^(?:\w+\.)+(?=[A-Z]\w*(?:Error|Exception)?:)", "", row["note"])
    text = re.sub(r"https?://127\.0\.0\.1:\d+", "…", text)
    return re.sub(r"\b([a-z]+[-_])?[0-9a-f]{20,}\b", "…", text) or "no reason was given"


def filled(document: str, rows: Rows) -> str:
    """The document with its two tables written anew. Raises ValueError when a place for one is missing."""
    for name, table in (("clients", client_table(rows)), ("langchain-tests", conformance_table(rows))):
        found = re.search(rf"<!-- {name}: [^\n]* -->\n(.*?)<!-- end -->", document, re.DOTALL)
        if found is None:
            raise ValueError(f"there is no place for the table {name!r}")
        document = f"{document[: found.start(1)]}\n{table}\n\n{document[found.end(1) :]}"
    return document


def without_versions(document: str) -> list[str]:
    """The lines to compare: the last cell of the table of clients, and what failures say, may differ."""
    lines = [re.sub(r"^(- [^:]*: ).*", r"\1", line) for line in document.splitlines()]
    return [re.sub(r"(\| [✓–✗?] )\| [^|]* \|$", r"\1|", line) for line in lines]


def main() -> int:
    """1 when there are no results, or with --check when the tables say something else."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; versions aside")
    given = parser.parse_args()
    rows = read(RESULTS)
    if not rows:
        print("There are no results: run `make run-clients` first.", file=sys.stderr)
        return 1
    committed = DOCUMENT.read_text(encoding="utf-8")
    made = filled(committed, rows)
    if not given.check:
        DOCUMENT.write_text(made, encoding="utf-8")
        return 0
    old, new = without_versions(committed), without_versions(made)
    counted = Counter(row["outcome"] for row in rows)
    if old != new:
        print("docs/clients.md says something else than this run found:", file=sys.stderr)
        print(
            "\n".join(difflib.unified_diff(old, new, "docs/clients.md", "this run", n=0, lineterm="")), file=sys.stderr
        )
        print("If the change is meant, write it with `make clients-table`.", file=sys.stderr)
        return 1
    print(f"{counted['pass']} checks work and {counted['fail']} cannot, as docs/clients.md says")
    return 0


if __name__ == "__main__":
    sys.exit(main())
