"""The search itself: several indexes, older ones, copies, spans, reranking, follow-ups, and what is shared."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from backend.embeddings.port import OneEmbedder
from backend.models.collections import SearchLimits
from backend.models.documents import DocumentChunk, IndexRecipe, PageText
from backend.models.errors import NotFound, UpstreamError, UpstreamUnreachable
from backend.tools.retrieval import RERANKED, Retriever
from backend.tools.retrieval_filters import Narrowing
from tests.fakes.embedder import HashEmbedder
from tests.fakes.reranker import WordReranker
from tests.tasks.library import ALICE, BOB, SMALL, Library

LEAVE = "Every employee has twenty-seven days of annual leave."
PARKING = "Visitors park behind the north gate."


class Desk:
    def __init__(self, folder: Path) -> None:
        self.library = Library(folder)
        self.stores, self.vectors = self.library.stores, self.library.vectors
        self.embedder, self.reranker = self.library.embedder, WordReranker()
        self.retriever = self.made(None)
        self.reranking = self.made(self.reranker)

    def made(self, reranker: WordReranker | None) -> Retriever:
        return Retriever(
            OneEmbedder(self.embedder), self.vectors, self.stores.documents, self.stores.collections, reranker
        )

    async def put(self, filename: str, chunks: Sequence[DocumentChunk], page: str = "") -> str:
        """A document whose chunks are just these."""
        file_id = await self.library.put(filename, f"placeholder {filename}")
        recipe = await self.vectors.recipe(ALICE) or self.embedder.name
        await self.vectors.delete(ALICE, file_id)
        await self.stores.documents.save_pages(ALICE, file_id, [PageText(None, page)])
        made = [replace(chunk, file_id=file_id, filename=filename) for chunk in chunks]
        await self.vectors.add(ALICE, made, await self.embedder.embed_documents([c.text for c in made]), recipe)
        return file_id


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    await desk.library.aclose()


def texts(*parts: str) -> list[DocumentChunk]:
    return [DocumentChunk("", "", index, text) for index, text in enumerate(parts)]


# ---- what comes out -----------------------------------------------------------------------------


async def test_copies_do_not_fill_the_list(desk: Desk) -> None:
    for number in range(5):
        await desk.put(f"copy{number}.txt", texts(f"{LEAVE} {'!' * number}"))
    await desk.put("other.txt", texts("Annual leave is to be taken before the end of March of the year after."))
    found = await desk.retriever.search(ALICE, "annual leave", 5)
    assert len(found.passages) == 2
    assert "other.txt" in {passage.chunk.filename for passage in found.passages}


async def test_neighbours_are_joined_as_the_page_has_them(desk: Desk) -> None:
    page = "Annual leave is granted\n\n\nto every employee, annual leave of 27 days."
    first, second = page[:23], page[26:]
    chunks = [
        DocumentChunk("", "", 0, first, start=0, end=23, line=1),
        DocumentChunk("", "", 1, second, start=26, end=len(page), line=4),
    ]
    await desk.put("a.txt", chunks, page)
    (passage,) = (await desk.retriever.search(ALICE, "annual leave", 5)).passages
    assert (passage.chunk.text, passage.chunk.start, passage.chunk.end) == (page, 0, len(page))


async def test_chunks_that_say_more_than_the_page_are_put_together_themselves(desk: Desk) -> None:
    page = "| leave | days |\n| annual | 27 |\n| annual two | 5 |"
    chunks = [
        DocumentChunk("", "", 0, page[:33], start=0, end=33),
        DocumentChunk("", "", 1, "| leave | days |\n| annual two | 5 |", start=34, end=len(page)),
    ]
    await desk.put("a.txt", chunks, page)
    (passage,) = (await desk.retriever.search(ALICE, "annual leave days", 5)).passages
    assert passage.chunk.text.count("| leave | days |") == 2 or "| annual two | 5 |" in passage.chunk.text


async def test_scores_fall_and_lie_between_0_and_1(desk: Desk) -> None:
    for number in range(12):
        await desk.put(f"{number}.txt", texts(f"Rule {number} " + "annual leave " * (number % 4) + f"word{number}"))
    scores = [each.score for each in (await desk.retriever.search(ALICE, "annual leave", 8)).passages]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


async def test_the_best_chunks_of_a_file_come_in_its_order_however_bad(desk: Desk) -> None:
    file_id = await desk.put(
        "a.txt", texts("Annual leave.", "Nothing.", "Something else.", "Leave is paid, the annual sum differs.")
    )
    await desk.put("b.txt", texts("annual leave annual leave"))
    best = await desk.retriever.best_chunks(ALICE, file_id, "annual leave", 2)
    assert [chunk.index for chunk in best] == [0, 3]
    assert len(await desk.retriever.best_chunks(ALICE, file_id, "piano tuning", 4)) == 4


# ---- indexes ------------------------------------------------------------------------------------


async def test_an_older_index_is_searched_by_the_embedder_that_made_it(desk: Desk) -> None:
    await desk.library.put("a.txt", LEAVE)
    older, newer = HashEmbedder("hash"), HashEmbedder("new", 32)

    class Both(OneEmbedder):
        async def named(self, name: str) -> HashEmbedder | None:
            return {"hash": older, "new": newer}.get(name)

    retriever = Retriever(Both(newer), desk.vectors, desk.stores.documents)
    found = await retriever.search(ALICE, "annual leave", 5)
    assert [passage.chunk.filename for passage in found.passages] == ["a.txt"]
    assert (older.texts, newer.texts) == (["annual leave"], [])


@pytest.mark.parametrize("recipe", ["hash", str(IndexRecipe("hash", 300, 20))], ids=["a name alone", "a recipe"])
async def test_what_made_an_index_is_read_from_either_form(desk: Desk, recipe: str) -> None:
    file_id = await desk.library.put("a.txt", LEAVE)
    await desk.vectors.reset(ALICE)
    chunk = DocumentChunk(file_id, "a.txt", 0, LEAVE)
    await desk.vectors.add(ALICE, [chunk], await desk.embedder.embed_documents([LEAVE]), recipe)
    (passage,) = (await desk.retriever.search(ALICE, "annual leave", 5)).passages
    assert "dense" in passage.parts


async def test_while_the_embedder_cannot_be_reached_words_alone_count(desk: Desk) -> None:
    await desk.library.put("a.txt", LEAVE)
    desk.embedder.error = UpstreamUnreachable("away")
    (passage,) = (await desk.retriever.search(ALICE, "annual leave", 5)).passages
    assert "dense" not in passage.parts


async def test_the_main_index_and_a_collections_own_are_on_one_scale(desk: Desk) -> None:
    good = await desk.library.put("good.txt", LEAVE)
    poor = await desk.library.put("poor.txt", "Annual reports are written by the board of every company.")
    own = await desk.library.shelf(good, chunking=SMALL)
    main = await desk.library.shelf(poor)
    found = await desk.retriever.search(ALICE, "annual leave of an employee", 5, Narrowing(collections=(own, main)))
    assert found.passages[0].chunk.filename == "good.txt"
    threshold = found.passages[0].score - 0.001
    high = Narrowing(collections=(own, main), limits=SearchLimits(threshold=threshold))
    assert len((await desk.retriever.search(ALICE, "annual leave of an employee", 5, high)).passages) == 1


async def test_iso_3_a_shared_collection_is_searched_where_it_lives_and_nothing_beside_it(desk: Desk) -> None:
    shared = await desk.library.put("shared.txt", LEAVE)
    await desk.library.put("private.txt", f"{LEAVE} But not for the board.")
    shelf = await desk.library.shelf(shared)
    with pytest.raises(NotFound):
        await desk.retriever.search(BOB, "annual leave", 5, Narrowing(collections=(shelf,)))
    await desk.stores.collections.share(ALICE, shelf, [BOB.user])
    found = await desk.retriever.search(BOB, "annual leave", 5, Narrowing(collections=(shelf,)))
    assert [(each.chunk.filename, each.home) for each in found.passages] == [("shared.txt", ALICE)]
    assert (await desk.retriever.search(BOB, "annual leave", 5)).empty
    with pytest.raises(NotFound):
        await desk.retriever.search(BOB, "leave", 5, Narrowing(collections=(shelf,), files=("private.txt",)))


# ---- reranking ----------------------------------------------------------------------------------


async def test_a_reranker_has_the_last_word_and_its_score_is_told(desk: Desk) -> None:
    await desk.put("a.txt", texts("annual leave annual leave annual"))
    await desk.put("b.txt", texts("days of annual leave in summer for employees and others who wait"))
    query = "annual leave in summer"
    (first, *_) = (await desk.reranking.search(ALICE, query, 5)).passages
    assert (first.chunk.filename, first.score, first.parts["rerank"]) == ("b.txt", 1.0, 1.0)
    assert 0 < first.parts["relevance"] < 1


@pytest.mark.parametrize("error", [UpstreamError("broken"), TimeoutError()], ids=["error", "timeout"])
async def test_a_reranker_that_fails_is_left_alone_for_a_while(desk: Desk, error: Exception) -> None:
    await desk.put("a.txt", texts("annual leave"))
    await desk.put("b.txt", texts("leave of staff, annual"))
    plain = await desk.retriever.search(ALICE, "annual leave", 5)
    desk.reranker.error = error
    found = await desk.reranking.search(ALICE, "annual leave", 5)
    assert "did not answer" in found.note
    assert [each.chunk for each in found.passages] == [each.chunk for each in plain.passages]
    await desk.reranking.search(ALICE, "annual leave", 5)
    assert len(desk.reranker.asked) == 1


async def test_a_reranker_reads_no_more_than_it_is_meant_to(desk: Desk) -> None:
    await desk.put("a.txt", texts(*(f"annual leave rule {n} about subject{n * 7}" for n in range(60))))
    found = await desk.reranking.search(ALICE, "annual leave", 50, join=False)
    assert [len(asked) for asked in desk.reranker.asked] == [RERANKED]
    scores = [each.score for each in found.passages]
    assert scores == sorted(scores, reverse=True)


async def test_closing_closes_the_reranker(desk: Desk) -> None:
    await desk.reranking.aclose()
    assert desk.reranker.closed


# ---- follow-ups ---------------------------------------------------------------------------------


async def test_a_follow_up_is_searched_for_as_the_question_that_it_means(desk: Desk) -> None:
    await desk.library.put("a.txt", LEAVE)
    earlier = ("How many days of leave are there in Munich?",)
    found = await desk.retriever.search(ALICE, "and in Berlin?", 5, earlier=earlier)
    assert found.query == "How many days of leave are there in Berlin"
    assert desk.embedder.texts[-1] == found.query
