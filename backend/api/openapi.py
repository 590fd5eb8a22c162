"""The OpenAPI document: what the framework makes of the routes, put right where it does not know the house."""

from __future__ import annotations

from collections import Counter
from typing import Any

from fastapi import FastAPI

from backend.api import openapi_hearth, openapi_openai
from backend.api.openapi_examples import ANSWERS, REQUESTS
from backend.api.openapi_operations import SUCCESSES, TAGS, Success
from backend.api.openapi_parts import Schema, one_of, ref

PUBLIC = frozenset({"/health", "/health/ready", "/api/auth/login"})
ANTHROPIC = frozenset({"/v1/messages", "/v1/messages/count_tokens"})
"""Where failures have Anthropic's envelope."""
ENDS_WITH_DONE = frozenset({"ChatCompletionChunk", "Completion"})
METHODS = frozenset({"get", "put", "post", "patch", "delete"})
REQUEST_ID = {"x-request-id": {"$ref": "#/components/headers/RequestId"}}
BOUNDS: dict[str, dict[str, int]] = {
    "page": {"minimum": 1, "maximum": 1_000_000},
    "limit": {"minimum": 1, "maximum": 200},
}
"""Of the house's own pages."""
BODIES = {"POST /mcp": "RpcRequest"}
"""Of routes whose bodies the framework does not see."""
NAMES = {
    "me": "get_me",
    "health": "get_health",
    "ready": "get_readiness",
    "speak": "call_mcp",
    "upload": "upload_documents",
    "view": "view_document",
    "watch": "watch_document",
    "get_content": "get_document_content",
    "get_page": "get_document_page",
    "compact": "compact_response",
    "count_tokens": "count_message_tokens",
    "change_settings": "change_tool_settings",
}
"""Of operations whose handlers have a name that says little away from their file."""
ABOUT = (
    "A local-first agent server that speaks OpenAI's API. Failures have OpenAI's error envelope, every answer an"
    " `x-request-id`. Answers that are streamed are server-sent events: one JSON object in each `data:`."
)


def describe(app: FastAPI) -> dict[str, Any]:
    """The document, made once."""
    if app.openapi_schema is not None:
        return app.openapi_schema
    document = FastAPI.openapi(app)
    document["info"]["description"] = ABOUT
    document["components"] = _components(document)
    operations = [
        (path, method, operation)
        for path, found in document["paths"].items()
        for method, operation in found.items()
        if method in METHODS
    ]
    _name(operations)
    for path, method, operation in operations:
        key = f"{method.upper()} {path}"
        _bound(path, operation)
        if key in BODIES:
            content = {"application/json": {"schema": ref(BODIES[key])}}
            operation["requestBody"] = {"required": True, "content": content}
        _show(operation, REQUESTS.get(key, {}), document["components"]["schemas"])
        _succeed(operation, SUCCESSES.get(key), ANSWERS.get(key))
        if path == "/health/ready":
            operation["responses"]["503"] = {**operation["responses"]["200"], "description": "Not all parts work."}
        operation["responses"].pop("422", None)
        kind = "Anthropic" if path in ANTHROPIC else "Mcp" if path == "/mcp" else ""
        operation["responses"]["4XX"] = {"$ref": f"#/components/responses/{kind}Refused"}
        operation["responses"]["5XX"] = {"$ref": f"#/components/responses/{kind}Failed"}
        operation["security"] = [] if path in PUBLIC else [{"bearer": []}, {"apiKey": []}]
    used = {tag for _, _, operation in operations for tag in operation.get("tags", ())}
    document["tags"] = [{"name": name, "description": text} for name, text in TAGS.items() if name in used]
    app.openapi_schema = document
    return document


def _components(document: dict[str, Any]) -> dict[str, Any]:
    """Schemas by name, the failures, how to sign in."""
    schemas = {**openapi_openai.SCHEMAS, **openapi_hearth.SCHEMAS}
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        if name not in ("HTTPValidationError", "ValidationError"):
            schemas.setdefault(name, schema)
    refused, failed = "The request was refused; the error says why.", "Something failed; the error says what."
    return {
        "schemas": schemas,
        "responses": {
            "Refused": _answer(refused, ref("Error")),
            "Failed": _answer(failed, ref("Error")),
            "AnthropicRefused": _answer(refused, ref("AnthropicError")),
            "AnthropicFailed": _answer(failed, ref("AnthropicError")),
            "McpRefused": _answer(refused, one_of(ref("Error"), ref("RpcAnswer"))),
            "McpFailed": _answer(failed, one_of(ref("Error"), ref("RpcAnswer"))),
        },
        "headers": {"RequestId": {"description": "Names the request in the log.", "schema": {"type": "string"}}},
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "description": "An API key or an access token."},
            "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
        },
    }


def _answer(description: str, schema: Schema) -> dict[str, Any]:
    return {"description": description, "headers": REQUEST_ID, "content": {"application/json": {"schema": schema}}}


def _name(operations: list[tuple[str, str, dict[str, Any]]]) -> None:
    """The handler's name is the operation's; where two have the same, that of OpenAI's route keeps it."""
    counted = Counter(_handler(operation) for _, _, operation in operations)
    for path, _, operation in operations:
        name = _handler(operation)
        operation["operationId"] = f"hearth_{name}" if counted[name] > 1 and not path.startswith("/v1/") else name


def _handler(operation: dict[str, Any]) -> str:
    name = str(operation["summary"]).lower().replace(" ", "_")
    return NAMES.get(name, name)


def _bound(path: str, operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if path.startswith("/api/") and parameter["in"] == "query":
            parameter["schema"].update(BOUNDS.get(parameter["name"], {}))


def _show(operation: dict[str, Any], examples: dict[str, Any], schemas: dict[str, Schema]) -> None:
    """Give the schemas of bodies names of their own, and put the examples beside them."""
    content = operation.get("requestBody", {}).get("content", {})
    for body in content.values():
        name = body["schema"].get("title")
        if name is not None and schemas.setdefault(name, body["schema"]) == body["schema"]:
            body["schema"] = ref(name)
    if examples and "application/json" in content:
        content["application/json"]["examples"] = {name: {"value": value} for name, value in examples.items()}


def _succeed(operation: dict[str, Any], success: Success | None, example: Any) -> None:
    """Say what an answer that succeeds consists of."""
    for status, answer in operation["responses"].items():
        if not status.startswith("2"):
            continue
        answer["headers"] = REQUEST_ID
        if success is None or status == "204":
            continue
        content: dict[str, Any] = {}
        if success.schema is not None:
            content["application/json"] = {"schema": success.schema}
            if example is not None:
                content["application/json"]["examples"] = {"answer": {"value": example}}
        if success.media is not None:
            binary = {"schema": {"type": "string", "format": "binary"}}
            # Generators of clients know the one, the other is the truth.
            content |= {"application/octet-stream": binary} if success.media == "*/*" else {}
            content[success.media] = binary
        if success.events is not None:
            content["text/event-stream"] = {"schema": _event(success.events)}
        answer["content"] = content


def _event(name: str) -> Schema:
    """One server-sent event, whose data is JSON; where OpenAI's streams end with `[DONE]`, so do these."""
    named = {"event": {"type": "string"}, "id": {"type": "string"}}
    data = {"type": "string", "contentMediaType": "application/json", "contentSchema": ref(name)}
    event = {"type": "object", "required": ["data"], "properties": {**named, "data": data}}
    if name not in ENDS_WITH_DONE:
        return {**event, "description": "One event of the stream."}
    done = {"type": "object", "required": ["data"], "properties": {**named, "data": {"const": "[DONE]"}}}
    return {"anyOf": [done, event], "description": "One event of the stream; the last one's data is `[DONE]`."}
