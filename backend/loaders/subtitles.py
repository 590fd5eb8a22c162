"""Subtitles: what is said, each paragraph with the time at which it begins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from backend.loaders.decoding import looks_like_text, read_text
from backend.loaders.port import LoadRefused
from backend.models.documents import PageText

_TIME = re.compile(r"\s*((?:\d{1,3}:)?\d{1,2}:\d{2})[.,]\d{1,3}\s*-->\s*(?:\d{1,3}:)?\d{1,2}:\d{2}[.,]\d{1,3}")
_VOICE = re.compile(r"<v(?:\.[^\s>]{0,50})?\s+([^>]{1,100})>")
_TAG = re.compile(r"</?[a-zA-Z][^>\n]{0,200}>|\{\\[^}\n]{0,100}\}|<\d[\d:.]{0,20}>")
PARAGRAPH_CHARS = 400
"""Cues are short: they are gathered until there is so much that ends a sentence, or twice as much."""


class SubtitlesLoader:
    name = "subtitles"
    extensions = (".srt", ".vtt")
    content_type = "text/plain"

    def accepts(self, head: bytes, extension: str) -> bool:
        return extension in self.extensions and looks_like_text(head)

    def page_count(self, path: Path) -> int | None:
        return None

    def load(self, path: Path) -> Iterator[PageText]:
        text = read_text(path)
        if text.strip() and "-->" not in text:
            raise LoadRefused("The file is named like subtitles but holds no times: check the file.")
        yield PageText(None, "\n\n".join(_paragraphs(text)), form="plain")


def _paragraphs(text: str) -> Iterator[str]:
    began, words = "", 0
    said: list[str] = []
    for time, cue in _cues(text):
        if not said:
            began = time
        if not said or said[-1] != cue:  # captions that roll repeat their last line
            said.append(cue)
            words += len(cue)
        if words > 2 * PARAGRAPH_CHARS or (words > PARAGRAPH_CHARS and cue.endswith((".", "!", "?", "。", "！", "？"))):
            yield f"[{began}] {' '.join(said)}"
            words = 0
            said = []
    if said:
        yield f"[{began}] {' '.join(said)}"


def _cues(text: str) -> Iterator[tuple[str, str]]:
    """The time of each cue and the text below it; its number, notes and styles left out."""
    time = ""
    for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        found = _TIME.match(line)
        if found:
            time = found[1]
        elif not line.strip():
            time = ""
        elif time:
            words = _TAG.sub("", _VOICE.sub(r"\1: ", line)).strip()
            if words:
                yield time, words


LOADER = SubtitlesLoader()
