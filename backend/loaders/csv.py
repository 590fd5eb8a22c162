"""CSV, each record as a line of `column: value` pairs, so that a row can be found by what it says."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from backend.loaders.port import LoadRefused
from backend.loaders.text import decode, looks_like_text
from backend.models.documents import PageText

MAX_ROWS = 100_000
MAX_COLUMNS = 500


class CsvLoader:
    name = "csv"
    extensions = (".csv", ".tsv")
    content_type = "text/csv"

    def accepts(self, head: bytes, extension: str) -> bool:
        return extension in self.extensions and looks_like_text(head)

    def page_count(self, path: Path) -> int | None:
        return None

    def load(self, path: Path) -> Iterator[PageText]:
        yield PageText(None, "\n".join(_lines(decode(path.read_bytes()))))


def _lines(text: str) -> Iterator[str]:
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:8192], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    try:
        rows = csv.reader(io.StringIO(text), dialect)
        header = next(rows, [])
        if len(header) > MAX_COLUMNS:
            raise LoadRefused(f"The table has more than {MAX_COLUMNS} columns.")
        yield "Columns: " + ", ".join(header)
        for count, row in enumerate(rows):
            if count >= MAX_ROWS:
                raise LoadRefused(f"The table has more than {MAX_ROWS} rows: split the file.")
            if any(cell.strip() for cell in row):
                yield "; ".join(f"{name}: {cell}" for name, cell in zip(header, row, strict=False))
    except csv.Error as error:
        raise LoadRefused(f"The file is not a readable table ({error}).") from None


LOADER = CsvLoader()
