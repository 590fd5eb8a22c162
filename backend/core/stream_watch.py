"""Watching a model's stream for what never ends: the same words again and again, or more than a run may cost."""

from __future__ import annotations

CHECK_EVERY_CHARS = 256
MAX_PERIOD_CHARS = 600
"""The longest passage whose repetition is noticed."""
MIN_REPETITIONS = 5
MIN_SPAN_CHARS = 2_000
"""Only so much of the same counts as endless: a table's rule or a refrain is not."""
_TAIL_CHARS = max(MIN_SPAN_CHARS, MAX_PERIOD_CHARS * MIN_REPETITIONS) + CHECK_EVERY_CHARS
_PROBE_CHARS = 24


class StreamWatch:
    """Fed with the pieces of one text, a few hundred nanoseconds each.

    Args:
        allowance: characters that may come; beyond it `overdrawn` is set. None: any number.
    """

    __slots__ = ("_allowance", "_chars", "_pieces", "_recent", "_tail", "looping", "overdrawn")

    def __init__(self, allowance: int | None = None) -> None:
        self._allowance = allowance
        self._pieces: list[str] = []
        self._recent = 0
        self._tail = ""
        self._chars = 0
        self.looping = False
        self.overdrawn = False

    @property
    def total(self) -> int:
        """Characters that have come."""
        return self._chars + self._recent

    def feed(self, text: str) -> bool:
        """Take in a piece; True when the stream should be stopped."""
        self._pieces.append(text)
        self._recent += len(text)
        return self._recent >= CHECK_EVERY_CHARS and self._check()

    def repeats_itself(self, span: int, repetitions: int = MIN_REPETITIONS) -> bool:
        """Whether the text so far ends in at least `span` characters that are one passage over and over."""
        self._settle()
        period = period_of(self._tail)
        return period > 0 and _is_periodic(self._tail, period, max(span, period * repetitions))

    def _check(self) -> bool:
        self._settle()
        self.overdrawn = self._allowance is not None and self._chars > self._allowance
        self.looping = self.repeats_itself(MIN_SPAN_CHARS)
        return self.looping or self.overdrawn

    def _settle(self) -> None:
        self._chars += self._recent
        self._tail = (self._tail + "".join(self._pieces))[-_TAIL_CHARS:]
        self._pieces.clear()
        self._recent = 0


def period_of(text: str) -> int:
    """The distance after which the end of the text was last seen before; 0 when it was not."""
    if len(text) <= _PROBE_CHARS:
        return 0
    before = text.rfind(text[-_PROBE_CHARS:], max(0, len(text) - _PROBE_CHARS - MAX_PERIOD_CHARS), len(text) - 1)
    return len(text) - _PROBE_CHARS - before if before >= 0 else 0


def _is_periodic(text: str, period: int, span: int) -> bool:
    end = text[-span:]
    return len(end) >= span and end[period:] == end[:-period]


def without_repetition(text: str) -> str:
    """A text whose end repeats itself, cut behind the passage's second time; any other text as it is."""
    period = period_of(text[-_TAIL_CHARS:])
    if not period:
        return text
    start = len(text) - period
    while start > 0 and text[start - 1] == text[start - 1 + period]:
        start -= 1
    kept = start + 2 * period
    return text[:kept] if len(text) > kept else text
