"""One answer that must be JSON, while it comes: finds the JSON in it, and tells when there is no more to wait for."""

from __future__ import annotations

import re
from itertools import islice
from typing import Literal

from backend.core.json_checker import MAX_BLANKS, JsonChecker

MAX_CHARS = 1_000_000
"""Longer answers are not read to their end."""
MAX_TRAILING = 200
"""What may follow the JSON before the rest of the answer is not waited for."""
MAX_OPENING = 64
_FENCE = "```"
_OPENING = re.compile(r"\s*(?:```[A-Za-z0-9_+-]*[ \t]*\r?\n\s*)?")
_FENCED = re.compile(r"```[A-Za-z0-9_+-]*[ \t]*\r?\n(.*?)```", re.DOTALL)
_STARTS = re.compile(r"[{\[]")
_MAX_STARTS = 5

Ending = Literal["whole", "cut", "endless", "wrong"]
"""`whole`: a complete value. `cut`: valid so far, but not complete. `endless`: nothing but white space came any more,
or far too much text. `wrong`: no JSON."""


class JsonAnswer:
    """Fed with the pieces of an answer. A code fence around the JSON and anything behind it are left out.

    Args:
        first: characters with which the value may begin; empty allows any value.
    """

    def __init__(self, first: str = "") -> None:
        self._first = first
        self._checker = JsonChecker(first)
        self._head = ""
        self._begun = False
        self._all: list[str] = []
        self._json: list[str] = []
        self._size = 0
        self._trailing = 0
        self._held = ""
        """White space that is only worth giving out when something follows."""

    def feed(self, text: str) -> str:
        """A piece in; out what may be passed on at once, because it continues valid JSON."""
        self._all.append(text)
        self._size += len(text)
        if self._begun:
            return self._take(text)
        self._head += text
        start = _begin(self._head)
        if start is None:
            return ""
        self._begun = True
        return self._take(self._head[start:])

    @property
    def over(self) -> bool:
        """Whether the rest of the answer is of no use."""
        return (
            self._trailing > MAX_TRAILING
            or self._size > MAX_CHARS
            or self._checker.state == "blank"
            or (not self._begun and len(self._head) >= MAX_BLANKS and not self._head.strip())
        )

    @property
    def text(self) -> str:
        """Everything that came."""
        return "".join(self._all)

    @property
    def json(self) -> str:
        """The JSON, or as much of it as is valid."""
        text = "".join(self._json)
        return text if self._checker.in_string else text.rstrip()

    @property
    def complete(self) -> bool:
        """Whether the JSON has come to its end."""
        return self._checker.state == "complete"

    def ending(self, *, length: bool) -> Ending:
        """What it came to. `length`: the answer was ended by a limit of tokens."""
        if not self._begun:
            self._begun = True
            self._take(self._head[len(self._head) - len(self._head.lstrip()) :])
        state = self._checker.finish()
        if state == "complete":
            return "whole"
        text = self.text
        blanks = len(text) - len(text.rstrip())
        ran_out = length and (blanks >= MAX_BLANKS // 4 or blanks == len(text))
        if state == "blank" or self._size > MAX_CHARS or blanks >= MAX_BLANKS or ran_out:
            return "endless"
        if state == "open":
            return "cut" if length else "wrong"
        return "wrong"

    def candidates(self) -> list[str]:
        """Complete JSON values in an answer that is none as a whole: what a code fence holds, then what stands among
        words, in order."""
        text = self.text[:MAX_CHARS]
        found = [fenced[1] for fenced in islice(_FENCED.finditer(text), _MAX_STARTS)]
        found += [text[start.start() :] for start in islice(_STARTS.finditer(text), _MAX_STARTS)]
        return [whole for each in found if (whole := self._whole(each))]

    def _whole(self, text: str) -> str:
        checker = JsonChecker(self._first)
        text = text.strip()
        end = checker.feed(text)
        return text[:end] if checker.finish() == "complete" else ""

    def _take(self, text: str) -> str:
        size = self._checker.feed(text)
        state = self._checker.state
        self._trailing += len(text) - size if state == "complete" else 0
        piece = text[:size]
        if not piece or state in ("broken", "blank"):
            return ""
        self._json.append(piece)
        piece, self._held = self._held + piece, ""
        if not self._checker.in_string:
            solid = piece.rstrip()
            piece, self._held = solid, piece[len(solid) :]
        return piece


def _begin(head: str) -> int | None:
    """Where the answer proper begins, behind blanks and the first line of a fence; None while that is not known."""
    text = head.lstrip("\ufeff \t\r\n")
    if not text:
        return None
    start = len(head) - len(text)
    if not _FENCE.startswith(text[:3]) or len(text) > MAX_OPENING:
        return start
    found = _OPENING.match(text)
    end = found.end() if found is not None else 0
    # Blanks behind the fence line may go on.
    if end == 0:
        return start if "\n" in text else None
    return start + end if end < len(text) else None
