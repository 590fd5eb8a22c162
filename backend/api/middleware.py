"""Pure ASGI: request id, host check, security headers, body limit, one log line a request."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Collection

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.errors import envelope

access = logging.getLogger("hearth.access")

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self';"
    " font-src 'self'; frame-src blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
)
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
_SAFE_ID = re.compile(rb"^[A-Za-z0-9._-]{1,64}$")
ADMITTED_PATHS = frozenset({"/v1/chat/completions"})
"""Where work is long: at most so many at once, and an honest answer to the next."""
MAX_HEADER_BYTES = 32_768
MAX_TARGET_BYTES = 8_192


class Edge:
    """Wraps the application once.

    `hosts` None means any Host header is accepted (not bound to loopback). `most` chat completions run at once.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None, most: int) -> None:
        self.app = app
        self.hosts = hosts
        self.most = most
        self.running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["method"] == "HEAD":
            # Answered as GET; the server under us keeps the body back.
            scope = {**scope, "method": "GET"}
        headers = dict(scope["headers"])
        given = headers.get(b"x-request-id", b"")
        request_id = given if _SAFE_ID.match(given) else f"req_{uuid.uuid4().hex}".encode()
        scope["request_id"] = request_id.decode()
        started = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                present = {name for name, _ in message["headers"]}
                extra = [pair for pair in SECURITY_HEADERS if pair[0] not in present]
                elapsed = int((time.perf_counter() - started) * 1000)
                extra.append((b"openai-processing-ms", str(elapsed).encode()))
                if b"x-request-id" not in present:
                    extra.append((b"x-request-id", request_id))
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        try:
            refusal = self._refusal(scope, headers)
            if refusal is not None:
                await _answer(send_with_headers, *refusal)
            elif scope["path"] in ADMITTED_PATHS:
                await self._admitted(scope, receive, send_with_headers)
            else:
                await self.app(scope, receive, send_with_headers)
        finally:
            seconds = time.perf_counter() - started
            path = scope["path"].encode("unicode_escape", "replace").decode()[:200]
            access.info("%s %s %s %.1fms %s", scope["method"], path, status, seconds * 1000, scope["request_id"])

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.running >= self.most:
            await _answer(send, 503, "The server is busy: try again in a moment.", "overloaded", (b"retry-after", b"1"))
            return
        self.running += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.running -= 1

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str, str] | None:
        target = len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"")
        if target > MAX_TARGET_BYTES:
            return 414, "The address is too long.", "uri_too_long"
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
            return 431, "The request's headers are too large.", "headers_too_large"
        if self.hosts is not None:
            host = headers.get(b"host", b"").decode("latin-1").lower()
            name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
            if name not in self.hosts:
                message = "This host name is not served here: use 127.0.0.1 or localhost, or set ALLOWED_HOSTS."
                return 403, message, "host_not_allowed"
        return None


async def _answer(send: Send, status: int, message: str, code: str, *extra: tuple[bytes, bytes]) -> None:
    type_ = "invalid_request_error" if status < 500 else "service_unavailable"
    body = orjson.dumps(envelope(message, type_, None, code))
    headers = [(b"content-type", b"application/json"), (b"connection", b"close"), *extra]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
