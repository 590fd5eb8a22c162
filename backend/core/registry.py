"""Finding the agents in this folder: every module with `create_agent`, without an edit anywhere."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backend.core.agent import Agent, AgentFactory
from backend.core.toolbox import Toolbox
from backend.llm.port import Model
from backend.models.errors import SettingsError


@dataclass(frozen=True, slots=True)
class AgentEntry:
    """An agent that can be made. Its module is imported when it first runs: langgraph alone costs 0.65 s of CPU."""

    name: str
    when_to_use: str
    module: str

    def create(self, model: Model, toolbox: Toolbox) -> Agent:
        factory: AgentFactory = importlib.import_module(self.module).create_agent
        return factory(model, toolbox)


def discover_agents(package: str = "backend.core") -> Mapping[str, AgentEntry]:
    """The agents by name, read from their source without importing them.

    Raises SettingsError when two share a name.
    """
    found: dict[str, AgentEntry] = {}
    folder = importlib.import_module(package)
    for module in sorted(pkgutil.iter_modules(folder.__path__), key=lambda each: each.name):
        spec = importlib.util.find_spec(f"{package}.{module.name}")
        if spec is None or spec.origin is None:
            continue
        entry = _entry_of(Path(spec.origin), spec.name)
        if entry is None:
            continue
        if entry.name in found:
            raise SettingsError(f"Two agents are named {entry.name}: rename or remove one in backend/core.")
        found[entry.name] = entry
    return found


def _entry_of(path: Path, module: str) -> AgentEntry | None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if not any(isinstance(node, ast.FunctionDef) and node.name == "create_agent" for node in tree.body):
        return None
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            strings = _string_attributes(node)
            if "name" in strings and "when_to_use" in strings:
                return AgentEntry(strings["name"], strings["when_to_use"], module)
    return None


def _string_attributes(node: ast.ClassDef) -> dict[str, str]:
    out: dict[str, str] = {}
    for item in node.body:
        if isinstance(item, ast.Assign):
            targets, value = item.targets, item.value
        elif isinstance(item, ast.AnnAssign) and item.value is not None:
            targets, value = [item.target], item.value
        else:
            continue
        try:
            text = ast.literal_eval(value)
        except ValueError:
            continue
        if isinstance(text, str):
            out |= {target.id: text for target in targets if isinstance(target, ast.Name)}
    return out
