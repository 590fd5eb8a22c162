"""Running heads, footers and page numbers: what stands at the same place of the pages around."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from backend.loaders.pdf_lines import Fragment, rows_of

MARGIN = 0.13
"""Share of the page's height, above and below, in which they are looked for."""
MAX_ROWS = 3
APART = 1.6
"""Ems between the baselines of a running head and the text."""
_NUMBER = re.compile(r"\d{1,5}|[ivxlc]{1,7}", re.IGNORECASE)
_PAGE = r"(?:page|seite|página|pagina|p\.|s\.|\|)"
_PAGE_NUMBER = re.compile(
    rf"^{_PAGE}\s*(\d{{1,5}})\b|(?:^|\s){_PAGE}\s*(\d{{1,5}})(?:\s*(?:of|von|de|sur|/)\s*\d{{1,5}})?\W*$", re.IGNORECASE
)
_ONLY_NUMBER = re.compile(
    r"[\W_]*(page|seite|página|pagina|p|s)?[\W_]*(\d{1,5}|[ivxlc]{1,7})([\W_]*(?:of|von|de|sur|/)[\W_]*\d{1,5})?[\W_]*",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Margin:
    """A row in the margin of a page. `number`: the one that may be the page's, None where it has none."""

    y: float
    parts: frozenset[str]
    """Its texts of some length: the book's title may stay while that of the chapter beside it changes."""
    orders: frozenset[int]
    number: int | None
    is_number: bool
    """It is a page number and nothing else."""


def margins_of(fragments: Sequence[Fragment], height: float, body: float) -> list[Margin]:
    """The rows of a page that may be running heads or footers. `body`: size of ordinary text, points."""
    rows = rows_of(fragments)
    top = [row for row in _apart(rows) if row[0].y < MARGIN * height]
    bottom = [row for row in _apart(rows[::-1]) if row[0].top > (1 - MARGIN) * height]
    out: list[Margin] = []
    for row in [*top, *(row for row in bottom if row not in top)]:
        if max(each.size for each in row) > 1.1 * body or _heads_table(row, rows):
            continue
        text = " ".join(each.text for each in row)
        orders = frozenset(word.order for each in row for word in each.words)
        parts = frozenset(each.text for each in row if len(row) == 1 or sum(map(str.isalpha, each.text)) >= 4)
        out.append(Margin(row[0].y, parts, orders, _number(row, text), bool(_ONLY_NUMBER.fullmatch(text))))
    return out


def _apart(rows: Sequence[list[Fragment]]) -> list[list[Fragment]]:
    """The outermost rows, up to a gap wider than that between lines of text."""
    for index in reversed(range(min(MAX_ROWS, len(rows)))):
        if index + 1 == len(rows) or abs(rows[index + 1][0].y - rows[index][0].y) > APART * rows[index][0].size:
            return list(rows[: index + 1])
    return []


def _heads_table(row: list[Fragment], rows: list[list[Fragment]]) -> bool:
    """Whether the row below has the same columns: the head of a table is repeated on its pages too."""
    index = rows.index(row)
    if len(row) < 2 or index + 1 >= len(rows) or len(rows[index + 1]) != len(row):
        return False
    below = rows[index + 1]
    if below[0].y - row[0].y > 3 * row[0].size:
        return False
    return all(
        min(abs(a.x0 - b.x0), abs(a.x1 - b.x1)) < 3 or abs(a.x0 + a.x1 - b.x0 - b.x1) < 6
        for a, b in zip(row, below, strict=True)
    )


def _number(row: Sequence[Fragment], text: str) -> int | None:
    """A number that stands alone at an end of the row, or after a word for page."""
    only = _ONLY_NUMBER.fullmatch(text)
    digits = only[2] if only else ""
    for each in (row[0], row[-1]):
        digits = digits or (each.text if _NUMBER.fullmatch(each.text) else "")
    named = _PAGE_NUMBER.search(text)
    digits = digits or ((named[1] or named[2]) if named else "")
    if not digits:
        return None
    return int(digits) if digits.isdecimal() else _roman(digits)


def _roman(text: str) -> int:
    values = [{"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}[letter] for letter in text.lower()]
    return sum(-one if one < other else one for one, other in zip(values, [*values[1:], 0], strict=True))


def repeated(rows: Sequence[Margin], around: Sequence[tuple[int, Sequence[Margin]]], is_first: bool) -> set[int]:
    """The `order` of the words of those rows that most of the pages around have at the same place.

    `around` holds the rows of other pages with how many pages further on they are. On the first page only what holds
    a page number is dropped, so that nothing is lost altogether.
    """
    out: set[int] = set()
    for row in rows:
        same = sum(any(abs(row.y - other.y) <= 4 and row.parts & other.parts for other in page) for _, page in around)
        counted = sum(any(_counts_on(row, other, by) for other in page) for by, page in around)
        enough = max(2, 0.3 * len(around))
        if (same >= enough and not is_first) or counted >= (1 if row.is_number else enough):
            out |= row.orders
    return out


def _counts_on(row: Margin, other: Margin, by: int) -> bool:
    if row.number is None or other.number is None or abs(row.y - other.y) > 4:
        return False
    return other.number - row.number == by and row.is_number == other.is_number
