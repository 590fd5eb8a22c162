"""Tools that come and go: joining them with those of the folder, and checking arguments against their schemas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from backend.core.json_schema import JsonSchema
from backend.core.schema_fit import fitted
from backend.models.errors import InvalidRequest
from backend.tools.port import Tool, ToolSource, Unavailable

CLASH = "another tool has this name already: rename one of the two"


def merged(
    tools: Mapping[str, Tool], unavailable: Mapping[str, Unavailable], sources: Iterable[ToolSource]
) -> tuple[dict[str, Tool], dict[str, Unavailable]]:
    """What can be called now and what cannot, by name. Of two tools with one name the first wins: those of the folder
    before those of the sources; the other is unavailable under a name of its own."""
    able, unable = dict(tools), dict(unavailable)
    for source in sources:
        for tool in source.tools():
            if tool.name not in able:
                able[tool.name] = tool
            else:
                other = f"{source.name}:{tool.name}"
                unable[other] = Unavailable(other, tool.description, CLASH)
        for each in source.unavailable():
            if each.name not in able:
                unable.setdefault(each.name, each)
    return able, {name: each for name, each in unable.items() if name not in able}


def fit(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments put right where nothing is lost by it and checked against a schema that a stranger wrote.

    Raises InvalidRequest naming what does not fit. A schema that cannot be checked safely (a pattern without a time
    limit, say) is followed only in its types, required fields and enumerations: whoever runs the tool checks again.
    """
    given = fitted(arguments, schema)
    try:
        problem = JsonSchema(schema, "arguments").problem(given)
    except InvalidRequest:
        return given
    if problem is not None:
        raise InvalidRequest(problem, param="arguments")
    return given
