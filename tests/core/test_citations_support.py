"""Whether an answer rests on the passages of its run, and what is said when it does not."""

from __future__ import annotations

import time
from typing import Any

import pytest

from backend.core.citations import checked_citations
from backend.core.citations_support import NOTES, ToolUse, asserts, caution, numbers_of, support_of
from backend.models.messages import ToolFinished
from backend.models.tools import Source, Support

PASSAGE = "The notice period is three months to the end of a quarter. The deposit is 1,250.00 euros, due on 5 May 2026."
SOURCES = [Source("document", "contract.pdf, p. 2", PASSAGE, file_id="f1", filename="contract.pdf", page=2)]
QUESTION = "What does the contract say?"


def used(*names: str, data: Any = None) -> ToolUse:
    use = ToolUse()
    for name in names:
        use.note(ToolFinished("c", 0, name, {}, "completed", "the output says 391", 0.0, 0.1, data=data))
    return use


def judged(answer: str, sources: list[Source] | None = None, use: ToolUse | None = None) -> Support:
    sources = SOURCES if sources is None else sources
    use = used("rag_retrieval") if use is None else use
    return support_of(answer, QUESTION, sources, checked_citations(answer, sources), use)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        pytest.param("The notice period is three months [1].", "supported", id="cited"),
        pytest.param("The notice period is 3 months [1].", "supported", id="a number word"),
        pytest.param("The deposit is €1250 [1].", "supported", id="a number written otherwise"),
        pytest.param("Page 2 has it: due on 5 May 2026 [1].", "supported", id="the page's number"),
        pytest.param("“The notice period is three months” [1].", "supported", id="quoted"),
        pytest.param("The notice period is 6 months [1].", "partial", id="a number of its own"),
        pytest.param(
            "“The notice period is six months or so” [1]. The deposit is due [1].", "partial", id="one dropped"
        ),
        pytest.param(
            "The deposit is due in May [1].\n\nBananas from Ecuador cost 3 dollars.", "partial", id="a loose sentence"
        ),
        pytest.param("The notice period is three months.", "partial", id="drawn from a passage that is not named"),
        pytest.param("“The notice period is six months or so” [1].", "unsupported", id="an invented quotation"),
        pytest.param("The moon is made of green cheese.", "unsupported", id="nothing of it"),
        pytest.param("The notice period is six months [7].", "unsupported", id="an invented marker"),
    ],
)
def test_status(answer: str, status: str) -> None:
    assert judged(answer).status == status


@pytest.mark.parametrize(
    ("sources", "use", "status"),
    [
        pytest.param([], ToolUse(), "none", id="no tool"),
        pytest.param([], used("math_calc"), "none", id="another tool"),
        pytest.param([], used("rag_retrieval", data={"hits": []}), "unsupported", id="searched and found nothing"),
        pytest.param([], used("rag_retrieval", "math_calc"), "none", id="found nothing, then calculated"),
        pytest.param([], used("rag_retrieval", data={"documents": ["a.pdf"]}), "none", id="only names of files"),
        pytest.param(
            [Source("web", "a page", "words", "https://example.org")], used("web_search"), "none", id="the web"
        ),
    ],
)
def test_status_without_passages(sources: list[Source], use: ToolUse, status: str) -> None:
    assert judged("The moon is made of cheese.", sources, use).status == status


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ("Your documents do not contain an answer to this, as far as I can find: “What is due in 2031?”.", "none"),
        ("I could not find any information about that in the documents.", "none"),
        ("Soweit ich sehe, enthalten deine Dokumente keine Antwort auf: „Was gilt?“.", "none"),
        ("Vos documents ne contiennent pas de réponse.", "none"),
        ("The tenant does not have to pay for the heating.", "unsupported"),
        ("The documents do not mention it, but 45 days are usual.", "unsupported"),
    ],
)
@pytest.mark.parametrize("found", [True, False], ids=["with passages", "without"])
def test_an_answer_that_says_that_the_documents_do_not_tell_is_no_unsupported_one(
    answer: str, status: str, found: bool
) -> None:
    sources = SOURCES if found else []
    use = used("rag_retrieval", data={"hits": []})
    assert support_of(answer, "What is due in 2031?", sources, checked_citations(answer, sources), use).status == status


def test_counts_and_reason_are_told() -> None:
    support = judged("“The notice period is six months or so” [1]. The deposit is due on 5 May [1].")
    assert (support.citations, support.dropped) == (1, 1)
    assert support.reason == "One citation was dropped: the quoted words do not stand in the passage."
    assert judged("It is 6 months [1].").reason == "In none of the cited passages: 6."


def test_numbers_of_other_tools_do_not_count_against_an_answer() -> None:
    use = used("rag_retrieval", "math_calc")
    assert judged("Three months, and the sum is 391 [1].", use=use).status == "supported"


def test_a_failed_call_is_no_use() -> None:
    use = ToolUse()
    use.note(ToolFinished("c", 0, "rag_retrieval", {}, "failed", "", 0.0, 0.1, "gone"))
    assert not use.searched


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("What is the notice period?", "en"),
        ("Wie lang ist die Kündigungsfrist?", "de"),
        ("Quelle est la durée du préavis ?", "fr"),
        ("¿Cuál es el plazo de preaviso?", "es"),
        ("Qual è il termine di preavviso nel contratto?", "it"),
        ("Qual é o prazo de aviso prévio no contrato?", "pt"),
        ("Wat is de opzegtermijn van het contract?", "nl"),
        ("Каков срок уведомления?", "en"),
    ],
)
def test_the_note_speaks_the_language_of_the_question(question: str, language: str) -> None:
    answer = "The moon is made of green cheese."
    assert caution(answer, question, judged(answer), used("rag_retrieval")) == NOTES[language]


@pytest.mark.parametrize(
    "answer",
    [
        "I could not find anything about this in your documents.",
        "The documents do not mention the notice period.",
        "There is no information on this in the passages.",
        "Your documents do not contain an answer to this, as far as I can find: “Who?”.",
        "In den Dokumenten steht dazu nichts.",
        "Ich habe keine Angaben zur Kündigungsfrist gefunden.",
        "Je n'ai rien trouvé à ce sujet.",
        "Aucune information sur le préavis.",
        "No he encontrado nada sobre esto.",
        "No se menciona el plazo.",
        "Non ho trovato nulla in merito.",
        "Nessuna informazione disponibile.",
        "Não encontrei nada sobre isso.",
        "Ik heb hier niets over gevonden.",
        "Which of the two contracts do you mean?",
        "OK.",
    ],
)
def test_refusals_and_questions_get_no_note(answer: str) -> None:
    assert not asserts(answer)
    assert caution(answer, QUESTION, judged(answer), used("rag_retrieval")) == ""


@pytest.mark.parametrize(
    "answer", ["The moon is made of green cheese.", "Die Frist beträgt sechs Monate.", "Le préavis est de six mois."]
)
def test_statements_are_told_apart_from_refusals(answer: str) -> None:
    assert asserts(answer)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1,250.00", "1250"), ("1.250,00", "1250"), ("1 250", "1250"), ("1’250", "1250"), ("0.50", "0.5"),
        ("3,5", "3.5"), ("2026-05-05", "5"), ("007", "7"),
    ],
)  # fmt: skip
def test_numbers_are_read_in_every_form(text: str, number: str) -> None:
    assert number in numbers_of([text])


@pytest.mark.parametrize(
    "answer",
    ["Rome [1]. " * 8_000, "It is 5 [1]\n\n" * 5_000, "`1` Rome. " * 5_000, "1 " * 30_000 + "[1]", "A b. " * 10_000],
)
def test_hostile_answers_are_judged_in_reasonable_time(answer: str) -> None:
    begin = time.process_time()
    judged(answer)
    assert time.process_time() - begin < 3.0
