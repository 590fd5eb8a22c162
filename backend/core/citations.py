"""Turning the `[n]` markers of an answer into citations of sources the run really saw, and checking its quotations."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from backend.core.citations_quotes import (
    MIN_CHARS,
    MIN_WORDS,
    Quotation,
    Span,
    quotations,
    segments,
    without_markers,
)
from backend.core.citations_text import Passage, parts_of, plain
from backend.models.tools import Citation, Source

_NUMBER = r"[0-9]{1,3}"
_ITEM = rf"{_NUMBER}(?:\s*[-–]\s*{_NUMBER})?"
_ITEMS = rf"{_ITEM}(?:\s*[,;]\s*{_ITEM})*"
_MARKER = re.compile(rf"\[\s*({_ITEMS})\s*\]|【\s*({_ITEMS})\s*(?:†[^】]{{0,200}})?】")
_CODE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|(?P<ticks>`+)(?:(?!\n\n|`).)+(?P=ticks)", re.DOTALL)
_LEAD = re.compile(r"^\s*(?:[-*+•>]|\d{1,3}[.)])\s+")
"""The mark in front of a list's item."""
MAX_CHECKED = 500
"""Markers of one answer whose quotations are looked up."""
MAX_SENTENCE_CHARS = 1_000
"""A sentence that is longer is none, and no passage's either."""


def resolve_citations(answer: str, sources: Sequence[Source]) -> tuple[Citation, ...]:
    """The citations of an answer, in reading order.

    Source `n` stands at position n-1. Understood are `[1]`, `[1, 2]`, `[1-3]` and `【1】`; the numbers of one
    marker share its offsets. Markers inside code, and numbers without a source, are left alone.
    """
    code = code_spans(answer)
    citations: list[Citation] = []
    for marker in _MARKER.finditer(answer):
        start, end = marker.span()
        if any(begin <= start < stop for begin, stop in code):
            continue
        seen: set[int] = set()
        for number in _numbers(marker[1] or marker[2], len(sources)):
            if number not in seen:
                seen.add(number)
                citations.append(Citation(number, sources[number - 1], start, end))
    return tuple(citations)


@dataclass(frozen=True, slots=True)
class Checked:
    """The citations that hold, in reading order, and how many did not. `unread`: the markers of those that did not."""

    citations: tuple[Citation, ...]
    dropped: int = 0
    unread: frozenset[Span] = frozenset()


def checked_citations(answer: str, sources: Sequence[Source], question: str = "") -> Checked:
    """The citations of an answer, each quotation compared with the passage that it is attributed to.

    A citation whose passage holds the quoted words, or the whole sentence it ends, is narrowed to them. Where the
    passage does not, but another one of the run does, the citation points there; where none does, it is dropped.
    Words of the question, and names of files, between quotation marks are no quotations of a passage.
    """
    citations = list(resolve_citations(answer, sources))
    if not citations:
        return Checked(())
    markers = list(dict.fromkeys((each.start, each.end) for each in citations))[:MAX_CHECKED]
    check = _Check(citations, [Passage(source.quote) for source in sources], sources)
    asked = plain(question)
    for quotation in quotations(answer, markers, code_spans(answer)):
        parts = parts_of(quotation.text)
        if parts and not all(part in asked for part in parts) and not _is_title(parts, sources):
            check.settle(quotation, parts)
    check.find_copied(answer, markers)
    return check.result()


class _Check:
    """The citations while their quotations are looked up, one after the other."""

    def __init__(self, citations: list[Citation], passages: Sequence[Passage], sources: Sequence[Source]) -> None:
        self._citations = citations
        self._passages = passages
        self._sources = sources
        self._failed: set[int] = set()
        self._more = 0
        """Quotations that do not hold beside one of the same citation that does."""
        self._at: dict[Span, list[int]] = {}
        for place, each in enumerate(citations):
            self._at.setdefault((each.start, each.end), []).append(place)

    def settle(self, quotation: Quotation, parts: Sequence[str]) -> None:
        order = [place for marker in dict.fromkeys(quotation.markers) for place in self._at[marker]]
        for place in order:
            found = self._passages[self._citations[place].index - 1].locate(parts)
            if found is not None:
                self._narrow(place, self._citations[place].index - 1, found)
                return
        first = self._citations[order[0]]
        for other, passage in enumerate(self._passages):
            found = passage.locate(parts)
            if found is not None:
                note = f"The words stand in {self._sources[other].title}, not in source {first.index}."
                self._narrow(order[0], other, found, note)
                return
        # The marker that stands nearest; a group of markers side by side stands or falls together.
        fallen = [place for place in order if _side_by_side(self._citations[place], first)]
        if any(self._citations[place].quoted for place in fallen):
            self._more += 1
        else:
            self._failed.update(fallen)

    def find_copied(self, answer: str, markers: Sequence[Span]) -> None:
        """Narrow the citations of sentences that are their passage's own, word for word, without quotation marks."""
        parts = segments(answer, (), markers)
        starts = [start for start, _ in parts]
        for marker in markers:
            start, end = parts[bisect_right(starts, marker[0]) - 1]
            said = _LEAD.sub("", without_markers(answer[start:end])).strip() if end - start < MAX_SENTENCE_CHARS else ""
            if len(said) < MIN_CHARS or len(said.split()) < MIN_WORDS:
                continue
            for place in self._at[marker]:
                self._find_copied_of(place, said)

    def _find_copied_of(self, place: int, said: str) -> None:
        citation = self._citations[place]
        if not citation.quoted and place not in self._failed:
            passage = self._passages[citation.index - 1]
            found = passage.locate(parts_of(said)) or passage.row(said)
            if found is not None:
                self._narrow(place, citation.index - 1, found)

    def _narrow(self, place: int, source: int, found: Span, note: str = "") -> None:
        citation = self._citations[place]
        self._failed.discard(place)
        if not citation.quoted:
            told = narrowed(self._sources[source], *found)
            self._citations[place] = replace(citation, source=told, quoted=True, note=note)

    def result(self) -> Checked:
        held = tuple(each for place, each in enumerate(self._citations) if place not in self._failed)
        unread = frozenset((self._citations[place].start, self._citations[place].end) for place in self._failed)
        return Checked(held, len(self._failed) + self._more, unread)


def narrowed(source: Source, start: int, end: int) -> Source:
    """The source with its quote cut to these characters of it, and with their place in the page's text.

    The place stays that of the passage where the passage is not the page's own text (a table's head put before it).
    """
    quote = source.quote[start:end]
    if source.start is None or source.end is None or source.end - source.start != len(source.quote):
        return replace(source, quote=quote)
    line, url = source.line, source.url
    if line is not None:
        line += source.quote.count("\n", 0, start)
        if source.page is None and source.url.startswith("/"):
            url = f"{source.url.split('#', 1)[0]}#line={line}"
    return replace(source, quote=quote, start=source.start + start, end=source.start + end, line=line, url=url)


def code_spans(answer: str) -> list[Span]:
    """Where code stands in an answer, inline and in blocks."""
    return [found.span() for found in _CODE.finditer(answer)]


def _side_by_side(one: Citation, other: Citation) -> bool:
    return abs(one.start - other.start) <= 2 * (other.end - other.start)


def _is_title(parts: Sequence[str], sources: Sequence[Source]) -> bool:
    """Whether the words are those of a title: a file's name, or a heading above a passage."""
    titles = {name for each in sources for name in (each.title, each.filename or "", each.label, *each.heading) if name}
    said = "".join(parts)
    return any(said in plain(title) for title in titles)


def _numbers(text: str, last: int) -> Iterator[int]:
    """The numbers in 1..last that a marker names; ranges are spelled out."""
    for item in re.split(r"[,;]", text):
        ends = [int(number) for number in re.findall(_NUMBER, item)]
        yield from range(max(1, ends[0]), min(last, ends[-1]) + 1)
