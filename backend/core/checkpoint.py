"""Writing down where a run stands, as JSON: messages, results and sources, and reading them back.

What is read back was written by this server into its owner's own folder; it is still checked, since a file can be
damaged.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, cast

from backend.models.errors import StorageFailed
from backend.models.messages import Image, Message, Role, ToolCall
from backend.models.tools import FileLink, Source, ToolResult

_CALL_ID = re.compile(r"call_([0-9a-f]{32})_[0-9]{1,4}")


def caller_call_id(run_id: str, number: int) -> str:
    """The id under which a run asks for a caller's tool; at most 43 characters. `run_of_call` leads back."""
    return f"call_{run_id.removeprefix('run_')}_{number}"


def run_of_call(call_id: str) -> str | None:
    """The run that made up this id, or None when it is none of ours."""
    found = _CALL_ID.fullmatch(call_id)
    return f"run_{found[1]}" if found else None


def messages_to_json(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages as JSON values, pictures and structured results included."""
    return [_message_to_json(message) for message in messages]


def messages_from_json(value: Any) -> list[Message]:
    """The other way. Raises StorageFailed when it is not what `messages_to_json` writes."""
    try:
        return [_message_from_json(item) for item in value]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise StorageFailed("The paused run cannot be read any more: ask again from the beginning.") from None


def result_to_json(result: ToolResult) -> dict[str, Any]:
    return {
        "text": result.text,
        "data": result.data,
        "sources": sources_to_json(result.sources),
        "error": result.error,
        "files": [asdict(link) for link in result.files],
    }


def result_from_json(value: Mapping[str, Any]) -> ToolResult:
    files = tuple(FileLink(**item) for item in value.get("files", ()))
    return ToolResult(value["text"], value["data"], sources_from_json(value["sources"]), value["error"], files)


def sources_to_json(sources: Sequence[Source]) -> list[dict[str, Any]]:
    return [asdict(source) for source in sources]


def sources_from_json(value: Any) -> tuple[Source, ...]:
    return tuple(Source(**{**item, "heading": tuple(item.get("heading", ()))}) for item in value)


def _message_to_json(message: Message) -> dict[str, Any]:
    out: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.images:
        out["images"] = [[image.media_type, base64.b64encode(image.data).decode()] for image in message.images]
    if message.tool_calls:
        out["tool_calls"] = [[call.id, call.name, call.arguments] for call in message.tool_calls]
    for name in ("tool_call_id", "name", "reasoning"):
        if getattr(message, name):
            out[name] = getattr(message, name)
    if message.result is not None:
        out["result"] = result_to_json(message.result)
        out["markers"] = list(message.markers)
    return out


def _message_from_json(item: Mapping[str, Any]) -> Message:
    return Message(
        cast(Role, item["role"]),
        item["content"],
        tuple(Image(kind, base64.b64decode(data)) for kind, data in item.get("images", ())),
        tuple(ToolCall(*call) for call in item.get("tool_calls", ())),
        item.get("tool_call_id"),
        item.get("name"),
        item.get("reasoning", ""),
        result_from_json(item["result"]) if "result" in item else None,
        tuple(item.get("markers", ())),
    )
