"""Documentation that cannot rot: every setting, route, tool, command and make target is written down."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from backend.api.app import create_app
from backend.cli.main import parser
from backend.config.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[1]
DOCS = "\n".join(
    path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
)


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_setting_is_documented(name: str) -> None:
    assert f"`{name.upper()}`" in DOCS, f"describe {name.upper()} in docs/configuration.md"


def test_documented_defaults_are_the_defaults() -> None:
    table = dict(re.findall(r"^\| `([A-Z_]+)` \| `?([^|`]+)`? \|", (ROOT / "docs/configuration.md").read_text(), re.M))
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, int | float | str) and not isinstance(field.default, bool):
            shown = f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
            shown = shown or "(empty)"
            assert table[name.upper()] == shown, f"{name.upper()}: docs say {table[name.upper()]}, code says {shown}"


def test_every_route_is_documented(tmp_path: Path) -> None:
    app = create_app(load_settings(data_dir=tmp_path, _env_file=None))
    for path, operations in app.openapi()["paths"].items():
        for method in operations:
            assert f"{method.upper()} {path}" in DOCS, f"describe {method.upper()} {path} in docs/api.md"


def test_every_tool_is_documented(tmp_path: Path) -> None:
    app = create_app(load_settings(data_dir=tmp_path, _env_file=None))
    registry = app.state.services.registry
    for name in [*registry.tools, *registry.unavailable]:
        assert f"`{name}`" in DOCS, f"describe {name} in docs/tools.md"


def commands(found: argparse.ArgumentParser, prefix: str = "") -> list[str]:
    out: list[str] = []
    for action in found._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, sub in action.choices.items():
                inner = commands(sub, f"{prefix}{name} ")
                out += inner or [f"{prefix}{name}"]
    return out


@pytest.mark.parametrize("command", commands(parser()))
def test_every_command_is_documented(command: str) -> None:
    assert f"`{command}" in DOCS, f"describe `{command}` in docs/cli.md"


def test_every_make_target_of_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    named = set(re.findall(r"(?m)(?:^|`)(?:[A-Z_]+=\S+ )?make ([a-z-]+)", DOCS))
    assert named <= targets, f"the docs name make targets that do not exist: {named - targets}"


def test_links_between_documents_lead_somewhere() -> None:
    for document in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name} links to {target}, which is not there"


def test_up_6_installed_versions_are_at_least_the_known_good_ones() -> None:
    from importlib.metadata import version

    def numbers(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in re.findall(r"\d+", text)[:3])

    for package, least in {
        "python-multipart": "0.0.27", "starlette": "0.49.1", "python-docx": "1.1", "pypdf": "7.0", "python-jose": "3.4",
        "langgraph-checkpoint": "4.0",
    }.items():  # fmt: skip
        assert numbers(version(package)) >= numbers(least), f"{package} is older than {least}"
