"""Reading a caller's JSON schema with suspicion: its shape, its references, and what following them would cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

import orjson

from backend.models.errors import InvalidRequest

MAX_BYTES = 100_000
MAX_NESTING = 100
"""Levels of brackets in the schema's own text."""
MAX_NODES = 5_000
MAX_CHAIN = 32
"""Schemas that apply to the same value because one refers to the next or combines it."""
MAX_PATTERNS = 20
MAX_PATTERN_CHARS = 512

TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
_MAPS = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SINGLES = frozenset({"not", "if", "then", "else", "items", "contains", "additionalProperties", "propertyNames"})
IN_PLACE = frozenset({"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"})
"""Keywords whose schemas apply to the very value that their owner applies to."""
_REFUSED = ("$dynamicRef", "$recursiveRef", "unevaluatedProperties", "unevaluatedItems", "dependencies")

Node = Mapping[str, Any]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_schema(value: Any) -> bool:
    return isinstance(value, (dict, bool))


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(isinstance(each, str) and each in TYPES for each in names)


_Check = tuple[Callable[[Any], bool], str]
_COUNT: _Check = (_is_count, "a whole number that is not negative")
_NUMBER: _Check = (_is_number, "a number")
_SCHEMA: _Check = (_is_schema, "a schema")
_SCHEMAS: _Check = (
    lambda value: isinstance(value, list) and bool(value) and all(map(_is_schema, value)),
    "a list of schemas",
)
_NAMED: _Check = (
    lambda value: isinstance(value, dict) and all(map(_is_schema, value.values())),
    "an object of schemas",
)
_SHAPES: dict[str, _Check] = {
    "type": (_is_type, f"one of {', '.join(sorted(TYPES))}, or a list of them"),
    "enum": (lambda value: isinstance(value, list) and bool(value), "a list that is not empty"),
    "required": (_is_names, "a list of names"),
    "dependentRequired": (
        lambda value: isinstance(value, dict) and all(map(_is_names, value.values())),
        "an object of lists of names",
    ),
    "pattern": (lambda value: isinstance(value, str), "text"),
    "format": (lambda value: isinstance(value, str), "text"),
    "$ref": (lambda value: isinstance(value, str), "text"),
    "uniqueItems": (lambda value: isinstance(value, bool), "true or false"),
    "multipleOf": (lambda value: _is_number(value) and value > 0, "a number greater than 0"),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _NUMBER),
    **dict.fromkeys(
        ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties", "minContains"), _COUNT
    ),
    "maxContains": _COUNT,
    **dict.fromkeys(_MAPS, _NAMED),
    **dict.fromkeys(_LISTS, _SCHEMAS),
    **dict.fromkeys(_SINGLES, _SCHEMA),
}


def check_shape(schema: Node, param: str) -> frozenset[str]:
    """Refuse a schema that is not valid, too large, or cannot be followed safely. Nothing is ever fetched.

    Returns the patterns it holds. Cost: linear in the size of the schema. Raises InvalidRequest naming `param`
    and the place in the schema.
    """
    try:
        size = len(orjson.dumps(schema))
    except (TypeError, ValueError):
        raise InvalidRequest("The JSON schema is not plain JSON, or nested too deeply.", param=param) from None
    if size > MAX_BYTES:
        raise InvalidRequest(
            f"The JSON schema is too large ({size} bytes): at most {MAX_BYTES} are taken.", param=param
        )
    if _nesting(schema) > MAX_NESTING:
        raise InvalidRequest(f"The JSON schema is nested deeper than {MAX_NESTING} levels.", param=param)
    walk = _Walk(schema, param)
    walk.all()
    return frozenset(walk.patterns)


def check_parameters(schema: Node, param: str) -> None:
    """Refuse a tool's schema that no program can read the arguments from; less than `check_shape`, for schemas that
    nobody enforces. Raises InvalidRequest naming `param`."""
    walk = _Walk(schema, param)
    walk.words("", schema, ("properties", "required"))
    for name, child in schema.get("properties", {}).items():
        if isinstance(child, dict):
            walk.words(name, child, ("enum",))


def subschemas(node: Node) -> Iterator[tuple[str, Any, Any]]:
    """(keyword, name or position below it, schema) of each schema that stands directly inside a schema."""
    for keyword, value in node.items():
        if keyword in _MAPS:
            for name, child in value.items():
                yield keyword, name, child
        elif keyword in _LISTS:
            for number, child in enumerate(value):
                yield keyword, number, child
        elif keyword in _SINGLES:
            yield keyword, "", value


def resolved(root: Node, reference: str) -> Any:
    """What a reference of the form `#/a/b` points at. Raises KeyError when that is nothing."""
    target: Any = root
    if reference not in ("#", "#/"):
        if not reference.startswith("#/"):
            raise KeyError(reference)
        for part in reference[2:].split("/"):
            key = unquote(part).replace("~1", "/").replace("~0", "~")
            try:
                target = target[int(key)] if isinstance(target, list) else target[key]
            except (IndexError, ValueError, TypeError):
                raise KeyError(reference) from None
    return target


class _Walk:
    """One pass over a schema and everything it refers to."""

    def __init__(self, root: Node, param: str) -> None:
        self._root = root
        self._param = param
        self._seen: set[int] = set()
        self._in_place: dict[int, list[int]] = {}
        """Which schemas apply to the same value as a schema, by identity."""
        self.patterns: set[str] = set()

    def all(self) -> None:
        todo: list[tuple[str, Any]] = [("", self._root)]
        while todo:
            place, node = todo.pop()
            if isinstance(node, bool) or id(node) in self._seen:
                continue
            self._seen.add(id(node))
            if len(self._seen) > MAX_NODES:
                raise self._refusal("", f"it has more than {MAX_NODES} parts")
            todo += self._node(place, node)
        self._check_chains()

    def _node(self, place: str, node: Node) -> list[tuple[str, Any]]:
        self.words(place, node, node)
        for keyword in node:
            if keyword in _REFUSED or (keyword == "$id" and place):
                raise self._refusal(place, f"{keyword} is not supported")
        for pattern in (*([node["pattern"]] if "pattern" in node else ()), *node.get("patternProperties", ())):
            self._pattern(place, pattern)
        below = list(subschemas(node))
        same = [child for keyword, _, child in below if keyword in IN_PLACE]
        out = [(".".join(filter(None, (place, keyword, str(at)))), child) for keyword, at, child in below]
        if "$ref" in node:
            target = self._target(place, node["$ref"])
            same.append(target)
            out.append((node["$ref"], target))
        self._in_place[id(node)] = [id(child) for child in same if not isinstance(child, bool)]
        return out

    def words(self, place: str, node: Node, keywords: Iterable[str]) -> None:
        """Refuse keywords that hold what they cannot hold."""
        for keyword in keywords:
            check = _SHAPES.get(keyword)
            if check is not None and keyword in node and not check[0](node[keyword]):
                raise self._refusal(place, f"{keyword} must be {check[1]}")

    def _target(self, place: str, reference: str) -> Any:
        try:
            target = resolved(self._root, reference)
        except KeyError:
            reason = f"$ref {reference[:80]!r} points at nothing; only places in this schema (#/…) are followed"
            raise self._refusal(place, reason) from None
        if not _is_schema(target):
            raise self._refusal(place, f"$ref {reference[:80]!r} does not point at a schema")
        return target

    def _pattern(self, place: str, pattern: str) -> None:
        self.patterns.add(pattern)
        if len(pattern) > MAX_PATTERN_CHARS:
            raise self._refusal(place, f"a pattern may have at most {MAX_PATTERN_CHARS} characters")
        if len(self.patterns) > MAX_PATTERNS:
            raise self._refusal("", f"it has more than {MAX_PATTERNS} different patterns")

    def _check_chains(self) -> None:
        """Refuse schemas that apply themselves to the same value again, or through very many others."""
        length: dict[int, int] = {}
        for start in self._in_place:
            path: list[tuple[int, Iterator[int]]] = [(start, iter(self._in_place[start]))]
            open_nodes = {start}
            while path and start not in length:
                node, children = path[-1]
                child = next(children, None)
                if child is None:
                    path.pop()
                    open_nodes.discard(node)
                    length[node] = 1 + max((length[each] for each in self._in_place[node]), default=0)
                elif child in open_nodes:
                    raise self._refusal("", "it refers to itself without end")
                elif child not in length:
                    path.append((child, iter(self._in_place[child])))
                    open_nodes.add(child)
        if max(length.values(), default=0) > MAX_CHAIN:
            raise self._refusal("", f"it combines more than {MAX_CHAIN} schemas for one value")

    def _refusal(self, place: str, reason: str) -> InvalidRequest:
        subject = f"{place[:120]}: " if place else ""
        return InvalidRequest(f"The JSON schema cannot be used: {subject}{reason}.", param=self._param)


def _nesting(value: Any) -> int:
    deepest, todo = 0, [(value, 1)]
    while todo:
        each, depth = todo.pop()
        deepest = max(deepest, depth)
        children = each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
        todo += [(child, depth + 1) for child in children if isinstance(child, (dict, list))]
    return deepest
