"""How tables, answers and mistakes are shown to a model and to a person."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from backend.models.tables import TableFile, UserTable
from backend.tools.sql_words import name_of

MAX_CELL = 80
MAX_TEXT = 8_000
"""Characters of a table that are shown; the rows themselves are all in the data."""
MAX_TABLES_SHOWN = 40
MAX_COLUMNS_SHOWN = 60


def answer_text(columns: Sequence[str], rows: Sequence[Sequence[Any]], truncated: bool) -> str:
    """Rows as a Markdown table, as many as fit."""
    if not rows:
        return f"No rows. (Columns: {', '.join(columns)}.)"
    lines = [_line(columns), "|" + "---|" * len(columns)]
    size = sum(map(len, lines))
    for row in rows:
        line = _line(row)
        if size + len(line) > MAX_TEXT:
            break
        lines.append(line)
        size += len(line) + 1
    shown = len(lines) - 2
    if truncated:
        lines.append(f"\n(The first {shown} rows; there are more. Add LIMIT, a condition or a total.)")
    elif shown < len(rows):
        lines.append(f"\n(The first {shown} of {len(rows)} rows.)")
    return "\n".join(lines)


def _line(cells: Sequence[Any]) -> str:
    return "| " + " | ".join(cell_text(cell) for cell in cells) + " |"


def cell_text(value: Any) -> str:
    """A value inside a Markdown table, at most 80 characters; numbers to 12 significant digits.

    A sum of a million decimals is off in its last digits: what lies that near to a shorter number is shown as it.
    """
    if value is None:
        return ""
    if isinstance(value, float):
        short = float(f"{value:.10g}")
        return f"{short:.12g}" if abs(value - short) <= 4e-12 * abs(value) else f"{value:.12g}"
    text = re.sub(r"\s+", " ", str(value)).replace("|", "\\|")
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def schema_text(files: Sequence[TableFile], samples: Mapping[str, Sequence[Sequence[Any]]]) -> str:
    """Every table with its columns and the first rows."""
    if not files:
        return "There are no tables yet: upload a CSV, JSON, XLSX or SQLite file."
    parts: list[str] = []
    tables = [(file, table) for file in files for table in file.tables]
    for file, table in tables[:MAX_TABLES_SHOWN]:
        columns = ", ".join(f"{name_of(c.name)} {c.type}" for c in table.columns[:MAX_COLUMNS_SHOWN])
        more = len(table.columns) - MAX_COLUMNS_SHOWN
        parts.append(
            f"{table.name} ({table.rows:,} rows, from {cell_text(file.filename)}): {columns}"
            + (f" and {more} more" if more > 0 else "")
        )
        rows = samples.get(table.name)
        if rows:
            shown = [[*row[:MAX_COLUMNS_SHOWN]] for row in rows]
            parts.append(answer_text([c.name for c in table.columns[:MAX_COLUMNS_SHOWN]], shown, False))
    if len(tables) > MAX_TABLES_SHOWN:
        parts.append("Further tables: " + ", ".join(table.name for _, table in tables[MAX_TABLES_SHOWN:][:200]))
    return "\n\n".join(parts)


def schema_data(files: Sequence[TableFile], samples: Mapping[str, Sequence[Sequence[Any]]]) -> dict[str, Any]:
    """The same for programs."""
    return {
        "tables": [
            {
                "name": table.name,
                "columns": [{"name": column.name, "type": column.type} for column in table.columns],
                "rows": table.rows,
                "filename": file.filename,
                "file_id": file.file_id,
                "sample": list(samples.get(table.name, ())),
            }
            for file in files
            for table in file.tables
        ]
    }


def create_statement(table: UserTable) -> str:
    """How the table would be made."""
    columns = ", ".join(f"{name_of(column.name)} {column.type.upper()}" for column in table.columns)
    return f"CREATE TABLE {name_of(table.name)} ({columns})"


def helped(error: str, mentioned: Sequence[UserTable], tables: Sequence[UserTable]) -> str:
    """The error with the names that there are, so that the statement can be put right."""
    error = error.strip()
    missing = re.match(r"(?:no such column|no such table|ambiguous column name): ([^\n.]*)", error)
    unknown_table = error.startswith("no such table") or not mentioned
    parts = [error[:1].upper() + error[1:] if not missing else error]
    if missing:
        pool = [table.name for table in tables] if unknown_table else [c.name for t in mentioned for c in t.columns]
        near = difflib.get_close_matches(missing.group(1).split(".")[-1], pool, 1, 0.6)
        if near:
            parts.append(f"Did you mean {name_of(near[0])}?")
    if unknown_table:
        names = ", ".join(name_of(table.name) for table in tables[:50])
        parts.append(f"The tables are: {names}." if names else "There are no tables yet: upload a file first.")
    else:
        parts += [
            f"Columns of {name_of(t.name)}: {', '.join(name_of(c.name) for c in t.columns[:60])}."
            for t in mentioned[:5]
        ]
    return " ".join(parts)


def foreign_schema_text(name: str, tables: Sequence[Mapping[str, Any]]) -> str:
    """Tables of a database that an administrator named."""
    if not tables:
        return f"The database {name} has no tables that may be read."
    parts = [f"Database {name}:"]
    for table in tables:
        columns = ", ".join(f"{each['name']} {each['type']}" for each in table["columns"])
        parts.append(f"{table['name']}: {columns}")
        if table.get("sample"):
            parts.append(answer_text([each["name"] for each in table["columns"]], table["sample"], False))
    return "\n\n".join(parts)
