"""What the styles and lists of a Word document say of its paragraphs: headings, list levels and their numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from backend.loaders.office import attribute, child, local, number_of, value_of

MAX_CHAIN = 12
"""Styles that are based on one another; Word itself allows about as many."""
LEVELS = 9
MAX_LABEL = 40
_HEADING = re.compile(r"heading ([1-9])", re.IGNORECASE)
_CONTENTS = re.compile(r"toc [1-9]|table of figures", re.IGNORECASE)
_LIST = re.compile(r"list (?:bullet|number) ([2-5])", re.IGNORECASE)
"""Word's own styles for deeper lists, each of which is a list of its own with one level."""
_PLACE = re.compile(r"%([1-9])")
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
          (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Style:
    name: str
    based_on: str | None
    outline: int | None
    """From 0; 9 is text."""
    list_id: str | None
    list_level: int | None


class Styles:
    def __init__(self, elements: Iterable[Any] = ()) -> None:
        self._styles: dict[str, Style] = {}
        for each in elements:
            key = attribute(each, "styleId")
            if key is not None:
                self._styles[key] = _style(each)

    def heading_level(self, style_id: str | None) -> int | None:
        """1 to 9, also of a style that is based on that of a heading; None for text."""
        for style in self._chain(style_id):
            if style.outline is not None:
                return style.outline + 1 if style.outline < LEVELS else None
            if found := _HEADING.fullmatch(style.name):
                return int(found[1])
            if style.name.lower() == "title":
                return 1
        return None

    def in_contents(self, style_id: str | None) -> bool:
        """Whether a paragraph belongs to a table of contents, which only repeats the headings."""
        return any(_CONTENTS.fullmatch(style.name) for style in self._chain(style_id))

    def is_code(self, style_id: str | None) -> bool:
        names = ("html preformatted", "source code", "code", "code block", "preformatted text", "macro text")
        return any(style.name.lower() in names for style in self._chain(style_id))

    def list_of(self, style_id: str | None) -> tuple[str | None, int | None]:
        """The list and the level that a style puts its paragraphs in."""
        level = None
        for style in self._chain(style_id):
            level = level if level is not None else style.list_level
            if level is None and (found := _LIST.fullmatch(style.name)):
                level = int(found[1]) - 1
            if style.list_id is not None:
                return style.list_id, level
        return None, None

    def _chain(self, style_id: str | None) -> list[Style]:
        chain: list[Style] = []
        while style_id is not None and style_id in self._styles and len(chain) < MAX_CHAIN:
            chain.append(self._styles[style_id])
            style_id = chain[-1].based_on
        return chain


def _style(element: Any) -> Style:
    properties = child(element, "pPr")
    numbering = child(properties, "numPr") if properties is not None else None
    return Style(
        value_of(element, "name") or "",
        value_of(element, "basedOn"),
        number_of(value_of(properties, "outlineLvl"), 0, LEVELS),
        value_of(numbering, "numId"),
        number_of(value_of(numbering, "ilvl"), 0, LEVELS - 1),
    )


@dataclass(frozen=True, slots=True)
class Level:
    kind: str = "bullet"
    pattern: str = ""
    """e.g. `%1.%2)`."""
    start: int = 1


@dataclass(slots=True)
class _List:
    levels: dict[int, Level]
    counts: list[int | None] = field(default_factory=lambda: [None] * LEVELS)


class Numbering:
    """Counts the items of every list of a document, in the order in which they are asked for."""

    def __init__(self, root: Any | None = None) -> None:
        self._abstract: dict[str, _List] = {}
        self._lists: dict[str, _List] = {}
        if root is None:
            return
        for each in root:
            if local(each) == "abstractNum" and (key := attribute(each, "abstractNumId")) is not None:
                self._abstract[key] = _List(dict(_level(at) for at in each if local(at) == "lvl"))
        for each in root:
            if local(each) == "num" and (key := attribute(each, "numId")) is not None:
                self._lists[key] = self._list(each)

    def _list(self, element: Any) -> _List:
        shared = self._abstract.get(value_of(element, "abstractNumId") or "", _List({}))
        changes = [each for each in element if local(each) == "lvlOverride"]
        if not changes:
            return shared  # lists of one kind go on counting where the other stopped
        levels = dict(shared.levels)
        for each in changes:
            at = number_of(attribute(each, "ilvl"), 0, LEVELS - 1) or 0
            own = child(each, "lvl")
            if own is not None:
                levels[at] = _level(own)[1]
            start = number_of(value_of(each, "startOverride"))
            if start is not None:
                was = levels.get(at, Level())
                levels[at] = Level(was.kind, was.pattern, start)
        return _List(levels)

    def label(self, list_id: str, level: int) -> str | None:
        """What stands before the next item: `•`, a number such as `3.` or `2.1`, "" for nothing; None: no such list."""
        found = self._lists.get(list_id)
        if found is None:
            return None
        now = found.levels.get(level, Level())
        before = found.counts[level]
        found.counts[level] = now.start if before is None else before + 1
        found.counts[level + 1 :] = [None] * (LEVELS - level - 1)
        if now.kind == "bullet":
            return "•"
        if now.kind == "none":
            return ""
        return _PLACE.sub(lambda place: _count(found, int(place[1]) - 1), now.pattern)[:MAX_LABEL].strip()


def _level(element: Any) -> tuple[int, Level]:
    at = number_of(attribute(element, "ilvl"), 0, LEVELS - 1) or 0
    start = number_of(value_of(element, "start"))
    kind = value_of(element, "numFmt") or "bullet"
    return at, Level(kind, (value_of(element, "lvlText") or "")[:100], 1 if start is None else start)


def _count(found: _List, level: int) -> str:
    at = found.levels.get(level, Level("decimal"))
    count = found.counts[level]
    return spelled(at.start if count is None else count, at.kind)


def spelled(number: int, kind: str) -> str:
    """A count in letters or Roman numerals, by the names that Word has for them; otherwise in digits."""
    if kind.endswith("Letter") and 0 < number <= 26 * 20:
        letters = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
    elif kind.endswith("Roman") and 0 < number < 5000:
        letters = ""
        for value, sign in _ROMAN:
            letters += sign * (number // value)
            number %= value
    else:
        return f"{number:02d}" if kind == "decimalZero" else str(number)
    return letters.upper() if kind.startswith("upper") else letters
