"""The house's error envelope in Anthropic's words, for the routes that speak them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ROUTES = "/v1/messages"
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_BUSY = frozenset({"overloaded", "upstream_busy"})


def speaks_anthropic(path: str) -> bool:
    return path == ROUTES or path.startswith(ROUTES + "/")


def anthropic_error(error: Mapping[str, Any], status: int | None, request_id: str) -> dict[str, Any]:
    """Anthropic's object for the house's envelope.

    `status` None: the answer had begun, so there is none, and only the code tells. The field at fault, for which
    Anthropic has no place of its own, stands before the message.
    """
    inner: Mapping[str, Any] = error["error"]
    message, param = str(inner["message"]), inner.get("param")
    if param and not message.startswith(f"{param}:"):
        message = f"{param}: {message}"
    return {
        "type": "error",
        "error": {"type": _type(inner, status), "message": message},
        "request_id": request_id or None,
    }


def _type(inner: Mapping[str, Any], status: int | None) -> str:
    if inner.get("code") in _BUSY:
        return "overloaded_error"
    if status is None:
        kind = str(inner.get("type"))
        if inner.get("code") == "upstream_timeout":
            return "timeout_error"
        return kind if kind == "invalid_request_error" else "api_error"
    return TYPES.get(status) or ("invalid_request_error" if status < 500 else "api_error")
