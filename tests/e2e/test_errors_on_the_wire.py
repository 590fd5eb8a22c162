"""Requests that no client library would send, byte for byte: a clear refusal, and the server goes on."""

from __future__ import annotations

import json
import socket

import pytest

from tests.server import HearthServer

CHAT = "/v1/chat/completions"
GOOD = b'{"model":"hearth-builtin","messages":[{"role":"user","content":"hi"}]}'


def exchanged(server: HearthServer, raw: bytes, *, leave: bool = False) -> tuple[int, dict[str, str], bytes]:
    """Send these bytes; status, headers and body of the answer. `leave`: nothing more will come, and that is told."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as line:
        line.sendall(raw)
        if leave:
            line.shutdown(socket.SHUT_WR)
        got = b""
        while piece := line.recv(65_536):
            got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, value in (each.split(": ", 1) for each in rest)}
    return int(first.split()[1]), headers, body


def request(server: HearthServer, method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
    given = {"Host": "127.0.0.1", "Authorization": f"Bearer {server.key}", "Connection": "close", **headers}
    if body and "Transfer_Encoding" not in given:
        given["Content-Length"] = str(len(body))
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body


def chunked(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


def unchunked(body: bytes) -> bytes:
    out, rest = b"", body
    while True:
        size, _, rest = rest.partition(b"\r\n")
        if int(size, 16) == 0:
            return out
        out, rest = out + rest[: int(size, 16)], rest[int(size, 16) + 2 :]


def test_chunked_body_is_read_as_any_other(offline: HearthServer) -> None:
    body = chunked(GOOD[:7], GOOD[7:8], GOOD[8:])
    status, _, answer = exchanged(offline, request(offline, "POST", CHAT, body, Transfer_Encoding="chunked"))
    assert status == 200 and json.loads(answer)["object"] == "chat.completion"


@pytest.mark.parametrize(
    ("method", "target", "body", "headers", "status", "code"),
    [
        ("POST", CHAT, chunked(b'{"model":'), {"Transfer_Encoding": "chunked"}, 400, "invalid_json"),
        ("POST", CHAT, b"\x1f\x8b\x08\x00", {"Content_Encoding": "gzip"}, 415, "unsupported_content_encoding"),
        ("TRACE", CHAT, b"", {}, 405, "method_not_allowed"),
        ("TRACE", "/v1/nope", b"", {}, 404, "unknown_url"),
        ("OPTIONS", "*", b"", {}, 404, "unknown_url"),
        ("PROPFIND", "/v1/models", b"", {}, 405, "method_not_allowed"),
        ("GET", "/v1/%zz%", b"", {}, 404, "unknown_url"),
        ("GET", "/v1/%00%0d%0aX-Evil:%201", b"", {}, 404, "unknown_url"),
        ("GET", "/v1/models/%ff%fe%80", b"", {}, 404, "model_not_found"),
        ("GET", "/v1/models/..%2f..%2fetc%2fpasswd", b"", {}, 404, "model_not_found"),
        ("GET", "/api/conversations/%2e%2e%2f%2e%2e", b"", {}, 404, "unknown_url"),
        ("GET", "/api/runs?page=%ff&limit=%zz", b"", {}, 400, "invalid_value"),
        ("GET", "/v1/nope", b"", {"Host": ""}, 403, "host_not_allowed"),
        ("GET", "/v1/nope", b"", {"Host": "evil.example"}, 403, "host_not_allowed"),
        ("GET", "http://127.0.0.1/v1/nope", b"", {}, 404, "unknown_url"),
        ("POST", CHAT, GOOD, {"Authorization": "Bearer \xff\xfe"}, 401, "invalid_api_key"),
        ("POST", CHAT, GOOD, {"Authorization": "Bearer " + "x" * 20_000}, 401, "invalid_api_key"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) and len(value) > 3 else None,
)
def test_flow_5_odd_requests_get_the_envelope(
    offline: HearthServer, method: str, target: str, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    got, told, answer = exchanged(offline, request(offline, method, target, body, **headers))
    text = unchunked(answer) if told.get("transfer-encoding") == "chunked" else answer
    assert got == status, text
    error = json.loads(text)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("invalid_request_error", code)
    assert told["x-request-id"] and told["openai-version"] and "x-evil" not in told


@pytest.mark.parametrize(
    "raw",
    [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 100,
     b"POST /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n",
     b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
     b"GET /\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"],
    ids=["tls", "no-target", "version", "nuls", "negative-length", "bad-chunk", "bytes-in-target"],
)  # fmt: skip
def test_flow_5_what_is_not_http_is_refused_and_harms_nobody(offline: HearthServer, raw: bytes) -> None:
    try:
        status, _, body = exchanged(offline, raw, leave=True)
        assert 400 <= status < 500 and b"Traceback" not in body
    except (IndexError, ConnectionResetError):
        pass  # closed without a word
    with offline.client() as client:
        assert client.get("/health").status_code == 200


def test_flow_5_body_that_breaks_off_takes_no_place_for_long(offline: HearthServer) -> None:
    broken = request(offline, "POST", CHAT, b"", Content_Length="500") + b'{"model":'
    for _ in range(20):
        try:
            exchanged(offline, broken, leave=True)
        except (IndexError, ConnectionResetError):
            continue
    with offline.client() as client:
        assert client.get("/api/auth/me").headers["x-ratelimit-reset-requests"] == "0s"


@pytest.mark.parametrize("path", ["/v1/models/", "/v1/models", "/health/", "/api/tools/"])
def test_both_spellings_of_an_address_are_answered_without_a_redirect(offline: HearthServer, path: str) -> None:
    with offline.client(follow_redirects=False) as client:
        assert client.get(path).status_code == 200
