"""Which queries are about whole documents, and about which ones."""

from __future__ import annotations

import pytest

from backend.core.router import Router
from backend.core.whole_document_cues import asks_for_whole, forced_task, language_of, whole_document_task
from backend.models.messages import Message
from backend.models.tools import ToolSpec
from tests.fakes.embedder import HashEmbedder
from tests.fakes.model import scripted
from tests.fakes.tools import run_context

DOCUMENTS = ("report_2023.pdf", "handbook.pdf", "contract_b.docx", "contract_a.docx", "mietvertrag.docx", "sales.csv")
READER = ToolSpec("document_text", "Reads documents.", {})


@pytest.mark.parametrize(
    ("query", "kind", "files"),
    [
        ("summarise handbook.pdf", "summary", ["handbook.pdf"]),
        ("Give me a short summary of the handbook in 5 bullet points", "summary", ["handbook.pdf"]),
        ("what is handbook.pdf about?", "summary", ["handbook.pdf"]),
        ("Summarise this file", "summary", ["report_2023.pdf"]),
        ("summarize the uploaded report", "summary", ["report_2023.pdf"]),
        ("compare contract_a.docx and contract_b.docx", "compare", ["contract_a.docx", "contract_b.docx"]),
        ("what are the differences between contract_b.docx and contract_a.docx?", "compare",
         ["contract_b.docx", "contract_a.docx"]),
        ("list every deadline in handbook.pdf", "list", ["handbook.pdf"]),
        ("all amounts mentioned in report_2023.pdf", "list", ["report_2023.pdf"]),
        ("list all e-mail addresses in the attached file", "list", ["report_2023.pdf"]),
        ("translate handbook.pdf into German", "translate", ["handbook.pdf"]),
        ("summarise handbook.pdf and list every date in it", "ask", ["handbook.pdf"]),
        ("liste alle Fristen im Mietvertrag auf", "list", ["mietvertrag.docx"]),
        ("Fasse handbook.pdf zusammen", "summary", ["handbook.pdf"]),
        ("Résume le document", "summary", ["report_2023.pdf"]),
        ("riassumi handbook.pdf", "summary", ["handbook.pdf"]),
        ("resume handbook.pdf por favor", "summary", ["handbook.pdf"]),
        ("What is in handbook.pdf?", "summary", ["handbook.pdf"]),
        ("Was steht in mietvertrag.docx?", "summary", ["mietvertrag.docx"]),
    ],
)  # fmt: skip
def test_queries_about_whole_documents(query: str, kind: str, files: list[str]) -> None:
    task = whole_document_task(query, DOCUMENTS)
    assert task is not None
    assert (task.kind, list(task.files)) == (kind, files)


@pytest.mark.parametrize(
    "query",
    [
        "what is the notice period in the handbook",
        "summarise what the handbook says about overtime",
        "compare the handbook and contract_a.docx on overtime rules",
        "summarise the handbook and tell me the weather in Munich",
        "summarise the plot of Hamlet",
        "what is in handbook.pdf about dogs",
        "what is in the air",
        "what is in my documents",
        "which documents do I have",
        "list all my documents",
        "write a poem about all the files",
        "translate this to Spanish: the report is due on Friday",
        "compare Python and Rust",
        "list all the planets",
        "list all customers in sales.csv",
        "what does the report say about all employees",
        "summarise handbook.pdf " + "word " * 200,
        "",
    ],
)
def test_other_queries(query: str) -> None:
    assert whole_document_task(query, DOCUMENTS) is None


@pytest.mark.parametrize(
    ("query", "language"),
    [
        ("Fasse mietvertrag.txt zusammen", "de"),
        ("Vergleiche a.pdf und b.pdf", "de"),
        ("riassumi handbook.pdf", "it"),
        ("summarise mietvertrag.txt", "en"),
        ("compare a.pdf and b.pdf", "en"),
    ],
)
def test_an_order_of_a_verb_and_a_file_shows_its_language(query: str, language: str) -> None:
    assert language_of(query) == language


def test_without_documents_nothing_is_meant() -> None:
    assert whole_document_task("summarise this file", ()) is None


def test_both_means_the_two_there_are() -> None:
    task = whole_document_task("compare both contracts", ("old.pdf", "new.pdf"))
    assert task is not None and task.files == ("old.pdf", "new.pdf")


@pytest.mark.parametrize(
    ("query", "expected"),
    [("Please summarise.", True), ("Fasse zusammen", True), ("list all deadlines", True), ("Who signed it?", False)],
)
def test_files_sent_with_a_query_need_no_name(query: str, expected: bool) -> None:
    assert asks_for_whole(query, ["x.pdf"]) is expected


@pytest.mark.parametrize(
    ("query", "earlier", "limited", "files"),
    [
        ("what matters here?", (), False, ["report_2023.pdf"]),
        ("what matters here?", ("tell me about handbook.pdf",), False, ["handbook.pdf"]),
        ("what matters here?", (), True, list(DOCUMENTS)),
    ],
    ids=["newest", "named before", "chosen by the request"],
)
def test_which_files_a_request_for_the_agent_means(
    query: str, earlier: tuple[str, ...], limited: bool, files: list[str]
) -> None:
    task = forced_task(query, DOCUMENTS, earlier, limited=limited)
    assert (task.kind, list(task.files)) == ("ask", files)


@pytest.mark.parametrize(
    ("agents", "specs", "expected"),
    [
        ({"react": "", "plan_execute": "", "documents": ""}, [READER], "documents"),
        ({"react": "", "plan_execute": ""}, [READER], "react"),
        ({"react": "", "plan_execute": "", "documents": ""}, [ToolSpec("rag_retrieval", "Finds.", {})], "react"),
    ],
    ids=["there", "no such agent", "reader switched off"],
)
async def test_the_router_sends_them_to_the_agent(agents: dict[str, str], specs: list[ToolSpec], expected: str) -> None:
    router = Router(HashEmbedder(), agents)
    context = run_context(documents=("handbook.pdf",))
    messages = (Message("user", "summarise handbook.pdf"),)
    route = await router.choose(messages, context, specs, scripted())
    await router.aclose()
    assert route.agent == expected
