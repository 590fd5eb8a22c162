"""Chunks that the embedder would cut are cut before, by its own count."""

from __future__ import annotations

import asyncio

import pytest

from backend.embeddings.minilm import MiniLM
from backend.models.documents import DocumentChunk
from backend.tasks.fitting import fitted, reads_whole
from tests.fakes.embedder import HashEmbedder


def chunk(text: str, index: int = 0, start: int = 0) -> DocumentChunk:
    return DocumentChunk("f", "a.txt", index, text, 7, "slide", "Intro", ("Head",), start, start + len(text), 3)


async def test_chunks_that_fit_are_only_counted_anew() -> None:
    chunks = [chunk("one two", 5), chunk("three", 9)]
    found = await fitted(chunks, HashEmbedder(), first=2)
    assert [each.index for each in found] == [2, 3]
    assert [each.text for each in found] == ["one two", "three"]


async def test_a_part_knows_its_own_place_and_keeps_the_rest() -> None:
    text = " ".join(f"word{n}\n" for n in range(100)).strip()
    found = await fitted([chunk("short"), chunk(text, start=50)], HashEmbedder(window=40))
    assert len(found) >= 4 and [each.index for each in found] == list(range(len(found)))
    for part in found[1:]:
        assert part.text == text[part.start - 50 : part.end - 50]
        assert part.line == 3 + text.count("\n", 0, part.start - 50)
        assert (part.page, part.unit, part.label, part.heading) == (7, "slide", "Intro", ("Head",))


@pytest.mark.parametrize(
    "text",
    [
        "漢字の文章です。" * 120,
        "0x3f;{}[]" * 110,
        "Überprüfung " * 90,
        "a" * 1000,
        "한국어 문장입니다. " * 90,
        "🎉" * 400,
    ],
    ids=["cjk", "code", "umlauts", "one word", "hangul", "emoji"],
)
async def test_nothing_is_beyond_the_window_of_the_default_embedder(text: str) -> None:
    embedder = MiniLM()
    found = await fitted([chunk(text.strip())], embedder)
    tokenizer = embedder._tokenizer
    if tokenizer is not None:
        tokenizer.no_truncation()
        assert all(len(tokenizer.encode(each.context_text).ids) <= embedder.window for each in found)
    assert "".join(each.text for each in found).replace(" ", "") == text.strip().replace(" ", "")
    await embedder.aclose()


@pytest.mark.parametrize("characters", [200, 253, 254, 300])
async def test_a_short_ascii_text_is_known_to_fit_without_counting(characters: int) -> None:
    embedder = MiniLM()
    worst = "~!" * (characters // 2)
    told = await asyncio.to_thread(reads_whole, embedder, worst)
    assert told == (embedder.count_tokens([worst]) < embedder.window)
