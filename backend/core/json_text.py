"""Finding the JSON a model was asked for inside what it wrote: fences, comments before and after, single quotes."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

MAX_JSON_CHARS = 200_000
_OPENING = re.compile(r"[{\[]")
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")
_MAX_STARTS = 20


def first_json(text: str) -> Any:
    """The first JSON object or list in a text, or None.

    Text around it is ignored; trailing commas are forgiven, and so is an object written as a Python literal when
    it is all there is. Nothing is guessed: a cut-off object is None.
    """
    text = text[:MAX_JSON_CHARS]
    for candidate in (text, _TRAILING_COMMA.sub(r"\1", text)):
        for value in _decoded(candidate):
            return value
    return _literal(text)


def first_object(text: str) -> dict[str, Any] | None:
    """The first JSON value of a text when it is an object, else None."""
    value = first_json(text)
    return value if isinstance(value, dict) else None


def _decoded(text: str) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    for count, start in enumerate(_OPENING.finditer(text)):
        if count >= _MAX_STARTS:
            return
        try:
            value, _ = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            continue
        yield value


def _literal(text: str) -> Any:
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start or end - start > 20_000:
        return None
    try:
        value = ast.literal_eval(text[start : end + 1])
        return json.loads(json.dumps(value))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
