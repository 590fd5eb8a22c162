"""The text of whole documents in windows that a model can read, and the notes on them put together. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backend.core.citations_support import is_known, numbers_of
from backend.core.citations_text import plain
from backend.models.tools import Source
from backend.utils.language import stem

CHARS_PER_TOKEN = 4
WINDOW_CHARS = 24_000
"""About 6,000 tokens: enough to see what belongs together, little enough for small models to note all of it."""
MIN_WINDOW_CHARS = 2_000
WINDOW_SHARE = 0.5
"""Of the model's own window: the rest is for the instructions, the notes, and what the model thinks."""
TRANSLATED_CHARS = 6_000
"""A translation is as long as its text."""
MAX_ITEM_CHARS = 600

_MARKER = re.compile(r"\s*\[\s*(\d{1,3}(?:\s*[,;–-]\s*\d{1,3})*)\s*\]|\s*【\s*(\d{1,3})[^】]{0,100}】")
_BULLET = re.compile(r"^\s*(?:[-*•+–]|\d{1,3}[.)])\s+(?P<text>.+)$")
_NUMBER = re.compile(r"\d(?:[\d.,'’]*\d)?")


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document; `marker` is the number under which it is cited."""

    marker: int
    source: Source

    @property
    def filename(self) -> str:
        return self.source.filename or self.source.title

    @property
    def size(self) -> int:
        """Characters as a model counts them: writing without spaces takes more tokens."""
        return max(len(self.source.quote), len(self.source.quote.encode("utf-8", "replace")) * 3 // 4)

    def as_read(self) -> str:
        return f"[{self.marker}] {self.source.title}\n{self.source.quote}"


@dataclass(frozen=True, slots=True)
class Window:
    """Passages that are read together; those of one file stand in their order."""

    passages: tuple[Passage, ...]

    @property
    def size(self) -> int:
        return sum(each.size for each in self.passages)

    @property
    def places(self) -> str:
        """What it holds, for people: `handbook.pdf, p. 3-5`."""
        return places_of(self.passages)

    def as_read(self) -> str:
        return "\n\n".join(each.as_read() for each in self.passages)


def window_chars(context_length: int, *, translating: bool = False) -> int:
    """Characters of one window for a model whose own window has so many tokens; 0 when that is not known."""
    room = int(context_length * CHARS_PER_TOKEN * WINDOW_SHARE) or WINDOW_CHARS
    most = TRANSLATED_CHARS if translating else WINDOW_CHARS
    return max(MIN_WINDOW_CHARS, min(most, room))


def windows_of(passages: Sequence[Passage], size: int, *, by_file: bool = False) -> list[Window]:
    """The passages in windows of at most so many characters, alike in size; `by_file`: none holds two files."""
    out: list[Window] = []
    for group in _by_file(passages) if by_file else [list(passages)]:
        whole = sum(each.size for each in group)
        share = whole / max(1, -(-whole // size))
        current: list[Passage] = []
        used = 0
        for each in group:
            if current and (used + each.size > size or used + each.size / 2 > share):
                out.append(Window(tuple(current)))
                current, used = [], 0
            current.append(each)
            used += each.size
        if current:
            out.append(Window(tuple(current)))
    return out


def _by_file(passages: Sequence[Passage]) -> list[list[Passage]]:
    groups: dict[str | None, list[Passage]] = {}
    for each in passages:
        groups.setdefault(each.source.file_id or each.filename, []).append(each)
    return list(groups.values())


def places_of(passages: Sequence[Passage]) -> str:
    """Files and pages in words, runs of pages joined."""
    told: list[str] = []
    for group in _by_file(passages):
        first, last = group[0].source, group[-1].source
        if first.page is None:
            lines = f", line {first.line}" if first.line and first.line > 1 else ""
            told.append(f"{group[0].filename}{lines}")
        else:
            unit = "p." if first.unit == "page" else first.unit
            pages = str(first.page) if first.page == last.page else f"{first.page}-{last.page}"
            told.append(f"{group[0].filename}, {unit} {pages}")
    return "; ".join(told)


def names_of(passages: Iterable[Passage]) -> str:
    return ", ".join(dict.fromkeys(each.filename for each in passages))


@dataclass(frozen=True, slots=True)
class Item:
    """An entry of a list with the passages it stands in."""

    text: str
    markers: tuple[int, ...]


def items_of(notes: str, window: Window) -> list[Item]:
    """The entries of one part's list, in the order of the text. A marker that the part does not have, or whose passage
    lacks the entry's figures, gives way to the passage that fits best."""
    there = {each.marker: each for each in window.passages}
    found: list[tuple[int, int, Item]] = []
    for line in _entries(notes):
        text = _MARKER.sub("", line).strip(" \t-–:;,")
        if not plain(text):
            continue
        named = [number for number in _numbers(line) if number in there and _fits(text, there[number])]
        markers = tuple(dict.fromkeys(named)) or _best(text, window.passages)
        if markers:
            found.append((min(markers), len(found), Item(text[:MAX_ITEM_CHARS], markers)))
    return [item for _, _, item in sorted(found, key=lambda each: each[:2])]


def merged(items: Iterable[Item]) -> list[Item]:
    """Each entry once, where it stands first, with the passages of all of them."""
    kept: dict[str, Item] = {}
    for item in items:
        key = plain(item.text).rstrip(".,;:")
        before = kept.get(key)
        markers = item.markers if before is None else tuple(dict.fromkeys((*before.markers, *item.markers)))
        kept[key] = Item(item.text if before is None else before.text, markers)
    return list(kept.values())


def as_list(items: Sequence[Item], sources: Sequence[Source]) -> str:
    """The entries with their pages: `- Notice is due by 31 March (p. 3) [4]`."""
    several = len({sources[item.markers[0] - 1].file_id for item in items}) > 1
    lines = []
    for item in items:
        source = sources[item.markers[0] - 1]
        place = source.title if several else source.title.removeprefix(f"{source.filename}, ")
        named = f" ({place})" if several or place != source.filename else ""
        lines.append(f"- {item.text}{named} {''.join(f'[{marker}]' for marker in item.markers)}")
    return "\n".join(lines)


def without_foreign_markers(notes: str, allowed: Iterable[int]) -> str:
    """The notes without markers of passages that their writer has not seen."""
    known = set(allowed)

    def keep(found: re.Match[str]) -> str:
        kept = [number for number in _spelt(found) if number in known]
        return "".join((" " if found[0][:1].isspace() else "", *(f"[{number}]" for number in kept))) if kept else ""

    return _MARKER.sub(keep, notes)


def batches(notes: Sequence[str], size: int) -> list[list[str]]:
    """Consecutive notes in groups of at most so many characters, two at least where there are two."""
    groups: list[list[str]] = []
    used = 0
    for each in notes:
        if groups and (used + len(each) <= size or len(groups[-1]) < 2):
            groups[-1].append(each)
            used += len(each)
        else:
            groups.append([each])
            used = len(each)
    return groups


def _entries(notes: str) -> list[str]:
    """The bullet points of a text, lines that go on joined; all lines where there is no bullet point."""
    lines = [line for line in notes.splitlines() if line.strip()]
    if not any(_BULLET.match(line) for line in lines):
        return lines
    entries: list[str] = []
    for line in lines:
        found = _BULLET.match(line)
        if found:
            entries.append(found["text"])
        elif entries and line[:1].isspace():
            entries[-1] += f" {line.strip()}"
    return entries


def _numbers(line: str) -> list[int]:
    return [number for found in _MARKER.finditer(line) for number in _spelt(found)]


def _spelt(found: re.Match[str]) -> list[int]:
    out: list[int] = []
    for item in re.split(r"[,;]", found[1] or found[2]):
        ends = [int(each) for each in re.findall(r"\d+", item)]
        out += range(ends[0], min(ends[-1], ends[0] + 100) + 1)
    return out


def _fits(text: str, passage: Passage) -> bool:
    """Whether the passage has every figure of the entry."""
    said = _NUMBER.findall(text)
    known = numbers_of([passage.source.quote, passage.source.title]) if said else set()
    return all(is_known(each, known) for each in said)


def _best(text: str, passages: Sequence[Passage]) -> tuple[int, ...]:
    """The passage that holds the entry's figures and most of its words; none where none holds half of them."""
    wanted = {stem(word) for word in re.findall(r"[^\W_]{3,}", text.casefold())}
    best, most = 0, 0.5
    for each in passages:
        if not _fits(text, each):
            continue
        there = {stem(word) for word in re.findall(r"[^\W_]{3,}", each.source.quote.casefold())}
        share = len(wanted & there) / max(1, len(wanted))
        if share > most or (share == most and not best):
            best, most = each.marker, share
    return (best,) if best else ()
