"""The quotations of an answer, and the markers that each is attributed to. Pure functions over the answer alone."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

MIN_WORDS = 4
MIN_CHARS = 20
"""Shorter words between quotation marks are terms and titles."""
MIN_IDEOGRAPHS = 10
MAX_CHARS = 2_000
MAX_QUOTATIONS = 200
"""Of one answer that are looked at."""
MAX_CREDIT = 160
"""Characters of a line below a block quote that says where it is from."""

Span = tuple[int, int]

_LINE = r"(?:[^{inner}\n]|\n(?!\s*\n)){{1,2000}}"


def _between(opening: str, closing: str) -> str:
    inner = re.escape(opening + closing)
    return f"[{re.escape(opening)}]({_LINE.format(inner=inner)})[{re.escape(closing)}]"


_MARKS = re.compile(
    "|".join(
        (
            _between("„", '“”"'),
            _between("“", "”"),
            _between("«", "»"),
            _between("»", "«"),
            _between("「", "」"),
            _between("『", "』"),
            r"‘((?:[^‘\n]|\n(?!\s*\n)){1,2000}?)’(?!\w)",
            r"‚((?:[^‚\n]|\n(?!\s*\n)){1,2000}?)‘",
            r"(?<![\w\"])\"(?=\S)((?:[^\"\n]|\n(?!\s*\n)){1,2000})(?<=\S)\"(?!\w)",
        )
    )
)
_BLOCK = re.compile(r"^[ ]{0,3}>[^\n]*(?:\n[ ]{0,3}>[^\n]*)*", re.MULTILINE)
_BLOCK_MARK = re.compile(r"^[ ]{0,3}(?:>[ ]?)+", re.MULTILINE)
_CREDIT = re.compile(
    r"^[ ]{0,3}(?:>[ ]?)+\s*(?:[-–—]{1,2}\s|\(|[*_]{0,2}(?:source|quelle|fuente|fonte)\b)[^\n]*\Z", re.M | re.I
)
_ASIDE = re.compile(
    r"^[>\s*_]*(?:\[!\w+\]|(?:note|notes|tip|warning|important|caution|hinweis|achtung|wichtig|remarque|nota|"
    r"importante|opmerking)\b)",
    re.IGNORECASE,
)
_MARKER_TEXT = re.compile(r"\[\s*[0-9][0-9\s,;–-]*\]|【[^】]{0,200}】")
_END = re.compile(r"[.!?…]+[\"')\]»”“*_]*(?=\s|\Z)|[。！？]+|\n\s*\n|\n(?=\s*(?:[-*+•|#>]|\d{1,3}[.)]\s))")
_REMARK = re.compile(r"[\s.,;:!?*_)]{0,4}(?:\([^()\n]{1,100}\)[\s.,;:]{0,4})?")
"""What may stand between a quotation and the marker right after it: a full stop, a bracket, its page."""
_IDEOGRAPH = re.compile("[\u0e00-\u0eff\u3040-\u9fff\uf900-\ufaff]")


@dataclass(frozen=True, slots=True)
class Quotation:
    """`text` without its marks and markers; `markers` are places of markers, the likeliest first."""

    text: str
    span: Span
    markers: tuple[Span, ...]


def quotations(answer: str, markers: Sequence[Span], code: Sequence[Span] = ()) -> list[Quotation]:
    """The quotations that are attributed to a marker: one in the same sentence, before it or right after."""
    found = _spans(answer, code)
    groups = _groups(answer, markers)
    parts = segments(answer, [span for span, _, _ in found], markers)
    starts = [start for start, _ in parts]
    out: list[Quotation] = []
    for number, (span, text, is_block) in enumerate(found):
        if is_block:
            near = _of_block(answer, span, groups, parts, starts)
        else:
            after = found[number + 1][0][0] if number + 1 < len(found) else len(answer)
            before = found[number - 1][0][1] if number else 0
            near = _of_sentence(answer, span, groups, _part_at(span[0], parts, starts), before, after)
        if near:
            out.append(Quotation(text, span, tuple(place for group in near for place in group)))
    return out


def segments(answer: str, quoted: Sequence[Span], markers: Sequence[Span]) -> list[Span]:
    """The sentences of an answer, without a gap; a marker right after a sentence belongs to it, and so do list items
    and paragraphs to themselves. Full stops within quotations end nothing."""
    masked = list(answer)
    for start, end in markers:
        masked[start:end] = "x" * (end - start)
    for start, end in quoted:
        # A full stop at the very end of a quotation may end the sentence that holds it.
        keep = end - 2 if answer[end - 2 : end - 1] in (".", "!", "?") else end
        masked[start:keep] = "x" * (keep - start)
    text = "".join(masked)
    by_start = dict(markers)
    ends: list[int] = []
    for found in _END.finditer(text):
        end = found.end()
        if text[found.start()] != "\n":
            following = text[end : end + 20].lstrip()
            at = _after_markers(answer, end, by_start)
            if at == end and following[:1].islower() and following[:1] != "x":
                continue
            end = at
        ends.append(end)
    out: list[Span] = []
    at = 0
    for end in [*ends, len(answer)]:
        if end > at:
            out.append((at, end))
            at = end
    return out


def without_markers(text: str) -> str:
    return _MARKER_TEXT.sub("", text)


def _spans(answer: str, code: Sequence[Span]) -> list[tuple[Span, str, bool]]:
    """Place, text and kind (block or not) of what is quoted at some length, in order."""
    blocks: list[tuple[Span, str, bool]] = []
    covered: list[Span] = []
    for found in _BLOCK.finditer(answer):
        covered.append(found.span())
        if _ASIDE.match(found[0]) or _inside(found.start(), code):
            continue
        text = _BLOCK_MARK.sub("", _CREDIT.sub("", found[0]))
        if _is_long(text):
            blocks.append((found.span(), without_markers(text), True))
    inline = [
        (found.span(), without_markers(next(filter(None, found.groups()))), False)
        for found in _MARKS.finditer(answer)
        if _is_long(found[0]) and not _inside(found.start(), code) and not _inside(found.start(), covered)
    ]
    return sorted([*blocks, *inline])[:MAX_QUOTATIONS]


def _is_long(text: str) -> bool:
    said = without_markers(text).strip()
    if len(_IDEOGRAPH.findall(said)) >= MIN_IDEOGRAPHS:
        return True
    return len(said) >= MIN_CHARS and len(said.split()) >= MIN_WORDS


def _inside(place: int, spans: Sequence[Span]) -> bool:
    return any(start <= place < end for start, end in spans)


def _groups(answer: str, markers: Sequence[Span]) -> list[list[Span]]:
    """Markers that stand side by side, `[1][2]` or `[1], [2]`."""
    groups: list[list[Span]] = []
    for span in sorted(set(markers)):
        if groups and not answer[groups[-1][-1][1] : span[0]].strip(" ,"):
            groups[-1].append(span)
        else:
            groups.append([span])
    return groups


def _part_at(place: int, parts: Sequence[Span], starts: Sequence[int]) -> Span:
    return parts[max(0, bisect_right(starts, place) - 1)] if parts else (0, 0)


def _of_sentence(
    answer: str, span: Span, groups: Sequence[list[Span]], part: Span, before: int, after: int
) -> list[list[Span]]:
    """The markers in the sentence of a quotation: inside it, right after it, then those nearest before and after."""
    inside = [group for group in groups if span[0] < group[0][0] < span[1]]
    following = [group for group in groups if group[0][0] >= span[1]]
    if following and _REMARK.fullmatch(answer[span[1] : min(following[0][0][0], span[1] + MAX_CREDIT)]):
        return [*inside, following[0]]
    there = [group for group in groups if part[0] <= group[0][0] < part[1]]
    ahead = [group for group in there if group[-1][1] <= span[0]]
    behind = [group for group in there if group[0][0] >= span[1]]
    near_ahead = [group for group in ahead[-1:] if group[0][0] >= before]
    near_behind = [group for group in behind[:1] if group[0][0] < after]
    far = [*ahead[-1:], *behind[:1]]
    return [*inside, *near_ahead, *near_behind, *(group for group in far if group not in near_ahead + near_behind)]


def _of_block(
    answer: str, span: Span, groups: Sequence[list[Span]], parts: Sequence[Span], starts: Sequence[int]
) -> list[list[Span]]:
    """The markers of a block quote: inside it, in a credit right below it, or in the words that lead up to it."""
    inside = [group for group in groups if span[0] <= group[0][0] < span[1]]
    if inside:
        return inside
    below = answer[span[1] :].lstrip()
    start = len(answer) - len(below)
    credit = below.split("\n", 1)[0]
    if len(credit) <= MAX_CREDIT and re.match(r"[\[【(–—*_-]|source|quelle|fuente|fonte", credit, re.IGNORECASE):
        after = [group for group in groups if start <= group[0][0] < start + len(credit)]
        if after:
            return after[:1]
    lead = answer[: span[0]].rstrip()
    if not lead:
        return []
    begin, end = _part_at(len(lead) - 1, parts, starts)
    return [group for group in groups if begin <= group[0][0] < end and group[-1][1] <= span[0]][-1:]


def _after_markers(answer: str, end: int, by_start: dict[int, int]) -> int:
    """The place behind the markers that follow on a sentence's end."""
    while True:
        at = end
        while at < len(answer) and answer[at] in " \t":
            at += 1
        if at not in by_start:
            return end
        end = by_start[at]
