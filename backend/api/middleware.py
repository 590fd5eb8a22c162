"""Pure ASGI: request id, standard headers, host check, limits of address and headers, one log line a request."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Collection, Iterable

import orjson
from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.api.admission import Admission, Visit
from backend.api.errors import Failure, envelope

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
API_VERSION = (b"openai-version", b"2020-10-01")
"""The version of OpenAI's HTTP API that is spoken here; there is no other."""
EXPOSED_HEADERS = [
    "x-request-id",
    "x-session-id",
    "x-run-id",
    "x-should-retry",
    "retry-after",
    "retry-after-ms",
    "openai-processing-ms",
    "openai-version",
    "openai-poll-after-ms",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
]
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
_SAFE_ID = re.compile(rb"^[A-Za-z0-9._-]{1,64}$")
API_PREFIXES = ("/v1/", "/api/", "/mcp/", "/health/")
"""Where an address may end in a slash and mean the same."""
MAX_HEADER_BYTES = 32_768
MAX_TARGET_BYTES = 8_192

Pairs = list[tuple[bytes, bytes]]


class Edge:
    """The outermost layer: names the request, completes the headers of every answer, and frees what it held."""

    def __init__(self, app: ASGIApp, admission: Admission, tokens: int) -> None:
        """`tokens`: what one request may use at most, for the headers that tell of limits."""
        self.app = app
        self.admission = admission
        self.tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        request_id = given if _SAFE_ID.match(given) else f"req_{uuid.uuid4().hex}".encode()
        scope["request_id"] = request_id.decode()
        visit = scope["visit"] = Visit(receive)
        started = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                elapsed = int((time.perf_counter() - started) * 1000)
                more: Pairs = [
                    *SECURITY_HEADERS,
                    API_VERSION,
                    (b"x-request-id", request_id),
                    (b"openai-processing-ms", str(elapsed).encode()),
                ]
                if visit.owner is not None:
                    more += self._limits(visit)
                message["headers"] = completed(status, message.get("headers", ()), more)
            await send(message)

        try:
            await self.app(scope, visit.inbox, send_with_headers)
        finally:
            visit.end()
            seconds = time.perf_counter() - started
            path = scope["path"].encode("unicode_escape", "replace").decode()[:200]
            access.info("%s %s %s %.1fms %s", scope["method"], path, status, seconds * 1000, scope["request_id"])

    def _limits(self, visit: Visit) -> Pairs:
        """How many requests this user may have running, how many more may start now, and when all are free again;
        in tokens, what so many requests may use at most."""
        assert visit.owner is not None
        now = self.admission.standing(visit.owner)
        reset = duration(now.reset_s)
        return [
            (b"x-ratelimit-limit-requests", b"%d" % now.limit),
            (b"x-ratelimit-remaining-requests", b"%d" % now.remaining),
            (b"x-ratelimit-reset-requests", reset),
            (b"x-ratelimit-limit-tokens", b"%d" % (now.limit * self.tokens)),
            (b"x-ratelimit-remaining-tokens", b"%d" % (now.remaining * self.tokens)),
            (b"x-ratelimit-reset-tokens", reset),
        ]


class Gate:
    """Turns away what no route should see, before anything is parsed; and lets both spellings of an address in.

    `hosts` None means any Host header is accepted (not bound to loopback).
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None) -> None:
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await _answer(scope, receive, send, *refusal)
            return
        path: str = scope["path"]
        if path.endswith("/") and path.startswith(API_PREFIXES):
            scope["path"] = path[:-1]
        if scope["method"] == "HEAD":
            # Answered as GET; the server under us keeps the body back.
            scope = {**scope, "method": "GET"}
        await self.app(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        target = len(scope.get("raw_path") or b"") + len(scope.get("query_string") or b"")
        if target > MAX_TARGET_BYTES:
            return 414, "The address is too long.", "uri_too_long"
        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
            return 431, "The request's headers are too large.", "headers_too_large"
        headers = dict(scope["headers"])
        if self.hosts is not None:
            host = headers.get(b"host", b"").decode("latin-1").lower()
            name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
            if name not in self.hosts:
                message = "This host name is not served here: use 127.0.0.1 or localhost, or set ALLOWED_HOSTS."
                return 403, message, "host_not_allowed"
        if headers.get(b"content-encoding", b"identity").strip().lower() not in (b"identity", b""):
            message = "Compressed request bodies are not read here: send the body without Content-Encoding."
            return 415, message, "unsupported_content_encoding"
        return None


class Cors(CORSMiddleware):
    """The library's, with refused preflights in the house's envelope."""

    def preflight_response(self, request_headers: Headers) -> Response:
        answer = super().preflight_response(request_headers)
        if answer.status_code < 400:
            return answer
        error = envelope(
            f"{bytes(answer.body).decode()}: CORS_ORIGINS names the origins that may call from a browser.",
            "invalid_request_error",
            None,
            "cors_not_allowed",
        )
        kept = {name: value for name, value in answer.headers.items() if not name.startswith("content-")}
        return Response(orjson.dumps(error), answer.status_code, kept, "application/json")


def completed(status: int, headers: Iterable[tuple[bytes, bytes]], more: Pairs) -> Pairs:
    """An answer's headers and, of `more`, those it has not set itself; a 429 or 503 says when to come back."""
    out = list(headers)
    present = {name for name, _ in out}
    out += [pair for pair in more if pair[0] not in present]
    if status in (429, 503) and (b"x-should-retry", b"false") not in out:
        after = next((value for name, value in out if name == b"retry-after"), b"")
        if not after:
            after = b"1"
            out.append((b"retry-after", after))
        if after.isdigit():
            out.append((b"retry-after-ms", after + b"000"))
    return out


def duration(seconds: int) -> bytes:
    """As OpenAI writes it: `0s`, `59s`, `6m0s`."""
    return b"%ds" % seconds if seconds < 60 else b"%dm%ds" % divmod(seconds, 60)


async def _answer(scope: Scope, receive: Receive, send: Send, status: int, message: str, code: str) -> None:
    error = envelope(message, "invalid_request_error", None, code)
    await Failure(status, error, {"connection": "close"})(scope, receive, send)
