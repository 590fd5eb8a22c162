"""Small words to write JSON schemas with."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
TEXT_OR_NULL: Schema = {"type": ["string", "null"]}
INTEGER: Schema = {"type": "integer"}
COUNT: Schema = {"type": "integer", "minimum": 0}
COUNT_OR_NULL: Schema = {"type": ["integer", "null"], "minimum": 0}
NUMBER: Schema = {"type": "number"}
NUMBER_OR_NULL: Schema = {"type": ["number", "null"]}
BOOLEAN: Schema = {"type": "boolean"}
TRUE: Schema = {"type": "boolean", "const": True}
TIME: Schema = {"type": "integer", "description": "Seconds since 1970-01-01 UTC."}
TIME_OR_NULL: Schema = {"type": ["integer", "null"], "description": "Seconds since 1970-01-01 UTC."}
MOMENT: Schema = {"type": "number", "description": "Seconds since 1970-01-01 UTC."}
MOMENT_OR_NULL: Schema = {"type": ["number", "null"], "description": "Seconds since 1970-01-01 UTC."}
ANY_OBJECT: Schema = {"type": "object", "additionalProperties": True}
OBJECT_OR_NULL: Schema = {"type": ["object", "null"], "additionalProperties": True}
METADATA: Schema = {"type": ["object", "null"], "additionalProperties": {"type": "string"}}
ANYTHING: Schema = {}


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def words(*allowed: str) -> Schema:
    return {"type": "string", "enum": list(allowed)}


def const(value: str) -> Schema:
    return {"type": "string", "const": value}


def array(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def one_of(*schemas: Schema) -> Schema:
    return {"anyOf": list(schemas)}


def described(schema: Schema, text: str) -> Schema:
    return {**schema, "description": text}


def obj(required: dict[str, Schema], optional: dict[str, Schema] | None = None, description: str = "") -> Schema:
    """An object; further keys are allowed, as answers may grow."""
    made: Schema = {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}
    if description:
        made["description"] = description
    return made


def listed(item: str, *, cursors: bool = True) -> Schema:
    """OpenAI's list object; with cursors it is a page."""
    required = {"object": const("list"), "data": array(ref(item))}
    if not cursors:
        return obj(required)
    return obj(required | {"first_id": TEXT_OR_NULL, "last_id": TEXT_OR_NULL, "has_more": BOOLEAN})


def deleted(kind: str) -> Schema:
    return obj({"id": STRING, "object": const(kind), "deleted": TRUE})


def paged(key: str, item: str) -> Schema:
    """The house's own page: items under `key`, counted from page 1."""
    return obj({key: array(ref(item)), "page": INTEGER, "limit": INTEGER, "total": COUNT})
