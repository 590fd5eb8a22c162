"""Any cross-encoder that sentence-transformers can load: reads query and passage together."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backend.models.errors import ServiceFailed, SettingsError

if TYPE_CHECKING:
    from backend.config.settings import Settings

MAX_PASSAGE_CHARS = 4000
"""More does not fit into the 512 tokens that these models read."""
BATCH = 8


def create(settings: Settings, name: str) -> CrossEncoderReranker:
    """`name` is that of a model, or a folder. Raises SettingsError when there is none."""
    if not name.strip():
        raise SettingsError(
            "RERANK_MODEL='cross-encoder:' names no model: write e.g. cross-encoder:ORGANISATION/MODEL."
        )
    return CrossEncoderReranker(name.strip())


class CrossEncoderReranker:
    """Loaded on first use, in a thread; one batch at a time."""

    def __init__(self, model: str) -> None:
        self.name = f"cross-encoder:{model}"
        self._path = model
        self._model: Any = None
        self._alone = asyncio.Lock()

    async def scores(self, query: str, passages: Sequence[str]) -> list[float]:
        """Raises ServiceFailed when the package or the model is missing."""
        if not passages:
            return []
        pairs = [(query, passage[:MAX_PASSAGE_CHARS]) for passage in passages]
        async with self._alone:
            return await asyncio.to_thread(self._judge, pairs)

    async def aclose(self) -> None:
        self._model = None

    def _judge(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        raw = self._loaded().predict(list(pairs), batch_size=BATCH, show_progress_bar=False)
        return [as_share(float(value)) for value in raw]

    def _loaded(self) -> Any:
        if self._model is None:
            try:
                from sentence_transformers import CrossEncoder

                self._model = CrossEncoder(self._path, device="cpu")
            except ImportError:
                raise ServiceFailed(
                    "RERANK_MODEL needs the Python package sentence-transformers, which is not installed."
                ) from None
            except (OSError, ValueError, RuntimeError):
                raise ServiceFailed("The model of RERANK_MODEL cannot be loaded: check its name.") from None
        return self._model


def as_share(value: float) -> float:
    """In [0, 1]: some models answer so already, others with a logit."""
    return value if 0.0 <= value <= 1.0 else 1 / (1 + math.exp(-max(-60.0, min(60.0, value))))
