"""Turning the `[n]` markers of an answer into citations of sources the run really saw."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from backend.models.tools import Citation, Source

_NUMBER = r"[0-9]{1,3}"
_ITEM = rf"{_NUMBER}(?:\s*[-–]\s*{_NUMBER})?"
_ITEMS = rf"{_ITEM}(?:\s*[,;]\s*{_ITEM})*"
_MARKER = re.compile(rf"\[\s*({_ITEMS})\s*\]|【\s*({_ITEMS})\s*(?:†[^】]{{0,200}})?】")
_CODE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|(?P<ticks>`+)(?:(?!\n\n|`).)+(?P=ticks)", re.DOTALL)


def resolve_citations(answer: str, sources: Sequence[Source]) -> tuple[Citation, ...]:
    """The citations of an answer, in reading order.

    Source `n` stands at position n-1. Understood are `[1]`, `[1, 2]`, `[1-3]` and `【1】`; the numbers of one
    marker share its offsets. Markers inside code, and numbers without a source, are left alone.
    """
    code = [found.span() for found in _CODE.finditer(answer)]
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


def _numbers(text: str, last: int) -> Iterator[int]:
    """The numbers in 1..last that a marker names; ranges are spelled out."""
    for item in re.split(r"[,;]", text):
        ends = [int(number) for number in re.findall(_NUMBER, item)]
        yield from range(max(1, ends[0]), min(last, ends[-1]) + 1)
