"""What a grammar made from a JSON schema can be relied upon for, and a schema that it can be made from.

Local model servers turn a schema into a grammar. They ignore some keywords, refuse others, and choke on bounds that
make the grammar large: those are said in words instead, since the answer is validated against the whole schema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MAX_REPEATS = 1_000
"""Bounds above this are left out of the grammar, which would repeat a rule as often."""
_SIMPLE_PATTERN = re.compile(r"\^(?:[\w\s\-,:;/@#%=+*?.|()\[\]{}]|\\[dws.\-/+*?()\[\]{}|])*\$")
_REPEATS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
}
_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLES = ("not", "if", "then", "else", "items", "contains", "additionalProperties", "propertyNames")

_WORDS_ONLY = frozenset(
    {"title", "description", "default", "examples", "$schema", "$id", "$comment", "deprecated", "readOnly", "writeOnly"}
)
_EXACT = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs"}
    | {"definitions", "minLength", "maxLength", "minItems", "maxItems"}
)
_WHOLE_NUMBER_BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})
_ALONE = ("$ref", "anyOf", "enum", "const")
"""Where one of these stands, the converter looks at nothing else."""


def is_guaranteed(schema: Mapping[str, Any]) -> bool:
    """Whether every text of the schema's grammar fits the schema, so that it may be passed on as it is written."""
    todo: list[Any] = [schema]
    while todo:
        node = todo.pop()
        if not isinstance(node, Mapping):
            if node is False:
                return False
            continue
        if not _is_exact(node):
            return False
        todo += [child for name in ("properties", "$defs", "definitions") for child in node.get(name, {}).values()]
        todo += node.get("anyOf", ())
        # `additionalProperties: false` is what the grammar does anyway.
        todo += [node[name] for name in ("items", "additionalProperties") if isinstance(node.get(name), Mapping)]
    return True


def _is_exact(node: Mapping[str, Any]) -> bool:
    keywords = node.keys() - _WORDS_ONLY
    if keywords & _WHOLE_NUMBER_BOUNDS:
        if node.get("type") != "integer":
            return False
        keywords -= _WHOLE_NUMBER_BOUNDS
    if not keywords <= _EXACT or _large_repeats(node):
        return False
    alone = [name for name in _ALONE if name in node]
    if not alone:
        one_type = isinstance(node.get("type"), str) or keywords <= {"type", "$defs", "definitions"}
        return one_type and not set(node.get("required", ())) - set(node.get("properties", {}))
    beside = keywords - {alone[0], "$defs", "definitions"} - ({"type"} if alone[0] in ("enum", "const") else set())
    return not beside


def for_grammar(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema without what a grammar cannot take; its descriptions say what was left out.

    Expects a schema that check_shape has passed.
    """
    out = dict(schema)
    said = [_REPEATS[keyword].format(out.pop(keyword)) for keyword in _large_repeats(schema)]
    pattern = out.get("pattern")
    if pattern is not None and not _SIMPLE_PATTERN.fullmatch(pattern):
        said.append(f"must match the regular expression {out.pop('pattern')}")
    for keyword in _MAPS:
        if keyword in out:
            out[keyword] = {name: _lightened(child) for name, child in out[keyword].items()}
    for keyword in _LISTS:
        if keyword in out:
            out[keyword] = [_lightened(child) for child in out[keyword]]
    for keyword in _SINGLES:
        if keyword in out:
            out[keyword] = _lightened(out[keyword])
    if said:
        out["description"] = " ".join(filter(None, (str(out.get("description", "")), f"({'; '.join(said)})")))
    return out


def _lightened(child: Any) -> Any:
    return for_grammar(child) if isinstance(child, Mapping) else child


def _large_repeats(node: Mapping[str, Any]) -> list[str]:
    return [keyword for keyword in _REPEATS if node.get(keyword, 0) > MAX_REPEATS]
