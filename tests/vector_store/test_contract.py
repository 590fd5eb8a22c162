"""What every vector store promises, run over the fake, FAISS and (where installed) Chroma."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from backend.models.documents import DocumentChunk
from backend.models.errors import InvalidRequest, NotFound
from backend.models.run import Owner
from tests.fakes.embedder import HashEmbedder
from tests.vector_store.conftest import ALICE, BOB, OpenStore, Room, chunk

VACATION = "Every employee has thirty days of vacation a year."
PARKING = "Visitors use the parking spaces behind the north gate."
CANTEEN = "The canteen serves lunch from noon until two."


async def test_the_nearest_chunk_comes_first(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION), chunk(PARKING, index=1), chunk(CANTEEN, index=2))
    assert (await room.find(ALICE, "where can visitors find parking spaces"))[0] == PARKING


async def test_hits_carry_their_chunk_a_score_and_the_parts_of_it(room: Room) -> None:
    wanted = chunk(VACATION, "f-9", 4, page=12)
    await room.add(ALICE, wanted, chunk(PARKING, "f-2"))
    vector = await room.embedder.embed_query("vacation days of an employee")
    hits = await room.store.search(ALICE, vector, "vacation days of an employee", 5)
    assert hits[0].chunk == wanted
    assert hits[0].parts["dense"] == pytest.approx(
        float((await room.embedder.embed_query(VACATION)) @ vector), abs=1e-5
    )
    assert hits[0].parts["lexical"] > 0
    assert all(0 <= hit.score <= 1 for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


async def test_unrelated_hits_can_be_told_by_their_cosine(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION))
    vector = await room.embedder.embed_query("quantum chromodynamics lattice")
    hits = await room.store.search(ALICE, vector, "quantum chromodynamics lattice", 5)
    assert all(hit.parts["dense"] < 0.5 and hit.parts["lexical"] == 0 for hit in hits)


async def test_an_empty_index_finds_nothing(room: Room) -> None:
    assert await room.find(ALICE, "anything") == []
    assert await room.store.chunks(ALICE, "f1") == []
    assert await room.store.count(ALICE) == 0
    assert await room.store.delete(ALICE, "f1") == 0
    assert not await room.store.needs_reindex(ALICE, "hash")


@pytest.mark.parametrize("text", ["", "   ", "?!", "the of and"], ids=["empty", "blank", "signs", "stop words"])
async def test_a_query_without_words_is_answered_by_meaning_alone(room: Room, text: str) -> None:
    await room.add(ALICE, chunk(VACATION))
    assert await room.find(ALICE, text) == [VACATION]


@pytest.mark.parametrize("limit", [0, 1, 2, 50])
async def test_at_most_the_wanted_number_is_found(room: Room, limit: int) -> None:
    await room.add(ALICE, chunk(VACATION), chunk(PARKING, index=1), chunk(CANTEEN, index=2))
    assert len(await room.find(ALICE, "employee parking lunch", limit)) == min(limit, 3)


async def test_more_than_a_hundred_hits_can_be_asked_for(room: Room) -> None:
    await room.add(ALICE, *(chunk(f"Item number {n} of the long list.", index=n) for n in range(150)))
    assert len(await room.find(ALICE, "item of the list", 140)) == 140


async def test_a_search_can_be_limited_to_files(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION, "f1"))
    await room.add(ALICE, chunk("Vacation of contractors is unpaid.", "f2"))
    assert await room.find(ALICE, "vacation", files=["f2"]) == ["Vacation of contractors is unpaid."]
    assert await room.find(ALICE, "vacation", files=[]) == []
    assert await room.find(ALICE, "vacation", files=["f3"]) == []


async def test_the_same_text_is_found_once(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION, "f1"))
    await room.add(ALICE, chunk(VACATION.upper(), "f2"), chunk(PARKING, "f2", 1))
    assert len(await room.find(ALICE, "vacation of an employee")) == 2


async def test_chunks_of_a_file_come_in_order(room: Room) -> None:
    await room.add(ALICE, chunk("third", index=10), chunk("second", index=2), chunk("first", index=0))
    await room.add(ALICE, chunk("else", "f2"))
    assert [each.text for each in await room.store.chunks(ALICE, "f1")] == ["first", "second", "third"]


async def test_equal_chunks_are_replaced_and_never_doubled(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION), chunk(PARKING, index=1))
    await room.add(ALICE, chunk(CANTEEN), chunk("Added later.", index=2))
    assert await room.store.count(ALICE) == 3
    assert [each.text for each in await room.store.chunks(ALICE, "f1")] == [CANTEEN, PARKING, "Added later."]
    assert VACATION not in await room.find(ALICE, VACATION)
    assert (await room.find(ALICE, CANTEEN))[0] == CANTEEN


async def test_a_replaced_chunk_is_not_found_by_its_old_words(room: Room) -> None:
    await room.add(ALICE, chunk("zebra"), chunk(PARKING, index=1))
    await room.add(ALICE, chunk("giraffe"))
    vector = await room.embedder.embed_query("zebra")
    assert all(hit.parts["lexical"] == 0 for hit in await room.store.search(ALICE, vector, "zebra", 10))


async def test_of_chunks_given_twice_in_one_call_the_last_counts(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION), chunk(CANTEEN))
    assert [each.text for each in await room.store.chunks(ALICE, "f1")] == [CANTEEN]


async def test_several_files_can_be_added_in_one_call(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION, "f1"), chunk(PARKING, "f2"), chunk(CANTEEN, "f1", 1))
    assert await room.store.count(ALICE) == 3
    assert len(await room.store.chunks(ALICE, "f1")) == 2


async def test_adding_nothing_changes_nothing(room: Room) -> None:
    await room.store.add(ALICE, [], np.zeros((0, 64), dtype=np.float32), "hash")
    assert await room.store.count(ALICE) == 0


async def test_without_a_vector_words_alone_count(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION), chunk(PARKING, index=1), chunk(CANTEEN, "f2"))
    hits = await room.store.search(ALICE, None, "parking visitors", 1)
    assert [hit.chunk.text for hit in hits] == [PARKING]
    assert hits[0].parts.keys() == {"lexical"}
    assert hits[0].parts["lexical"] > 0


async def test_hits_carry_the_vector_of_their_chunk(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION), chunk(PARKING, "f2"))
    query = await room.embedder.embed_query("parking")
    for hit in await room.store.search(ALICE, query, "parking", 5):
        assert hit.vector is not None
        assert hit.vector == pytest.approx((await room.embedder.embed_documents([hit.chunk.text]))[0], abs=1e-6)


@pytest.mark.parametrize(
    ("first", "last", "wanted"),
    [(0, None, [0, 1, 2, 5]), (1, 2, [1, 2]), (2, None, [2, 5]), (0, 0, [0]), (3, 4, []), (6, None, [])],
)
async def test_a_part_of_a_file_can_be_read(room: Room, first: int, last: int | None, wanted: list[int]) -> None:
    await room.add(ALICE, *(chunk(f"text {n}", index=n) for n in (5, 0)), chunk("other", "f2", 1))
    await room.add(ALICE, *(chunk(f"text {n}", index=n) for n in (2, 1)))
    found = await room.store.chunks(ALICE, "f1", first=first, last=last)
    assert [each.index for each in found] == wanted


async def test_all_that_is_known_of_a_chunk_comes_back(room: Room) -> None:
    whole = DocumentChunk(
        "f1", "Bücher.xlsx", 3, "a text", 2, "sheet", "Übersicht", ("Kapitel", "Abschnitt"), 10, 16, 4
    )
    await room.add(ALICE, whole)
    assert await room.store.chunks(ALICE, "f1") == [whole]
    assert [hit.chunk for hit in await room.store.search(ALICE, None, "text", 1)] == [whole]


async def test_the_recipe_of_an_index_is_known_while_it_holds_something(room: Room) -> None:
    assert await room.store.recipe(ALICE) is None
    await room.add(ALICE, chunk(VACATION))
    assert await room.store.recipe(ALICE) == room.embedder.name
    await room.store.delete(ALICE, "f1")
    assert await room.store.recipe(ALICE) is None


# ---- swapping -----------------------------------------------------------------------------------


@pytest.mark.parametrize("collection", ["", "vs_1"], ids=["main", "collection"])
async def test_a_staged_index_takes_the_place_of_another(room: Room, collection: str) -> None:
    await room.add(ALICE, chunk(VACATION), chunk(CANTEEN, "f2"), collection=collection)
    await room.add(ALICE, chunk("apart"), collection="vs_9")
    other = Room(room.store, HashEmbedder("other", 32))
    await other.add(ALICE, chunk(PARKING), collection="staged")
    assert await room.find(ALICE, "vacation", 1, collection=collection) == [VACATION]
    await room.store.swap(ALICE, "staged", collection=collection)
    assert await other.find(ALICE, "anything", collection=collection) == [PARKING]
    assert await room.store.recipe(ALICE, collection=collection) == "other"
    assert await room.store.count(ALICE, collection="staged") == 0
    assert await room.find(ALICE, "x", collection="vs_9") == ["apart"]
    await other.add(ALICE, chunk(VACATION, "f2"), collection=collection)
    assert await room.store.count(ALICE, collection=collection) == 2
    await room.add(ALICE, chunk("staged again"), collection="staged")
    assert await room.find(ALICE, "x", collection="staged") == ["staged again"]


async def test_an_index_can_be_put_where_there_is_none(room: Room) -> None:
    await room.add(ALICE, chunk(PARKING), collection="staged")
    await room.store.swap(ALICE, "staged")
    assert await room.find(ALICE, "parking") == [PARKING]


async def test_nothing_staged_changes_nothing(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION))
    with pytest.raises(NotFound):
        await room.store.swap(ALICE, "staged")
    await room.add(BOB, chunk(PARKING), collection="staged")
    with pytest.raises(NotFound):
        await room.store.swap(ALICE, "staged")
    assert await room.find(ALICE, "x") == [VACATION]


# ---- deleting -----------------------------------------------------------------------------------


async def test_iso_4_a_search_right_after_a_delete_finds_nothing(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION, "f1"), chunk(PARKING, "f1", 1))
    await room.add(ALICE, chunk(CANTEEN, "f2"))
    assert await room.store.delete(ALICE, "f1") == 2
    assert await room.find(ALICE, VACATION) == [CANTEEN]
    assert await room.store.chunks(ALICE, "f1") == []
    assert await room.store.count(ALICE) == 1


async def test_a_deleted_file_can_be_added_again(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION))
    await room.store.delete(ALICE, "f1")
    await room.add(ALICE, chunk(PARKING))
    assert await room.find(ALICE, VACATION) == [PARKING]


async def test_deleting_twice_is_no_error(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION))
    assert await room.store.delete(ALICE, "f1") == 1
    assert await room.store.delete(ALICE, "f1") == 0


async def test_many_deletes_leave_the_rest_findable(room: Room) -> None:
    for number in range(40):
        texts = (f"Paragraph {number} {n} about subject{number}." for n in range(10))
        await room.add(ALICE, *(chunk(text, f"f{number}", n) for n, text in enumerate(texts)))
    for number in range(39):
        await room.store.delete(ALICE, f"f{number}")
    assert await room.store.count(ALICE) == 10
    found = await room.find(ALICE, "subject39 subject3", 100)
    assert len(found) == 10
    assert all("subject39" in text for text in found)


# ---- owners -------------------------------------------------------------------------------------


async def test_iso_4_owners_with_the_same_file_ids_never_meet(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION, "shared-id"))
    await room.add(BOB, chunk(PARKING, "shared-id"))
    assert await room.find(ALICE, "visitors parking spaces") == [VACATION]
    assert await room.find(BOB, "vacation of employees", files=["shared-id"]) == [PARKING]
    assert [each.text for each in await room.store.chunks(BOB, "shared-id")] == [PARKING]
    assert (await room.store.count(ALICE), await room.store.count(BOB)) == (1, 1)


async def test_iso_4_a_stranger_sees_and_changes_nothing(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION))
    assert await room.find(BOB, VACATION) == []
    assert await room.find(BOB, VACATION, files=["f1"]) == []
    assert await room.store.chunks(BOB, "f1") == []
    assert await room.store.count(BOB) == 0
    assert await room.store.delete(BOB, "f1") == 0
    await room.store.reset(BOB)
    assert await room.find(ALICE, VACATION) == [VACATION]


async def test_iso_4_tenants_with_the_same_user_id_never_meet(room: Room) -> None:
    other = Owner("acme", ALICE.user)
    await room.add(ALICE, chunk(VACATION))
    await room.add(other, chunk(PARKING))
    assert await room.find(other, VACATION) == [PARKING]
    await room.store.reset(other)
    assert await room.find(ALICE, VACATION) == [VACATION]


async def test_iso_4_the_word_statistics_of_others_do_not_show(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION), chunk(PARKING, index=1))
    vector = await room.embedder.embed_query("vacation")
    before = await room.store.search(ALICE, vector, "vacation", 5)
    await room.add(BOB, *(chunk(f"vacation vacation {n}", index=n) for n in range(30)))
    assert await room.store.search(ALICE, vector, "vacation", 5) == before


@pytest.mark.parametrize("bad", ["", ".", "..", "../alice-1", "a/b", "a\x00b", "x" * 65, "@acme"])
async def test_iso_1_ids_that_are_no_ids_reach_no_index(room: Room, bad: str) -> None:
    for owner in (Owner("default", bad), Owner(bad, "alice-1")):
        with pytest.raises(NotFound):
            await room.store.count(owner)


# ---- collections --------------------------------------------------------------------------------


async def test_indexes_of_collections_share_nothing_with_the_main_one_or_each_other(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION))
    await room.add(ALICE, chunk(PARKING), collection="vs_1")
    await room.add(ALICE, chunk(CANTEEN), collection="vs_2")
    for collection, text in {"": VACATION, "vs_1": PARKING, "vs_2": CANTEEN}.items():
        assert await room.find(ALICE, "anything", collection=collection) == [text]
        assert [each.text for each in await room.store.chunks(ALICE, "f1", collection=collection)] == [text]
        assert await room.store.count(ALICE, collection=collection) == 1
    assert await room.store.delete(ALICE, "f1", collection="vs_1") == 1
    assert await room.find(ALICE, "anything", collection="vs_1") == []
    assert await room.find(ALICE, "anything") == [VACATION]


async def test_a_collection_is_dropped_alone_and_can_be_filled_again(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION))
    await room.add(ALICE, chunk(PARKING), chunk(CANTEEN, index=1), collection="vs_1")
    await room.add(ALICE, chunk(CANTEEN), collection="vs_2")
    await room.store.reset(ALICE, collection="vs_1")
    await room.store.reset(ALICE, collection="vs_1")
    assert await room.store.count(ALICE, collection="vs_1") == 0
    assert (await room.find(ALICE, "x"), await room.find(ALICE, "x", collection="vs_2")) == ([VACATION], [CANTEEN])
    await room.add(ALICE, chunk(VACATION), collection="vs_1")
    assert await room.find(ALICE, "x", collection="vs_1") == [VACATION]


async def test_resetting_the_main_index_leaves_those_of_collections(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION))
    await room.add(ALICE, chunk(PARKING), collection="vs_1")
    await room.store.reset(ALICE)
    await room.add(ALICE, chunk(CANTEEN))
    assert await room.find(ALICE, "x", collection="vs_1") == [PARKING]


async def test_a_collection_has_an_embedder_of_its_own(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION))
    assert not await room.store.needs_reindex(ALICE, "other", collection="vs_1")
    await room.add(ALICE, chunk(PARKING), collection="vs_1")
    assert await room.store.needs_reindex(ALICE, "other", collection="vs_1")


async def test_iso_4_equal_collection_ids_of_two_owners_never_meet(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION), collection="vs_1")
    assert await room.find(BOB, VACATION, collection="vs_1") == []
    await room.store.reset(BOB, collection="vs_1")
    assert await room.find(ALICE, VACATION, collection="vs_1") == [VACATION]


@pytest.mark.parametrize("bad", [".", "..", "../x", "a/b", "a\x00b", "x" * 65])
async def test_iso_1_collections_that_are_no_ids_reach_no_index(room: Room, bad: str) -> None:
    with pytest.raises(NotFound):
        await room.store.count(ALICE, collection=bad)


# ---- embedders ----------------------------------------------------------------------------------


async def test_another_embedder_calls_for_indexing_again(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION))
    assert not await room.store.needs_reindex(ALICE, "hash")
    assert await room.store.needs_reindex(ALICE, "other")


async def test_vectors_of_another_embedder_are_refused(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION))
    with pytest.raises(InvalidRequest, match="again"):
        await Room(room.store, HashEmbedder("other")).add(ALICE, chunk(PARKING, "f2"))
    assert await room.store.count(ALICE) == 1


async def test_vectors_of_other_dimensions_are_refused(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION))
    with pytest.raises(InvalidRequest):
        await Room(room.store, HashEmbedder(dimensions=32)).add(ALICE, chunk(PARKING, "f2"))
    with pytest.raises(InvalidRequest):
        await Room(room.store, HashEmbedder(dimensions=32)).find(ALICE, "vacation")
    assert await room.find(ALICE, VACATION) == [VACATION]


async def test_after_a_reset_another_embedder_may_begin(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION))
    await room.store.reset(ALICE)
    assert await room.store.count(ALICE) == 0
    assert not await room.store.needs_reindex(ALICE, "other")
    other = Room(room.store, HashEmbedder("other", 32))
    await other.add(ALICE, chunk(PARKING))
    assert await other.find(ALICE, "parking") == [PARKING]
    assert await room.store.needs_reindex(ALICE, "hash")


async def test_an_index_emptied_by_deletes_takes_another_embedder(room: Room) -> None:
    await room.add(ALICE, chunk(VACATION))
    await room.store.delete(ALICE, "f1")
    assert not await room.store.needs_reindex(ALICE, "other")
    other = Room(room.store, HashEmbedder("other", 32))
    await other.add(ALICE, chunk(PARKING))
    assert await other.find(ALICE, "parking") == [PARKING]


@pytest.mark.parametrize("value", [np.nan, np.inf])
async def test_numbers_that_are_none_are_refused(room: Room, value: float) -> None:
    vectors = np.full((1, 64), value, dtype=np.float32)
    with pytest.raises(InvalidRequest):
        await room.store.add(ALICE, [chunk(VACATION)], vectors, "hash")
    assert await room.store.count(ALICE) == 0


async def test_a_missing_vector_is_refused(room: Room) -> None:
    vectors = await room.embedder.embed_documents([VACATION])
    with pytest.raises(InvalidRequest):
        await room.store.add(ALICE, [chunk(VACATION), chunk(PARKING, index=1)], vectors, "hash")
    assert await room.store.count(ALICE) == 0


# ---- texts --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "query"),
    [
        pytest.param("Der Urlaubsanspruch beträgt 30 Tage.", "URLAUBSANSPRUCH", id="german"),
        pytest.param("Le congé annuel est de vingt-cinq jours.", "congé annuel", id="french"),
        pytest.param("東京都の人口は千四百万人です。", "東京都", id="japanese"),
        pytest.param("年假为二十天。", "年假", id="chinese"),
        pytest.param("Отпуск составляет 28 дней.", "отпуск", id="russian"),
        pytest.param("الإجازة السنوية ثلاثون يوما", "الإجازة", id="arabic"),
        pytest.param("Party 🎉 on the roof 🏠 \u200b tonight", "roof party 🎉", id="emoji"),
        pytest.param("line one\nline\ttwo\u2028three\r\n\x00four", "four", id="control characters"),
    ],
)
async def test_texts_of_any_script_come_back_unchanged(room: Room, text: str, query: str) -> None:
    await room.add(ALICE, chunk("Something else entirely.", "f0"), chunk(text, "f2"))
    assert (await room.find(ALICE, query))[0] == text
    assert [each.text for each in await room.store.chunks(ALICE, "f2")] == [text]


async def test_concurrent_calls_of_one_owner_all_count(room: Room) -> None:
    await asyncio.gather(*(room.add(ALICE, chunk(f"Text number {n}.", f"f{n}")) for n in range(12)))
    await asyncio.gather(
        *(room.find(ALICE, "text") for _ in range(6)), *(room.store.delete(ALICE, f"f{n}") for n in range(6))
    )
    assert await room.store.count(ALICE) == 6
    assert len(await room.find(ALICE, "text number")) == 6


# ---- after a restart ----------------------------------------------------------------------------


async def test_everything_is_there_after_a_restart(open_store: OpenStore) -> None:
    before = Room(open_store(), HashEmbedder())
    await before.add(ALICE, chunk(VACATION, "f1", 0, 1), chunk(PARKING, "f1", 1, 2))
    await before.add(ALICE, chunk(CANTEEN, "f2"))
    await before.add(BOB, chunk("Of Bob.", "f1"))
    await before.store.delete(ALICE, "f2")
    vector = await before.embedder.embed_query("vacation of employees")
    hits = await before.store.search(ALICE, vector, "vacation of employees", 5)
    await before.store.aclose()
    after = Room(open_store(), HashEmbedder())
    assert await after.store.search(ALICE, vector, "vacation of employees", 5) == hits
    assert await after.store.chunks(ALICE, "f1") == [chunk(VACATION, "f1", 0, 1), chunk(PARKING, "f1", 1, 2)]
    assert (await after.store.count(ALICE), await after.store.count(BOB)) == (2, 1)
    assert await after.store.needs_reindex(ALICE, "other")
    assert not await after.store.needs_reindex(ALICE, "hash")
    await after.store.aclose()


async def test_a_swap_lasts(open_store: OpenStore) -> None:
    before = Room(open_store(), HashEmbedder())
    await before.add(ALICE, chunk(VACATION))
    await before.add(ALICE, chunk(PARKING), collection="staged")
    await before.store.swap(ALICE, "staged")
    await before.store.aclose()
    after = Room(open_store(), HashEmbedder())
    assert await after.find(ALICE, "parking") == [PARKING]
    assert await after.store.count(ALICE, collection="staged") == 0
    await after.store.aclose()


async def test_a_reset_lasts(open_store: OpenStore) -> None:
    before = Room(open_store(), HashEmbedder())
    await before.add(ALICE, chunk(VACATION))
    await before.store.reset(ALICE)
    await before.store.aclose()
    after = Room(open_store(), HashEmbedder())
    assert await after.store.count(ALICE) == 0
    assert not await after.store.needs_reindex(ALICE, "other")
    await after.store.aclose()


async def test_lone_surrogates_of_broken_pdfs_are_stored_as_question_marks(open_store: OpenStore) -> None:
    room = Room(open_store(), HashEmbedder())
    await room.add(ALICE, chunk("broken \udfff character"))
    assert [each.text for each in await room.store.chunks(ALICE, "f1")] == ["broken ? character"]
    await room.store.aclose()
