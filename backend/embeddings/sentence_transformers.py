"""Any sentence-transformers model that is on this machine (optional group; brings torch)."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backend.models.errors import SettingsError, UpstreamError

if TYPE_CHECKING:
    from backend.config.settings import Settings
    from backend.embeddings.port import FloatArray

BATCH = 32
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
CHARS_PER_TOKEN = 4.0


def create(settings: Settings, model: str) -> SentenceTransformersEmbedder:
    """Raises SettingsError when no model is named or the optional group is not installed."""
    if not model.strip():
        raise SettingsError("EMBEDDING_MODEL='sentence-transformers:' names no model: add a name or a folder.")
    if importlib.util.find_spec("sentence_transformers") is None:
        raise SettingsError(
            f"EMBEDDING_MODEL='sentence-transformers:{model}' needs a package that is not installed:"
            " pip install 'hearth[sentence-transformers]'."
        )
    return SentenceTransformersEmbedder(model.strip())


class SentenceTransformersEmbedder:
    """Loads on first use (6 to 9 s) in a thread. Offline, unless the environment sets HF_HUB_OFFLINE=0."""

    def __init__(self, model: str) -> None:
        self.name = f"sentence-transformers:{model}"
        self._model_name = model
        self._model: Any = None
        self._lock = threading.Lock()

    async def dimensions(self) -> int:
        """Loads the model. Raises UpstreamError when it is not on this machine."""
        return await asyncio.to_thread(self._dimensions)

    async def embed_documents(self, texts: Sequence[str]) -> FloatArray:
        """Raises UpstreamError when the model is not on this machine. Cancelling it stops after the batch."""
        import numpy as np

        if not texts:
            return np.zeros((0, await self.dimensions()), dtype=np.float32)
        parts = [
            await asyncio.to_thread(self._encode, "encode_document", list(texts[start : start + BATCH]))
            for start in range(0, len(texts), BATCH)
        ]
        return np.concatenate(parts)

    async def embed_query(self, text: str) -> FloatArray:
        """Raises like embed_documents."""
        vector: FloatArray = (await asyncio.to_thread(self._encode, "encode_query", [text]))[0]
        return vector

    def count_tokens(self, texts: Sequence[str]) -> int:
        """An estimate: tokenisers of these models differ and may be slow."""
        return sum(max(1, round(len(text) / CHARS_PER_TOKEN)) for text in texts)

    async def aclose(self) -> None:
        self._model = None

    def _dimensions(self) -> int:
        return int(self._loaded().get_embedding_dimension())

    def _encode(self, how: str, texts: list[str]) -> FloatArray:
        """`how` is encode_query or encode_document: models with task prompts tell the two apart."""
        import numpy as np

        model = self._loaded()
        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        with self._lock:
            vectors = getattr(model, how)(
                clean, batch_size=BATCH, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
            )
        return np.asarray(vectors, dtype=np.float32)

    def _loaded(self) -> Any:
        with self._lock:
            if self._model is None:
                self._model = self._load()
            return self._model

    def _load(self) -> Any:
        for name in OFFLINE:
            os.environ.setdefault(name, "1")
        from sentence_transformers import SentenceTransformer

        try:
            return SentenceTransformer(self._model_name, device="cpu", local_files_only=os.environ[OFFLINE[0]] != "0")
        except (OSError, ValueError):
            raise UpstreamError(
                f"The sentence-transformers model {self._model_name} is not on this machine; download it first"
                " or let EMBEDDING_MODEL name its folder."
            ) from None
