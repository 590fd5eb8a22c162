"""`rag_retrieval` of a run that is limited to some files or collections: searched, listed and named are those alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.config.settings import Settings
from backend.models.attribute_filters import filter_of
from backend.models.collections import Chunking, SearchLimits
from backend.models.errors import NotFound
from backend.models.run import RunContext
from backend.models.tools import ToolResult
from backend.tools.collection_search import names_in
from backend.tools.port import ToolServices
from backend.tools.rag_retriever import Arguments, RagRetriever, create
from tests.fakes.stores import FakeArtifacts
from tests.fakes.worker import InlineWorker
from tests.tasks.library import ALICE, BOB, SMALL, Library

LEAVE = "Every employee has twenty-seven days of annual leave."
OLD_LEAVE = "Every employee had twenty days of annual leave in former times."
PARKING = "Visitors park behind the north gate."


class Desk:
    def __init__(self, library: Library) -> None:
        self.library = library
        self.tool: RagRetriever = create(
            ToolServices(
                Settings(_env_file=None),
                InlineWorker(),
                library.embedder,
                library.vectors,
                library.stores.documents,
                FakeArtifacts(),
                collections=library.stores.collections,
            )
        )

    async def ask(self, query: str, context: RunContext | None = None, **arguments: object) -> ToolResult:
        asked = Arguments.model_validate({"query": query, **arguments})
        return await self.tool.run(asked, context or limited())


def limited(
    *collections: str, files: list[str] | None = None, search: SearchLimits | None = None, owner=ALICE, **known: object
) -> RunContext:  # type: ignore[no-untyped-def]
    context = RunContext(owner, "run-1", None, "req-1", fence="f" * 20, collections=collections, **known)  # type: ignore[arg-type]
    if search is not None:
        context = replace(context, search=search)
    return context if files is None else replace(context, files=frozenset(files))


def names(result: ToolResult) -> list[str]:
    return [source.filename or "" for source in result.sources]


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    library = Library(tmp_path)
    yield Desk(library)
    await library.aclose()


async def test_without_limits_everything_is_searched(desk: Desk) -> None:
    await desk.library.put("new.txt", LEAVE)
    await desk.library.put("old.txt", OLD_LEAVE)
    assert set(names(await desk.ask("annual leave of an employee"))) == {"new.txt", "old.txt"}


async def test_only_the_files_of_the_run_are_searched(desk: Desk) -> None:
    await desk.library.put("new.txt", LEAVE)
    old = await desk.library.put("old.txt", OLD_LEAVE)
    assert names(await desk.ask("annual leave of an employee", limited(files=[old]))) == ["old.txt"]
    nothing = await desk.ask("annual leave of an employee", limited(files=[]))
    assert nothing.sources == () and nothing.error is None


@pytest.mark.parametrize("chunking", [None, SMALL], ids=["auto", "static"])
async def test_only_the_collections_of_the_run_are_searched(desk: Desk, chunking: Chunking | None) -> None:
    new, old = await desk.library.put("new.txt", LEAVE), await desk.library.put("old.txt", OLD_LEAVE)
    shelf = await desk.library.shelf(old, chunking=chunking)
    result = await desk.ask("annual leave of an employee", limited(shelf))
    assert names(result) == ["old.txt"]
    assert result.sources[0].quote == OLD_LEAVE and result.sources[0].file_id == old
    both = await desk.ask("annual leave of an employee", limited(shelf, files=[new]))
    assert set(names(both)) == {"new.txt", "old.txt"}


async def test_attributes_filter_threshold_and_number_hold_for_the_run(desk: Desk) -> None:
    new, old = await desk.library.put("new.txt", LEAVE), await desk.library.put("old.txt", OLD_LEAVE)
    parking = await desk.library.put("parking.txt", PARKING)
    shelf = await desk.library.shelf(new, old, parking)
    await desk.library.collections.set_attributes(ALICE, shelf, old, {"year": 1999})
    wanted = filter_of({"type": "eq", "key": "year", "value": 1999})
    result = await desk.ask("annual leave", limited(shelf, search=SearchLimits(wanted)))
    assert [(hit["filename"], hit["attributes"]) for hit in result.data["hits"]] == [("old.txt", {"year": 1999})]
    one = await desk.ask("annual leave of an employee", limited(shelf, search=SearchLimits(max_results=1)), top_k=5)
    assert len(one.sources) == 1
    high = await desk.ask("where do visitors park, which gate", limited(shelf, search=SearchLimits(threshold=0.45)))
    assert names(high) == ["parking.txt"]
    assert names(await desk.ask("annual leave", limited(shelf, search=SearchLimits(threshold=0.99)))) == []


async def test_files_outside_cannot_be_named(desk: Desk) -> None:
    new, old = await desk.library.put("new.txt", LEAVE), await desk.library.put("old.txt", OLD_LEAVE)
    shelf = await desk.library.shelf(old)
    for context in (limited(shelf), limited(files=[old])):
        for name in ("new.txt", new):
            result = await desk.ask("annual leave", context, files=[name])
            assert result.error is not None and "old.txt" in result.error
            assert "new.txt" not in result.error.removeprefix(f"There is no document named '{name}'")
        assert names(await desk.ask("annual leave", context, files=["old.txt"])) == ["old.txt"]


async def test_files_outside_are_not_listed(desk: Desk) -> None:
    await desk.library.put("new.txt", LEAVE)
    old = await desk.library.put("old.txt", OLD_LEAVE)
    shelf = await desk.library.shelf(old, chunking=SMALL)
    for context in (limited(shelf, documents=("new.txt", "old.txt")), limited(files=[old], documents=("new.txt",))):
        result = await desk.ask("Which documents do I have?", context)
        assert result.text == "- old.txt"


async def test_names_for_the_prompt_are_those_of_the_limits(desk: Desk) -> None:
    new, old = await desk.library.put("new.txt", LEAVE), await desk.library.put("old.txt", OLD_LEAVE)
    shelf = await desk.library.shelf(old, chunking=SMALL)
    stores = desk.library.stores

    async def named(files: frozenset[str] | None, *collections: str) -> tuple[str, ...]:
        return await names_in(stores.collections, stores.documents, ALICE, files, collections)

    assert await named(None) == ("old.txt", "new.txt")
    assert await named(frozenset({new})) == ("new.txt",)
    assert await named(None, shelf) == ("old.txt",)
    assert await named(frozenset({new}), shelf) == ("old.txt", "new.txt")
    with pytest.raises(NotFound):
        await named(None, "vs_missing")


async def test_iso_3_collections_and_files_of_others_give_nothing(desk: Desk) -> None:
    mine = await desk.library.put("mine.txt", LEAVE)
    shelf = await desk.library.shelf(mine)
    await desk.library.put("theirs.txt", PARKING, owner=BOB)
    with pytest.raises(NotFound):
        await desk.ask("annual leave", limited(shelf, owner=BOB))
    assert (await desk.ask("annual leave", limited(files=[mine], owner=BOB))).sources == ()


async def test_passages_of_an_expired_file_are_not_cited(desk: Desk) -> None:
    over = await desk.library.put("over.txt", LEAVE)
    document = await desk.library.stores.documents.get(ALICE, over)
    await desk.library.stores.documents.update(ALICE, replace(document, expires_at=document.created_at))
    shelf = await desk.library.shelf()
    assert (await desk.ask("annual leave")).sources == ()
    assert (await desk.ask("annual leave", limited(shelf, files=[over]))).sources == ()
