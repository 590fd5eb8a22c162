"""BM25: an example small enough to check by hand, words, and changes in place."""

from __future__ import annotations

import math
import random

import pytest

from backend.vector_store.lexical import COMPACT_FROM, LexicalIndex, split_words


def index_of(**texts: str) -> LexicalIndex[str]:
    index: LexicalIndex[str] = LexicalIndex()
    for key, text in texts.items():
        index.add(key, text)
    return index


def test_scores_are_those_of_the_formula() -> None:
    """Three texts of 2, 1 and 3 words, so an average of 2. "cat" is in two of them, "dog" in two, "bird" in one.

    k1 = 1.5, b = 0.75; damping for lengths 2, 1 and 3: 1.5, 0.9375 and 2.0625.
    """
    index = index_of(a="cat dog", b="cat", c="dog dog bird")
    in_two, in_one = math.log(1 + 1.5 / 2.5), math.log(1 + 2.5 / 1.5)
    assert index.search("cat", 10) == [
        ("b", pytest.approx(in_two * 1 / (1 + 0.9375), rel=1e-5)),
        ("a", pytest.approx(in_two * 1 / (1 + 1.5), rel=1e-5)),
    ]
    assert index.search("dog bird", 10) == [
        ("c", pytest.approx(in_two * 2 / (2 + 2.0625) + in_one * 1 / (1 + 2.0625), rel=1e-5)),
        ("a", pytest.approx(in_two * 1 / (1 + 1.5), rel=1e-5)),
    ]


def test_a_word_asked_for_twice_counts_twice() -> None:
    index = index_of(a="cat dog", b="bird")
    (_, once), (_, twice) = index.search("cat", 1)[0], index.search("cat cat", 1)[0]
    assert twice == pytest.approx(2 * once, rel=1e-6)


def test_equal_scores_keep_the_order_of_adding() -> None:
    index = index_of(**{f"k{n}": "same words here" for n in range(20)})
    assert [key for key, _ in index.search("words", 5)] == ["k0", "k1", "k2", "k3", "k4"]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        pytest.param("The contracts were terminated", "terminating a contract", id="stems"),
        pytest.param("Café crème", "cafe creme", id="accents"),
        pytest.param("Straßenbahn", "STRASSENBAHN", id="sharp s"),
        pytest.param("invoice_number INV-2024/17", "inv 2024", id="codes"),
        pytest.param("the employee's badge", "employees", id="apostrophe"),
        pytest.param("deficiency of vitamin D", "vitamin D", id="single letter"),
        pytest.param("東京都の人口", "京都", id="pair of characters"),
        pytest.param("ｆｕｌｌ ｗｉｄｔｈ", "width", id="full width"),
        pytest.param("वार्षिक अवकाश", "अवकाश", id="hindi"),
        pytest.param("ประกันสุขภาพ", "สุขภาพ", id="thai"),
        pytest.param("חופשה שנתית", "חופשה", id="hebrew"),
        pytest.param("연차 휴가", "휴가", id="korean"),
    ],
)
def test_words_are_found_in_other_forms(text: str, query: str) -> None:
    assert [key for key, _ in index_of(wanted=text, other="unrelated").search(query, 5)] == ["wanted"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("Hello, World! 3.14", ["hello", "world", "3", "14"]),
        ("don't we’ll it's", ["don", "we", "it"]),
        ("東京都2020年", ["東京", "京都", "2020", "年"]),
        ("abc漢def", ["abc", "漢", "def"]),
        ("naïve résumé", ["naive", "resume"]),
        ("ガラス", ["ガラ", "ラス"]),
        ("снег", ["снег"]),
    ],
)
def test_text_is_split_into_words(text: str, words: list[str]) -> None:
    assert split_words(text) == words


def test_question_and_stop_words_alone_find_nothing() -> None:
    assert index_of(a="what is the meaning of this").search("what is the", 5) == []


def test_allowed_limits_what_is_found_but_not_the_statistics() -> None:
    index = index_of(a="cat dog", b="cat", c="bird")
    scores = dict(index.search("cat", 5))
    assert dict(index.search("cat", 5, allowed={"b", "unknown"})) == {"b": scores["b"]}
    assert index.search("cat", 5, allowed=set()) == []


def test_removed_texts_leave_no_trace_in_the_scores() -> None:
    index = index_of(a="cat dog", gone="cat cat cat bird", b="cat")
    index.remove("gone")
    index.remove("never there")
    assert index.search("cat bird", 5) == index_of(a="cat dog", b="cat").search("cat bird", 5)
    assert len(index) == 2


def test_a_text_added_again_replaces_the_first() -> None:
    index = index_of(a="cat", b="dog")
    index.add("a", "bird")
    assert index.search("cat", 5) == []
    assert [key for key, _ in index.search("bird", 5)] == ["a"]


def test_after_any_changes_it_answers_like_a_fresh_index() -> None:
    """Enough removals for several compactions."""
    chance = random.Random(7)
    words = [f"word{n}" for n in range(60)]
    index: LexicalIndex[int] = LexicalIndex()
    texts: dict[int, str] = {}
    for step in range(6 * COMPACT_FROM):
        if texts and chance.random() < 0.48:
            gone = chance.choice(list(texts))
            del texts[gone]
            index.remove(gone)
        else:
            texts[step] = " ".join(chance.choices(words, k=chance.randint(1, 12)))
            index.add(step, texts[step])
    fresh: LexicalIndex[int] = LexicalIndex()
    for key, text in texts.items():
        fresh.add(key, text)
    for query in ("word1", "word2 word3 word3", " ".join(words[:20])):
        assert index.search(query, 25) == fresh.search(query, 25)


def test_empty_texts_and_empty_indexes_are_harmless() -> None:
    index = index_of(a="", b="...")
    assert index.search("cat", 5) == []
    assert index_of().search("cat", 5) == []
    assert index_of(a="cat").search("cat", 0) == []


def test_a_very_long_query_is_answered() -> None:
    query = " ".join(f"noise{n}" for n in range(5000)) + " needle needle"
    assert [key for key, _ in index_of(a="needle", b="hay").search(query, 5)] == ["a"]
