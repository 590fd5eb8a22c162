"""Words and their terms: scripts, stems by language, and which language a text is in."""

from __future__ import annotations

import pytest

from backend.vector_store.languages import STEMMERS, STOP_WORDS, language_of
from backend.vector_store.words import Words, name_words, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("Hello, World! 3.14", ["hello", "world", "3", "14"]),
        ("don't we’ll it's", ["don", "we", "it"]),
        ("l'école d’été", ["école", "été"]),
        ("東京都2020年", ["東京", "京都", "2020", "年"]),
        ("abc漢def", ["abc", "漢", "def"]),
        ("naïve Straße", ["naïve", "strasse"]),
        ("ガラス", ["ガラ", "ラス"]),
        ("снег", ["снег"]),
    ],
)
def test_text_is_split_into_words(text: str, words: list[str]) -> None:
    assert split_words(text) == words


@pytest.mark.parametrize(
    ("language", "text", "query"),
    [
        pytest.param("en", "The contracts were terminated", "terminating contract", id="english"),
        pytest.param("de", "Die Verträge wurden gekündigt", "Vertrag", id="german"),
        pytest.param("fr", "les employés absents", "employé absent", id="french"),
        pytest.param("es", "las vacaciones anuales", "vacación anual", id="spanish"),
        pytest.param("ru", "ежегодные отпуска", "отпуск", id="russian"),
        pytest.param("en", "Café crème", "cafe creme", id="accents"),
        pytest.param("en", "invoice_number INV-2024/17", "inv 2024", id="codes"),
        pytest.param("en", "the employee's badge", "employees", id="apostrophe"),
        pytest.param("none", "東京都の人口", "京都", id="pair of characters"),
        pytest.param("en", "ｆｕｌｌ ｗｉｄｔｈ", "width", id="full width"),
        pytest.param("hi", "वार्षिक अवकाश", "अवकाश", id="hindi"),
        pytest.param("none", "ประกันสุขภาพ", "สุขภาพ", id="thai"),
        pytest.param("none", "חופשה שנתית", "חופשה", id="hebrew"),
        pytest.param("none", "연차 휴가", "휴가", id="korean"),
    ],
)
def test_words_have_the_terms_of_their_other_forms(language: str, text: str, query: str) -> None:
    words = Words()
    there = set(words.terms(text, language))
    asked = words.query(query, {language, "en", "de"})
    assert asked
    assert all(there & set(group) for group, _ in asked)


def test_a_word_is_asked_for_in_every_language_of_the_index_and_counts_once() -> None:
    (group, times), *rest = Words().query("Verträge Verträge", {"de", "en", "fr"})
    assert (len(set(group)), times, rest) == (3, 2, [])


def test_a_stop_word_of_one_language_may_mean_something_in_another() -> None:
    words = Words()
    assert words.query("die", {"de"}) == []
    assert len(words.query("die", {"de", "en"})) == 1


@pytest.mark.parametrize("text", ["what is the", "the of and", "", "?!"])
def test_question_and_stop_words_ask_for_nothing(text: str) -> None:
    assert Words().query(text, {"en"}) == []


def test_a_very_long_query_keeps_the_words_it_repeats() -> None:
    words = Words()
    asked = words.query(" ".join(f"noise{n}" for n in range(5000)) + " needle needle", {"en"})
    assert len(asked) == 256
    assert asked[0] == (tuple(words.terms("needle", "en")), 2)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The contracts were terminated by the company, and the employees were told.", "en"),
        ("Das ist ein Vertrag, der von der Firma gekündigt wurde, und die Frist ist kurz.", "de"),
        ("Le congé annuel est de vingt-cinq jours pour les employés de la société.", "fr"),
        ("La política de vacaciones de la empresa es que los empleados tienen derecho.", "es"),
        ("Semester är tjugofem dagar om året för alla anställda och det är inte lite.", "sv"),
        ("Pracownicy mają prawo do urlopu, który jest płatny i nie może być krótszy.", "pl"),
        ("Отпуск составляет двадцать восемь дней", "ru"),
        ("الإجازة السنوية ثلاثون يوما", "ar"),
        ("مرخصی سالانه پرسنل", "fa"),
        ("東京都の人口は千四百万人です。", "none"),
        ("Щорічна відпустка її працівників", "none"),
        ("def f(x): return x + 1", "en"),
        ("", "en"),
    ],
)
def test_a_document_tells_its_language(text: str, language: str) -> None:
    assert language_of(text) == language


def test_every_language_has_a_stemmer_that_there_is() -> None:
    import snowballstemmer

    assert set(STEMMERS.values()) <= set(snowballstemmer.algorithms())
    assert set(STOP_WORDS) <= set(STEMMERS)


@pytest.mark.parametrize(
    ("filename", "words"),
    [("Vacation-Policy_2024.pdf", "Vacation Policy"), ("f1.txt", ""), ("über uns.docx", "über uns"), ("", "")],
)
def test_the_words_of_a_file_name_without_its_ending_and_codes(filename: str, words: str) -> None:
    assert name_words(filename) == words
