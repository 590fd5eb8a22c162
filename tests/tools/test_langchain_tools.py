"""LangChain tools named in a setting."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from backend.config.settings import load_settings
from backend.core.toolbox import ToolOutcome, ToolRegistry
from backend.models.errors import SettingsError
from backend.tools.langchain_tools import LangChainTools
from tests.fakes.tools import EchoTool, run_context

HERE = "tests.tools.sample_langchain"
NAMED = (
    f"{HERE}:Area",
    f"{HERE}:greet",
    f"{HERE}:made",
    f"{HERE}:Needy",
    f"{HERE}:NOT_A_TOOL",
    f"{HERE}:missing",
    "no_such_package.tools:Thing",
)


@pytest.fixture
async def registry() -> AsyncIterator[ToolRegistry]:
    registry = ToolRegistry([EchoTool()], sources=[LangChainTools(NAMED)])
    await registry.reach(30)
    yield registry
    await registry.aclose()


async def call(registry: ToolRegistry, name: str, /, **arguments: object) -> ToolOutcome:
    return await registry.toolbox(run_context()).call(name, arguments)


async def test_classes_objects_and_makers_become_tools(registry: ToolRegistry) -> None:
    assert list(registry.tools) == ["echo", "area", "greet", "twice_it"]
    assert registry.schema("area")["properties"]["width"]["description"] == "In metres."
    assert all(registry.tools[name].untrusted and registry.tools[name].outbound for name in ("area", "greet"))


async def test_they_run_with_checked_arguments(registry: ToolRegistry) -> None:
    area = await call(registry, "area", width="2.5", height=2)
    assert (area.error, area.result.data, area.result.text) == (None, {"area": 5.0}, '{"area":5.0}')
    assert (await call(registry, "twice_it", a=4)).result.text == "8"
    assert (await call(registry, "area")).error == "width: this field is required."


async def test_inj_1_what_they_say_is_a_strangers_text(registry: ToolRegistry) -> None:
    greeted = await call(registry, "greet", name="Ann")
    assert greeted.observation.startswith("<<<DATA ")
    assert "<|im_start" not in greeted.observation
    failed = await call(registry, "greet", name="nobody")
    assert failed.error == "greet reported an error."
    assert failed.result.text == "nobody is there[2J"
    assert "failed unexpectedly" in ((await call(registry, "greet", name="crash")).error or "")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Needy", "could not be made"),
        ("NOT_A_TOOL", "could not be made"),
        ("missing", "has nothing named missing"),
        ("Thing", "needs the Python package no_such_package"),
    ],
)
async def test_what_cannot_be_loaded_says_why(registry: ToolRegistry, name: str, part: str) -> None:
    assert part in registry.unavailable[name].reason


def test_a_malformed_name_stops_the_start_with_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGCHAIN_TOOLS", "os.system")
    with pytest.raises(SettingsError, match="LANGCHAIN_TOOLS"):
        load_settings(data_dir=tmp_path, _env_file=None)


@pytest.mark.slow
def test_neither_langchain_nor_mcp_is_imported_at_the_start(tmp_path: Path) -> None:
    code = (
        "import sys; from backend.api.app import create_app; from backend.config.settings import load_settings;"
        f"create_app(load_settings(data_dir={str(tmp_path)!r}, _env_file=None));"
        "print([m for m in ('langchain_core', 'mcp', 'httpx2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
