"""What is ordinary text in a document and what is a heading, learnt from some of its pages and its outline."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from backend.loaders.pdf_lines import Fragment
from backend.loaders.pdf_words import Word

LARGER = 1.12
"""Text this many times the size of the body is a heading."""
MAX_HEADING = 200
_NUMBERING = re.compile(
    r"^(?:(?i:chapter|kapitel|appendix|anhang|section|part|teil)\s+)?(?:\d+(?:\.\d+)*|[A-Z]|[IVXLC]+)[.:)]?\s+"
)


@dataclass(frozen=True, slots=True)
class Style:
    """`body` is the size of ordinary text in points, `larger` the sizes above it, largest first."""

    body: float = 10.0
    larger: tuple[float, ...] = ()
    mono_body: bool = False
    """The whole document is in a typewriter face, which then says nothing about code."""
    titles: Mapping[str, int] = field(default_factory=dict)
    """The document's outline: normalised title -> level from 1."""

    def is_larger(self, line: Fragment) -> bool:
        return line.size >= LARGER * self.body

    def is_code(self, line: Fragment) -> bool:
        return line.mono and not self.mono_body and not self.is_larger(line)

    def level(self, line: Fragment, text: str) -> int:
        """1 to 6: by the outline, else by how many larger sizes the document has."""
        titled = self.title_level(text)
        if titled:
            return min(6, titled)
        above = sum(size > line.size + 0.3 for size in self.larger)
        if not self.is_larger(line):
            above = len(self.larger)
        return min(6, 1 + above)

    def title_level(self, text: str) -> int:
        return self.titles.get(normalised(text), 0) or self.titles.get(normalised(_NUMBERING.sub("", text)), 0)


def normalised(title: str) -> str:
    """A title without blanks, case and signs, for comparison."""
    return re.sub(r"[\W_]+", "", title).lower()


def learn_style(pages: Iterable[list[Word]], outline: Iterable[tuple[str, int]]) -> Style:
    """From the words of some pages; `outline` holds titles with their depth from 0."""
    sizes: Counter[float] = Counter()
    mono: Counter[bool] = Counter()
    for words in pages:
        for word in words:
            sizes[round(2 * word.size) / 2] += len(word.text)
            mono[word.mono] += len(word.text)
    titles: dict[str, int] = {}
    for title, depth in outline:
        for form in (title, _NUMBERING.sub("", title)):
            key = normalised(form)
            if len(key) >= 3:
                titles.setdefault(key, depth + 1)
    if not sizes:
        return Style(titles=titles)
    body = _body(sizes)
    larger = sorted((size for size in sizes if size >= LARGER * body), reverse=True)
    distinct: list[float] = []
    for size in larger:
        if not distinct or distinct[-1] - size > 0.6:
            distinct.append(size)
    return Style(body, tuple(distinct[:6]), mono[True] > mono[False], titles)


def _body(sizes: Counter[float]) -> float:
    """The size of most characters, neighbours counted with it: some programs scale each line a little."""
    return max(sizes, key=lambda size: sizes[size] + sizes[size - 0.5] + sizes[size + 0.5] + sizes[size] / 1e6)
