"""Finding the JSON a model was asked for inside what it wrote: fences, comments before and after, single quotes."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

MAX_JSON_CHARS = 200_000
_OPENING = re.compile(r"\{|\[(?=\s*[{\]])")
"""Where an object, a list of objects or an empty list may begin; `[1]` in prose is none."""
_EARNEST = re.compile(r"""[{\[]\s*["'{}\]]""")
"""What begins like this was meant as JSON, unlike a lone brace in prose."""
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")
_MAX_STARTS = 20


def first_json(text: str) -> Any:
    """The first JSON object or list of objects in a text, or None.

    Text around it is ignored; trailing commas are forgiven, and so are Python's quotes and names. Nothing is
    guessed: of a cut-off object no inner part is taken, it is None.
    """
    text = text[:MAX_JSON_CHARS]
    for count, start in enumerate(_OPENING.finditer(text)):
        if count >= _MAX_STARTS:
            return None
        found = _decoded(text[start.start() :])
        if found is not None or _EARNEST.match(text, start.start()):
            return found
    return None


def first_object(text: str) -> dict[str, Any] | None:
    """The first JSON value of a text when it is an object, else None."""
    value = first_json(text)
    return value if isinstance(value, dict) else None


def _decoded(text: str) -> Any:
    decoder = json.JSONDecoder()
    for candidate in (text, _TRAILING_COMMA.sub(r"\1", text)):
        try:
            return decoder.raw_decode(candidate)[0]
        except (ValueError, RecursionError):
            continue
    return _literal(text)


def _literal(text: str) -> Any:
    end = text.rfind("}")
    if not text.startswith("{") or not 0 < end < 20_000:
        return None
    try:
        return json.loads(json.dumps(ast.literal_eval(text[: end + 1])))
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        return None
