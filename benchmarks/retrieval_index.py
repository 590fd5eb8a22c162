"""Speed and memory of the document index alone: made-up chunks, no embedder, no server.

    python -m benchmarks.retrieval_index [--chunks 10000 100000] [--users 100]

Vectors are clustered at random, texts drawn from 30,000 words by Zipf's law, queries have 8 words; all seeds fixed.
CPU time of the process, so that a busy machine does not count. Prints a Markdown table. About four minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from backend.models.documents import DocumentChunk
from backend.models.run import DEFAULT_TENANT, Owner
from backend.vector_store.faiss import FaissVectorStore

DIMENSION = 384
WORDS = 30_000
CHUNK_WORDS = 120
CHUNKS_OF_A_FILE = 50
CLUSTERS = 300
ADD_BATCH = 64
QUERIES = 60
BEST = 10
HEAD = (
    "| users | chunks of each | added chunks/s | open ms | search ms | search p95 ms | recall@10 | grown MB"
    " | process MB |"
)


class Maker:
    """Chunks, vectors and queries that are the same at every run."""

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._centres = np.random.default_rng(1).standard_normal((CLUSTERS, DIMENSION), dtype=np.float32)
        odds = 1 / np.arange(20, WORDS + 20)  # as if stop words were left out
        self._odds = np.cumsum(odds / odds.sum())

    def text(self, words: int) -> str:
        ranks = np.searchsorted(self._odds, self._random.random(words))
        return " ".join(_word(rank) for rank in ranks.tolist())

    def vectors(self, count: int) -> np.ndarray:
        chosen = self._centres[self._random.integers(0, CLUSTERS, count)]
        rows = chosen + self._random.standard_normal((count, DIMENSION), dtype=np.float32)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows

    def chunks(self, first: int, count: int) -> list[DocumentChunk]:
        return [
            DocumentChunk(f"file-{n // CHUNKS_OF_A_FILE}", "some.txt", n % CHUNKS_OF_A_FILE, self.text(CHUNK_WORDS))
            for n in range(first, first + count)
        ]


def _word(rank: int) -> str:
    """A word of letters for each rank, the same always."""
    letters = "aeioubcdfghjklmnprstvz"
    out = []
    number = rank + len(letters)
    while number:
        number, letter = divmod(number, len(letters))
        out.append(letters[letter])
    return "".join(out) + "ia"


def owner_of(number: int) -> Owner:
    return Owner(DEFAULT_TENANT, f"user-{number}")


def resident() -> int:
    """Bytes of this process that are in memory, mapped files included."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


async def fill(folder: Path, chunks: int, users: int) -> float:
    """Chunks a second of CPU time."""
    store = FaissVectorStore(folder)
    spent = 0.0
    for user in range(users):
        maker = Maker(user)
        for first in range(0, chunks, ADD_BATCH):
            count = min(ADD_BATCH, chunks - first)
            batch, vectors = maker.chunks(first, count), maker.vectors(count)
            began = time.process_time()
            await store.add(owner_of(user), batch, vectors, "made-up")
            spent += time.process_time() - began
    if store._upkeep is not None:
        await store._upkeep
    await store.aclose()
    return chunks * users / spent


async def ask(folder: Path, chunks: int, users: int) -> dict[str, float]:
    """Milliseconds of opening and of a search, recall against the exact answer, and the growth of memory."""
    store = FaissVectorStore(folder)
    maker = Maker(10_000)
    await store.search(owner_of(-1), None, "warm up", 1)
    import faiss  # noqa: F401  # loaded once a process, so no part of opening

    before = resident()
    began = time.process_time()
    await store.count(owner_of(0))
    opened = time.process_time() - began
    times: list[float] = []
    for number in range(max(QUERIES, users)):
        vector, text = maker.vectors(1)[0], maker.text(8)
        owner = owner_of(number % users)
        began = time.process_time()
        await store.search(owner, vector, text, BEST)
        times.append(time.process_time() - began)
    grown = resident() - before
    recalls = [await recall(store, maker.vectors(1)[0], chunks) for _ in range(20 if users == 1 else 0)]
    await store.aclose()
    return {
        "open": opened * 1000,
        "search": statistics.median(times) * 1000,
        "worst": sorted(times)[int(len(times) * 0.95)] * 1000,
        "memory": grown / 2**20,
        "total": (before + grown) / 2**20,
        "recall": statistics.fmean(recalls) if recalls else 1.0,
    }


async def recall(store: FaissVectorStore, vector: np.ndarray, chunks: int) -> float:
    """Share of the best that are found, against an exact search, which one limited to files is."""
    all_but_one = {f"file-{n}" for n in range(1, chunks // CHUNKS_OF_A_FILE)}
    exact = await store.search(owner_of(0), vector, "", BEST, files=all_but_one)
    found = await store.search(owner_of(0), vector, "", 2 * BEST)
    best = [hit.chunk for hit in found if hit.chunk.file_id in all_but_one][:BEST]
    return sum(hit.chunk in best for hit in exact) / len(exact)


def measure(chunks: int, users: int) -> str:
    """One row of the table; filling and asking in processes of their own, so that memory is that of asking."""
    with tempfile.TemporaryDirectory() as folder:
        answers = []
        for step in ("fill", "ask"):
            command = [sys.executable, "-m", "benchmarks.retrieval_index", "--step", step, "--folder", folder]
            command += ["--chunks", str(chunks), "--users", str(users)]
            answers.append(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip())
    return f"| {users} | {chunks:,} | {answers[0]} | {answers[1]} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, nargs="+", default=[10_000, 100_000], help="sizes of one user's index")
    parser.add_argument("--users", type=int, default=100, help="users with 1000 chunks each")
    parser.add_argument("--step", choices=["fill", "ask"], help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step == "fill":
        print(f"{asyncio.run(fill(options.folder, options.chunks[0], options.users)):,.0f}")
    elif options.step == "ask":
        found = asyncio.run(ask(options.folder, options.chunks[0], options.users))
        print(
            f"{found['open']:.1f} | {found['search']:.1f} | {found['worst']:.1f} | {found['recall']:.3f}"
            f" | {found['memory']:.0f} | {found['total']:.0f}"
        )
    else:
        print(HEAD)
        print("|---" * (HEAD.count(" | ") + 1) + "|")
        for chunks in options.chunks:
            print(measure(chunks, 1), flush=True)
        print(measure(1000, options.users), flush=True)


if __name__ == "__main__":
    main()
