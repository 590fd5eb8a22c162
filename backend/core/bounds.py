"""What foreign values may be at most before they travel on: text is cut with a note, data replaced by one.

Nothing here copies a large value or walks through all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from backend.models.tools import Source, ToolResult

MAX_ARGUMENT_CHARS = 100_000
MAX_RESULT_CHARS = 100_000
"""Of one result's text; what a model sees of it is cut further."""
MAX_QUOTE_CHARS = 20_000
MAX_ERROR_CHARS = 2_000
MAX_SOURCES = 100
MAX_DATA_CHARS = 250_000
_NODE_CHARS = 8
"""What a number, a bracket or a key counts."""


def cut(text: str, limit: int) -> str:
    """The text, or its beginning and end with a note of what is missing between."""
    if len(text) <= limit:
        return text
    head, tail = limit * 3 // 4, limit // 4
    return f"{text[:head]}\n[… {len(text) - head - tail} characters cut …]\n{text[-tail:]}"


def bounded(result: ToolResult) -> ToolResult:
    """A tool's result within limits. Raises TypeError when it is none, so that a broken tool counts as failed."""
    if not isinstance(result, ToolResult) or not isinstance(result.text, str):
        raise TypeError("a tool must return a ToolResult with text")
    return replace(
        result,
        text=cut(result.text, MAX_RESULT_CHARS),
        data=bounded_data(result.data),
        sources=tuple(_bounded_source(source) for source in result.sources[:MAX_SOURCES]),
        error=None if result.error is None else cut(str(result.error), MAX_ERROR_CHARS),
    )


def bounded_data(data: Any) -> Any:
    """The data, or a note in its place when it is larger than MAX_DATA_CHARS or no JSON."""
    left = _left_of(data, MAX_DATA_CHARS)
    if left is None:
        return {"note": "The data of this result was left out: it is not JSON."}
    if left < 0:
        return {"note": f"The data of this result was left out: it is larger than {MAX_DATA_CHARS} characters."}
    return data


def _bounded_source(source: Source) -> Source:
    if len(source.quote) <= MAX_QUOTE_CHARS and len(source.title) <= MAX_ERROR_CHARS:
        return source
    return replace(source, title=cut(source.title, MAX_ERROR_CHARS), quote=cut(source.quote, MAX_QUOTE_CHARS))


def _left_of(value: Any, room: int) -> int | None:
    """What is left of `room` after the value's characters; negative when it is too large, None when it is no JSON.

    Stops as soon as the answer is known.
    """
    waiting = [value]
    while waiting and room >= 0:
        node = waiting.pop()
        room -= _NODE_CHARS
        if isinstance(node, str):
            room -= len(node)
        elif isinstance(node, Mapping):
            room -= _NODE_CHARS * len(node)
            if room < 0:
                break
            for key, item in node.items():
                if not isinstance(key, str):
                    return None
                room -= len(key)
                waiting.append(item)
        elif isinstance(node, (list, tuple)):
            room -= _NODE_CHARS * len(node)
            if room < 0:
                break
            waiting.extend(node)
        elif node is not None and not isinstance(node, (bool, int, float)):
            return None
    return room
