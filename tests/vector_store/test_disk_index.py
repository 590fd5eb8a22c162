"""The index on disk by itself: the scores of words, merging, graphs, erasing, and what older servers wrote."""

from __future__ import annotations

import base64
import json
import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backend.models.documents import DocumentChunk, Hit
from backend.vector_store import postings, upkeep
from backend.vector_store.disk_index import DiskIndex
from backend.vector_store.index_state import Limits
from backend.vector_store.segment_writer import units_of
from backend.vector_store.words import Words
from tests.vector_store.conftest import chunk

DIMENSION = 8


def index_at(folder: Path, limits: Limits | None = None) -> DiskIndex:
    return DiskIndex(folder, Words(), limits or Limits())


def vectors(count: int, seed: int = 0, dimension: int = DIMENSION) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal((count, dimension), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def fill(index: DiskIndex, *chunks: DocumentChunk) -> None:
    index.add(chunks, vectors(len(chunks)), "r")


def found(index: DiskIndex, query: str, limit: int = 10, files: list[str] | None = None) -> list[tuple[str, float]]:
    return [(hit.chunk.text, hit.parts["lexical"]) for hit in index.search(None, query, limit, files)]


# ---- words --------------------------------------------------------------------------------------


def test_scores_are_those_of_the_formula(tmp_path: Path) -> None:
    """Three files of 2, 1 and 3 words, so an average of 2. "cat" is in two of them, "dog" in two, "bird" in one.

    Each file is one passage with one chunk, so both parts of the score are equal. k1 = 1.5, b = 0.75; damping for
    lengths 2, 1 and 3: 1.5, 0.9375 and 2.0625. Each is in a segment of its own.
    """
    index = index_at(tmp_path)
    for file_id, text in {"f1": "cat dog", "f2": "cat", "f3": "dog dog bird"}.items():
        fill(index, chunk(text, file_id))
    in_two, in_one = math.log(1 + 1.5 / 2.5), math.log(1 + 2.5 / 1.5)
    assert found(index, "cat") == [
        ("cat", pytest.approx(in_two * 1 / (1 + 0.9375), rel=1e-5)),
        ("cat dog", pytest.approx(in_two * 1 / (1 + 1.5), rel=1e-5)),
    ]
    assert found(index, "dog bird") == [
        ("dog dog bird", pytest.approx(in_two * 2 / (2 + 2.0625) + in_one * 1 / (1 + 2.0625), rel=1e-5)),
        ("cat dog", pytest.approx(in_two * 1 / (1 + 1.5), rel=1e-5)),
    ]


def test_a_word_asked_for_twice_counts_twice(tmp_path: Path) -> None:
    index = index_at(tmp_path)
    fill(index, chunk("cat dog", "f1"), chunk("bird", "f2"))
    assert found(index, "cat cat")[0][1] == pytest.approx(2 * found(index, "cat")[0][1], rel=1e-6)


def test_a_chunk_profits_from_the_passage_it_stands_in_and_its_own_words_decide_within(tmp_path: Path) -> None:
    index = index_at(tmp_path)
    fill(
        index,
        chunk("The vacation policy applies to every employee.", "f1", 0),
        chunk("Thirty days are granted.", "f1", 1),
        chunk("Parking is free.", "f2", 0),
    )
    assert [text for text, _ in found(index, "vacation policy")] == [
        "The vacation policy applies to every employee.",
        "Thirty days are granted.",
    ]


def test_headings_and_the_words_of_the_file_name_are_found(tmp_path: Path) -> None:
    index = index_at(tmp_path)
    under = replace(chunk("Thirty days.", "f1"), heading=("Vacation", "Employees"), filename="Handbook-2024.pdf")
    fill(index, under, chunk("Ten days.", "f2"))
    assert [text for text, _ in found(index, "employee vacation")] == ["Thirty days."]
    assert [text for text, _ in found(index, "handbook")] == ["Thirty days."]
    assert index.chunks_of("f1") == [under]


def test_files_limit_what_is_found_but_not_the_statistics(tmp_path: Path) -> None:
    index = index_at(tmp_path)
    fill(index, chunk("cat dog", "f1"), chunk("cat", "f2"), chunk("bird", "f3"))
    scores = dict(found(index, "cat"))
    assert dict(found(index, "cat", files=["f2", "unknown"])) == {"cat": scores["cat"]}
    assert found(index, "cat", files=[]) == []
    assert dict(found(index, "cat", files=[f"f{n}" for n in range(10_000)])) == scores


def test_documents_in_several_languages_are_each_found_in_their_own_forms(tmp_path: Path) -> None:
    index = index_at(tmp_path)
    german = "Die Verträge werden von der Firma und dem Kunden unterschrieben, wenn sie nicht gekündigt sind."
    english = "The contracts are signed by the company and the customer if they were not terminated."
    fill(index, chunk(german, "f1"))
    fill(index, chunk(english, "f2"))
    assert [text for text, _ in found(index, "Vertrag Kunde")] == [german]
    assert [text for text, _ in found(index, "contract customers")] == [english]


def test_passages_are_about_equally_long_and_never_span_documents() -> None:
    doc = np.array([0] * 12 + [1] * 2 + [2])
    units = units_of(doc, np.full(15, 1000))
    assert units.tolist() == [0] * 4 + [1] * 4 + [2] * 4 + [3, 3, 4]
    assert len(units_of(np.empty(0, dtype=int), np.empty(0))) == 0


def test_merged_postings_are_those_of_all_texts_together() -> None:
    chance = random.Random(3)
    texts = [[chance.randrange(1, 40) for _ in range(chance.randrange(12))] for _ in range(60)]
    parts = [postings.build(texts[start : start + 20]) for start in (0, 20, 40)]
    numbers = [np.arange(start, start + 20) for start in (0, 20, 40)]
    numbers[1][5] = -1
    merged = postings.merge(list(zip(parts, numbers, strict=True)))
    whole = postings.build([text if row != 25 else [] for row, text in enumerate(texts)])
    for one, other in zip(merged.sections().values(), whole.sections().values(), strict=True):
        assert one.tolist() == other.tolist()


# ---- after many changes -------------------------------------------------------------------------


def test_after_any_changes_it_answers_like_a_fresh_index(tmp_path: Path) -> None:
    """Enough writes for merges, replacements and rewritten segments on the way; compared merged into one."""
    chance = random.Random(7)
    words = [f"word{n}" for n in range(60)]
    index = index_at(tmp_path / "worn")
    chunks: dict[tuple[str, int], tuple[DocumentChunk, np.ndarray]] = {}
    for step in range(90):
        file_id = f"f{chance.randrange(25)}"
        if chance.random() < 0.3:
            index.delete(file_id)
            chunks = {key: kept for key, kept in chunks.items() if key[0] != file_id}
            continue
        batch = [chunk(" ".join(chance.choices(words, k=9)), file_id, n) for n in range(chance.randrange(1, 9))]
        rows = vectors(len(batch), step)
        index.add(batch, rows, "r")
        chunks.update({(each.file_id, each.index): (each, row) for each, row in zip(batch, rows, strict=True)})
    assert index.count() == len(chunks)
    assert len(index.segments) < 15
    fresh = index_at(tmp_path / "fresh")
    fresh.add([each for each, _ in chunks.values()], np.stack([row for _, row in chunks.values()]), "r")
    for number in range(25):
        assert index.chunks_of(f"f{number}") == fresh.chunks_of(f"f{number}")
    query = vectors(1, 1000)[0]
    reopened = index_at(tmp_path / "worn")
    for one in (index, reopened):
        cosines = {_key(hit): hit.parts["dense"] for hit in one.search(query, "", 500, None)}
        expected = {_key(hit): hit.parts["dense"] for hit in fresh.search(query, "", 500, None)}
        assert cosines == pytest.approx(expected, abs=1e-6)
        own = {_key(hit) for hit in one.search(None, "word1 word2", 500, None)}
        assert {_key(hit) for hit in fresh.search(None, "word1 word2", 500, None) if _says(hit)} <= own


def _key(hit: Hit) -> tuple[str, int]:
    return hit.chunk.file_id, hit.chunk.index


def _says(hit: Hit) -> bool:
    return bool({"word1", "word2"} & set(hit.chunk.text.split()))


def test_hits_carry_the_vectors_they_were_added_with(tmp_path: Path) -> None:
    index = index_at(tmp_path)
    rows = vectors(3)
    index.add([chunk(f"text {n}", f"f{n}") for n in range(3)], rows, "r")
    for hit in index.search(rows[0], "text", 3, None):
        assert hit.vector is not None
        assert hit.vector.tolist() == rows[int(hit.chunk.file_id[1])].tolist()


# ---- large indexes ------------------------------------------------------------------------------

SMALL_LIMITS = Limits(at_once=100, graph_index=300, graph_segment=100)


def large(folder: Path) -> tuple[DiskIndex, np.ndarray]:
    """800 chunks of 40 files, with its upkeep done."""
    index, rows = index_at(folder, SMALL_LIMITS), vectors(800, dimension=32)
    for start in range(0, 800, 40):
        batch = [chunk(f"text{n}-secret", f"f{n // 20}", n % 20) for n in range(start, start + 40)]
        index.add(batch, rows[start : start + 40], "r")
    assert len(index.segments) > 1
    while upkeep.run(index, lambda: False):
        pass
    return index, rows


def test_a_large_index_is_searched_by_graphs_that_find_what_an_exact_search_finds(tmp_path: Path) -> None:
    index, rows = large(tmp_path)
    assert list(tmp_path.rglob("*.graph"))
    assert any(index.has_graph(segment) for segment in index.segments.values())
    hits = 0
    for query in vectors(20, 5, 32):
        exact = np.argsort(-(rows @ query))[:10].tolist()
        hits += len({f"text{n}-secret" for n in exact} & {h.chunk.text for h in index.search(query, "", 10, None)})
    assert hits >= 0.97 * 200


def test_a_damaged_graph_is_done_without_and_built_again(tmp_path: Path) -> None:
    index, rows = large(tmp_path)
    for path in tmp_path.rglob("*.graph"):
        path.write_bytes(b"rubbish")
    index = index_at(tmp_path, SMALL_LIMITS)
    assert index.search(rows[5], "", 1, None)[0].chunk.text == "text5-secret"
    assert not list(tmp_path.rglob("*.graph"))
    while upkeep.run(index, lambda: False):
        pass
    assert list(tmp_path.rglob("*.graph"))
    assert index.search(rows[5], "", 1, None)[0].chunk.text == "text5-secret"


def test_a_search_limited_to_files_is_exact_in_a_large_index(tmp_path: Path) -> None:
    index, rows = large(tmp_path)
    for files in ([7], list(range(30))):
        among = [n for n in range(800) if n // 20 in files]
        for query in vectors(5, 6, 32):
            exact = sorted(among, key=lambda n: -float(rows[n] @ query))[:10]
            hits = index.search(query, "", 10, [f"f{number}" for number in files])
            assert [hit.chunk.text for hit in hits] == [f"text{n}-secret" for n in exact]


def test_iso_4_a_graph_finds_and_keeps_nothing_of_a_deleted_document(tmp_path: Path) -> None:
    index, rows = large(tmp_path)
    for number in range(4):
        assert index.delete(f"f{number}") == 20
    assert any(index.has_graph(segment) for segment in index.segments.values())
    found_files = {hit.chunk.file_id for query in rows[:40] for hit in index.search(query, "", 50, None)}
    assert found_files
    assert not found_files & {"f0", "f1", "f2", "f3"}
    content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"text3-secret" not in content
    assert rows[3].tobytes() not in content
    graph = next(tmp_path.rglob("*.graph")).read_bytes()
    rows_of_graph = max(segment.rows for segment in index.segments.values())
    erased = [n for n in range(rows_of_graph) if not any(graph[len(graph) - (rows_of_graph - n) * 32 :][:32])]
    assert len(erased) >= 20


def test_a_large_index_with_much_erased_is_written_anew(tmp_path: Path) -> None:
    index, rows = large(tmp_path)
    for number in range(20):
        index.delete(f"f{number}")
    while upkeep.run(index, lambda: False):
        pass
    assert sum(segment.rows for segment in index.segments.values()) <= 1.4 * 400
    assert index.count() == 400
    assert index.search(rows[500], "", 1, None)[0].chunk.text == "text500-secret"


def test_upkeep_that_a_deletion_overtakes_leaves_nothing_behind(tmp_path: Path) -> None:
    index, _ = index_at(tmp_path, SMALL_LIMITS), None
    for start in range(0, 400, 80):
        fill(index, *(chunk(f"text{n}-secret", f"f{n // 20}", n % 20) for n in range(start, start + 80)))
    job = upkeep.next_job(index)
    assert job is not None
    asked = 0

    def delete_midway() -> bool:
        nonlocal asked
        asked += 1
        if asked == 2:
            index.delete("f0")
        return False

    upkeep.run(index, delete_midway)
    assert index.chunks_of("f0") == []
    content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"text3-secret" not in content
    assert not list(tmp_path.rglob("*.new"))
    while upkeep.run(index, lambda: False):
        pass
    assert index.count() == 380


# ---- older servers ------------------------------------------------------------------------------


def former_line(file_id: str, texts: dict[int, str], rows: np.ndarray) -> bytes:
    chunks = [{"index": index, "page": 3, "text": text} for index, text in texts.items()]
    encoded = base64.b64encode(rows.astype("<f4").tobytes()).decode()
    about = {"file_id": file_id, "filename": f"{file_id}.txt", "chunks": chunks, "vectors": encoded}
    return json.dumps(about).encode() + b"\n"


def former(folder: Path, rows: np.ndarray) -> Path:
    generation = folder / "000001"
    generation.mkdir(parents=True)
    manifest = {"generation": 1, "embedder": "hash", "dimension": DIMENSION, "whole": True, "version": 1}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    first = former_line("f1", {0: "one", 1: "two"}, rows[:2])
    (generation / "a.jsonl").write_bytes(first + former_line("f1", {2: "three"}, rows[2:3]) + b'{"cut off')
    (generation / "b.jsonl").write_bytes(former_line("f2", {0: "old-secret"}, rows[3:4]))
    (generation / "batch.jsonl").write_bytes(former_line("f2", {0: "decided"}, rows[4:5]))
    return generation


def test_an_index_of_an_older_server_is_taken_over_whole(tmp_path: Path) -> None:
    rows = vectors(5)
    generation = former(tmp_path, rows)
    index = index_at(tmp_path)
    assert [each.text for each in index.chunks_of("f1")] == ["one", "two", "three"]
    assert [(each.text, each.page) for each in index.chunks_of("f2")] == [("decided", 3)]
    hit = index.search(rows[1], "two", 1, None)[0]
    assert (hit.chunk.text, hit.vector.tolist() if hit.vector is not None else None) == ("two", rows[1].tolist())
    assert (index.recipe(), index.needs_reindex("hash"), index.needs_reindex("other")) == ("hash", False, True)
    assert not generation.exists()
    assert b"old-secret" not in b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    fill_again = index_at(tmp_path)
    fill_again.add([chunk("more", "f3")], vectors(1), "hash")
    assert fill_again.count() == 5


def test_taking_over_starts_again_after_a_crash(tmp_path: Path) -> None:
    former(tmp_path, vectors(5))
    half = tmp_path / "000002"
    half.mkdir()
    (half / "0000000001-0000000001.seg").write_bytes(b"half of it")
    index = index_at(tmp_path)
    assert (index.count(), index.needs_reindex("hash")) == (4, False)


@pytest.mark.parametrize("line", [b"not json\n", b"[]\n", b'{"file_id":"f1"}\n', b"\x00" * 64 + b"\n", b"\xff\xfe\n"])
def test_a_damaged_line_of_an_older_server_calls_for_indexing_again(tmp_path: Path, line: bytes) -> None:
    generation = former(tmp_path, vectors(5))
    (generation / "b.jsonl").write_bytes(line)
    index = index_at(tmp_path)
    assert index.count() == 4
    assert index.needs_reindex("hash")
