"""From words to pieces of lines: what stands on one baseline without a wide gap."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from backend.loaders.pdf_words import Word, is_rtl

GAP = 1.0
"""Wider than this, in ems, two words may stand in different columns."""
_CJK = re.compile("[\u1100-\u11ff\u2e80-\u312f\u3131-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef]")
LEADER = "…"
"""Stands for the dots between a title and its page number."""
_LEADER = re.compile(r"[.·…_]+")


@dataclass(slots=True)
class Fragment:
    """Words of one line that follow each other closely, in reading order. `order` is that of its first word."""

    words: list[Word]
    x0: float
    x1: float
    y: float
    size: float
    bold: bool
    mono: bool
    order: int

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def top(self) -> float:
        return self.y - 0.75 * self.size

    @property
    def bottom(self) -> float:
        return self.y + 0.22 * self.size

    @property
    def last(self) -> int:
        return max(word.order for word in self.words)


def fragment_of(words: Sequence[Word]) -> Fragment:
    """Words in reading order as one; its baseline, size and weight are those of most characters."""
    main = max(words, key=lambda word: len(word.text))
    bold = sum(len(word.text) for word in words if word.bold)
    mono = sum(len(word.text) for word in words if word.mono)
    total = sum(len(word.text) for word in words)
    return Fragment(
        list(words),
        min(word.x0 for word in words),
        max(word.x1 for word in words),
        main.y,
        main.size,
        2 * bold > total and all(word.bold or not any(map(str.isalpha, word.text)) for word in words),
        10 * mono >= 9 * total,
        min(word.order for word in words),
    )


def fragments_of(words: Iterable[Word]) -> list[Fragment]:
    """The words in the order in which the page draws them, cut where a line ends or a wide gap is.

    That order is kept within a fragment: PDFium has put right-to-left lines in reading order already.
    """
    out: list[Fragment] = []
    run: list[Word] = []
    for word in words:
        if run and not _follows(run[-1], word):
            out.append(fragment_of(run))
            run = []
        run.append(word)
    if run:
        out.append(fragment_of(run))
    return _without_leaders(_joined(out))


def _follows(one: Word, other: Word) -> bool:
    size = max(one.size, other.size)
    if one.hyphen or abs(one.y - other.y) > 0.45 * size or other.order != one.order + 1:
        return False
    gap = max(other.x0 - one.x1, one.x0 - other.x1)
    return gap <= GAP * size and _overlaps(one, other, size)


def _overlaps(one: Word, other: Word, size: float) -> bool:
    """Not one above the other: the same place is written to twice only by what begins a new line."""
    return min(one.x1, other.x1) - max(one.x0, other.x0) <= 0.6 * size


def _joined(fragments: list[Fragment]) -> list[Fragment]:
    """Small marks (footnote signs, exponents) put back to the line that they touch."""
    out: list[Fragment] = []
    for each in fragments:
        last = out[-1] if out else None
        if (last is not None and _is_mark_of(each, last)) or (last is not None and _is_mark_of(last, each)):
            out[-1] = fragment_of(last.words + each.words)
        else:
            out.append(each)
    return out


def _is_mark_of(mark: Fragment, line: Fragment) -> bool:
    if mark.size > 0.85 * line.size or mark.x1 - mark.x0 > 3 * line.size:
        return False
    near = -0.3 * line.size <= max(mark.x0 - line.x1, line.x0 - mark.x1) <= 0.5 * line.size
    return near and abs(mark.y - line.y) < 0.7 * line.size


def _without_leaders(fragments: list[Fragment]) -> list[Fragment]:
    """The dots between a title and its page number as one sign."""
    out: list[Fragment] = []
    for each in fragments:
        dots = {id(word) for word in each.words if len(word.text) > 3 and _LEADER.fullmatch(word.text)}
        single = [word for word in each.words if word.text == "."]
        if len(single) > 3:
            dots |= set(map(id, single))
        if not dots:
            out.append(each)
            continue
        words: list[Word] = []
        for word in each.words:
            if id(word) not in dots:
                words.append(word)
            elif not words or words[-1].text != LEADER:
                words.append(replace(word, text=LEADER))
        out.append(fragment_of(words))
    return out


def rows_of(fragments: Iterable[Fragment]) -> list[list[Fragment]]:
    """Fragments on the same baseline, from the top downwards, each row from left to right."""
    rows: list[list[Fragment]] = []
    for each in sorted(fragments, key=lambda fragment: (fragment.y, fragment.x0)):
        row = rows[-1] if rows else None
        if row is not None and abs(each.y - row[0].y) <= 0.3 * min(each.size, row[0].size):
            row.append(each)
        else:
            rows.append([each])
    for row in rows:
        row.sort(key=lambda fragment: fragment.x0)
    return rows


def line_of(row: Sequence[Fragment]) -> Fragment:
    """The fragments of a row as one line, from the right where it is written so."""
    if len(row) == 1:
        return row[0]
    ordered = sorted(row, key=lambda fragment: fragment.x0, reverse=is_rtl(" ".join(each.text for each in row)))
    return fragment_of([word for each in ordered for word in each.words])


def needs_blank(left: str, right: str) -> bool:
    """Whether a blank belongs between two texts that follow each other: none between Chinese or Japanese signs."""
    if not left or not right:
        return False
    return not (_CJK.match(left[-1]) and _CJK.match(right[0])) or _is_hangul(left[-1]) or _is_hangul(right[0])


def _is_hangul(char: str) -> bool:
    return "\uac00" <= char <= "\ud7a3"


def join_words(words: Sequence[Word], known: frozenset[str] | set[str] = frozenset()) -> str:
    """Words as running text: links as Markdown, words cut at the end of a line put together again.

    `known` holds words of the document, by which a real hyphen is told from one that only ended a line.
    """
    out = ""
    index = 0
    cut = False
    while index < len(words):
        stop = index + 1
        while words[index].link and stop < len(words) and words[stop].link == words[index].link:
            stop += 1
        text = _linked(words[index:stop], known) if words[index].link else words[index].text
        if cut:
            out = _rejoined(out, text, known)
        else:
            glued = index > 0 and _touch(words[index - 1], words[index])
            out += (" " if needs_blank(out, text) and not glued else "") + text
        cut = _ends_cut(words, stop - 1)
        index = stop
    return out


def _touch(one: Word, other: Word) -> bool:
    """Whether there is no gap: PDFium puts a blank where a raised or lowered sign ends, as in H2O."""
    return abs(other.y - one.y) < 0.7 * one.size and abs(other.x0 - one.x1) < 0.04 * one.size


def _ends_cut(words: Sequence[Word], index: int) -> bool:
    """Whether the word there ends with a hyphen because its line does."""
    if index + 1 >= len(words) or not words[index].text.endswith(("-", "\u2010")) or len(words[index].text) < 2:
        return False
    return words[index].hyphen or words[index + 1].y - words[index].y > 0.6 * words[index].size


def _rejoined(out: str, text: str, known: frozenset[str] | set[str]) -> str:
    head = out[:-1].rsplit(" ", 1)[-1].lstrip("([\"'“„«")
    tail = re.match(r"[^\W\d_]*", text)
    rest = tail[0] if tail else ""
    if not rest or not rest[0].islower() or not head or not head[-1].isalpha():
        return out + text
    if f"{head}-{rest}".lower() in known and f"{head}{rest}".lower() not in known:
        return out + text
    return out[:-1] + text


def _linked(words: Sequence[Word], known: frozenset[str] | set[str]) -> str:
    text = join_words([replace(word, link="") for word in words], known)
    link = words[0].link
    bare = re.sub(r"[\s<>()\[\],;]", "", text).strip(".").removeprefix("mailto:")
    if not bare or bare.rstrip("/") in link or re.sub(r"^(https?://|mailto:)", "", link).rstrip("/") in bare:
        return text
    inner = text.rstrip(".,;:!?")
    return f"[{inner.replace('[', '(').replace(']', ')')}]({link}){text[len(inner) :]}"
