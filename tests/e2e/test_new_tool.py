"""A tool dropped in as one new file is there for everybody, with nothing else edited."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest

from tests.doubles.ollama_process import OllamaDouble
from tests.server import ROOT, HearthServer

DOCUMENTED = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "tools.md").read_text(encoding="utf-8"), re.S)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, double_process: OllamaDouble) -> Iterator[HearthServer]:
    """A copy of the code with the tool that docs/tools.md shows, saved as it stands there."""
    code = tmp_path_factory.mktemp("code")
    shutil.copytree(ROOT / "backend", code / "backend", ignore=shutil.ignore_patterns("__pycache__"))
    (code / "frontend").symlink_to(ROOT / "frontend")
    assert DOCUMENTED is not None
    (code / "backend" / "tools" / "dice.py").write_text(DOCUMENTED.group(1), encoding="utf-8")
    with HearthServer(tmp_path_factory.mktemp("dice"), double_process.url, code) as running:
        yield running


def test_new_tool_is_listed_and_runs_by_hand(server: HearthServer) -> None:
    with server.client() as client:
        tool = next(t for t in client.get("/api/tools").json()["tools"] if t["name"] == "roll_dice")
        assert tool["available"] and tool["parameters"]["properties"]["sides"]["maximum"] == 1000
        done = client.post("/api/tools/roll_dice/run", json={"arguments": {"sides": 4}}).json()
        assert done["error"] is None and 1 <= done["data"]["number"] <= 4
        assert client.post("/api/tools/roll_dice/run", json={"arguments": {"sides": 1}}).status_code == 400
        assert client.post("/api/tools/roll_nothing/run", json={"arguments": {}}).status_code == 404


@pytest.mark.parametrize("agent", ["react", "plan_execute"])
def test_new_tool_is_used_by_the_agent(server: HearthServer, double: OllamaDouble, agent: str) -> None:
    with server.client() as client:
        body = {
            "model": "hearth", "agent": agent,
            "messages": [{"role": "user", "content": 'roll it [[tool:roll_dice:{"sides":6}]]'}],
        }  # fmt: skip
        message = client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]
        assert [(s["name"], s["status"]) for s in message["hearth"]["steps"]] == [("roll_dice", "completed")]
        assert "The die shows" in message["content"]


def test_new_tool_is_used_by_the_builtin_model(server: HearthServer) -> None:
    with server.client() as client:
        body = {"model": "hearth-builtin", "messages": [{"role": "user", "content": "Please use roll_dice once."}]}
        message = client.post("/v1/chat/completions", json=body).json()["choices"][0]["message"]
        assert [s["name"] for s in message["hearth"]["steps"]] == ["roll_dice"]
        assert "The die shows" in message["content"]
