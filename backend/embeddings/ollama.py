"""Any embedding model of an Ollama server, over its native /api/embed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import orjson

from backend.embeddings.port import MAX_TOKENS, Embedded
from backend.embeddings.whole import SMALLEST_LENGTH, mean_of, parts, too_long
from backend.models.errors import (
    ModelNotFound,
    SettingsError,
    UpstreamBusy,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from backend.utils.chunking_fit import estimated_tokens

if TYPE_CHECKING:
    import aiohttp

    from backend.config.settings import Settings
    from backend.embeddings.port import FloatArray

BATCH = 32
"""One bad item fails a whole batch, and Ollama's own batch limit counts tokens."""
CONNECT_SECONDS = 5.0
SHORTEST_CUT = 64
"""Characters below which a text that Ollama calls too long is not cut further."""
SAFE_WINDOW = 512
"""Tokens that an embedding model reads if Ollama does not tell how many."""
WIDEST_WINDOW = 2_048
"""Ollama's batch limits a text too, whatever the model was trained for."""
SHOW_SECONDS = 10.0
MOST_CHARS_PER_TOKEN = 6
"""No ordinary text has more on average: beyond them it is certain that a text has too many tokens."""
NAMED_CHARS = 40
"""How much of a text that cannot be embedded is quoted to tell which one it is."""
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def create(settings: Settings, model: str) -> OllamaEmbedder:
    """Raises SettingsError when no model is named."""
    if not model.strip():
        raise SettingsError("EMBEDDING_MODEL='ollama:' names no model: write e.g. ollama:bge-m3.")
    return OllamaEmbedder(
        model.strip(), settings.ollama_host, timeout_s=settings.ollama_timeout, keep_alive=settings.ollama_keep_alive
    )


class OllamaEmbedder:
    """Asks the hosts in order and stays with the first that can be reached."""

    def __init__(self, model: str, hosts: Sequence[str], *, timeout_s: float = 300.0, keep_alive: str = "30m") -> None:
        self.name = f"ollama:{model}"
        self._model = model
        self._hosts = [host.rstrip("/") if "://" in host else f"http://{host.rstrip('/')}" for host in hosts]
        self._timeout_s = timeout_s
        # Numeric text must go as a number: Ollama takes a text for a duration, which "-1" is not.
        self._keep_alive: str | float = float(keep_alive) if _NUMBER.fullmatch(keep_alive) else keep_alive
        self._session: aiohttp.ClientSession | None = None
        self._dimensions: int | None = None
        self._window: int | None = None

    @property
    def window(self) -> int:
        """512 until `dimensions` has been asked for, which asks Ollama for this too."""
        return self._window or SAFE_WINDOW

    async def dimensions(self) -> int:
        """Asks Ollama the first time. Raises UpstreamError and its kinds."""
        if self._dimensions is None:
            await self._embed(["dimensions"])
        if self._window is None:
            self._window = await self._trained_window()
        assert self._dimensions is not None
        return self._dimensions

    async def embed_documents(self, texts: Sequence[str]) -> FloatArray:
        """Batches of at most 32; what Ollama refuses as too long is halved until it fits.

        Raises UpstreamUnreachable, UpstreamTimeout, UpstreamBusy, or UpstreamError saying what Ollama said.
        """
        import numpy as np

        if not texts:
            return np.zeros((0, await self.dimensions()), dtype=np.float32)
        parts = [await self._embed(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
        return np.concatenate(parts)

    async def check_lengths(self, texts: Sequence[str]) -> None:
        """By a lenient estimate, because the tokenizer is Ollama's. Raises ContextTooLong."""
        for position, text in enumerate(texts):
            if len(text) > MAX_TOKENS * MOST_CHARS_PER_TOKEN:
                raise too_long(position, self.count_tokens([text]), self._model, estimated=True)

    async def embed_whole(self, texts: Sequence[str]) -> Embedded:
        """Batches of at most 32. A text that Ollama calls too long is halved until the parts pass; its vector is
        their mean, weighted by length.

        Raises like embed_documents, and ModelNotFound.
        """
        import numpy as np

        done = [await self._embed_whole(texts[start : start + BATCH]) for start in range(0, len(texts), BATCH)]
        if not done:
            return Embedded(np.zeros((0, await self.dimensions()), dtype=np.float32), 0)
        return Embedded.stacked(done)

    async def embed_query(self, text: str) -> FloatArray:
        """Raises like embed_documents."""
        vector: FloatArray = (await self._embed([text]))[0]
        return vector

    def count_tokens(self, texts: Sequence[str]) -> int:
        """An estimate: the tokenizer is Ollama's."""
        return sum(estimated_tokens(text) for text in texts)

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _embed(self, texts: Sequence[str]) -> FloatArray:
        """Shape (len(texts), d). On a 400 the batch is halved, at last the one text."""
        import numpy as np

        status, body = await self._post(texts)
        if status == 200:
            return self._vectors(body, len(texts))
        if status == 400 and len(texts) > 1:
            middle = len(texts) // 2
            return np.concatenate([await self._embed(texts[:middle]), await self._embed(texts[middle:])])
        if status == 400 and len(texts[0]) > SHORTEST_CUT:
            return await self._embed([texts[0][: len(texts[0]) // 2]])
        raise self._refusal(status, body, texts)

    async def _embed_whole(self, texts: Sequence[str]) -> Embedded:
        """Like _embed, but nothing is cut off."""
        import numpy as np

        status, body = await self._post(texts, truncate=False)
        if status == 200:
            vectors, tokens = await asyncio.to_thread(self._read, body, len(texts))
            return Embedded(vectors, self.count_tokens(texts) if tokens is None else tokens)
        if status == 400 and len(texts) > 1:
            middle = len(texts) // 2
            return Embedded.stacked([await self._embed_whole(half) for half in (texts[:middle], texts[middle:])])
        if status == 400 and len(texts[0]) > SHORTEST_CUT and "nan" not in _said(body).lower():
            pieces = list(parts(texts[0], (len(texts[0]) + 1) // 2))
            whole = await self._embed_whole(pieces)
            return Embedded(mean_of(whole.vectors, [len(piece) for piece in pieces])[np.newaxis], whole.tokens)
        if status == 404:
            raise ModelNotFound(self._refusal(status, body, texts).message, param="model")
        raise self._refusal(status, body, texts)

    async def _post(self, texts: Sequence[str], *, truncate: bool = True) -> tuple[int, bytes]:
        """Status and body from the first host that can be reached and has the model."""
        import aiohttp

        clean = [text.encode("utf-8", "replace").decode("utf-8") for text in texts]
        asked = {"model": self._model, "input": clean, "truncate": truncate, "keep_alive": self._keep_alive}
        body = await asyncio.to_thread(orjson.dumps, asked)
        missing: tuple[int, bytes] | None = None
        for host in tuple(self._hosts):
            try:
                async with self._client().post(
                    f"{host}/api/embed", data=body, headers={"content-type": "application/json"}, allow_redirects=False
                ) as response:
                    answer = response.status, await response.read()
                if response.status != 404:
                    return answer
                missing = answer
                self._hosts.append(self._hosts.pop(0))
            except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError):
                self._hosts.append(self._hosts.pop(0))
            except TimeoutError:
                raise UpstreamTimeout(
                    f"Ollama took longer than {self._timeout_s:g} s to embed with {self._model}; try again,"
                    " or raise OLLAMA_TIMEOUT."
                ) from None
            except aiohttp.ClientError:
                raise UpstreamError(f"Ollama broke off while embedding with {self._model}; try again.") from None
        if missing is not None:
            return missing
        raise UpstreamUnreachable(
            f"Ollama, which holds the embedding model {self._model}, cannot be reached; start it or check OLLAMA_HOST."
        )

    async def _trained_window(self) -> int:
        """What the host that embeds says of the model; the safe value if it says nothing of use."""
        import aiohttp

        try:
            async with self._client().post(
                f"{self._hosts[0]}/api/show",
                json={"model": self._model},
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=SHOW_SECONDS),
            ) as response:
                known = orjson.loads(await response.read())["model_info"]
            tokens = known[f"{known['general.architecture']}.context_length"]
        except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError, KeyError, TypeError):
            return SAFE_WINDOW
        return min(tokens, WIDEST_WINDOW) if isinstance(tokens, int) and tokens > 0 else SAFE_WINDOW

    def _client(self) -> aiohttp.ClientSession:
        """Made on first use, because a session belongs to the running loop."""
        import aiohttp

        if self._session is None or self._session.closed:
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=self._timeout_s)
            self._session = aiohttp.ClientSession(timeout=timeout)
        return self._session

    def _vectors(self, body: bytes, expected: int) -> FloatArray:
        """Rows of unit length. Raises UpstreamError when count, shape or values are not those of vectors."""
        vectors, _ = self._read(body, expected)
        if self._dimensions not in (None, vectors.shape[1]):
            raise UpstreamError(
                f"The embedding model {self._model} now gives {vectors.shape[1]} dimensions instead of"
                f" {self._dimensions}: it was replaced in Ollama; restart Hearth to index the documents again."
            )
        self._dimensions = vectors.shape[1]
        return vectors

    def _read(self, body: bytes, expected: int) -> tuple[FloatArray, int | None]:
        """Rows of unit length, and the tokens if Ollama tells. Raises UpstreamError for what are no vectors."""
        import numpy as np

        unusable = UpstreamError(f"Ollama's answer for the embedding model {self._model} holds no usable vectors.")
        try:
            answer = orjson.loads(body)
            vectors: FloatArray = np.asarray(answer["embeddings"], dtype=np.float32)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            raise unusable from None
        if vectors.ndim != 2 or len(vectors) != expected or vectors.shape[1] == 0 or not np.isfinite(vectors).all():
            raise unusable
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: FloatArray = vectors / np.maximum(lengths, SMALLEST_LENGTH)
        tokens = answer.get("prompt_eval_count")
        return unit, tokens if isinstance(tokens, int) and tokens > 0 else None

    def _refusal(self, status: int, body: bytes, texts: Sequence[str]) -> UpstreamError:
        """The error for an answer that is not 200; it names a text that is alone to blame."""
        if status == 404:
            return UpstreamError(
                f"The embedding model {self._model} is not installed in Ollama: run `ollama pull {self._model}`."
            )
        if status in (429, 503):
            return UpstreamBusy("Ollama is busy and does not take more texts to embed; try again in a moment.")
        what = f"the text that begins with {texts[0][:NAMED_CHARS]!r}" if status == 400 and len(texts) == 1 else "texts"
        return UpstreamError(f"Ollama could not embed {what} with {self._model} (status {status}): {_said(body)}")


def _said(body: bytes) -> str:
    """What Ollama gave as its reason, on one line and at most 200 characters."""
    try:
        answer: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        answer = None
    reason = answer.get("error") if isinstance(answer, dict) else None
    text = " ".join(str(reason).split())[:200] if reason else "it gave no reason"
    return text if text.endswith(".") else f"{text}."
