"""The router: which task and agent a query gets, what it may touch, and how turns before it count."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from backend.core.router import Router, choose_agent, judge
from backend.core.routing_examples import agentic_share, load_examples, load_learned
from backend.models.messages import Message, Route, ToolCall
from backend.models.run import Owner, RunContext
from backend.models.tools import ToolSpec
from tests.fakes.toy_specs import ALL, DOCUMENTS, MATH, SQL, WEATHER, BrokenEmbedder, WordEmbedder

AGENTS = {"react": "One tool or dependent steps.", "plan_execute": "Several independent pieces."}
CONTEXT = RunContext(Owner("default", "u1"), "run", None, "req")
WITH_DOCUMENTS = replace(CONTEXT, documents=("handbook.pdf", "contract-2024.docx"))
CODE = ToolSpec("python_code", "Runs Python code in a sandbox.", {"type": "object", "properties": {}})
WIKIPEDIA = ToolSpec("wikipedia", "Looks things up in Wikipedia.", {"type": "object", "properties": {}})
TOOLS = (*ALL, SQL, CODE, WIKIPEDIA)

CLEAR_CHAT = [
    "Hello!",
    "hi there",
    "Guten Morgen",
    "Bonjour",
    "Hola!",
    "Buongiorno",
    "Olá",
    "你好",
    "Thanks a lot!",
    "danke schön",
    "merci beaucoup",
    "ok",
    "How are you today?",
    "Who are you?",
    "Was kannst du?",
    "Comment ça va ?",
    "¿Cómo estás?",
    "Chi sei?",
    "Tell me a joke",
    "Write a poem about the weather in Paris.",
    "Write a haiku about autumn",
    "Schreib mir ein Gedicht über den Herbst.",
    "Écris une histoire sur un chat.",
    "Escribe un poema sobre el mar.",
    "Scrivi una poesia sulla luna.",
    "Escreva um poema sobre o mar.",
    "Draft an email to my landlord about the heating.",
    "Translate 'calculate 5+5' to German.",
    "Übersetze den folgenden Satz ins Englische: Das Wetter ist schön.",
    "Traduis cette phrase en anglais : il fait beau.",
    "Rewrite this sentence more politely: send me the report",
    "Summarize the following text: The committee met on Monday and decided nothing.",
    "Write a Python function that sorts a list.",
    "Write a function that searches the web for a term.",
    "How do I read a file in Python?",
    "Fix this code:\n```python\nprint(1+1\n```",
    "Schreibe eine Funktion, die Primzahlen berechnet.",
    "What is the capital of France?",
    "Explain how photosynthesis works.",
    "Warum ist der Himmel blau?",
    "Qui était Victor Hugo ?",
    "¿Por qué el cielo es azul?",
    "Perché il cielo è blu?",
    "Por que o céu é azul?",
    "Give me three tips for better sleep.",
    "Explain that more simply",
    "why?",
    "",
]

AGENTIC = [
    ("What is 12*7?", "react"),
    ("What is 15% of 240?", "react"),
    ("Berechne 5*8", "react"),
    ("Calculate the square root of 1764", "react"),
    ("Solve x^2 - 5x + 6 = 0", "react"),
    ("Löse die Gleichung 2x + 3 = 11", "react"),
    ("Résous l'équation x^2 = 16", "react"),
    ("Resuelve la ecuación 3x - 9 = 0", "react"),
    ("Risolvi l'equazione x + 7 = 12", "react"),
    ("Resolva a equação 2x = 10", "react"),
    ("Wie viel ist 17 mal 23?", "react"),
    ("Combien font 12 fois 48 ?", "react"),
    ("¿Cuánto es 25 por 16?", "react"),
    ("Quanto fa 14 per 12?", "react"),
    ("What's the weather in Berlin?", "react"),
    ("Will it rain tomorrow in London?", "react"),
    ("Quel temps fait-il à Paris ?", "react"),
    ("Che tempo fa a Roma?", "react"),
    ("Como está o tempo em Lisboa?", "react"),
    ("¿Qué tiempo hace en Madrid?", "react"),
    ("Search the web for the latest news about Mars", "react"),
    ("Suche im Internet nach Nachrichten", "react"),
    ("Cherche sur internet les horaires", "react"),
    ("Busca en internet las últimas noticias", "react"),
    ("Cerca su internet le ultime notizie", "react"),
    ("Pesquise na internet as notícias", "react"),
    ("Look up Marie Curie on Wikipedia", "react"),
    ("Was steht auf Wikipedia über Einstein?", "react"),
    ("Run this code: print(sum(range(100)))", "react"),
    ("Führe diesen Code aus: print(1+1)", "react"),
    ("SELECT name FROM customers LIMIT 3", "react"),
    ("What does our handbook say about vacation days?", "react"),
    ("According to the contract, what is the notice period?", "react"),
    ("Summarise my uploaded document", "react"),
    ("Was steht im Handbuch über Urlaub?", "react"),
    ("Quel est le délai de préavis selon le contrat ?", "react"),
    ("¿Qué dice el contrato sobre el preaviso?", "react"),
    ("Cosa dice il contratto sulle ferie?", "react"),
    ("O que diz o relatório sobre os custos?", "react"),
    ("What is in contract-2024.docx?", "react"),
    ('Analyse [{"age": 3}, {"age": 5}] and compute the mean', "react"),
    ("What is the average of the column price in sales.csv?", "react"),
    ("Use the weather tool for Oslo", "react"),
    ("use sql_query to count the rows", "react"),
    ("What is 15% of 240 and then multiply that by 3", "react"),
    ("Berechne 5*8 und multipliziere dann das Ergebnis mit 3", "react"),
    ("Calculate 3*4, then add 10 to the result", "react"),
    ("If the handbook allows remote work, find out who approves it", "react"),
    ("What is 12*7 and what does the handbook say about vacation?", "plan_execute"),
    ("Was ist 12*7 und was steht im Handbuch über Urlaub?", "plan_execute"),
    ("Combien font 12*30 et que dit le manuel sur les congés ?", "plan_execute"),
    ("¿Cuánto es 15*12 y qué dice el contrato sobre viajes?", "plan_execute"),
    ("Compare the vacation policy and the sick leave policy in my documents", "plan_execute"),
    ("Compare the two contracts I uploaded", "plan_execute"),
    ("Vergleiche die Urlaubsregelung und die Reiseregelung in meinen Dokumenten", "plan_execute"),
    ("Confronta i due contratti nei miei documenti", "plan_execute"),
    ("Compara los dos contratos en mis documentos", "plan_execute"),
    ("Write a comprehensive report on the findings in my uploaded files", "plan_execute"),
    ("Research electric cars and write a detailed report about prices and range", "plan_execute"),
    ("Erstelle einen ausführlichen Bericht über meine Dateien", "plan_execute"),
    ("Rédige un rapport complet sur mes fichiers", "plan_execute"),
    ("Escribe un informe completo sobre mis archivos", "plan_execute"),
    ("Scrivi un rapporto completo sui miei documenti", "plan_execute"),
    ("Please do this:\n1. compute 25*4\n2. find the notice period in the contract\n3. weather in Rome", "plan_execute"),
    ("What's the weather in Paris? What is 3*4?", "plan_execute"),
]


async def choose(query: str, *, context: RunContext = CONTEXT, embedder: WordEmbedder | None = None) -> Route:
    router = Router(embedder or BrokenEmbedder(), AGENTS)
    return await router.choose([Message("user", query)], context, TOOLS)


@pytest.mark.parametrize("query", CLEAR_CHAT, ids=lambda query: query[:40] or "empty")
async def test_clear_chat_is_decided_without_the_embedder(query: str) -> None:
    route = await choose(query) if query not in _ASKS_TOY_DOCUMENTS else await _without_documents(query)
    assert (route.task, route.agent) == ("chat", "chat"), route.reason


_ASKS_TOY_DOCUMENTS = {
    "What is the capital of France?",
    "How do I read a file in Python?",
    "Qui était Victor Hugo ?",
}
"""The toy retriever proposes itself for any question; the real one does so only when there are documents."""


async def _without_documents(query: str) -> Route:
    tools = tuple(spec for spec in TOOLS if spec is not DOCUMENTS)
    return await Router(BrokenEmbedder(), AGENTS).choose([Message("user", query)], CONTEXT, tools)


@pytest.mark.parametrize(("query", "agent"), AGENTIC, ids=[query[:50] for query, _ in AGENTIC])
async def test_cues_and_proposals_choose_the_agent_without_the_embedder(query: str, agent: str) -> None:
    route = await choose(query, context=WITH_DOCUMENTS)
    assert (route.task, route.agent) == ("agentic", agent), route.reason


async def test_a_route_says_why_in_one_sentence_and_what_it_cost() -> None:
    route = await choose("What is 12*7?")
    assert route.reason[0].isupper()
    assert route.reason.endswith(".")
    assert 0 < route.confidence <= 1
    assert 0 < route.seconds < 5


async def test_without_tools_everything_is_chat() -> None:
    route = await Router(BrokenEmbedder(), AGENTS).choose([Message("user", "What is 12*7?")], CONTEXT, ())
    assert route.task == "chat"


async def test_long_pasted_text_is_chat_unless_a_tool_is_asked_for() -> None:
    text = "The committee met again and talked about nothing in particular. " * 80
    assert (await choose(text)).task == "chat"
    assert (await choose(text + "\n\nSearch the web for the members of this committee.")).task == "agentic"


async def test_two_megabytes_are_routed_quickly() -> None:
    route = await choose("word " * 400_000)
    assert route.task == "chat"
    assert route.seconds < 2


async def test_an_open_question_is_settled_by_similar_examples() -> None:
    embedder = WordEmbedder()
    router = Router(embedder, AGENTS)
    query = "Are there extra vacation days for employees?"
    # Another embedder's examples have to be embedded first; until then queries are judged without them.
    while embedder.calls < 2:
        route = await router.choose([Message("user", query)], WITH_DOCUMENTS, TOOLS)
    assert (route.task, route.agent) == ("agentic", "react")
    await router.choose([Message("user", "Is approval needed for travel expenses?")], WITH_DOCUMENTS, TOOLS)
    assert embedder.calls == 3, "the examples are embedded once"
    await router.aclose()


async def test_an_open_question_like_general_ones_stays_chat_despite_documents() -> None:
    route = await choose("Explain how a car engine works", context=WITH_DOCUMENTS, embedder=WordEmbedder())
    assert route.task == "chat"


FACTS_OF_DOCUMENTS = [
    "When was Olga Hartmann born?",
    "Where was the founder born?",
    "What is our motto?",
    "Tell me about Olga Hartmann",
    "Wann öffnet die Kantine?",
    "Wie viel Mehl braucht man für den Teig?",
    "How do we handle returns?",
    "What are the payment terms?",
]
GENERAL_WITH_DOCUMENTS = [
    "What is the capital of France?",
    "Why is the sky blue?",
    "Explain how photosynthesis works.",
    "How do I boil an egg?",
    "What is machine learning?",
    "Was ist Schwerkraft?",
    "Write a poem about our founder",
    "Translate 'Where is the founder?' to German.",
    "Write a Python function that sorts a list.",
    "Hello!",
    "good night",
]


@pytest.mark.parametrize("query", FACTS_OF_DOCUMENTS)
async def test_a_question_for_a_particular_fact_goes_to_the_documents(query: str) -> None:
    route = await choose(query, context=WITH_DOCUMENTS)
    assert (route.task, route.agent) == ("agentic", "react"), route.reason


@pytest.mark.parametrize("query", FACTS_OF_DOCUMENTS[:5])
async def test_without_documents_or_a_tool_for_them_such_a_question_is_chat(query: str) -> None:
    router = Router(BrokenEmbedder(), AGENTS)
    for context, tools in ((CONTEXT, (MATH, WEATHER)), (WITH_DOCUMENTS, ())):
        assert (await router.choose([Message("user", query)], context, tools)).task == "chat"


@pytest.mark.parametrize("query", GENERAL_WITH_DOCUMENTS)
async def test_general_questions_and_writing_stay_chat_despite_documents(query: str) -> None:
    tools = tuple(spec for spec in TOOLS if spec is not DOCUMENTS)
    retriever = replace(DOCUMENTS, propose=None)
    router = Router(BrokenEmbedder(), AGENTS)
    verdict = judge(query, (), (), WITH_DOCUMENTS, (*tools, retriever))
    assert not (verdict.sure and verdict.task == "agentic"), verdict.reason
    if verdict.sure:
        assert (await router.choose([Message("user", query)], WITH_DOCUMENTS, tools)).task == "chat"


async def test_a_broken_embedder_leaves_the_decision_to_the_other_signals() -> None:
    embedder = BrokenEmbedder()
    route = await choose("Has anybody signed?", context=WITH_DOCUMENTS, embedder=embedder)
    assert embedder.calls == 1
    assert route.task == "agentic"


async def _after(earlier: list[Message], query: str) -> Route:
    router = Router(BrokenEmbedder(), AGENTS)
    tools = (MATH, WEATHER, SQL)
    return await router.choose([*earlier, Message("user", query)], CONTEXT, tools)


FOLLOW_UPS = [
    ("What's the weather in Paris?", "and in Rome?", "agentic"),
    ("What's the weather in Paris?", "What about Berlin?", "agentic"),
    ("Was ist die Wurzel aus 16?", "und aus 25?", "agentic"),
    ("What is 12*7?", "and the second one?", "agentic"),
    ("What is 12*7?", "thanks!", "chat"),
    ("What is 12*7?", "why?", "chat"),
    ("Tell me a joke", "and another one?", "chat"),
    ("Write a poem about cats", "and about dogs?", "chat"),
]


@pytest.mark.parametrize(("before", "query", "task"), FOLLOW_UPS, ids=[f"{b[:20]}>{q}" for b, q, _ in FOLLOW_UPS])
async def test_a_follow_up_goes_the_way_of_the_turn_before(before: str, query: str, task: str) -> None:
    route = await _after([Message("user", before), Message("assistant", "Here you are.")], query)
    assert route.task == task, route.reason


async def test_a_follow_up_of_a_turn_that_called_tools_is_agentic() -> None:
    earlier = [
        Message("user", "Have a look at it"),
        Message("assistant", "", tool_calls=(ToolCall("c1", "sql_query", "{}"),)),
        Message("tool", "3 rows", tool_call_id="c1", name="sql_query"),
        Message("assistant", "Three rows."),
    ]
    assert (await _after(earlier, "and the others?")).task == "agentic"


async def test_an_unknown_agent_is_never_chosen() -> None:
    router = Router(BrokenEmbedder(), {"react": "Everything."})
    route = await router.choose([Message("user", "Compare A and B in my documents")], WITH_DOCUMENTS, TOOLS)
    assert route.agent == "react"


@pytest.mark.parametrize(
    ("query", "task"),
    [("What is 12*7?", "agentic"), ("Search the web for cats", "agentic"), ("Hello", "chat"), ("Write a poem", "chat")],
)
async def test_the_task_type_can_be_asked_without_tools(query: str, task: str) -> None:
    assert await Router(BrokenEmbedder(), AGENTS).determine_task_type(query, CONTEXT) == task


def test_a_dependent_step_is_stronger_than_several_parts() -> None:
    assert choose_agent("Compute 3*4 and find the contract, then add 5 to the result", TOOLS)[0] == "react"


def test_the_examples_cover_languages_agents_and_tools() -> None:
    examples = load_examples()
    assert len(examples) >= 150
    assert len({example.text for example in examples}) == len(examples)
    assert {"en", "de", "fr", "es", "it", "pt"} <= {example.lang for example in examples}
    agents = Counter(example.agent for example in examples)
    assert set(agents) == {"chat", "react", "plan_execute", "documents"}
    assert all(bool(example.tool) == (example.agent != "chat") for example in examples)


def test_examples_of_tools_that_are_not_offered_do_not_vote() -> None:
    scores = {"": 0.1, "weather": 0.9, "math_calc": 0.0}
    assert agentic_share(scores, None, True) > 0.8
    assert agentic_share(scores, {"math_calc"}, True) == pytest.approx(0.0, abs=1e-6)


def test_examples_about_documents_do_not_vote_when_there_are_none() -> None:
    scores = {"": 0.1, "rag_retrieval": 0.9}
    assert agentic_share(scores, None, True) > 0.8
    assert agentic_share(scores, None, False) == pytest.approx(0.0, abs=1e-6)


def test_what_was_learned_from_the_examples_is_up_to_date() -> None:
    learned = load_learned(load_examples(), "all-MiniLM-L6-v2")
    assert learned is not None, "run `python scripts/embed_routing_examples.py`"
