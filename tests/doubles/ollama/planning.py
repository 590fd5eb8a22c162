"""Plans and verdicts for the schemas a planning agent sends."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.doubles.ollama import schema_json
from tests.doubles.ollama.intents import RETRIEVAL_TOOL, Wanted, wanted_parts

_NO_TOOL = ("", "none", "answer", "llm", "chat")


def structured(schema: Mapping[str, Any], text: str) -> Any:
    """A value for `format`: a plan when it has `steps`, a verdict when it has `passed`, else any valid value."""
    properties = schema.get("properties") or {}
    value = schema_json.example(schema, text)
    if not isinstance(value, dict):
        return value
    if "steps" in properties:
        value["steps"] = _steps(schema, properties["steps"], text)
    elif "passed" in properties:
        value["passed"] = True
        if "missing" in properties or schema.get("additionalProperties", True) is not False:
            missing = properties.get("missing", {})
            value["missing"] = "" if missing.get("type") == "string" else []
    return value


def _steps(root: Mapping[str, Any], steps: Mapping[str, Any], text: str) -> list[dict[str, Any]]:
    item = schema_json.resolved(schema_json.resolved(steps, root).get("items") or {}, root)
    fields = {name: schema_json.resolved(field, root) for name, field in (item.get("properties") or {}).items()}
    wanted = wanted_parts(text) or [_fallback(fields.get("tool", {}), text)]
    return [_step(item, fields, root, call, number) for number, call in enumerate(wanted, 1)]


def _fallback(tool: Mapping[str, Any], text: str) -> Wanted:
    """One step for a text without a recognised part: no tool where the schema allows that."""
    names = tool.get("enum")
    if not names:
        return Wanted(RETRIEVAL_TOOL, {"query": text}, text)
    name = next((name for name in names if name is None or name in _NO_TOOL), None)
    if name is None and None not in names:
        name = RETRIEVAL_TOOL if RETRIEVAL_TOOL in names else names[0]
    return Wanted(name, {"query": text}, text)  # type: ignore[arg-type]


def _step(
    item: Mapping[str, Any], fields: Mapping[str, Any], root: Mapping[str, Any], call: Wanted, number: int
) -> dict[str, Any]:
    step: dict[str, Any] = schema_json.example({**item, "$defs": root.get("$defs", {})}, call.text)
    number_id = fields.get("id", {}).get("type") == "integer"
    step |= {"id": number if number_id else f"s{number}", "tool": call.tool, "depends_on": []}
    for name in ("input", "arguments", "args", "tool_input"):
        if name in fields or (name == "input" and not fields):
            step[name] = _input(fields.get(name, {}), call)
    if fields and item.get("additionalProperties", True) is False:
        step = {name: value for name, value in step.items() if name in fields}
    return step


def _input(field: Mapping[str, Any], call: Wanted) -> Any:
    """An object where the schema takes one, else JSON text."""
    kind = field.get("type", "object")
    return json.dumps(call.arguments) if kind == "string" else call.arguments
