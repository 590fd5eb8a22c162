"""Where a passage of extracted text stands among the characters of a rendered page.

The passage was taken from the page by other means: its lines are joined, hyphens undone, headings and tables written as
Markdown, columns read in order. So letters and digits alone are compared, and the passage may be found in several
stretches.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SEED = 7
"""Letters at the beginning of a word by which a stretch is looked for."""
SURE = 18
"""Letters of a stretch that is no chance likeness."""
NEAR = 60
"""Letters on the page between a sure stretch and a shorter one that belongs to it."""
GAP = 14
"""Letters between two stretches that are marked as well: a word that was read differently."""
FOUND_SHARE = 0.4
"""Of the passage's letters that must stand on the page for it to be found there."""
FOUND_LETTERS = 60
"""Enough letters of a long passage, which may go on on the next page."""
MAX_CANDIDATES = 200


@dataclass(frozen=True, slots=True)
class Folded:
    """Letters and digits only, in lower case; `places[i]` is the index in the text that letter `i` came from.

    `words` are the positions in `letters` at which words begin.
    """

    letters: str
    places: tuple[int, ...]
    words: tuple[int, ...]


def fold(characters: Sequence[str]) -> Folded:
    """`characters`: one of the text's characters each."""
    letters: list[str] = []
    places: list[int] = []
    words: list[int] = []
    inside = False
    for place, character in enumerate(characters):
        if character.isascii():
            plain = character.lower() if character.isalnum() else ""
        else:
            plain = "".join(c for c in unicodedata.normalize("NFKD", character).casefold() if c.isalnum())
        if not plain:
            # A hyphen, soft or at the end of a line, does not end a word.
            inside = (
                inside and unicodedata.category(character) in ("Cf", "Mn", "Cc", "Cn") and character not in "\r\n\t"
            )
            continue
        if not inside or _stands_alone(plain):
            words.append(len(letters))
        inside = True
        letters.append(plain)
        places.extend([place] * len(plain))
        if len(plain) > 1:
            letters[-1:] = plain
    return Folded("".join(letters), tuple(places), tuple(words))


def _is_unseen(character: str) -> bool:
    """A soft hyphen, an accent of its own, or what stands for a hyphen at a line's end: none of them ends a word."""
    return unicodedata.category(character) in ("Cf", "Mn", "Cc", "Cn") and character not in "\r\n\t"


def _stands_alone(letter: str) -> bool:
    """Chinese, Japanese and Korean are written without spaces: every character may begin a word."""
    return letter[0] >= "\u2e80"


def stretches(page: Folded, passage: Folded) -> list[tuple[int, int]]:
    """The passage's stretches on the page as (begin, end) in the page's letters, end exclusive, in page order.

    Empty when too little of the passage stands there.
    """
    wanted = passage.letters
    if not wanted or not page.letters:
        return []
    whole = _whole(page, wanted)
    if whole >= 0:
        return [(whole, whole + len(wanted))]
    if len(wanted) < SEED:
        return []
    matched = _trusted(list(_matches(page, passage)))
    covered = sum(end - begin for begin, end in matched)
    if covered < min(FOUND_SHARE * len(wanted), FOUND_LETTERS):
        return []
    return _joined(matched)


def _whole(page: Folded, wanted: str) -> int:
    """Where all of it stands; a place at which a word begins comes before others."""
    starts = set(page.words)
    at = first = page.letters.find(wanted)
    while at >= 0:
        if at in starts:
            return at
        at = page.letters.find(wanted, at + 1)
    return first


def _matches(page: Folded, passage: Folded) -> Iterator[tuple[int, int]]:
    """Stretches of the page that are the passage's words in order, each of the longest kind."""
    text, wanted = page.letters, passage.letters
    ends = {*passage.words[1:], len(wanted)}
    done = 0
    expected = 0
    for begin in passage.words:
        if begin < done or len(wanted) - begin < SEED:
            continue
        best, length = -1, 0
        at = text.find(wanted[begin : begin + SEED])
        for _ in range(MAX_CANDIDATES):
            if at < 0:
                break
            reach = _common(text, at, wanted, begin)
            if reach > length or (reach == length and abs(at - expected) < abs(best - expected)):
                best, length = at, reach
            at = text.find(wanted[begin : begin + SEED], at + 1)
        while length and begin + length not in ends and at + length < len(text):
            length -= 1
        if length >= SEED:
            yield best, best + length
            done = begin + length
            expected = best + length


def _common(text: str, at: int, wanted: str, begin: int) -> int:
    """How many letters agree from there on. Halving steps: comparing slices is far quicker than letter by letter."""
    limit = min(len(text) - at, len(wanted) - begin)
    agreed, step = 0, limit
    while step:
        if agreed + step <= limit and text.startswith(wanted[begin + agreed : begin + agreed + step], at + agreed):
            agreed += step
        else:
            step //= 2
    return agreed


def _trusted(found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Without the short stretches that lie far from any long one: likenesses by chance."""
    found = sorted(set(found))
    sure = [each for each in found if each[1] - each[0] >= SURE]
    return [
        (begin, end)
        for begin, end in found
        if end - begin >= SURE or any(begin <= stop + NEAR and end >= start - NEAR for start, stop in sure)
    ]


def _joined(found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for begin, end in found:
        if joined and begin - joined[-1][1] <= GAP:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((begin, end))
    return joined
