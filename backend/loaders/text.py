"""Plain text in any common encoding."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from backend.loaders.decoding import looks_like_text, read_text
from backend.models.documents import PageText

_TERMINAL = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]{0,500}(?:\x07|\x1b\\))")
"""Colours and titles that programs write for a terminal (ECMA-48, section 5.4)."""


class TextLoader:
    name = "text"
    extensions = (".txt", ".text", ".log", ".rst", ".adoc", ".asciidoc", ".org", ".tex", ".bib")
    content_type = "text/plain"

    def accepts(self, head: bytes, extension: str) -> bool:
        return extension in self.extensions and looks_like_text(head)

    def page_count(self, path: Path) -> int | None:
        return None

    def load(self, path: Path) -> Iterator[PageText]:
        yield PageText(None, _TERMINAL.sub("", read_text(path)), form="plain")


LOADER = TextLoader()
