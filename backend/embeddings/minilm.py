"""all-MiniLM-L6-v2 in this process: int8 weights from the repository, run by onnxruntime, no torch, no download."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.embeddings.port import MAX_TOKENS, Embedded
from backend.embeddings.whole import STOP_COUNTING, may_be_too_long, mean_of, parts, too_long
from backend.models.errors import SettingsError, StorageFailed

if TYPE_CHECKING:
    from backend.config.settings import Settings
    from backend.embeddings.port import FloatArray

MODEL = "all-MiniLM-L6-v2"
DIMENSIONS = 384
BATCH = 8
"""Texts that a thread takes at a time: what a cancelled call still finishes."""
TURN_TOKENS = 256
"""Word pieces that a thread runs at a time for embed_whole, so that a short text of another call waits little."""
MARKS = 2
"""Word pieces that mark begin and end of what the model reads; they count once a text."""
MAX_CHARS = 20_000
"""The model reads 256 word pieces; what lies beyond this cannot change the vector and would only cost time."""
MAX_THREADS = 8
"""Texts embedded at the same time, at most one a processor."""
MODEL_FILE, TOKENIZER_FILE = "model.int8.onnx", "tokenizer.json"
WEIGHTS = Path(__file__).parent / "weights" / MODEL
WINDOW = 256
"""Word pieces the model was trained to read; the tokenizer's file says it too."""


def create(settings: Settings, model: str) -> MiniLM:
    """Raises SettingsError when `model` is not the one whose weights are in the repository."""
    if model.lower() != MODEL.lower():
        raise SettingsError(
            f"EMBEDDING_MODEL={model!r} is not allowed: use {MODEL}, ollama:NAME or sentence-transformers:NAME_OR_PATH."
        )
    return MiniLM()


@dataclass(frozen=True, slots=True)
class _Engine:
    """The loaded model: an onnxruntime session and a tokenizer; both may be used from several threads at once."""

    session: Any
    tokenizer: Any
    pool: ThreadPoolExecutor
    """For documents alone: queries do not wait behind an upload."""


class MiniLM:
    """384 dimensions, English. Texts are cut at 256 word pieces and embedded by their beginning, but by embed_whole."""

    name = MODEL
    window = WINDOW

    def __init__(self, weights: Path = WEIGHTS) -> None:
        self._weights = weights
        self._engine: _Engine | None = None
        self._tokenizer: Any = None
        """The one that counts; by itself it is loaded in a tenth of the time."""
        self._loading = threading.Lock()

    @property
    def loaded(self) -> bool:
        """Whether the next call starts at once instead of loading first (about 0.3 s)."""
        return self._engine is not None

    async def dimensions(self) -> int:
        return DIMENSIONS

    async def embed_documents(self, texts: Sequence[str]) -> FloatArray:
        """Raises StorageFailed when the weights are missing or damaged. Cancelling it stops after 8 texts a thread.

        Each text is run by itself: int8 scales are taken from all that runs together, so neighbours in a batch, and
        padding most of all, would change a text's vector (cosine 0.97), and cost more than they save.
        """
        engine = await self._load() if texts else None  # first, because it imports numpy off the event loop
        import numpy as np

        vectors = np.zeros((len(texts), DIMENSIONS), dtype=np.float32)
        if engine is None:
            return vectors
        loop, workers = asyncio.get_running_loop(), _threads()
        size = min(BATCH, -(-len(texts) // workers))
        starts = iter(range(0, len(texts), size))

        async def work() -> None:
            for start in starts:
                batch = texts[start : start + size]
                vectors[start : start + size] = await loop.run_in_executor(engine.pool, _embed, engine, batch)

        await asyncio.gather(*(work() for _ in range(workers)))
        return vectors

    async def check_lengths(self, texts: Sequence[str]) -> None:
        """Raises ContextTooLong, and StorageFailed when the weights are missing or damaged."""
        long = [(position, text) for position, text in enumerate(texts) if may_be_too_long(text)]
        if not long:
            return
        engine = await self._load()
        for position, text in long:
            tokens = await asyncio.to_thread(_counted, engine, text)
            if tokens > MAX_TOKENS:
                raise too_long(position, tokens, MODEL)

    async def embed_whole(self, texts: Sequence[str]) -> Embedded:
        """Texts of more than 256 word pieces by the mean of their windows, weighted by length.

        Raises StorageFailed when the weights are missing or damaged. Cancelling it stops after 256 word pieces a
        thread.
        """
        engine = await self._load()
        loop = asyncio.get_running_loop()
        windows = await loop.run_in_executor(engine.pool, _all_windows, engine, texts)
        flat = [ids for of_text in windows for ids in of_text]
        return _joined(windows, await _run_all(engine, flat))

    async def embed_query(self, text: str) -> FloatArray:
        """Raises StorageFailed when the weights are missing or damaged."""
        engine = await self._load()
        vector: FloatArray = (await asyncio.to_thread(_embed, engine, [text]))[0]
        return vector

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Word pieces the model reads, at most 256 a text. Takes 40 ms the first time; raises StorageFailed then."""
        tokenizer = self._tokenizer
        if tokenizer is None:
            tokenizer = self._tokenizer = self._engine.tokenizer if self._engine else _open_tokenizer(self._weights)
        return sum(len(ids) for ids in _tokenise(tokenizer, texts))

    async def aclose(self) -> None:
        engine, self._engine, self._tokenizer = self._engine, None, None
        if engine is not None:
            engine.pool.shutdown(wait=False, cancel_futures=True)

    async def _load(self) -> _Engine:
        engine = self._engine
        return engine if engine is not None else await asyncio.to_thread(self._load_once)

    def _load_once(self) -> _Engine:
        with self._loading:
            engine = self._engine
            if engine is None:
                engine = self._engine = _open(self._weights)
            return engine


def _open(folder: Path) -> _Engine:
    import onnxruntime

    tokenizer = _open_tokenizer(folder)
    _verify(folder, MODEL_FILE)
    options = onnxruntime.SessionOptions()
    options.enable_cpu_mem_arena = False  # the arena keeps the largest batch's memory for ever
    options.intra_op_num_threads = 1  # threads take a text each, which is faster than sharing one
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(str(folder / MODEL_FILE), options, providers=["CPUExecutionProvider"])
    return _Engine(session, tokenizer, ThreadPoolExecutor(_threads(), thread_name_prefix="embed"))


def _open_tokenizer(folder: Path) -> Any:
    from tokenizers import Tokenizer

    _verify(folder, TOKENIZER_FILE)
    return Tokenizer.from_file(str(folder / TOKENIZER_FILE))


def _threads() -> int:
    return max(1, min(MAX_THREADS, os.cpu_count() or 2))


def _verify(folder: Path, wanted: str) -> None:
    """Compare a file with SHA256SUMS. Raises StorageFailed naming the file that is missing or damaged."""
    broken = "The embedding model's file {} is {}; install Hearth again or restore the file from its repository."
    name = "SHA256SUMS"
    try:
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        sums = {file: digest for digest, _, file in (line.partition("  ") for line in lines)}
        name = wanted
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sums.get(name):
                raise StorageFailed(broken.format(name, "damaged"))
    except OSError:
        raise StorageFailed(broken.format(name, "missing")) from None


def _tokenise(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Word piece ids of each text, at most 256. Text after text: the tokenizer's own threads would outlive a fork."""
    return [tokenizer.encode(_encodable(text[:MAX_CHARS])).ids for text in texts]


def _encodable(text: str) -> str:
    """The text without lone surrogates, which come out of broken PDFs and cannot be UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _embed(engine: _Engine, texts: Sequence[str]) -> FloatArray:
    """Shape (len(texts), 384)."""
    return _run(engine, _tokenise(engine.tokenizer, texts))


def _run(engine: _Engine, windows: Sequence[Sequence[int]]) -> FloatArray:
    """Shape (len(windows), 384). The graph pools over the attention mask and normalises."""
    import numpy as np

    vectors = np.zeros((len(windows), DIMENSIONS), dtype=np.float32)
    for row, ids in enumerate(windows):
        input_ids = np.array([ids], dtype=np.int64)
        inputs = {"input_ids": input_ids, "attention_mask": np.ones_like(input_ids)}
        vectors[row] = engine.session.run(None, inputs)[0][0]
    return vectors


async def _run_all(engine: _Engine, windows: Sequence[Sequence[int]]) -> FloatArray:
    """Like _run, by all threads, in turns of at most 8 windows or 256 word pieces."""
    import numpy as np

    loop = asyncio.get_running_loop()
    if len(windows) == 1:
        return await loop.run_in_executor(engine.pool, _run, engine, windows)
    vectors = np.zeros((len(windows), DIMENSIONS), dtype=np.float32)
    turns = _turns([len(ids) for ids in windows])

    async def work() -> None:
        for turn in turns:
            vectors[turn] = await loop.run_in_executor(engine.pool, _run, engine, windows[turn])

    workers = [asyncio.ensure_future(work()) for _ in range(_threads())]
    try:
        await asyncio.gather(*workers)
    finally:
        for each in workers:
            each.cancel()
    return vectors


def _turns(lengths: Sequence[int]) -> Iterator[slice]:
    start = tokens = 0
    for position, length in enumerate(lengths):
        if position > start and (position - start == BATCH or tokens + length > TURN_TOKENS):
            yield slice(start, position)
            start, tokens = position, 0
        tokens += length
    if start < len(lengths):
        yield slice(start, len(lengths))


def _all_windows(engine: _Engine, texts: Sequence[str]) -> list[list[list[int]]]:
    """Of each text its windows of at most 256 word piece ids, marks of begin and end included."""
    return [[ids for part in parts(_encodable(text)) for ids in _windows(engine, part)] for text in texts]


def _windows(engine: _Engine, part: str) -> list[list[int]]:
    encoding = engine.tokenizer.encode(part)
    return [encoding.ids, *(rest.ids for rest in encoding.overflowing)]


def _counted(engine: _Engine, text: str) -> int:
    """Word pieces of the whole text; counting stops soon after STOP_COUNTING."""
    tokens = MARKS
    for part in parts(_encodable(text)):
        tokens += sum(len(ids) - MARKS for ids in _windows(engine, part))
        if tokens > STOP_COUNTING:
            break
    return tokens


def _joined(windows: Sequence[Sequence[Sequence[int]]], vectors: FloatArray) -> Embedded:
    """A vector for each text from those of its windows."""
    import numpy as np

    joined = np.zeros((len(windows), DIMENSIONS), dtype=np.float32)
    start = 0
    for row, of_text in enumerate(windows):
        end = start + len(of_text)
        joined[row] = mean_of(vectors[start:end], [len(ids) for ids in of_text])
        start = end
    tokens = sum(MARKS + sum(len(ids) - MARKS for ids in of_text) for of_text in windows)
    return Embedded(joined, tokens)
