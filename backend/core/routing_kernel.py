"""How much a query is like labelled ones, by meaning and by letters: kernel ridge regression over the examples.

Two texts are as near as the cosine of their embeddings and the cosine of their character n-grams say. The first
knows that "is it pouring in Leeds" is about the weather, the second carries the languages that a small English
embedder barely knows. Everything is linear in the number of examples; a query costs well under a millisecond.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from backend.core.routing_text import fold

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from backend.embeddings.port import FloatArray

    IntArray = npt.NDArray[np.int64]

BUCKETS = 1 << 15
LENGTHS = (3, 4, 5)
MAX_CHARS = 1_200
LETTERS_SHARE = 0.5
"""What the letters weigh against the meaning."""
SHARPNESS = 2.0
"""How much more near examples count than far ones."""
RIDGE = 0.05
_SPACE = re.compile(r"\s+")
_DIGIT = re.compile(r"\d")
_NEWLINE = 10
_FNV_OFFSET = 2166136261
_FNV_PRIME = 16777619


@dataclass(frozen=True, slots=True)
class Letters:
    """The n-grams of n texts: `ids[starts[i]:starts[i + 1]]` are the buckets of text i, each once."""

    ids: IntArray
    starts: IntArray

    def __len__(self) -> int:
        return len(self.starts) - 1


@dataclass(frozen=True, slots=True)
class Fitted:
    """What scores a query: one row an example, one column a class.

    vectors: shape (n, d), rows of unit length. coefficients: shape (n, classes). means: shape (classes,).
    """

    classes: tuple[str, ...]
    vectors: FloatArray
    letters: Letters
    coefficients: FloatArray
    means: FloatArray

    def scores(self, text: str, vector: FloatArray) -> tuple[dict[str, float], float]:
        """How much each class fits a query, near 1 for its own and 0 for others; and the cosine of meaning with
        the nearest example. `vector` has shape (d,) and unit length."""
        import numpy as np

        # Not `@`: so small a matrix is done before BLAS has woken its threads, which on a busy machine wait for turns.
        meaning = np.einsum("nd,d->n", self.vectors, vector)
        near = kernel(meaning, overlap(self.letters, grams(text)))
        fits = np.einsum("n,nc->c", near, self.coefficients) + self.means
        return dict(zip(self.classes, fits.tolist(), strict=True)), float(meaning.max())


def fit(
    labels: Sequence[str],
    classes: Sequence[str],
    vectors: FloatArray,
    letters: Letters,
    coefficients: FloatArray | None = None,
) -> Fitted:
    """Learn from examples: text i has `labels[i]`. `coefficients` of an earlier fit of the same spare the work.

    Costs about 0.2 s for 1,500 examples without them.
    """
    import numpy as np

    wanted = np.array([[label == each for each in classes] for label in labels], dtype=np.float32)
    means = wanted.mean(axis=0)
    if coefficients is None:
        rows = [overlap(letters, letters.ids[letters.starts[i] : letters.starts[i + 1]]) for i in range(len(letters))]
        near = kernel(vectors @ vectors.T, np.stack(rows))
        coefficients = np.linalg.solve(near + RIDGE * np.eye(len(near), dtype=np.float32), wanted - means)
    return Fitted(tuple(classes), vectors, letters, coefficients.astype(np.float32), means)


def kernel(meaning: FloatArray, letters: FloatArray) -> FloatArray:
    """Nearness in (0, 1] from the two cosines, of any one shape."""
    import numpy as np

    together = (1 - LETTERS_SHARE) * meaning + LETTERS_SHARE * letters
    near: FloatArray = np.exp(SHARPNESS * (together - 1)).astype(np.float32)
    return near


def overlap(letters: Letters, wanted: IntArray) -> FloatArray:
    """Cosine of each text's n-grams with those wanted (buckets, each once), shape (n,)."""
    import numpy as np

    if not len(wanted):
        return np.zeros(len(letters), dtype=np.float32)
    there = np.zeros(BUCKETS, dtype=np.float32)
    there[wanted] = 1.0
    common = np.add.reduceat(there[letters.ids], letters.starts[:-1])
    sizes = np.diff(letters.starts)
    cosine: FloatArray = (common / np.sqrt(sizes * len(wanted))).astype(np.float32)
    return cosine


def grams(text: str) -> IntArray:
    """The buckets of one text, see `letters_of`."""
    return letters_of([text]).ids


def letters_of(texts: Sequence[str]) -> Letters:
    """The buckets of each text's character n-grams, words and pairs of words, each once; digits count as one digit."""
    import numpy as np

    padded = [f" {_SPACE.sub(' ', _DIGIT.sub('0', fold(text[:MAX_CHARS]))).strip()} " for text in texts]
    keys = [*_gram_keys("\n".join(padded).encode("utf-8", "replace")), _word_keys(padded)]
    found = np.sort(np.concatenate(keys))
    found = found[np.diff(found, prepend=-1) > 0]  # each once; np.unique is twenty times slower at this
    starts = np.searchsorted(found, np.arange(len(texts) + 1) * BUCKETS)
    return Letters(found % BUCKETS, starts.astype(np.int64))


def _gram_keys(lines: bytes) -> list[IntArray]:
    """For each length the n-grams of all lines at once, as line * BUCKETS + bucket."""
    import numpy as np

    data = np.frombuffer(lines, dtype=np.uint8)
    line = np.cumsum(data == _NEWLINE)
    keys: list[IntArray] = []
    for length in LENGTHS:
        count = len(data) - length + 1
        if count < 1:
            continue
        mixed = np.full(count, _FNV_OFFSET + length, dtype=np.uint32)
        for at in range(length):
            mixed = (mixed ^ data[at : at + count]) * np.uint32(_FNV_PRIME)
        mixed ^= mixed >> np.uint32(15)
        inside = (data[:count] != _NEWLINE) & (line[:count] == line[length - 1 :])
        keys.append(line[:count][inside] * BUCKETS + (mixed[inside] % BUCKETS).astype(np.int64))
    return keys


def _word_keys(padded: Sequence[str]) -> IntArray:
    import numpy as np

    keys: list[int] = []
    for line, text in enumerate(padded):
        words = text.split()
        parts = [*(f"w {word}" for word in words), *(f"p {first} {second}" for first, second in pairwise(words))]
        keys += [line * BUCKETS + zlib.crc32(part.encode("utf-8", "replace")) % BUCKETS for part in parts]
    return np.array(keys, dtype=np.int64)
