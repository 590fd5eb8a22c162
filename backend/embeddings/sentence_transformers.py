"""Any sentence-transformers model that is on this machine (optional group; brings torch)."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from backend.embeddings.port import MAX_TOKENS, Embedded
from backend.embeddings.whole import may_be_too_long, mean_of, too_long
from backend.models.errors import SettingsError, UpstreamError

if TYPE_CHECKING:
    from backend.config.settings import Settings
    from backend.embeddings.port import FloatArray

BATCH = 32
MARKS = 2
"""Tokens that a model adds around a text."""
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
CHARS_PER_TOKEN = 4.0
LONGEST_WINDOW = 8_192
"""Of a model that names none."""


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

    @property
    def window(self) -> int:
        """Loads the model, so it is to be asked in a thread. Raises UpstreamError when it is not on this machine."""
        return int(self._loaded().max_seq_length or LONGEST_WINDOW)

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

    async def check_lengths(self, texts: Sequence[str]) -> None:
        """Raises ContextTooLong, and UpstreamError when the model is not on this machine."""
        for position, text in enumerate(texts):
            tokens = (await asyncio.to_thread(self._windows, text))[1] if may_be_too_long(text) else 0
            if tokens > MAX_TOKENS:
                raise too_long(position, tokens, self._model_name)

    async def embed_whole(self, texts: Sequence[str]) -> Embedded:
        """Texts longer than the model's window by the mean of their windows, weighted by length.

        Raises UpstreamError when the model is not on this machine.
        """
        import numpy as np

        cut = await asyncio.to_thread(lambda: [self._windows(text) for text in texts])
        vectors = await self.embed_documents([window for windows, _ in cut for window in windows])
        joined = np.zeros((len(texts), vectors.shape[1]), dtype=np.float32)
        start = 0
        for row, (windows, _) in enumerate(cut):
            end = start + len(windows)
            joined[row] = mean_of(vectors[start:end], [len(window) for window in windows])
            start = end
        return Embedded(joined, sum(tokens for _, tokens in cut))

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
        clean = [_encodable(text) for text in texts]
        with self._lock:
            vectors = getattr(model, how)(
                clean, batch_size=BATCH, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
            )
        return np.asarray(vectors, dtype=np.float32)

    def _windows(self, text: str) -> tuple[list[str], int]:
        """The text in pieces that the model reads whole, and its tokens; a slow tokenizer only gives an estimate."""
        model = self._loaded()
        tokenizer, longest = model.tokenizer, model.max_seq_length
        if not getattr(tokenizer, "is_fast", False):
            return [text], self.count_tokens([text])
        with self._lock:
            found = tokenizer(
                _encodable(text), add_special_tokens=False, return_offsets_mapping=True, truncation=False, verbose=False
            )["offset_mapping"]
        size = max(1, (longest or len(found)) - MARKS)
        if len(found) <= size:
            return [text], len(found) + MARKS
        starts = [0, *(found[position][0] for position in range(size, len(found), size))]
        pieces = [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
        return pieces, len(found) + MARKS * len(pieces)

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


def _encodable(text: str) -> str:
    """The text without lone surrogates, character for character."""
    return text.encode("utf-8", "replace").decode("utf-8")
