"""The blocks of a page: headings, paragraphs, tables and code, each with its place. One pass, whatever the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from backend.utils.chunking_fit import is_separator

Kind = Literal["heading", "text", "table", "code"]
MOST_LEVELS = 6
TITLE_CHARS = 120
INDENT = 3
"""Blanks that may stand before a mark; more of them make it text."""
FENCE_CHARS = 3
_FENCES = ("```", "~~~")
_CLOSERS = frozenset(
    (")", "]", "}", "end", "else", "elif", "except", "finally", "catch", "then", "esac", "fi", "done", "EOF")
)
"""Words at the margin with which a line ends or goes on with what stands above it."""
_FIRST_WORD = re.compile(r"\w+|\S")
_LINE = re.compile(r"\S[^\n]*")
"""A line that is not blank, from its first sign on."""


class Block(NamedTuple):
    """`start` and `end` in characters of the page; no blank lines at either end. `level` and `title` of a heading."""

    kind: Kind
    start: int
    end: int
    level: int = 0
    title: str = ""


class _Line(NamedTuple):
    """`text` without the blanks before it, of which there are `indent`; `gap`: whether blank lines stand above it."""

    text: str
    start: int
    end: int
    indent: int
    gap: bool


class Outline:
    """The headings that hold at a place of a document whose pages are read in order, outermost first."""

    def __init__(self) -> None:
        self.path: tuple[str, ...] = ()
        self.level = 0
        """Of the last heading; 0 before the first."""
        self._titles = [""] * MOST_LEVELS

    def enter(self, heading: Block) -> None:
        """What follows stands below this heading."""
        self._titles[heading.level - 1 :] = [heading.title, *[""] * (MOST_LEVELS - heading.level)]
        self.path = tuple(filter(None, self._titles))
        self.level = heading.level

    def above(self, level: int) -> tuple[str, ...]:
        """The headings that a heading of this level stands below."""
        return tuple(filter(None, self._titles[: level - 1]))

    def paths(self, text: str, form: str) -> list[tuple[int, tuple[str, ...]]]:
        """For the next page the places from which on other headings hold, beginning with 0."""
        found = [(0, self.path)]
        for block in blocks(text, form):
            if block.kind == "heading":
                self.enter(block)
                found.append((block.end, self.path))
        return found


def blocks(text: str, form: str) -> Iterator[Block]:
    """The blocks of a page of this form (`markdown`, `plain` or `code`), in order; blank lines belong to none."""
    if form == "markdown":
        return _markdown(text)
    return _groups(text, at_margin=form == "code")


def _lines(text: str) -> Iterator[_Line]:
    """The lines that are not blank. Megabytes of blank ones cost nothing worth telling."""
    before = 0
    for found in _LINE.finditer(text):
        first, end = found.span()
        newline = text.rfind("\n", before, first)
        start = newline + 1 if newline >= 0 else before
        gap = newline >= 0 and text.find("\n", before, newline) >= 0
        yield _Line(found[0], start, end, first - start, gap)
        before = end


def _groups(text: str, *, at_margin: bool) -> Iterator[Block]:
    """Lines between blank lines; `at_margin`: only where a line at the margin begins something new after them."""
    kind: Kind = "code" if at_margin else "text"
    start, end = -1, 0
    for line in _lines(text):
        if start < 0:
            start = line.start
        elif line.gap and (not at_margin or (line.indent == 0 and _begins(line.text))):
            yield Block(kind, start, end)
            start = line.start
        end = line.end
    if start >= 0:
        yield Block(kind, start, end)


def _begins(line: str) -> bool:
    """Whether a line of code at the margin begins something rather than ending it."""
    word = _FIRST_WORD.match(line)
    return word is not None and word[0] not in _CLOSERS


def _markdown(text: str) -> Iterator[Block]:
    reader = _Reader()
    for line in _lines(text):
        yield from reader.take(line)
    yield from reader.close()


class _Reader:
    """Reads Markdown line by line. What is open is known by its kind, its start and its last two lines."""

    def __init__(self) -> None:
        self._kind: Kind = "text"
        self._start = -1
        self._last: _Line | None = None
        self._before_last = -1
        """Where the line before the last one ends; -1: the last line is the first."""
        self._fence = ""

    def take(self, line: _Line) -> Iterator[Block]:
        """The blocks that are complete now that this line has come."""
        if self._fence:
            self._add(line)
            if line.text.startswith(self._fence) and not line.text.rstrip().strip(self._fence[0]):
                yield from self.close()
            return
        if line.gap:
            yield from self.close()
        mark = _mark(line)
        if mark:
            yield from self.close()
        if mark == "heading":
            title = line.text.lstrip("#")
            level = len(line.text) - len(title)
            yield Block("heading", line.start, line.end, level, _title(title.strip().rstrip("#")))
        elif mark == "fence":
            self._add(line)
            self._kind = "code"
            self._fence = line.text[: len(line.text) - len(line.text.lstrip(line.text[0]))]
        else:
            yield from self._text(line)

    def close(self) -> Iterator[Block]:
        """What is open, as it is."""
        if self._last is not None:
            yield Block(self._kind, self._start, self._last.end)
        self._kind, self._start, self._last, self._before_last, self._fence = "text", -1, None, -1, ""

    def _text(self, line: _Line) -> Iterator[Block]:
        last = self._last
        if self._kind == "table" and "|" not in line.text:
            yield from self.close()
        elif self._kind == "text" and last is not None:
            if "|" in last.text and is_separator(line.text):
                if self._before_last >= 0:
                    yield Block("text", self._start, self._before_last)
                self._kind, self._start = "table", last.start
            elif self._before_last < 0 and (level := _underlined(line.text.rstrip())) and (title := _title(last.text)):
                self._last = None
                yield from self.close()
                yield Block("heading", last.start, line.end, level, title)
                return
        self._add(line)

    def _add(self, line: _Line) -> None:
        if self._last is None:
            self._start = line.start
        else:
            self._before_last = self._last.end
        self._last = line


def _mark(line: _Line) -> Literal["heading", "fence", ""]:
    sign = line.text[0]
    if line.indent > INDENT or sign not in "#`~":
        return ""
    if sign == "#":
        rest = line.text.lstrip("#")
        level = len(line.text) - len(rest)
        # A heading without a word is none: nothing can be said to stand below it.
        return "heading" if level <= MOST_LEVELS and rest[:1] in (" ", "\t") and _title(rest) else ""
    # What opens and closes on one line is a word of code in a paragraph.
    if line.text.startswith(_FENCES) and sign not in line.text.lstrip(sign):
        return "fence"
    return ""


def _underlined(text: str) -> int:
    """The level of the heading that a line of signs makes of the one above it; 0 for any other line."""
    if len(text) < FENCE_CHARS:
        return 0
    return 1 if not text.strip("=") else 2 if not text.strip("-") else 0


def _title(text: str) -> str:
    """At most 120 characters, without marks of emphasis."""
    title = " ".join(text[: 4 * TITLE_CHARS].split()).strip("*_`# ")
    return title if len(title) <= TITLE_CHARS else f"{title[: TITLE_CHARS - 1].rstrip()}…"
