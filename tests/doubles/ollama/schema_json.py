"""A value that satisfies a JSON schema, made without a model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any] | bool

_FORMATS = {
    "date": "2026-01-02",
    "time": "03:04:05Z",
    "date-time": "2026-01-02T03:04:05Z",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
    "email": "someone@example.org",
    "uri": "https://example.org/",
    "ipv4": "192.0.2.1",
}
_MAX_DEPTH = 12


def example(schema: Schema, text: str) -> Any:
    """A valid value; free strings hold `text` as far as their length allows."""
    root = schema if isinstance(schema, Mapping) else {}
    return _value(schema, root, text, 0)


def _value(schema: Schema, root: Mapping[str, Any], text: str, depth: int) -> Any:
    if not isinstance(schema, Mapping) or depth > _MAX_DEPTH:
        return {} if depth <= _MAX_DEPTH else None
    schema = _merged(resolved(schema, root), root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for key in ("anyOf", "oneOf"):
        options = schema.get(key)
        if options:
            rest = {name: value for name, value in schema.items() if name != key}
            option = next((item for item in options if not _is_null(item)), options[0])
            return _value({**rest, **resolved(option, root)}, root, text, depth + 1)
    kind = _kind(schema)
    if kind == "object":
        return _object(schema, root, text, depth)
    if kind == "array":
        return _array(schema, root, text, depth)
    if kind in ("integer", "number"):
        return _number(schema, whole=kind == "integer")
    if kind == "boolean":
        return True
    return None if kind == "null" else _string(schema, text)


def _is_null(schema: Schema) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "null"


def resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow local `$ref`s; siblings of the reference win."""
    for _ in range(_MAX_DEPTH):
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#"):
            return schema
        target: Any = root
        for part in reference.lstrip("#/").split("/"):
            if part:
                target = target[part.replace("~1", "/").replace("~0", "~")]
        schema = {**target, **{name: value for name, value in schema.items() if name != "$ref"}}
    return schema


def _merged(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    if not schema.get("allOf"):
        return schema
    merged = {name: value for name, value in schema.items() if name != "allOf"}
    for part in schema["allOf"]:
        part = _merged(resolved(part, root), root)
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        required = [*merged.get("required", []), *part.get("required", [])]
        merged = {**merged, **part}
        if properties:
            merged["properties"], merged["required"] = properties, required
    return merged


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((item for item in kind if item != "null"), "null")
    if isinstance(kind, str):
        return kind
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else "string"


def _object(schema: Mapping[str, Any], root: Mapping[str, Any], text: str, depth: int) -> dict[str, Any]:
    """Required properties first, in schema order, then the optional ones, as the grammar emits them."""
    properties = schema.get("properties") or {}
    required = list(schema.get("required") or ())
    names = [name for name in properties if name in required]
    if depth < 4:
        names += [name for name in properties if name not in required]
    names += [name for name in required if name not in properties]
    return {name: _value(properties.get(name, True), root, text, depth + 1) for name in names}


def _array(schema: Mapping[str, Any], root: Mapping[str, Any], text: str, depth: int) -> list[Any]:
    prefix = [_value(item, root, text, depth + 1) for item in schema.get("prefixItems") or ()]
    wanted = max(int(schema.get("minItems", 0)), min(1, int(schema.get("maxItems", 1))))
    items = schema.get("items")
    if isinstance(items, Mapping):
        while len(prefix) < wanted:
            prefix.append(_value(items, root, text, depth + 1))
    while len(prefix) < int(schema.get("minItems", 0)):
        prefix.append(text)
    return prefix


def _number(schema: Mapping[str, Any], *, whole: bool) -> int | float:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    step = 1 if whole else 0.5
    value: int | float = 1
    if low is not None and (value < low or value == schema.get("exclusiveMinimum")):
        value = low if "minimum" in schema else low + step
    if high is not None and (value > high or value == schema.get("exclusiveMaximum")):
        value = high if "maximum" in schema else high - step
    multiple = schema.get("multipleOf")
    if multiple:
        value = -(-value // multiple) * multiple
    return int(value) if whole else float(value)


def _string(schema: Mapping[str, Any], text: str) -> str:
    if schema.get("format") in _FORMATS:
        return _FORMATS[str(schema["format"])]
    if "pattern" in schema:
        return matching(schema["pattern"])
    text = text[: int(schema.get("maxLength", 400))]
    return text.ljust(int(schema.get("minLength", 0)), "x")


def matching(pattern: str) -> str:
    """A short string for a simple pattern: literals, classes, groups, alternatives, repeats."""
    from re import _parser  # type: ignore[attr-defined]

    return "".join(_piece(code, argument) for code, argument in _parser.parse(re.compile(pattern).pattern))


def _piece(code: Any, argument: Any) -> str:
    name = str(code)
    if name == "LITERAL":
        return chr(int(argument))
    if name in ("MAX_REPEAT", "MIN_REPEAT"):
        low, high, inner = argument
        times: int = max(low, min(1, int(high)))
        return "".join(_piece(*item) for item in inner) * times
    if name == "SUBPATTERN":
        return "".join(_piece(*item) for item in argument[-1])
    if name == "BRANCH":
        return "".join(_piece(*item) for item in argument[1][0])
    if name == "IN":
        return _class_member(argument)
    return "a" if name in ("ANY", "NOT_LITERAL") else ""


def _class_member(items: Any) -> str:
    code, argument = items[0]
    name = str(code)
    if name == "NEGATE":
        candidates = "a0_- zZ9.!"
        return next((char for char in candidates if not any(_in_item(char, item) for item in items[1:])), "~")
    if name == "RANGE":
        return chr(argument[0])
    if name == "CATEGORY":
        return {"CATEGORY_DIGIT": "1", "CATEGORY_SPACE": " "}.get(str(argument), "a")
    return chr(argument)


def _in_item(char: str, item: Any) -> bool:
    code, argument = str(item[0]), item[1]
    if code == "RANGE":
        return bool(argument[0] <= ord(char) <= argument[1])
    if code == "CATEGORY":
        return {
            "CATEGORY_DIGIT": char.isdigit(),
            "CATEGORY_SPACE": char.isspace(),
            "CATEGORY_WORD": char.isalnum() or char == "_",
        }.get(str(argument), False)
    return bool(code == "LITERAL" and argument == ord(char))
