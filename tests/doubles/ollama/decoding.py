"""Reading a request body as Go's decoder would: typed fields, null as absent, its error texts."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

from tests.doubles.ollama.wire import FOREVER_S


class ApiError(Exception):
    """An answer `{"error": text}` with a status. `while_generating` ones came as a line after 200 in old versions."""

    def __init__(self, status: int, text: str, *, while_generating: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.while_generating = while_generating


class StructSpec(dict[str, Any]):
    """Field name -> type: "string", "bool", "int", "map", "any", "base64", a StructSpec, or [type] for a list."""


FUNCTION_CALL = StructSpec(name="string", arguments="map", index="int")
MESSAGE = StructSpec(
    role="string",
    content="string",
    thinking="string",
    images=["base64"],
    tool_calls=[StructSpec(id="string", function=FUNCTION_CALL)],
    tool_name="string",
    tool_call_id="string",
)
TOOL = StructSpec(
    type="string",
    function=StructSpec(name="string", description="string", parameters="map"),
)
_COMMON = {
    "model": "string",
    "stream": "bool",
    "format": "any",
    "keep_alive": "any",
    "options": "map",
    "think": "any",
    "truncate": "bool",
    "shift": "bool",
    "logprobs": "bool",
    "top_logprobs": "int",
    "_debug_render_only": "bool",
}
CHAT = StructSpec(_COMMON, messages=[MESSAGE], tools=[TOOL])
GENERATE = StructSpec(
    _COMMON,
    prompt="string",
    suffix="string",
    system="string",
    template="string",
    raw="bool",
    context=["int"],
    images=["base64"],
)
EMBED = StructSpec(
    model="string", input="any", truncate="bool", dimensions="int", keep_alive="any", options="map", prompt="string"
)
NAMED = StructSpec(
    model="string",
    name="string",
    verbose="bool",
    stream="bool",
    insecure="bool",
    source="string",
    destination="string",
)

_GO_TYPES = {"string": "string", "bool": "bool", "int": "int", "map": "map[string]interface {}", "base64": "string"}


def read_body(raw: bytes, spec: StructSpec, struct: str) -> dict[str, Any]:
    """The body as a dict whose known fields have their types; nulls are removed. Raises ApiError 400."""
    if not raw.strip():
        raise ApiError(400, "missing request body")
    text = raw.decode("utf-8", "replace")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ApiError(400, _syntax_error(text, error)) from error
    except RecursionError as error:
        raise ApiError(400, "exceeded max depth") from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ApiError(400, f"json: cannot unmarshal {_kind(value)} into Go value of type api.{struct}")
    return _struct(value, spec, struct, "")


def _syntax_error(text: str, error: json.JSONDecodeError) -> str:
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
        return "unexpected EOF"
    return f"invalid character {text[error.pos]!r} looking for beginning of value"


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return {str: "string", int: "number", float: "number", list: "array", dict: "object"}[type(value)]


def mismatch(value: Any, struct: str, path: str, go_type: str) -> ApiError:
    """Go's words for a JSON value of the wrong type."""
    return ApiError(
        400, f"json: cannot unmarshal {_kind(value)} into Go struct field {struct}.{path} of type {go_type}"
    )


def _struct(value: dict[str, Any], spec: StructSpec, struct: str, path: str) -> dict[str, Any]:
    out = {}
    for key, item in value.items():
        if item is None:
            continue
        kind = spec.get(key)
        out[key] = item if kind is None else _typed(item, kind, struct, f"{path}.{key}" if path else key)
    return out


def _typed(value: Any, kind: Any, struct: str, path: str) -> Any:
    if isinstance(kind, StructSpec):
        if not isinstance(value, dict):
            raise mismatch(value, struct, path, f"api.{path.rpartition('.')[2].title()}")
        return _struct(value, kind, struct, path)
    if isinstance(kind, list):
        if not isinstance(value, list):
            raise mismatch(value, struct, path, "[]" + _GO_TYPES.get(str(kind[0]), "api.Value"))
        return [_typed(item, kind[0], struct, path) for item in value if item is not None]
    return _scalar(value, kind, struct, path)


def _scalar(value: Any, kind: str, struct: str, path: str) -> Any:
    if kind == "any":
        return value
    expected: dict[str, type] = {"string": str, "base64": str, "bool": bool, "int": int, "map": dict}
    if not isinstance(value, expected[kind]) or (kind == "int" and isinstance(value, bool)):
        go_type = "api.ToolCallFunctionArguments" if path.endswith("arguments") else _GO_TYPES[kind]
        raise mismatch(value, struct, path, go_type)
    if kind == "base64":
        check_base64(str(value))
    return value


def check_base64(text: str) -> bytes:
    """Standard base64 or a 400 naming the first byte that is not."""
    stray = re.search(r"[^A-Za-z0-9+/=\r\n]", text)
    if stray is not None:
        raise ApiError(400, f"illegal base64 data at input byte {stray.start()}")
    try:
        return base64.b64decode(text)
    except binascii.Error as error:
        raise ApiError(400, f"illegal base64 data at input byte {len(text)}") from error


_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION_PART = re.compile(r"(\d+\.?\d*|\.\d+)([a-zµμ]*)")


def parse_duration(text: str) -> float:
    """A Go duration in seconds. Raises ApiError 400 with Go's texts."""
    body = text.lstrip("+-") if text[:1] in "+-" else text
    sign = -1.0 if text.startswith("-") else 1.0
    if body == "0":
        return 0.0
    total, position = 0.0, 0
    while position < len(body):
        part = _DURATION_PART.match(body, position)
        if part is None:
            raise ApiError(400, f'time: invalid duration "{text}"')
        number, unit = part.groups()
        if not unit:
            raise ApiError(400, f'time: missing unit in duration "{text}"')
        if unit not in _UNITS:
            raise ApiError(400, f'time: unknown unit "{unit}" in duration "{text}"')
        total += float(number) * _UNITS[unit]
        position = part.end()
    if not body:
        raise ApiError(400, f'time: invalid duration "{text}"')
    return sign * total


def parse_keep_alive(value: Any) -> float | None:
    """Seconds (very many for "forever"), or None for the server's default. Raises ApiError 400."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        go_type = {bool: "bool", dict: "map[string]interface {}", list: "[]interface {}"}[type(value)]
        raise ApiError(400, f"Unsupported type: '{go_type}'")
    seconds = parse_duration(value) if isinstance(value, str) else float(value)
    return FOREVER_S if seconds < 0 else seconds
