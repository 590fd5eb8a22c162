"""Texts longer than a model's window: what is refused, where they are cut, and how the pieces become one vector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from backend.embeddings.port import MAX_TOKENS
from backend.models.errors import ContextTooLong

if TYPE_CHECKING:
    from backend.embeddings.port import FloatArray

STOP_COUNTING = 16 * MAX_TOKENS
"""Tokens after which it is only said that there are more."""
PART_CHARS = 4_000
"""Characters tokenised at a time: a tokenizer keeps the interpreter to itself while it works."""
SMALLEST_LENGTH = 1e-12


def may_be_too_long(text: str) -> bool:
    """Whether counting tokens is worth it: a token is at least one character."""
    return len(text) > MAX_TOKENS


def too_long(position: int, tokens: int, model: str, *, estimated: bool = False) -> ContextTooLong:
    """The error for the text at `position` (0-based) of the input."""
    count = f"about {tokens}" if estimated else f"more than {tokens}" if tokens > STOP_COUNTING else str(tokens)
    return ContextTooLong(
        f"input[{position}] has {count} tokens; {model} takes texts of at most {MAX_TOKENS} tokens: split it.",
        param="input",
    )


def parts(text: str, chars: int = PART_CHARS) -> Iterator[str]:
    """The text in pieces of at most `chars` characters, cut at a space where there is one; at least one piece."""
    start = 0
    while len(text) - start > chars:
        end = text.rfind(" ", start + chars // 2, start + chars) + 1 or start + chars
        yield text[start:end]
        start = end
    yield text[start:]


def mean_of(vectors: FloatArray, weights: Sequence[float]) -> FloatArray:
    """The weighted mean of unit vectors, shape (n, d) to (d,), brought back to unit length; one vector stays as it is.

    Source: the averaging of chunk embeddings in OpenAI's cookbook, "Embedding texts that are longer than the
    model's maximum context length".
    """
    import numpy as np

    if len(vectors) == 1:
        only: FloatArray = vectors[0]
        return only
    mean = np.average(vectors, axis=0, weights=np.maximum(np.asarray(weights, dtype=np.float64), SMALLEST_LENGTH))
    unit: FloatArray = (mean / max(float(np.linalg.norm(mean)), SMALLEST_LENGTH)).astype(np.float32)
    return unit
