"""Server-made ids: unguessable, and safe as names of files and folders."""

from __future__ import annotations

import re
import secrets

_SAFE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TIME_DIGITS = 14
"""Microseconds since the epoch in hex; enough until the year 4253."""
_TIMED_ID = re.compile(rf"[a-z]+[_-]([0-9a-f]{{{_TIME_DIGITS}}})[0-9a-f]{{32}}")


def new_id(prefix: str = "") -> str:
    """128 random bits in hex after `prefix`, e.g. `new_id("file-")`; the prefix keeps to [A-Za-z0-9_-], 32 at most."""
    return prefix + secrets.token_hex(16)


def timed_id(prefix: str, moment: float) -> str:
    """As `new_id`, with the time of making in front, so that the place of a thing in a list outlives the thing.

    `moment` is in seconds since the epoch; the prefix ends in `-` or `_`.
    """
    return f"{prefix}{round(moment * 1e6):0{_TIME_DIGITS}x}{secrets.token_hex(16)}"


def moment_of(timed: str) -> float | None:
    """When a timed id was made, in seconds since the epoch; None for every other text."""
    found = _TIMED_ID.fullmatch(timed)
    return int(found.group(1), 16) / 1e6 if found is not None else None


def is_safe_id(text: str) -> bool:
    """Whether a text can be one of our ids: 1-64 of [A-Za-z0-9_-], so never a path, a dot or a NUL."""
    return _SAFE_ID.fullmatch(text) is not None
