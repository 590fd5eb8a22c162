"""The one place that writes the OpenAI error envelope."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from backend.models.errors import HearthError, InvalidRequest

log = logging.getLogger("hearth.api")

INTERNAL_MESSAGE = "Something went wrong in the server; its log says what, under this request's id."


def envelope(message: str, type_: str, param: str | None, code: str | None) -> dict[str, Any]:
    """OpenAI's error object: all four keys, always."""
    return {"error": {"message": message, "type": type_, "param": param, "code": code}}


def envelope_of(error: HearthError) -> dict[str, Any]:
    return envelope(error.message, error.type, error.param, error.code)


def error_response(error: HearthError) -> Response:
    return _response(error.status, envelope_of(error), error.headers)


def _response(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body), status, dict(headers or {}), "application/json")


def invalid(error: ValidationError) -> InvalidRequest:
    """The first problem of a body, named by its field."""
    first = error.errors(include_url=False)[0]
    # Members of unions appear in the path as type names; a client knows only its own field names.
    parts = [str(p) for p in first["loc"] if isinstance(p, int) or "[" not in p]
    where = ".".join(p for p in parts if p not in {"str", "int", "list", "float"}) or "body"
    return InvalidRequest(f"{where}: {first['msg']}.", param=where, code="invalid_value")


def add_error_handlers(app: FastAPI) -> None:
    """Every failure, ours or the framework's, leaves in the same envelope."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, HearthError)
        if error.status >= 500:
            log.warning("%s %s: %s", request.method, request.url.path, error.message)
        return error_response(error)

    async def framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code = {404: "unknown_url", 405: "method_not_allowed", 413: "too_large"}.get(error.status_code)
        message = {
            404: f"There is no route {request.method} {request.url.path[:200]}.",
            405: f"{request.method} is not allowed on {request.url.path[:200]}.",
            413: "The request body is too large.",
        }.get(error.status_code, str(error.detail))
        type_ = "invalid_request_error" if error.status_code < 500 else "server_error"
        return _response(error.status_code, envelope(message, type_, None, code), error.headers)

    async def validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or None
        text = f"{where or 'request'}: {first['msg']}."
        return _response(400, envelope(text, "invalid_request_error", where, "invalid_value"))

    async def unexpected(request: Request, error: Exception) -> Response:
        # The framework logs the exception itself after this answer, with its trace.
        headers = {"x-request-id": request.scope.get("request_id", "")}
        return _response(500, envelope(INTERNAL_MESSAGE, "server_error", None, "internal_error"), headers)

    async def gone(request: Request, error: Exception) -> Response:
        # The client left while it was still sending: nobody reads this answer, and nothing went wrong here.
        return _response(400, envelope("The request broke off.", "invalid_request_error", None, "client_gone"))

    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(HearthError, ours)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(Exception, unexpected)
