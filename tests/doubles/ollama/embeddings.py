"""Deterministic embeddings: a hashed bag of words with some letter trigrams, normalised."""

from __future__ import annotations

import hashlib
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WORD = re.compile(r"\w+")
_TRIGRAM_WEIGHT = 0.25


@lru_cache(maxsize=65536)
def _features(word: str) -> tuple[tuple[int, float], ...]:
    """Hash values and weights of a word and its trigrams; the sign is the hash's lowest bit."""
    padded = f"^{word}$"
    grams = [(padded[i : i + 3], _TRIGRAM_WEIGHT) for i in range(len(padded) - 2)]
    found = []
    for feature, weight in [(word, 1.0), *grams]:
        number = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "little")
        found.append((number >> 1, weight if number & 1 else -weight))
    return tuple(found)


def embed(text: str, size: int, dimensions: int = 0) -> NDArray[np.float32]:
    """A unit vector of `size`, or its first `dimensions` normalised again; texts sharing words are near each other."""
    import numpy as np

    vector = np.zeros(size, dtype=np.float32)
    for word in _WORD.findall(text.lower()):
        for number, weight in _features(word):
            vector[number % size] += weight
    if not vector.any():
        vector[0] = 1.0
    if 0 < dimensions < size:
        vector = vector[:dimensions].copy()
        if not vector.any():
            vector[0] = 1.0
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def numbers_json(value: Any) -> bytes:
    """JSON with float32 numbers in their shortest form."""
    import orjson

    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
