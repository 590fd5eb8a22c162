"""Names that people give: user names, file names, titles. They are text to show, never a path."""

from __future__ import annotations

import re
import unicodedata

from backend.models.errors import InvalidRequest

MAX_FILENAME = 255
MAX_TITLE = 200
RESERVED_USERNAMES = frozenset(
    {
        "anonymous",
        "assistant",
        "default",
        "developer",
        "everyone",
        "hearth",
        "nobody",
        "none",
        "null",
        "public",
        "self",
        "server",
        "system",
        "tool",
        "undefined",
    }
)
_USERNAME = re.compile(r"[a-z0-9._-]{3,64}")
_DROPPED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Bidirectional controls, and the invisible characters that make two names look the same.
_DROPPED = frozenset("\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff")


def fold_username(name: str) -> str:
    """The one spelling under which a user name is stored and looked up (NFC, case-folded)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def check_username(name: str) -> str:
    """The folded name of a new account.

    Raises:
        InvalidRequest: not 3-64 of [a-z0-9._-] after folding, or reserved.
    """
    folded = fold_username(name)
    if _USERNAME.fullmatch(folded) is None:
        raise InvalidRequest(
            "A user name has 3 to 64 characters out of a-z, 0-9, dot, underscore and hyphen; choose another.",
            param="username",
        )
    if folded in RESERVED_USERNAMES:
        raise InvalidRequest("This user name is reserved; choose another.", param="username")
    return folded


def clean_filename(name: str) -> str:
    """A file name as it is kept and shown: the last path part, without control and bidi characters, 255 at most.

    A name that is too long keeps its extension; one of which nothing is left becomes `document`.
    """
    last = re.split(r"[/\\]", name)[-1]
    text = _printable(last).strip()
    if text.strip(".") == "":
        return "document"
    if len(text) <= MAX_FILENAME:
        return text
    stem, dot, extension = text.rpartition(".")
    if not dot or not stem or len(extension) > 16:
        return text[:MAX_FILENAME]
    return f"{stem[: MAX_FILENAME - len(extension) - 1]}.{extension}"


def clean_title(title: str) -> str:
    """A conversation's title on one line, 200 characters at most; `New conversation` when nothing is left."""
    text = " ".join(_printable(re.sub(r"\s", " ", title)).split())
    return text[:MAX_TITLE].strip() or "New conversation"


def _printable(text: str) -> str:
    normal = unicodedata.normalize("NFC", text)
    return "".join(
        character
        for character in normal
        if character not in _DROPPED and unicodedata.category(character) not in _DROPPED_CATEGORIES
    )
