"""The port every embedder implements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from backend.models.errors import UpstreamError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float32]


MAX_TOKENS = 8_192
"""A text may have so many tokens, as at OpenAI; beyond that the mean of its parts would mean nothing."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """`vectors` has shape (n, d), float32, rows of unit length; `tokens` is what the n texts cost together."""

    vectors: FloatArray
    tokens: int

    @classmethod
    def stacked(cls, pieces: Sequence[Embedded]) -> Embedded:
        """Rows below rows, of at least one piece. Raises UpstreamError when the model was replaced between them."""
        import numpy as np

        if len(pieces) == 1:
            return pieces[0]
        if len({each.vectors.shape[1] for each in pieces}) > 1:
            raise UpstreamError("The embedding model was replaced while it was working: send the request again.")
        return cls(np.concatenate([each.vectors for each in pieces]), sum(each.tokens for each in pieces))


class Embedder(Protocol):
    """Turns texts into vectors of unit length.

    Loading happens on first use, off the event loop. `name` is stored with every index: vectors of different
    names must never meet. Raises UpstreamUnreachable or UpstreamError when it lives in another process.
    """

    name: str

    async def dimensions(self) -> int:
        """Length of a vector, e.g. 384."""
        ...

    async def embed_documents(self, texts: Sequence[str]) -> FloatArray:
        """Shape (len(texts), d), float32, rows of unit length, in the order given. An empty list gives (0, d)."""
        ...

    async def embed_query(self, text: str) -> FloatArray:
        """Shape (d,), float32, unit length."""
        ...

    async def check_lengths(self, texts: Sequence[str]) -> None:
        """Raises ContextTooLong naming the first text of more than MAX_TOKENS tokens."""
        ...

    async def embed_whole(self, texts: Sequence[str]) -> Embedded:
        """Like embed_documents, but of the whole texts: one longer than the model's window is embedded in parts, and
        its vector is their mean. Counts the tokens too. Raises ModelNotFound when the model is not installed.
        """
        ...

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Tokens the texts cost, for usage; an estimate where the tokenizer is elsewhere."""
        ...

    @property
    def window(self) -> int:
        """Tokens of a text that embed_documents reads; what a text has beyond them does not count. E.g. 256."""
        ...

    async def aclose(self) -> None: ...


class Embedders(Protocol):
    """The embedder that is in use, and those that made indexes which still serve."""

    current: Embedder

    async def named(self, name: str) -> Embedder | None:
        """The embedder with this name; None when it cannot be had here any more."""
        ...


@dataclass(slots=True)
class OneEmbedder:
    """Embedders where there is but the one."""

    current: Embedder

    async def named(self, name: str) -> Embedder | None:
        return self.current if name == self.current.name else None
