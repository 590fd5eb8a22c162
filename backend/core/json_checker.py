"""Whether a text that is still being written can become valid JSON, decided character by character."""

from __future__ import annotations

import re
from typing import Literal

MAX_DEPTH = 64
MAX_BLANKS = 200
"""White space in a row between two tokens; more is a model that writes nothing else any more."""

State = Literal["open", "complete", "broken", "blank"]
"""`open`: valid so far. `complete`: the top-level value has ended. `blank`: white space without end."""

_BLANK = " \t\n\r"
_BLANKS = re.compile(r"[ \t\n\r]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_DIGITS = re.compile(r"[0-9]*")
_HEX = frozenset("0123456789abcdefABCDEF")
_ESCAPES = frozenset('"\\/bfnrtu')
_WORDS = {"t": "rue", "f": "alse", "n": "ull"}


def _steps(*moves: tuple[str, str]) -> dict[str, str]:
    return {sign: state for signs, state in moves for sign in signs}


_DIGIT, _NONZERO = "0123456789", "123456789"
_NUMBER: dict[str, dict[str, str]] = {
    "minus": _steps(("0", "zero"), (_NONZERO, "whole")),
    "zero": _steps((".", "point"), ("eE", "power")),
    "whole": _steps((_DIGIT, "whole"), (".", "point"), ("eE", "power")),
    "point": _steps((_DIGIT, "part")),
    "part": _steps((_DIGIT, "part"), ("eE", "power")),
    "power": _steps(("+-", "sign"), (_DIGIT, "exponent")),
    "sign": _steps((_DIGIT, "exponent")),
    "exponent": _steps((_DIGIT, "exponent")),
}
_NUMBER_MAY_END = frozenset({"zero", "whole", "part", "exponent"})
_RUNS = frozenset({"whole", "part", "exponent"})


class JsonChecker:
    """Follows one JSON text that comes in pieces cut anywhere. Constant work and memory for each character.

    Args:
        first: characters with which the top-level value may begin; empty allows any value.
    """

    __slots__ = ("_blanks", "_expected", "_first", "_inside", "_left", "_number", "_stack", "state")

    def __init__(self, first: str = "") -> None:
        self.state: State = "open"
        self._first = first
        self._stack: list[str] = []
        """The closing brackets that are still to come, outermost first."""
        self._expected = "value"
        self._inside = ""
        """The token that is not at its end yet: string, escape, hex, number or word."""
        self._left = ""
        """What is missing of a word, or one character for each missing hexadecimal digit."""
        self._number = ""
        self._blanks = 0

    @property
    def in_string(self) -> bool:
        return self._inside in ("string", "escape", "hex")

    def feed(self, text: str) -> int:
        """How many characters of the piece belong to the value; fewer than all when `state` is no longer open."""
        at, size = 0, len(text)
        while at < size and self.state == "open":
            at = self._token(text, at) if self._inside else self._between(text, at)
        return at

    def finish(self) -> State:
        """The state at the end of the text: only now is a number at the top level complete."""
        if self.state == "open" and self._inside == "number" and self._number in _NUMBER_MAY_END:
            self._ended()
        return self.state

    # ---- between tokens -------------------------------------------------------------------------

    def _between(self, text: str, at: int) -> int:
        sign = text[at]
        if sign in _BLANK:
            return self._skip(text, at)
        self._blanks = 0
        if not self._accepts(sign):
            self.state = "broken"
            return at
        return at + 1

    def _skip(self, text: str, at: int) -> int:
        found = _BLANKS.match(text, at)
        end = found.end() if found is not None else at
        self._blanks += end - at
        if self._blanks >= MAX_BLANKS:
            self.state = "blank"
        return end

    def _accepts(self, sign: str) -> bool:
        """Take in the first character of a token. False when it has no place here."""
        expected = self._expected
        if expected == "colon":
            self._expected = "value"
            return sign == ":"
        if expected == "comma":
            return self._closes(sign) if sign != "," else self._separates()
        if expected in ("key", "key or end"):
            if sign == '"':
                self._inside = "string"
                return True
            return expected == "key or end" and self._closes(sign)
        if expected == "value or end" and sign == "]":
            return self._closes(sign)
        return self._begins(sign)

    def _separates(self) -> bool:
        self._expected = "key" if self._stack[-1] == "}" else "value"
        return True

    def _closes(self, sign: str) -> bool:
        if self._stack[-1] != sign:
            return False
        self._stack.pop()
        self._ended()
        return True

    def _begins(self, sign: str) -> bool:
        """The beginning of a value."""
        if self._first and not self._stack and sign not in self._first:
            return False
        if sign in "{[":
            self._stack.append("}" if sign == "{" else "]")
            self._expected = "key or end" if sign == "{" else "value or end"
            return len(self._stack) <= MAX_DEPTH
        # Of a value that is no string, only what follows tells where it ends.
        self._expected = "comma"
        if sign == '"':
            self._inside = "string"
            self._expected = "value"
        elif sign in _WORDS:
            self._inside, self._left = "word", _WORDS[sign]
        elif sign == "-" or sign in _DIGIT:
            self._inside = "number"
            self._number = "minus" if sign == "-" else "zero" if sign == "0" else "whole"
        else:
            return False
        return True

    def _ended(self) -> None:
        """A value has ended."""
        self._inside = ""
        if self._stack:
            self._expected = "comma"
        else:
            self.state = "complete"

    # ---- inside tokens --------------------------------------------------------------------------

    def _token(self, text: str, at: int) -> int:
        match self._inside:
            case "string":
                return self._string(text, at)
            case "number":
                return self._digits(text, at)
            case "word":
                return self._word(text, at)
            case _:
                return self._escape(text, at)

    def _string(self, text: str, at: int) -> int:
        found = _PLAIN.match(text, at)
        at = found.end() if found is not None else at
        if at == len(text):
            return at
        if text[at] == "\\":
            self._inside = "escape"
        elif text[at] == '"':
            self._string_ended()
        else:
            self.state = "broken"
            return at
        return at + 1

    def _string_ended(self) -> None:
        if self._expected in ("key", "key or end"):
            self._inside, self._expected = "", "colon"
        else:
            self._ended()

    def _escape(self, text: str, at: int) -> int:
        sign = text[at]
        if self._inside == "hex":
            self._left = self._left[1:]
            if not self._left:
                self._inside = "string"
            known = sign in _HEX
        else:
            known = sign in _ESCAPES
            self._inside, self._left = ("hex", "0000") if sign == "u" else ("string", "")
        if not known:
            self.state = "broken"
            return at
        return at + 1

    def _word(self, text: str, at: int) -> int:
        if text[at] != self._left[0]:
            self.state = "broken"
            return at
        self._left = self._left[1:]
        if not self._left:
            self._ended()
        return at + 1

    def _digits(self, text: str, at: int) -> int:
        if self._number in _RUNS:
            found = _DIGITS.match(text, at)
            at = found.end() if found is not None else at
            if at == len(text):
                return at
        step = _NUMBER[self._number].get(text[at])
        if step is not None:
            self._number = step
            return at + 1
        if self._number not in _NUMBER_MAY_END or text[at].isalnum() or text[at] in "+-._":
            self.state = "broken"
        else:
            # The character after a number belongs to what comes next.
            self._ended()
        return at
