"""Every refusal has OpenAI's envelope, with the right status, type, code and param, and the headers around it."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import APIRouter

from backend.api.errors import NOT_OFFERED
from backend.models.errors import Conflict, HearthError, StorageFailed, StorageFull, ToolUnavailable, UpstreamBusy
from tests.api.house import House, open_house

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHAT, EMBED = "/v1/chat/completions", "/v1/embeddings"
USER = [{"role": "user", "content": "hi"}]
GOOD = {"model": "hearth-builtin", "messages": USER}
ORIGIN = "http://page.example"
INVALID = "invalid_request_error"
NOWHERE = "f" * 32


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder: Path = tmp_path_factory.mktemp("errors")
    async with open_house(folder, cors_origins=(ORIGIN,), max_upload_mb=0.01, max_body_kb=64) as house:
        failing = APIRouter()

        @failing.get("/boom/{kind}")
        async def fail(kind: str) -> None:
            if kind == "crash":
                raise ZeroDivisionError("a secret of ours")
            raise FAILURES[kind]

        house.app.include_router(failing)
        yield house


def error_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"] and isinstance(error["type"], str)
    assert "Traceback" not in answer.text and "secret of ours" not in answer.text
    return error


def deep(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


def changed(**fields: Any) -> dict[str, Any]:
    return {"json": {**GOOD, **fields}}


ROWS: list[tuple[str, str, str, dict[str, Any], int, str, str | None, str | None]] = [
    # what, method, path, request, status, type, code, param
    ("empty body", "POST", CHAT, {"content": b""}, 400, INVALID, "invalid_json", None),
    ("cut JSON", "POST", CHAT, {"content": b'{"model":'}, 400, INVALID, "invalid_json", None),
    ("list", "POST", CHAT, {"content": b"[]"}, 400, INVALID, "invalid_json", None),
    ("null", "POST", CHAT, {"content": b"null"}, 400, INVALID, "invalid_json", None),
    ("NaN", "POST", CHAT, {"content": b'{"temperature": NaN}'}, 400, INVALID, "invalid_json", None),
    ("Infinity", "POST", CHAT, {"content": b'{"temperature": -Infinity}'}, 400, INVALID, "invalid_json", None),
    ("lone surrogate", "POST", CHAT, {"content": b'{"model":"\\ud83d"}'}, 400, INVALID, "invalid_json", None),
    ("invalid UTF-8", "POST", CHAT, {"content": b'{"model":"\xff\xfe"}'}, 400, INVALID, "invalid_json", None),
    ("BOM", "POST", CHAT, {"content": b"\xef\xbb\xbf{}"}, 400, INVALID, "invalid_json", None),
    ("UTF-16", "POST", CHAT, {"content": '{"model":"x"}'.encode("utf-16")}, 400, INVALID, "invalid_json", None),
    ("deep objects", "POST", CHAT, {"content": deep(5000)}, 400, INVALID, "invalid_json", None),
    ("deep lists", "POST", CHAT, {"content": b"[" * 50_000}, 400, INVALID, "invalid_json", None),
    ("form", "POST", CHAT, {"data": {"model": "x"}}, 400, INVALID, "invalid_json", None),
    ("multipart", "POST", CHAT, {"files": {"a": b"b"}}, 400, INVALID, "invalid_json", None),
    ("trailing bytes", "POST", CHAT, {"content": b"{} {}"}, 400, INVALID, "invalid_json", None),
    ("no model", "POST", CHAT, {"json": {"messages": USER}}, 400, INVALID, "invalid_value", "model"),
    ("model of wrong type", "POST", CHAT, changed(model=["x"]), 400, INVALID, "invalid_value", "model"),
    ("no messages", "POST", CHAT, changed(messages=[]), 400, INVALID, "invalid_value", "messages"),
    ("unknown role", "POST", CHAT, changed(messages=[{"role": "x", "content": ""}]), 400, INVALID, "invalid_value",
     "messages.0.role"),
    ("huge integer", "POST", CHAT, {"content": json.dumps({**GOOD, "seed": 10**40})}, 400, INVALID, "invalid_value",
     "seed"),
    ("too hot", "POST", CHAT, changed(temperature=2.1), 400, INVALID, "invalid_value", "temperature"),
    ("no key", "POST", CHAT, {**changed(), "headers": {"authorization": ""}}, 401, INVALID, "invalid_api_key", None),
    ("wrong key", "POST", CHAT, {**changed(), "headers": {"authorization": "Bearer sk-no"}}, 401, INVALID,
     "invalid_api_key", None),
    ("other scheme", "GET", "/v1/models", {"headers": {"authorization": "Basic YTpi"}}, 401, INVALID,
     "invalid_api_key", None),
    ("no key, bad body", "POST", CHAT, {"content": b"{", "headers": {"authorization": ""}}, 401, INVALID,
     "invalid_api_key", None),
    ("foreign host", "GET", "/health", {"headers": {"host": "evil.example"}}, 403, INVALID, "host_not_allowed", None),
    ("unknown model", "POST", CHAT, changed(model="nope"), 404, INVALID, "model_not_found", "model"),
    ("unknown model by id", "GET", "/v1/models/org/nope:1b", {}, 404, INVALID, "model_not_found", "model"),
    ("unknown embedder", "POST", EMBED, {"json": {"model": "nope", "input": "x"}}, 404, INVALID, "model_not_found",
     "model"),
    ("empty input", "POST", EMBED, {"json": {"model": "all-MiniLM-L6-v2", "input": []}}, 400, INVALID,
     "invalid_value", "input"),
    ("unknown file", "GET", "/v1/files/file-nope", {}, 404, INVALID, "not_found", None),
    ("bytes of an unknown file", "GET", "/v1/files/file-nope/content", {}, 404, INVALID, "not_found", None),
    ("unknown upload", "POST", "/v1/uploads/upload_nope/cancel", {}, 404, INVALID, "not_found", None),
    ("unknown store", "GET", "/v1/vector_stores/vs_nope", {}, 404, INVALID, "not_found", None),
    ("unknown batch", "GET", "/v1/vector_stores/vs_nope/file_batches/x", {}, 404, INVALID, "not_found", None),
    ("unknown response", "GET", "/v1/responses/resp_nope", {}, 404, INVALID, "not_found", None),
    ("unknown earlier response", "POST", "/v1/responses",
     {"json": {"model": "hearth-builtin", "input": "hi", "previous_response_id": "resp_nope"}}, 400, INVALID,
     "previous_response_not_found", "previous_response_id"),
    ("unknown items", "GET", "/v1/conversations/conv_nope/items", {}, 404, INVALID, "not_found", None),
    ("unknown stored completion", "GET", "/v1/chat/completions/chatcmpl-nope", {}, 404, INVALID, "not_found", None),
    ("no input", "POST", "/v1/responses", {"json": {"model": "hearth-builtin"}}, 400, INVALID,
     "missing_required_parameter", "input"),
    ("no prompt", "POST", "/v1/completions", {"json": {"model": "hearth-builtin", "prompt": []}}, 400, INVALID,
     "invalid_value", "prompt"),
    ("limit zero", "GET", "/v1/files?limit=0", {}, 400, INVALID, "invalid_value", "limit"),
    ("unknown order", "GET", "/v1/vector_stores?order=up", {}, 400, INVALID, "invalid_value", "order"),
    ("unknown conversation", "GET", f"/api/conversations/{NOWHERE}", {}, 404, INVALID, "not_found", None),
    ("unknown document", "GET", f"/api/files/documents/{NOWHERE}", {}, 404, INVALID, "not_found", None),
    ("unknown run", "GET", f"/api/runs/run_{NOWHERE}", {}, 404, INVALID, "not_found", None),
    ("unknown tool", "POST", "/api/tools/nope/run", {"json": {"arguments": {}}}, 404, INVALID, "not_found", None),
    ("wrong arguments", "POST", "/api/tools/math_calc/run", {"json": {"arguments": {}}}, 400, INVALID,
     "invalid_value", "arguments.expression"),
    ("page as text", "GET", "/api/runs?page=x", {}, 400, INVALID, "invalid_value", "page"),
    ("page zero", "GET", "/api/runs?page=0", {}, 400, INVALID, "invalid_value", "page"),
    ("page beyond numbers", "GET", f"/api/runs?page={10**30}", {}, 400, INVALID, "invalid_value", "page"),
    ("limit too large", "GET", "/api/conversations?limit=100000", {}, 400, INVALID, "invalid_value", "limit"),
    ("wrong page number", "GET", f"/api/files/documents/{NOWHERE}/pages/x", {}, 400, INVALID, "invalid_value",
     "number"),
    ("wrong enumeration", "GET", f"/api/conversations/{NOWHERE}/export?format=x", {}, 400, INVALID, "invalid_value",
     "format"),
    ("wrong method", "PUT", CHAT, {}, 405, INVALID, "method_not_allowed", None),
    ("wrong method, no key", "PATCH", CHAT, {"headers": {"authorization": ""}}, 405, INVALID, "method_not_allowed",
     None),
    ("TRACE", "TRACE", CHAT, {}, 405, INVALID, "method_not_allowed", None),
    ("OPTIONS that is no preflight", "OPTIONS", CHAT, {}, 405, INVALID, "method_not_allowed", None),
    ("no multipart", "POST", "/api/files/upload", {"json": {}}, 400, INVALID, "invalid_value", None),
    ("no file", "POST", "/api/files/upload", {"files": {"x": (None, b"y")}}, 400, INVALID, "invalid_value",
     "file"),
    ("body too large", "POST", CHAT, {"content": b" " * 65_537}, 413, INVALID, "too_large", None),
    ("file too large", "POST", "/api/files/upload", {"files": {"file": ("a.txt", b"x" * 20_000)}}, 413, INVALID,
     "too_large", "file"),
    ("address too long", "GET", "/v1/models/" + "x" * 9000, {}, 414, INVALID, "uri_too_long", None),
    ("unknown kind of file", "POST", "/api/files/upload", {"files": {"file": ("a.exe", b"MZ")}}, 415, INVALID,
     "unsupported_file", "file"),
    ("compressed body", "POST", CHAT,
     {"content": gzip.compress(b"{}"), "headers": {"content-encoding": "gzip"}}, 415, INVALID,
     "unsupported_content_encoding", None),
    ("headers too large", "GET", "/health", {"headers": {"x-a": "b" * 40_000}}, 431, INVALID, "headers_too_large",
     None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "request_", "status", "type_", "code", "param"),
    [row[1:] for row in ROWS],
    ids=[row[0] for row in ROWS],
)
async def test_flow_5_refusals(
    house: House, method: str, path: str, request_: Any, status: int, type_: str, code: str | None, param: str | None
) -> None:
    answer = await house.client.request(method, path, **request_)
    assert answer.status_code == status, answer.text
    error = error_of(answer)
    assert (error["type"], error["code"], error["param"]) == (type_, code, param)
    assert answer.headers["x-request-id"] and answer.headers["openai-version"] == "2020-10-01"
    assert answer.headers["openai-processing-ms"].isdigit()


@pytest.mark.parametrize(
    ("path", "body", "param", "words"),
    [
        ("/v1/responses", {"input": [{}] * 4097}, "input", "at most 4096 items"),
        ("/v1/responses", {"input": 5}, "input", "valid string"),
        ("/v1/responses", {"input": "x", "conversation": {"id": 5}}, "conversation.id", "valid string"),
        ("/v1/responses", {"input": ["x"]}, "input.0", "valid dictionary"),
    ],
    ids=["list too long", "neither", "object of a wrong shape", "item of a wrong shape"],
)
async def test_of_several_allowed_forms_the_one_that_was_meant_is_judged(
    house: House, path: str, body: Any, param: str, words: str
) -> None:
    error = error_of(await house.client.post(path, json={"model": "hearth-builtin", **body}))
    assert (error["param"], error["code"]) == (param, "invalid_value")
    assert words in error["message"]


METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "path",
    ["/v1", "/v1/nope", "/v1/nope/", "/v1/chat", "/v1//models", "/nope", "/api", "/api/nope/x", "/%00", "/v1/%zz",
     "/v1/%ff%fe", "/%2e%2e/backend/bootstrap.py", "/v1/chat/completions/x/y/z", "/v2/models", "/V1/models"],
)  # fmt: skip
async def test_unknown_addresses_are_404_in_the_envelope_for_every_method(house: House, method: str, path: str) -> None:
    answer = await house.stranger.request(method, path)
    assert answer.status_code == 404, answer.text
    error = error_of(answer)
    assert (error["type"], error["code"], error["param"]) == (INVALID, "unknown_url", None)
    assert f"{method} /" in error["message"]


@pytest.mark.parametrize("prefix", sorted(NOT_OFFERED))
async def test_doors_that_are_not_offered_say_so(house: House, prefix: str) -> None:
    for path in (prefix, f"{prefix}/x", f"{prefix}/x/y/"):
        answer = await house.client.post(path, json={"model": "whatever"})
        assert answer.status_code == 404
        error = error_of(answer)
        assert error["code"] == "unknown_url" and error["type"] == INVALID
        assert error["message"].startswith(NOT_OFFERED[prefix])
        assert f"POST {path.rstrip('/')}" in error["message"]


async def test_audio_is_out_of_scope(house: House) -> None:
    answer = await house.client.post("/v1/audio/speech", json={})
    assert "out of scope" in error_of(answer)["message"]
    similar = await house.client.post("/v1/audiobooks", json={})
    assert "Audio" not in error_of(similar)["message"]


async def test_405_names_every_method_of_the_address(house: House) -> None:
    for path, allowed in {CHAT: {"POST"}, "/api/auth/keys": {"GET", "POST"}}.items():
        answer = await house.client.put(path)
        named = set(answer.headers["allow"].split(", "))
        assert answer.status_code == 405 and allowed <= named and "PUT" not in named


@pytest.mark.parametrize("path", ["/v1/models", "/api/tools", "/health", "/health/ready", "/v1/models/hearth-builtin"])
async def test_address_with_a_slash_at_its_end_is_the_same_and_no_redirect(house: House, path: str) -> None:
    plain, slashed = await house.client.get(path), await house.client.get(path + "/")
    assert (slashed.status_code, slashed.content) == (plain.status_code, plain.content) and plain.status_code == 200


async def test_posts_with_a_slash_at_the_end_are_answered(house: House) -> None:
    answer = await house.client.post(EMBED + "/", json={"model": "all-MiniLM-L6-v2", "input": "x"})
    assert answer.status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"])
async def test_json_is_read_whatever_the_content_type_says(house: House, kind: str) -> None:
    answer = await house.client.post(CHAT, content=json.dumps(GOOD), headers={"content-type": kind})
    assert answer.status_code == 200


async def test_duplicate_keys_count_once(house: House) -> None:
    body = b'{"model":"nope","model":"hearth-builtin","messages":[{"role":"user","content":"hi"}]}'
    assert (await house.client.post(CHAT, content=body)).status_code == 200


# ---- headers -----------------------------------------------------------------------------------------------

FAILURES: dict[str, HearthError] = {
    "conflict": Conflict("Taken."),
    "away": ToolUnavailable("Not here."),
    "full": StorageFull("No room."),
    "disk": StorageFailed("The disk refused."),
    "busy": UpstreamBusy("Busy.", headers={"retry-after": "7"}),
}


@pytest.mark.parametrize(
    ("kind", "status", "should_retry", "after"),
    [("conflict", 409, "false", None), ("away", 503, "false", None), ("full", 507, "false", None),
     ("disk", 503, None, "1"), ("busy", 503, None, "7"), ("crash", 500, None, None)],
)  # fmt: skip
async def test_who_should_ask_again_and_when(
    house: House, kind: str, status: int, should_retry: str | None, after: str | None
) -> None:
    answer = await house.client.get(f"/boom/{kind}")
    assert answer.status_code == status
    error_of(answer)
    assert answer.headers.get("x-should-retry") == should_retry
    assert answer.headers.get("retry-after") == after
    assert answer.headers.get("retry-after-ms") == (f"{after}000" if after else None)


async def test_crash_is_told_without_a_word_of_it_and_with_every_header(house: House) -> None:
    answer = await house.client.get("/boom/crash", headers={"origin": ORIGIN, "x-request-id": "mine-1"})
    error = error_of(answer)
    assert (error["type"], error["code"]) == ("server_error", "internal_error")
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("given", ["mine-1", "bad id", "x" * 65, ""])
async def test_request_id_is_the_callers_if_it_is_harmless(house: House, given: str) -> None:
    answer = await house.client.get("/health", headers={"x-request-id": given})
    assert (answer.headers["x-request-id"] == given) == (given == "mine-1")


async def test_limits_are_told_to_who_is_signed_in_alone(house: House) -> None:
    known, unknown = await house.client.get("/api/auth/me"), await house.stranger.get("/health")
    limits = {name: value for name, value in known.headers.items() if name.startswith("x-ratelimit")}
    assert len(limits) == 6 and limits["x-ratelimit-limit-requests"] == limits["x-ratelimit-remaining-requests"]
    assert not [name for name in unknown.headers if name.startswith("x-ratelimit")]


# ---- CORS --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [CHAT, "/v1/nope", "/api/files/upload"])
async def test_cors_1_preflight_needs_no_key_and_allows_what_clients_send(house: House, path: str) -> None:
    wanted = "authorization, content-type, x-stainless-lang, openai-organization, x-api-key"
    answer = await house.stranger.options(
        path,
        headers={
            "origin": ORIGIN,
            "access-control-request-method": "POST",
            "access-control-request-headers": wanted,
        },
    )
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"].lower() == wanted
    assert answer.headers["x-request-id"]


async def test_cors_1_refused_preflight_has_the_envelope_and_no_allowance(house: House) -> None:
    answer = await house.stranger.options(
        CHAT, headers={"origin": "http://evil.example", "access-control-request-method": "POST"}
    )
    assert answer.status_code == 400 and error_of(answer)["code"] == "cors_not_allowed"
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/models", 401), ("GET", "/v1/nope", 404), ("PUT", CHAT, 405), ("GET", "/v1/" + "x" * 9000, 414)],
)
async def test_cors_1_errors_can_be_read_by_the_page_too(house: House, method: str, path: str, status: int) -> None:
    answer = await house.stranger.request(method, path, headers={"origin": ORIGIN})
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
    assert {"x-request-id", "retry-after", "x-ratelimit-remaining-requests", "x-should-retry"} <= exposed


async def test_cors_1_other_origins_are_told_nothing(house: House) -> None:
    answer = await house.stranger.get("/v1/models", headers={"origin": "http://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
