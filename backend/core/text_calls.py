"""Tool calls that a model wrote as its answer, in one of the many forms that models were trained on."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import orjson

MAX_HELD_CHARS = 120_000
MAX_CALLS = 32
HEAD_CHARS = 400
"""So much of a text shows whether it is a call: its name comes first."""
_WRAPPING = re.compile(
    r"```[a-z_]*\n?|```|</?tool_calls?>|</?function_calls?>|<\|(?:python_tag|tool_call|tool_calls|eom_id|eot_id)\|>"
    r"|\[/?TOOL_CALLS\]",
    re.IGNORECASE,
)
_OPENINGS = ("```", "<tool_call", "<function", "<|python_tag|>", "<|tool_call", "[tool_calls]")
_NAMES = ("name", "tool", "tool_name", "action", "function", "function_name")
_ARGUMENTS = ("arguments", "parameters", "args", "action_input", "input", "tool_input", "kwargs")
_COMPANIONS = frozenset({*_NAMES, *_ARGUMENTS, "id", "type", "index", "thought"})
_SEPARATORS = " \t\r\n,;[]"
_KEY = re.compile(r'\{\s*"([^"\\]*)"')
_NAMED = re.compile(r'"(?:name|tool|tool_name|action|function_name)"\s*:\s*"([^"\\]*)"')
_FUNCTION_TAG = re.compile(r"<function=([\w.-]+)>(.*?)(?:</function>|\Z)", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([^>\s]+)>\n?(.*?)\n?</parameter>", re.DOTALL)


class CallHold:
    """Holds an answer back while it may still turn out to be nothing but calls of the tools of the run.

    Nearly every answer is let go with its first word; from then on pieces need not pass through.
    """

    __slots__ = ("_head", "_held", "_names", "_size", "open")

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._held: list[str] = []
        self._head = ""
        """The beginning, which decides."""
        self._size = 0
        self.open = bool(names)

    def feed(self, text: str) -> str:
        """A piece in, what may be given out now out."""
        if not self.open:
            return text
        self._held.append(text)
        self._size += len(text)
        if self._size > MAX_HELD_CHARS:
            return self._release()
        if len(self._head) < HEAD_CHARS:
            self._head += text
            if not could_be_calls(self._head, self._names):
                return self._release()
        return ""

    def finish(self) -> tuple[list[tuple[str, str]], str]:
        """At the end of the answer: its calls as (name, arguments as JSON text), or the text that was held."""
        held = self._release()
        calls = calls_in(held, self._names)
        return calls, "" if calls else held

    def _release(self) -> str:
        self.open = False
        held = "".join(self._held)
        self._held.clear()
        return held


def could_be_calls(text: str, names: Collection[str]) -> bool:
    """Whether a text may be the beginning of nothing but calls."""
    head = text.lstrip()
    if not head:
        return True
    lowered = head.lower()
    if any(opening.startswith(lowered) for opening in _OPENINGS):
        return True
    rest = _WRAPPING.sub("", head).lstrip(_SEPARATORS)
    if not rest:
        return True
    if rest[0] == "{":
        key = _KEY.match(rest)
        if key is None:
            return re.fullmatch(r'\{\s*(?:"[^"\\]{0,40})?', rest) is not None
        named = _NAMED.search(rest)
        if named is None:
            return key[1] in _COMPANIONS and len(head) < HEAD_CHARS
        return key[1] in _COMPANIONS and named[1] in names
    if rest[0] == "<":
        return rest.startswith("<function=") or "<function=".startswith(rest)
    name = re.match(r"[A-Za-z_][\w.-]*", rest)
    # A bare `name(…)` only counts where something announced it: prose may begin with a tool's name.
    if name is None or rest == head:
        return False
    follows = rest[name.end() :]
    return name[0] in names and follows[0] == "(" if follows else any(each.startswith(name[0]) for each in names)


def calls_in(text: str, names: Collection[str]) -> list[tuple[str, str]]:
    """The calls, when the whole text is calls of tools among `names`; else none."""
    body = _WRAPPING.sub("\n", text).strip()
    if not body or len(body) > MAX_HELD_CHARS:
        return []
    found = list(_scanned(body, announced=body != text.strip()))
    if not found or None in found or len(found) > MAX_CALLS:
        return []
    calls = [each for each in found if each is not None]
    if any(name not in names for name, _ in calls):
        return []
    return [(name, orjson.dumps(arguments).decode()) for name, arguments in calls]


def _scanned(text: str, announced: bool) -> Iterator[tuple[str, dict[str, Any]] | None]:
    """Call after call; None for anything else, which ends it."""
    listed = text.startswith("[")
    rest = text.lstrip(_SEPARATORS)
    while rest:
        tag = _FUNCTION_TAG.match(rest)
        if tag is not None:
            arguments = _tagged(tag[2])
            yield None if arguments is None else (tag[1], arguments)
            rest = rest[tag.end() :].lstrip(_SEPARATORS)
            continue
        if rest[0] != "{":
            yield from _python_calls(text if listed else rest) if announced or listed else (None,)
            return
        try:
            value, end = json.JSONDecoder().raw_decode(rest)
        except (ValueError, RecursionError):
            yield None
            return
        yield _object_call(value)
        rest = rest[end:].lstrip(_SEPARATORS)


def _object_call(value: Any) -> tuple[str, dict[str, Any]] | None:
    if not isinstance(value, Mapping) or not _COMPANIONS.issuperset(value):
        return None
    if isinstance(value.get("function"), Mapping):
        return _object_call(value["function"])
    name = next((value[key] for key in _NAMES if isinstance(value.get(key), str)), None)
    arguments = next((value[key] for key in _ARGUMENTS if key in value), None)
    if isinstance(arguments, str):
        try:
            arguments = orjson.loads(arguments)
        except orjson.JSONDecodeError:
            return None
    return (name, arguments) if name is not None and isinstance(arguments, dict) else None


def _tagged(body: str) -> dict[str, Any] | None:
    if body.lstrip().startswith("{"):
        try:
            value = orjson.loads(body.strip())
        except orjson.JSONDecodeError:
            return None
        return value if isinstance(value, dict) else None
    return None if _PARAMETER.sub("", body).strip() else dict(_PARAMETER.findall(body))


def _python_calls(text: str) -> Iterator[tuple[str, dict[str, Any]] | None]:
    """`name(key="value")`, alone or in a list, with literals for arguments."""
    if len(text) > 20_000:
        yield None
        return
    try:
        tree = ast.parse(text.strip(), mode="eval").body
        for node in tree.elts if isinstance(tree, ast.List) else [tree]:
            if not isinstance(node, ast.Call) or node.args:
                yield None
                return
            arguments = {each.arg: ast.literal_eval(each.value) for each in node.keywords if each.arg}
            yield ast.unparse(node.func), json.loads(json.dumps(arguments))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        yield None
