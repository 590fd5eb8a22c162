"""Tables made of uploaded files, as they are stored and described."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ColumnType = Literal["integer", "real", "text", "date", "datetime", "boolean"]
"""Dates are kept as ISO text, truth values as 0 and 1."""


@dataclass(frozen=True, slots=True)
class TableColumn:
    """`name` is unique within its table, whatever the case of its letters."""

    name: str
    type: ColumnType


@dataclass(frozen=True, slots=True)
class UserTable:
    """One table of one file.

    `name` is unique among the owner's tables and needs no quoting; `stored` is what the table is called inside the
    file's database; `rows` counts them.
    """

    name: str
    stored: str
    columns: tuple[TableColumn, ...]
    rows: int


@dataclass(frozen=True, slots=True)
class TableFile:
    """The tables of one uploaded document. `created_at` in seconds since the epoch; `note` says what was left out."""

    file_id: str
    filename: str
    created_at: float
    tables: tuple[UserTable, ...]
    columnar: bool = False
    """Whether a columnar copy stands beside the database."""
    note: str | None = None
