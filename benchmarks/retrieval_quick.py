"""Quality and speed of retrieval, straight through embedder and vector store: no server, no HTTP.

    python -m benchmarks.retrieval_quick FOLDER

FOLDER is a collection in BEIR form: `corpus.jsonl`, `queries.test.jsonl`, `qrels.test.tsv`. Prints nDCG@10 and R@10
over all test queries, for whole documents and for chunks of 1000/200 characters (a document counts by its best chunk),
the chunks embedded in a second, and the milliseconds of a search. About ten minutes for 5000 documents on two cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from langchain_text_splitters import RecursiveCharacterTextSplitter

from backend.config.settings import Settings
from backend.embeddings import minilm
from backend.embeddings.port import Embedder
from backend.models.documents import DocumentChunk
from backend.models.run import DEFAULT_TENANT, Owner
from backend.vector_store import faiss
from backend.vector_store.port import VectorStore

OWNER = Owner(DEFAULT_TENANT, "benchmark")
DEPTH = 100
"""Chunks asked for, so that ten different documents are among them."""
ADD_BATCH = 512

Judgements = dict[str, dict[str, int]]


def read_lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_judgements(path: Path) -> Judgements:
    judged: Judgements = {}
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        judged.setdefault(query, {})[document] = int(grade)
    return judged


def ndcg(found: Sequence[str], judged: dict[str, int], depth: int = 10) -> float:
    """As trec_eval computes it: gain is the grade, discount log2(rank + 1)."""
    gained = sum(judged.get(document, 0) / math.log2(rank + 2) for rank, document in enumerate(found[:depth]))
    ideal = sorted(judged.values(), reverse=True)[:depth]
    return gained / sum(grade / math.log2(rank + 2) for rank, grade in enumerate(ideal))


def recall(found: Sequence[str], judged: dict[str, int], depth: int = 10) -> float:
    return len(set(found[:depth]) & judged.keys()) / len(judged)


async def fill(
    store: VectorStore, embedder: Embedder, documents: Sequence[dict[str, str]], split: Callable[[str], list[str]]
) -> tuple[int, float]:
    """Index all documents; number of chunks and seconds of embedding."""
    chunks = [
        DocumentChunk(document["_id"], f"{document['_id']}.txt", index, text)
        for document in documents
        for index, text in enumerate(split(f"{document['title']}\n{document['text']}"))
    ]
    seconds = 0.0
    for start in range(0, len(chunks), ADD_BATCH):
        batch = chunks[start : start + ADD_BATCH]
        began = time.perf_counter()
        vectors = await embedder.embed_documents([chunk.text for chunk in batch])
        seconds += time.perf_counter() - began
        await store.add(OWNER, batch, vectors, embedder.name)
    return len(chunks), seconds


async def ask(
    store: VectorStore, embedder: Embedder, queries: dict[str, str], judged: Judgements
) -> tuple[float, float, float, float]:
    """nDCG@10, R@10, and the median milliseconds of embedding a query and of searching."""
    gains, recalls, embedding, searching = [], [], [], []
    for query, wanted in judged.items():
        began = time.perf_counter()
        vector = await embedder.embed_query(queries[query])
        embedded = time.perf_counter()
        hits = await store.search(OWNER, vector, queries[query], DEPTH)
        searching.append(time.perf_counter() - embedded)
        embedding.append(embedded - began)
        found = list(dict.fromkeys(hit.chunk.file_id for hit in hits))
        gains.append(ndcg(found, wanted))
        recalls.append(recall(found, wanted))
    milliseconds = [statistics.median(times) * 1000 for times in (embedding, searching)]
    return statistics.fmean(gains), statistics.fmean(recalls), milliseconds[0], milliseconds[1]


async def measure(collection: Path, limit: int | None) -> None:
    documents = read_lines(collection / "corpus.jsonl")[:limit]
    queries = {each["_id"]: each["text"] for each in read_lines(collection / "queries.test.jsonl")}
    judged = read_judgements(collection / "qrels.test.tsv")
    splitter = RecursiveCharacterTextSplitter(chunk_size=1000, chunk_overlap=200)
    ways: dict[str, Callable[[str], list[str]]] = {"whole": lambda text: [text], "1000/200": splitter.split_text}
    embedder = minilm.create(Settings(), minilm.MODEL)
    print(f"{len(documents)} documents, {len(judged)} queries, fused search")
    print("| units | chunks | nDCG@10 | R@10 | chunks/s | query embedding ms | search ms | open s |")
    print("|---|---|---|---|---|---|---|---|")
    for name, split in ways.items():
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(data_dir=Path(folder))
            count, seconds = await fill(faiss.create(settings), embedder, documents, split)
            store = faiss.create(settings)
            began = time.perf_counter()
            await store.count(OWNER)
            opened = time.perf_counter() - began
            gain, found, query_ms, search_ms = await ask(store, embedder, queries, judged)
            print(
                f"| {name} | {count} | {gain:.4f} | {found:.4f} | {count / seconds:.0f} | {query_ms:.1f}"
                f" | {search_ms:.1f} | {opened:.1f} |",
                flush=True,
            )
            await store.aclose()
    await embedder.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("collection", type=Path)
    parser.add_argument("--limit", type=int, help="only the first documents, to try it out")
    options = parser.parse_args()
    asyncio.run(measure(options.collection, options.limit))


if __name__ == "__main__":
    main()
