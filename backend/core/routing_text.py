"""A query as the router reads it: clipped, in lower case, without accents. Pure functions."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

CLIP_CHARS = 400
_LETTERS = str.maketrans({"’": "'", "`": "'", "´": "'", "ß": "ss", "ł": "l", "ø": "o", "æ": "ae", "œ": "oe", "đ": "d"})


def clip(text: str) -> str:
    """The beginning and end of a long text: where people put their instruction."""
    text = text.strip()
    return text if len(text) <= 2 * CLIP_CHARS else f"{text[:CLIP_CHARS]}\n{text[-CLIP_CHARS:]}"


def fold(text: str) -> str:
    """Lower case, accents off, white space single: what people leave out or vary when they type quickly."""
    lowered = text.lower()
    if not lowered.isascii():
        lowered = lowered.translate(_LETTERS)
        lowered = "".join(c for c in unicodedata.normalize("NFD", lowered) if not unicodedata.combining(c))
    return lowered


@lru_cache(maxsize=64)
def singular(word: str) -> str:
    """A word of a file's name without its plural ending, crudely: `orders` gives `order`, `clientes` `client`."""
    for ending in ("ies", "es", "en", "s", "n", "i", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word
