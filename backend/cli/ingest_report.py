"""What `ingest` tells: a bar while it works, and a summary at the end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TextIO

WIDTH = 30
LINE_SECONDS = 5.0
"""How often a line is written where there is no terminal."""
BAR_SECONDS = 0.1


@dataclass(slots=True)
class Summary:
    """Counts of files; `refused` has the reason of each."""

    new: int = 0
    replaced: int = 0
    there: int = 0
    removed: int = 0
    unfinished: int = 0
    refused: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, int] = field(default_factory=dict)

    def lines(self) -> list[str]:
        counts = [f"{self.new} new", f"{self.there} there already", f"{len(self.refused)} refused"]
        if self.replaced:
            counts.insert(1, f"{self.replaced} changed")
        if self.removed:
            counts.append(f"{self.removed} removed")
        skipped = [f"{count} {what}" for what, count in self.skipped.items() if count]
        text = ", ".join(counts) + (f"; skipped: {', '.join(skipped)}" if skipped else "")
        lines = [f"{text}."]
        if self.unfinished:
            lines.append(f"{self.unfinished} not finished: the same command goes on with them.")
        return lines + [f"refused {path}: {reason}" for path, reason in self.refused.items()]


class Bar:
    """Progress on a terminal as a bar in place, elsewhere as a line now and then."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._live = out.isatty()
        self._shown = 0.0
        self._last = ""

    def show(self, done: int, total: int, passages: int, *, last: bool = False) -> None:
        now = time.monotonic()
        if not last and now - self._shown < (BAR_SECONDS if self._live else LINE_SECONDS):
            return
        self._shown = now
        share = done / total if total else 1.0
        text = f"{done} of {total} files, {passages} passages"
        if self._live:
            filled = round(WIDTH * share)
            text = f"[{'#' * filled}{'.' * (WIDTH - filled)}] {text}"
            print(f"\r{text.ljust(len(self._last))}", end="\n" if last else "", file=self._out, flush=True)
            self._last = "" if last else text
        elif text != self._last:
            print(text, file=self._out, flush=True)
            self._last = text

    def say(self, line: str) -> None:
        """A line of its own, above the bar."""
        if self._live and self._last:
            print(f"\r{' ' * len(self._last)}\r", end="", file=self._out)
        print(line, file=self._out, flush=True)
