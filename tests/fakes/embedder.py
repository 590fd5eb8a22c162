"""An embedder without weights: a hashed bag of words. Texts that share words are near each other."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from backend.embeddings.port import MAX_TOKENS, Embedded
from backend.embeddings.whole import may_be_too_long, too_long

if TYPE_CHECKING:
    from backend.embeddings.port import FloatArray

DIMENSIONS = 64
WINDOW = 8_192
"""Words; so many that no chunk is cut for it, unless a test asks for fewer."""
_WORD = re.compile(r"[^\W_]+")


class HashEmbedder:
    """The same on every machine. Each word votes for two places; a text without words points to the first.

    `texts` are all texts embedded so far; `error`, when set, is raised instead of embedding.
    """

    def __init__(self, name: str = "hash", dimensions: int = DIMENSIONS, window: int = WINDOW) -> None:
        self.name = name
        self.window = window
        self.texts: list[str] = []
        self.error: Exception | None = None
        self.closed = False
        self._dimensions = dimensions

    @property
    def loaded(self) -> bool:
        return True

    async def dimensions(self) -> int:
        return self._dimensions

    async def embed_documents(self, texts: Sequence[str]) -> FloatArray:
        if self.error is not None:
            raise self.error
        self.texts += texts
        vectors = np.zeros((len(texts), self._dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            vectors[row] = self._vector(text)
        return vectors

    async def embed_query(self, text: str) -> FloatArray:
        vector: FloatArray = (await self.embed_documents([text]))[0]
        return vector

    async def check_lengths(self, texts: Sequence[str]) -> None:
        for position, text in enumerate(texts):
            if may_be_too_long(text) and (tokens := self.count_tokens([text])) > MAX_TOKENS:
                raise too_long(position, tokens, self.name)

    async def embed_whole(self, texts: Sequence[str]) -> Embedded:
        return Embedded(await self.embed_documents(texts), self.count_tokens(texts))

    def count_tokens(self, texts: Sequence[str]) -> int:
        return sum(len(_WORD.findall(text)) for text in texts)

    async def aclose(self) -> None:
        self.closed = True

    def _vector(self, text: str) -> FloatArray:
        vector = np.zeros(self._dimensions, dtype=np.float32)
        for word in _WORD.findall(text.casefold()):
            digest = hashlib.sha256(word[:6].encode("utf-8", "replace")).digest()
            for place in (0, 4):
                vector[int.from_bytes(digest[place : place + 4], "big") % self._dimensions] += 1
        length = float(np.linalg.norm(vector))
        if length == 0:
            vector[0] = length = 1.0
        unit: FloatArray = vector / np.float32(length)
        return unit
