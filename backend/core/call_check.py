"""One tool call that a model made, against the tools it was offered: its name, its arguments, their schema."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from backend.core import enforcement_texts as texts
from backend.core.bounds import MAX_ARGUMENT_CHARS
from backend.core.json_form import Form, dumped
from backend.core.json_text import first_object
from backend.core.schema_fit import fitted
from backend.llm.port import ResponseFormat
from backend.models.errors import InvalidRequest
from backend.models.messages import ToolCall
from backend.models.tools import ToolSpec

log = logging.getLogger("hearth.enforcement")

ARGUMENTS = "tool_arguments"
_PREFIXES = ("functions.", "tools.", "function.")


@dataclass(frozen=True, slots=True)
class CheckedCall:
    """`arguments` is JSON text of an object, or None when they cannot be used; `problem` says why then."""

    name: str
    arguments: str | None
    problem: str = ""
    id: str = ""


def checked_call(call: ToolCall, tools: Mapping[str, ToolSpec], *, strictly: bool) -> CheckedCall | None:
    """The call as it may be passed on; None when its tool was not offered.

    Arguments are put right where nothing is lost by it. Those of a strict tool must fit its schema, and so must all
    of them `strictly`; otherwise they are only JSON, and whoever runs the tool checks them.
    """
    name = call.name if call.name in tools else _unprefixed(call.name)
    if name not in tools:
        log.info("a call of a tool that was not offered was left out")
        return None
    value = _object(call.arguments)
    if value is None:
        return CheckedCall(name, None, texts.NOT_OBJECT, call.id)
    parameters, problem = tools[name].parameters, ""
    try:
        mended = fitted(value, parameters)
    except InvalidRequest as error:
        mended, problem = value, error.message
    if strictly or tools[name].strict:
        schema = form_of(ARGUMENTS, parameters, tools[name]).schema
        problem = problem if schema is None else schema.problem(mended) or ""
    else:
        problem = ""
    kept = mended == value and _is_object_text(call.arguments)
    arguments = call.arguments if kept else dumped(mended)
    return CheckedCall(name, None if problem else arguments, problem, call.id)


def form_of(name: str, schema: Mapping[str, Any], tool: ToolSpec | None = None) -> Form:
    """What structured output for a tool must be. A tool's schema that is no valid schema is only said in words."""

    def mend(value: Any) -> Any:
        return fitted(value, schema) if isinstance(value, dict) else value

    wanted = ResponseFormat("json_schema", name, schema, strict=True)
    try:
        return Form(wanted, param="tools", mend=mend if tool is not None else None)
    except InvalidRequest as error:
        log.info("the schema of a tool is only said in words: %s", error.message)
        return Form(replace(wanted, type="json_object", schema=None))


def canonical(arguments: str | None) -> str | None:
    """Equal for arguments that mean the same."""
    if arguments is None:
        return None
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except (ValueError, RecursionError):
        return arguments


def _unprefixed(name: str) -> str:
    return next((name[len(prefix) :] for prefix in _PREFIXES if name.startswith(prefix)), name)


def _object(arguments: str) -> dict[str, Any] | None:
    """The object that arguments hold, also as JSON text within JSON, or with small faults of writing."""
    if len(arguments) > MAX_ARGUMENT_CHARS:
        return None
    try:
        value = json.loads(arguments or "{}")
        if isinstance(value, str):
            value = json.loads(value or "{}")
    except (ValueError, RecursionError):
        value = first_object(arguments) if arguments.lstrip().startswith("{") else None
    return value if isinstance(value, dict) else None


def _is_object_text(arguments: str) -> bool:
    try:
        return isinstance(orjson.loads(arguments), dict)
    except orjson.JSONDecodeError:
        return False
