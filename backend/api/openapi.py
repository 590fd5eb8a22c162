"""The OpenAPI document: what the framework makes of the routes, put right where it does not know the house."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

PUBLIC = frozenset({"/health", "/health/ready", "/api/auth/login"})
ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The document, made once: failures have our envelope and never status 422; all but a few routes need a key."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    document = FastAPI.openapi(app)
    components = document.setdefault("components", {})
    components.setdefault("schemas", {})["Error"] = ERROR
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    components["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    failure = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}}
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            operation["responses"]["4XX"] = {"description": "The request was refused; the error says why.", **failure}
            operation["responses"]["5XX"] = {"description": "Something failed; the error says what.", **failure}
            if path not in PUBLIC:
                operation["security"] = [{"bearer": []}]
    stream = {"text/event-stream": {"schema": {"type": "string"}}}
    document["paths"]["/v1/chat/completions"]["post"]["responses"]["200"]["content"].update(stream)
    app.openapi_schema = document
    return document
