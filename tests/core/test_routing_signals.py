"""Single signals of the router: names of documents, what tables hold, pieces side by side, and hostile input."""

from __future__ import annotations

import time

import pytest

from backend.core import routing_files as files
from backend.core.routing_pieces import choose_agent, pieces
from backend.core.routing_signals import judge
from backend.core.routing_text import clip, fold
from backend.models.messages import Message
from backend.models.run import Owner, RunContext
from backend.models.tools import ToolSpec

NAMES = (
    "weather",
    "web_search",
    "rag_retrieval",
    "math_calc",
    "data_analysis",
    "sql_query",
    "python_code",
    "wikipedia",
)
TOOLS = tuple(ToolSpec(name, name.replace("_", " "), {}) for name in NAMES)

NAMED = [
    ("what does the lease say", ("lease_agreement.pdf",), True),
    ("what is a lease", ("lease_agreement.pdf",), False),
    ("was steht im vertrag", ("mietvertrag.docx",), True),
    ("was macht einen guten mietvertrag aus", ("mietvertrag.docx",), False),
    ("summarise handbook.pdf", ("handbook.pdf",), True),
    ("how do i structure a good employee handbook", ("handbook.pdf",), False),
    ("find the lasagna recipe", ("family recipes.docx",), True),
    ("my employees are unhappy", ("employees.csv",), False),
    ("how many rows has the employees table", ("employees.csv",), True),
    ("vertrag_mueller, worum geht es", ("Vertrag_Mueller.pdf",), True),
    ("what is in my scan", ("scan_0012.pdf",), False),
    ("anything", (), False),
]
TABLES = [
    ("umsatz pro filiale", ("umsatz_2023.csv",), True),
    ("verkäufe nach monat", ("verkaeufe.csv",), True),
    ("top 5 customers by revenue", ("orders.csv",), True),
    ("how many continents are there", ("orders.csv",), False),
    ("top 5 customers by revenue", ("handbook.pdf",), False),
    ("tell me a joke", ("orders.csv",), False),
]
AGENTS = [
    ("weather in paris, london and rome", "plan_execute"),
    ("weather in paris today and tomorrow", "react"),
    ("is it warmer in madrid or in athens", "plan_execute"),
    ("15*8; sqrt(2); 9!", "plan_execute"),
    ("solve x^2+y^2=25, x+y=7", "react"),
    ("sum of 3*4 and 5*6", "react"),
    ("median of 12, 7, 3", "react"),
    ("what's 20% of 45, 30% of 60 and 45% of 200", "plan_execute"),
    ("take 18% of 950 and divide the result by 3", "react"),
    ("check the weather in oslo and if it rains suggest a museum", "react"),
    ("weather in bern and the latest news from spain", "plan_execute"),
    ("run this: import math; print(math.pi)", "react"),
    ("use python to sort this list: 5, 3, 9", "react"),
    ("compare the handbook and the contract", "plan_execute"),
    ("fais une étude détaillée du marché du vélo électrique", "plan_execute"),
    ("list the top customers, the worst products and the monthly revenue", "plan_execute"),
]
FOLLOW_UPS = [
    ("weather in oslo", "and in bergen?", "agentic"),
    ("wetter in wien", "und in graz?", "agentic"),
    ("quel temps fait-il à nice", "et à toulouse ?", "agentic"),
    ("meteo roma", "e a firenze?", "agentic"),
    ("tiempo en madrid", "y en sevilla?", "agentic"),
    ("write a poem about autumn", "now one about winter", "chat"),
    ("write an email to my landlord", "more formal please", "chat"),
    ("what is 12*48", "explain that step by step", "chat"),
]


def context(*documents: str) -> RunContext:
    return RunContext(Owner("default", "u1"), "run", None, "req", documents=documents)


@pytest.mark.parametrize(("query", "documents", "is_named"), NAMED, ids=[each[0][:40] for each in NAMED])
def test_a_document_is_named_by_its_telling_words_but_not_by_any_such_thing(
    query: str, documents: tuple[str, ...], is_named: bool
) -> None:
    assert bool(files.named(fold(query), documents)) is is_named


@pytest.mark.parametrize(("query", "documents", "asks"), TABLES, ids=[f"{q[:30]}-{d[0]}" for q, d, _ in TABLES])
def test_tables_are_asked_when_something_is_counted_that_they_hold(
    query: str, documents: tuple[str, ...], asks: bool
) -> None:
    assert files.asks_of_tables(fold(query), documents) is asks


@pytest.mark.parametrize(("query", "agent"), AGENTS, ids=[each[0][:50] for each in AGENTS])
def test_independent_pieces_go_side_by_side_and_dependent_ones_step_by_step(query: str, agent: str) -> None:
    assert choose_agent(query, TOOLS, ("orders.csv", "handbook.pdf", "contract.docx"))[0] == agent


def test_pieces_are_not_cut_inside_brackets_and_quotes() -> None:
    assert pieces('f(1, 2), "red, green" and [3, 4]') == ["f(1, 2)", '"red, green"', "[3, 4]"]


def test_folding_takes_off_accents_and_clipping_keeps_both_ends() -> None:
    assert fold("Météo à LYON, Straße, Łódź, œuf") == "meteo a lyon, strasse, lodz, oeuf"
    clipped = clip("a" * 5_000 + " search the web")
    assert clipped.startswith("aaa")
    assert clipped.endswith("search the web")
    assert len(clipped) < 1_000


@pytest.mark.parametrize(("earlier", "query", "task"), FOLLOW_UPS, ids=[f"{b[:25]}>{q}" for b, q, _ in FOLLOW_UPS])
def test_a_short_turn_is_read_with_the_one_before(earlier: str, query: str, task: str) -> None:
    verdict = judge(query, (earlier,), (Message("user", earlier),), context(), TOOLS)
    assert verdict.task == task, verdict


SIZE = 200_000
HOSTILE = {
    "letters": "a" * SIZE,
    "spaces": " " * SIZE,
    "digits": "1" * SIZE,
    "spaced digits": "1 " * (SIZE // 2),
    "nested brackets": "[" * (SIZE // 2) + "]" * (SIZE // 2),
    "open brackets of all kinds": "{[(" * (SIZE // 3),
    "quotes": '"' * SIZE,
    "commas": "x, " * (SIZE // 3),
    "ands": "a and " * (SIZE // 6),
    "line breaks": "\n" * SIZE,
    "full stops": ". " * (SIZE // 2),
    "questions": "what is " * (SIZE // 8),
    "cue after cue": "weather in the latest news and " * (SIZE // 31),
    "a megabyte": "lorem ipsum dolor " * 60_000,
    "cues to the brim of what is read": "rain and the 1 " * 50,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_judged_in_linear_time(name: str) -> None:
    text, asker = HOSTILE[name], context("handbook.pdf", "orders.csv")
    for warm in (text[:100], "what is the weather in rome and how much is 3*4?"):  # patterns compile when first used
        judge(warm, (), (), asker, TOOLS)
        choose_agent(warm, TOOLS)
    started = time.process_time()
    judge(text, ("weather in rome",), (), asker, TOOLS)
    choose_agent(text, TOOLS, asker.documents)
    assert time.process_time() - started < 0.5
