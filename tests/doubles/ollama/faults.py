"""Faults of a request: the list of kinds, and those that strike before or instead of the response body."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

from tests.doubles.ollama import wire
from tests.doubles.ollama.decoding import ApiError
from tests.doubles.ollama.http1 import Exchange
from tests.doubles.ollama.scheduler import BUSY
from tests.doubles.ollama.tokens import exceeds_context

Fault = dict[str, Any]

TERMINATED = "llama-server process has terminated: exit status 2"
CRASHED = (
    "model runner has unexpectedly stopped, this may be due to resource limitations or an internal error, "
    "check ollama server logs for details"
)
BAD_TOOL_CALL = "error parsing tool call: raw='{\"expression\": 6*7', err=invalid character '*' after object key:value"
PROXY_PAGE = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"

# Instead of any answer.
INSTEAD = {
    "status",
    "html_502",
    "empty_403",
    "busy_503",
    "terminated_500",
    "crashed_500",
    "out_of_memory_500",
    "bad_tool_call_500",
    "nested_error",
    "unauthorized_401",
    "redirect",
    "not_json",
    "closed",
}
# At a point in the stream; `after_chunks` says where.
ENDINGS = {"stall", "reset", "incomplete_chunked", "eof_without_done", "error_line", "nested_error_line"}
# How lines become network writes.
SHAPES = {
    "bytewise",
    "coalesce",
    "split_line",
    "split_utf8",
    "blank_lines",
    "no_final_newline",
    "gzip",
    "wrong_content_type",
    "delay_headers",
    "delay_chunks",
}
# What the model says.
CONTENT = {
    "unicode_oddities",
    "long_line",
    "tool_calls_spread",
    "repeated_ids",
    "absent_ids",
    "zero_index",
    "calls_as_text",
    "string_arguments",
    "unknown_tool",
    "empty_name",
    "truncated_arguments",
    "duplicate_calls",
    "think_in_content",
    "think_no_opener",
    "think_tag_split",
    "thinking_only",
    "empty_answer",
    "endless_whitespace",
    "endless_repetition",
    "endless_text",
    "json_cut",
    "json_fenced",
    "wrong_arguments",
}
# What the objects of the response look like.
FIELDS = {
    "final_carries_text",
    "final_carries_tool_calls",
    "done_reason",
    "counters_absent",
    "extra_fields",
    "null_fields",
    "models_null",
}
KINDS = INSTEAD | ENDINGS | SHAPES | CONTENT | FIELDS


class Faults:
    """The faults of one request, looked up by kind."""

    def __init__(self, items: list[Fault]) -> None:
        self._by_kind = {item["kind"]: item for item in items}

    @staticmethod
    def check(items: Any) -> None:
        """Raises ValueError for a kind that does not exist."""
        for item in items if isinstance(items, list) else [items]:
            if item.get("kind") not in KINDS:
                raise ValueError(f"unknown fault kind: {item.get('kind')!r}; known: {sorted(KINDS)}")

    def get(self, kind: str) -> Fault | None:
        return self._by_kind.get(kind)

    def __contains__(self, kind: str) -> bool:
        return kind in self._by_kind

    def __bool__(self) -> bool:
        return bool(self._by_kind)

    def ending(self) -> Fault | None:
        return next((item for kind, item in self._by_kind.items() if kind in ENDINGS), None)

    @property
    def chunk_delay_s(self) -> float:
        fault = self.get("delay_chunks")
        return fault.get("ms", 20) / 1000 if fault else 0.0


async def before_answer(exchange: Exchange, faults: Faults) -> bool:
    """Delays, then whatever is sent instead of an answer. True when the request is over."""
    delay = faults.get("delay_headers")
    if delay is not None:
        await asyncio.sleep(delay.get("ms", 100) / 1000)
    ending = faults.ending()
    if ending is not None and ending.get("after_chunks") == "headers":
        await _end_before_headers(exchange, ending)
    for kind in INSTEAD:
        fault = faults.get(kind)
        if fault is not None:
            await _instead(exchange, kind, fault)
            return True
    return False


async def _end_before_headers(exchange: Exchange, ending: Fault) -> None:
    if ending["kind"] == "stall":
        await exchange.hang()
    if ending["kind"] == "reset":
        await exchange.reset()
    await exchange.close()


_ERRORS: dict[str, tuple[int, str]] = {
    "busy_503": (503, BUSY),
    "terminated_500": (500, TERMINATED),
    "crashed_500": (500, CRASHED),
    "out_of_memory_500": (500, "model requires more system memory (5.6 GiB) than is available (3.1 GiB)"),
    "bad_tool_call_500": (500, BAD_TOOL_CALL),
    "nested_error": (400, exceeds_context(9123, 4096)),
}


async def _instead(exchange: Exchange, kind: str, fault: Fault) -> None:
    if kind in _ERRORS:
        status, text = _ERRORS[kind]
        body = wire.dumps({"error": fault.get("error", text)})
        await exchange.send(fault.get("status", status), body, wire.JSON)
    elif kind == "status":
        await _any_status(exchange, fault)
    elif kind == "html_502":
        await exchange.send(502, PROXY_PAGE, "text/html")
    elif kind == "empty_403":
        await exchange.send(403)
    elif kind == "unauthorized_401":
        body = wire.dumps({"error": "unauthorized", "signin_url": "https://ollama.com/connect?name=test"})
        await exchange.send(401, body, wire.JSON)
    elif kind == "redirect":
        status, location = fault.get("status", 307), fault.get("location", exchange.request.target)
        await exchange.send(status, headers=[("Location", location)])
    elif kind == "not_json":
        await exchange.send(200, fault.get("body", "Welcome to the captive portal").encode(), wire.PLAIN)
    else:
        await exchange.close()


async def _any_status(exchange: Exchange, fault: Fault) -> None:
    headers = list((fault.get("headers") or {}).items())
    if "body" in fault:
        body = fault["body"].encode("utf-8", "surrogateescape")
        await exchange.send(fault["status"], body, fault.get("content_type", wire.PLAIN), headers)
    else:
        body = wire.dumps({"error": fault.get("error", "something failed")})
        await exchange.send(fault["status"], body, wire.JSON, headers)


def error_line(ending: Fault) -> bytes:
    """The line an `error_line` or `nested_error_line` fault puts into the stream."""
    nested = json.dumps({"error": {"code": 500, "message": "slot unavailable", "type": "server_error"}})
    default = nested if ending["kind"] == "nested_error_line" else MID_STREAM
    return wire.line({"error": ending.get("error", default)})


MID_STREAM = "an error was encountered while running the model: unexpected EOF"


async def send_object(exchange: Exchange, faults: Faults, status: int, value: Any) -> None:
    """One JSON object with the faults that fit a plain response."""
    if status == 200 and isinstance(value, dict):
        value = _field_faults(value, faults)
    body = value if isinstance(value, bytes) else wire.dumps(value)
    headers = []
    content_type = (faults.get("wrong_content_type") or {}).get("content_type", "text/html")
    content_type = content_type if "wrong_content_type" in faults else wire.JSON
    if "gzip" in faults:
        body, headers = gzip.compress(body), [("Content-Encoding", "gzip")]
    ending = faults.ending()
    if ending is None:
        await exchange.send(status, body, content_type, headers)
        return
    await _end_object(exchange, ending, status, body, content_type)


def _field_faults(value: dict[str, Any], faults: Faults) -> dict[str, Any]:
    if "models_null" in faults and "models" in value:
        value = value | {"models": None}
    if "null_fields" in faults and "message" not in value and "response" not in value:
        value = {key: None if key in ("capabilities", "parameters", "details") else item for key, item in value.items()}
    if "extra_fields" in faults:
        value = value | {"x_new_field": {"nested": [1, 2]}, "x_flag": True}
    return value


async def _end_object(exchange: Exchange, ending: Fault, status: int, body: bytes, content_type: str) -> None:
    kind = ending["kind"]
    if kind == "stall":
        await exchange.hang()
    if kind in ("error_line", "nested_error_line"):
        await exchange.send(500, error_line(ending).rstrip(b"\n"), wire.JSON)
        return
    if kind == "eof_without_done":
        await exchange.send(status, body, content_type)
        return
    await exchange.send(status, body[: len(body) // 2], content_type, declared_length=len(body))
    if kind == "reset":
        await exchange.reset()
    await exchange.close()


def scripted_error(status: int, text: str) -> ApiError:
    """A scripted `reply.error`: behaves as a failure while generating, by version."""
    return ApiError(status, text, while_generating=True)
