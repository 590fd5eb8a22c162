"""Cutting text into pieces where it may be cut best."""

from __future__ import annotations

CHARS_PER_TOKEN = 4
"""How tokens are counted where a size in tokens is asked for and any embedder may be behind."""
EARLIEST = 0.6
"""A piece is cut no sooner than after this share of its size."""
SEPARATORS = ("\n\n", "\n", ". ", "! ", "? ", "。", "; ", ", ", " ")
"""From the best place to cut to the worst; without any of them words are cut."""
WORD_CHARS = 40
"""How far is looked for the beginning of a word."""


def windows(text: str, size: int, overlap: int) -> list[str]:
    """Pieces of at most `size` characters, each beginning about `overlap` characters before the end of the last.

    `overlap` is at most half of `size`. Together the pieces hold the whole text.
    """
    found: list[str] = []
    start = 0
    while True:
        end = _end(text, start, size)
        found.append(text[start:end])
        if end >= len(text):
            return found
        start = _word_start(text, end - overlap, end) if overlap else end


def pieces(text: str, size: int) -> list[str]:
    """Pieces of at most `size` characters that put together give the text again."""
    return windows(text, size, 0)


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
