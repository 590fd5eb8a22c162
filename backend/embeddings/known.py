"""The embedder that is in use, and others by name as long as indexes that they made still serve."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from backend.embeddings.port import Embedder
from backend.models.errors import HearthError

log = logging.getLogger("hearth.embeddings")


class KnownEmbedders:
    """Makes each embedder once, when it is asked for. `make` raises SettingsError for one that cannot be had."""

    def __init__(self, current: Embedder, make: Callable[[str], Embedder]) -> None:
        self.current = current
        self._make = make
        self._others: dict[str, Embedder] = {}
        self._making = asyncio.Lock()

    async def named(self, name: str) -> Embedder | None:
        """The embedder with this name, tried once; None when it cannot be had here any more (now, at least)."""
        if name == self.current.name:
            return self.current
        if name in self._others or not name:
            return self._others.get(name)
        async with self._making:
            if name not in self._others:
                try:
                    embedder = self._make(name)
                    if embedder.name != name:
                        return None
                    await embedder.dimensions()
                except HearthError as error:
                    log.warning("the embedder %s of an older index cannot be had: %s", name, error.message)
                    return None
                self._others[name] = embedder
            return self._others[name]

    async def aclose(self) -> None:
        """Close all but the current one."""
        others, self._others = self._others, {}
        for embedder in others.values():
            await embedder.aclose()
