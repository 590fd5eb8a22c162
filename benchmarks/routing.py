"""How often the router is right, and how long it takes: leave-one-out over the labelled examples.

    python benchmarks/routing.py

Every example is routed with itself taken out of the neighbours. Examples that need documents are asked with
documents present, the others both with and without. Prints a confusion table of agents, the mistakes, accuracy by
language, and the median time of a decision that needed the embedder and of one that did not.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from backend.core.router import Router
from backend.core.routing_examples import DOCUMENTS, Example, Examples, load_examples, vote
from backend.core.toolbox import ToolRegistry
from backend.embeddings.minilm import MiniLM
from backend.models.messages import Message, Route
from backend.models.run import Owner, RunContext
from backend.models.tools import ToolSpec
from backend.tools.port import ToolServices

AGENTS = {"react": "", "plan_execute": ""}
ORDER = ("chat", "react", "plan_execute")
FILES = ("handbook.pdf", "contract.docx", "sales.csv")
STAND_INS = {
    "math_calc": "Calculates exactly: arithmetic, algebra, equations, calculus.",
    "rag_retrieval": "Finds passages in the user's own uploaded documents.",
    "data_analysis": "Statistics of JSON or CSV data.",
    "web_search": "Searches the web.",
    "wikipedia": "Searches Wikipedia.",
    "weather": "The weather now and days ahead.",
    "python_code": "Runs Python code in a sandbox.",
    "sql_query": "Read-only SQL over the user's tables.",
}
"""Descriptions for tools that this checkout does not have (yet)."""


class LeaveOneOut(Examples):
    """Examples of which the query itself never votes."""

    used = 0

    async def agentic_share(self, query: str, specs: Sequence[ToolSpec] | None, documents: bool) -> float | None:
        self.used += 1
        vectors = await self._ready()
        similarity = vectors @ await self._embedder.embed_query(query)
        own = [index for index, example in enumerate(self._examples) if example.text == query]
        similarity[own] = -1.0
        return vote(self._examples, similarity, None if specs is None else {s.name for s in specs}, documents)


def tool_specs(context: RunContext) -> tuple[ToolSpec, ...]:
    """The real tools as far as they exist; only what they propose is asked, so they need no services."""
    services = ToolServices(*cast("list[Any]", [None] * 5))
    real: tuple[ToolSpec, ...] = ()
    try:
        real = ToolRegistry.discover(services).toolbox(context).specs()
    except AttributeError as error:
        print(f"(real tools left out: {error})")
    names = {spec.name for spec in real}
    return (*real, *(ToolSpec(name, text, {}) for name, text in STAND_INS.items() if name not in names))


async def main() -> None:
    router = Router(MiniLM(), AGENTS)
    examples = LeaveOneOut(router._examples._embedder)
    router._examples = examples
    empty = RunContext(Owner("default", "bench"), "run", None, "bench")
    full = RunContext(Owner("default", "bench"), "run", None, "bench", documents=FILES)
    await router.choose([Message("user", "Who signed it?")], full, tool_specs(full))
    for title, context in (("without documents", empty), ("with documents", full)):
        specs = tool_specs(context)
        seen: list[tuple[Example, Route, bool]] = []
        for example in load_examples():
            if example.tool == DOCUMENTS and context is empty:
                continue
            before = examples.used
            route = await router.choose([Message("user", example.text)], context, specs)
            seen.append((example, route, examples.used > before))
        report(title, seen)


def report(title: str, seen: Sequence[tuple[Example, Route, bool]]) -> None:
    table = Counter((example.agent, route.agent) for example, route, _ in seen)
    print(f"\n== {title}: {len(seen)} queries ==")
    print(f"{'expected':>14} | " + " | ".join(f"{agent:>12}" for agent in ORDER))
    for wanted in ORDER:
        print(f"{wanted:>14} | " + " | ".join(f"{table[wanted, got]:>12}" for got in ORDER))
    task = sum((example.agent == "chat") == (route.agent == "chat") for example, route, _ in seen) / len(seen)
    agent = sum(example.agent == route.agent for example, route, _ in seen) / len(seen)
    print(f"task right {task:.1%}, agent right {agent:.1%}")
    by_language: dict[str, list[bool]] = defaultdict(list)
    for example, route, _ in seen:
        by_language[example.lang].append(example.agent == route.agent)
    print("by language: " + ", ".join(f"{lang} {sum(r) / len(r):.0%}" for lang, r in by_language.items()))
    for used, name in ((False, "without embedder"), (True, "with embedder, warm")):
        times = [route.seconds * 1000 for _, route, did in seen if did is used]
        if times:
            print(f"median {name}: {statistics.median(times):.3f} ms ({len(times)} decisions)")
    for example, route, used in seen:
        if example.agent != route.agent:
            how = "near" if used else "cue"
            print(f"  [{how}] {example.lang} {example.agent} -> {route.agent}: {example.text} | {route.reason}")


if __name__ == "__main__":
    asyncio.run(main())
