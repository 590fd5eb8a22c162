"""Cutting what is too long for one chunk: texts by their sentences, tables by their rows, code by its lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backend.utils.split_text import between_characters

Span = tuple[int, int]

PROSE = (
    r"\n[ \t]*\n",
    r"\n(?=[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t])",
    r"(?<=[.!?:;؟۔।])\n",
    r"(?<=[.!?؟۔।])[ \t]+|(?<=[.!?][\"'”’)\]])\s+|(?<=[。！？｡])",
    r"\n",
    r"(?<=[,;:،])[ \t]+|(?<=[，；：、])",
    r"[ \t\u3000]+",
)
"""Where a text is cut, from the best place to the worst; without any of them words are cut."""
CODE = (r"\n[ \t]*\n(?=\S)", r"\n[ \t]*\n", r"\n(?=\S)", r"\n(?= {1,4}\S|\t\S)", r"\n", r"[ \t]+")
MANY = 6
"""Parts of a text; of so many the last one matters little, and they are not made even."""
RAGGED = 3
"""A last part shorter than this share of the longest is no good."""
BEGINNINGS = ((". ", "! ", "? ", ".\n", "!\n", "?\n", "。", "！", "？"), ("\n",), (" ", "\u3000"))
"""After what an overlap may begin: sentences, else lines, else words."""


def spans(text: str, start: int, end: int, size: int, overlap: int, *, code: bool = False) -> Iterator[Span]:
    """Places of at most `size` characters that together hold the text from `start` to `end`, of about equal length.

    Each but the first begins at most `overlap` characters before the end of the one before it, with a sentence, a
    line or a word. Code does not overlap: its parts begin where something begins.
    """
    if end - start <= size:
        yield start, end
        return
    separators, overlap = (CODE, 0) if code else (PROSE, overlap)
    last = at = start
    for part in _even(text[start:end], size - overlap, separators):
        yield at if at == start else _earlier(text, max(last, at - overlap), at), at + len(part)
        last, at = at, at + len(part)


def _even(text: str, room: int, separators: tuple[str, ...]) -> list[str]:
    """Parts of at most `room` characters that put together are the text: few of them, and none very short."""
    count = -(-len(text) // room)
    if count == 1:
        return [text]
    if count > MANY:
        return _mended(_split(text, room, separators), room, separators)
    share = -(-len(text) // count)
    tries = [_split(text, each, separators) for each in sorted({share, share + (room - share) // 2, room})]
    return min(tries, key=lambda parts: (len(parts), -min(map(len, parts))))


def _mended(parts: list[str], room: int, separators: tuple[str, ...]) -> list[str]:
    """The same with the last two made even if the last one is short."""
    if len(parts) < 2 or len(parts[-1]) * RAGGED > len(parts[-2]):
        return parts
    return [*parts[:-2], *_even(parts[-2] + parts[-1], room, separators)]


def _split(text: str, size: int, separators: tuple[str, ...]) -> list[str]:
    """Parts of at most `size` characters; neighbours that have room in one are joined."""
    parts: list[str] = []
    for document in _splitter(size, separators).create_documents([text]):
        for part in _short(document.page_content, size):
            if parts and len(parts[-1]) + len(part) <= size:
                parts[-1] += part
            else:
                parts.append(part)
    return parts


def _short(part: str, size: int) -> Iterator[str]:
    """The part as it is, or what is left of it when words are cut."""
    at = 0
    while len(part) - at > size:
        cut = between_characters(part, at + size)
        cut = cut if cut > at else at + size
        yield part[at:cut]
        at = cut
    yield part[at:]


def _splitter(size: int, separators: tuple[str, ...]) -> Any:
    """Nothing is stripped and nothing overlaps here, so that the parts put together are the text and their places are
    certain: looked for by their words, parts of a text that repeats itself would be found too early."""
    from langchain_text_splitters import RecursiveCharacterTextSplitter

    return RecursiveCharacterTextSplitter(
        list(separators),
        keep_separator="end",
        is_separator_regex=True,
        chunk_size=size,
        chunk_overlap=0,
        strip_whitespace=False,
    )


def _earlier(text: str, first: int, at: int) -> int:
    """Where a part that would begin at `at` begins with its overlap, which begins no sooner than `first`."""
    if first >= at:
        return at
    for marks in BEGINNINGS:
        found = [place + len(mark) for mark in marks if (place := text.find(mark, first, at)) >= 0]
        # The text just before `at` ends with such a mark too, of which nothing would come.
        if found and min(found) < at:
            return min(found)
    return max(first, between_characters(text, first))


def rows(text: str, start: int, end: int, size: int, used: int) -> tuple[str, list[Span]]:
    """The head of the pipe table that stands from `start` to `end`, newline included, and the places of its parts.

    The first place begins with the head itself and has room for `used` characters less; each of the others is to have
    the head in front and is then at most `size` long, unless a single row is longer. A head of more than half of
    `size` is not repeated: it is "" then.
    """
    body = text.index("\n", start) + 1
    body = text.find("\n", body, end) + 1 or end
    head = text[start:body]
    limit = size - used - len(head)
    if 2 * len(head) > size:
        head = ""
    room = size - len(head)
    share = (end - body) / max(1, -(-(end - body) // room))
    found: list[Span] = []
    first, at, taken = start, body, 0
    while at < end:
        after = text.find("\n", at, end) + 1 or end
        if taken and (taken + after - at > limit or taken >= share):
            found.append((first, at))
            first, taken, limit = at, 0, room
        taken += after - at
        at = after
    found.append((first, end))
    return head, found
