"""Runs every client's script against two real servers and collects the results.

`python -m tests.clients.run [CLIENT …]`: all of them, or those whose script's name begins so.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients import model
from tests.clients.checks import CHAT_MODEL, PAGE
from tests.doubles.ollama_process import OllamaDouble
from tests.server import NOWHERE, ROOT, HearthServer

HERE = Path(__file__).resolve().parent
RESULTS = ROOT / "build" / "clients"
SECONDS = 240.0
"""How long one script may take."""


@dataclass(frozen=True, slots=True)
class Script:
    """One process: what runs it, and the file."""

    id: str
    command: tuple[str, ...]


def scripts() -> list[Script]:
    """Longest first, so that two at a time end together."""
    new, old, own = (ROOT / name / "bin" / "python" for name in (".venv-clients-3", ".venv-clients-2", ".venv"))

    def python(interpreter: Path, name: str) -> tuple[str, ...]:
        return (str(interpreter), str(HERE / f"{name}.py"))

    def node(name: str) -> tuple[str, ...]:
        return ("node", str(HERE / "node" / f"{name}.mjs"))

    return [
        Script("langchain-tests", python(new, "langchain_standard")),
        Script("litellm", python(old, "litellm_client")),
        Script("llm", python(new, "llm_command")),
        Script("llamaindex", python(old, "llamaindex_client")),
        Script("openai-agents", python(new, "agents_client")),
        Script("langchain", python(new, "langchain_client")),
        Script("pydantic-ai", python(new, "pydantic_ai_client")),
        Script("openai-python-3", python(new, "openai_python")),
        Script("openai-python-2", python(old, "openai_python")),
        Script("anthropic-python", python(new, "anthropic_python")),
        Script("openai-node", node("openai")),
        Script("ai-sdk", node("ai_sdk")),
        Script("anthropic-node", node("anthropic")),
        Script("curl", python(own, "curl_client")),
        Script("front-end", python(own, "front_end")),
    ]


@contextmanager
def servers(code: Path = ROOT) -> Iterator[dict[str, str]]:
    """A server in front of the double and one without any Ollama; the environment that tells a script of them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hearth-clients-")))
        double = stack.enter_context(OllamaDouble())
        double.script(*model.entries())
        online, offline = (
            stack.enter_context(
                HearthServer(_made(folder / name), host, code, OLLAMA_MODEL=CHAT_MODEL, CORS_ORIGINS=PAGE)
            )
            for name, host in (("online", double.url), ("offline", NOWHERE))
        )
        stack.callback(lambda: (RESULTS / "server.log").write_text(online.errors() + online.log(), encoding="utf-8"))
        yield {
            "HEARTH_URL": online.url,
            "HEARTH_KEY": online.key,
            "HEARTH_OFFLINE_URL": offline.url,
            "HEARTH_OFFLINE_KEY": offline.key,
        }


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def run(script: Script, told: dict[str, str], arguments: Sequence[str] = ()) -> tuple[Path, str]:
    """Run one script; where its results are, and what went wrong beside them."""
    results = RESULTS / f"{script.id}.jsonl"
    results.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="hearth-client-") as home:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "LANG": "C.UTF-8",
            "PYTHONWARNINGS": "ignore",
            "NO_PROXY": "*",
            "HEARTH_RESULTS": str(results),
            "HEARTH_TRACE": os.environ.get("HEARTH_TRACE", ""),
            **told,
        }
        command = [*script.command, *arguments]
        try:
            ended = subprocess.run(
                command,
                cwd=home,
                env=environment,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            return results, f"{script.id}: not done after {SECONDS:g} s"
    wrong = ended.returncode != 0 or os.environ.get("HEARTH_TRACE")
    said = f"{script.id}: exit {ended.returncode}\n{ended.stdout[-3000:]}{ended.stderr[-6000:]}"
    return results, said if wrong else ""


def main() -> int:
    """0 when every script ran to its end; the table's check judges the outcomes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clients", nargs="*")
    parser.add_argument("--only", nargs="*", default=(), help="capabilities, for one client at a time")
    parser.add_argument("--code", type=Path, default=ROOT, help="where the server's `backend` package lies")
    given = parser.parse_args()
    wanted = [s for s in scripts() if not given.clients or any(s.id.startswith(name) for name in given.clients)]
    RESULTS.mkdir(parents=True, exist_ok=True)
    if not given.clients:
        for old in RESULTS.glob("*.jsonl"):
            old.unlink()
    bad = False
    with servers(given.code) as told, ThreadPoolExecutor(2) as pool:
        began = time.monotonic()
        for script, (results, wrong) in zip(wanted, pool.map(lambda s: run(s, told, given.only), wanted), strict=True):
            rows = _read(results)
            counted = Counter(row["outcome"] for row in rows)
            print(f"{script.id:18} " + ", ".join(f"{number} {kind}" for kind, number in sorted(counted.items())))
            for row in rows:
                if row["outcome"] in ("fail", "missing"):
                    print(f"    {row['outcome']}: {row['client']} {what(row)}: {row['note']}")
            if wrong:
                bad = bad or not rows
                print(wrong, file=sys.stderr)
        print(f"{time.monotonic() - began:.1f} s")
    return 1 if bad else 0


def what(row: dict[str, Any]) -> str:
    """The capability, or the conformance test, that a result is about."""
    return row["capability"] if "capability" in row else f"{row['suite']}.{row['test']}"


def _read(results: Path) -> list[dict[str, Any]]:
    if not results.exists():
        return []
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    sys.exit(main())
