"""JSON and JSON lines, as lines of `path: value` that can be found and read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.loaders.port import LoadRefused
from backend.loaders.text import decode, looks_like_text
from backend.models.documents import PageText

MAX_DEPTH = 64
MAX_VALUES = 500_000


class JsonLoader:
    name = "json"
    extensions = (".json", ".jsonl", ".ndjson")
    content_type = "application/json"

    def accepts(self, head: bytes, extension: str) -> bool:
        if extension not in self.extensions or not looks_like_text(head):
            return False
        start = decode(head).lstrip()[:1]
        return start in tuple('{["-0123456789tfn')

    def page_count(self, path: Path) -> int | None:
        return None

    def load(self, path: Path) -> Iterator[PageText]:
        """One text: each leaf on a line of its own under its dotted path, records separated by a blank line."""
        value = _parse(decode(path.read_bytes()))
        lines: list[str] = []
        _flatten(value, "", lines, 0)
        yield PageText(None, "\n".join(lines))


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise LoadRefused("The JSON nests too deeply to be read.") from None
    except ValueError as error:
        records = [line for line in text.splitlines() if line.strip()]
        if len(records) > 1:
            try:
                return [json.loads(line) for line in records]
            except (ValueError, RecursionError):
                pass
        raise LoadRefused(f"The file is not valid JSON ({error}).") from None


def _flatten(value: Any, path: str, lines: list[str], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise LoadRefused(f"The JSON nests deeper than {MAX_DEPTH} levels.")
    if len(lines) > MAX_VALUES:
        raise LoadRefused(f"The JSON holds more than {MAX_VALUES} values: split the file.")
    if isinstance(value, dict):
        for key, child in value.items():
            _flatten(child, f"{path}.{key}" if path else str(key), lines, depth + 1)
    elif isinstance(value, list):
        if all(not isinstance(item, (dict, list)) for item in value):
            lines.append(
                f"{path}: {', '.join(_leaf(item) for item in value)}" if path else ", ".join(map(_leaf, value))
            )
            return
        for index, child in enumerate(value):
            _flatten(child, f"{path}[{index}]", lines, depth + 1)
            lines.append("")
    else:
        lines.append(f"{path}: {_leaf(value)}" if path else _leaf(value))


def _leaf(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


LOADER = JsonLoader()
