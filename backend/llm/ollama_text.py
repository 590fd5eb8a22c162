"""What a model's raw text may hide: a block of thinking at its start, or white space without end after JSON."""

from __future__ import annotations

from typing import Literal

import orjson

OPEN, CLOSE = "<think>", "</think>"
MAX_HELD_CHARS = 4096
MAX_BLANKS = 200
"""White space in a row: more before an answer is passed on, more in a JSON answer counts as running on without end."""


class ThinkSplitter:
    """Takes a leading `<think>…</think>` out of an answer that comes in pieces cut anywhere.

    Args:
        inside: the prompt already ended with `<think>`, so the text begins as thinking.
        opener_may_lack: the text may be thinking without an opener, so hold it back for a while; whoever reads
            the stream limits the while with `release`.
    """

    __slots__ = ("_held", "_inside_unsaid", "_opener_may_lack", "_state")

    def __init__(self, *, inside: bool = False, opener_may_lack: bool = False) -> None:
        self._state: Literal["start", "thinking", "gap", "answer"] = "start"
        self._held = ""
        self._inside_unsaid = inside
        self._opener_may_lack = opener_may_lack

    @property
    def settled(self) -> bool:
        """Everything from here on is answer: text need not pass through."""
        return self._state == "answer" and not self._held

    @property
    def holding(self) -> bool:
        """Text is held back only because a closing tag without an opener might follow."""
        return self._state == "start" and self._opener_may_lack and bool(self._held.strip())

    def thinking_came_apart(self) -> None:
        """The server sends thinking in its own field, so the text holds none unless it says so."""
        self._opener_may_lack = self._inside_unsaid = False

    def feed(self, text: str) -> tuple[str, str]:
        """A piece in, (thinking, answer) out; either may be empty."""
        if self._state == "answer":
            return "", text
        self._held += text
        if self._state == "start":
            return self._begin()
        if self._state == "gap":
            return "", self._skip_gap()
        return self._think()

    def release(self) -> str:
        """Stop waiting for a closing tag: what was held is answer."""
        if self._state != "start":
            return ""
        self._state = "answer"
        held, self._held = self._held, ""
        return held

    def finish(self) -> tuple[str, str]:
        """The rest, at the end of the answer."""
        held, self._held = self._held, ""
        return (held, "") if self._state == "thinking" else ("", "" if self._state == "gap" else held)

    def _begin(self) -> tuple[str, str]:
        text = self._held.lstrip()
        if text.startswith(OPEN):
            self._state, self._held = "thinking", text[len(OPEN) :].lstrip()
            return self._think()
        if OPEN.startswith(text) and len(self._held) < MAX_BLANKS:
            return "", ""
        if self._inside_unsaid:
            self._state, self._held = "thinking", text
            return self._think()
        if self._opener_may_lack:
            thinking, closed, rest = text.partition(CLOSE)
            if closed:
                self._state, self._held = "gap", rest
                return thinking, self._skip_gap()
            if len(text) < MAX_HELD_CHARS:
                return "", ""
        return "", self.release()

    def _think(self) -> tuple[str, str]:
        thinking, closed, rest = self._held.partition(CLOSE)
        if closed:
            self._state, self._held = "gap", rest
            return thinking.rstrip(), self._skip_gap()
        keep = _partial_tag(self._held, CLOSE)
        cut = len(self._held) - keep
        thinking, self._held = self._held[:cut], self._held[cut:]
        return thinking, ""

    def _skip_gap(self) -> str:
        """Blank lines between the thinking and the answer belong to neither."""
        text = self._held.lstrip()
        self._held = ""
        if text:
            self._state = "answer"
        return text


def _partial_tag(text: str, tag: str) -> int:
    """Length of the longest end of `text` that may be the beginning of `tag`."""
    for length in range(min(len(tag) - 1, len(text)), 0, -1):
        if tag.startswith(text[-length:]):
            return length
    return 0


class JsonGuard:
    """Watches an answer that must be JSON: drops leading blanks and notices white space without end."""

    __slots__ = ("_blanks", "_parts", "runs_on")

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._blanks = 0
        self.runs_on = False

    def feed(self, text: str) -> str:
        """The piece without what cannot matter; empty once the answer runs on."""
        solid = text.rstrip()
        if solid:
            if not self._parts:
                text = text.lstrip()
            self._parts.append(text)
            self._blanks = len(text) - len(text.rstrip())
        else:
            self._blanks += len(text)
            if self._parts:
                self._parts.append(text)
        self.runs_on = self._blanks >= MAX_BLANKS
        return text if self._parts and not self.runs_on else ""

    @property
    def complete(self) -> bool:
        """Whether what came so far is a whole JSON value."""
        try:
            orjson.loads("".join(self._parts))
        except orjson.JSONDecodeError:
            return False
        return True
