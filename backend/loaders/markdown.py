"""Markdown as it stands, except that every heading begins with `#`, so that one way of writing them is enough."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from backend.loaders.decoding import looks_like_text, read_text
from backend.models.documents import PageText

MAX_FRONT_LINES = 200
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_NO_TITLE = re.compile(r"\s*$| {4}|\t|\s*(?:[-*+>#|]|\d+[.)]\s)")


class MarkdownLoader:
    name = "markdown"
    extensions = (".md", ".markdown", ".mdown", ".mkd", ".mdx", ".qmd", ".rmd")
    content_type = "text/markdown"

    def accepts(self, head: bytes, extension: str) -> bool:
        return extension in self.extensions and looks_like_text(head)

    def page_count(self, path: Path) -> int | None:
        return None

    def load(self, path: Path) -> Iterator[PageText]:
        yield PageText(None, one_style(read_text(path)), form="markdown")


def one_style(text: str) -> str:
    """The text with underlined headings as `#` ones and front matter as a block of YAML; no line moves."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    start = _fence_front_matter(lines)
    fence = ""
    for number in range(start, len(lines)):
        line = lines[number]
        found = _FENCE.match(line)
        if fence:
            if found and found[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
        elif found:
            fence = found[1]
        elif number > start and (mark := _underline(line)) and _is_title(lines, number - 1, start):
            lines[number - 1] = f"{mark} {lines[number - 1].strip()}"
            lines[number] = ""
    return "\n".join(lines)


def _fence_front_matter(lines: list[str]) -> int:
    """Where the text itself begins."""
    if lines[0].strip() != "---" or len(lines) < 3 or ":" not in lines[1]:
        return 0
    for number, line in enumerate(lines[1:MAX_FRONT_LINES], 1):
        if line.strip() in ("---", "..."):
            lines[0], lines[number] = "```yaml", "```"
            return number + 1
    return 0


def _underline(line: str) -> str:
    """`#` for a line of `=`, `##` for one of `-`, else nothing."""
    bare = line.strip()
    if not bare or len(line) - len(line.lstrip(" ")) > 3:
        return ""
    return {"=": "#", "-": "##"}.get(bare[0], "") if bare == bare[0] * len(bare) else ""


def _is_title(lines: list[str], number: int, start: int) -> bool:
    """Whether a line is a paragraph of its own, which an underline makes a heading."""
    alone = number == start or not lines[number - 1].strip() or lines[number - 1].startswith("#")
    return alone and not _NO_TITLE.match(lines[number])


LOADER = MarkdownLoader()
