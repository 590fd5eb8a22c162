"""Passages that are no prose, as units a person can read: table rows with column names, records, values."""

from __future__ import annotations

import re

from backend.utils.query_text import sentences

_ROW = re.compile(r"^\s*\|(.*)\|\s*$")
_FENCE = re.compile(r"^\s*(?:`{3,}|~{3,})[\w+-]*\s*$")
_RULE = re.compile(r"^[\s|:=-]+$")
_VALUE = re.compile(r"^((?:[\w-]+|\[\d+\])(?:\.[\w-]+|\[\d+\])*): (\S.*)$")
_RECORD = re.compile(r"^(.*\[\d+\])\.")
_PAIR = r"[^:;\n]{1,80}: [^;\n]*"
_LISTED = re.compile(rf"^{_PAIR}(?:; {_PAIR})+$")
"""A row of a table written as `column: value; column: value`."""
_NAMED_VALUE = re.compile(r"(?:^|[,;] )[^\W\d][\w .\[\]-]{0,60}: (?=\S)")
_COLUMNS = re.compile(r"^Columns: [^:]+$")
MAX_RECORD_LINES = 12


def units(text: str) -> list[str]:
    """The sentences of a passage in order; a table row, a record or a `path: value` line is one of its own."""
    out: list[str] = []
    block: list[str] = []
    kind = ""
    # The fences of code are no text: an answer that takes one along would have its citations inside code.
    for line in ["" if _FENCE.match(each) else each for each in [*text.replace("\r\n", "\n").split("\n"), ""]]:
        now = _kind(line)
        if now != kind:
            out += _read(block, kind)
            block, kind = [], now
        block.append(line)
    return out + _read(block, kind)


def is_line(text: str) -> bool:
    """Whether a unit is a row, a record or a value, which reads best on a line of its own."""
    return bool(re.match(r"[\w .\[\]-]{1,60}: \S", text)) and text[-1:] not in ".!?"


def is_record(text: str) -> bool:
    """Whether a unit is a row or a record of several named values."""
    return len(_NAMED_VALUE.findall(text)) > 1 and text[-1:] not in "!?"


def _kind(line: str) -> str:
    if _ROW.match(line):
        return "table"
    if _LISTED.match(line) or _COLUMNS.match(line):
        return "listed"
    found = _VALUE.match(line)
    return "values" if found and ("." in found[1] or "[" in found[1]) else "prose"


def _read(block: list[str], kind: str) -> list[str]:
    if kind == "table":
        return _rows(block)
    if kind == "values":
        return _records(block)
    if kind == "listed":
        return [line.strip() for line in block if not _COLUMNS.match(line)]
    return sentences("\n".join(block))


def _rows(lines: list[str]) -> list[str]:
    """ "City: Berlin, Hotel limit: 140" for each row; rows whose head was left behind in another passage stay bare."""
    cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    head: list[str] = []
    rows = [row for row, line in zip(cells, lines, strict=True) if not _RULE.match(line)]
    if len(lines) > 1 and _RULE.match(lines[1]):
        head, rows = rows[0], rows[1:]
    told: list[str] = []
    for row in rows or [head]:
        named = [
            f"{name}: {cell}" if name and cell != name else cell
            for name, cell in zip([*head, *[""] * len(row)], row, strict=False)
        ]
        told.append(", ".join(each for each, cell in zip(named, row, strict=True) if cell))
    return [each for each in told if each]


def _records(lines: list[str]) -> list[str]:
    """One unit for each list element, without the path all its lines share; every other value by itself."""
    groups: list[tuple[str, list[str]]] = []
    for line in lines:
        found = _RECORD.match(line.split(": ", 1)[0])
        prefix = f"{found[1]}." if found else ""
        if prefix and groups and groups[-1][0] == prefix and len(groups[-1][1]) < MAX_RECORD_LINES:
            groups[-1][1].append(line)
        else:
            groups.append((prefix, [line]))
    return [", ".join(line.removeprefix(prefix).strip() for line in group) for prefix, group in groups]
