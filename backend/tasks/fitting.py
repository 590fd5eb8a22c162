"""Chunks that the embedder reads whole."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from backend.utils.chunking_fit import Piece, refit

if TYPE_CHECKING:
    from backend.embeddings.port import Embedder
    from backend.models.documents import DocumentChunk

_PLACE = ("text", "start", "end", "line", "heading")
FEW = 32
"""Chunks that are looked at in one go in a thread."""


async def fitted(chunks: Sequence[DocumentChunk], embedder: Embedder, first: int = 0) -> list[DocumentChunk]:
    """The chunks in order, those of which the embedder would not read the end (headings included) in parts.

    `index` is counted anew, from `first`. Counting tokens is done in a thread. Raises what the embedder raises.
    """
    await embedder.dimensions()  # which makes its window known, where another process knows it
    found: list[DocumentChunk] = []
    for start in range(0, len(chunks), FEW):
        found += await asyncio.to_thread(_fitted, chunks[start : start + FEW], embedder)
    return [replace(chunk, index=first + place) for place, chunk in enumerate(found)]


def reads_whole(embedder: Embedder, text: str) -> bool:
    """Whether the embedder reads a text to its end. Blocking: to be called in a thread."""
    # A token is a character at least, unless letters are taken apart; counting stops at the window.
    if text.isascii() and len(text) < embedder.window - 2:
        return True
    return embedder.count_tokens([text]) < embedder.window


def _fitted(chunks: Sequence[DocumentChunk], embedder: Embedder) -> list[DocumentChunk]:
    found: list[DocumentChunk] = []
    for chunk in chunks:
        parts = refit(_piece(chunk), lambda text: reads_whole(embedder, text))
        found += [replace(chunk, **{name: getattr(part, name) for name in _PLACE}) for part in parts]
    return found


def _piece(chunk: DocumentChunk) -> Piece:
    """The chunk as it was cut. One of an older index does not know its place."""
    return Piece(chunk.text, chunk.start, chunk.end or chunk.start + len(chunk.text), chunk.line, chunk.heading)
