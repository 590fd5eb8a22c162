"""The labelled queries the router compares with.

What is learned from them with the embedder of the repository lies beside them in `routing_examples.npz`, so that the
first decision need not embed them; `scripts/embed_routing_examples.py` writes that file.
"""

from __future__ import annotations

import asyncio
import hashlib
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from backend.core.routing_kernel import Fitted, fit, letters_of
from backend.models.tools import ToolSpec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from backend.embeddings.port import Embedder, FloatArray

    ByteArray = npt.NDArray[np.uint8]

FILE = Path(__file__).with_name("routing_examples.jsonl")
LEARNED = Path(__file__).with_name("routing_examples.npz")
NEAR_ENOUGH = 0.2
"""Cosine of meaning below which the nearest example says nothing about a query."""
DOCUMENTS = "rag_retrieval"
ONE_OF = 3
"""Another embedder learns from one in so many examples: embedding all would keep a slow one busy for minutes."""
EMBEDDED_CHARS = 500
"""How much of a query is embedded: its kind shows early, and the time grows with the length."""
PATIENCE_S = 1.5
"""How long a decision waits for the embedder; later ones profit from what it has prepared by then."""


@dataclass(frozen=True, slots=True)
class Example:
    """A query with its right way. `tool` names the tool it needs, or is empty for a plain completion."""

    text: str
    lang: str
    agent: str
    tool: str


def load_examples(path: Path = FILE) -> list[Example]:
    """The examples of a file with one JSON object a line: text, lang, agent (chat or an agent's name), tool."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [Example(**orjson.loads(line)) for line in lines if line.strip()]


def digest_of(examples: Sequence[Example]) -> str:
    """What is learned depends on this: the texts, their tools and their order, as a SHA-256 in hexadecimal."""
    return hashlib.sha256("\n".join(f"{each.tool}\t{each.text}" for each in examples).encode()).hexdigest()


def learn(examples: Sequence[Example], vectors: FloatArray, coefficients: FloatArray | None = None) -> Fitted:
    """Learn to tell which tool a query needs, if any. `vectors` has shape (len(examples), d), rows of unit length."""
    labels = [example.tool for example in examples]
    return fit(labels, sorted(set(labels)), vectors, letters_of([e.text for e in examples]), coefficients)


def save(learned: Fitted, examples: Sequence[Example], embedder: str, path: Path = LEARNED) -> None:
    """Write what was learned: four bits a number of an embedding, two numbers a byte, which keep its cosines to a
    hundredth."""
    import numpy as np

    np.savez(
        path,
        vectors=_packed(learned.vectors),
        coefficients=learned.coefficients.astype(np.float16),
        digest=np.array(digest_of(examples)),
        embedder=np.array(embedder),
    )


def load_learned(examples: Sequence[Example], embedder: str, path: Path = LEARNED) -> Fitted | None:
    """What was learned before; None when the file was made of other examples or by another embedder, is missing or
    is damaged."""
    import numpy as np

    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if str(file["digest"]) != digest_of(examples) or str(file["embedder"]) != embedder:
                return None
            vectors = unpacked(file["vectors"])
            coefficients = file["coefficients"].astype(np.float32)
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile):
        return None
    if len(vectors) != len(examples) or len(coefficients) != len(examples):
        return None
    return learn(examples, vectors, coefficients)


def coarse(vectors: FloatArray) -> FloatArray:
    """The embeddings as they come back from the file: what is learned is learned from these."""
    return unpacked(_packed(vectors))


def _packed(vectors: FloatArray) -> ByteArray:
    """Shape (n, d) to (n, d / 2): each number as a step from 1 to 15 of its row's range."""
    import numpy as np

    steps = np.round(vectors / np.abs(vectors).max(axis=1, keepdims=True) * 7).astype(np.int8) + 8
    packed: ByteArray = (steps[:, 0::2] * 16 + steps[:, 1::2]).astype(np.uint8)
    return packed


def unpacked(packed: ByteArray) -> FloatArray:
    """Shape (n, d / 2) to (n, d), rows of unit length."""
    import numpy as np

    steps = np.stack([packed >> 4, packed & 15], axis=2).reshape(len(packed), -1)
    vectors = steps.astype(np.float32) - 8
    scaled: FloatArray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return scaled


def agentic_share(scores: Mapping[str, float], tools: set[str] | None, documents: bool) -> float:
    """How much a query looks like those that need a tool, in [0, 1], from its score by tool (`""`: none).

    Tools that are not offered do not count (`tools` None: all are), nor those for documents when there are none.
    """
    needed = sum(
        max(score, 0.0)
        for tool, score in scores.items()
        if tool and (tools is None or tool in tools) and (tool != DOCUMENTS or documents)
    )
    return needed / (needed + max(scores.get("", 0.0), 0.0) + 1e-9)


class Examples:
    """Examples ready to be compared with; the server's own data, nobody's queries."""

    def __init__(
        self, embedder: Embedder, path: Path = FILE, learned: Path = LEARNED, patience_s: float = PATIENCE_S
    ) -> None:
        self._embedder = embedder
        self._patience_s = patience_s
        self._path = path
        self._file = learned
        self._making: asyncio.Task[Fitted] | None = None
        self._learned: Fitted | None = None

    async def agentic_share(self, query: str, specs: Sequence[ToolSpec] | None, documents: bool) -> float | None:
        """How much a query looks like those that need one of the tools, in [0, 1].

        None when it is like none of them, or when the embedder is not ready after `patience_s` seconds: it goes on,
        and later queries are compared. Raises what the embedder raises.
        """
        try:
            async with asyncio.timeout(self._patience_s):
                learned = self._learned or await asyncio.shield(self._preparing())
                vector = await self._embedder.embed_query(query[:EMBEDDED_CHARS])
        except TimeoutError:
            return None
        assert learned is not None
        scores, nearest = learned.scores(query, vector)
        if nearest < NEAR_ENOUGH:
            return None
        return agentic_share(scores, None if specs is None else {spec.name for spec in specs}, documents)

    @contextmanager
    def only(self, known: Callable[[Example], bool]) -> Iterator[None]:
        """Know only some of the examples for a while; for measuring."""
        whole = self._learned
        if whole is None:
            raise RuntimeError("the examples have not been prepared yet")
        examples = load_examples(self._path)
        rows = [index for index, example in enumerate(examples) if known(example)]
        self._learned = learn([examples[row] for row in rows], whole.vectors[rows])
        try:
            yield
        finally:
            self._learned = whole

    async def aclose(self) -> None:
        """Stop preparing, if that is still going on."""
        if self._making is not None and not self._making.done():
            self._making.cancel()
            with suppress(asyncio.CancelledError):
                await self._making

    def _preparing(self) -> asyncio.Task[Fitted]:
        """The one task that prepares; a new one when the last failed or belongs to a loop that is gone."""
        task = self._making
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            task = self._making = asyncio.create_task(self._prepare())
        return task

    async def _prepare(self) -> Fitted:
        examples = await asyncio.to_thread(load_examples, self._path)
        learned = await asyncio.to_thread(load_learned, examples, self._embedder.name, self._file)
        if learned is None:
            examples = examples[::ONE_OF]
            vectors = await self._embedder.embed_documents([example.text for example in examples])
            learned = await asyncio.to_thread(learn, examples, vectors)
        self._learned = learned
        return learned
