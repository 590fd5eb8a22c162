"""Tool calls as Ollama gives them: in their own field, or written into the text by models that know no better."""

from __future__ import annotations

import json
import logging
import re
import secrets
from collections.abc import Collection, Mapping
from typing import Any

import orjson

from backend.models.messages import ToolCall

log = logging.getLogger("hearth.ollama")

MAX_CALL_CHARS = 65_536
"""Text held back as a possible call is given out as text beyond this."""
MAX_CALLS = 64
MAX_BLANKS = 200
_FENCE = "```"
_FENCE_LABELS = ("", "json", "xml", "tool_call", "tool_calls", "tool_code")
_TAG_OPEN, _TAG_CLOSE = "<tool_call>", "</tool_call>"
_FUNCTION_OPEN, _FUNCTION_CLOSE = "<function=", "</function>"
MAX_DEPTH = 2
"""A fence may hold tags, and those the calls."""
_KEYS = frozenset({"name", "arguments", "parameters", "function", "type", "id"})
_NAME = re.compile(r'"name"\s*:\s*"([^"\\]*)"')
_FUNCTION = re.compile(r"<function=([A-Za-z0-9_.-]+)>(.*?)</function>", re.DOTALL)
_PARAMETER = re.compile(r"\s*<parameter=([^>\s]+)>\n?(.*?)\n?</parameter>\s*", re.DOTALL)

_Found = tuple[str, dict[str, Any]]
"""A name and arguments."""


class CallIds:
    """Hands out ids that are unique in the conversation: the server's own where it gives a fresh one."""

    __slots__ = ("_used",)

    def __init__(self, used: Collection[str] = ()) -> None:
        self._used = set(used)

    def take(self, given: Any) -> str:
        chosen = given if isinstance(given, str) and 0 < len(given) <= 128 else ""
        while not chosen or chosen in self._used:
            chosen = f"call_{secrets.token_hex(8)}"
        self._used.add(chosen)
        return chosen


def structured_calls(value: Any, ids: CallIds) -> list[ToolCall]:
    """The calls of a `tool_calls` field. What has no name cannot be run by anybody and is left out."""
    calls: list[ToolCall] = []
    for item in value if isinstance(value, list) else ():
        function = item.get("function") if isinstance(item, dict) else None
        if not isinstance(function, dict):
            continue
        name = function.get("name")
        if not isinstance(name, str) or not name.strip():
            log.warning("a tool call without a name was left out")
            continue
        calls.append(ToolCall(ids.take(item.get("id")), name.strip(), arguments_text(function.get("arguments"))))
    return calls


def arguments_text(value: Any) -> str:
    """Arguments as JSON text; a string is taken to be that already."""
    if isinstance(value, str):
        return value if value.strip() else "{}"
    return "{}" if value is None else orjson.dumps(value).decode()


class CallHold:
    """Holds text back while the whole answer may still turn out to be tool calls written as text.

    Only made when tools were offered; most answers are let go at their first character.
    """

    __slots__ = ("_held", "_names", "_open", "_recognised")

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._held = ""
        self._open = bool(names)
        self._recognised = False

    @property
    def settled(self) -> bool:
        return not self._open

    def feed(self, text: str) -> str:
        """A piece in, what may be given out now out."""
        if not self._open:
            return text
        self._held += text
        if not self._recognised:
            if not could_be_calls(self._held, self._names):
                return self.release()
            found = _NAME.search(self._held)
            self._recognised = found is not None and found[1] in self._names
        return self.release() if len(self._held) > MAX_CALL_CHARS else ""

    def release(self) -> str:
        """It is no call after all: what was held is answer."""
        self._open = False
        held, self._held = self._held, ""
        return held

    def finish(self, ids: CallIds) -> tuple[list[ToolCall], str]:
        """At the end of an answer that made no call otherwise: the calls, or the text."""
        held = self.release()
        calls = [ToolCall(ids.take(None), name, text) for name, text in textual_calls(held, self._names)]
        return calls, "" if calls else held


def could_be_calls(text: str, names: Collection[str]) -> bool:
    """Whether a text may be the beginning of nothing but tool calls."""
    rest = text.lstrip()
    if not rest:
        return len(text) < MAX_BLANKS
    if rest.startswith("`"):
        if len(rest) < len(_FENCE):
            return _FENCE.startswith(rest)
        label, newline, body = rest[len(_FENCE) :].partition("\n")
        if not rest.startswith(_FENCE) or not any(known.startswith(label.strip()) for known in _FENCE_LABELS):
            return False
        if not newline:
            return True
        rest = body.lstrip()
    if rest.startswith(_TAG_OPEN):
        rest = rest[len(_TAG_OPEN) :].lstrip()
    elif rest.startswith("["):
        rest = rest[1:].lstrip()
    if not rest:
        return True
    if rest[0] == "<":
        return _could_be_tag(rest, names)
    return rest[0] == "{" and _could_be_object(rest[1:].lstrip(), names)


def _could_be_tag(text: str, names: Collection[str]) -> bool:
    if _TAG_OPEN.startswith(text) or _FUNCTION_OPEN.startswith(text):
        return True
    if not text.startswith(_FUNCTION_OPEN):
        return False
    name, closed, _ = text[len(_FUNCTION_OPEN) :].partition(">")
    return name in names if closed else any(each.startswith(name) for each in names)


def _could_be_object(text: str, names: Collection[str]) -> bool:
    """`text` is what follows the brace."""
    if not text:
        return True
    if text[0] != '"':
        return False
    key, closed, _ = text[1:].partition('"')
    if not closed:
        return any(each.startswith(key) for each in _KEYS)
    if key not in _KEYS:
        return False
    named = _NAME.search(text)
    return key in ("arguments", "parameters") or named is None or named[1] in names


def textual_calls(text: str, names: Collection[str]) -> list[tuple[str, str]]:
    """(name, arguments as JSON text) of each call when the whole text is calls of offered tools only, else []."""
    found = _scan(text)
    if len(found) > MAX_CALLS or any(name not in names for name, _ in found):
        return []
    return [(name, orjson.dumps(arguments).decode()) for name, arguments in found]


def _scan(text: str, depth: int = 0) -> list[_Found]:
    """Calls one after another and nothing else between them than separators; [] when there is anything else."""
    calls: list[_Found] = []
    rest = text.strip()
    while rest:
        found, rest = _first(rest, depth)
        if not found or len(calls) > MAX_CALLS:
            return []
        calls += found
        rest = rest.lstrip(" \t\r\n,;")
    return calls


def _first(text: str, depth: int) -> tuple[list[_Found], str]:
    """What the text begins with, and the rest; no calls when it begins with something else."""
    for opener, closer in ((_FENCE, _FENCE), (_TAG_OPEN, _TAG_CLOSE)):
        if text.startswith(opener):
            inside, closed, rest = text[len(opener) :].partition(closer)
            if opener == _FENCE:
                label, _, inside = inside.partition("\n")
                closed = closed if label.strip() in _FENCE_LABELS else ""
            return (_scan(inside, depth + 1) if closed and depth < MAX_DEPTH else []), rest
    if (function := _FUNCTION.match(text)) is not None:
        arguments = _function_arguments(function[2])
        return ([] if arguments is None else [(function[1], arguments)]), text[function.end() :]
    if text[0] not in "{[":
        return [], ""
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return [], ""
    calls = [_object_call(item) for item in (value if isinstance(value, list) else [value])]
    whole = [each for each in calls if each is not None]
    return (whole if len(whole) == len(calls) else []), text[end:]


def _function_arguments(body: str) -> dict[str, Any] | None:
    if not body.strip():
        return {}
    if body.lstrip().startswith("{"):
        value = _loads(body.strip())
        return value if isinstance(value, dict) else None
    return None if _PARAMETER.sub("", body).strip() else dict(_PARAMETER.findall(body))


def _object_call(item: Any) -> _Found | None:
    if not isinstance(item, Mapping) or not _KEYS.issuperset(item):
        return None
    inner = item.get("function")
    if isinstance(inner, Mapping):
        return _object_call(inner) if "name" not in item else None
    name = item.get("name")
    arguments = item.get("arguments", item.get("parameters"))
    if isinstance(arguments, str):
        arguments = _loads(arguments)
    if not isinstance(name, str) or not isinstance(arguments, dict):
        return None
    return name, arguments


def _loads(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
