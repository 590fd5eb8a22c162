"""Arguments against the JSON schema of a caller's own tool: what is lossless is put right, the rest is named.

Never stricter than the schema: what it does not say plainly (references, alternatives, patterns, ranges) is left to
the caller, who validates anyway.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from backend.models.errors import InvalidRequest

MAX_DEPTH = 8
_WRAPPERS = ("arguments", "parameters", "args", "input", "kwargs")
_UNREADABLE = frozenset({"anyOf", "oneOf", "allOf", "$ref", "not", "if"})
_ABSENT = object()


def fitted(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, losslessly converted to the types the schema names: `"3"` to 3, `"true"` to true, JSON text to
    an object or list. Fields that the schema forbids are dropped.

    Raises InvalidRequest naming the first field that does not fit.
    """
    given = unwrapped(arguments, schema)
    return _object(dict(given), schema, "", 0)


def unwrapped(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments, or what is inside when a model put them into an object of their own."""
    properties = schema.get("properties") or {}
    if len(arguments) == 1:
        (key, inner), *_ = arguments.items()
        if key in _WRAPPERS and key not in properties and isinstance(inner, Mapping):
            return inner
    return arguments


def converted(value: Any, kind: str) -> Any:
    """The value as JSON type `kind` when nothing is lost by it, else `_ABSENT` (see `is_absent`)."""
    if kind in ("object", "array"):
        return _decoded(value, dict if kind == "object" else list)
    if kind == "string":
        return _text(value)
    if kind == "null":
        return None if value in (None, "null") else _ABSENT
    return _scalar(_decoded(value, (int, float)) if isinstance(value, str) else value, kind)


def is_absent(value: Any) -> bool:
    return value is _ABSENT


def _object(given: dict[str, Any], schema: Mapping[str, Any], where: str, depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    if schema.get("additionalProperties") is False and "patternProperties" not in schema:
        given = {key: value for key, value in given.items() if key in properties}
    listed = schema.get("required")
    required: list[Any] = listed if isinstance(listed, list) else []
    for name in required:
        if name not in given:
            raise InvalidRequest(f"{_join(where, name)}: this field is required.")
    fit: dict[str, Any] = {}
    for key, value in given.items():
        try:
            fit[key] = _value(value, properties.get(key), _join(where, key), depth + 1)
        except InvalidRequest:
            # Models write null for a field they leave out.
            if value is not None or key in required:
                raise
    return fit


def _value(value: Any, schema: Any, where: str, depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH or _UNREADABLE & schema.keys():
        return value
    value = _typed(value, schema.get("type"), where)
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if isinstance(allowed, list) and value not in allowed:
        raise InvalidRequest(f"{where}: must be one of {orjson.dumps(allowed).decode()[:500]}.")
    if isinstance(value, dict):
        return _object(value, schema, where, depth)
    items = schema.get("items")
    if isinstance(value, list) and isinstance(items, Mapping):
        return [_value(item, items, f"{where}.{number}", depth + 1) for number, item in enumerate(value)]
    return value


def _typed(value: Any, kinds: Any, where: str) -> Any:
    wanted = [kinds] if isinstance(kinds, str) else list(kinds) if isinstance(kinds, list) else []
    if not wanted or any(_is(value, kind) for kind in wanted):
        # A whole number written as 3.0 is an integer to JSON schema; 3 is what programs expect.
        whole = isinstance(value, float) and "integer" in wanted and "number" not in wanted
        return int(value) if whole else value
    for kind in wanted:
        found = converted(value, str(kind))
        if not is_absent(found):
            return found
    raise InvalidRequest(f"{where}: must be of type {' or '.join(map(str, wanted))}.")


def _is(value: Any, kind: Any) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "number":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case "integer":
            return _whole(value)
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "null":
            return value is None
        case _:
            return True


def _whole(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())


def _decoded(value: Any, kinds: type | tuple[type, ...]) -> Any:
    """JSON text as what it holds, when that is of the wanted kind."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return _ABSENT
    return value if isinstance(value, kinds) else _ABSENT


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return value
    return _ABSENT if value is None else orjson.dumps(value).decode()


def _scalar(value: Any, kind: str) -> Any:
    match kind:
        case "boolean":
            return value if isinstance(value, bool) else _ABSENT
        case "integer":
            return int(value) if _whole(value) else _ABSENT
        case "number":
            return value if isinstance(value, (int, float)) and not isinstance(value, bool) else _ABSENT
        case _:
            return _ABSENT


def _join(where: str, name: Any) -> str:
    return f"{where}.{str(name)[:64]}" if where else str(name)[:64]
