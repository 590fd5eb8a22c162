"""What the router learned from its examples: kept in a file, fresh, small, and not in the way while it is prepared."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from backend.core.routing_examples import LEARNED, Examples, coarse, digest_of, learn, load_examples, load_learned, save
from backend.core.routing_kernel import grams, letters_of, overlap
from backend.embeddings.minilm import MiniLM
from backend.models.errors import UpstreamUnreachable
from tests.fakes.toy_specs import BrokenEmbedder, WordEmbedder

if TYPE_CHECKING:
    from backend.embeddings.port import FloatArray

AGAIN = "run scripts/embed_routing_examples.py"


class SlowEmbedder(WordEmbedder):
    """Takes its time for documents, as a model that has to be loaded does."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def embed_documents(self, texts: Sequence[str]) -> FloatArray:
        await self.go.wait()
        return await super().embed_documents(texts)


class CountingMiniLM(MiniLM):
    """Counts the texts it embeds."""

    def __init__(self) -> None:
        super().__init__()
        self.documents = 0

    async def embed_documents(self, texts: Sequence[str]) -> FloatArray:
        self.documents += len(texts)
        return await super().embed_documents(texts)


def test_the_stored_file_belongs_to_the_examples_and_to_the_embedder_of_the_repository() -> None:
    with LEARNED.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        assert str(file["digest"]) == digest_of(load_examples()), AGAIN
        assert str(file["embedder"]) == MiniLM.name, AGAIN
    assert load_learned(load_examples(), MiniLM.name) is not None, AGAIN


def test_the_stored_file_stays_below_a_megabyte() -> None:
    assert LEARNED.stat().st_size < 1_000_000


async def test_stored_embeddings_are_those_the_embedder_makes() -> None:
    examples = load_examples()
    learned = load_learned(examples, MiniLM.name)
    assert learned is not None
    rows = list(range(0, len(examples), 400))
    fresh = await MiniLM().embed_documents([examples[row].text for row in rows])
    cosines = np.sum(fresh * learned.vectors[rows], axis=1)
    assert cosines.min() > 0.97, AGAIN


async def test_the_first_decision_embeds_no_example() -> None:
    embedder = CountingMiniLM()
    examples = Examples(embedder, patience_s=30)
    share = await examples.agentic_share("What is the weather in Oslo tomorrow?", None, False)
    assert share is not None
    assert share > 0.6
    assert embedder.documents == 0
    await embedder.aclose()


@pytest.mark.parametrize("damage", ["missing", "other texts", "other embedder", "no zip", "cut off"])
def test_a_file_that_does_not_fit_is_not_used(damage: str, tmp_path: Path) -> None:
    examples = load_examples()
    path = tmp_path / "learned.npz"
    content = LEARNED.read_bytes()
    if damage != "missing":
        path.write_bytes({"no zip": b"PK nonsense", "cut off": content[: len(content) // 2]}.get(damage, content))
    asked = examples[:-1] if damage == "other texts" else examples
    assert load_learned(asked, "words" if damage == "other embedder" else MiniLM.name, path) is None


async def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    examples = load_examples()[::40]
    vectors = coarse(await WordEmbedder().embed_documents([example.text for example in examples]))
    learned = learn(examples, vectors)
    save(learned, examples, "words", tmp_path / "learned.npz")
    back = load_learned(examples, "words", tmp_path / "learned.npz")
    assert back is not None
    query = "Will it rain in Rome?"
    vector = await WordEmbedder().embed_query(query)
    first, again = learned.scores(query, vector)[0], back.scores(query, vector)[0]
    assert again == pytest.approx(first, abs=0.02)


async def test_a_slow_embedder_is_not_waited_for_and_used_once_it_is_ready() -> None:
    embedder = SlowEmbedder()
    examples = Examples(embedder, patience_s=0.05)
    assert await examples.agentic_share("Is approval needed for travel expenses?", None, True) is None
    embedder.go.set()
    async with asyncio.timeout(30):
        while await examples.agentic_share("Is approval needed for travel expenses?", None, True) is None:
            await asyncio.sleep(0.05)
    assert embedder.calls >= 2
    await examples.aclose()


async def test_closing_stops_what_is_still_being_prepared() -> None:
    examples = Examples(SlowEmbedder(), patience_s=0.01)
    assert await examples.agentic_share("anything", None, True) is None
    await examples.aclose()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not others


async def test_a_failing_embedder_is_asked_again_the_next_time() -> None:
    embedder = BrokenEmbedder()
    examples = Examples(embedder, patience_s=30)
    for _ in range(2):
        with pytest.raises(UpstreamUnreachable):
            await examples.agentic_share("anything", None, True)
    assert embedder.calls == 2


def test_the_examples_cover_every_tool_in_several_languages() -> None:
    examples = load_examples()
    assert len(examples) >= 300
    tools = Counter(example.tool for example in examples)
    wanted = (
        "web_search rag_retrieval data_analysis python_code math_calc wikipedia weather sql_query".split()  # noqa: SIM905
    )
    assert min(tools[tool] for tool in wanted) >= 20
    assert all(len({example.lang for example in examples if example.tool == tool}) >= 5 for tool in wanted)


def test_letters_tell_texts_apart_whatever_their_accents_case_and_digits() -> None:
    letters = letters_of(["météo à Lyon demain", "write a poem", "12 + 30"])
    near = overlap(letters, grams("METEO A LYON DEMAIN"))
    assert near[0] == pytest.approx(1.0)
    assert near[1] < 0.2
    assert overlap(letters, grams("47 + 99"))[2] == pytest.approx(1.0)
    assert not overlap(letters, grams("")).any()


def test_the_letters_of_a_text_do_not_depend_on_its_neighbours() -> None:
    texts = ["a", "weather in oslo", "ab", "print the sum of two lists"]
    together = letters_of(texts)
    for index, text in enumerate(texts):
        alone = together.ids[together.starts[index] : together.starts[index + 1]]
        assert alone.tolist() == grams(text).tolist()
