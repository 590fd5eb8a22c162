"""From lines in reading order to Markdown: paragraphs, headings, lists, code and tables."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from backend.loaders.pdf_lines import LEADER, Fragment, join_words, line_of, needs_blank, rows_of
from backend.loaders.pdf_style import MAX_HEADING, Style
from backend.loaders.pdf_tables import Table, aligned_tables
from backend.loaders.pdf_words import Word, is_rtl

Kind = Literal["text", "item", "heading", "code", "table"]
_BULLET = re.compile(r"[•◦▪●■‣⁃➢✓❖·○□–—*-]|o")
_STRONG = frozenset("•◦▪●■‣⁃➢✓❖○□")
_NUMBER = re.compile(r"\(?(?:[0-9]{1,3}|[A-Za-z]|[ivxl]{2,5})[.)]|\[[0-9]{1,3}\]")
_ENDS = (".", "!", "?", ":", ";", "。", "！", "？", "؟", "।")
_CLOSING = "\"'”’»)]"


@dataclass(slots=True)
class Block:
    kind: Kind
    lines: list[Fragment] = field(default_factory=list)
    breaks: set[int] = field(default_factory=set)
    """Lines, by index, before which the break is meant."""
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class _Frame:
    """The edges between which the lines of a group stand, in their reading direction, and their usual distance."""

    start: float
    end: float
    leading: float
    rtl: bool

    def start_of(self, line: Fragment) -> float:
        return -line.x1 if self.rtl else line.x0

    def end_of(self, line: Fragment) -> float:
        return -line.x0 if self.rtl else line.x1


def markdown(groups: Sequence[Sequence[Fragment | Table]], style: Style, known: set[str]) -> str:
    """The groups, in reading order, as one Markdown text. `known`: words of the document, lower case."""
    blocks: list[Block] = []
    for group in groups:
        new = _blocks(group, style)
        if blocks and new and _goes_on(blocks[-1], new[0]):
            shift = len(blocks[-1].lines)
            blocks[-1].lines += new[0].lines
            blocks[-1].breaks |= {index + shift for index in new[0].breaks}
            del new[0]
        blocks += new
    return _written(blocks, style, known)


def _goes_on(last: Block, first: Block) -> bool:
    """Whether a paragraph goes on in the next column."""
    if last.kind not in ("text", "item") or first.kind != "text":
        return False
    one, other = last.lines[-1], first.lines[0]
    ended = one.text.rstrip(_CLOSING).endswith(_ENDS)
    return not ended and other.text[:1].islower() and abs(one.size - other.size) < 0.12 * one.size


def _blocks(group: Sequence[Fragment | Table], style: Style) -> list[Block]:
    fragments = [item for item in group if isinstance(item, Fragment)]
    tables = [item for item in group if isinstance(item, Table)]
    for table, parts in aligned_tables(fragments):
        tables.append(table)
        taken = set(map(id, parts))
        fragments = [each for each in fragments if id(each) not in taken]
    lines = [line_of(row) for row in rows_of(fragments)]
    frame = _frame(lines)
    blocks: list[Block] = []
    waiting = sorted(tables, key=lambda table: table.top)
    previous: Fragment | None = None
    for index, line in enumerate(lines):
        while waiting and waiting[0].top < line.y:
            blocks.append(Block("table", table=waiting.pop(0)))
            previous = None
        following = lines[index + 1] if index + 1 < len(lines) else None
        _place(blocks, line, previous, following, frame, style)
        previous = line
    blocks += [Block("table", table=table) for table in waiting]
    return [_settled(block, style) for block in blocks]


def _frame(lines: Sequence[Fragment]) -> _Frame:
    rtl = is_rtl(" ".join(line.text for line in lines[:60]))
    starts = [-line.x1 if rtl else line.x0 for line in lines]
    ends = [-line.x0 if rtl else line.x1 for line in lines]
    gaps = [
        other.y - one.y
        for one, other in pairwise(lines)
        if 0.8 * one.size < other.y - one.y < 2.6 * one.size and abs(one.size - other.size) < 0.12 * one.size
    ]
    usual = statistics.median_low(gaps) if gaps else 1.25 * (lines[0].size if lines else 10)
    return _Frame(min(starts, default=0), max(ends, default=0), usual, rtl)


def _place(
    blocks: list[Block],
    line: Fragment,
    previous: Fragment | None,
    following: Fragment | None,
    frame: _Frame,
    style: Style,
) -> None:
    """Append the line to the last block or begin a new one with it."""
    last = blocks[-1] if previous is not None and blocks else None
    if style.is_code(line) and line.words[0].text[0] not in _STRONG:
        near = last is not None and last.kind == "code" and line.y - last.lines[-1].y <= 2.6 * line.size
        if last is not None and near:
            last.lines.append(line)
        else:
            blocks.append(Block("code", [line]))
    elif _is_heading(line, previous, following, frame, style):
        if last is not None and last.kind == "heading" and _is_same_heading(last.lines[-1], line):
            last.lines.append(line)
        else:
            blocks.append(Block("heading", [line]))
    elif last is None or last.kind not in ("text", "item") or previous is None:
        blocks.append(Block("item" if _marker(line) else "text", [line]))
    elif _marker(line) and _begins_item(line, last, frame):
        blocks.append(Block("item", [line]))
    else:
        _continue(blocks, last, line, frame)


def _continue(blocks: list[Block], last: Block, line: Fragment, frame: _Frame) -> None:
    """A line of text after another one: the same paragraph, a line of its own, or a new paragraph."""
    one = last.lines[-1]
    gap = line.y - one.y
    if gap > 1.3 * frame.leading + 0.5 or abs(one.size - line.size) > 0.12 * max(one.size, line.size):
        blocks.append(Block("text", [line]))
        return
    ended = one.text.rstrip(_CLOSING).endswith(_ENDS)
    room = frame.end - frame.end_of(one)
    first = line.words[0]
    short = room > first.x1 - first.x0 + 1.0 * line.size
    indent = frame.start_of(line) - frame.start_of(one)
    if last.kind == "item":
        outdented = frame.start_of(line) <= frame.start_of(last.lines[0]) + 0.3 * line.size
        if outdented and (ended or short):
            blocks.append(Block("text", [line]))
            return
    elif (indent > 0.8 * line.size and len(last.lines) > 1 and (ended or short)) or (ended and short and one.x1 > 0):
        is_list_like = len(last.lines) == 1 and indent > 0.8 * line.size and not ended
        if not is_list_like:
            blocks.append(Block("text", [line]))
            return
    if short and room > 0.12 * (frame.end - frame.start):
        last.breaks.add(len(last.lines))
    last.lines.append(line)


def _marker(line: Fragment) -> bool:
    """Whether the line begins with a bullet or a number of its own."""
    first = line.words[0].text
    if first[0] in _STRONG:
        return len(line.words) > 1 or len(first) > 1
    return len(line.words) > 1 and bool(_BULLET.fullmatch(first) or _NUMBER.fullmatch(first))


def _begins_item(line: Fragment, last: Block, frame: _Frame) -> bool:
    """A line may begin with a dash or `1.` by chance; a list shows by more than that."""
    if line.words[0].text[0] in _STRONG:
        return True
    one = last.lines[-1]
    if line.y - one.y > 1.15 * frame.leading or one.text.endswith(_ENDS):
        return True
    if last.kind == "item" and abs(frame.start_of(last.lines[0]) - frame.start_of(line)) < 0.5 * line.size:
        return True
    first = line.words[0]
    short = frame.end - frame.end_of(one) > first.x1 - first.x0 + 1.0 * line.size
    return short or abs(frame.start_of(line) - frame.start_of(one)) > 0.5 * line.size


def _is_heading(
    line: Fragment, previous: Fragment | None, following: Fragment | None, frame: _Frame, style: Style
) -> bool:
    text = line.text
    if len(text) > MAX_HEADING or sum(map(str.isalpha, text)) < 2 or text[0] in _STRONG or f" {LEADER} " in text:
        return False
    if style.is_larger(line):
        return True
    apart = previous is None or line.y - previous.y > 1.15 * frame.leading
    if len(text) > 3 and style.title_level(text):
        return True
    if not line.bold or line.size < 0.95 * style.body or len(text) > 100 or text.endswith((".", ",", ";", ":")):
        return False
    ends = following is None or not following.bold or following.y - line.y > 1.3 * frame.leading
    return ends and (apart or (previous is not None and style.is_larger(previous)))


def _is_same_heading(one: Fragment, other: Fragment) -> bool:
    alike = abs(one.size - other.size) < 0.06 * one.size and one.bold == other.bold
    return alike and other.y - one.y <= 1.4 * one.size


def _settled(block: Block, style: Style) -> Block:
    """A heading of many lines is text set large; one line of code is text; bold is told from neither."""
    if block.kind == "heading" and (len(block.lines) > 3 or sum(len(line.text) for line in block.lines) > MAX_HEADING):
        return Block("text", block.lines)
    if block.kind == "code" and len(block.lines) == 1:
        return Block("text", block.lines)
    return block


def _written(blocks: Sequence[Block], style: Style, known: set[str]) -> str:
    out: list[str] = []
    indents: list[float] = []
    for index, block in enumerate(blocks):
        after_item = index > 0 and blocks[index - 1].kind == "item"
        if block.kind == "item":
            indents = indents if after_item else []
            text = _item(block, known, indents)
        elif block.kind == "table" and block.table is not None:
            text = block.table.markdown(known)
        elif block.kind == "code":
            text = _code(block.lines)
        else:
            text = _paragraph(block, known)
            if block.kind == "heading":
                text = text.replace("\n", " ")
                text = "#" * style.level(block.lines[0], text) + " " + text
            elif re.match(r"#{1,6} |```|~~~", text):
                text = "\\" + text
        out.append(("\n" if block.kind == "item" and after_item else "\n\n") + text)
    return "".join(out).strip()


def _paragraph(block: Block, known: set[str]) -> str:
    """Its lines as running text, but for the breaks that are meant."""
    parts: list[list[Word]] = [[]]
    for index, line in enumerate(block.lines):
        if index in block.breaks and not line.words[0].text[0].islower():
            parts.append([])
        parts[-1] += line.words
    return "\n".join(join_words(part, known) for part in parts)


def _item(block: Block, known: set[str], indents: list[float]) -> str:
    """One entry of a list; `indents` holds where the entries that it may belong to begin."""
    line = block.lines[0]
    while indents and line.x0 < indents[-1] - 0.5 * line.size:
        indents.pop()
    if not indents or line.x0 > indents[-1] + 0.8 * line.size:
        indents.append(line.x0)
    words = [word for each in block.lines for word in each.words]
    while len(words) > 1 and words[0].text in _STRONG and words[1].text in _STRONG:
        words = words[1:]
    first = words[0].text
    text = join_words(words, known)
    if first[0] in _STRONG or _BULLET.fullmatch(first):
        text = "- " + text[1:].lstrip()
    return "  " * (len(indents) - 1) + text


def _code(lines: Sequence[Fragment]) -> str:
    """Lines in a typewriter face, their columns kept."""
    widths = [(word.x1 - word.x0) / len(word.text) for line in lines for word in line.words if len(word.text) > 1]
    width = statistics.median(widths) if widths else lines[0].size * 0.6
    left = min(line.x0 for line in lines)
    out: list[str] = []
    for line in lines:
        text = ""
        for word in line.words:
            column = min(200, max(0, round((word.x0 - left) / max(width, 0.1))))
            text += " " * max(column - len(text), 1 if text and needs_blank(text, word.text) else 0) + word.text
        out.append(text)
    fence = "~~~~" if any("```" in text for text in out) else "```"
    return "\n".join([fence, *out, fence])
