"""Files whose first line holds what a list shows of them, so that a list need not read the rest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from backend.storage.json_files.append_log import decode_json, first_line
from backend.storage.json_files.atomic import Unreadable, open_regular


def row_in(path: Path, mark: bytes) -> dict[str, Any] | None:
    """The JSON object that follows `mark` on the first line, up to the comma that ends it.

    None when there is none: reading the whole file says what is wrong with it. Raises FileNotFoundError.
    """
    try:
        handle = open_regular(path)
        try:
            line = first_line(handle) or b""
        finally:
            os.close(handle)
        row = decode_json(line[len(mark) :].removesuffix(b",")) if line.startswith(mark) else None
    except (Unreadable, ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None
