"""CSV, each record as a line of `column: value` pairs, so that a row can be found by what it says."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from backend.loaders.decoding import decode, looks_like_text
from backend.loaders.port import LoadRefused
from backend.models.documents import PageText

MAX_COLUMNS = 500
MAX_CHARS = 2 * 1_048_576
"""Characters of text that go into the index whole; of a longer table only the beginning does."""
KEPT_CHARS = 65_536
HEAD_BYTES = 4 * 1_048_576
CUT = "(Only the first {rows:,} rows are shown here; SQL reaches all of them.)"


class CsvLoader:
    name = "csv"
    extensions = (".csv", ".tsv")
    content_type = "text/csv"

    def accepts(self, head: bytes, extension: str) -> bool:
        return extension in self.extensions and looks_like_text(head)

    def page_count(self, path: Path) -> int | None:
        return None

    def load(self, path: Path) -> Iterator[PageText]:
        """One text: a table has no pages."""
        yield PageText(None, "\n".join(_lines(*_text(path))))


def _text(path: Path) -> tuple[str, bool]:
    """The file, or its first 4 MiB in whole lines, and whether there is more."""
    with path.open("rb") as file:
        raw = file.read(HEAD_BYTES + 1)
    if len(raw) <= HEAD_BYTES:
        return decode(raw), False
    if b"\n" not in raw and b"\r" not in raw:
        raise LoadRefused("The file has no line ends within 4 MiB: it is no table of rows.")
    # The cut may fall into a character, and in UTF-16 between the bytes of one: the broken line goes.
    head = raw[: max(raw.rfind(b"\n"), raw.rfind(b"\r")) + 1]
    text = decode(head[: len(head) - len(head) % 4] if b"\x00" in head else head)
    return text[: max(text.rfind("\n"), text.rfind("\r")) + 1], True


def _lines(text: str, is_cut: bool) -> Iterator[str]:
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:8192], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    try:
        rows = csv.reader(io.StringIO(text, newline=None), dialect)
        header = next((row for row in rows if any(cell.strip() for cell in row)), [])
        if not header:
            return
        if len(header) > MAX_COLUMNS:
            raise LoadRefused(f"The table has more than {MAX_COLUMNS} columns.")
        yield "Columns: " + ", ".join(header)
        characters = 0
        lines: list[str] = []
        for row in rows:
            if not any(cell.strip() for cell in row):
                continue
            lines.append("; ".join(f"{name}: {cell}" for name, cell in zip(header, row, strict=False)))
            characters += len(lines[-1]) + 1
            if characters > MAX_CHARS:
                is_cut = True
                break
        if is_cut:
            yield from beginning(lines, KEPT_CHARS)
        else:
            yield from lines
    except csv.Error as error:
        raise LoadRefused(f"The file is not a readable table ({error}).") from None


def beginning(lines: list[str], characters: int) -> Iterator[str]:
    """As many lines as come to so many characters, at least one, and a sentence that there are more."""
    shown = 0
    for line in lines:
        characters -= len(line) + 1
        if characters < 0 and shown:
            break
        shown += 1
        yield line
    yield CUT.format(rows=shown)


LOADER = CsvLoader()
