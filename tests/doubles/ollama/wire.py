"""JSON, timestamps and durations the way the real server's encoder writes them."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import Any

NDJSON = "application/x-ndjson"
JSON = "application/json; charset=utf-8"
PLAIN = "text/plain; charset=utf-8"
FOREVER_S = 292 * 365.25 * 86400

_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_NEEDS_ESCAPE = re.compile("[<>&\u2028\u2029]|[\ud800-\udfff]")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=True).encode


def _escape(found: re.Match[str]) -> str:
    char = found.group()
    return _ESCAPED.get(char) or f"\\u{ord(char):04x}"


def dumps(value: Any) -> bytes:
    """Compact UTF-8 with `<`, `>`, `&`, U+2028 and U+2029 escaped and U+0085 left raw; lone surrogates stay escapes."""
    return _NEEDS_ESCAPE.sub(_escape, _encode(value)).encode()


def line(value: Any) -> bytes:
    return dumps(value) + b"\n"


def utc_now() -> str:
    """RFC 3339 with nanoseconds and `Z`, as in generation responses."""
    nanoseconds = time.time_ns()
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    return f"{_utc_second(seconds)}.{fraction:09d}Z"


_last_second: tuple[int, str] = (0, "")


def _utc_second(seconds: int) -> str:
    # Formatting the same second for thousands of chunks is what a profile of a long stream shows first.
    global _last_second
    if _last_second[0] != seconds:
        _last_second = (seconds, datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S"))
    return _last_second[1]


def local_time(epoch_s: float) -> str:
    """RFC 3339 with nanoseconds and an offset, as in /api/tags and /api/ps; years up to 2318."""
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "123+00:00"


def nanoseconds(seconds: float) -> int:
    return max(1, int(seconds * 1_000_000_000))


def clipped(text: str, size: int) -> str:
    """At most `size` bytes of UTF-8, cut between characters."""
    return text.encode("utf-8", "surrogatepass")[: max(0, size)].decode("utf-8", "ignore")
