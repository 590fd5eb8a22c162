"""JSON that is read while it is still being written: the text of one string, and where a value ends."""

from __future__ import annotations

import re

_SPECIAL = re.compile(r'["\\]')
_HEX = re.compile(r"[0-9a-fA-F]{0,4}")
_BRACKET = re.compile(r'["\\{}\[\]]')
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", '"': '"', "\\": "\\", "/": "/"}
_REPLACEMENT = "\ufffd"
_MAX_ESCAPE = 12
"""Characters of the longest escape: two halves of a surrogate pair."""


class StringDecoder:
    """Decodes the inside of a JSON string that comes in pieces cut anywhere, escapes and surrogate pairs included.

    Fed with what follows the opening quote. Lenient: a raw newline is taken as it is, an unknown escape too, and
    half of a surrogate pair becomes U+FFFD.
    """

    __slots__ = ("_held", "ended", "rest")

    def __init__(self) -> None:
        self._held = ""
        self.ended = False
        """The closing quote has come."""
        self.rest = ""
        """What came behind the closing quote in the same piece."""

    def plain(self, text: str) -> bool:
        """Whether a piece means itself: `feed` would give it back as it is."""
        return not self._held and '"' not in text and "\\" not in text and not self.ended

    def feed(self, text: str) -> str:
        """What a piece adds to the string; nothing after its end."""
        if self.ended:
            return ""
        if self.plain(text):
            return text
        text, self._held = self._held + text, ""
        out: list[str] = []
        at = 0
        while (found := _SPECIAL.search(text, at)) is not None:
            out.append(text[at : found.start()])
            if found.group() == '"':
                self.ended, self.rest = True, text[found.end() :]
                return "".join(out)
            decoded, length = _escape(text[found.start() : found.start() + _MAX_ESCAPE])
            if not length:
                self._held = text[found.start() :]
                return "".join(out)
            out.append(decoded)
            at = found.start() + length
        out.append(text[at:])
        return "".join(out)


def _escape(text: str) -> tuple[str, int]:
    """What an escape at the start of `text` means and its length; length 0 when more of it must come first."""
    if len(text) < 2:
        return "", 0
    if text[1] != "u":
        return _SIMPLE.get(text[1], text[:2]), 2
    digits = _hex(text[2:6])
    if len(digits) < 4:
        return ("", 0) if len(text) == 2 + len(digits) else (text[:2], 2)
    code = int(digits, 16)
    if not 0xD800 <= code <= 0xDFFF:
        return chr(code), 6
    if code >= 0xDC00:
        return _REPLACEMENT, 6
    return _pair(code, text)


def _pair(high: int, text: str) -> tuple[str, int]:
    """The character whose first half is at the start of `text`."""
    second = text[6:12]
    if not second.startswith("\\u"):
        return ("", 0) if "\\u".startswith(second) else (_REPLACEMENT, 6)
    digits = _hex(second[2:])
    if len(digits) < 4:
        return ("", 0) if len(second) == 2 + len(digits) else (_REPLACEMENT, 6)
    low = int(digits, 16)
    if not 0xDC00 <= low <= 0xDFFF:
        return _REPLACEMENT, 6
    return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)), 12


def _hex(text: str) -> str:
    found = _HEX.match(text)
    return found.group() if found is not None else ""


class Brackets:
    """Notices where an object or list that comes in pieces is closed. Linear in the length of the text."""

    __slots__ = ("_depth", "_escaped", "_in_string", "closed")

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._escaped = False
        self.closed = False
        """A value has been opened and closed again."""

    def feed(self, text: str) -> None:
        """Take in a piece; what comes behind the end is not looked at."""
        at = 0
        if self._escaped and text:
            at, self._escaped = 1, False
        while not self.closed and (found := _BRACKET.search(text, at)) is not None:
            at = found.end()
            sign = found.group()
            if sign == "\\":
                if not self._in_string:
                    continue
                self._escaped = at >= len(text)
                at += 1
            elif sign == '"':
                self._in_string = not self._in_string and self._depth > 0
            elif not self._in_string:
                self._depth = max(0, self._depth + (1 if sign in "{[" else -1))
                self.closed = self._depth == 0 and sign in "}]"
