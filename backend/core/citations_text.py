"""Finding quoted words in a passage, whatever was done to them on the way: case, spacing, quotes, ligatures, markup.

Pure functions. Plain text is what comparing leaves of a text: no white space, no marks, dashes alike.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

_COMBINING = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
_DROPPED = "\"'“”„‟‘’‚‛«»‹›「」『』`´*_|#~\\•\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u202a\u202b\u202c"
_DASHES = "‐‑‒–—―−"
_TABLE = str.maketrans({**dict.fromkeys(_DROPPED), **dict.fromkeys(_DASHES, "-")})
_RULES = re.compile(r"-{2,}")
"""Lines of a table, and dashes typed as two."""
_JOINTS = re.compile(r"(?<=[^\W\d_])\s*-\s*(?=[^\W\d_])")
"""A hyphen between letters comes and goes with the ends of lines."""
_SPACE = re.compile(r"\s+")
_CUTS = (_RULES, _JOINTS, _SPACE)
_ELISION = re.compile(
    r"\[\s*(?:…|\.{3,})\s*\]|\(\s*(?:…|\.{3,})\s*\)|…|\.{3,}|\[[^\[\]\n]{0,80}[^\W\d][^\[\]\n]{0,80}\]"
)
"""What is left out of a quotation, and what its writer put into it."""
_ROW = re.compile(r"^[ \t]*\|.*\|(?=[ \t]*$)", re.MULTILINE)
_HEAD = re.compile(r"[ \t]*\n[ \t]*\|[\s|:=-]+\|[ \t]*(?:\n|\Z)")
"""What follows on the head of a table: its rule."""
_EDGES = " \t\r\n.,;:!?-–—"
MIN_PART = 3
"""Characters of a part between two elisions that can be looked for."""


def plain(text: str) -> str:
    """The text as it is compared."""
    folded = _folded(text)
    for each in _CUTS:
        folded = each.sub("", folded)
    return folded


def parts_of(quotation: str) -> list[str]:
    """The pieces of a quotation between its elisions, as they are compared; empty ones left out."""
    pieces = (plain(piece.strip(_EDGES)).strip(_EDGES) for piece in _ELISION.split(quotation))
    return [piece for piece in pieces if len(piece) >= MIN_PART]


class Passage:
    """A text in which quotations are looked for; what that takes is made once."""

    __slots__ = ("_mapped", "_plain", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._plain: str | None = None
        self._mapped: tuple[str, list[int]] | None = None

    def locate(self, parts: Sequence[str]) -> tuple[int, int] | None:
        """Where the parts stand, in this order and at ends of words: start and end in the text; None if they do not."""
        if self._plain is None:
            self._plain = plain(self.text)
        at = 0
        for part in parts:
            at = self._plain.find(part, at)
            if at < 0:
                return None
            at += len(part)
        return self._at_words(parts) if parts else None

    def row(self, said: str) -> tuple[int, int] | None:
        """The row of a table of which every cell stands in what is said; None if there is none, or more than one.

        A row is told in a sentence with the names of its columns, so its own words are never found in one piece.
        """
        folded = plain(said)
        found = [
            line.span()
            for line in _ROW.finditer(self.text)
            if len(cells := [cell for cell in map(plain, line[0].strip().strip("|").split("|")) if cell]) > 1
            and not _HEAD.match(self.text, line.end())
            and all(_stands_in(cell, folded) for cell in cells)
        ]
        return found[0] if len(found) == 1 else None

    def _at_words(self, parts: Sequence[str]) -> tuple[int, int] | None:
        if self._mapped is None:
            self._mapped = _mapped(self.text)
        folded, places = self._mapped
        at, first, last = 0, 0, 0
        for number, part in enumerate(parts):
            while True:
                found = folded.find(part, at)
                if found < 0:
                    return None
                at = found + 1
                begin, end = places[found], places[found + len(part) - 1] + 1
                if self._whole(begin, end):
                    break
            at = found + len(part)
            first, last = (begin if number == 0 else first), end
        return first, last

    def _whole(self, begin: int, end: int) -> bool:
        """Whether no word and no number is cut at either end."""
        return not (_goes_on(self.text[max(0, begin - 2) : begin][::-1], self.text[begin])) and not _goes_on(
            self.text[end : end + 2], self.text[end - 1]
        )


def _stands_in(cell: str, said: str) -> bool:
    """Whether a cell is part of what is said and no part of a longer number."""
    before = r"(?<!\d)(?<!\d[.,])" if cell[0].isdigit() else ""
    after = r"(?!\d|[.,]\d)" if cell[-1].isdigit() else ""
    return re.search(before + re.escape(cell) + after, said) is not None


def _goes_on(beyond: str, edge: str) -> bool:
    if not beyond or not edge.isalnum() or _is_ideograph(edge):
        return False
    if beyond[0].isalnum():
        return True
    return edge.isdigit() and beyond[0] in ".," and beyond[1:].isdigit()


def _is_ideograph(character: str) -> bool:
    """Of writing without spaces, where any character may begin a word."""
    return "\u0e00" <= character <= "\u0eff" or "\u3040" <= character <= "\u9fff" or "\uf900" <= character <= "\ufaff"


def _folded(text: str) -> str:
    return _COMBINING.sub("", unicodedata.normalize("NFKD", text)).casefold().translate(_TABLE)


@lru_cache(maxsize=4096)
def _folded_one(character: str) -> str:
    return _folded(character)


def _mapped(text: str) -> tuple[str, list[int]]:
    """`plain(text)`, and for each of its characters the place in the text that it comes from."""
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        for each in _folded_one(character):
            characters.append(each)
            places.append(place)
    folded = "".join(characters)
    for pattern in _CUTS:
        kept: list[str] = []
        where: list[int] = []
        at = 0
        for found in pattern.finditer(folded):
            kept.append(folded[at : found.start()])
            where += places[at : found.start()]
            at = found.end()
        kept.append(folded[at:])
        folded, places = "".join(kept), where + places[at:]
    return folded, places
