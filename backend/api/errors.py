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
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from backend.api.anthropic_errors import anthropic_error, speaks_anthropic
from backend.models.errors import HearthError, InvalidRequest

log = logging.getLogger("hearth.api")

NOT_OFFERED = {
    "/v1/audio": "Audio is out of scope here: this server neither transcribes nor speaks",
    "/v1/realtime": "Audio is out of scope here, and with it the realtime API",
    "/v1/images": "Images are not made here; models that can see take them in chat messages",
    "/v1/videos": "Videos are not made here",
    "/v1/fine_tuning": "Models are not trained here",
    "/v1/fine-tunes": "Models are not trained here",
    "/v1/batches": "There is no batch queue here: send the requests one by one, or side by side",
    "/v1/moderations": "Moderation is not offered here",
    "/v1/assistants": "Assistants are not offered here: use /v1/responses",
    "/v1/threads": "Threads are not offered here: use /v1/conversations and /v1/responses",
    "/v1/containers": "Containers are not offered here: code runs in a sandbox that ends with it",
    "/v1/evals": "Evaluations are not offered here",
    "/v1/graders": "Evaluations are not offered here",
    "/v1/organization": "There is no organization to administer here",
    "/v1/projects": "There are no projects here",
    "/v1/chatkit": "ChatKit is not offered here",
    "/v1/skills": "Skills are not offered here",
    "/v1/engines": "Engines are not offered here: GET /v1/models lists the models",
    "/v1/edits": "Edits are not offered here: use /v1/chat/completions",
}
"""Doors of OpenAI's API that clients may knock at and that do not exist here."""

INTERNAL_MESSAGE = "Something went wrong in the server; its log says what, under this request's id."


def envelope(message: str, type_: str, param: str | None, code: str | None) -> dict[str, Any]:
    """OpenAI's error object: all four keys, always."""
    return {"error": {"message": message, "type": type_, "param": param, "code": code}}


def envelope_of(error: HearthError) -> dict[str, Any]:
    return envelope(error.message, error.type, error.param, error.code)


def error_response(error: HearthError) -> Response:
    headers = error.headers
    if error.retry is not None:
        headers = {**headers, "x-should-retry": "true" if error.retry else "false"}
    return _response(error.status, envelope_of(error), headers)


def _response(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    return Failure(status, body, headers or {})


class Failure(Response):
    """An envelope as an answer; on Anthropic's routes in their form, whoever has refused."""

    def __init__(self, status: int, error: Mapping[str, Any], headers: Mapping[str, str]) -> None:
        super().__init__(orjson.dumps(error), status, dict(headers), "application/json")
        self.error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if speaks_anthropic(scope["path"]):
            request_id = scope.get("request_id", "")
            self.body = orjson.dumps(anthropic_error(self.error, self.status_code, request_id))
            self.headers["content-length"] = str(len(self.body))
            self.headers["request-id"] = request_id
        await super().__call__(scope, receive, send)


def invalid(error: ValidationError) -> InvalidRequest:
    """The first problem of a body, named by its field."""
    where, message = _problem(error)
    return InvalidRequest(f"{where}: {message}.", param=where, code="invalid_value")


def _problem(error: ValidationError) -> tuple[str, str]:
    """Where the first problem is, and what it is."""
    found = [(_field_path(each["loc"]), each["type"], each["msg"]) for each in error.errors(include_url=False)]
    where, kind, message = found[0]
    if kind.endswith("_type"):
        # Each member of a union says what it expected: the one that the value was meant for finds fault with more.
        for path, its_kind, text in found[1:]:
            if path.startswith(f"{where}.") or (path == where and not its_kind.endswith("_type")):
                return path, text
    return where, message


def _field_path(loc: tuple[int | str, ...]) -> str:
    """Members of unions appear in the path as type names; a client knows only its own field names."""
    parts = [str(p) for p in loc if isinstance(p, int) or "[" not in p]
    names = {"str", "int", "list", "float", "constrained-str", "ConversationIn"}
    return ".".join(p for p in parts if p not in names) or "body"


def _not_offered(path: str) -> str:
    """Why there is nothing at this address, without the full stop."""
    for prefix, reason in NOT_OFFERED.items():
        if path == prefix or path.startswith(prefix + "/"):
            return reason
    return "This address is not known here: check it for typos"


def _allowed(request: Request) -> list[str]:
    """Every method that this address takes; the framework names only those of the first route it finds."""
    return [
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.router.routes
        )
    ]


def add_error_handlers(app: FastAPI) -> None:
    """Every failure, ours or the framework's, leaves in the same envelope."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, HearthError)
        if error.status >= 500:
            log.warning("%s %s: %s", request.method, request.url.path, error.message)
        return error_response(error)

    async def framework(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        status, route = error.status_code, f"{request.method} {request.url.path[:200]}"
        code = {404: "unknown_url", 405: "method_not_allowed", 413: "too_large"}.get(status)
        headers = error.headers
        message = str(error.detail)
        if status == 404:
            message = f"{_not_offered(request.url.path)} (there is no route {route})."
        elif status == 405:
            allowed = ", ".join(_allowed(request))
            headers = {"allow": allowed}
            message = f"{route} is not offered: this address takes {allowed}."
        elif status == 413:
            message = "The request body is too large."
        type_ = "invalid_request_error" if status < 500 else "server_error"
        return _response(status, envelope(message, type_, None, code), headers)

    async def validation(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or None
        text = f"{where or 'request'}: {first['msg']}."
        return _response(400, envelope(text, "invalid_request_error", where, "invalid_value"))

    async def unexpected(request: Request, error: Exception) -> Response:
        # The framework logs the exception itself after this answer, with its trace.
        return _response(500, envelope(INTERNAL_MESSAGE, "server_error", None, "internal_error"))

    async def gone(request: Request, error: Exception) -> Response:
        # The client left while it was still sending: nobody reads this answer, and nothing went wrong here.
        return _response(400, envelope("The request broke off.", "invalid_request_error", None, "client_gone"))

    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(HearthError, ours)
    app.add_exception_handler(HTTPException, framework)
    app.add_exception_handler(RequestValidationError, validation)
    app.add_exception_handler(Exception, unexpected)
