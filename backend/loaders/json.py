"""JSON and JSON lines, as lines of `path: value` that can be found and read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.loaders.decoding import decode, looks_like_text
from backend.loaders.port import LoadRefused
from backend.models.documents import PageText

MAX_DEPTH = 64
MAX_CHARS = 2 * 1_048_576
"""Characters of text that go into the index whole; of a longer file only the beginning does."""
KEPT_CHARS = 65_536
HEAD_BYTES = 4 * 1_048_576
MAX_WHOLE_BYTES = 64 * 1_048_576
MAX_VALUES = 2_000_000
"""Of a file that has to be read whole: each takes some 100 bytes of memory."""
CUT = "(The text is cut here; SQL reaches every record of a file of records.)"


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
        value, is_cut = _read(path)
        lines = _Lines()
        try:
            _flatten(value, "", lines, 0)
        except _Full:
            is_cut = True
        text = "\n".join(lines)
        if is_cut:
            kept = text[:KEPT_CHARS]
            text = f"{kept.rpartition(chr(10))[0] or kept}\n{CUT}"
        yield PageText(None, text)


class _Full(Exception):
    """There is enough text for the index."""


class _Lines(list[str]):
    """Lines of text; raises _Full when they come to 2 MB."""

    def __init__(self) -> None:
        super().__init__()
        self._characters = 0

    def append(self, line: str) -> None:
        self._characters += len(line) + 1
        if self._characters > MAX_CHARS:
            super().append(line[:KEPT_CHARS])
            raise _Full
        super().append(line)


def _read(path: Path) -> tuple[Any, bool]:
    """The value, or the first records of a large file of JSON lines, and whether there is more."""
    size = path.stat().st_size
    if size > HEAD_BYTES:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        lines = decode(head[: head.rfind(b"\n") + 1]).splitlines() if b"\n" in head else []
        records = _records(lines)
        if records is not None:
            return records, True
    if size > MAX_WHOLE_BYTES:
        raise LoadRefused("A JSON file above 64 MiB must hold one record on each line: convert it to JSON lines.")
    raw = path.read_bytes()
    if raw.count(b",") + raw.count(b"{") + raw.count(b"[") > MAX_VALUES:
        raise LoadRefused("The JSON holds too many values to be read at once: convert it to JSON lines, or split it.")
    return _parse(decode(raw)), False


def _records(lines: list[str]) -> list[Any] | None:
    try:
        records = [_value(line) for line in lines if line.strip()]
    except (ValueError, RecursionError):
        return None
    return records if len(records) > 1 else None


def _parse(text: str) -> Any:
    try:
        return _value(text)
    except RecursionError:
        raise LoadRefused("The JSON nests too deeply to be read.") from None
    except ValueError as error:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        records: list[Any] = []
        for number, line in lines if len(lines) > 1 else ():
            try:
                records.append(_value(line))
            except (ValueError, RecursionError):
                if not records:  # one value over many lines
                    break
                raise LoadRefused(
                    f"Line {number} of the JSON lines is not valid: check whether it is complete."
                ) from None
        else:
            if records:
                return records
        raise LoadRefused(f"The file is not valid JSON ({error}).") from None


def _value(text: str) -> Any:
    """Raises ValueError, RecursionError."""
    return json.loads(text, parse_int=str)  # as it is written: Python refuses to count above 4300 digits


def _flatten(value: Any, path: str, lines: list[str], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise LoadRefused(f"The JSON nests deeper than {MAX_DEPTH} levels.")
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
