"""Cutting text into pieces where it may be cut best."""

from __future__ import annotations

import unicodedata

CHARS_PER_TOKEN = 4
"""How tokens are counted where a size in tokens is asked for and any embedder may be behind."""
EARLIEST = 0.6
"""A piece is cut no sooner than after this share of its size."""
SEPARATORS = ("\n\n", "\n", ". ", "! ", "? ", "。", "; ", ", ", " ")
"""From the best place to cut to the worst; without any of them words are cut."""
WORD_CHARS = 40
"""How far is looked for the beginning of a word."""
SWAY = 0.25
"""A part is at most so much of the even share longer or shorter than that."""
JOINERS = frozenset("\u200d\ufe0e\ufe0f\u20e3")
"""What belongs to the character before it; the first of them ties it to the next one too."""
CLUSTER_CHARS = 16


def windows(text: str, size: int, overlap: int) -> list[str]:
    """Pieces of at most `size` characters, each beginning about `overlap` characters before the end of the last.

    `overlap` is at most half of `size`. Together the pieces hold the whole text.
    """
    return [text[start:end] for start, end in window_places(text, size, overlap)]


def window_places(text: str, size: int, overlap: int) -> list[tuple[int, int]]:
    """Where these pieces begin and end."""
    found: list[tuple[int, int]] = []
    start = 0
    while True:
        end = _end(text, start, size)
        found.append((start, end))
        if end >= len(text):
            return found
        start = _word_start(text, end - overlap, end) if overlap else end


def pieces(text: str, size: int) -> list[str]:
    """Pieces of at most `size` characters that put together give the text again."""
    return windows(text, size, 0)


def even_parts(text: str, count: int) -> list[str]:
    """`count` parts of about equal length, fewer of a very short text, that put together give the text again.

    Each cut is the best one near its even place.
    """
    found: list[str] = []
    start = 0
    for left in range(count, 1, -1):
        share = (len(text) - start) / left
        if share < 1:
            break
        end = _near(text, start + round(share), max(1, int(share * SWAY)))
        if start < end < len(text):
            found.append(text[start:end])
            start = end
    return [*found, text[start:]]


def _near(text: str, ideal: int, sway: int) -> int:
    """The best place to cut that is at most `sway` from the ideal one; the nearest of equally good ones."""
    for separator in SEPARATORS:
        before = text.rfind(separator, max(0, ideal - sway), ideal) + len(separator)
        after = text.find(separator, ideal, ideal + sway) + len(separator)
        places = [place for place in (before, after) if place >= len(separator)]
        if places:
            return min(places, key=lambda place: abs(place - ideal))
    return between_characters(text, ideal)


def between_characters(text: str, at: int) -> int:
    """This place, or one a little before it that divides no character from its accents, no emoji from its parts."""
    for place in range(at, max(0, at - CLUSTER_CHARS), -1):
        if not (0 < place < len(text)) or not (
            unicodedata.combining(text[place]) or text[place] in JOINERS or text[place - 1] == "\u200d"
        ):
            return place
    return at


def _end(text: str, start: int, size: int) -> int:
    """Where the piece that begins at `start` is cut best."""
    last = start + size
    if last >= len(text):
        return len(text)
    first = start + max(1, int(size * EARLIEST))
    for separator in SEPARATORS:
        at = text.rfind(separator, first, last)
        if at >= 0:
            return at + len(separator)
    return last


def _word_start(text: str, at: int, end: int) -> int:
    """The next beginning of a word, if one is near."""
    if text[at - 1].isspace():
        return at
    for place in range(at, min(at + WORD_CHARS, end)):
        if text[place].isspace():
            return place + 1
    return at
