"""The port every embedder implements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    FloatArray = npt.NDArray[np.float32]


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

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Tokens the texts cost, for usage; an estimate where the tokenizer is elsewhere."""
        ...

    async def aclose(self) -> None: ...
