"""Server-made ids: unguessable, and safe as names of files and folders."""

from __future__ import annotations

import re
import secrets

_SAFE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def new_id(prefix: str = "") -> str:
    """128 random bits in hex after `prefix`, e.g. `new_id("file-")`; the prefix keeps to [A-Za-z0-9_-], 32 at most."""
    return prefix + secrets.token_hex(16)


def is_safe_id(text: str) -> bool:
    """Whether a text can be one of our ids: 1-64 of [A-Za-z0-9_-], so never a path, a dot or a NUL."""
    return _SAFE_ID.fullmatch(text) is not None
