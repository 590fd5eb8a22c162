"""What another server says about its tools, made harmless: names, descriptions, argument schemas."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from backend.utils.untrusted import neutralise

MAX_NAME_CHARS = 64
MAX_SERVER_CHARS = 24
MAX_DESCRIPTION_CHARS = 1_000
MAX_FIELD_DESCRIPTION_CHARS = 300
MAX_SCHEMA_NODES = 2_000
MAX_SCHEMA_DEPTH = 24
_NOT_A_NAME = re.compile(r"[^A-Za-z0-9_]+")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Categories of characters that nobody sees: controls, directions, surrogates, private ones, odd line ends."""


class SchemaRefused(ValueError):
    """An argument schema that cannot be shown to a model; the text says why."""


def tool_name(server: str, name: str) -> str:
    """`{server}_{tool}` of letters, digits and underscores, at most 64 characters; empty when nothing is left."""
    left, right = _NOT_A_NAME.sub("_", server).strip("_"), _NOT_A_NAME.sub("_", name).strip("_")
    if not right:
        return ""
    whole = f"{left[:MAX_SERVER_CHARS]}_{right}"
    if len(whole) <= MAX_NAME_CHARS:
        return whole
    # What is cut off must still tell two names apart.
    mark = hashlib.sha256(f"{server}\0{name}".encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{whole[: MAX_NAME_CHARS - 9]}_{mark}"


def plain(text: str, limit: int) -> str:
    """At most so many characters and a sign of what was cut; none hidden, no special tokens of chat templates."""
    kept = "".join(c for c in text[: limit * 4] if c in "\n\t" or unicodedata.category(c) not in _HIDDEN)
    kept = neutralise(kept.strip())
    return kept if len(kept) <= limit else kept[:limit].rstrip() + " …"


def one_line(text: str, limit: int) -> str:
    return " ".join(plain(text, limit).split())


def argument_schema(raw: Any) -> dict[str, Any]:
    """A tool's argument schema with references in their places and every text in it made harmless.

    Raises SchemaRefused when it is no schema of an object, is too large, or refers to itself or elsewhere.
    """
    if not isinstance(raw, Mapping) or raw.get("type", "object") != "object":
        raise SchemaRefused("its argument schema does not describe an object")
    budget = _Budget(raw)
    schema = budget.node(raw, 0, ())
    if not isinstance(schema, dict) or not isinstance(schema.setdefault("properties", {}), dict):
        raise SchemaRefused("its argument schema has no properties")
    schema["type"] = "object"
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        raise SchemaRefused("its argument schema's `required` is no list of names")
    return schema


class _Budget:
    """One walk through a schema; counts what it visits."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._left = MAX_SCHEMA_NODES

    def node(self, value: Any, depth: int, open_references: tuple[str, ...]) -> Any:
        """A copy of a schema, or of a value within one."""
        self._left -= 1
        if self._left < 0 or depth > MAX_SCHEMA_DEPTH:
            raise SchemaRefused("its argument schema is too large")
        if isinstance(value, str):
            return plain(value, MAX_DESCRIPTION_CHARS)
        if isinstance(value, list):
            return [self.node(item, depth + 1, open_references) for item in value]
        if not isinstance(value, Mapping):
            return value
        if "$ref" in value:
            return self._referred(value["$ref"], depth, open_references)
        out: dict[str, Any] = {}
        for key, child in value.items():
            if key in ("$defs", "definitions", "$schema", "$id", "$comment") or (
                key == "title" and isinstance(child, str)
            ):
                continue
            if key == "properties" and isinstance(child, Mapping):
                out[key] = {_field(name): self.node(each, depth + 1, open_references) for name, each in child.items()}
            elif key == "description" and isinstance(child, str):
                out[key] = plain(child, MAX_FIELD_DESCRIPTION_CHARS)
            else:
                out[_field(key)] = self.node(child, depth + 1, open_references)
        return out

    def _referred(self, reference: Any, depth: int, open_references: tuple[str, ...]) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise SchemaRefused("its argument schema refers to another place")
        if reference in open_references:
            # A schema without an end: from here on anything is taken.
            return {}
        found: Any = self._root
        for part in reference[2:].split("/"):
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or name not in found:
                raise SchemaRefused("its argument schema refers to something that is not there")
            found = found[name]
        return self.node(found, depth + 1, (*open_references, reference))


def _field(name: str) -> str:
    """The name of a field as it stands: changed, the server would not know it."""
    if not name or len(name) > 128 or plain(name, 128) != name:
        raise SchemaRefused("its argument schema has a field with an unusable name")
    return name
