"""Quality and speed of retrieval through the front door: a real server, documents uploaded, questions asked over HTTP.

    python -m benchmarks.retrieval [FOLDER...] [--limit N] [--no-extra] [--write]

FOLDER is a collection in BEIR form: `corpus.jsonl`, `queries.test.jsonl`, `qrels.test.tsv`. Two collections made of
what this machine has installed come with it unless `--no-extra` says otherwise. Every document is uploaded as a text
file, ten a request; when all are ready each question is asked through POST /api/search and through a vector store,
with default settings. `--write` puts the table into docs/retrieval.md.

A document counts by its best passage. nDCG as trec_eval computes it: gain is the grade, discount log2(rank + 1).
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import re
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from backend.config.settings import Settings
from backend.embeddings import minilm
from backend.models.run import DEFAULT_TENANT, Owner
from backend.vector_store import faiss
from benchmarks.retrieval_sets import Collection, beir, german_manuals, installed_docs
from tests.server import HearthServer

DOC = Path(__file__).resolve().parents[1] / "docs" / "retrieval.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
DEFAULT_SET = Path(__file__).resolve().parents[2] / "shared" / "data" / "rag-dev"
PUBLISHED = {
    "rag-dev": "published for whole documents, nDCG@10: BM25 0.687, all-MiniLM-L6-v2 0.645, bge-small-en-v1.5 0.713"
}
PER_UPLOAD, PER_BATCH, TOP_K, DEPTH = 10, 2000, 50, 100
PROBE_SECONDS = 0.1
PATIENCE_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over all questions; `cpu_ms` is what the server computes for one."""

    ndcg: float
    recall: float
    mrr: float
    cpu_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    collection: Collection
    ways: dict[str, Quality]
    chunks: int
    seconds: float
    health_p99_ms: float
    search_p50_ms: float


def quality(found: dict[str, list[str]], judged: dict[str, dict[str, int]], cpu_ms: float | None = None) -> Quality:
    """`found` are documents by question, best first."""
    gains, recalls, ranks = [], [], []
    for query, grades in judged.items():
        documents = list(dict.fromkeys(found[query]))[:10]
        gained = sum(grades.get(each, 0) / math.log2(rank + 2) for rank, each in enumerate(documents))
        ideal = sum(grade / math.log2(rank + 2) for rank, grade in enumerate(sorted(grades.values())[::-1][:10]))
        gains.append(gained / ideal)
        recalls.append(len(grades.keys() & documents) / len(grades))
        ranks.append(next((1 / rank for rank, each in enumerate(documents, 1) if each in grades), 0.0))
    return Quality(statistics.fmean(gains), statistics.fmean(recalls), statistics.fmean(ranks), cpu_ms)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def probing(server: HearthServer) -> Iterator[list[float]]:
    """Milliseconds of GET /health, asked ten times a second beside whatever goes on."""
    taken: list[float] = []
    over = threading.Event()

    def probe() -> None:
        with server.client("") as client:
            while not over.wait(PROBE_SECONDS):
                began = time.perf_counter()
                client.get("/health")
                taken.append((time.perf_counter() - began) * 1000)

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield taken
    finally:
        over.set()
        thread.join()


def upload(client: httpx.Client, collection: Collection) -> dict[str, str]:
    """Every document as a file; document by file id."""
    ids: dict[str, str] = {}
    items = list(collection.documents.items())
    for start in range(0, len(items), PER_UPLOAD):
        batch = items[start : start + PER_UPLOAD]
        files = [("file", (f"{key}.txt", text.encode())) for key, text in batch]
        answer = client.post("/api/files/upload", files=files)
        answer.raise_for_status()
        made = answer.json().get("files") or [answer.json()]
        ids.update({document["file_id"]: key for document, (key, _) in zip(made, batch, strict=True)})
    return ids


def wait_ready(client: httpx.Client, ids: dict[str, str]) -> int:
    """Until every document is ready; the number of their chunks."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        documents: list[dict[str, Any]] = []
        page = 1
        while more := client.get("/api/files/documents", params={"page": page, "limit": 200}).json()["documents"]:
            documents += more
            page += 1
        states = [each["status"] for each in documents if each["file_id"] in ids]
        if "failed" in states:
            raise SystemExit("A document could not be read.")
        if states.count("ready") == len(ids):
            return sum(each["chunks"] for each in documents if each["file_id"] in ids)
        print(f"  {states.count('ready')} of {len(ids)} documents", flush=True)
        time.sleep(min(15.0, max(0.5, len(ids) / 300)))
    raise SystemExit("The documents did not become ready in time.")


def ask(server: HearthServer, collection: Collection, one: Callable[[str], list[str]]) -> tuple[Quality, float]:
    """The quality of a way to search, and the median milliseconds that a question took."""
    found: dict[str, list[str]] = {}
    taken: list[float] = []
    before = cpu_seconds(server.pid)
    for query, text in collection.queries.items():
        began = time.perf_counter()
        found[query] = one(text)
        taken.append((time.perf_counter() - began) * 1000)
    cpu_ms = (cpu_seconds(server.pid) - before) * 1000 / max(1, len(taken))
    return quality(found, collection.judged, cpu_ms), statistics.median(taken)


def through_search(client: httpx.Client, ids: dict[str, str]) -> Callable[[str], list[str]]:
    def one(text: str) -> list[str]:
        answer = client.post("/api/search", json={"query": text, "top_k": TOP_K})
        answer.raise_for_status()
        return [ids[hit["file_id"]] for hit in answer.json()["hits"]]

    return one


def through_vector_store(client: httpx.Client, ids: dict[str, str]) -> Callable[[str], list[str]]:
    every = list(ids)
    store = client.post("/v1/vector_stores", json={"name": "benchmark"}).json()["id"]
    for start in range(0, len(every), PER_BATCH):
        batch = {"file_ids": every[start : start + PER_BATCH]}
        client.post(f"/v1/vector_stores/{store}/file_batches", json=batch).raise_for_status()

    def one(text: str) -> list[str]:
        answer = client.post(f"/v1/vector_stores/{store}/search", json={"query": text, "max_num_results": TOP_K})
        answer.raise_for_status()
        return [ids[result["file_id"]] for result in answer.json()["data"]]

    return one


async def alone(folder: Path, user: str, collection: Collection, ids: dict[str, str]) -> dict[str, Quality]:
    """Each half of the search by itself, on the index that the server has left."""
    settings = Settings(_env_file=None, data_dir=folder / "data")
    store, embedder = faiss.create(settings), minilm.create(settings, minilm.MODEL)
    owner = Owner(DEFAULT_TENANT, user)
    dense: dict[str, list[str]] = {}
    words: dict[str, list[str]] = {}
    for query, text in collection.queries.items():
        near = await store.search(owner, await embedder.embed_query(text), "", DEPTH)
        said = await store.search(owner, None, text, DEPTH)
        dense[query] = [ids[hit.chunk.file_id] for hit in near]
        words[query] = [ids[hit.chunk.file_id] for hit in said]
    await store.aclose()
    await embedder.aclose()
    return {
        "dense alone": quality(dense, collection.judged),
        "BM25 alone": quality(words, collection.judged),
    }


def measure(collection: Collection) -> Measured:
    print(
        f"{collection.name}: {len(collection.documents)} documents, {len(collection.queries)} {collection.about}",
        flush=True,
    )
    ways: dict[str, Quality] = {}
    with tempfile.TemporaryDirectory(prefix="hearth-retrieval-") as name:
        folder = Path(name)
        with HearthServer(folder, MAX_DOCUMENTS_PER_USER="100000") as server, server.client() as client:
            client.post("/v1/embeddings", json={"model": "hearth", "input": "loaded"}).raise_for_status()
            user: str = client.get("/api/auth/me").json()["id"]
            began = time.perf_counter()
            with probing(server) as probes:
                ids = upload(client, collection)
                chunks = wait_ready(client, ids)
            seconds = time.perf_counter() - began
            ways["`POST /api/search`"], p50 = ask(server, collection, through_search(client, ids))
            ways["`/v1/vector_stores`"], _ = ask(server, collection, through_vector_store(client, ids))
        ways |= asyncio.run(alone(folder, user, collection, ids))
    p99 = sorted(probes)[int(len(probes) * 0.99)] if probes else 0.0
    return Measured(collection, ways, chunks, seconds, p99, p50)


def table(results: Sequence[Measured]) -> str:
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d} by `make bench-retrieval` with default settings; a document counts"
        " by its best passage. CPU is what the server computes for one question, HTTP and query embedding included.",
        "",
        "| collection | search | nDCG@10 | R@10 | MRR@10 | CPU ms |",
        "|---|---|---|---|---|---|",
    ]
    for each in results:
        for way, got in each.ways.items():
            cpu = "" if got.cpu_ms is None else f"{got.cpu_ms:.1f}"
            lines.append(
                f"| {each.collection.name} | {way} | {got.ndcg:.3f} | {got.recall:.3f} | {got.mrr:.3f} | {cpu} |"
            )
    lines += [
        "",
        "| collection | documents | questions | chunks | chunks/s | health p99 ms |",
        "|---|---|---|---|---|---|",
    ]
    for each in results:
        asked = f"{len(each.collection.queries)} {each.collection.about}"
        lines.append(
            f"| {each.collection.name} | {len(each.collection.documents)} | {asked} | {each.chunks}"
            f" | {each.chunks / each.seconds:.0f} | {each.health_p99_ms:.0f} |"
        )
    notes = [f"{each.collection.name}: {PUBLISHED[each.collection.name]}." for each in results if _has_notes(each)]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def _has_notes(each: Measured) -> bool:
    return each.collection.name in PUBLISHED


def write(text: str) -> None:
    """Into the document, between its two marks."""
    before = DOC.read_text(encoding="utf-8")
    fresh = re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{text}\n{END}", before, flags=re.DOTALL)
    DOC.write_text(fresh, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="*", default=[DEFAULT_SET] if DEFAULT_SET.is_dir() else [])
    parser.add_argument("--limit", type=int, help="only the first documents of each, to try it out")
    parser.add_argument("--no-extra", action="store_true", help="leave out what is made of installed files")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOC.name}")
    options = parser.parse_args()
    collections = [beir(folder) for folder in options.folders]
    if not options.no_extra:
        collections += [each for each in (installed_docs(), german_manuals()) if each.documents]
    results: list[Measured] = []
    for each in collections:
        results.append(measure(each.cut(options.limit)))
        print(table(results[-1:]), flush=True)
    text = table(results)
    print(text)
    if options.write:
        write(text)


if __name__ == "__main__":
    main()
