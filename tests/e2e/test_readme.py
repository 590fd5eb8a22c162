"""The README's commands, run as they stand against a real server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server import HearthServer, wait_for_document

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


def block(language: str, containing: str) -> str:
    found = [code for code in re.findall(rf"```{language}\n(.*?)```", README, re.S) if containing in code]
    assert len(found) == 1, f"{len(found)} {language} blocks of the README contain {containing!r}"
    return found[0]


@pytest.fixture
def environment(offline: HearthServer) -> dict[str, str]:
    return {
        **os.environ,
        "OPENAI_BASE_URL": f"{offline.url}/v1",
        "OPENAI_API_KEY": offline.key,
        "PYTHONWARNINGS": "ignore",
    }


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_python_example(tmp_path: Path, environment: dict[str, str]) -> None:
    out = run([sys.executable, "-c", block("python", "OpenAI()")], tmp_path, environment)
    assert "441" in out and "42" in out and out.count("math_calc") == 2


@pytest.mark.slow
def test_javascript_example(tmp_path: Path, environment: dict[str, str]) -> None:
    run(["npm", "install", "--silent", "--no-audit", "--no-fund", "openai"], tmp_path, environment)
    (tmp_path / "example.mjs").write_text(block("js", "new OpenAI()"))
    assert "391" in run(["node", "example.mjs"], tmp_path, environment)


def test_curl_example(tmp_path: Path, environment: dict[str, str], offline: HearthServer) -> None:
    upload, ask = block("sh", "api/files/upload").split('curl -s "$OPENAI_BASE_URL/chat')
    run(["bash", "-euc", upload], tmp_path, environment)
    with offline.client() as client:
        for document in client.get("/api/files/documents").json()["documents"]:
            assert wait_for_document(client, document["file_id"])["status"] == "ready"
    out = run(["bash", "-euc", 'curl -s "$OPENAI_BASE_URL/chat' + ask], tmp_path, environment)
    assert "1873" in out and "url_citation" in out
