"""Cutting a piece further until the embedder reads all of it."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from backend.utils.split_text import even_parts

Fits = Callable[[str], bool]

SHORTEST = 16
"""Characters; a piece of so few is not cut further, whatever is said of it."""
MOST_PARTS = 8
"""Into so many parts a piece is cut at once; they are cut again if that is not enough."""
HEADING_SHARE = 3
"""Headings may take a third of what the embedder reads; outer ones are left out beyond that."""
LETTERS_PER_TOKEN = 4.7
"""Of English prose, spaces counted as letters. Punctuation marks are tokens of their own, and so is every second digit:
that and this are within a third of the true number for abstracts, manuals, tables of figures and code."""
LAST_LATIN = "\u024f"
"""Beyond the Latin alphabet and its accents an embedder of English knows single letters at most."""
_MARKS = str.maketrans("", "", string.punctuation)
_DIGITS = str.maketrans("", "", string.digits)


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk of a page: `start` and `end` in characters of the page's text, `line` counted from 1.

    The text is that of its place; a later part of a long table has the table's head in front of it.
    `heading`: the headings above it, outermost first; they go on from page to page.
    """

    text: str
    start: int
    end: int
    line: int
    heading: tuple[str, ...] = ()

    @property
    def head(self) -> str:
        """What is repeated in front of the text of its place, with the newline after it; "" for nearly all."""
        return self.text[: max(0, len(self.text) - (self.end - self.start))]

    @property
    def context_text(self) -> str:
        """What is embedded, as DocumentChunk has it."""
        return f"{' > '.join(self.heading)}\n{self.text}" if self.heading else self.text


def estimated_tokens(text: str) -> int:
    """About how many word pieces an embedder of English makes of a text."""
    foreign = 0 if text.isascii() else sum(1 for c in text if c > LAST_LATIN)
    marks = len(text) - len(text.translate(_MARKS))
    digits = len(text) - len(text.translate(_DIGITS))
    return int((len(text) - foreign - marks - digits) / LETTERS_PER_TOKEN + digits / 2) + marks + foreign + 2


def refit(piece: Piece, fits: Fits) -> list[Piece]:
    """The piece, or parts of about equal length that all fit, in order; no text is lost.

    Parts that begin among the rows of a table begin with its head. Outer headings are left out where they take too
    much. What is shorter than 16 characters counts as fitting.
    """
    if fits(piece.context_text):
        return [piece]
    piece = replace(piece, heading=_within(piece.heading, fits))
    return [piece] if fits(piece.context_text) else list(_parts(piece, fits))


def table_head(text: str, at: int) -> str:
    """Head and separator, newlines included, of the pipe table that the line beginning at `at` is a row of; else ""."""
    if "|" not in text[at:].partition("\n")[0] or not text[:at].endswith("\n"):
        return ""
    above = text[: at - 1].split("\n")
    for place in range(len(above) - 1, 0, -1):
        if "|" not in above[place]:
            return ""
        if is_separator(above[place]):
            return f"{above[place - 1]}\n{above[place]}\n" if "|" in above[place - 1] else ""
    return ""


def is_separator(line: str) -> bool:
    """Whether a line is that below the head of a pipe table, e.g. `| --- | :-: |`."""
    line = line.strip()
    return "-" in line and "|" in line and not line.strip("|-: \t")


def _within(heading: tuple[str, ...], fits: Fits) -> tuple[str, ...]:
    while heading and not fits("\n".join([" > ".join(heading)] * HEADING_SHARE)):
        heading = heading[1:]
    return heading


def _parts(piece: Piece, fits: Fits) -> Iterator[Piece]:
    if piece.end - piece.start <= SHORTEST:
        yield replace(piece, text=piece.text[len(piece.head) :], heading=())
        return
    found = [piece]
    for count in range(2, MOST_PARTS + 1):
        found = _cut(piece, count)
        if all(fits(part.context_text) for part in found):
            break
    for part in found:
        yield from [part] if fits(part.context_text) else _parts(part, fits)


def _cut(piece: Piece, count: int) -> list[Piece]:
    """About `count` parts of about equal length, at least two, cut where it hurts least."""
    given = piece.head
    body = piece.text[len(given) :]
    found: list[Piece] = []
    at, line = 0, piece.line
    for part in even_parts(body, count):
        inner = part.strip()
        if inner:
            start = at + len(part) - len(part.lstrip())
            head = given or table_head(body, start)
            # A head that is longer than what follows it would leave ever less room for that.
            text = head + inner if len(head) <= len(inner) else inner
            first = line + part.count("\n", 0, start - at)
            found.append(Piece(text, piece.start + start, piece.start + start + len(inner), first, piece.heading))
        at += len(part)
        line += part.count("\n")
    return found
