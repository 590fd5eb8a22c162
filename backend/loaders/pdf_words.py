"""The words of a PDF page with their places, as PDFium tells them.

Places are in points, x to the right and y downwards in the direction in which the text is read, whatever the page's
rotation. Everything heavier than geometry (which character, which font) is asked once per word or once per text
object, because each question is a call into the library.
"""

from __future__ import annotations

import ctypes
import math
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Any

MAX_PAGE_CHARS = 1_000_000
"""No page of prose has as many; beyond it a page is cut."""
_BREAKS = frozenset((0, 9, 10, 11, 12, 13, 32, 0xA0, 0x2003, 0x2002, 0x2009, 0x202F, 0x3000, 0x200B))
_HYPHENS = frozenset((2, 0xFFFE, 0xAD))
"""What PDFium makes of a hyphen at the end of a line, and the soft hyphen."""
_FIXED_PITCH, _FORCE_BOLD = 1, 1 << 18
_MONO = re.compile(r"mono|courier|typewriter|consol|menlo|cmtt|fixed|code", re.IGNORECASE)
_BOLD = re.compile(r"bold|black|heavy|semibold|demi|cmbx|-bd|_bd", re.IGNORECASE)
_PRESENTATION = re.compile("[\ufb00-\ufb4f\ufb50-\ufdff\ufe70-\ufeff]")
_ODD = re.compile("[\ud800-\udfff\ufeff\ufffe\uffff\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u2060\uf000-\uf0ff]")
_SYMBOLS = {"\uf0b7": "•", "\uf0a7": "▪", "\uf0d8": "➢", "\uf0fc": "✓", "\uf02d": "–", "\uf076": "❖", "\uf06f": "o"}
_RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")


@dataclass(slots=True)
class Word:
    """Characters without a blank between them. `y` is the baseline; `order` its place in the page's own order."""

    text: str
    x0: float
    x1: float
    y: float
    size: float
    bold: bool
    mono: bool
    order: int
    turn: int = 0
    """Quarter turns, counterclockwise, at which it is written on the page; -1 for oblique."""
    hyphen: bool = False
    """Its last character is a hyphen at the end of a line, after which the word goes on."""
    link: str = ""

    @property
    def top(self) -> float:
        return self.y - 0.75 * self.size

    @property
    def bottom(self) -> float:
        return self.y + 0.22 * self.size


@dataclass(slots=True)
class PageWords:
    """The words of one page, those of the prevailing direction first. `unread` counts characters without a meaning."""

    words: list[Word]
    others: list[list[Word]] = field(default_factory=list)
    """Words written in further directions, each group on axes of its own."""
    turn: int = 0
    characters: int = 0
    unread: int = 0


@dataclass(slots=True)
class _Font:
    size: float
    bold: bool
    mono: bool
    turn: int


def is_rtl(text: str) -> bool:
    """Whether most of the letters are of a script written from right to left."""
    found = len(_RTL.findall(text))
    return found > 0 and 2 * found > sum(map(str.isalpha, text))


def clean_text(text: str) -> str:
    """Ligatures and presentation forms as plain letters, symbol bullets as such, nothing that cannot be encoded."""
    if _ODD.search(text):
        text = "".join(_SYMBOLS.get(c, c) for c in text)
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "ignore")
        text = _ODD.sub("", text)
    if _PRESENTATION.search(text):
        text = _PRESENTATION.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)
    return text


def axes(turn: int, box: tuple[float, float, float, float]) -> tuple[float, float, float, float, float, float]:
    """`(a, b, c, d, e, f)` with x' = a x + b y + c and y' = d x + e y + f for text at so many quarter turns.

    `box` is left, bottom, right, top of the page.
    """
    left, bottom, right, top = box
    return (
        (1, 0, -left, 0, -1, top),
        (0, 1, -bottom, 1, 0, -left),
        (-1, 0, right, 0, 1, -bottom),
        (0, -1, top, -1, 0, right),
    )[turn % 4]


_Fonts = dict[int, _Font]
"""By the address of the text object."""


class WordReader:
    """Reads words of the pages of one document; `raw` is pypdfium2's raw module."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self._box = raw.FS_RECTF()
        self._x, self._y = ctypes.c_double(), ctypes.c_double()
        self._matrix = raw.FS_MATRIX()
        self._name = ctypes.create_string_buffer(128)
        self._flags = ctypes.c_int()
        self._axes = [axes(turn, (0, 0, 0, 0)) for turn in range(4)]

    def read(self, text_page: Any, box: tuple[float, float, float, float], page_turn: int) -> PageWords:
        """`box` is the page's: left, bottom, right, top. `page_turn`: the direction of a page without words."""
        raw = self._raw
        self._axes = [axes(turn, box) for turn in range(4)]
        count = min(max(0, raw.FPDFText_CountChars(text_page)), MAX_PAGE_CHARS)
        unicode_of = raw.FPDFText_GetUnicode
        codes = [unicode_of(text_page, index) for index in range(count)]
        fonts: _Fonts = {}
        words: list[Word] = []
        unread = visible = start = 0
        for index in range(count + 1):
            code = codes[index] if index < count else 32
            if code not in _BREAKS and code not in _HYPHENS:
                visible += 1
                unread += code == 0xFFFD or 0xE000 <= code < 0xF000
                continue
            if code == 0 and not raw.FPDFText_IsGenerated(text_page, index):
                visible, unread = visible + 1, unread + 1
            hyphen = code in _HYPHENS and index > start
            if index > start:
                self._add(words, text_page, codes, start, index + hyphen, hyphen, fonts)
            start = index + 1
        return _by_turn(words, page_turn, visible, unread)

    def _add(
        self,
        words: list[Word],
        page: Any,
        codes: list[int],
        start: int,
        end: int,
        hyphen: bool,
        fonts: dict[int, _Font],
    ) -> None:
        """Append the characters from start to end as one word, or as several where they are on several lines."""
        text = clean_text("".join(map(chr, codes[start : end - hyphen])))
        if not text:
            return
        font = self._font(page, start, fonts)
        left, right, y = self._place(page, start, font.turn)
        if end - start > 1:
            one = self._place(page, end - 1 - (hyphen and codes[end - 1] != 0xAD), font.turn)
            if abs(one[2] - y) > 0.6 * font.size and font.turn >= 0:
                cut = self._line_end(page, start, end, y, font)
                self._add(words, page, codes, start, cut, False, fonts)
                self._add(words, page, codes, cut, end, hyphen, fonts)
                return
            left, right = min(left, one[0]), max(right, one[1])
        text += "-" * hyphen
        words.append(Word(text, left, right, y, font.size, font.bold, font.mono, len(words), font.turn, hyphen))

    def _place(self, page: Any, index: int, turn: int) -> tuple[float, float, float]:
        """Left and right of a character and its baseline, on the axes of its direction."""
        raw, box = self._raw, self._box
        a, b, c, d, e, f = self._axes[max(turn, 0)]
        raw.FPDFText_GetCharOrigin(page, index, self._x, self._y)
        y = d * self._x.value + e * self._y.value + f
        if not raw.FPDFText_GetLooseCharBox(page, index, box):
            x = a * self._x.value + b * self._y.value + c
            return x, x, y
        one = a * box.left + b * box.bottom + c
        other = a * box.right + b * box.top + c
        return (one, other, y) if one <= other else (other, one, y)

    def _line_end(self, page: Any, start: int, end: int, y: float, font: _Font) -> int:
        """The first character that is not on the line of the first one."""
        for index in range(start + 1, end):
            if abs(self._place(page, index, font.turn)[2] - y) > 0.6 * font.size:
                return index
        return end - 1

    def _font(self, page: Any, index: int, fonts: _Fonts) -> _Font:
        raw = self._raw
        handle = raw.FPDFText_GetTextObject(page, index)
        key = ctypes.addressof(handle.contents) if handle else 0
        known = fonts.get(key)
        if known is None:
            known = fonts[key] = self._read_font(page, index)
        return known

    def _read_font(self, page: Any, index: int) -> _Font:
        raw, matrix = self._raw, self._matrix
        size = raw.FPDFText_GetFontSize(page, index)
        turn = 0
        if raw.FPDFText_GetMatrix(page, index, matrix):
            size *= math.hypot(matrix.c, matrix.d) or 1.0
            quarter = math.degrees(math.atan2(matrix.b, matrix.a)) / 90
            turn = round(quarter) % 4 if abs(quarter - round(quarter)) < 0.08 else -1
        length = raw.FPDFText_GetFontInfo(page, index, self._name, len(self._name), self._flags)
        name = self._name.value.decode("latin-1") if length <= len(self._name) else ""
        flags = self._flags.value
        bold = bool(_BOLD.search(name) or flags & _FORCE_BOLD) or raw.FPDFText_GetFontWeight(page, index) >= 600
        mono = bool(flags & _FIXED_PITCH or _MONO.search(name))
        return _Font(size if math.isfinite(size) and size > 0.1 else 1.0, bold, mono, turn)


def _by_turn(words: list[Word], page_turn: int, visible: int, unread: int) -> PageWords:
    """The words by direction, those of the prevailing one first; what is written obliquely comes last."""
    groups: dict[int, list[Word]] = {}
    for word in words:
        groups.setdefault(word.turn, []).append(word)
    weight = {turn: sum(len(word.text) for word in group) for turn, group in groups.items()}
    turns = sorted(groups, key=lambda turn: (turn < 0, -weight[turn]))
    if not turns:
        return PageWords([], [], page_turn, visible, unread)
    first, *rest = turns
    return PageWords(groups[first], [groups[turn] for turn in rest], max(first, 0), visible, unread)
