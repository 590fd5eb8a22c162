"""Anthropic's server tools, run by this server's own: what each is called there, and how its work is shown."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from backend.core.json_form import check_schema
from backend.core.schema_shape import check_parameters
from backend.models.errors import InvalidRequest, UnsupportedParameter
from backend.models.messages import ToolCall, ToolFinished
from backend.models.schemas_anthropic import AnthropicToolIn
from backend.models.tools import ToolSpec
from backend.utils.untrusted import unfenced

ServerToolKind = Literal["web_search", "web_fetch", "code_execution"]
HOUSE_TOOLS: dict[str, tuple[ServerToolKind, str]] = {
    "web_search": ("web_search", "query"),
    "fetch_url": ("web_fetch", "url"),
    "python_code": ("code_execution", "code"),
}
"""By the name of this server's tool: Anthropic's name for it, and the one argument that both have."""
_BY_KIND = {kind: name for name, (kind, _) in HOUSE_TOOLS.items()}
_DATED = re.compile(r"(web_search|web_fetch|code_execution)_20\d{6}")
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")
_CALL, _SERVER_CALL = "toolu_", "srvtoolu_"


@dataclass(frozen=True, slots=True)
class Tools:
    """The tools of a request: `own` are the caller's, `server` this server's by their names here."""

    own: tuple[ToolSpec, ...] = ()
    server: frozenset[str] = frozenset()
    max_calls: int | None = None
    """What the request allows all server tools together, when it limits each."""


def tools_of(tools: Sequence[AnthropicToolIn], available: Collection[str]) -> Tools:
    """`available` are the names of this server's tools. Raises InvalidRequest, UnsupportedParameter."""
    own: list[ToolSpec] = []
    server: set[str] = set()
    limits: list[int | None] = []
    for index, tool in enumerate(tools):
        if tool.type in (None, "custom"):
            own.append(_own(tool, index))
            continue
        server.add(_server(tool, index, available))
        limits.append(tool.max_uses)
    names = [tool.name for tool in own]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise InvalidRequest("Tool names must be unique.", param=f"tools.{index}.name", code="invalid_value")
    counted = [each for each in limits if each is not None]
    return Tools(tuple(own), frozenset(server), sum(counted) if counted and len(counted) == len(limits) else None)


def _own(tool: AnthropicToolIn, index: int) -> ToolSpec:
    if tool.name is None:
        raise InvalidRequest("Field required.", param=f"tools.{index}.name", code="invalid_value")
    if tool.input_schema is None:
        raise InvalidRequest("Field required.", param=f"tools.{index}.input_schema", code="invalid_value")
    strict = tool.strict is True
    if strict:
        check_schema(tool.input_schema, f"tools.{index}.input_schema")
    else:
        check_parameters(tool.input_schema, f"tools.{index}.input_schema")
    return ToolSpec(tool.name, tool.description or "", tool.input_schema, strict=strict)


def _server(tool: AnthropicToolIn, index: int, available: Collection[str]) -> str:
    where = f"tools.{index}"
    found = _DATED.fullmatch(tool.type or "")
    if found is None:
        raise UnsupportedParameter(
            f"Tools of type {(tool.type or '')[:64]!r} are not available here: declare your own with an input_schema,"
            " or use web_search, web_fetch or code_execution.",
            param=f"{where}.type",
        )
    name = _BY_KIND[found[1]]  # type: ignore[index]
    if name not in available:
        raise UnsupportedParameter(
            f"{found[1]} needs this server's tool {name}, which is not available: GET /api/tools says why.",
            param=f"{where}.type",
        )
    for field in ("allowed_domains", "blocked_domains"):
        if getattr(tool, field):
            raise UnsupportedParameter("Domains cannot be filtered here: leave this out.", param=f"{where}.{field}")
    return name


# ---- ids ----------------------------------------------------------------------------------------


def wire_id(call_id: str) -> str:
    """The id of a caller's tool call in Anthropic's form; `house_id` leads back."""
    return _CALL + _FOREIGN.sub("_", call_id.removeprefix(_CALL))


def house_id(tool_use_id: str) -> str:
    return tool_use_id.removeprefix(_CALL)


# ---- blocks -------------------------------------------------------------------------------------


def input_of(call: ToolCall) -> dict[str, Any]:
    """A call's arguments as the object that `input` must be: anything else stands under `input`."""
    try:
        value = orjson.loads(call.arguments or "{}")
    except orjson.JSONDecodeError:
        return {"input": call.arguments}
    return value if isinstance(value, dict) else {"input": value}


def server_use(step_id: str, name: str, arguments: Any) -> dict[str, Any]:
    """The `server_tool_use` block of a step by one of HOUSE_TOOLS."""
    kind, argument = HOUSE_TOOLS[name]
    return {
        "type": "server_tool_use",
        "id": _server_id(step_id),
        "name": kind,
        "input": {argument: arguments.get(argument, "")},
    }


def server_result(step: ToolFinished, retrieved_at: str) -> dict[str, Any]:
    """The block with what the step came to; `retrieved_at` is an ISO 8601 time."""
    kind, _ = HOUSE_TOOLS[step.name]
    data = step.data if isinstance(step.data, dict) else None
    if data is None or (step.status != "completed" and kind != "code_execution"):
        content: Any = {"type": f"{kind}_tool_result_error", "error_code": "unavailable"}
    elif kind == "web_search":
        content = [_found(row) for row in data.get("results", ())]
    elif kind == "web_fetch":
        content = _fetched(step, data, retrieved_at)
    else:
        content = _executed(data)
    return {"type": f"{kind}_tool_result", "tool_use_id": _server_id(step.id), "content": content}


def _server_id(step_id: str) -> str:
    return _SERVER_CALL + _FOREIGN.sub("_", step_id)


def _found(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "web_search_result",
        "url": row.get("url", ""),
        "title": row.get("title", ""),
        "encrypted_content": "",
        "page_age": row.get("date") or None,
    }


def _fetched(step: ToolFinished, data: dict[str, Any], retrieved_at: str) -> dict[str, Any]:
    source = {"type": "text", "media_type": "text/plain", "data": unfenced(step.output)}
    document = {"type": "document", "title": data.get("title") or None, "source": source, "citations": None}
    return {
        "type": "web_fetch_result",
        "url": data.get("url", ""),
        "content": document,
        "retrieved_at": retrieved_at,
    }


def _executed(data: dict[str, Any]) -> dict[str, Any]:
    shown = [data.get("stdout") or "", data.get("value") or ""]
    failure = "\n".join(part for part in (data.get("stderr"), data.get("error"), data.get("stopped")) if part)
    return {
        "type": "code_execution_result",
        "stdout": "\n".join(part for part in shown if part),
        "stderr": failure,
        "return_code": 1 if data.get("error") or data.get("stopped") else 0,
        "content": [],
    }
