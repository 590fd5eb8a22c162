"""Cutting the text of a document into chunks that keep to its structure and know their place in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from backend.utils.chunking_blocks import TITLE_CHARS, Block, Outline, blocks
from backend.utils.chunking_cuts import rows, spans
from backend.utils.chunking_fit import Fits, Piece, refit

__all__ = ["Chunker", "Piece"]

TINY_SHARE = 5
"""What is shorter than this part of `size` is joined to the section after it, whatever its heading."""
HEADS_SHARE = 2
"""Headings in a row that take more than this part of `size` make a piece of their own."""


class _Region(NamedTuple):
    """A stretch of the page that is to be one piece: the headings above it, and the level of the section at its end.

    `head` is repeated in front of it.
    """

    start: int
    end: int
    heading: tuple[str, ...]
    level: int = 0
    head: str = ""

    @property
    def length(self) -> int:
        return self.end - self.start + len(self.head)


class Chunker:
    """Takes the pages of one document in order.

    `size` and `overlap` are characters; `fits` says whether a text (headings included) is read whole by the
    embedder. A piece that does not fit is cut further.
    """

    def __init__(self, size: int, overlap: int, fits: Fits | None = None) -> None:
        self._size = size
        self._overlap = min(overlap, size // 2)
        self._fits = fits
        self._outline = Outline()

    def pieces(self, text: str, form: str = "plain") -> Iterator[Piece]:
        """The pieces of the next page; `form` is `markdown`, `plain` or `code`.

        Neighbouring blocks of a section make one piece as long as there is room. Tables and blocks of code that are
        no longer than `size` stay whole. Only texts that are longer overlap.
        """
        lines = _LineNumbers(text)
        for region in self._regions(text, form):
            start, end = _trimmed(text, region, keep_indent=form == "code")
            if start < end:
                piece = Piece(region.head + text[start:end], start, end, lines.at(start), region.heading)
                yield from refit(piece, self._fits) if self._fits is not None else (piece,)

    def _regions(self, text: str, form: str) -> Iterator[_Region]:
        filled: _Region | None = None
        heads: _Region | None = None
        """Headings that wait for what they stand above."""
        for block in blocks(text, form):
            if block.kind == "heading":
                if heads is not None and block.end - heads.start > self._size // HEADS_SHARE:
                    yield from self._whole(text, filled)
                    filled, heads = heads, None
                heads = self._with_heading(heads, block)
                continue
            if filled is not None and not self._joins(filled, heads, block):
                yield from self._whole(text, filled)
                filled = None
            begun = filled or heads
            start, heading = (begun.start, begun.heading) if begun else (block.start, self._outline.path)
            heads = None
            filled = _Region(start, block.end, heading, self._outline.level)
            if block.end - start > self._size:
                yield from self._long(text, filled, block)
                filled = None
        if filled is not None and heads is not None and heads.end - filled.start <= self._size:
            filled, heads = filled._replace(end=heads.end), None
        yield from self._whole(text, filled)
        yield from self._whole(text, heads)

    def _with_heading(self, heads: _Region | None, block: Block) -> _Region:
        """The waiting headings and one more, which from here on holds."""
        if heads is None:
            heads = _Region(block.start, block.end, self._outline.above(block.level), block.level)
        else:
            heads = heads._replace(end=block.end, level=min(heads.level, block.level))
        self._outline.enter(block)
        return heads

    def _joins(self, filled: _Region, heads: _Region | None, block: Block) -> bool:
        """Whether a block, and the headings before it, go into the piece that is being filled."""
        is_tiny = filled.length * TINY_SHARE < self._size
        is_deeper = heads is None or heads.level > filled.level
        if block.end - filled.start <= self._size:
            return is_deeper or is_tiny
        # What has to be cut anyway is better cut together with the few words before it.
        return is_deeper and is_tiny and (block.kind == "text" or block.end - block.start > self._size)

    def _whole(self, text: str, region: _Region | None) -> Iterator[_Region]:
        """A region as it is, unless it is longer than a piece may be."""
        if region is not None:
            if region.length <= self._size:
                yield region
                return
            for start, end in spans(text, region.start, region.end, self._size, 0):
                yield region._replace(start=start, end=end)

    def _long(self, text: str, region: _Region, block: Block) -> Iterator[_Region]:
        """The parts of a region that ends with a block too long for it."""
        before = block.start - region.start
        if block.kind == "table":
            if HEADS_SHARE * before > self._size:
                yield from self._whole(text, region._replace(end=block.start))
                region, before = region._replace(start=block.start, heading=self._outline.path), 0
            yield from self._table(text, region, block, before)
            return
        is_code = block.kind == "code"
        later = self._outline.path
        if is_code and (opening := _opening(text, block)):
            later = (*later, opening)
        for start, end in spans(text, region.start, region.end, self._size, self._overlap, code=is_code):
            heading = region.heading if start == region.start else later
            yield region._replace(start=start, end=end, heading=heading)

    def _table(self, text: str, region: _Region, block: Block, before: int) -> Iterator[_Region]:
        head, places = rows(text, block.start, block.end, self._size, before)
        for start, end in places:
            if start == block.start:
                part = region._replace(end=end)
            else:
                part = region._replace(start=start, end=end, heading=self._outline.path, head=head)
            # Of a single row that is too long only words are left to be cut, and the head is of no use there.
            yield from (part,) if part.length <= self._size else self._whole(text, part._replace(head=""))


def _opening(text: str, block: Block) -> str:
    """The line that begins a long group of code, e.g. that of its class; "" for a fence or a mere bracket."""
    line = text[block.start : block.end].partition("\n")[0].strip().rstrip("{:( ")
    return line[:TITLE_CHARS] if line[:1].isalpha() else ""


def _trimmed(text: str, region: _Region, *, keep_indent: bool) -> tuple[int, int]:
    """The region's place without blanks at its ends."""
    part = text[region.start : region.end]
    end = region.start + len(part.rstrip())
    start = region.start + len(part) - len(part.lstrip())
    if keep_indent:
        start = max(region.start, text.rfind("\n", 0, start) + 1)
    return start, end


class _LineNumbers:
    """Line numbers of places that lie near each other, counted from 1."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1

    def at(self, place: int) -> int:
        if place >= self._at:
            self._line += self._text.count("\n", self._at, place)
        else:
            self._line -= self._text.count("\n", place, self._at)
        self._at = place
        return self._line
